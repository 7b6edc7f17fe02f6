"""Closed-form mixings of the plane with exact inverses: spiral, banana, sinusoid.

Source: Klindt, LeCun and Balestriero 2026, published code.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import check_features
from jidcl.numerics import safe_norm


class PlaneMap(NamedTuple):
    """A mixing of the plane and its inverse.

    Attributes:
        mix: g, `[..., 2] -> [..., 2]`.
        unmix: g^{-1}, `[..., 2] -> [..., 2]`.

    Example:
        >>> PLANE_MAPS["banana"].mix(jnp.array([2.0, 1.0]))
        Array([2., 5.], dtype=float32)

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """

    mix: Callable[[jax.Array], jax.Array]
    unmix: Callable[[jax.Array], jax.Array]


def spiral(z: jax.Array) -> jax.Array:
    """R(pi ||z||) z: a turn, counter-clockwise, that grows with the distance."""
    return _turned(z, jnp.pi)


def unspiral(x: jax.Array) -> jax.Array:
    """Inverse of `spiral`: lengths are kept, so the same turn back."""
    return _turned(x, -jnp.pi)


def banana(z: jax.Array) -> jax.Array:
    """(z_1, z_2 + z_1^2)."""
    check_features("z", z, 2)
    return jnp.stack([z[..., 0], z[..., 1] + z[..., 0] ** 2], axis=-1)


def unbanana(x: jax.Array) -> jax.Array:
    """Inverse of `banana`."""
    check_features("x", x, 2)
    return jnp.stack([x[..., 0], x[..., 1] - x[..., 0] ** 2], axis=-1)


def sinusoid(z: jax.Array) -> jax.Array:
    """(z_1 + sin(1.5 z_2), z_2)."""
    check_features("z", z, 2)
    return jnp.stack([z[..., 0] + jnp.sin(1.5 * z[..., 1]), z[..., 1]], axis=-1)


def unsinusoid(x: jax.Array) -> jax.Array:
    """Inverse of `sinusoid`."""
    check_features("x", x, 2)
    return jnp.stack([x[..., 0] - jnp.sin(1.5 * x[..., 1]), x[..., 1]], axis=-1)


PLANE_MAPS = {
    "spiral": PlaneMap(spiral, unspiral),
    "banana": PlaneMap(banana, unbanana),
    "sinusoid": PlaneMap(sinusoid, unsinusoid),
}


def _turned(z: jax.Array, rate: float) -> jax.Array:
    check_features("z", z, 2)
    angle = rate * safe_norm(z)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = z[..., 0], z[..., 1]
    return jnp.stack([cos * a - sin * b, sin * a + cos * b], axis=-1)
