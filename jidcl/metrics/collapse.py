"""Collapse diagnostics: how many directions does a representation use?"""

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_rows
from jidcl.metrics.columns import (
    dot,
    host_first,
    largest_of,
    moments,
    unit_rows,
    widened,
)
from jidcl.numerics import of_finite, one_by_one


@host_first
def feature_variance(y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """Population variance of each output.

    Args:
        y: `[rows, m]`, rows >= 2.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[m]`; 0 where an output is constant.

    Example:
        >>> feature_variance(jnp.array([[0.0, 1.0], [2.0, 1.0]]))
        Array([1., 0.], dtype=float32)

    Source: the definition.
    """
    return xp.var(_wide(y, xp), axis=0)


@host_first
def spread(y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """Mean over outputs of the standard deviation of the normalised outputs y / ||y||.

    0 when all rows point in one direction, 1 / sqrt(m) when directions are uniform.

    Args:
        y: `[rows, m]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar.

    Example:
        >>> float(spread(jnp.array([[1.0, 0.0], [2.0, 0.0]])))  # one direction
        0.0

    Source: Chen and He 2021, section 4.1.
    """
    return xp.mean(xp.std(unit_rows(_wide(y, xp), xp), axis=0))


@host_first
def effective_rank(y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """exp(entropy of the normalised singular values) of the centred rows.

    Args:
        y: `[rows, m]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar: 1 for a line, m for equal spread in all directions, 0 when every row
        is the same; NaN where a number is not finite.

    Example:
        >>> y = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> round(float(effective_rank(y)), 3)
        2.0

    Source: Roy and Vetterli 2007.

    Notes:
        The singular values are roots of the covariance's eigenvalues, one matrix at a
        time also under `vmap`; values below the rounding of the largest count as 0.
    """
    y = _wide(y, xp)
    mean, std = moments(y, xp)
    y = xp.where(xp.isinf(std), 0, y - mean)
    y = y / largest_of(y, xp)  # any scale: squares neither overflow nor underflow
    eigenvalues = np.linalg.eigvalsh if xp is np else _eigenvalues
    values = of_finite(eigenvalues, dot(y.T, y, xp) / y.shape[0], xp)
    rounding = y.shape[1] * xp.finfo(y.dtype).eps * values[-1]
    sizes = xp.sqrt(xp.where(values <= rounding, 0, values))
    total = xp.sum(sizes)
    share = sizes / xp.where(total == 0, 1, total)
    entropy = -xp.sum(share * xp.log(xp.where(share == 0, 1, share)))
    return xp.where(total == 0, 0, xp.exp(entropy))


@one_by_one
def _eigenvalues(cov: jax.Array) -> jax.Array:
    return jnp.linalg.eigvalsh(cov)


def _wide(y: jax.Array, xp: ModuleType) -> jax.Array:
    check_rows("y", y, 2)
    return widened(y, xp)
