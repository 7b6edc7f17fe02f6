"""Pairs of a stationary process: moments, and the two ways to draw them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from jidcl.latents import (
    GeneralisedNormal,
    Laplace,
    Normal,
    ou_step,
    sample_ou_pair,
    unit_variance,
    unit_variance_scale,
)
from jidcl.latents.families import noise

SHAPE = (50_000, 2)


@pytest.mark.parametrize("alpha", [0.125, 0.5, 1.0, 2.0, 8.0, 32.0])
def test_unit_variance_and_shape(alpha):
    scale = (special.gamma(1 / alpha) / special.gamma(3 / alpha)) ** 0.5
    assert unit_variance_scale(alpha) == pytest.approx(scale, rel=1e-12)
    z = np.asarray(noise(jax.random.key(0), unit_variance(alpha), SHAPE, jnp.float32))
    law = stats.gennorm(alpha, scale=scale)
    # Kolmogorov-Smirnov at a false-alarm rate of 1e-4.
    assert stats.kstest(z.ravel()[:20_000], law.cdf).pvalue > 1e-4
    kind = {1.0: Laplace, 2.0: Normal}.get(alpha, GeneralisedNormal)
    assert isinstance(unit_variance(alpha), kind)


@pytest.mark.parametrize(("pair", "power"), [("direct", 1), ("common_anchor", 2)])
def test_correlation_of_the_views(pair, power):
    # Standard error of a correlation of 1e5 pairs: below 0.003; five of them.
    rho, shape = 0.8, SHAPE
    draw = sample_ou_pair(
        jax.random.key(1), Normal(1.0), rho=rho, shape=shape, pair=pair
    )
    z, z_pos = (np.asarray(v).ravel() for v in draw)
    assert np.corrcoef(z, z_pos)[0, 1] == pytest.approx(rho**power, abs=0.01)
    for view in (z, z_pos):
        assert stats.kstest(view[:20_000], "norm").pvalue > 1e-4


def test_ends_of_rho():
    z, normal = jnp.ones((3, 2)), Normal(1.0)
    same = ou_step(jax.random.key(0), normal, z, 1.0)
    np.testing.assert_array_equal(same, z)
    fresh = ou_step(jax.random.key(0), normal, z, 0.0)
    want = noise(jax.random.key(0), normal, (3, 2), jnp.float32)
    np.testing.assert_allclose(fresh, want)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rho": 1.5}, r"rho must be in \[0, 1\], got 1.5"),
        ({"pair": "directly"}, "did you mean 'direct'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        sample_ou_pair(
            jax.random.key(0), Normal(1.0), **{"rho": 0.5, "shape": (2, 2), **settings}
        )


def test_bad_shape():
    with pytest.raises(ValueError, match="alpha must be > 0"):
        unit_variance(0.0)
