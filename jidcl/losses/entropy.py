"""Alignment against entropy: pairs agree while the outputs fill their space.

The theorems of content/style isolation are about this objective; InfoNCE estimates it
from a large batch. The entropy here is the leave-one-out estimate of a Gaussian kernel.
"""

import functools
import math

import jax

from jidcl.checks import (
    check_above,
    check_rows,
    check_same_shape,
    check_scalar,
)
from jidcl.losses.contrastive import (
    alignment,
    reduce_rows,
)
from jidcl.losses.distributed import (
    sharded_logsumexp,
)
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.similarity import Similarity
from jidcl.losses.tiles import Tile
from jidcl.types import Metrics


def kernel_entropy(
    y: jax.Array,
    *,
    variance: float = 0.05,
    tile: Tile = "auto",
    axis: str | None = None,
) -> jax.Array:
    """-mean_i log [1/(batch - 1) sum_{j != i} N(y_i; y_j, variance I)], in nats.

    Args:
        y: `[batch, m]`, batch >= 2.
        variance: of the kernel, in squared units of y, > 0. The estimate is of the
            density smoothed by it, so no outputs reach minus infinity.
        tile: how the matrix of kernels is computed, see `row_logsumexp`.
        axis: mesh axis over which the rows are spread, inside `jax.shard_map`; the
            value is that of the whole batch.

    Returns:
        A scalar.

    Raises:
        ValueError: on batch < 2 or variance <= 0.

    Example:
        >>> y = jax.numpy.asarray([[0.0], [1.0]])
        >>> round(float(kernel_entropy(y, variance=0.5)), 4)  # 1 + log(pi) / 2
        1.5724

    Source: this library; the leave-one-out estimate of a Gaussian kernel.
    """
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("y", y, -(-2 // devices))
    check_above("variance", variance, 0)
    check_scalar("variance", variance)
    logsumexp = row_logsumexp
    if axis is not None:
        logsumexp = functools.partial(sharded_logsumexp, axis=axis)
    rows = logsumexp(
        Similarity("lp"), y, y, tau=2 * variance, exclude_diagonal=True, tile=tile
    )
    norm = y.shape[1] / 2 * math.log(2 * math.pi * variance)
    others = devices * y.shape[0] - 1
    return norm + math.log(others) - reduce_rows(rows, "mean", axis)


def align_maxent(
    y: jax.Array,
    y_pos: jax.Array,
    *,
    variance: float = 0.05,
    weight: float = 1.0,
    tile: Tile = "auto",
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """weight * mean ||y_i - y_pos_i||^2 - entropy of y: least when y is content.

    Args:
        y: anchors f(x), `[batch, m]`, in the unit box (a sigmoid output).
        y_pos: positives, `[batch, m]`.
        variance: of the kernel of the entropy's estimate.
        weight: of the alignment, > 0; 1 in the paper. The minimiser is the same for
            every weight, but in the unit box 1 hardly feels a style of a few percent;
            1 / (2 variance) puts both terms on the kernel's scale, as InfoNCE does.
        tile: see `kernel_entropy`.
        axis: see `kernel_entropy`.

    Returns:
        `(loss, metrics)`, metrics `alignment` and `entropy`; nats.

    Raises:
        ValueError: on wrong shapes, batch < 2, or variance or weight <= 0.

    Example:
        >>> y = jax.numpy.asarray([[0.0], [1.0]])
        >>> loss, metrics = align_maxent(y, y, variance=0.5)
        >>> round(float(metrics["entropy"]), 4)  # 1 + log(pi) / 2
        1.5724

    Source: von Kuegelgen et al. 2021, equation 5 (the objective); the estimator is
        ours.
    """
    check_same_shape("y_pos", y_pos, "y", y)
    check_above("weight", weight, 0)
    check_scalar("weight", weight)
    entropy = kernel_entropy(y, variance=variance, tile=tile, axis=axis)
    apart = reduce_rows(alignment(y, y_pos, reduction="none"), "mean", axis)
    return weight * apart - entropy, {"alignment": apart, "entropy": entropy}
