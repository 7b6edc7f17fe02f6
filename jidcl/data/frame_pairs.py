"""Pairs of frames of a video that lie a random lag apart.

A start is any frame that has a next one in its sequence, each as likely. The lag is
uniform on 1 .. max_lag; where it leads beyond the sequence, the last frame is taken.
The published lags of KITTI Masks, 0.05 and 0.15 s, are max_lag 1 and 5.

Source: Klindt et al. 2021 and Zimmermann et al. 2021, published code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_at_least, check_count, check_key
from jidcl.types import Array


class FrameStarts(NamedTuple):
    """Where pairs may start, of sequences that lie one after another.

    Attributes:
        start: rows of the frames that have a next one, int32 `[starts]`.
        last: row of the last frame of the sequence of each, int32 `[starts]`.
    """

    start: Array
    last: Array


def frame_starts(lengths: np.ndarray, *, max_lag: int = 1) -> FrameStarts:
    """Every frame that a pair may start at.

    Args:
        lengths: frames of each sequence, whole numbers `[sequences]`, >= 2.
        max_lag: the largest lag that will be drawn, >= 1.

    Returns:
        The starts, in the order of the frames.

    Raises:
        ValueError: on a sequence of fewer than two frames, or where even the longest is
            shorter than the largest lag, so that no pair would have it.

    Example:
        >>> held = frame_starts(np.array([3, 2]))
        >>> held.start.tolist(), held.last.tolist()
        ([0, 1, 3], [2, 2, 4])
    """
    lengths = np.asarray(lengths)
    check_count("max_lag", max_lag)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths):
        raise ValueError(
            f"lengths must be whole numbers [sequences], got {lengths.dtype} "
            f"{list(lengths.shape)}"
        )
    check_at_least("lengths", int(lengths.min()), 2)
    if max_lag >= lengths.max():
        raise ValueError(
            f"max_lag must be < the frames of the longest sequence, {lengths.max()}, "
            f"got {max_lag}"
        )
    ends = np.cumsum(lengths.astype(np.int64))
    last = np.repeat(ends - 1, lengths)
    rows = np.arange(ends[-1])
    kept = rows < last
    if ends[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"lengths must sum to less than 2^31, got {ends[-1]}")
    start, last = (np.asarray(part[kept], np.int32) for part in (rows, last))
    return FrameStarts(jnp.asarray(start), jnp.asarray(last))


def draw_frame_pairs(
    key: Array, starts: FrameStarts, *, batch: int, max_lag: int
) -> tuple[Array, Array]:
    """Rows of the two frames of each pair.

    Args:
        key: a typed key.
        starts: of `frame_starts`.
        batch: pairs, >= 1.
        max_lag: the largest lag, >= 1.

    Returns:
        `(first, second)`, int32 `[batch]`, first < second, of one sequence each.

    Raises:
        ValueError: on batch or max_lag < 1.

    Example:
        >>> held = frame_starts(np.array([9, 2]), max_lag=3)
        >>> pairs = draw_frame_pairs(jax.random.key(0), held, batch=4, max_lag=3)
        >>> [len(rows) for rows in pairs]
        [4, 4]
    """
    check_key("key", key)
    check_count("batch", batch)
    check_count("max_lag", max_lag)
    place_key, lag_key = jax.random.split(key)
    place = jax.random.randint(place_key, (batch,), 0, starts.start.shape[0])
    lag = jax.random.randint(lag_key, (batch,), 1, max_lag + 1)
    first = starts.start[place]
    return first, jnp.minimum(first + lag.astype(first.dtype), starts.last[place])
