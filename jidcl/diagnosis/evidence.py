"""What held-out pairs say of a fit: numbers, from arrays alone.

All scores are those of `jidcl.metrics` and `jidcl.estimate.bits`; nothing here is
fitted but the scale of the yardstick, on pairs that are not judged on.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.spatial import KDTree
from scipy.stats import kstest, kurtosis

from jidcl.estimate.bits import bits_of, fit_yardstick, pool_of
from jidcl.metrics import (
    correlation_matrix,
    effective_rank,
    feature_variance,
    mcc,
    r2,
    rotation_null,
)

PERMUTATIONS = 199
MOST_ROWS = 2000  # of held-out pairs that are looked at
NEAR_BEST = 0.05  # bits below the best run, within which a run has come as far,
NEAR_ERRORS = 2.0  # or so many standard errors of the difference


class Outputs(NamedTuple):
    """Outputs of every run of one exponent.

    Attributes:
        y: of the anchors to judge on, `[seeds, rows, m]`.
        y_pos: of their positives.
        stop: of the pairs that ended training, `[seeds, 2, rows, m]`.
    """

    y: np.ndarray
    y_pos: np.ndarray
    stop: np.ndarray


class Rival(NamedTuple):
    """Another exponent on the same pairs.

    Attributes:
        bits: mean bits above chance of its best run.
        gain: bits minus those of the encoder's best run.
        error: standard error of the gain, over rows.
    """

    bits: float
    gain: float
    error: float


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The numbers of a diagnosis.

    Attributes:
        rows: held-out pairs judged on.
        train_rows: pairs trained on.
        outputs: of the encoder, m.
        seeds: runs.
        p: exponent that bits are measured with.
        bits: above chance, of each run.
        bits_interval: 95 % of their mean, over rows.
        null_bits: 99 % quantile with shuffled partners.
        p_value: of the mean bits under shuffled partners.
        overfit: loss on pairs that stop training minus training loss, at its end, nats.
        reached: runs that came as far as the best: what is said of minima
            is said of them.
        matched: their agreement up to order, sign and scale, of each pair of them.
        linear: up to a linear map, the same.
        rotated: 95 % quantile of `matched` where runs agree up to a rotation alone.
        shuffled: 95 % quantile of `matched` for unrelated rows.
        linear_of_x: R2 of each output of the best run from x, linear, held out.
        effective: effective rank of the outputs of the best run.
        local: variance of each principal direction among nearest rows over that of the
            first, on average: near 0 where outputs lie on a surface.
        change: half the variance of a change over that of the outputs, by direction,
            least first: invariant to linear maps; 0 never changes, 1 shares nothing.
        correlated: largest |correlation| of two outputs of the best run.
        tails: largest excess kurtosis of a feature or an output, -1.2 for a uniform
            law.
        uniform: largest distance of an output's law from a uniform one (Kolmogorov).
        rivals: by exponent.
        constant: features that are constant.
        duplicate: pairs of features that are equal up to scale and shift.
    """

    rows: int
    train_rows: int
    outputs: int
    seeds: int
    p: float
    bits: tuple[float, ...]
    bits_interval: tuple[float, float]
    null_bits: float
    p_value: float
    overfit: float
    reached: int
    matched: tuple[float, ...]
    linear: tuple[float, ...]
    rotated: float
    shuffled: float
    linear_of_x: tuple[float, ...]
    effective: float
    local: tuple[float, ...]
    change: tuple[float, ...]
    correlated: float
    tails: float
    uniform: float
    rivals: Mapping[float, Rival]
    constant: tuple[int, ...]
    duplicate: tuple[tuple[int, int], ...]


def gather(
    x: np.ndarray,
    runs: Mapping[float, Outputs],
    *,
    p: float,
    best: int,
    overfit: float,
    train_rows: int,
    seed: int = 0,
) -> Evidence:
    """The evidence of an encoder and its rivals.

    Args:
        x: standardised anchors to judge on, `[rows, features]`.
        runs: outputs by exponent; those of `p` are the encoder's own.
        p: the encoder's exponent.
        best: position of its best run.
        overfit: loss on pairs that stop training minus training loss, nats.
        train_rows: pairs trained on.
        seed: of permutations and rotations.

    Returns:
        `Evidence`.
    """
    rng = np.random.default_rng(seed)
    rows: Any = np.asarray(x, float)[:MOST_ROWS]
    runs = {
        q: Outputs(*(np.asarray(part, float)[..., :MOST_ROWS, :] for part in held))
        for q, held in runs.items()
    }
    own = runs[p]
    same = np.arange(len(rows))
    orders = [rng.permutation(len(rows)) for _ in range(PERMUTATIONS)]
    measured = _bits(own, p, [same, *orders])
    bits = {q: _bits(held, q, [same])[:, 0] for q, held in runs.items() if q != p}
    bits[p] = measured[:, 0]
    mean = bits[p].mean(axis=0)
    nulls = measured[:, 1:].mean(axis=0).mean(axis=1)
    error = 1.96 * mean.std() / np.sqrt(len(mean))
    y: Any = own.y[best]
    change = own.y_pos[best] - y
    level = bits[p].mean(axis=1)
    behind = bits[p][level.argmax()] - bits[p]
    near = np.maximum(NEAR_BEST, NEAR_ERRORS * behind.std(axis=1) / np.sqrt(len(rows)))
    reached = np.flatnonzero(behind.mean(axis=1) <= near)
    matched, linear = agreement(own.y[reached])
    last: Any = own.y[-1]
    shared = [float(mcc(own.y[0][o], last, xp=np).mean) for o in orders[:99]]
    return Evidence(
        rows=len(rows),
        train_rows=train_rows,
        outputs=y.shape[1],
        seeds=len(own.y),
        p=p,
        bits=tuple(level.tolist()),
        bits_interval=(float(mean.mean() - error), float(mean.mean() + error)),
        null_bits=float(np.quantile(nulls, 0.99)),
        p_value=float((1 + np.sum(~(nulls < mean.mean()))) / (1 + PERMUTATIONS)),
        overfit=float(overfit),
        reached=len(reached),
        matched=matched,
        linear=linear,
        rotated=float(np.quantile(rotation_null(rng, y, draws=200, xp=np), 0.95)),
        shuffled=float(np.quantile(shared, 0.95)),
        linear_of_x=tuple(np.ravel(_read_from(rows, y)).tolist()),
        effective=float(effective_rank(y, xp=np)),
        local=_local(y),
        change=_change(y, change),
        correlated=_largest_off(y),
        tails=max(_tails(rows), _tails(y)),
        uniform=_from_uniform(y),
        rivals=_rivals(bits, p),
        constant=tuple(np.flatnonzero(feature_variance(rows, xp=np) == 0).tolist()),
        duplicate=_duplicates(rows),
    )


def agreement(y: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How far runs agree on the same rows, for each pair of runs.

    Args:
        y: outputs, `[seeds, rows, m]`.

    Returns:
        `(matched, linear)`: up to order, sign and scale, and up to a linear map; none
        for one run.
    """
    matched, linear = [], []
    for a, b in itertools.combinations(y, 2):
        matched.append(float(mcc(a, b, xp=np).mean))
        linear.append(float(_read_from(a, b).mean() + _read_from(b, a).mean()) / 2)
    return tuple(matched), tuple(linear)


def _read_from(x: Any, y: Any) -> np.ndarray:
    """R2 of each column of y from x on the second half; NaN where rows are too few."""
    if len(x) <= 2 * x.shape[1] + 2:
        return np.full(y.shape[1], np.nan)
    return np.asarray(r2(y, x, split=True, xp=np).per_dim)


def _bits(held: Outputs, p: float, orders: Sequence[np.ndarray]) -> np.ndarray:
    """Bits of each run with its partners in each order, `[seeds, orders, rows]`."""
    found = []
    for y, y_pos, stop in zip(held.y, held.y_pos, held.stop, strict=True):
        yardstick = fit_yardstick(stop[0], stop[1], p)
        pool = pool_of(y, yardstick)
        found.append([bits_of(y, y_pos[order], yardstick, pool) for order in orders])
    return np.array(found)


def _rivals(bits: Mapping[float, np.ndarray], p: float) -> dict[float, Rival]:
    best = {q: own[own.mean(axis=1).argmax()] for q, own in bits.items()}
    rivals = {}
    for q, own in best.items():
        if q != p:
            gain = own - best[p]
            error = gain.std() / np.sqrt(len(gain))
            rivals[q] = Rival(float(own.mean()), float(gain.mean()), float(error))
    return rivals


def _varies(y: np.ndarray) -> np.ndarray:
    """Of each column, whether its spread is no rounding."""
    std = y.std(axis=0)
    return std > 1e-6 * max(float(std.max()), 1e-30)


def _tails(rows: np.ndarray) -> float:
    return float(np.max(kurtosis(rows[:, _varies(rows)], axis=0), initial=-1.2))


def _local(y: np.ndarray) -> tuple[float, ...]:
    held = y[:, y.std(axis=0) > 0]
    count = min(len(held), max(12, 4 * held.shape[1]))
    if held.shape[1] == 0 or len(held) < 12:
        return ()
    near = held[KDTree(held).query(held[:1000], k=count)[1]]
    near = near - near.mean(axis=1, keepdims=True)
    values = np.linalg.svd(near, compute_uv=False)[:, : held.shape[1]] ** 2
    first = np.where(values[:, :1] > 0, values[:, :1], 1)
    shares = (values / first).mean(axis=0)
    return (*shares.tolist(), *[0.0] * (y.shape[1] - held.shape[1]))


def _change(y: np.ndarray, change: np.ndarray) -> tuple[float, ...]:
    kept = _varies(y)
    if not kept.any():
        return ()
    held, moved = y[:, kept], change[:, kept]
    centred = held - held.mean(axis=0)
    covariance = centred.T @ centred / len(y)
    covariance += 1e-9 * np.trace(covariance) * np.eye(len(covariance))
    values = eigh(moved.T @ moved / (2 * len(y)), covariance, eigvals_only=True)
    return tuple(np.clip(values, 0, None).tolist())


def _largest_off(y: Any) -> float:
    matrix = np.abs(np.asarray(correlation_matrix(y, y, xp=np)))
    return float(np.max(matrix - np.diag(np.diag(matrix)), initial=0.0))


def _from_uniform(y: np.ndarray) -> float:
    found = []
    for column in y[:, _varies(y)].T:
        low, high = np.quantile(column, [0.005, 0.995])
        found.append(kstest((column - low) / (high - low), "uniform").statistic)
    return float(max(found, default=1.0))


def _duplicates(x: Any) -> tuple[tuple[int, int], ...]:
    matrix = np.abs(np.asarray(correlation_matrix(x, x, xp=np)))
    pairs = np.argwhere(np.triu(matrix, 1) > 1 - 1e-6)
    return tuple((int(i), int(j)) for i, j in pairs[:20])
