"""Additive coupling layers: invertible in closed form, volume-preserving.

Parameters are `{"kernels": [layers, n/2, n/2]}`. Halves p and q of z take turns,
`q += tanh(p W_i)` for even i and `p += tanh(q W_i)` for odd i.

Source: Klindt, LeCun and Balestriero 2026, published code.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_count,
    check_features,
    check_key,
    check_scalar,
    check_shape,
)
from jidcl.compiled import compiled
from jidcl.types import Params


def init_coupling(
    key: jax.Array, n: int, *, layers: int = 4, scale: float = 2.0
) -> Params:
    """Weights W_i = scale times a Haar-distributed orthogonal matrix.

    Args:
        key: a typed key.
        n: width of z and x, even.
        layers: number of coupling layers.
        scale: factor; 2 as published.

    Returns:
        `{"kernels": [layers, n/2, n/2]}`.

    Raises:
        ValueError: on an odd n, or n or layers out of range.

    Example:
        >>> init_coupling(jax.random.key(0), 4)["kernels"].shape
        (4, 2, 2)

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    check_key("key", key)
    check_even(n)
    check_count("layers", layers)
    check_scalar("scale", scale)
    return {"kernels": scale * _haar(key, n, layers)}


@compiled
def _haar(key: jax.Array, n: int, layers: int) -> jax.Array:
    # One factorisation at a time, also under vmap over seeds.
    @jax.custom_batching.sequential_vmap
    def draw(key):
        raw = jax.random.normal(key, (layers, n // 2, n // 2))
        return jax.lax.map(lambda a: jnp.linalg.qr(a)[0], raw)

    return draw(key)


def couple(params: Params, z: jax.Array) -> jax.Array:
    """x = g(z), `[..., n] -> [..., n]`.

    Args:
        params: of `init_coupling`.
        z: `[..., n]`.

    Returns:
        `[..., n]`.

    Example:
        >>> g = init_coupling(jax.random.key(0), 4)
        >>> z = jnp.ones((3, 4))
        >>> bool(jnp.allclose(uncouple(g, couple(g, z)), z, atol=1e-5))
        True

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    return _layers(params, "z", z, 1)


def uncouple(params: Params, x: jax.Array) -> jax.Array:
    """z = g^{-1}(x): the layers undone in reverse order.

    Args:
        params: of `init_coupling`.
        x: `[..., n]`.

    Returns:
        `[..., n]`.

    Example:
        >>> g = init_coupling(jax.random.key(0), 4)
        >>> uncouple(g, jnp.ones((3, 4))).shape
        (3, 4)

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    return _layers(params, "x", x, -1)


def check_even(n: int) -> None:
    """Raise `ValueError` unless n is even and >= 2."""
    check_count("n", n, 2)
    if n % 2:
        raise ValueError(f"n must be even for coupling layers, got {n}")


def _layers(params: Params, name: str, x: jax.Array, sign: int) -> jax.Array:
    if not isinstance(params, Mapping) or "kernels" not in params:
        raise TypeError(f"params must be a dict with 'kernels', got {params!r}")
    kernels = params["kernels"]
    check_features("kernels of params", kernels)
    layers, half = kernels.shape[0], kernels.shape[-1]
    check_shape("kernels of params", kernels, (layers, half, half))
    check_features(name, x, 2 * half)
    p, q = jnp.split(x, 2, axis=-1)
    for i in range(kernels.shape[0])[::sign]:
        if i % 2:
            p = p + sign * jnp.tanh(q @ kernels[i])
        else:
            q = q + sign * jnp.tanh(p @ kernels[i])
    return jnp.concatenate([p, q], axis=-1)
