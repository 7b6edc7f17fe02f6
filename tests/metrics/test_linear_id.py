"""Linear identifiability scores against NumPy, their invariances, and Theorem 3."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from budget import one_program
from jidcl import metrics
from jidcl.metrics import plane_grid

linear_id = one_program(metrics.linear_id)
total_r2 = one_program(metrics.total_r2)

RHO = 0.9


def world(rng, rows=4000, n=2):
    z = rng.normal(size=(rows, n))
    z_pos = RHO * z + np.sqrt(1 - RHO**2) * rng.normal(size=(rows, n))
    return z, z_pos


def test_total_r2_equals_sklearn_weighted_by_variance(x64, rng):
    a, b = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)) * [1, 10]
    fitted = LinearRegression().fit(a, b).predict(a)
    want = r2_score(b, fitted, multioutput="variance_weighted")
    np.testing.assert_allclose(total_r2(a, b), want)


def test_orthogonal_maps_are_perfect_and_shifts_do_not_matter(x64, rng):
    z, z_pos = world(rng)
    q = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    scores = linear_id(z, z @ q, z_pos @ q, RHO)
    np.testing.assert_allclose([scores.r2_zh, scores.r2_hz], [1, 1])
    np.testing.assert_allclose(scores.orth_err, 0, atol=1e-12)
    np.testing.assert_allclose(scores.procrustes_mse, 0, atol=1e-20)
    moved = linear_id(z, z @ q + 3, z_pos @ q + 3, RHO)
    np.testing.assert_allclose(moved.r2_hz, 1)
    np.testing.assert_allclose(moved.epsilon, scores.epsilon)
    np.testing.assert_allclose(moved.l_h, scores.l_h)
    assert float(moved.procrustes_mse) > 10  # the map of the theorem is not centred


def test_procrustes_and_stretched_maps(x64, rng):
    z, z_pos = world(rng)
    m = np.diag([2.0, 0.5])
    scores = linear_id(z, z @ m, z_pos @ m, RHO)
    np.testing.assert_allclose(scores.orth_err, np.hypot(3, 0.75))
    np.testing.assert_allclose(scores.orth_err_normalized, np.hypot(3, 0.75) / 2**0.5)
    q, _ = orthogonal_procrustes(np.asarray(z), np.asarray(z @ m))
    want = ((np.asarray(z @ m) - np.asarray(z) @ q) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(scores.procrustes_mse, want)


def test_the_bound_holds_and_is_what_theorem_3_says(x64, rng):
    z, z_pos = world(rng, rows=20_000)
    # The bound of a sample is noisy: D to about 0.02, far below what these maps miss.
    for strength in (0.5, 1.0):

        def h(z, strength=strength):
            return z + strength * np.sin(2 * z[:, ::-1])

        s = linear_id(z, h(z), h(z_pos), RHO)
        cov = np.cov(np.asarray(h(z)).T)
        epsilon = np.linalg.norm(cov - np.eye(2))
        l_h = ((np.asarray(h(z_pos)) - np.asarray(h(z))) ** 2).sum(axis=1).mean()
        delta = max(l_h - 2 * (1 - RHO) * np.trace(cov), 0)
        d = delta / (2 * RHO * (1 - RHO))
        np.testing.assert_allclose(s.delta, delta)
        np.testing.assert_allclose(s.approx_bound, d + (epsilon + d) ** 2)
        assert 0 < float(s.procrustes_mse) < float(s.approx_bound)


def test_grid_covers_the_square():
    grid = np.asarray(plane_grid(3, 2.0))
    assert grid.shape == (9, 2)
    assert {tuple(row) for row in grid} == {
        (a, b) for a in (-2, 0, 2) for b in (-2, 0, 2)
    }


def test_runs_under_jit_and_refuses_other_shapes(rng):
    z = jnp.asarray(rng.normal(size=(20, 2)), jnp.float32)
    scores = jax.jit(metrics.linear_id)(z, z, z, 0.5)
    assert float(scores.r2_hz) == pytest.approx(1)
    with pytest.raises(ValueError, match="h must have the shape of z"):
        linear_id(z, z[:, :1], z, 0.5)
