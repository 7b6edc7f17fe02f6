"""Norms and the vMF normaliser against SciPy, closed forms and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.numerics import (
    STREAMS,
    log_mean_exp_dot,
    log_sphere_area,
    safe_norm,
    safe_root,
    stream_key,
    unit,
)
from reference import vmf as oracle

KAPPAS = [0.0, 1e-6, 1e-2, 1.0, 5.0, 30.0, 100.0, 1e3, 1e4, 1e5]


def everything(n, kappa):
    """(log mu - kappa, A) and their derivatives, at each entry of a vector kappa.

    Not jitted: 40 unrolled steps compile slowly, and eager operations are shared by
    all n.
    """

    def both(k):
        return jnp.stack(log_mean_exp_dot(n, k))

    return jax.vmap(both)(kappa), jax.vmap(jax.jacfwd(both))(kappa)


def allowed(kappa):
    """Error of log mu in float64."""
    return np.minimum(1e-11 * np.maximum(1, kappa), 2e-10)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 100, 1000])
def test_log_mean_exp_dot_in_float64(n, x64):
    kappa = np.array(KAPPAS)
    (log_mu, cosine), (slope, bend) = (
        np.asarray(value).T for value in everything(n, jnp.array(kappa))
    )
    # SciPy's scaled Bessel function, where it does not underflow (small kappa).
    want = np.array([oracle.log_mean_exp(n, k) for k in kappa])
    want_cosine = np.array([oracle.mean_cosine(n, k) for k in kappa])
    kept = np.isfinite(want)
    assert kept.sum() >= 3
    assert np.all((np.abs(log_mu - want) < allowed(kappa))[kept])
    np.testing.assert_allclose(cosine, want_cosine, rtol=1e-11)
    # The power series, everywhere else.
    small = kappa <= 300
    want = np.array([oracle.log_mean_exp_series(n, k) for k in kappa[small]])
    assert np.all(np.abs(log_mu[small] - want) < allowed(kappa[small]))
    # Derivatives: A - 1, and A' = 1 - A^2 - (n - 1) A / kappa (1 / n at 0).
    np.testing.assert_allclose(slope, cosine - 1, atol=1e-11)
    assert bend[0] == pytest.approx(1 / n, rel=1e-12)
    k, a = kappa[kappa >= 1e-2], cosine[kappa >= 1e-2]
    want = 1 - a**2 - (n - 1) * a / k
    np.testing.assert_allclose(bend[kappa >= 1e-2], want, atol=3e-10)


def test_log_mean_exp_dot_closed_forms_on_s2(x64):
    kappa = np.array([0.1, 1.0, 10.0, 100.0, 1e4])
    (log_mu, cosine), _ = (
        np.asarray(value).T for value in everything(3, jnp.array(kappa))
    )
    want = np.log(-np.expm1(-2 * kappa) / (2 * kappa))
    assert np.all(np.abs(log_mu - want) < allowed(kappa))
    np.testing.assert_allclose(cosine, 1 / np.tanh(kappa) - 1 / kappa, rtol=1e-11)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_log_mean_exp_dot_in_float32(n):
    kappa = np.array(KAPPAS)
    (log_mu, cosine), (slope, _) = (
        np.asarray(value).T for value in everything(n, jnp.array(kappa, jnp.float32))
    )
    assert log_mu.dtype == cosine.dtype == np.float32
    assert abs(log_mu[0]) < 1e-8
    assert cosine[0] == 0
    assert slope[0] == -1
    want = [oracle.log_mean_exp(n, k) for k in kappa]
    want_cosine = [oracle.mean_cosine(n, k) for k in kappa]
    kept = np.isfinite(want)
    np.testing.assert_allclose(log_mu[kept], np.array(want)[kept], 3e-6, 1e-4)
    np.testing.assert_allclose(cosine, want_cosine, rtol=2e-4)


def test_log_mean_exp_dot_under_transforms():
    kappa = jnp.array(KAPPAS[:6]).reshape(2, 3)
    eager = log_mean_exp_dot(10, kappa)
    jitted = jax.jit(lambda k: log_mean_exp_dot(10, k))(kappa)
    mapped = jax.vmap(jax.vmap(lambda k: log_mean_exp_dot(10, k)))(kappa)
    for a, b, c in zip(eager, jitted, mapped, strict=True):
        assert a.shape == b.shape == c.shape == (2, 3)
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(c, a, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "area"), [(2, 2 * np.pi), (3, 4 * np.pi), (4, 2 * np.pi**2)]
)
def test_log_sphere_area(n, area):
    assert log_sphere_area(n) == pytest.approx(np.log(area), abs=1e-14)


def test_log_sphere_area_recurrence():
    # |S^(n+1)| = |S^(n-1)| 2 pi / n, from any n: here up to a thousand.
    for n in (2, 9, 500, 998):
        step = log_sphere_area(n + 2) - log_sphere_area(n)
        assert step == pytest.approx(np.log(2 * np.pi / n), abs=1e-10)


def test_safe_norm_values_and_shapes(rng):
    x = rng.normal(size=(4, 3, 5)).astype(np.float32)
    want = np.linalg.norm(x.astype(np.float64), axis=-1)
    np.testing.assert_allclose(safe_norm(jnp.array(x)), want, rtol=1e-6)
    assert safe_norm(jnp.array(x), keepdims=True).shape == (4, 3, 1)


def test_safe_norm_gradient():
    at_zero = jax.grad(safe_norm)(jnp.zeros(3))
    np.testing.assert_array_equal(at_zero, np.zeros(3))
    at_point = jax.grad(safe_norm)(jnp.array([3.0, 0.0, -4.0]))
    np.testing.assert_allclose(at_point, [0.6, 0.0, -0.8], rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 2.5])
def test_safe_root(p):
    x = jnp.array([0.0, 1e-6, 1.0, 32.0])
    np.testing.assert_allclose(
        safe_root(x, p), np.asarray(x, np.float64) ** (1 / p), rtol=1e-6
    )
    slope = jax.vmap(jax.grad(lambda v: safe_root(v, p)))(x)
    assert slope[0] == 0
    want = np.asarray(x[1:], np.float64) ** (1 / p - 1) / p
    np.testing.assert_allclose(slope[1:], want, rtol=1e-5)


def test_unit():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0], [1e-18, 0.0]])
    np.testing.assert_allclose(unit(x), [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    jac = jax.jit(jax.vmap(jax.jacobian(unit)))(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    want = (np.eye(2) - np.outer([0.6, 0.8], [0.6, 0.8])) / 5
    np.testing.assert_allclose(jac[0], want, rtol=1e-5)
    assert np.isfinite(jac[1]).all()


def test_stream_key_is_fold_in_of_its_index():
    data = [
        jax.random.key_data(stream_key(jax.random.key(5), name)).tolist()
        for name in STREAMS
    ]
    want = [
        jax.random.key_data(jax.random.fold_in(jax.random.key(5), i)).tolist()
        for i in range(len(STREAMS))
    ]
    assert data == want
    assert len({tuple(d) for d in data}) == len(STREAMS)


def test_stream_order_is_frozen():
    # The index is part of every run's randomness: new purposes go at the end.
    assert STREAMS[:6] == ("freeze", "init", "data", "loss", "eval", "null")


def test_stream_key_refuses_an_unknown_purpose():
    with pytest.raises(ValueError, match=r"^purpose must be .* 'dat' .*'data'\?\)$"):
        stream_key(jax.random.key(0), "dat")
