"""Collapse diagnostics: how many directions does a representation use?"""

import jax
import jax.numpy as jnp

from jidcl.checks import check_rows
from jidcl.metrics.columns import moments
from jidcl.numerics import at_least_float32, one_by_one, unit


def feature_variance(y: jax.Array) -> jax.Array:
    """Population variance of each output.

    Args:
        y: `[rows, m]`, rows >= 2.

    Returns:
        `[m]`; 0 where an output is constant.

    Example:
        >>> feature_variance(jnp.array([[0.0, 1.0], [2.0, 1.0]]))
        Array([1., 0.], dtype=float32)

    Source: the definition.
    """
    return jnp.var(_wide(y), axis=0)


def spread(y: jax.Array) -> jax.Array:
    """Mean over outputs of the standard deviation of the normalised outputs y / ||y||.

    0 when all rows point in one direction, 1 / sqrt(m) when directions are uniform.

    Args:
        y: `[rows, m]`.

    Returns:
        A scalar.

    Example:
        >>> float(spread(jnp.array([[1.0, 0.0], [2.0, 0.0]])))  # one direction
        0.0

    Source: Chen and He 2021, section 4.1.
    """
    return jnp.mean(jnp.std(unit(_wide(y)), axis=0))


def effective_rank(y: jax.Array) -> jax.Array:
    """exp(entropy of the normalised singular values) of the centred rows.

    Args:
        y: `[rows, m]`.

    Returns:
        A scalar: 1 for a line, m for equal spread in all directions, 0 when every row
        is the same.

    Example:
        >>> y = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> round(float(effective_rank(y)), 3)
        2.0

    Source: Roy and Vetterli 2007.

    Notes:
        The singular values are roots of the covariance's eigenvalues, one matrix at a
        time also under `vmap`; values below the rounding of the largest count as 0.
    """
    y = _wide(y)
    mean, std = moments(y)
    y = jnp.where(jnp.isinf(std), 0, y - mean)
    # Any scale: squares neither overflow nor underflow.
    largest = jnp.max(jnp.abs(y))
    y = y / jnp.where(largest > 0, largest, 1)
    cov = jnp.matmul(y.T, y, precision=jax.lax.Precision.HIGHEST) / y.shape[0]
    values = _eigenvalues(cov)
    rounding = y.shape[1] * jnp.finfo(y.dtype).eps * values[-1]
    sizes = jnp.sqrt(jnp.where(values > rounding, values, 0))
    total = jnp.sum(sizes)
    share = sizes / jnp.where(total > 0, total, 1)
    entropy = -jnp.sum(jax.scipy.special.xlogy(share, share))
    return jnp.where(total > 0, jnp.exp(entropy), 0)


@one_by_one
def _eigenvalues(cov: jax.Array) -> jax.Array:
    return jnp.linalg.eigvalsh(cov)


def _wide(y: jax.Array) -> jax.Array:
    check_rows("y", y, 2)
    return y.astype(at_least_float32(y.dtype))
