"""Which output is which latent: correlations, their best assignment, and its score.

Any number of latents and outputs. A score on the rows that chose the assignment is
above zero for independent outputs; `held_out_mcc` is not. `jidcl.metrics.chance` says
how far above.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax.assignment
from scipy.optimize import linear_sum_assignment

from jidcl.checks import (
    check_at_least,
    check_count,
    check_integers,
    check_rows,
    check_within,
)
from jidcl.compiled import compiled
from jidcl.metrics.columns import both, dot, host_first, ranks, standardised


class Mcc(NamedTuple):
    """Mean correlation coefficient and what it was read from.

    Attributes:
        mean: mean |correlation| over the matched pairs, of which there are min(n, m).
        per_dim: |correlation| of each latent with its assigned output, `[n]`; 0 for a
            latent without one.
        columns: the output assigned to each latent, `[n]`; -1 for none.
        matrix: signed correlations, `[n, m]`.
        coverage: mean of `per_dim`: the mean over all latents, those left out as 0.
    """

    mean: jax.Array
    per_dim: jax.Array
    columns: jax.Array
    matrix: jax.Array
    coverage: jax.Array


@host_first
def mcc(
    z: jax.Array, y: jax.Array, *, spearman: bool = False, xp: ModuleType = jnp
) -> Mcc:
    """Mean correlation coefficient: identifiability up to permutation and rescaling.

    max over one-to-one assignments A of mean_(j, k) in A |corr(z_j, y_k)|.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        spearman: rank correlation (average ranks for ties) instead of Pearson.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `Mcc(mean, per_dim, columns, matrix, coverage)`. A constant column correlates 0.

    Raises:
        ValueError: on wrong shapes.

    Example:
        >>> z = jax.random.uniform(jax.random.key(0), (100, 3))
        >>> float(mcc(z, -2 * z[:, ::-1]).mean.round(5))
        1.0
        >>> found = mcc(z, z[:, 1:])  # one latent is lost
        >>> float(found.mean.round(5)), round(float(found.coverage), 5)
        (1.0, 0.66667)

    Source: Zimmermann et al. 2021, section 5; coverage: Joshi et al. 2026.

    Notes:
        The mean is 1 for outputs that are latents, each scaled (with ranks: each mapped
        monotonically). It does not see latents that no output has (`coverage` does),
        nor what outputs hold beside their latent. Independent outputs score about
        sqrt(2 ln max(n, m) / samples): `jidcl.theory.null_law` has the exact number.
        The assignment maximises the sum of absolute correlations, inside jit
        (`optax.assignment.hungarian_algorithm`). No split: nothing is fitted.
    """
    z, y = both(z, y, xp)
    return _mcc(z, y, spearman=spearman, xp=xp)


@compiled
def _mcc(z, y, *, spearman: bool, xp: ModuleType) -> Mcc:
    matrix = _correlations(z, y, spearman, xp)
    score = xp.abs(matrix)
    chosen, columns = _pairs(score, xp)
    per_dim = xp.sum(xp.where(chosen, score, 0), axis=1)
    per_dim = xp.where(xp.isnan(score).any(), xp.nan, per_dim)
    total = xp.sum(per_dim)
    return Mcc(
        total / min(score.shape), per_dim, columns, matrix, total / score.shape[0]
    )


def _pairs(score: jax.Array, xp: ModuleType) -> tuple[jax.Array, jax.Array]:
    """The best assignment of any shape: a mask `[n, m]`, and columns of rows or -1.

    Of assignments equal to rounding the one with the lower numbers of outputs.
    """
    n, m = score.shape
    least = 32 * float(xp.finfo(score.dtype).eps) / m
    score = score - least * xp.arange(m, dtype=score.dtype)[None]
    if m >= n:
        columns, _ = assign(score, xp=xp)
        return columns[:, None] == xp.arange(m, dtype=columns.dtype)[None], columns
    rows, _ = assign(score.T, xp=xp)
    chosen = rows[None] == xp.arange(n, dtype=rows.dtype)[:, None]
    return chosen, xp.where(chosen.any(axis=1), xp.argmax(chosen, axis=1), -1)


class HeldOutMcc(NamedTuple):
    """A matching score on rows that did not choose the matching.

    Attributes:
        mean: over folds, each weighted by its rows; 0 on average for independent
            outputs, and negative then half of the time.
        clipped: `mean` in [0, 1]: clip after averaging over seeds, not before.
        coverage: `mean` min(n, m) / n.
        folds: the score of each fold, `[folds]`.
        per_dim: what each latent adds, `[n]`: its correlation with its assigned output,
            averaged over folds as `mean` is; 0 in a fold that leaves it out.
    """

    mean: jax.Array
    clipped: jax.Array
    coverage: jax.Array
    folds: jax.Array
    per_dim: jax.Array


@host_first
def held_out_mcc(
    z: jax.Array,
    y: jax.Array,
    folds: Sequence[Any],
    *,
    spearman: bool = False,
    xp: ModuleType = jnp,
) -> HeldOutMcc:
    """MCC whose assignment and signs come from other rows than the score.

    sum over the assignment of sign(c_train) c_test / min(n, m), averaged over folds.
    One fold is a split into training and test rows; folds that are a partition of all
    rows are cross-fitting (`fold_rows` draws one).

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        folds: test rows of each fold, integer arrays; the others of all rows choose.
        spearman: rank correlation, ranks inside each part, instead of Pearson.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `HeldOutMcc(mean, clipped, coverage, folds, per_dim)`.

    Raises:
        ValueError: on wrong shapes, no fold, rows that are none, or a part of fewer
            than two rows.
        TypeError: on folds that are no sequence.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (100, 3))
        >>> round(float(held_out_mcc(z, -z, fold_rows(100, 5)).mean), 4)
        1.0
        >>> y = jax.random.normal(jax.random.key(1), (100, 3))
        >>> float(held_out_mcc(z, y, fold_rows(100, 5)).mean) < float(mcc(z, y).mean)
        True

    Source: Joshi et al. 2026, published code.

    Notes:
        It is 1 for the codes that `mcc` is 1 for and has expectation 0 under
        independence for any n, m and number of rows. It does not see what outputs hold
        beside their latent. A fold wants some ten rows at least.
    """
    z, y = both(z, y, xp)
    samples = z.shape[0]
    if isinstance(folds, str | bytes) or not hasattr(folds, "__len__"):
        raise TypeError(f"folds must be a sequence of rows, got {folds!r}")
    check_at_least("number of folds", len(folds), 1)
    held = []
    for rows in folds:
        check_integers("every one of folds", rows)
        check_within("every one of folds", rows, samples)
        test = np.unique(np.asarray(rows))
        if not 2 <= len(test) <= samples - 2:
            raise ValueError(
                f"every one of folds must leave and hold 2 of {samples} rows, "
                f"got {len(test)}"
            )
        held.append((np.setdiff1d(np.arange(samples), test), test))
    each = xp.stack([_on_split(z, y, a, b, spearman, xp) for a, b in held])
    least = min(z.shape[1], y.shape[1])
    scores = xp.sum(each, axis=1) / least
    weights = np.asarray([len(test) for _, test in held], scores.dtype)
    weights = weights / weights.sum()
    mean, per_dim = xp.sum(scores * weights), xp.sum(each * weights[:, None], axis=0)
    coverage = mean * least / z.shape[1]
    return HeldOutMcc(mean, xp.clip(mean, 0, 1), coverage, scores, per_dim)


@compiled
def _on_split(z, y, train, test, spearman: bool, xp: ModuleType) -> jax.Array:
    """Signed correlations of latents with their outputs, `[n]`."""
    c_train = _correlations(z[train], y[train], spearman, xp)
    c_test = _correlations(z[test], y[test], spearman, xp)
    chosen, _ = _pairs(xp.abs(c_train), xp)
    signed = xp.sum(xp.where(chosen, xp.sign(c_train) * c_test, 0), axis=1)
    return xp.where(xp.isnan(c_train).any() | xp.isnan(c_test).any(), xp.nan, signed)


def fold_rows(samples: int, folds: int = 5, *, seed: int = 0) -> list[np.ndarray]:
    """A random partition of rows into folds of nearly one size.

    Args:
        samples: number of rows.
        folds: number of folds, 2 <= folds <= samples / 3.
        seed: of the order of the rows.

    Returns:
        The rows of each fold, sorted.

    Raises:
        ValueError: on another number of folds.

    Example:
        >>> [len(rows) for rows in fold_rows(11, 3)]
        [4, 4, 3]

    Source: Joshi et al. 2026, published code.
    """
    check_count("samples", samples, 6)
    check_count("folds", folds, 2, samples // 3)
    check_count("seed", seed, 0)
    order = np.random.default_rng(seed).permutation(samples)
    return [np.sort(part) for part in np.array_split(order, folds)]


@host_first
def correlation_matrix(
    z: jax.Array, y: jax.Array, *, spearman: bool = False, xp: ModuleType = jnp
) -> jax.Array:
    """Correlations of every column of z with every column of y.

    Args:
        z: `[samples, n]`.
        y: `[samples, m]`.
        spearman: of the ranks in each column instead of the numbers.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[n, m]`, in [-1, 1]; 0 where a column is constant.

    Example:
        >>> z = jnp.array([[0.0], [1.0], [2.0]])
        >>> float(correlation_matrix(z, -(z**3), spearman=True).round(4)[0, 0])
        -1.0

    Source: the definitions of Pearson and Spearman.
    """
    z, y = both(z, y, xp)
    return _correlations(z, y, spearman, xp)


def _correlations(z, y, spearman: bool, xp: ModuleType) -> jax.Array:
    if spearman:
        z, y = ranks(z, xp), ranks(y, xp)
    return dot(standardised(z, xp).T, standardised(y, xp), xp) / z.shape[0]


def assign(score: jax.Array, *, xp: ModuleType = jnp) -> tuple[jax.Array, jax.Array]:
    """Assignment of rows to distinct columns with the largest total score.

    Args:
        score: `[n, m]`, m >= n; -infinity forbids a pair.
        xp: `jax.numpy`, or `numpy`.

    Returns:
        `(columns [n], total [])`; the total is NaN where a score is, and columns mean
        nothing then.

    Raises:
        ValueError: on another shape.

    Example:
        >>> columns, total = assign(jnp.array([[0.1, 0.9], [0.8, 0.7]]))
        >>> columns.tolist(), round(float(total), 2)
        ([1, 0], 1.7)

    Source: Kuhn 1955 (the assignment problem).
    """
    check_rows("score", score)
    check_at_least("columns of score", score.shape[1], score.shape[0])
    score = xp.asarray(score)
    # What is not finite need not end: infinities become what outweighs all others.
    finite = xp.where(xp.isfinite(score), score, 0)
    most = 1 + 2 * xp.sum(xp.abs(finite))
    finite = xp.where(score == xp.inf, most, xp.where(score == -xp.inf, -most, finite))
    if xp is np:
        rows, columns = linear_sum_assignment(-finite)
    else:
        rows, columns = _hungarian(-jnp.asarray(finite, jnp.result_type(float)))
        columns = columns[jnp.argsort(rows)]
    total = xp.sum(xp.take_along_axis(score, columns[:, None], axis=1))
    return columns, xp.where(xp.isnan(score).any(), xp.nan, total)


_hungarian = compiled(optax.assignment.hungarian_algorithm)
