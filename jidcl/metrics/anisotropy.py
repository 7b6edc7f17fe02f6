"""Was the precision of each latent recovered, and each group of equal precision?"""

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_at_least,
    check_features,
    check_finite,
    check_float,
    check_integers,
    check_numbers,
    check_partition,
    check_rows,
    check_shape,
    check_within,
)
from jidcl.metrics.columns import (
    host_first,
)
from jidcl.metrics.matching import correlation_matrix
from jidcl.metrics.recovery import r2


class LambdaRecovery(NamedTuple):
    """Learned precisions beside the true ones.

    Attributes:
        aligned: the learned value of each latent's output, `[n]`.
        error: mean |aligned - lam| / lam.
        pearson: correlation of aligned with lam, 0 where either is constant.
        sorted_error: the error of both in order: for equal lam, where no assignment is
            right.

    Example:
        >>> lam = jnp.array([5.0, 25.0])
        >>> float(lambda_recovery(lam, lam, jnp.array([0, 1])).error)
        0.0

    Source: this library.
    """

    aligned: jax.Array
    error: jax.Array
    pearson: jax.Array
    sorted_error: jax.Array


@host_first
def lambda_recovery(
    lam: jax.Array, lam_hat: jax.Array, columns: jax.Array, *, xp: ModuleType = jnp
) -> LambdaRecovery:
    """How well precisions were learned, given which output reads which latent.

    Args:
        lam: true precisions, `[n]`.
        lam_hat: learned ones, `[m]`, m >= n.
        columns: the output assigned to each latent, `[n]` (`jidcl.metrics.mcc`).
        xp: `jax.numpy`, or `numpy` for arrays on the host.

    Returns:
        `LambdaRecovery`; with m > n the sorted error takes the n largest.

    Raises:
        ValueError: if m < n, on other shapes, lam <= 0, or a concrete column that is
            none of the m.
        TypeError: on columns that are not integers.

    Example:
        >>> lam = jnp.array([5.0, 25.0])
        >>> found = lambda_recovery(lam, 2 * lam[::-1], jnp.array([1, 0]))
        >>> float(found.error), round(float(found.pearson), 4)
        (1.0, 1.0)

    Source: Rusak et al. 2024, training logs (the values); the scores are ours.
    """
    for name, array in (("lam", lam), ("lam_hat", lam_hat)):
        check_features(name, array)
        check_shape(name, array, array.shape[-1:])
    check_above("lam", lam, 0)
    n = lam.shape[0]
    check_at_least("number of learned lam", lam_hat.shape[0], n)
    check_integers("columns", columns, (n,))
    check_within("columns", columns, lam_hat.shape[0])
    aligned = lam_hat[columns]
    ordered, largest = xp.sort(lam), xp.sort(lam_hat)[-n:]
    return LambdaRecovery(
        aligned,
        xp.mean(xp.abs(aligned - lam) / lam),
        correlation_matrix(lam[:, None], aligned[:, None], xp=xp)[0, 0],
        xp.mean(xp.abs(largest - ordered) / ordered),
    )


def equal_blocks(*lams: Sequence[float]) -> list[list[int]]:
    """Latents with equal precisions in every setting, the largest first.

    Args:
        *lams: precisions of the latents, of one setting each.

    Returns:
        Lists of latents, a partition of all.

    Raises:
        ValueError: on no setting, or settings of different lengths.

    Example:
        >>> equal_blocks((25, 25, 5, 5))
        [[0, 1], [2, 3]]
        >>> equal_blocks((25, 25, 5, 5), (25, 5, 25, 5))
        [[0], [1], [2], [3]]

    Source: this library.
    """
    for lam in lams:
        check_numbers("lams", lam)
        for value in lam:
            check_above("every one of lams", value, 0)
    lengths = [len(lam) for lam in lams]
    if not lengths or len(set(lengths)) > 1:
        raise ValueError(f"lams must have one length, got {lengths}")
    values = list(zip(*lams, strict=True))
    return [
        [i for i, own in enumerate(values) if own == value]
        for value in sorted(set(values), reverse=True)
    ]


@host_first
def block_r2(
    z: jax.Array,
    y: jax.Array,
    lam_hat: jax.Array,
    blocks: Sequence[Sequence[int]],
    *,
    xp: ModuleType = jnp,
) -> jax.Array:
    """R2 of each latent from the outputs of its block alone, `[n]`.

    Outputs are given to blocks in the order of their learned precisions: the first
    block has as many of the largest as it has latents, and so on.

    Args:
        z: true latents, `[samples, n]`.
        y: outputs, `[samples, m]`, m >= n.
        lam_hat: learned precisions, `[m]`.
        blocks: latents by falling precision, see `equal_blocks`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        In-sample scores, as of `jidcl.metrics.r2`; 1 where y is z rotated within
        blocks, NaN where a learned precision is.

    Raises:
        ValueError: on wrong shapes, m < n, or blocks that are no partition.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> lam_hat = jnp.array([5.0, 25.0])  # output 1 has the larger precision
        >>> block_r2(z, z[:, ::-1], lam_hat, [[0], [1]]).round(3)
        Array([1., 1.], dtype=float32)

    Source: this library.
    """
    check_rows("z", z, 2)
    check_rows("y", y, 2)
    check_at_least("number of outputs (columns of y)", y.shape[1], z.shape[1])
    check_float("lam_hat", lam_hat)
    check_shape("lam_hat", lam_hat, y.shape[1:])
    check_finite("lam_hat", lam_hat)
    check_partition("blocks", blocks, z.shape[1])
    z, y = xp.asarray(z), xp.asarray(y)
    order, begin, scores = xp.argsort(-lam_hat), 0, []
    for block in blocks:
        own = y[:, order[begin : begin + len(block)]]
        scores.append(r2(z[:, np.asarray(block)], own, xp=xp).per_dim)
        begin += len(block)
    in_blocks = np.concatenate([np.asarray(block) for block in blocks])
    found = xp.concatenate(scores)[np.argsort(in_blocks)].astype(z.dtype)
    return xp.where(xp.isnan(lam_hat).any(), xp.nan, found)
