"""Linear read-outs against NumPy and scikit-learn; scale, collapse and tied maps."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from budget import one_program
from jidcl import metrics
from reference import recovery

linear_map = one_program(metrics.linear_map)
r2 = one_program(metrics.r2)
row_collapse = one_program(metrics.row_collapse)
scale_error = one_program(metrics.scale_error)
tied_kappa = one_program(metrics.tied_kappa)


@pytest.fixture
def pair(rng):
    y = rng.normal(size=(41, 4)) * [1, 30, 0.1, 2] + [0, 5, 1, -1]
    return y, y @ rng.normal(size=(4, 3)) + rng.normal(size=(41, 3)) + 2


@pytest.mark.parametrize("intercept", [True, False])
def test_map_and_r2_equal_scikit_learn(x64, pair, intercept):
    y, z = pair
    fit = LinearRegression(fit_intercept=intercept).fit(y[:20], z[:20])
    got = linear_map(y, z, intercept=intercept, split=True)
    np.testing.assert_allclose(got.weights, fit.coef_.T, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(got.shift, fit.intercept_ + np.zeros(3), atol=1e-9)
    score = r2(z, y, split=True, intercept=intercept)
    np.testing.assert_allclose(score.mean, fit.score(y[20:], z[20:]), rtol=1e-9)


def test_without_an_intercept_a_shift_is_missed(rng):
    z = rng.normal(size=(50, 2)).astype(np.float32)
    assert r2(z + 3, z, split=True).mean > 0.999
    assert r2(z + 3, z, split=True, intercept=False).mean < 0


def test_a_rotated_and_scaled_representation_has_its_scale(rng):
    z = rng.normal(size=(50, 3)).astype(np.float32)
    q = recovery.haar(rng, 3).astype(np.float32)
    exact = scale_error(10 * z @ q, z, 10.0)
    np.testing.assert_allclose(exact.singular_values, [0.1] * 3, rtol=1e-4)
    assert exact.mean < 1e-5
    off = scale_error(8 * z @ q, z, 10.0)
    np.testing.assert_allclose((off.mean, off.relative), (0.025, 0.25), rtol=1e-3)
    with pytest.raises(ValueError, match="scale must be > 0, got 0"):
        scale_error(z, z, 0.0)


def test_collapse_is_zero_for_equal_rows_and_one_for_unrelated_ones(rng):
    means = rng.normal(size=(4, 3)).astype(np.float32)
    rows = means[np.arange(14) % 4]
    equal = row_collapse(rows, 4)
    assert equal.ratio < 1e-10
    np.testing.assert_allclose(equal.means, means, rtol=1e-6)
    noise = row_collapse(rng.normal(size=(4000, 3)).astype(np.float32), 4)
    assert 0.99 < noise.ratio < 1
    shifted = row_collapse(rows + 100, 4)
    np.testing.assert_allclose(shifted.total, equal.total, rtol=1e-3)
    with pytest.raises(ValueError, match="batch >= 4"):
        row_collapse(rows[:3], 4)


def test_tied_maps_give_the_concentration(rng):
    z, v = (rng.normal(size=(n, 3)).astype(np.float32) for n in (60, 20))
    m, psi = rng.normal(size=(3, 3)), rng.normal(size=3)
    w = 7 * v @ np.linalg.inv(m) + psi  # kappa M^{-T} v + psi, as rows
    h = z @ m.T + 1
    arrays = [a.astype(np.float32) for a in (z, h, v, w)]
    tied = tied_kappa(*arrays)
    np.testing.assert_allclose(tied.kappa, 7, rtol=1e-3)
    assert tied.deviation < 1e-3
    np.testing.assert_allclose(tied_kappa(*arrays, beta=0.5).kappa, 3.5, rtol=1e-3)
    arrays[3] = rng.permuted(w, axis=0).astype(np.float32)
    assert tied_kappa(*arrays).deviation > 0.1
