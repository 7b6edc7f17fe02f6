"""Bits above chance of pairs of outputs, with one yardstick for every objective.

For each row, the partner is told from `NEGATIVES` independent rows by s = -|a - b|^p /
tau; bits = log2(entries) - loss / ln 2, 0 for outputs that do not depend on the input.
The sum over independent rows does not see the partner, so a null of shuffled partners
costs no more than a look at each pair.
"""

from typing import NamedTuple

import numpy as np

NEGATIVES = 256
FIT_ROWS = 512  # that the scale is fitted on
SPANS = ((3.0, 13), (0.5, 9), (0.1, 5))  # decades around the best scale, and points


class Yardstick(NamedTuple):
    """A similarity -|a - b|^p / tau.

    Attributes:
        p: exponent.
        tau: scale, > 0.
    """

    p: float
    tau: float


class RowScores(NamedTuple):
    """What bits are made of.

    Attributes:
        pool: log-sum-exp of each row's similarities with independent rows, `[rows]`.
        entries: how many independent rows there are for each.
    """

    pool: np.ndarray
    entries: int


def fit_yardstick(y: np.ndarray, y_pos: np.ndarray, p: float) -> Yardstick:
    """The scale with the most bits on these pairs.

    Args:
        y: outputs, `[rows, m]`.
        y_pos: of the positives.
        p: exponent.

    Returns:
        The yardstick.
    """
    kept = slice(0, FIT_ROWS)
    y, y_pos = np.asarray(y[kept], float), np.asarray(y_pos[kept], float)
    own = _distance(y, y_pos, p)
    size = float(own.mean()) or 1.0
    others = [_distance(y, np.roll(y, k, axis=0), p) for k in _shifts(len(y))]
    least = np.min(others, axis=0)
    beyond = np.stack(others, axis=1) - least[:, None]

    def bits(exponent: float) -> float:
        tau = size * 10**exponent
        pool = np.log(np.exp(beyond / -tau).sum(axis=1)) - least / tau
        return float(_bits(-own / tau, pool, len(others)).mean())

    best = 0.0
    for span, points in SPANS:
        best = max(best + np.linspace(-span, span, points), key=bits)
    return Yardstick(p, float(size * 10**best))


def pool_of(y: np.ndarray, yardstick: Yardstick) -> RowScores:
    """What a row is compared with: the other rows of a fixed set of shifts.

    Args:
        y: outputs, `[rows, m]`.
        yardstick: the similarity.

    Returns:
        A `RowScores`.
    """
    y = np.asarray(y, float)
    shifts = _shifts(len(y))
    total = np.full(len(y), -np.inf)
    for k in shifts:
        far = _distance(y, np.roll(y, k, axis=0), yardstick.p)
        total = np.logaddexp(total, -far / yardstick.tau)
    return RowScores(total, len(shifts))


def bits_of(
    y: np.ndarray,
    y_pos: np.ndarray,
    yardstick: Yardstick,
    pool: RowScores | None = None,
) -> np.ndarray:
    """Bits above chance of each pair.

    Args:
        y: outputs, `[rows, m]`.
        y_pos: of the positives; in another order for a null.
        yardstick: the similarity.
        pool: of `pool_of`, where it is known already.

    Returns:
        `[rows]`.

    Example:
        >>> y = np.random.default_rng(0).normal(size=(300, 2))
        >>> bool(bits_of(y, y, fit_yardstick(y, y + 0.01, 2.0)).mean() > 4)
        True
    """
    pool = pool_of(y, yardstick) if pool is None else pool
    y, y_pos = np.asarray(y, float), np.asarray(y_pos, float)
    own = -_distance(y, y_pos, yardstick.p) / yardstick.tau
    return _bits(own, pool.pool, pool.entries)


def _bits(own: np.ndarray, pool: np.ndarray, entries: int) -> np.ndarray:
    loss = np.logaddexp(pool, own) - own
    return (np.log(entries + 1) - loss) / np.log(2)


def _distance(a: np.ndarray, b: np.ndarray, p: float) -> np.ndarray:
    far = np.abs(a - b)
    return np.sum(far if p == 1 else far**p, axis=-1)


def _shifts(rows: int) -> np.ndarray:
    """Shifts between rows, spread over all of them."""
    count = min(NEGATIVES, rows - 1)
    return np.unique(np.linspace(1, rows - 1, count).astype(int))
