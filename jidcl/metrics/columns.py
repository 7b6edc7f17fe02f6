"""Columns of any scale and rank: moments, correlations, least squares.

Every function takes `xp`, the namespace that computes: `jax.numpy`, or `numpy` for
arrays on the host, where nothing is compiled.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_rows, check_same_rows
from jidcl.compiled import compiled
from jidcl.numerics import safe_root


def fit_affine(
    y: jax.Array, z: jax.Array, *, intercept: bool = True, xp: ModuleType = jnp
) -> Callable[[jax.Array], jax.Array]:
    """Least squares z ~ W y + b for columns of any scale and any rank: the predictor.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: whether b is fitted, or 0.
        xp: `jax.numpy`, or `numpy` for arrays on the host.

    Returns:
        A function `[rows, m] -> [rows, n]`.

    Raises:
        ValueError: on wrong shapes or different numbers of samples.

    Example:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> round(float(fit_affine(y, 2 * y + 1)(jnp.array([[3.0]]))[0, 0]), 3)
        7.0

    Source: least squares by Gram-Schmidt orthogonalisation, each column twice.
    """
    check_rows("y", y)
    check_rows("z", z)
    check_same_rows("y", y, "z", z)
    mean, std = moments(y, xp)
    z_mean = xp.mean(z, axis=0, keepdims=True)
    if not intercept:
        largest = xp.max(xp.abs(y), axis=0, keepdims=True)
        mean, std, z_mean = 0 * mean, xp.where(largest > 0, largest, 1), 0 * z_mean
    q, t = _orthonormal((y - mean) / std, xp)
    weights = dot(t, dot(q.T, z - z_mean, xp), xp)
    return lambda y: z_mean + dot((y - mean) / std, weights, xp)


def moments(x: jax.Array, xp: ModuleType = jnp) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each column, `[1, n]`; constant: infinity.

    Columns of any scale: squares neither overflow nor underflow.
    """
    mean = xp.mean(x, axis=0, keepdims=True)
    mean = mean + xp.mean(x - mean, axis=0, keepdims=True)
    largest = xp.max(xp.abs(x - mean), axis=0, keepdims=True)
    relative = (x - mean) / xp.where(largest > 0, largest, 1)
    std = largest * _root(xp.mean(relative**2, axis=0, keepdims=True), xp)
    # Rounding leaves a constant column with a tiny, meaningless spread.
    noise = 2 * xp.finfo(x.dtype).eps * xp.max(xp.abs(x), axis=0, keepdims=True)
    return mean, xp.where(std <= noise, xp.inf, std)


def standardised(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Columns of mean 0 and variance 1; 0 where constant."""
    mean, std = moments(x, xp)
    return (x - mean) / std


def unit_total(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Centred, with Frobenius norm 1; 0 where every column is constant."""
    mean, std = moments(x, xp)
    x = xp.where(xp.isinf(std), 0, x - mean)
    largest = xp.max(xp.abs(x))
    x = x / xp.where(largest > 0, largest, 1)
    norm = _root(xp.sum(x * x), xp)
    return x / xp.where(norm > 0, norm, 1)


def centred(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Columns minus their means."""
    return x - xp.mean(x, axis=0, keepdims=True)


def correlate(a: jax.Array, b: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Correlation of each column of a with that of b, `[n]`."""
    return xp.mean(standardised(a, xp) * standardised(b, xp), axis=0)


def _root(x: jax.Array, xp: ModuleType) -> jax.Array:
    """sqrt(x) for x >= 0; in JAX with derivative 0 at 0."""
    return safe_root(x, 2.0) if xp is jnp else xp.sqrt(x)


@compiled
def _orthonormal(y: jax.Array, xp: ModuleType) -> tuple[jax.Array, jax.Array]:
    """Q with orthonormal columns (or 0) spanning y, and T with Q = y T.

    Gram-Schmidt, twice for each column; a column that the earlier ones explain to
    rounding becomes 0. Plain products, so it maps over seeds on every device.
    """
    samples, m = y.shape
    smallest = 10 * m * xp.finfo(y.dtype).eps
    eye = xp.eye(m, dtype=y.dtype)

    def next_column(q, t, j):
        column, combination = y[:, j], eye[j]
        size = _root(xp.sum(column**2), xp)
        for _ in range(2):
            inside = dot(q.T, column, xp)
            column = column - dot(q, inside, xp)
            combination = combination - dot(t, inside, xp)
        rest = _root(xp.sum(column**2), xp)
        scale = xp.where(rest > smallest * size, rest, xp.inf)
        return column / scale, combination / scale

    def add(carry, j):
        q, t = carry
        column, combination = next_column(q, t, j)
        return (q.at[:, j].set(column), t.at[:, j].set(combination)), None

    q, t = xp.zeros((samples, m), y.dtype), xp.zeros((m, m), y.dtype)
    if xp is jnp:
        return jax.lax.scan(add, (q, t), jnp.arange(m))[0]
    for j in range(m):
        q[:, j], t[:, j] = next_column(q, t, j)
    return q, t


def dot(a: jax.Array, b: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Matrix product in full precision."""
    if xp is np:
        return np.matmul(a, b)  # type: ignore[return-value]
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def ranks(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Average ranks of each column; a column with a NaN stays as it is."""

    def column(v):
        ordered = xp.sort(v)
        low = xp.searchsorted(ordered, v, side="left")
        high = xp.searchsorted(ordered, v, side="right")
        return xp.where(xp.isnan(v).any(), v, (low + high).astype(v.dtype) / 2)

    if xp is np:
        return np.stack([column(v) for v in x.T], axis=1)  # type: ignore[return-value]
    return jax.vmap(column, in_axes=1, out_axes=1)(x)
