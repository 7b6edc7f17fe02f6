"""Flows: additive coupling layers and affine autoregressive layers.

Coupling layers preserve volume and are invertible in closed form. Their parameters are
`{"kernels": [layers, n/2, n/2]}`. Halves p and q of z take turns, `q += tanh(p W_i)`
for even i and `p += tanh(q W_i)` for odd i (Klindt, LeCun and Balestriero 2026,
published code).

In an autoregressive layer each entry of z is scaled and shifted by numbers that depend
on those before it. The Jacobian is triangular.
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


def init_autoregressive(key: jax.Array, n: int, *, layers: int = 2) -> Params:
    """Weights of affine autoregressive layers, normal over the square root of n.

    Args:
        key: a typed key.
        n: width of z and x, >= 1.
        layers: number of layers, >= 1.

    Returns:
        `{"scales": [layers, n, n], "shifts": [layers, n, n]}`, of which the entries
        above the diagonal count.

    Raises:
        ValueError: if n or layers < 1.

    Example:
        >>> init_autoregressive(jax.random.key(0), 4)["scales"].shape
        (2, 4, 4)

    Source: Reizinger et al. 2022, appendix on experiments (an affine autoregressive
        flow); the layers are of this library.
    """
    check_key("key", key)
    check_count("n", n)
    check_count("layers", layers)
    drawn = jax.random.normal(key, (2, layers, n, n)) / n**0.5
    return {"scales": drawn[0], "shifts": drawn[1]}


def autoregress(params: Params, z: jax.Array) -> jax.Array:
    """x = g(z): `z_i exp(tanh((z S)_i)) + (tanh(2 z) T)_i` in each layer.

    S and T are strictly triangular: entry i sees those before it. The order of the
    entries is turned round after each layer.

    Args:
        params: of `init_autoregressive`.
        z: `[..., n]`.

    Returns:
        `[..., n]`.

    Example:
        >>> g = init_autoregressive(jax.random.key(0), 4)
        >>> z = jnp.ones((3, 4))
        >>> bool(jnp.allclose(unautoregress(g, autoregress(g, z)), z, atol=1e-5))
        True

    Source: this library.
    """
    kernels = _triangular(params)
    check_features("z", z, kernels[0].shape[-1])
    for scale, shift in zip(*kernels, strict=True):
        log_scale, moved = _conditioned(scale, shift, z)
        z = (z * jnp.exp(log_scale) + moved)[..., ::-1]
    return z


def unautoregress(params: Params, x: jax.Array) -> jax.Array:
    """z = g^{-1}(x) of `autoregress`, one entry after another.

    Args:
        params: of `init_autoregressive`.
        x: `[..., n]`.

    Returns:
        `[..., n]`.

    Example:
        >>> g = init_autoregressive(jax.random.key(0), 4)
        >>> unautoregress(g, jnp.ones((3, 4))).shape
        (3, 4)

    Source: this library.
    """
    scales, shifts = _triangular(params)
    n = scales.shape[-1]
    check_features("x", x, n)
    for scale, shift in zip(scales[::-1], shifts[::-1], strict=True):
        x = x[..., ::-1]
        z = jnp.zeros_like(x)
        for _ in range(n):  # each time one more entry is exact
            log_scale, moved = _conditioned(scale, shift, z)
            z = (x - moved) * jnp.exp(-log_scale)
        x = z
    return x


def _triangular(params: Params) -> tuple[jax.Array, jax.Array]:
    """S and T of an autoregressive flow, `[layers, n, n]` each."""
    names = ("scales", "shifts")
    if not isinstance(params, Mapping) or not set(names) <= set(params):
        raise TypeError(f"params must be a dict with {list(names)}, got {params!r}")
    scales, shifts = (params[name] for name in names)
    check_features("scales of params", scales)
    layers, n = scales.shape[0], scales.shape[-1]
    for name in names:
        check_shape(f"{name} of params", params[name], (layers, n, n))
    return jnp.triu(scales, 1), jnp.triu(shifts, 1)


def _conditioned(scale, shift, z) -> tuple[jax.Array, jax.Array]:
    """Log-scale and shift of every entry, from those before it."""
    return jnp.tanh(z @ scale), jnp.tanh(2 * z) @ shift


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
