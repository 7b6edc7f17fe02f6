"""Log-density of ambient noise projected onto the sphere, integrated on the ray."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_at_least, is_number
from jidcl.latents.parameters import in_dtype

_PANELS, _ORDER, _DROP, _BISECTIONS = 16, 16, 40.0, 40
LEAST = 32  # times the rounding of 1: narrower noise falls between numbers near 1


def log_prob_projected(density: Any, z: jax.Array, mean: jax.Array) -> jax.Array:
    r"""log int_0^inf r^(n-1) prod_i q(r z_i - mean_i) dr for unit vectors z.

    q is one coordinate of a p-norm family. The integrand is log-concave in r, so it
    lives on one interval, found by bisection; composite Gauss-Legendre with breaks
    at the kinks r = mean_i / z_i integrates it.

    Args:
        density: `Laplace`, `Normal` or `GeneralisedNormal`.
        z: `[..., n]`, unit vectors.
        mean: `[..., n]`, centre of the noise in R^n.

    Returns:
        `[...]`, with respect to the surface measure; NaN where a traced length is below
        `LEAST` roundings.

    Raises:
        ValueError: on a concrete length below it.
    """
    least = LEAST * float(jnp.finfo(z.dtype).eps)
    if is_number("length", density.length):
        check_at_least(
            "length of noise around a point of a sphere", density.length, least
        )
    flat = jax.vmap(lambda a, b: _log_ray(density, a, b))
    n = z.shape[-1]
    return flat(z.reshape(-1, n), mean.reshape(-1, n)).reshape(z.shape[:-1])


def _log_ray(density: Any, z: jax.Array, mean: jax.Array) -> jax.Array:
    n, p = z.shape[-1], density.p
    length = in_dtype("length", density.length, z.dtype)
    least = LEAST * float(jnp.finfo(z.dtype).eps)
    length = jnp.where(length < least, jnp.nan, length)

    def log_f(r):
        lead = tuple(range(r.ndim))
        z_, mean_ = jnp.expand_dims(z, lead), jnp.expand_dims(mean, lead)
        offset = jnp.abs(r[..., None] * z_ - mean_) / length
        return (n - 1) * jnp.log(r) - jnp.sum(offset**p, axis=-1)

    def slope(r):
        d = (r * z - mean) / length
        push = jnp.sum(p * jnp.abs(d) ** (p - 1) * jnp.sign(d) * z / length)
        return (n - 1) / r - push

    far = 2 + 4 * n * (1 + length)  # beyond it every family falls
    mode = _bisect(lambda r: slope(r) > 0, jnp.zeros_like(far), far)
    peak = log_f(mode)
    low = _bisect(lambda r: log_f(r) < peak - _DROP, jnp.zeros_like(far), mode)
    high = _bisect(lambda r: log_f(r) > peak - _DROP, mode, 8 * far)
    kinks = jnp.clip(mean / jnp.where(z == 0, 1e-30, z), low, high)
    panels = jnp.linspace(low, high, _PANELS + 1, dtype=z.dtype)
    breaks = jnp.sort(jnp.concatenate([panels, mode[None], kinks]))
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    half = (breaks[1:] - breaks[:-1])[:, None] / 2
    nodes, weights = jnp.asarray(nodes, z.dtype), jnp.asarray(weights, z.dtype)
    r = (breaks[1:] + breaks[:-1])[:, None] / 2 + half * nodes[None]
    r = jnp.maximum(r, jnp.finfo(z.dtype).tiny)
    area = jnp.sum(half * weights[None] * jnp.exp(log_f(r) - peak))
    log_norm = n * (math.log(2) + math.lgamma(1 + 1 / p))
    return peak + jnp.log(area) - log_norm - n * jnp.log(length)


def _bisect(keep_low, low: jax.Array, high: jax.Array) -> jax.Array:
    """Boundary where `keep_low` turns false."""

    def halve(_, ends):
        middle = (ends[0] + ends[1]) / 2
        up = keep_low(middle)
        return jnp.where(up, middle, ends[0]), jnp.where(up, ends[1], middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return (low + high) / 2
