"""T-MEX: which codes depend on which factors, given the others, by linear tests.

On the host, in float64: from Gram matrices and one least squares for each split and
factor.

Source: the projected covariance measure of Lundborg et al. 2024; T-MEX as Joshi et al.
2026, published code.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import ndtr

from jidcl.checks import (
    check_at_least,
    check_count,
    check_finite,
    check_integers,
    check_rows,
    check_scalar,
    check_unit_interval,
    check_within,
)
from jidcl.metrics.columns import both, standardised

_FLOOR = 1e-12


class Dependence(NamedTuple):
    """Tests of every code and factor, given the other factors.

    Attributes:
        statistic: mean over splits, N(0, 1) or below under independence, `[m, d]`.
        p_value: one-sided, of the mean statistic: conservative, `[m, d]`.
        slope: mean over splits of the covariance of residual and prediction, `[m, d]`.
    """

    statistic: np.ndarray
    p_value: np.ndarray
    slope: np.ndarray


def pcm_linear(
    y: Any, z: Any, splits: Sequence[tuple[Any, Any]] | None = None, *, seed: int = 0
) -> Dependence:
    """Whether each code depends on each factor given the others, linearly.

    On training rows T: f regresses y on all factors, g on all but z_j. On the others S:
    L = (y - y regressed on z_-j) (h - h regressed on z_-j), h = f - g;
    statistic = sqrt(n_S) mean L / std L.

    Args:
        y: codes, `[samples, m]`.
        z: factors, `[samples, d]`.
        splits: training and other rows of each split; nine random halves when None.
        seed: of the random halves.

    Returns:
        `Dependence`.

    Raises:
        ValueError: on wrong shapes, values that are not finite, or parts of fewer than
            d + 2 rows.
        TypeError: on splits that are no pairs.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(60, 2))
        >>> (pcm_linear(z[:, :1], z).p_value < 0.05).tolist()
        [[True, False]]

    Source: Lundborg et al. 2024.

    Notes:
        A dependence that no linear regression sees counts as none. The test is of
        conditional independence; it is no test of exchangeability.
    """
    z, y = _checked(z, y)
    check_count("seed", seed, 0)
    samples, d = z.shape
    if splits is None:
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(samples) for _ in range(9)]
        splits = [(order[: samples // 2], order[samples // 2 :]) for order in orders]
    if isinstance(splits, str | bytes) or not hasattr(splits, "__len__"):
        raise TypeError(f"splits must be pairs of rows, got {splits!r}")
    check_at_least("number of splits", len(splits), 1)
    found = []
    for pair in splits:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"splits must be pairs of rows, got {pair!r}")
        for rows in pair:
            check_integers("rows of splits", rows)
            check_within("rows of splits", rows, samples)
            check_at_least("number of rows of splits", len(rows), d + 2)
        found.append(_on_split(y, z, *map(np.asarray, pair)))
    statistic = np.mean([one[0] for one in found], axis=0)
    slope = np.mean([one[1] for one in found], axis=0)
    return Dependence(statistic, ndtr(-statistic), slope)


def _checked(z: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    wide_z, wide_y = both(z, y, np)
    check_finite("z", z)
    check_finite("y", y)
    return np.asarray(wide_z), np.asarray(wide_y)


def _residual(basis: np.ndarray, target: np.ndarray) -> np.ndarray:
    """What least squares with intercept leaves."""
    target = target - target.mean(axis=0)
    if not basis.shape[1]:
        return target
    basis = basis - basis.mean(axis=0)
    return target - basis @ np.linalg.lstsq(basis, target, rcond=None)[0]


def _on_split(y, z, train, test) -> tuple[np.ndarray, np.ndarray]:
    m, d = y.shape[1], z.shape[1]
    statistic, slope = np.empty((m, d)), np.empty((m, d))
    for j in range(d):
        rest = np.delete(z, j, axis=1)
        # f - g is the partial slope times what z_-j leaves of z_j.
        own, left = (_residual(rest[train], x[train]) for x in (z[:, [j]], y))
        square = float(np.sum(own**2))
        partial = (own.T @ left)[0] / (square if square > 0 else np.inf)
        slope[:, j] = partial**2 * square / len(train)
        own, left = (_residual(rest[test], x[test]) for x in (z[:, [j]], y))
        product = left * own * partial[None]
        spread = np.sqrt(np.maximum(product.var(axis=0), _FLOOR))
        statistic[:, j] = np.sqrt(len(test)) * product.mean(axis=0) / spread
    return statistic, slope


class TmexScores(NamedTuple):
    """Scores of a matrix of dependences of codes on factors.

    Attributes:
        alignment: ones on the best assignment over min(d, m). A dense mixing has 1.
        error_count: 1 - share of entries that differ from the identity, as published;
            it takes code i for factor i.
        f1: 2 hits / (number of ones + d): sees what stands off the assignment.
    """

    alignment: float
    error_count: float
    f1: float


def tmex_scores(matrix: Any) -> TmexScores:
    """Scores of a matrix of zeros and ones, which code depends on which factor.

    Args:
        matrix: `[m, d]`, of 0 and 1.

    Returns:
        `TmexScores`.

    Raises:
        ValueError: on another shape or other entries.

    Example:
        >>> dense = tmex_scores(np.ones((3, 3)))
        >>> dense.alignment, dense.f1
        (1.0, 0.5)

    Source: Joshi et al. 2026, published code; f1 by this library.
    """
    check_rows("matrix", matrix)
    held = np.asarray(matrix, np.float64)
    if not np.isin(held, (0, 1)).all():
        raise ValueError("matrix must hold 0 and 1")
    m, d = held.shape
    hits = float(held[linear_sum_assignment(-held)].sum())
    wrong = float(np.mean(held != np.eye(m, d)))
    return TmexScores(hits / min(m, d), 1 - wrong, 2 * hits / float(held.sum() + d))


class Tmex(NamedTuple):
    """T-MEX of a representation, and the tests that it was read from.

    Attributes:
        alignment: see `TmexScores`.
        error_count: see `TmexScores`.
        f1: see `TmexScores`.
        matrix: rejected independences, `[m, d]`.
        statistic: see `Dependence`.
        p_value: see `Dependence`.
    """

    alignment: float
    error_count: float
    f1: float
    matrix: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray


def tmex(
    z: Any,
    y: Any,
    splits: Sequence[tuple[Any, Any]] | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 0,
    standardise: bool = True,
) -> Tmex:
    """T-MEX: does each factor have a code of its own, given the other factors.

    Args:
        z: factors, `[samples, d]`.
        y: codes, `[samples, m]`.
        splits: see `pcm_linear`.
        alpha: level of every test, in (0, 1).
        seed: of random halves.
        standardise: scale codes and factors first. The published test has an absolute
            floor of a variance, so that codes times 1e-4 score 0.

    Returns:
        `Tmex`.

    Raises:
        ValueError: on wrong shapes, values that are not finite, too few rows, or an
            alpha outside of (0, 1).
        TypeError: on a `standardise` that is no bool.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(80, 3))
        >>> mixed = z @ np.array([[1.0, 1, 2], [1, 2, 1], [2, 1, 1]])
        >>> tmex(z, mixed).alignment, tmex(z, mixed).f1
        (1.0, 0.5)

    Source: Joshi et al. 2026, published code.

    Notes:
        `alignment` is 1 for codes that depend on their factor, whatever else they
        depend on; read `f1`, which is 1 only without that. Both count tests, not
        sizes: with many rows the least dependence on another factor lowers `f1`. It
        does not see dependences that are not linear. By chance with many codes it is
        about 1 - (1 - 0.02)^m. It wants some 50 rows in each half.
    """
    z, y = _checked(z, y)
    check_scalar("alpha", alpha)
    check_unit_interval("alpha", alpha)
    if alpha in (0, 1):
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    if not isinstance(standardise, bool):
        raise TypeError(f"standardise must be a bool, got {standardise!r}")
    if standardise:
        z, y = (standardised(x, np) for x in (z, y))  # type: ignore[arg-type]
    found = pcm_linear(y, z, splits, seed=seed)
    matrix = (found.p_value < alpha).astype(np.float64)
    return Tmex(*tmex_scores(matrix), matrix, found.statistic, found.p_value)
