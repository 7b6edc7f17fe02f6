"""What a score is worth without identification: shuffled rows, random rotations."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_array,
    check_count,
    check_key,
    check_memory,
    check_partition,
    check_rows,
    check_type,
)
from jidcl.metrics.columns import (
    dot,
    moments,
    rounded,
)
from jidcl.metrics.matching import assign


def shuffled(key: Any, y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """The rows of y in random order: breaks the pairing and keeps the marginal.

    Args:
        key: a typed key; a `numpy.random.Generator` with `xp=numpy`.
        y: `[samples, m]`.
        xp: `jax.numpy`, or `numpy`.

    Returns:
        `[samples, m]`.

    Example:
        >>> sorted(shuffled(jax.random.key(0), jnp.arange(4)).tolist())
        [0, 1, 2, 3]

    Source: this library.
    """
    check_array("y", y)
    check_count("number of axes of y", y.ndim)
    _check_source(key, xp)
    if xp is np:
        return key.permutation(y, axis=0)
    return jax.random.permutation(key, y, axis=0)


def rotation_null(
    key: Any,
    z: jax.Array,
    *,
    draws: int = 200,
    blocks: Sequence[Sequence[int]] | None = None,
    xp: ModuleType = jnp,
) -> jax.Array:
    """MCC of z under Haar-random rotations: what "linear, no more" looks like.

    Args:
        key: a typed key; a `numpy.random.Generator` with `xp=numpy`.
        z: `[samples, n]`.
        draws: number of rotations.
        blocks: latents that are rotated among themselves, a partition of all; one
            block when None.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[draws]` scores.

    Raises:
        ValueError: on wrong shapes, draws < 1, or blocks that are no partition.
        TypeError: on a key of the other kind.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (200, 3))
        >>> scores = rotation_null(jax.random.key(1), z, draws=20)
        >>> bool(0.5 < scores.mean() < 0.95)
        True

    Source: this library.
    """
    check_rows("z", z, 2)
    check_count("draws", draws)
    _check_source(key, xp)
    z = rounded(z, common=True) if xp is jnp else xp.asarray(z)
    blocks = [range(z.shape[1])] if blocks is None else blocks
    check_partition("blocks", blocks, z.shape[1])
    z = xp.asarray(z)
    z = xp.concatenate([z[:, xp.asarray(block)] for block in blocks], axis=1)
    check_memory("draws", draws, 4 * draws * z.shape[1] ** 2)
    mean, std = moments(z, xp)
    unit, scale = (z - mean) / std, xp.where(xp.isinf(std), 0, std)
    largest = xp.max(scale)  # the score depends on no common scale
    scale = scale / xp.where(largest > 0, largest, 1)
    shared = dot(unit.T, unit, xp) / z.shape[0]  # correlations: no row is needed again
    turns = [_haar(key, i, len(block), draws, z, xp) for i, block in enumerate(blocks)]
    weights = scale.T[None] * _block_diagonal(turns, xp)
    covariance = dot(shared[None], weights, xp)
    variance = xp.sum(weights * covariance, axis=1, keepdims=True)
    # Turned columns of no spread correlate 0; those with a NaN stay NaN.
    score = xp.abs(covariance) / xp.sqrt(xp.where(variance <= 0, xp.inf, variance))
    if xp is np:
        totals: Any = np.stack([assign(one, xp=xp)[1] for one in score])
    else:
        totals = jax.vmap(assign)(score)[1]
    return totals / z.shape[1]


def _check_source(key: Any, xp: ModuleType) -> None:
    """Raise `TypeError` unless `key` is what draws the numbers of `xp`."""
    if xp is np:
        check_type("key", key, np.random.Generator)
    else:
        check_key("key", key)


def _haar(
    key: Any, block: int, n: int, draws: int, z: jax.Array, xp: ModuleType
) -> Any:
    """Haar-random orthogonal matrices `[draws, n, n]` for one block of latents."""
    if xp is np:
        q, r = np.linalg.qr(key.normal(size=(draws, n, n)))
        return q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    own = jax.random.fold_in(key, block)
    return jax.random.orthogonal(own, n, shape=(draws,), dtype=z.dtype)


def _block_diagonal(parts: Sequence[jax.Array], xp: ModuleType) -> jax.Array:
    """Matrices `[draws, n, n]` with these `[draws, k, k]` on the diagonal."""
    rows = []
    for i, part in enumerate(parts):
        wide = [
            part
            if i == j
            else xp.zeros((len(part), part.shape[1], other.shape[1]), part.dtype)
            for j, other in enumerate(parts)
        ]
        rows.append(xp.concatenate(wide, axis=2))
    return xp.concatenate(rows, axis=1)
