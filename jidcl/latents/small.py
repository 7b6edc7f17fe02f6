"""Linear algebra of small matrices without LAPACK: batches of it wait for nobody.

See `jidcl.numerics.one_by_one` for what batched calls of LAPACK may do.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_above, check_float, check_scalar
from jidcl.compiled import compiled
from jidcl.numerics import safe_norm

_SQUARINGS = 52


def checked_square(name: str, matrix: Any) -> jax.Array:
    """A float matrix `[n, n]`, in JAX's own float type."""
    check_float(name, matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(
            f"{name} must have shape [n, n], n >= 1, got {list(matrix.shape)}"
        )
    return jnp.asarray(matrix, float)


def spectral_radius(a: Any) -> jax.Array:
    """The largest |eigenvalue|, the limit of ||a^k||^(1/k), by squaring.

    It calls no LAPACK, so batches of it are safe.

    Args:
        a: `[n, n]`.

    Returns:
        A scalar.

    Raises:
        ValueError: on another shape.

    Example:
        >>> round(float(spectral_radius(jnp.array([[0.0, 2.0], [2.0, 0.0]]))), 4)
        2.0

    Source: Gelfand's formula.
    """
    return _spectral_radius(checked_square("a", a))


@compiled
def _spectral_radius(a: jax.Array) -> jax.Array:
    def square(k, held):
        power, log = held
        size = jnp.max(jnp.abs(power))
        log = log + jnp.log(size) / 2.0**k
        power = power / jnp.where(size == 0, 1, size)
        return power @ power, log

    steps = jnp.arange(_SQUARINGS).astype(a.dtype)
    start = a, jnp.zeros((), a.dtype)
    _, log = jax.lax.fori_loop(
        0, _SQUARINGS, lambda i, held: square(steps[i], held), start
    )
    return jnp.exp(log)


def rescaled(a: Any, radius: float = 0.9) -> jax.Array:
    """a with another spectral radius: radius a / (spectral radius of a).

    Args:
        a: `[n, n]`.
        radius: > 0.

    Returns:
        `[n, n]`.

    Raises:
        ValueError: on another shape or radius.

    Example:
        >>> rescaled(jnp.array([[2.0]]), 0.5).tolist()
        [[0.5]]

    Source: Rajendran et al. 2024, section 5.
    """
    check_scalar("radius", radius)
    check_above("radius", radius, 0)
    return radius * checked_square("a", a) / spectral_radius(a)


def solve_small(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """x of a x = b, and log |det a|: elimination with pivots, for small matrices.

    It calls no LAPACK, so batches of it wait for nobody: see `one_by_one`.

    Args:
        a: `[n, n]`.
        b: `[n, k]`.

    Returns:
        `(x [n, k], log |det a|)`; not finite where a is singular.

    Example:
        >>> x, size = solve_small(jnp.array([[0.0, 2.0], [1.0, 0.0]]), jnp.eye(2))
        >>> x.tolist(), round(float(size), 4)
        ([[0.0, 1.0], [0.5, 0.0]], 0.6931)
    """
    n = a.shape[0]
    places = jnp.arange(n)[:, None]

    def step(i, held):
        rows, log_det = held
        column = jax.lax.dynamic_slice_in_dim(rows, i, 1, axis=1)
        best = jnp.argmax(jnp.where(places >= i, jnp.abs(column), -1.0))
        here, there = rows[i][None], rows[best][None]
        rows = jnp.where(places == best, here, rows)
        pivot = there[0, i]
        there = there / pivot
        column = jax.lax.dynamic_slice_in_dim(rows, i, 1, axis=1)
        rows = jnp.where(places == i, there, rows - column * there)
        return rows, log_det + jnp.log(jnp.abs(pivot))

    start = jnp.concatenate([a, b], axis=1), jnp.zeros((), a.dtype)
    rows, log_det = jax.lax.fori_loop(0, n, step, start)
    return rows[:, n:], log_det


def inverse_small(a: jax.Array) -> jax.Array:
    """The inverse of a small matrix `[n, n]`, by `solve_small`."""
    return solve_small(a, jnp.eye(len(a), dtype=a.dtype))[0]


def triangular(wide: jax.Array) -> jax.Array:
    """The lower triangular L with L L^T = W W^T, by Householder reflections.

    It calls no LAPACK, so batches of it are safe, and has a derivative where W lacks
    rank.

    Args:
        wide: W, `[n, k]`, k >= n.

    Returns:
        `[n, n]`; entries of its diagonal may be negative.

    Example:
        >>> triangular(jnp.array([[3.0, 4.0]])).tolist()
        [[-5.0]]
    """
    n, k = wide.shape
    places = jnp.arange(k)

    def reflect(i, held):
        row = jnp.where(places >= i, held[i], 0.0)
        size = safe_norm(row)
        sign = jnp.where(row[i] < 0, -1.0, 1.0)
        normal = row + sign * size * (places == i).astype(row.dtype)
        square = jnp.sum(normal**2)
        half = jnp.where(square == 0, 0.0, 2 / jnp.where(square == 0, 1.0, square))
        return held - half * (held @ normal)[:, None] * normal[None]

    return jnp.tril(jax.lax.fori_loop(0, n, reflect, wide)[:, :n])
