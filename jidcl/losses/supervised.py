"""Supervised losses: the ceiling that a contrastive encoder is compared with."""

import jax
import jax.numpy as jnp

from jidcl.checks import check_choice, check_rows, check_same_shape
from jidcl.numerics import power_of_two


def mse(y: jax.Array, z: jax.Array) -> jax.Array:
    """Mean over rows and dimensions of (y - z)^2.

    Args:
        y: predictions, `[batch, n]`.
        z: targets, `[batch, n]`.

    Returns:
        A scalar.

    Example:
        >>> float(mse(jnp.zeros((4, 2)), jnp.full((4, 2), 2.0)))
        4.0

    Source: the definition.
    """
    check_rows("y", y)
    check_same_shape("y", y, "z", z)
    return jnp.mean((y - z) ** 2)


def r2_loss(
    y: jax.Array, z: jax.Array, *, reduction: str = "mean", negative: bool = False
) -> jax.Array:
    """1 - mean((z - y)^2) / var(z) for each dimension, population variance.

    Args:
        y: predictions, `[batch, n]`.
        z: targets, `[batch, n]`.
        reduction: over dimensions, `"mean"`, `"sum"` or `"none"`.
        negative: flip the sign, so that minimising it maximises R2.

    Returns:
        A scalar, or `[n]` for `"none"`.

    Example:
        >>> z = jnp.array([[0.0], [2.0]])
        >>> float(r2_loss(z, z)), float(r2_loss(jnp.ones((2, 1)), z))
        (1.0, 0.0)

    Source: Zimmermann et al. 2021, published code.
    """
    check_rows("y", y, 2)
    check_same_shape("y", y, "z", z)
    check_choice("reduction", reduction, ("mean", "none", "sum"))
    apart, power = z - y, power_of_two(z - jnp.mean(z, axis=0, keepdims=True), axis=0)
    missed = jnp.mean((apart * (1 / power)) ** 2, axis=0)
    value = 1 - missed / jnp.var(z * (1 / power), axis=0)
    value = -value if negative else value
    return value if reduction == "none" else getattr(jnp, reduction)(value)
