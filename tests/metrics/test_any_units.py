"""Every score in any units: offsets of 1e8, scales of 1e20 and 1e-20, and NaN."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import metrics
from jidcl.metrics import (
    block_r2,
    bootstrap_interval,
    chatterjee_xi,
    correlation_matrix,
    decode_factors,
    determination,
    effective_rank,
    feature_variance,
    fisher_z,
    fit_classes,
    fit_kernel_ridge,
    fit_linear,
    hsic,
    isometry_error,
    kci_conditional,
    kci_unconditional,
    lambda_recovery,
    linear_decode_pearson,
    linear_id,
    linear_map,
    linear_pearson,
    linear_share,
    mcc,
    predict,
    procrustes_error,
    procrustes_mse,
    r2,
    read_back,
    rotation_null,
    row_collapse,
    scale_error,
    spread,
    t_test,
    tied_kappa,
    total_r2,
)
from jidcl.metrics.columns import moments

ROWS, N, M = 64, 2, 3


def drawn():
    """z, a noisy read-out y of it, and predictions of z."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=(ROWS, N)) * [1.0, 3.0]
    y = z @ rng.normal(size=(N, M)) + 0.3 * rng.normal(size=(ROWS, M))
    return z, y, z + 0.2 * rng.normal(size=z.shape)


def kernel_ridge(z, y):
    return determination(z, predict(fit_kernel_ridge(z, y, gammas=(0.1, 1.0)), y))


# Scores that no shift and no scale of z or y changes.
SCORES = {
    "r2": lambda z, y, z_hat: r2(z, y),
    "r2_split": lambda z, y, z_hat: r2(z, y, split=True).per_dim,
    "mcc": lambda z, y, z_hat: mcc(z, y)[:2],
    "spearman": lambda z, y, z_hat: mcc(z, y, spearman=True).matrix,
    "correlation_matrix": lambda z, y, z_hat: correlation_matrix(z, y),
    "linear_pearson": lambda z, y, z_hat: linear_pearson(z, y),
    "procrustes_error": lambda z, y, z_hat: procrustes_error(z, y[:, :N]),
    "total_r2": lambda z, y, z_hat: total_r2(z, y),
    "determination": lambda z, y, z_hat: determination(z, z_hat),
    "effective_rank": lambda z, y, z_hat: effective_rank(y),
    "row_collapse": lambda z, y, z_hat: row_collapse(y, 4).ratio,
    "decode_factors": lambda z, y, z_hat: decode_factors(y, z, y, z, intercept=True),
    "block_r2": lambda z, y, z_hat: block_r2(
        z, y, np.array([3.0, 1.0, 2.0], np.float32), [[1], [0]]
    ),
    "kernel_ridge": lambda z, y, z_hat: kernel_ridge(z, y),
    "fit_linear": lambda z, y, z_hat: determination(z, fit_linear(z, y)(y)),
    "read_back": lambda z, y, z_hat: determination(z, read_back(z, y)),
    "rotation_null": lambda z, y, z_hat: rotation_null(jax.random.key(0), z, draws=5),
    "bootstrap_interval": lambda z, y, z_hat: bootstrap_interval(
        jax.random.key(0), lambda z, y: r2(z, y).mean, z, y, resamples=3
    ),
    "t_test": lambda z, y, z_hat: t_test(z[:, 0] - z[0, 0], 0.0).statistic,
    "linear_id": lambda z, y, z_hat: linear_id(z, y[:, :N], y[:, :N], 0.5)[:2],
}
HOST_ONLY = ("fit_linear", "read_back", "kernel_ridge")  # in the units of z: no digits
one = {name: jax.jit(score) for name, score in SCORES.items() if name not in HOST_ONLY}
eager = pytest.mark.many_programs(
    reason="float64 arrays of NumPy, outside of a program"
)


def leaves(tree):
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]


def assert_close(got, want, rtol=2e-5, atol=2e-6):
    for a, b in zip(leaves(got), leaves(want), strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@eager
@pytest.mark.parametrize("name", SCORES)
def test_float64_arrays_of_any_offset_and_scale_score_the_same(name):
    z, y, z_hat = drawn()
    want = SCORES[name](z, y, z_hat)
    assert_close(SCORES[name](z + 1e8, y - 1e8, z_hat + 1e8), want)
    for size in (1e20, 1e-20):
        assert_close(SCORES[name](size * z, y / size, size * z_hat), want)


@pytest.mark.parametrize("name", one)
def test_float32_arrays_of_any_scale_score_the_same(name):
    z, y, z_hat = drawn()
    want = SCORES[name](z, y, z_hat) if name != "bootstrap_interval" else None
    narrow = [jnp.asarray(x, jnp.float32) for x in (z, y, z_hat)]
    want = one[name](*narrow) if want is None else want
    for size in (1e20, 1e-20):
        got = one[name](size * narrow[0], narrow[1] / size, size * narrow[2])
        assert_close(got, want, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("name", sorted(set(SCORES) - {"read_back", "fit_linear"}))
def test_nan_in_is_nan_out(name, place):
    arrays = [np.asarray(x, np.float32) for x in drawn()]
    of_z = {"determination", "rotation_null", "t_test"}
    of_y = {"effective_rank", "row_collapse"}
    if name in (of_y, of_z)[place]:
        return  # it does not look at that array
    arrays[place][7, 0] = np.nan
    score = one.get(name, SCORES[name])
    assert any(np.isnan(leaf).any() for leaf in leaves(score(*arrays)))
    wide = [x.astype(np.float64) for x in arrays]
    if name not in ("bootstrap_interval", "rotation_null"):
        assert any(np.isnan(leaf).any() for leaf in leaves(SCORES[name](*wide)))


@eager
def test_variances_of_far_float64_columns_are_those_of_numpy():
    _, y, _ = drawn()
    got = feature_variance(y + 1e8)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, y.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(feature_variance(1e15 * y), 1e30 * y.var(0), rtol=1e-6)


@eager
def test_directions_have_no_scale():
    _, y, _ = drawn()
    want = np.std(y / np.linalg.norm(y, axis=1, keepdims=True), axis=0).mean()
    for size in (1, 1e20, 1e-20):
        assert float(spread(size * y)) == pytest.approx(want, rel=1e-5)
        narrow = jnp.asarray(size * y, jnp.float32)
        assert float(spread(narrow)) == pytest.approx(want, rel=1e-5)


def without_intercept(y, t):
    """Correlation with the exact least-squares read-out, in float64."""
    target = (t - t.mean()) / t.std()
    read = y @ np.linalg.lstsq(y, target, rcond=None)[0]
    return np.corrcoef(t, read)[0, 1]


@eager
@pytest.mark.parametrize(("offset", "size"), [(1e8, 1), (0, 1e20), (0, 1e-20)])
def test_read_outs_without_intercept_are_those_of_least_squares(offset, size):
    z, y, _ = drawn()
    y, t = size * (y + offset), z + offset
    want = [without_intercept(y, t[:, k]) for k in range(N)]
    np.testing.assert_allclose(decode_factors(y, t, y, t), want, rtol=1e-4)
    for k in range(N):
        got = linear_decode_pearson(y, t[:, k], y, t[:, k])
        np.testing.assert_allclose([got.train, got.score], want[k], rtol=1e-4)
    if not offset:
        narrow = [jnp.asarray(x, jnp.float32) for x in (y, t[:, 0])]
        got = linear_decode_pearson(*narrow, *narrow)
        np.testing.assert_allclose(got.score, want[0], rtol=1e-4)


@eager
def test_fits_of_far_columns_predict_in_their_units():
    z, y, _ = drawn()
    far = y - 1e8
    fit = fit_kernel_ridge(z + 1e8, far, gammas=(0.1, 1.0))
    for got in (fit_linear(z + 1e8, far)(far), predict(fit, far)):
        assert got.dtype == np.float64
        # In float32 such numbers have steps of 8.
        assert np.abs(got - z - 1e8).max() < 3
    steps = np.arange(4.0)[:, None]
    np.testing.assert_allclose(linear_map(steps + 1e8, 2 * steps).weights, 2, rtol=1e-6)
    narrow = jnp.asarray(steps + 1000, jnp.float32)
    np.testing.assert_allclose(linear_map(narrow, 2 * narrow).weights, 2, rtol=1e-6)


@eager
def test_labels_are_those_of_centred_features():
    rng = np.random.default_rng(0)
    label = np.arange(40) % 2
    y = rng.normal(size=(40, 2)) + 2.0 * label[:, None]
    near, far = fit_classes(y, label, 2), fit_classes(y + 1e8, label, 2)
    np.testing.assert_array_equal(near(y), far(y + 1e8))
    assert np.mean(np.asarray(far(y + 1e8)) == label) > 0.8
    t = label.astype(float)
    scores = [
        float(metrics.balanced_logistic(y + shift, t, train=30).train)
        for shift in (0, 1e8)
    ]
    assert scores[0] == scores[1] > 0.8


@eager
def test_other_scores_of_far_or_large_arrays_are_those_of_float64():
    z, y, _ = drawn()
    rng = np.random.default_rng(1)
    q, _ = np.linalg.qr(rng.normal(size=(N, N)))
    far = z + 1e8
    assert float(procrustes_mse(far, far @ q)) < 1e-10
    s_z, s_y = far[:, 0], far[:, 0] + 0.5
    assert float(isometry_error(s_z, s_y)) == pytest.approx(0.5)
    # kappa = tr(M^T P) / n: maps of 1e25 and 1e-25, whose squares are no float32.
    large, small = 1e25 * z @ q, 7e-25 * z @ q
    found = tied_kappa(*(jnp.asarray(x, jnp.float32) for x in (z, large, z, small)))
    assert float(found.kappa) == pytest.approx(7, rel=1e-4)
    assert float(found.deviation) < 1e-3
    found = scale_error(jnp.asarray(1e20 * z, jnp.float32), jnp.asarray(z), 1e20)
    assert float(found.relative) < 1e-4
    share = linear_share(*(np.full((1, 1), x) for x in (1e8, 1e4, 1e20)))
    assert float(share[0]) == pytest.approx(0.5)
    lam = np.array([5.0, 25.0])
    found = lambda_recovery(1e30 * lam, 2e30 * lam, np.array([0, 1]))
    assert float(found.error) == pytest.approx(1)
    assert float(found.pearson) == pytest.approx(1)


# p-values of columns, and of a condition.
TESTS = {
    "xi": lambda z, y: chatterjee_xi(z[:, :1], y[:, :1]),
    "fisher_z": lambda z, y: fisher_z(z[:, :1], y[:, :1], y[:, 1:2]),
    "hsic": hsic,
    "kci_unconditional": kci_unconditional,
    "kci_conditional": lambda z, y: kci_conditional(z[:, :1], y[:, :1], z[:, 1:]),
}


@eager
@pytest.mark.parametrize("name", TESTS)
def test_p_values_of_columns_have_no_units(name):
    z, y, _ = drawn()
    want = TESTS[name](z, y)
    assert_close(TESTS[name](z + 1e8, y - 1e8), want)
    for size in (1e20, 1e-20):
        assert_close(TESTS[name](size * z, y / size), want)
    y[7, 0] = np.nan
    with pytest.raises(ValueError, match="NaN|finite"):
        TESTS[name](z, y)


def test_every_public_score_is_looked_at_here():
    """A new score of arrays comes with its units."""
    here = {name for name in metrics.__all__ if name in globals()}
    here |= {"balanced_logistic", "fit_affine", "assign"}
    others = {"KernelRidge", "LambdaRecovery", "LinearID"}  # results
    others |= {"KernelTest", "PValue"}
    others |= {"g_test", "normalised_shd"}  # of categories and edges
    others |= {"equal_blocks", "plane_grid", "shuffled"}  # they compute nothing
    others |= {  # of Jacobians, see test_jacobian
        "amari_distance",
        "c_ima_of_mean_jacobian",
        "column_norm_variance",
        "conformal_contrast",
        "global_c_ima",
        "jacobians",
        "local_c_ima",
    }
    others |= {  # see test_disentanglement, test_matching and cli/test_score
        *("PermutationTest", "Report", "Similarity", "compare", "dci_lasso"),
        *("dci_scores", "dci_trees", "fold_rows", "held_out_mcc", "info_e"),
        *("held_out_r2", "info_mc", "mi_knn", "mig", "modularity_compactness"),
        *("pcm_linear", "permutation_test", "rdc", "report", "tmex", "tmex_scores"),
    }
    others |= {"legacy_levels", "ordinal_levels"}  # they count, see test_decoding
    assert set(metrics.__all__) - here == others


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e8])
@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1.0, 1e20, 1e200])
def test_moments_of_the_host_are_exact_and_those_of_copies_equal(offset, scale, rng):
    x = (rng.normal(size=(333, 5)) + offset) * scale
    exact = [[Fraction(v) for v in column] for column in x.T.tolist()]
    means = [sum(column) / len(column) for column in exact]
    squares = [
        sum((v - mean) ** 2 for v in column) / len(column)
        for column, mean in zip(exact, means, strict=True)
    ]
    mean, std = moments(np.hstack([x, x, x]), np)
    error = (mean[0, :5] - [float(m) for m in means]) / scale
    assert np.abs(error).max() <= 1e-15 * max(offset, 1)
    unit = [math.sqrt(square / Fraction(scale) ** 2) for square in squares]
    np.testing.assert_allclose(std[0, :5] / scale, unit, rtol=1e-14)
    for found in (mean, std):
        assert (found[0, :5] == found[0, 5:10]).all()
        assert (found[0, :5] == found[0, 10:]).all()
