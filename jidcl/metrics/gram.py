"""Gaussian Gram matrices of rows, and factors of them: K = F F^T with few columns.

A Gram matrix of one column has few eigenvalues above rounding: 10 to 70 for 100 to
2,000 samples. What needs it whole then costs n^2 in place of n^3.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.metrics.columns import dot
from jidcl.metrics.positive import cholesky

FREQUENCIES = 64  # of a Fourier sum; twice as many columns
REST = 1e-10  # what a factor may leave of the trace of a Gram matrix
_REACH = 8.5  # standard deviations beyond which a normal density is 0 to rounding


def standard(x: jax.Array) -> jax.Array:
    """Mean 0 and variance 1 (divisor n - 1); 0 where constant."""
    x = x - jnp.mean(x, axis=0, keepdims=True)
    std = jnp.sqrt(jnp.sum(x**2, axis=0, keepdims=True) / (len(x) - 1))
    return x / jnp.where(std > 0, std, 1)


def gram(x: jax.Array, gamma: Any) -> jax.Array:
    """exp(-d^2 gamma / 2) of all pairs of rows."""
    return jnp.exp(-0.5 * gamma * squares(x, x))


def squares(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared distances of rows: differences, so none is negative."""
    pairs = ((a[:, None, j] - b[None, :, j]) ** 2 for j in range(a.shape[1]))
    return sum(pairs)  # type: ignore[return-value]


def centred(k: jax.Array) -> jax.Array:
    """H K H of a symmetric matrix, H = I - 1 1^T / n."""
    means = jnp.mean(k, axis=0)
    return k - means[None, :] - means[:, None] + jnp.mean(means)


def median_distance(x: jax.Array) -> jax.Array:
    """Lower median of the distances of different rows; 1 where it is 0.

    Args:
        x: `[samples >= 2, columns]`.

    Returns:
        A scalar.

    Example:
        >>> float(median_distance(jnp.array([[0.0], [1.0], [3.0]])))
        2.0

    Source: Gretton, Bousquet, Smola, Schoelkopf 2005, the usual width of `hsic`.
    """
    upper = np.triu_indices(len(x), 1)
    found = jnp.sort(jnp.sqrt(squares(x, x)[upper]))[(len(upper[0]) - 1) // 2]
    return jnp.where(found > 0, found, 1)


def factor(x: jax.Array, gamma: Any, most: int) -> tuple[jax.Array, jax.Array]:
    """Centred F with F F^T the centred Gram matrix, by a Cholesky factor with pivots.

    It ends where the trace of what is left is at most `REST`, or at `most` columns;
    the others are 0. K - F F^T is positive semidefinite, so its trace bounds its norm.

    Args:
        x: `[samples, columns]`.
        gamma: of `gram`.
        most: columns of F.

    Returns:
        F, `[samples, most]`, and the trace that is left, of the matrix before it is
        centred.

    Source: Bach and Jordan 2002, Kernel Independent Component Analysis.
    """

    def step(held):
        count, f, left, _ = held
        pivot = jnp.argmax(left)
        column = jnp.exp(-0.5 * gamma * squares(x, x[pivot][None])[:, 0])
        column = (column - dot(f[:, pivot], f)) / jnp.sqrt(left[pivot])
        left = jnp.maximum(left - column**2, 0)
        return count + 1, f.at[count].set(column), left, jnp.sum(left)

    def goes_on(held):
        return (held[0] < most) & (held[3] > REST)

    n = len(x)
    start = (
        0,
        jnp.zeros((most, n), x.dtype),
        jnp.ones(n, x.dtype),
        jnp.full((), 1.0 * n),
    )
    _, f, _, rest = jax.lax.while_loop(goes_on, step, start)
    return (f - jnp.mean(f, axis=1, keepdims=True)).T, rest


def waves(x: jax.Array, gamma: Any) -> jax.Array:
    """Centred F, `[n, 2 FREQUENCIES]`, with F F^T the centred Gram matrix of numbers.

    exp(-t^2 / 2) is the trapezoid sum of cos(w t) under a normal density: its images
    lie 2 pi / step away, beyond what any two of these numbers differ by.
    """
    x = x * jnp.sqrt(gamma)
    step = 2 * np.pi / (jnp.max(x) - jnp.min(x) + _REACH)
    w = step * jnp.arange(1.0, FREQUENCIES + 1)[None, :]
    weight = jnp.sqrt(2 * step / np.sqrt(2 * np.pi) * jnp.exp(-(w**2) / 2))
    angle = x[:, None] * w
    f = jnp.concatenate([jnp.cos(angle) * weight, jnp.sin(angle) * weight], axis=1)
    return f - jnp.mean(f, axis=0, keepdims=True)


def features(columns: Any, gamma: Any, rank: int) -> list[jax.Array]:
    """Centred Nystroem features of evenly spaced rows, of several variables."""
    rows = np.linspace(0, len(columns[0]) - 1, rank).round().astype(int)
    inner = jnp.stack([gram(v[rows], gamma) for v in columns])
    roots = jax.vmap(cholesky)(inner + 1e-8 * jnp.eye(rank)[None])[1]
    found = []
    for v, root in zip(columns, roots, strict=True):
        f = dot(jnp.exp(-0.5 * gamma * squares(v, v[rows])), root.T)
        found.append(f - jnp.mean(f, axis=0, keepdims=True))
    return found
