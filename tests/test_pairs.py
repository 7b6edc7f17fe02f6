"""Pairs: the marginal of the anchors and the conditional of the positives.

Seven statistical assertions, each with a false-alarm rate below 1e-4 on a fresh key.
"""

import functools

import jax
import numpy as np
import pytest
from scipy import stats

from jidcl.latents import Box, Laplace, Real, Sphere, Uniform, VonMisesFisher
from jidcl.pairs import sample_pair
from reference import pnorm, vmf
from reference.statistics import assert_distribution, assert_uncorrelated


@functools.cache
def pairs(space, marginal, conditional):
    draw = jax.jit(
        lambda key: sample_pair(key, space, marginal, conditional, batch=20_000)
    )
    return tuple(np.asarray(z, np.float64) for z in draw(jax.random.key(0)))


def test_pairs_on_the_sphere():
    z, z_pos = pairs(Sphere(3), Uniform(), VonMisesFisher(6.0))
    assert_distribution(z[:, 0], stats.uniform(-1, 2).cdf)
    angle = vmf.angle(z, z_pos)
    assert_distribution(angle, vmf.angle_cdf(3, 6.0))
    assert_uncorrelated(angle, z[:, 0])  # the conditional knows no direction


def test_pairs_on_the_box():
    z, z_pos = pairs(Box(1), Uniform(), Laplace(0.3))
    assert_distribution(z, stats.uniform.cdf)
    # Every positive is a quantile of the law around its own anchor: a uniform sample.
    quantile = pnorm.truncated_cdf("laplace", 0.3, z, 0.0, 1.0)(z_pos)
    assert_distribution(quantile, stats.uniform.cdf)
    assert_uncorrelated(quantile, z)


def test_positives_are_not_distributed_like_anchors():
    # Truncation moves them off the faces: swapping the two changes the problem.
    _, z_pos = pairs(Box(1), Uniform(), Laplace(0.3))
    result = stats.kstest(z_pos.ravel(), stats.uniform.cdf)
    assert result.pvalue < 1e-6  # a distance of 0.02 in 20,000 draws


def test_pair_is_a_function_of_its_key():
    def draw(seed):
        key = jax.random.key(seed)
        return sample_pair(key, Real(2), Laplace(1.0), Laplace(0.1), batch=2)

    first, again, other = draw(0), draw(0), draw(1)
    assert first.z.shape == first.z_pos.shape == (2, 2)
    np.testing.assert_array_equal(first.z, again.z)
    np.testing.assert_array_equal(first.z_pos, again.z_pos)
    assert not np.any(first.z == other.z)
    # Noise of anchors and positives comes from different keys.
    assert not np.allclose(first.z_pos - first.z, 0.1 * first.z, rtol=1e-3)


def test_vmap_over_keys_is_a_loop():
    @jax.jit
    def draw(key):
        return sample_pair(key, Box(2), Uniform(), Laplace(0.2), batch=3)

    mapped = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(3), 4))
    for i, key in enumerate(jax.random.split(jax.random.key(3), 4)):
        one = draw(key)
        np.testing.assert_allclose(mapped.z[i], one.z, rtol=1e-6)
        np.testing.assert_allclose(mapped.z_pos[i], one.z_pos, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 0, -3])
def test_batch_needs_a_negative(batch):
    with pytest.raises(ValueError, match=f"^batch must be >= 2, got {batch}$"):
        sample_pair(
            jax.random.key(0), Sphere(3), Uniform(), VonMisesFisher(1.0), batch=batch
        )


def test_densities_that_the_space_does_not_carry():
    with pytest.raises(ValueError, match="must not be uniform on R"):
        sample_pair(jax.random.key(0), Real(2), Uniform(), Laplace(1.0), batch=4)
    with pytest.raises(ValueError, match=r"density on Box.* got VonMisesFisher"):
        sample_pair(jax.random.key(0), Box(2), Uniform(), VonMisesFisher(1.0), batch=4)
