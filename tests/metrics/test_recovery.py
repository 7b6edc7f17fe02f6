"""Recovery scores against scikit-learn and SciPy, their nulls and their edges."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, spatial, stats
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from jidcl.metrics import (
    assign,
    bootstrap_interval,
    correlation_matrix,
    fold_rows,
    held_out_r2,
    isometry_error,
    linear_pearson,
    mcc,
    procrustes_error,
    r2,
    read_back,
    rotation_null,
    shuffled,
)
from reference import recovery as oracle

N = 3
r2_of = jax.jit(r2, static_argnames="split")
mcc_of = jax.jit(mcc, static_argnames="spearman")
SCORES = {
    "r2": lambda z, y: r2(z, y).mean,
    "mcc": lambda z, y: mcc(z, y).mean,
    "procrustes": procrustes_error,
}


@pytest.fixture
def z(rng):
    return rng.normal(size=(60, N)) * [1, 4, 0.3] + [0, 10, -2]


@pytest.fixture
def y(rng, z):
    """A noisy, wider, shifted read-out of z."""
    return z @ rng.normal(size=(N, 5)) + rng.normal(size=(60, 5)) + 3


def rotate(rng, z):
    return z @ oracle.haar(rng, z.shape[1])


# --- R2 ----------------------------------------------------------------------------


@pytest.mark.many_programs(reason="float64 arrays of NumPy, outside of a program")
def test_r2_equals_scikit_learn(z, y):
    fit = LinearRegression().fit(y, z)
    want = r2_score(z, fit.predict(y), multioutput="raw_values")
    got = r2(z, y)  # float64 NumPy arrays, without 64-bit types
    assert got.mean.dtype == jnp.float32
    np.testing.assert_allclose(got.per_dim, want, rtol=1e-4)
    np.testing.assert_allclose(got.mean, want.mean(), rtol=1e-4)
    adjusted = 1 - (1 - want.mean()) * 59 / (60 - N - 1)
    np.testing.assert_allclose(got.adjusted, adjusted, rtol=1e-4)


def test_the_read_back_is_scikit_learns_prediction(z, y):
    want = LinearRegression().fit(y, z).predict(y)
    got = jax.jit(read_back)(z, y)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_split_r2_fits_on_the_first_half_and_scores_on_the_second(x64, z, y):
    z, y = z[:59], y[:59]  # the odd row is scored
    fit = LinearRegression().fit(y[:29], z[:29])
    want = r2_score(z[29:], fit.predict(y[29:]), multioutput="raw_values")
    got = r2_of(z, y, split=True)
    assert got.mean.dtype == jnp.float64
    np.testing.assert_allclose(got.per_dim, want, rtol=1e-9)
    adjusted = 1 - (1 - want.mean()) * 29 / (30 - N - 1)
    np.testing.assert_allclose(got.adjusted, adjusted, rtol=1e-9)


def test_an_affine_map_scores_one(rng, z):
    y = z @ rng.normal(size=(N, N)) + 100
    assert float(r2_of(z, y).mean) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("split", [False, True])
def test_r2_is_blind_to_the_scale_of_each_output(rng, split):
    # As many samples as a final score has: a tolerance that grows with them would
    # drop the small outputs.
    z = rng.normal(size=(4096, N))
    for scales in ([1, 1e-4, 1e-6], [1e20, 1, 1e-15]):
        got = r2_of(z, z * scales, split=split)
        np.testing.assert_allclose(got.per_dim, np.ones(N), atol=1e-3)


def test_r2_of_an_ill_conditioned_linear_map_is_one(rng):
    z = rng.normal(size=(4096, 2))
    y = z @ [[1, 1], [1, 1.001]]  # condition number 4000
    np.testing.assert_allclose(r2_of(z, y).per_dim, np.ones(2), atol=1e-3)


def test_rank_deficient_and_collapsed_representations(rng, z):
    for split in (False, True):
        double = np.concatenate([z[:, :2], z[:, :2], np.full((60, 1), 0.1)], axis=1)
        got = r2_of(z, double, split=split)
        np.testing.assert_allclose(got.per_dim[:2], [1, 1], atol=1e-4)
        assert float(got.per_dim[2]) < 0.3
        for constant in (0.0, 0.1, 1e6):
            collapsed = r2_of(z, np.full((60, 5), constant), split=split)
            assert np.all(np.asarray(collapsed.per_dim) < 1e-3)
            assert np.all(np.isfinite(collapsed.per_dim))


def test_a_constant_latent_scores_zero(z):
    z[:, 1] = 0.1
    np.testing.assert_allclose(r2_of(z, z).per_dim, [1, 0, 1], atol=1e-5)


def test_noise_scores_about_outputs_over_samples(rng):
    # Of one Gaussian latent and m independent outputs R2 is Beta(m/2, (s-1-m)/2):
    # 200 latents, Kolmogorov-Smirnov at a false-alarm rate of 1e-4.
    samples, m = 80, 6
    z, y = rng.normal(size=(samples, 200)), rng.normal(size=(samples, m))
    law = stats.beta(m / 2, (samples - 1 - m) / 2)
    assert stats.kstest(np.asarray(r2_of(z, y).per_dim), law.cdf).pvalue > 1e-4


def test_shuffled_rows_score_outputs_over_samples(z, y):
    # Over random pairings E[R2] = m / (s - 1) exactly; five standard errors of 100
    # shuffles are a false-alarm rate of 6e-7.
    keys = jax.random.split(jax.random.key(1), 100)
    y = jnp.asarray(y, jnp.float32)
    run = jax.jit(jax.vmap(lambda key: r2(jnp.asarray(z), shuffled(key, y)).mean))
    scores = np.asarray(run(keys))
    assert abs(scores.mean() - 5 / 59) < 5 * scores.std() / np.sqrt(100)


def test_shuffled_keeps_rows_whole(y):
    got = np.asarray(shuffled(jax.random.key(0), y.astype(np.float32)))
    assert not np.array_equal(got, y.astype(np.float32))
    order = np.argsort(got[:, 0])
    np.testing.assert_array_equal(got[order], y.astype(np.float32)[np.argsort(y[:, 0])])


@pytest.mark.parametrize(("samples", "split"), [(3, False), (6, True)])
def test_too_few_samples_warn(rng, samples, split):
    z = rng.normal(size=(samples, 2)).astype(np.float32)
    y = rng.normal(size=(samples, 3)).astype(np.float32)
    with pytest.warns(UserWarning, match=f"{samples} samples of 3 dimensions"):
        jax.eval_shape(partial(r2, split=split), z, y)


def test_linear_pearson_equals_scipy(z, y):
    predicted = LinearRegression().fit(y, z).predict(y)
    want = np.mean([abs(stats.pearsonr(z[:, j], predicted[:, j])[0]) for j in range(N)])
    np.testing.assert_allclose(jax.jit(linear_pearson)(z, y), want, rtol=1e-5)


# --- MCC ---------------------------------------------------------------------------


@pytest.mark.parametrize("spearman", [False, True])
def test_mcc_equals_scipy(z, y, spearman):
    got = mcc(z, y, spearman=spearman)
    matrix = oracle.correlations(z, y, spearman)
    mean, columns = oracle.mcc(z, y, spearman)
    np.testing.assert_allclose(got.matrix, matrix, atol=2e-6)
    np.testing.assert_array_equal(got.columns, columns)
    np.testing.assert_allclose(got.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(
        got.per_dim, np.abs(matrix)[np.arange(N), columns], rtol=1e-5
    )


def test_spearman_averages_tied_ranks(rng):
    z = rng.integers(0, 4, size=(40, 2)).astype(float)
    y = rng.integers(0, 3, size=(40, 2)) + z[:, ::-1]
    got = jax.jit(partial(correlation_matrix, spearman=True))(z, y)
    np.testing.assert_allclose(got, oracle.correlations(z, y, True), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
def test_permuted_flipped_rescaled_and_shifted_latents_score_one(z, scale):
    y = (z[:, [2, 0, 1]] * [-3, 0.01, 50]) * scale
    got = mcc_of(z, y)
    np.testing.assert_array_equal(got.columns, [1, 2, 0])
    np.testing.assert_allclose(got.per_dim, np.ones(N), rtol=1e-5)
    signs = np.sign(np.asarray(got.matrix)[np.arange(N), np.asarray(got.columns)])
    np.testing.assert_array_equal(signs, [1, 1, -1])


def test_monotone_maps_score_one_with_spearman_only(z):
    y = np.exp(z / z.std(axis=0))[:, ::-1]
    assert float(mcc_of(z, y, spearman=True).mean) == pytest.approx(1, abs=1e-6)
    assert float(mcc_of(z, y).mean) < 0.97


def test_rotated_latents_have_r2_one_and_a_lower_mcc(rng):
    z = rng.uniform(size=(60, N))
    y = rotate(rng, z)
    assert float(r2_of(z, y).mean) == pytest.approx(1, abs=1e-5)
    assert float(mcc_of(z, y).mean) < 0.95


def test_constant_columns_correlate_zero(z):
    y = z.copy()
    y[:, 1] = 0.1
    for spearman in (False, True):
        got = mcc_of(z, y, spearman=spearman)
        np.testing.assert_array_equal(got.matrix[:, 1], np.zeros(N))
        assert float(got.mean) == pytest.approx(2 / 3, abs=0.1)
    np.testing.assert_array_equal(mcc_of(np.full((60, N), 0.1), z).mean, 0)


def test_a_single_latent(z):
    got = mcc_of(z[:, :1], -z[:, :1])
    assert float(got.mean) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (1, 3)])
def test_assignment_equals_scipy(rng, shape):
    run = jax.jit(assign)
    for _ in range(10):
        score = rng.normal(size=shape).astype(np.float32)
        rows, columns = optimize.linear_sum_assignment(-score)
        got, total = run(score)
        np.testing.assert_array_equal(got, columns)
        np.testing.assert_allclose(total, score[rows, columns].sum(), rtol=1e-5)


# --- Procrustes, isometry ----------------------------------------------------------


def test_procrustes_equals_scipy(rng, z):
    y = rotate(rng, z) + rng.normal(size=z.shape)
    want = spatial.procrustes(z, y)[2]
    np.testing.assert_allclose(jax.jit(procrustes_error)(z, y), want, rtol=1e-4)


def test_procrustes_of_a_similarity_map_is_zero_and_of_nothing_one(rng, z):
    run = jax.jit(procrustes_error)
    reflected = rotate(rng, z) * [-1, 1, 1] * 7 + 2
    assert 0 <= float(run(z, reflected)) < 1e-5
    assert float(run(z, np.full_like(z, 0.1))) == pytest.approx(1, abs=1e-5)
    # A shear is not a similarity.
    assert float(run(z, z @ [[1, 2, 0], [0, 1, 0], [0, 0, 1]])) > 0.1


def test_isometry_error(rng):
    a, b = rng.normal(size=(2, 30))
    np.testing.assert_allclose(isometry_error(a, b), np.abs(a - b).mean(), rtol=1e-6)


# --- nulls and intervals -----------------------------------------------------------


def test_rotation_null_has_the_distribution_of_a_numpy_loop(rng):
    # Two-sample Kolmogorov-Smirnov, 200 draws each: false-alarm rate 1e-3.
    z = rng.uniform(size=(100, N))
    null = jax.jit(lambda key: rotation_null(key, z, draws=200))
    got = np.asarray(null(jax.random.key(0)))
    want = oracle.rotation_null(rng, z, 200)
    assert got.shape == (200,)
    assert stats.ks_2samp(got, want).pvalue > 1e-3


def test_bootstrap_covers_the_truth_at_its_level():
    # 200 data sets of 50 samples, mean 0. The percentile interval of a mean covers
    # 0.90 nominally, 0.89 at this size; binomial bounds at a false-alarm rate of 1e-4.
    level, sets = 0.9, 200

    def one(key):
        k_data, k_boot = jax.random.split(key)
        z = jax.random.normal(k_data, (50, 1))
        low, high = bootstrap_interval(
            k_boot, lambda z, y: jnp.mean(z), z, z, level=level, resamples=150
        )
        return low, high, jnp.std(z)

    with jax.debug_key_reuse(False):  # it mistakes a mapped loop over keys for reuse
        keys = jax.random.split(jax.random.key(3), sets)
        low, high, spread = map(np.asarray, jax.jit(jax.vmap(one))(keys))
    covered = int(np.sum((low < 0) & (high > 0)))
    inside = stats.binom.interval(1 - 1e-4, sets, 0.89)
    assert inside[0] <= covered <= inside[1]
    width = 2 * stats.norm.ppf(0.5 + level / 2) * spread / np.sqrt(50)
    assert np.mean((high - low) / width) == pytest.approx(1, abs=0.04)


def test_bootstrap_resamples_pairs(z):
    low, high = bootstrap_interval(
        jax.random.key(0),
        lambda z, y: jnp.max(jnp.abs(z - y)),
        z,
        z.copy(),
        resamples=5,
    )
    assert float(low) == float(high) == 0


# --- transforms and inputs ---------------------------------------------------------


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_vmap_equals_loop(rng, score):
    z = rng.normal(size=(2, 30, N)).astype(np.float32)
    y = (z + rng.normal(size=z.shape)).astype(np.float32)
    mapped = jax.jit(jax.vmap(score))(z, y)
    looped = [jax.jit(score)(a, b) for a, b in zip(z, y, strict=True)]
    np.testing.assert_allclose(mapped, looped, rtol=1e-5)


def test_mixed_dtypes(z, y):
    a, b = z.astype(np.float16), y.astype(np.float32)
    want = LinearRegression().fit(b, a).score(b, a)
    assert float(r2_of(a, b).mean) == pytest.approx(want, rel=1e-3)


ONES = np.ones((4, 2), np.float32)


@pytest.mark.parametrize(
    "score",
    [r2, mcc, linear_pearson, procrustes_error, correlation_matrix, read_back],
)
def test_bad_arrays(score):
    with pytest.raises(ValueError, match="same number of rows, got 4 and 3"):
        score(ONES, ONES[:3])
    with pytest.raises(ValueError, match=r"z must have shape.*\[4\]"):
        score(ONES[:, 0], ONES)
    with pytest.raises(ValueError, match=r"y must have shape \[batch >= 2.*\[1, 2\]"):
        score(ONES, ONES[:1])
    with pytest.raises(TypeError, match="y must have a floating-point dtype.*int32"):
        score(ONES, ONES.astype(np.int32))
    with pytest.raises(TypeError, match="z must be an array, got list"):
        score([[1.0, 2.0]], ONES)


def test_other_bad_shapes():
    with pytest.raises(ValueError, match=r"y must have shape \[4, 2\], got \[4, 1\]"):
        procrustes_error(ONES, ONES[:, :1])


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5])
def test_bootstrap_settings(level):
    run = partial(bootstrap_interval, jax.random.key(0), procrustes_error, ONES, ONES)
    with pytest.raises(ValueError, match=rf"level must be in \(0, 1\), got {level}"):
        run(level=level)
    with pytest.raises(ValueError, match="resamples must be >= 2, got 1"):
        run(resamples=1)


def test_nan_is_never_hidden(z, y):
    bad_z, bad_y = z.copy(), np.concatenate([y, y[:, :1]], axis=1)
    bad_z[3, 0] = bad_y[3, -1] = np.nan
    for spearman in (False, True):
        assert np.isnan(mcc_of(bad_z, y, spearman=spearman).mean)
        assert np.isnan(mcc_of(z, bad_y, spearman=spearman).mean)
    got = r2_of(bad_z, y).per_dim
    np.testing.assert_array_equal(np.isnan(got), [True, False, False])
    assert np.isnan(r2_of(z, bad_y).mean)
    assert np.isnan(procrustes_error(bad_z, z))


def test_float64_arrays_far_from_the_origin_keep_their_digits(z):
    for y in (z + 1e6, z * 1e-50, z * [1, 1e-25, 1e25], (z + 1e5).astype(np.float32)):
        np.testing.assert_allclose(r2(z, y).per_dim, np.ones(N), atol=1e-3)
        np.testing.assert_allclose(mcc(z, y).per_dim, np.ones(N), atol=1e-3)
    assert float(procrustes_error(z, 3 * z + 1e6)) < 1e-5
    np.testing.assert_allclose(read_back(z, z + 1e6), z, atol=1e-4)


def test_a_latent_that_is_constant_where_it_is_scored_scores_zero(z):
    z = z.copy()
    z[30:, 1] = 0.1
    got = r2_of(z, z, split=True).per_dim
    np.testing.assert_allclose(got, [1, 0, 1], atol=1e-4)


# --- On the host ---------------------------------------------------------------------

HOST = {
    "r2": lambda z, y, xp: r2(z, y, xp=xp),
    "r2, split": lambda z, y, xp: r2(z, y, split=True, xp=xp),
    "r2, no intercept": lambda z, y, xp: r2(z, y, intercept=False, xp=xp),
    "mcc": lambda z, y, xp: mcc(z, y, xp=xp),
    "mcc, spearman": lambda z, y, xp: mcc(z, y, spearman=True, xp=xp),
    "procrustes": lambda z, y, xp: procrustes_error(z, y[:, : z.shape[1]], xp=xp),
    "read_back": lambda z, y, xp: read_back(z, y, xp=xp),
}


@pytest.mark.parametrize("name", HOST)
def test_scores_on_the_host_are_those_of_the_device(z, y, x64, name):
    host = HOST[name](z, y, np)
    own = jax.jit(lambda z, y: HOST[name](z, y, jnp))(z, y)
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(host), strict=True):
        assert not isinstance(b, jax.Array)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", HOST)
def test_nothing_is_compiled_on_the_host_and_nan_is_never_a_number(z, y, name):
    z = z.copy()
    z[3, 1] = np.nan
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(jnp, "asarray", None)
        found = HOST[name](z, y, np)
    assert np.isnan(np.asarray(jax.tree.leaves(found)[0])).any()


def test_constant_columns_are_constant_on_the_host_to_their_own_rounding(rng, z):
    noise = rng.normal(size=60).astype(np.float32) * np.float32(1e-9)
    flat = np.stack([np.float32(0.3) + noise, np.full(60, 0.3, np.float32)], axis=1)
    z = z[:, :2].astype(np.float32)
    both = jax.jit(lambda z, y: (r2(z, y).mean, mcc(z, y).mean))
    for linear, single in (
        both(z, flat),
        (r2(z, flat, xp=np).mean, mcc(z, flat, xp=np).mean),
    ):
        assert float(linear) == pytest.approx(0, abs=1e-6)
        assert float(single) == 0


def test_rotations_on_the_host_have_the_law_of_those_on_the_device(rng, z):
    z = z.astype(np.float32)
    for blocks in (None, [[0, 2], [1]]):
        host = rotation_null(rng, z, draws=2000, blocks=blocks, xp=np)
        own = jax.jit(
            lambda key, blocks=blocks: rotation_null(key, z, draws=2000, blocks=blocks)
        )(jax.random.key(0))
        # The same seeds in every run; fresh ones would fail one time in 10,000.
        assert stats.ks_2samp(host, np.asarray(own)).pvalue > 1e-4


def test_shuffled_rows_on_the_host_are_the_same_rows(rng, y):
    mixed = shuffled(rng, y, xp=np)
    assert not np.array_equal(mixed, y)
    np.testing.assert_array_equal(np.sort(mixed[:, 0]), np.sort(y[:, 0]))
    assert {tuple(row) for row in mixed} == {tuple(row) for row in y}


@pytest.mark.parametrize("xp", [np, jnp])
def test_an_infinite_score_wins_and_one_below_all_is_avoided(xp):
    big = np.array([[0.1, 0.9, 0.2], [0.8, np.inf, 0.1]], np.float32)
    columns, total = assign(xp.asarray(big), xp=xp)
    np.testing.assert_array_equal(columns, [2, 1])
    assert total == np.inf
    low = np.array([[-np.inf, -5.0], [3.0, 4.0]], np.float32)
    columns, total = assign(xp.asarray(low), xp=xp)
    np.testing.assert_array_equal(columns, [1, 0])
    assert total == -2


@pytest.mark.many_programs(reason="a program for each fold")
def test_held_out_r2_is_that_of_a_cross_validated_regression(rng):
    z, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 7))
    z[:, 0] += y[:, 2]
    folds = fold_rows(60, 4, seed=2)
    of_row = np.empty(60, int)
    for i, rows in enumerate(folds):
        of_row[rows] = i
    read = cross_val_predict(LinearRegression(), y, z, cv=PredefinedSplit(of_row))
    want = 1 - np.sum((z - read) ** 2, axis=0) / (60 * z.var(axis=0))
    np.testing.assert_allclose(held_out_r2(z, y, folds, xp=np), want)
    single = (jnp.asarray(v, jnp.float32) for v in (z, y))
    traced = jax.jit(lambda z, y: held_out_r2(z, y, folds))(*single)
    np.testing.assert_allclose(traced, want, atol=1e-4)
    y[3, 1] = np.nan
    assert np.isnan(held_out_r2(z, y, folds, xp=np)).all()
    with pytest.raises(ValueError, match="folds"):
        held_out_r2(z, y, folds[1:], xp=np)
