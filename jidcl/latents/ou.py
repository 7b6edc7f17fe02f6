"""Pairs of a stationary autoregression, z' = rho z + sqrt(1 - rho^2) eta.

Source: Klindt, LeCun and Balestriero 2026.
"""

import math

import jax
import jax.numpy as jnp

from jidcl.checks import check_above, check_choice, check_unit_interval
from jidcl.latents.families import (
    Density,
    GeneralisedNormal,
    Laplace,
    Normal,
    PNormDensity,
    noise,
)
from jidcl.types import Pair

OU_PAIRS = ("common_anchor", "direct")


def unit_variance_scale(alpha: float) -> float:
    """sqrt(Gamma(1/alpha) / Gamma(3/alpha)): variance 1 for shape alpha > 0."""
    check_above("alpha", alpha, 0)
    return math.exp((math.lgamma(1 / alpha) - math.lgamma(3 / alpha)) / 2)


def unit_variance(alpha: float) -> PNormDensity:
    """The generalised normal of shape alpha with variance 1 (Normal(1) at 2)."""
    scale = unit_variance_scale(alpha)
    if alpha in (1, 2):
        return Laplace(scale) if alpha == 1 else Normal(1.0)
    return GeneralisedNormal(scale, alpha)


def ou_step(
    key: jax.Array, density: Density, z: jax.Array, rho: jax.Array | float
) -> jax.Array:
    """z' = rho z + sqrt(1 - rho^2) eta, eta from the density.

    Args:
        key: a typed key.
        density: of the noise, variance 1.
        z: `[..., n]`.
        rho: correlation in [0, 1].

    Returns:
        `[..., n]`. It has the law of z for the normal density only.
    """
    check_unit_interval("rho", rho)
    rho = jnp.asarray(rho, z.dtype)
    fresh = noise(key, density, z.shape, z.dtype)
    return rho * z + jnp.sqrt(1 - rho**2) * fresh


def sample_ou_pair(
    key: jax.Array,
    density: Density,
    *,
    rho: jax.Array | float,
    shape: tuple[int, ...],
    pair: str = "common_anchor",
) -> Pair:
    """Two views of a stationary process.

    `"direct"`: (z, ou_step(z)), correlation rho. `"common_anchor"`: two independent
    steps from one anchor, correlation rho^2 (what the published code trains on).

    Args:
        key: a typed key.
        density: of the anchors and of the noise, variance 1.
        rho: correlation of one step, in [0, 1].
        shape: shape of the draw, `(..., n)`.
        pair: `"common_anchor"` or `"direct"`.

    Returns:
        Two arrays of that shape.

    Raises:
        ValueError: on rho outside of [0, 1] or an unknown pair.
    """
    check_choice("pair", pair, OU_PAIRS)
    k_z, k_one, k_two = jax.random.split(key, 3)
    z = noise(k_z, density, shape, jnp.float32)
    z_pos = ou_step(k_two, density, z, rho)
    return Pair(z if pair == "direct" else ou_step(k_one, density, z, rho), z_pos)
