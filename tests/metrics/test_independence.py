"""Tests of independence against SciPy, a peer and their own level.

Rates are counted over 200 data sets: at level 0.05 a right test exceeds 0.11 with a
probability of 4e-4, and the draws are fixed.
"""

import warnings

import jax
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from jidcl import metrics
from jidcl.metrics import gram, positive
from jidcl.metrics import kernel_independence as kernels

SETS, ROWS, MOST = 200, 60, 0.11
RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, SETS, ROWS, 1))


def reject(found):
    return float(np.mean(np.asarray(found.p) <= 0.05))


def test_level_and_power_of_tests_without_a_condition():
    tests = metrics.kci_unconditional, metrics.hsic, metrics.fisher_z
    for test in (*tests, metrics.chatterjee_xi):
        assert reject(test(X, Y)) <= MOST
    assert reject(metrics.kci_unconditional(X, X**2 + Y)) > 0.8
    assert reject(metrics.hsic(X, X**2 + Y)) > 0.8
    assert reject(metrics.chatterjee_xi(X, X**2 + 0.1 * Y)) > 0.9
    assert reject(metrics.fisher_z(X, X + 2 * Y)) > 0.8


@pytest.mark.many_programs(reason="three forms of one test")
def test_level_and_power_of_conditional_tests():
    x, y = Z + X, np.sin(Z) + Y
    found = {
        form: metrics.kci_conditional(x, y, Z, form=form)
        for form in ("exact", "fourier", "low_rank")
    }
    for form in found:
        assert reject(found[form]) <= MOST
        assert reject(metrics.kci_conditional(x, y + X, Z, form=form)) > 0.8
    np.testing.assert_allclose(found["fourier"].p, found["exact"].p, atol=1e-6)
    np.testing.assert_allclose(found["low_rank"].p, found["exact"].p, atol=0.05)
    assert reject(metrics.fisher_z(Z + X, Z + Y, Z)) <= MOST


@pytest.mark.parametrize("rows", [30, 205])
def test_fourier_sums_are_the_gram_matrix(rows):
    x = RNG.standard_t(3, size=rows)
    with jax.enable_x64(True):
        f = np.asarray(gram.waves(x / x.std(ddof=1), 2.0))
        k = gram.centred(gram.gram((x / x.std(ddof=1))[:, None], 2.0))
    np.testing.assert_allclose(f @ f.T, k, atol=1e-9)


def by_definition(x, y, z):
    """The exact conditional KCI of one data set by NumPy and SciPy, p."""
    n, dz = z.shape
    x, y, z = ((v - v.mean(0)) / v.std(0, ddof=1) for v in (x, y, z))
    width = 1.2 if n < 200 else 0.7 if n < 1200 else 0.4
    h = np.eye(n) - 1 / n

    def centred(v):
        distances = scipy.spatial.distance.cdist(v, v, "sqeuclidean")
        return h @ np.exp(-distances / (2 * dz * width**2)) @ h

    r = 1e-3 * np.linalg.inv(centred(z) + 1e-3 * np.eye(n))
    k1, k2 = r @ centred(np.column_stack([x, z / 2])) @ r, r @ centred(y) @ r
    mean, variance = np.trace(k1 * k2), 2 * np.sum((k1 * k2) ** 2)
    law = scipy.stats.gamma(mean**2 / variance, scale=variance / mean)
    return law.sf(np.sum(k1 * k2))


def kinds_of_data(rows):
    """x, y and z, `[kinds, rows, 1]`: weak and strong relations, tails and ties."""
    rng = np.random.default_rng(rows)
    z, u, v = rng.normal(size=(3, rows))
    tail, flat = rng.standard_t(1, size=rows), rng.uniform(size=rows)
    far = z + 6 * rng.integers(0, 3, size=rows)
    kinds = [
        (z + u, np.sin(z) + v, z),
        (z + u, z + v + 0.3 * u, z),
        (z + 1e-3 * u, z**2 + 1e-3 * v, z),
        (z, v, z),
        (u, z**2, z),
        (u, u, z),
        (u + z, z, u + 0.1 * v),
        (tail + u, tail + v, tail),
        (tail, v, u),
        (u, tail, v),
        (flat + u, flat**2 + v, flat),
        (far + u, np.cos(far) + v, far),
        (np.round(z + u), np.round(z + v), np.round(z)),
        (np.sign(u), np.sign(v + 0.2 * u), np.round(2 * z) / 2),
    ]
    return (np.stack(held)[..., None] for held in zip(*kinds, strict=True))


@pytest.mark.parametrize("rows", [100, 130, 205, 450, 1201])
def test_exact_form_is_the_definition(rows):
    sets = [a[: 14 if rows < 1000 else 4] for a in kinds_of_data(rows)]
    want = [by_definition(*held) for held in zip(*sets, strict=True)]
    found = metrics.kci_conditional(*sets)
    np.testing.assert_allclose(found.p, want, atol=1e-6)


def test_exact_form_solves_where_a_factor_leaves_something(monkeypatch):
    monkeypatch.setattr(kernels, "RANK", 5)
    sets = [a[:2] for a in kinds_of_data(131)]
    want = [by_definition(*held) for held in zip(*sets, strict=True)]
    np.testing.assert_allclose(metrics.kci_conditional(*sets).p, want, atol=1e-6)


@pytest.mark.parametrize("columns", [(1, 3), (2, 1), (2, 2)])
def test_exact_form_of_several_columns_is_the_definition(columns):
    of_y, of_z = columns
    z, u, v = RNG.normal(size=(3, 4, 150, 3))
    x, y = z[..., :1] + u[..., :2], z[..., :of_y] + v[..., :of_y] + 0.2 * u[..., :1]
    sets = x, y, z[..., :of_z]
    want = [by_definition(*held) for held in zip(*sets, strict=True)]
    np.testing.assert_allclose(metrics.kci_conditional(*sets).p, want, atol=1e-6)


@pytest.mark.parametrize(("most", "leaves"), [(46, False), (6, True)])
def test_a_factor_says_what_it_leaves(most, leaves):
    x = RNG.normal(size=(205, 1))
    with jax.enable_x64(True):
        f, rest = jax.jit(gram.factor, static_argnums=2)(x, 2.0, most)
        f, rest = np.asarray(f), float(rest)
        k = np.asarray(gram.centred(gram.gram(x, 2.0)))
    left = np.linalg.eigvalsh(k - f @ f.T)
    assert (rest > gram.REST) == leaves
    assert left.min() > -1e-12
    assert left.max() <= rest + 1e-12


def test_cholesky_and_inverse_by_halves_are_those_of_numpy():
    x = np.sort(RNG.normal(size=210))
    a = np.exp(-((x[:, None] - x) ** 2)) + 1e-3 * np.eye(210)
    with jax.enable_x64(True):
        lower, inverse = jax.jit(positive.cholesky)(a)
        whole = np.asarray(jax.jit(positive.inverse)(a))
    np.testing.assert_allclose(lower, np.linalg.cholesky(a), atol=1e-11)
    product = np.asarray(inverse) @ np.asarray(lower)
    np.testing.assert_allclose(product, np.eye(210), atol=1e-9)
    np.testing.assert_allclose(whole @ a, np.eye(210), atol=1e-8)
    np.testing.assert_allclose(whole, whole.T, atol=1e-9)


def test_g_test_is_that_of_scipy():
    x, y, z = RNG.integers(0, 3, size=(3, 400))
    want = scipy.stats.chi2_contingency(
        np.histogram2d(x, y, bins=3)[0], correction=False, lambda_="log-likelihood"
    )
    found = metrics.g_test(x, y, levels=3)
    np.testing.assert_allclose(found.statistic, want.statistic, rtol=1e-6)
    np.testing.assert_allclose(found.p, want.pvalue, rtol=1e-5)
    given = metrics.g_test(x, y, z[:, None], levels=3)
    parts = [metrics.g_test(x[z == c], y[z == c], levels=3) for c in range(3)]
    total = sum(float(part.statistic) for part in parts)
    np.testing.assert_allclose(given.statistic, total, rtol=1e-5)
    np.testing.assert_allclose(given.p, scipy.stats.chi2.sf(total, 12), rtol=1e-4)


@pytest.mark.parametrize("df", [1, 2, 3, 8, 64])
def test_chi_square_tail_is_that_of_scipy(df):
    from jidcl.metrics.independence import _chi_square_tail

    at = np.array([0.0, 0.5, 3.0, 40.0, 200.0])
    with jax.enable_x64(True):
        found = _chi_square_tail(jax.numpy.asarray(at), df)
    np.testing.assert_allclose(found, scipy.stats.chi2.sf(at, df), rtol=1e-10)


def test_fisher_z_is_the_correlation_of_residuals():
    x, y, z = RNG.normal(size=(3, 50, 2))
    x, y = x[:, :1] + z[:, :1], y[:, :1] + z[:, 1:]
    both = np.column_stack([np.ones(50), z])
    rests = [v - both @ np.linalg.lstsq(both, v, rcond=None)[0] for v in (x, y)]
    r = np.corrcoef(rests[0][:, 0], rests[1][:, 0])[0, 1]
    want = np.sqrt(50 - 2 - 3) * np.arctanh(r)
    np.testing.assert_allclose(metrics.fisher_z(x, y, z).statistic, want, rtol=1e-5)


def test_kci_is_that_of_causal_learn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cit = pytest.importorskip("causallearn.utils.cit")
        for rows in (100, 250):
            z, u, v = RNG.normal(size=(3, rows, 1))
            x, y = z + u, np.sin(z) + v + 0.2 * u
            peer = cit.CIT(np.concatenate([x, y, z], 1), "kci")
            given, alone = peer(0, 1, [2]), peer(0, 1)
            for form, within in (("truncated", 1e-6), ("fourier", 1e-3)):
                found = metrics.kci_conditional(x, y, z, form=form)
                np.testing.assert_allclose(found.p, given, atol=within)
            found = metrics.kci_unconditional(x, y)
            np.testing.assert_allclose(found.p, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.kci_unconditional(X[0, :5], Y[0, :5]), "at least 6 samples"),
        (lambda: metrics.fisher_z(X[0, :4], Y[0, :4], Z[0, :4]), "at least 5 samples"),
        (
            lambda: metrics.fisher_z(X[0, :5], Y[0, :5], RNG.normal(size=(5, 2))),
            "at least 6 samples",
        ),
        (lambda: metrics.hsic(X[0], 0 * Y[0]), "y must vary, .* column 0 is constant"),
        (lambda: metrics.hsic(X[0], Y[0] * np.nan), "y must be finite"),
        (lambda: metrics.hsic(X[0], Y[0, 1:]), "y must have the samples of x"),
        (lambda: metrics.hsic(X[0, :, 0], Y[0]), "x must have shape"),
        (
            lambda: metrics.kci_conditional(
                X[0], Y[0], np.concatenate([Y[0], Z[0]], 1), form="fourier"
            ),
            "z must have one column for form 'fourier', got 2",
        ),
        (
            lambda: metrics.g_test(np.array([0, 2]), np.array([0, 1])),
            r"x must be in \[0, 2\) for 2 levels",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_traced_test_needs_float64():
    with pytest.raises(TypeError, match="jax.enable_x64"):
        jax.jit(metrics.hsic)(np.float32(X[0]), np.float32(Y[0]))


def test_fishers_z_takes_arrays_of_either_width_and_refuses_what_is_none():
    rng = np.random.default_rng(0)
    x, y, z = (rng.normal(size=(30, k)) for k in (1, 1, 2))
    want = metrics.fisher_z(x, y, z)
    mixed = metrics.fisher_z(np.float32(x), y, np.float32(z))
    np.testing.assert_allclose(mixed.statistic, want.statistic, rtol=1e-5)
    for wrong, message in ((0.5, "z must be an array"), ("text", "z must be an array")):
        with pytest.raises(TypeError, match=message):
            metrics.fisher_z(x, y, wrong)
    with pytest.raises(ValueError, match=r"z must have shape \[..., samples, columns"):
        metrics.fisher_z(x, y, np.float32(0.5))
