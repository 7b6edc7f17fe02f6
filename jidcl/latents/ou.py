"""Pairs of a stationary autoregression, z' = rho z + sqrt(1 - rho^2) eta.

Source: Klindt, LeCun and Balestriero 2026.
"""

import math

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_features,
    check_finite,
    check_key,
    check_lengths,
    check_memory,
    check_scalar,
    check_type,
    check_unit_interval,
)
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
    """sqrt(Gamma(1/alpha) / Gamma(3/alpha)): variance 1 for shape alpha > 0.

    Args:
        alpha: shape > 0.

    Returns:
        The scale at which the variance is 1.

    Raises:
        ValueError: on alpha <= 0, or so small that the scale would be 0.

    Example:
        >>> round(unit_variance_scale(1.0), 4)  # Laplace: variance 2 scale^2
        0.7071

    Source: moments of the generalised normal law.
    """
    check_above("alpha", alpha, 0)
    check_finite("alpha", alpha)
    check_scalar("alpha", alpha)
    scale = math.exp((math.lgamma(1 / alpha) - math.lgamma(3 / alpha)) / 2)
    if not scale > 0:
        raise ValueError(f"alpha is too small for a scale > 0, got {alpha!r}")
    return scale


def unit_variance(alpha: float) -> PNormDensity:
    """The generalised normal of shape alpha with variance 1 (Normal(1) at 2).

    Args:
        alpha: shape > 0; 1 is Laplace, 2 normal.

    Returns:
        The density.

    Example:
        >>> unit_variance(2.0)
        Normal(scale=1.0)

    Source: Klindt, LeCun and Balestriero 2026.
    """
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

    Example:
        >>> z = jnp.ones((4, 2))
        >>> bool((ou_step(jax.random.key(0), Normal(1.0), z, 1.0) == z).all())
        True

    Source: Klindt, LeCun and Balestriero 2026.
    """
    check_key("key", key)
    check_type("density", density, PNormDensity)
    check_features("z", z)
    check_unit_interval("rho", rho)
    check_scalar("rho", rho)
    rho = jnp.asarray(rho, z.dtype)
    fresh = noise(key, density, z.shape, z.dtype)
    return rho * z + jnp.sqrt((1 - rho) * (1 + rho)) * fresh


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

    Example:
        >>> key, law = jax.random.key(0), Normal(1.0)
        >>> z, z_pos = sample_ou_pair(key, law, rho=0.9, shape=(4, 2))
        >>> z.shape, z_pos.shape
        ((4, 2), (4, 2))

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    check_key("key", key)
    check_type("density", density, PNormDensity)
    check_unit_interval("rho", rho)
    check_scalar("rho", rho)
    check_lengths("shape", shape)
    check_choice("pair", pair, OU_PAIRS)
    check_memory("shape", shape, 3 * math.prod(shape))
    k_z, k_one, k_two = jax.random.split(key, 3)
    z = noise(k_z, density, shape, jnp.float32)
    z_pos = ou_step(k_two, density, z, rho)
    return Pair(z if pair == "direct" else ou_step(k_one, density, z, rho), z_pos)
