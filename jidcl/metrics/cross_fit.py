"""Held-out scores under many orders of rows, what is fitted once computed once.

Orders move rows inside of folds alone. So the rows that a fold is fitted on stay
together, and what depends on one array alone is only reordered. Such orders are a
group, and p-values over them are valid as those over all orders.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from jidcl.metrics.cholesky import by_cholesky, factor, solve
from jidcl.metrics.columns import ranks, standardised

Rows = np.ndarray


def orders_in_folds(folds: Sequence[Rows], count: int, seed: int) -> list[Rows]:
    """The order as it is, and `count` random ones that keep every fold's rows in it."""
    rng = np.random.default_rng([seed, 1])
    plain = np.arange(sum(map(len, folds)))
    orders = [plain]
    for _ in range(count):
        order = plain.copy()
        for rows in folds:
            order[rows] = rng.permutation(rows)
        orders.append(order)
    return orders


class Fold:
    """Test rows, the others, and the place of each row in its part."""

    def __init__(self, samples: int, test: Rows):
        self.test, self.train = test, np.setdiff1d(np.arange(samples), test)
        self.place = np.empty(samples, int)
        self.place[test] = np.arange(len(test))
        self.place[self.train] = np.arange(len(self.train))

    def moved(self, order: Rows) -> tuple[Rows, Rows]:
        """Places of the training and of the test rows of an order."""
        return self.place[order[self.train]], self.place[order[self.test]]


class Matching:
    """`held_out_mcc` of z and y[order], for float64 arrays of the host."""

    def __init__(self, z: Rows, y: Rows, folds: Sequence[Rows], spearman: bool = False):
        self.folds = [Fold(len(z), rows) for rows in folds]
        n, m = z.shape[1], y.shape[1]
        least = 32 * np.finfo(np.float64).eps / max(n, m)
        self.bias = least * (np.arange(m)[None] if m >= n else np.arange(n)[:, None])
        self.parts = [
            [_scaled(x[rows], spearman) for x in (z, y) for rows in (f.train, f.test)]
            for f in self.folds
        ]

    def score(self, order: Rows) -> float:
        """The mean over folds, weighted by their rows."""
        total = 0.0
        for fold, parts in zip(self.folds, self.parts, strict=True):
            z_train, z_test, y_train, y_test = parts
            train, test = fold.moved(order)
            chosen = z_train.T @ y_train[train] / len(train)
            # Of assignments equal to rounding that of lower outputs, as in `mcc`.
            pairs = linear_sum_assignment(self.bias - np.abs(chosen))
            held = np.sum(z_test[:, pairs[0]] * y_test[test][:, pairs[1]], axis=0)
            signed = float(np.mean(np.sign(chosen[pairs]) * held))
            total += signed  # columns have length sqrt(rows): weighted by rows
        return total / len(order)


def _scaled(x: Rows, spearman: bool) -> Rows:
    held = ranks(x, np) if spearman else x  # type: ignore[arg-type]
    return np.asarray(standardised(held, np))  # type: ignore[arg-type]


class Reading:
    """Held-out R2 of z read by least squares from y[order], and of y[order] from z."""

    def __init__(self, z: Rows, y: Rows, folds: Sequence[Rows]):
        # R2 has no scale, and squares of raw columns may overflow.
        self.z, self.y = (_scaled(x, False) for x in (z, y))
        self.folds = [Fold(len(z), rows) for rows in folds]

    @cached_property
    def of_z(self) -> list["Factors"]:
        """How each fold reads from z."""
        return _factors(self.z, self.folds)

    @cached_property
    def of_y(self) -> list["Factors"]:
        """How each fold reads from y."""
        return _factors(self.y, self.folds)

    def z_from_y(self, order: Rows) -> np.ndarray:
        """R2 of every column of z."""
        left = 0.0
        for fold, (basis, inner, read) in zip(self.folds, self.of_y, strict=True):
            train, test = fold.moved(order)
            left += _missed((basis[train], inner, read[test]), self.z, fold)
        return _determined(left, self.z)

    def y_from_z(self, order: Rows) -> np.ndarray:
        """R2 of every column of y."""
        turned, left = self.y[order], 0.0
        for fold, factors in zip(self.folds, self.of_z, strict=True):
            left += _missed(factors, turned, fold)
        return _determined(left, self.y)


# Predictions of targets of mean 0 are read @ inner^-1 @ (basis.T @ targets), inner
# given by its Cholesky factor; no inner is the identity.
Factors = tuple[Rows, Rows | None, Rows]
_LEAST = 1e-7  # reciprocal condition of inner: digits that are lost


def _factors(x: Rows, folds: Sequence[Fold]) -> list[Factors]:
    """How the rows of each fold are read: least squares of least norm.

    By products of matrices where they are exact to rounding, and by singular values
    where columns, or the rows of a fold, are nearly dependent.
    """
    apart = by_cholesky(x)
    whole = None if apart is None else apart[0]
    return [_normal(x, whole, fold) or _singular(x, fold) for fold in folds]


def _normal(x: Rows, whole: Rows | None, fold: Fold) -> Factors | None:
    """By normal equations: of columns, or of rows where those are no more."""
    wide = len(fold.train) <= x.shape[1]
    held = x if wide else whole
    if held is None:
        return None
    train, test = held[fold.train], held[fold.test]
    mean = train.mean(axis=0, keepdims=True)
    if wide:
        # Centred rows add up to 0, as the targets do: what is added there is not read.
        train, test = train - mean, test - mean
        square = train @ train.T
        square += np.trace(square) / len(train) ** 2
        train, test = np.eye(len(train)), test @ train.T
    else:
        # All rows have orthonormal columns of mean 0; targets have mean 0.
        square = np.eye(x.shape[1]) - test.T @ test - len(train) * mean.T @ mean
        test = test - mean
    inner = factor(square, _LEAST)
    return None if inner is None else (train, inner, test)


def _singular(x: Rows, fold: Fold) -> Factors:
    """By singular values, those of rounding left out."""
    mean = x[fold.train].mean(axis=0, keepdims=True)
    u, s, v = np.linalg.svd(x[fold.train] - mean, full_matrices=False)
    kept = s > 1e-10 * max(s[0], 1e-300)
    return u[:, kept], None, (x[fold.test] - mean) @ (v[kept].T / s[kept][None])


def _missed(factors: Factors, targets: Rows, fold: Fold) -> np.ndarray:
    basis, inner, read = factors
    mean = targets[fold.train].mean(axis=0, keepdims=True)
    found = basis.T @ (targets[fold.train] - mean)
    if inner is not None:
        found = solve(inner, found)
    return np.sum((targets[fold.test] - mean - read @ found) ** 2, axis=0)


def _determined(left, whole: Rows) -> np.ndarray:
    """1 - SS_res / SS_tot of columns of mean 0; 0 where constant."""
    total = np.sum(whole**2, axis=0)
    return np.where(total > 0, 1 - left / np.where(total > 0, total, 1), 0)


def against(scores: Sequence[float]) -> tuple[float, float, float]:
    """The first score, the 95 % quantile of the others, and its p-value; NaN: 1."""
    own, null = float(scores[0]), np.asarray(scores[1:])
    reached = int(np.sum(~(null < own - 1e-12)))
    return own, float(np.quantile(null, 0.95)), (1 + reached) / len(scores)
