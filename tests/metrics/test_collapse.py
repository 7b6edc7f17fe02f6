import jax
import jax.numpy as jnp
import numpy as np
import pytest

from budget import one_program
from jidcl import metrics

effective_rank = one_program(metrics.effective_rank)
feature_variance = one_program(metrics.feature_variance)
spread = one_program(metrics.spread)


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_effective_rank_equals_numpy_at_any_scale(rng, scale):
    y = rng.normal(size=(50, 4)) * [1, 2, 0.1, 0.5] + 3
    values = np.linalg.svd(y - y.mean(0), compute_uv=False)
    share = values / values.sum()
    want = np.exp(-(share * np.log(share)).sum())
    got = effective_rank(jnp.asarray(scale * y, jnp.float32))
    np.testing.assert_allclose(got, want, rtol=1e-3)


def test_effective_rank_counts_directions():
    line = np.outer(np.linspace(-1, 1, 20), [1.0, -2.0, 0.5]).astype(np.float32)
    np.testing.assert_allclose(effective_rank(line), 1, atol=1e-3)
    assert effective_rank(np.full((20, 3), 0.3, np.float32)) == 0
    corners = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    np.testing.assert_allclose(effective_rank(corners), 3, rtol=1e-5)


def test_effective_rank_maps_over_seeds():
    y = jax.random.normal(jax.random.key(0), (3, 30, 2))
    many = jax.jit(jax.vmap(effective_rank))(y)
    np.testing.assert_allclose(many, [effective_rank(part) for part in y], rtol=1e-5)


def test_spread_tells_collapse_from_uniform_directions():
    # 4 sd of the mean of 3 standard deviations of 4000 rows: false alarm below 1e-4.
    y = jax.random.normal(jax.random.key(1), (4000, 3))
    np.testing.assert_allclose(spread(y), 3**-0.5, atol=0.02)
    rays = np.outer(np.linspace(1, 5, 30), [0.6, 0.8, 0.0])
    np.testing.assert_allclose(spread(rays.astype(np.float32)), 0, atol=1e-6)


def test_variances_are_those_of_numpy(rng):
    y = rng.normal(size=(9, 2)).astype(np.float32)
    np.testing.assert_allclose(feature_variance(jnp.asarray(y)), y.var(0), rtol=1e-5)
    with pytest.raises(ValueError, match=r"y must have shape \[batch >= 2"):
        spread(jnp.ones((1, 2)))
