"""Columns of any scale and rank: moments, correlations, least squares."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jidcl.numerics import safe_norm, safe_root


def fit_affine(
    y: jax.Array, z: jax.Array, *, intercept: bool = True
) -> Callable[[jax.Array], jax.Array]:
    """Least squares z ~ W y + b for columns of any scale and any rank: the predictor.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: whether b is fitted, or 0.

    Returns:
        A function `[rows, m] -> [rows, n]`.

    Example:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> round(float(fit_affine(y, 2 * y + 1)(jnp.array([[3.0]]))[0, 0]), 3)
        7.0

    Source: least squares by Gram-Schmidt orthogonalisation, each column twice.
    """
    mean, std = moments(y)
    z_mean = jnp.mean(z, axis=0, keepdims=True)
    if not intercept:
        largest = jnp.max(jnp.abs(y), axis=0, keepdims=True)
        mean, std, z_mean = 0 * mean, jnp.where(largest > 0, largest, 1), 0 * z_mean
    q, t = _orthonormal((y - mean) / std)
    weights = dot(t, dot(q.T, z - z_mean))
    return lambda y: z_mean + dot((y - mean) / std, weights)


def moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each column, `[1, n]`; constant: infinity.

    Columns of any scale: squares neither overflow nor underflow.
    """
    mean = jnp.mean(x, axis=0, keepdims=True)
    mean = mean + jnp.mean(x - mean, axis=0, keepdims=True)
    largest = jnp.max(jnp.abs(x - mean), axis=0, keepdims=True)
    relative = (x - mean) / jnp.where(largest > 0, largest, 1)
    std = largest * safe_root(jnp.mean(relative**2, axis=0, keepdims=True), 2.0)
    # Rounding leaves a constant column with a tiny, meaningless spread.
    noise = 2 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, keepdims=True)
    return mean, jnp.where(std <= noise, jnp.inf, std)


def standardised(x: jax.Array) -> jax.Array:
    """Columns of mean 0 and variance 1; 0 where constant."""
    mean, std = moments(x)
    return (x - mean) / std


def unit_total(x: jax.Array) -> jax.Array:
    """Centred, with Frobenius norm 1; 0 where every column is constant."""
    mean, std = moments(x)
    x = jnp.where(jnp.isinf(std), 0, x - mean)
    largest = jnp.max(jnp.abs(x))
    x = x / jnp.where(largest > 0, largest, 1)
    norm = safe_norm(x.reshape(-1))
    return x / jnp.where(norm > 0, norm, 1)


def centred(x: jax.Array) -> jax.Array:
    """Columns minus their means."""
    return x - jnp.mean(x, axis=0, keepdims=True)


def correlate(a: jax.Array, b: jax.Array) -> jax.Array:
    """Correlation of each column of a with that of b, `[n]`."""
    return jnp.mean(standardised(a) * standardised(b), axis=0)


def _orthonormal(y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Q with orthonormal columns (or 0) spanning y, and T with Q = y T.

    Gram-Schmidt, twice for each column; a column that the earlier ones explain to
    rounding becomes 0. Plain products, so it maps over seeds on every device.
    """
    samples, m = y.shape
    smallest = 10 * m * jnp.finfo(y.dtype).eps

    def add(carry, j):
        q, t = carry
        column, combination = y[:, j], jax.nn.one_hot(j, m, dtype=y.dtype)
        size = safe_norm(column)
        for _ in range(2):
            inside = dot(q.T, column)
            column = column - dot(q, inside)
            combination = combination - dot(t, inside)
        rest = safe_norm(column)
        scale = jnp.where(rest > smallest * size, rest, jnp.inf)
        q, t = q.at[:, j].set(column / scale), t.at[:, j].set(combination / scale)
        return (q, t), None

    start = (jnp.zeros((samples, m), y.dtype), jnp.zeros((m, m), y.dtype))
    return jax.lax.scan(add, start, jnp.arange(m))[0]


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """Matrix product in full precision."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def ranks(x: jax.Array) -> jax.Array:
    """Average ranks of each column."""

    def column(v):
        ordered = jnp.sort(v)
        low = jnp.searchsorted(ordered, v, side="left")
        high = jnp.searchsorted(ordered, v, side="right")
        return jnp.where(jnp.isnan(v).any(), v, (low + high).astype(v.dtype) / 2)

    return jax.vmap(column, in_axes=1, out_axes=1)(x)
