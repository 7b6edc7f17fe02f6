"""How alike two representations of the same rows are, up to the usual ambiguities.

Two runs, two seeds or two methods: neither is the truth. `compare` says how far they
agree up to order, sign and scale of their columns, and up to linear maps, each on rows
that chose nothing, beside what it is by chance.
"""

from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import check_count, check_finite, check_rows, check_same_rows
from jidcl.metrics.columns import standardised, widened
from jidcl.metrics.cross_fit import Matching, Reading, against, orders_in_folds
from jidcl.metrics.matching import fold_rows


class Similarity(NamedTuple):
    """Agreement of representations a and b, each score with its chance.

    Attributes:
        matched: cross-fitted MCC: 1 where columns are equal up to order, sign, scale.
        matched_null: its 95 % quantile over permuted rows of b.
        matched_p: its p-value under independence.
        linear: mean of the held-out R2 of a from b and of b from a: 1 where each is an
            affine map of the other. Unclipped; about -m / rows by chance.
        linear_null: its 95 % quantile over permuted rows of b.
        linear_p: its p-value under independence.
        a_from_b: held-out R2 of a read linearly from b.
        b_from_a: the other way.

    Example:
        >>> a = np.random.default_rng(0).normal(size=(60, 2))
        >>> round(compare(a, -a[:, ::-1]).matched, 3)
        1.0

    Source: this library.
    """

    matched: float
    matched_null: float
    matched_p: float
    linear: float
    linear_null: float
    linear_p: float
    a_from_b: float
    b_from_a: float


def compare(
    a: np.ndarray,
    b: np.ndarray,
    *,
    spearman: bool = False,
    permutations: int = 99,
    seed: int = 0,
) -> Similarity:
    """Similarity of two representations of the same rows, with nulls.

    Args:
        a: `[samples, m]`, at least 12 rows.
        b: `[samples, k]`, of the same rows.
        spearman: match by rank correlation: up to monotone maps of columns.
        permutations: of the rows of b, for nulls and p-values.
        seed: of the folds and permutations.

    Returns:
        `Similarity`. The least p-value is 1 / (permutations + 1).

    Raises:
        ValueError: on wrong shapes, values that are not finite, or too few rows.

    Example:
        >>> a = np.random.default_rng(0).normal(size=(100, 3))
        >>> turn = np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1]])
        >>> turned = compare(a, a @ turn)
        >>> round(turned.linear, 3), turned.matched < 0.95, turned.linear_p
        (1.0, True, 0.01)

    Source: this library; cross-fitting as Joshi et al. 2026.

    Notes:
        Rows are taken for exchangeable: of a time series the p-values are too small.
    """
    check_rows("a", a, 12)
    check_rows("b", b, 12)
    check_finite("a", a)
    check_finite("b", b)
    check_count("permutations", permutations)
    check_count("seed", seed, 0)
    check_same_rows("a", a, "b", b)
    both: Any = a, b
    first, second = (np.asarray(standardised(widened(x, np), np)) for x in both)
    folds = fold_rows(len(first), 5 if len(first) >= 15 else 2, seed=seed)
    orders = orders_in_folds(folds, permutations, seed)
    matching = Matching(first, second, folds, spearman)
    reading = Reading(first, second, folds)
    a_from_b = [float(reading.z_from_y(order).mean()) for order in orders]
    b_from_a = [float(reading.y_from_z(order).mean()) for order in orders]
    return Similarity(
        *against([matching.score(order) for order in orders]),
        *against([(x + y) / 2 for x, y in zip(a_from_b, b_from_a, strict=True)]),
        a_from_b[0],
        b_from_a[0],
    )
