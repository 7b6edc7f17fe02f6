"""Reading binary and ordered factors from frozen representations.

Host-side functions of NumPy or JAX arrays (they choose rows by value), but for
`fit_classes` and `decode_factors`.

Source: Reizinger et al. 2024, sections 5.2 and 5.3 and published code.
"""

from collections.abc import Callable
from types import (
    ModuleType,
)
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc
from scipy import special

from jidcl.checks import (
    check_above,
    check_array,
    check_at_least,
    check_count,
    check_features,
    check_finite,
    check_integers,
    check_real,
    check_rows,
    check_same_rows,
    check_scalar,
    check_shape,
    check_within,
    is_traced,
)
from jidcl.compiled import compiled
from jidcl.metrics.columns import (
    correlate,
    dot,
    fit_affine,
    host_first,
    largest_of,
    on_host,
    standardised,
)
from jidcl.numerics import of_finite, one_by_one


class Decoded(NamedTuple):
    """A linear read-out: weights `[m]` and Pearson correlations."""

    weights: jax.Array
    train: jax.Array
    score: jax.Array


class Logistic(NamedTuple):
    """A logistic read-out on balanced rows.

    Attributes:
        weights: `[m]`.
        bias: intercept.
        train: accuracy on the balanced training rows.
        score: accuracy on the balanced held-out rows.
        train_rows: training rows used.
        score_rows: held-out rows used, counted from the first held-out one.
    """

    weights: jax.Array
    bias: jax.Array
    train: jax.Array
    score: jax.Array
    train_rows: np.ndarray
    score_rows: np.ndarray


class TTest(NamedTuple):
    """Two-sided one-sample t-test.

    Attributes:
        statistic: t.
        p_value: two-sided.
        alpha: level after Bonferroni's correction.
        significant: whether p_value < alpha.
    """

    statistic: jax.Array
    p_value: jax.Array
    alpha: float
    significant: jax.Array


@host_first
def linear_decode_pearson(
    y: jax.Array,
    t: jax.Array,
    y_score: jax.Array,
    t_score: jax.Array,
    *,
    xp: ModuleType = jnp,
) -> Decoded:
    """Pearson correlation of a factor with its linear read-out, fitted elsewhere.

    weights = pinv(Y^T Y) Y^T t with the standardised training factor: no intercept and
    no centring, as published.

    Args:
        y: training features, `[samples, m]`.
        t: training factor, `[samples]`.
        y_score: held-out features.
        t_score: held-out factor.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        The weights, and the correlations on both parts; 0 where the factor or its
        read-out does not vary.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (50, 3))
        >>> round(float(linear_decode_pearson(y, y[:, 0], y, y[:, 0]).score), 2)
        1.0

    Source: Reizinger et al. 2024, section 5.2 and published code.
    """
    check_rows("y", y, 2)
    for name, array, of, y_of in (
        ("y", y, "t", t),
        ("y_score", y_score, "t_score", t_score),
    ):
        check_rows(name, array, 2, width=y.shape[1])
        check_features(of, y_of)
        check_shape(of, y_of, array.shape[:1])
    size = largest_of(y, xp)  # the read-out depends on no scale
    y, y_score = y / size, y_score / size
    target = standardised(t[:, None], xp)
    if xp is np:  # the same map, from Y: the condition of Y^T Y is the square of Y's
        rounding = max(y.shape) * np.finfo(float).eps
        inverse = of_finite(lambda y: np.linalg.pinv(y, rcond=rounding), y, xp)
        weights = dot(inverse, target, xp)
    else:
        inverse = of_finite(
            lambda gram: jnp.linalg.pinv(gram, hermitian=True), dot(y.T, y)
        )
        weights = dot(inverse, dot(y.T, target))
    train, score = (
        correlate(factor[:, None], dot(rows, weights, xp), xp)[0]
        for factor, rows in ((t, y), (t_score, y_score))
    )
    return Decoded(weights[:, 0] / size, train, score)


@host_first
def decode_factors(
    y: jax.Array,
    t: jax.Array,
    y_score: jax.Array,
    t_score: jax.Array,
    *,
    intercept: bool = False,
    ridge: float = 0.0,
    xp: ModuleType = jnp,
) -> jax.Array:
    """Pearson correlation of every factor with its linear read-out, fitted elsewhere.

    `linear_decode_pearson` for many factors at once, by orthogonalised columns instead
    of Y^T Y, whose condition is the square of theirs; traceable.

    Args:
        y: training features, `[samples, m]`, of any scale and rank.
        t: training factors, `[samples, factors]`.
        y_score: held-out features.
        t_score: held-out factors.
        intercept: fit one as well; the published read-out has none.
        ridge: samples x ridge ||weights||^2 is added to the squares, for features that
            hardly ever differ from 0 (pixels near the edge); without an intercept.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[factors]`; 0 where a factor or its read-out does not vary.

    Raises:
        ValueError: on wrong shapes, a negative ridge, or one beside an intercept.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (50, 3))
        >>> float(decode_factors(y, y[:, :1], y, 2 - y[:, :1]).round(2)[0])
        -1.0

    Source: Reizinger et al. 2024, section 5.2 and published code.
    """
    for name, array in (("y", y), ("t", t), ("y_score", y_score), ("t_score", t_score)):
        check_rows(name, array, 2)
    check_same_rows("y", y, "t", t)
    check_same_rows("y_score", y_score, "t_score", t_score)
    check_rows("y_score", y_score, width=y.shape[1])
    check_rows("t_score", t_score, width=t.shape[1])
    check_at_least("ridge", ridge, 0)
    check_scalar("ridge", ridge)
    if ridge and intercept:
        raise ValueError(f"ridge must be 0 with an intercept, got {ridge!r}")
    target = standardised(t, xp)
    if ridge:
        more = (ridge * len(y)) ** 0.5 * xp.eye(y.shape[1], dtype=y.dtype)
        y = xp.concatenate([y, more])
        target = xp.pad(target, ((0, len(more)), (0, 0)))
    read = fit_affine(y, target, intercept=intercept, xp=xp)(y_score)
    return correlate(t_score, read, xp)


def balanced_rows(t: jax.Array) -> np.ndarray:
    """The first m rows of class 0, then of class 1; m = size of the smaller class.

    Raises:
        ValueError: unless t holds zeros and ones, and both.
    """
    check_real("t", t)
    values = np.asarray(t)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"t must hold zeros and ones, got {np.unique(values)}")
    rows = [np.flatnonzero(values == c) for c in (0, 1)]
    count = min(map(len, rows))
    check_at_least("rows of the smaller class of t", count, 1)
    return np.concatenate([part[:count] for part in rows])


def balanced_logistic(
    y: jax.Array, t: jax.Array, *, train: int, strength: float = 1.0, rounds: int = 50
) -> Logistic:
    """Accuracy of a logistic read-out, on balanced halves of both parts.

    Minimises ||w||^2 / 2 + strength sum log-loss, intercept free, by Newton's method.

    Args:
        y: features, `[samples, m]`.
        t: binary factor, `[samples]`.
        train: the first rows, fitted; the others are scored.
        strength: weight of the log-loss (scikit-learn's C).
        rounds: Newton steps.

    Returns:
        The fitted read-out and its accuracies.

    Raises:
        ValueError: on a part without both classes, a y that is not finite, or strength
            <= 0.

    Example:
        >>> t = jnp.tile(jnp.array([0.0, 1.0]), 20)
        >>> y = 2 * t[:, None] - 1
        >>> float(balanced_logistic(y, t, train=20).score)
        1.0

    Source: Reizinger et al. 2024, sections 5.2 and 5.3 and published code.
    """
    check_count("train", train, 2)
    check_rows("y", y, train + 2)
    check_real("t", t)
    check_shape("t", t, y.shape[:1])
    check_finite("y", y)
    check_above("strength", strength, 0)
    check_scalar("strength", strength)
    check_count("rounds", rounds)
    rows, rows_score = balanced_rows(t[:train]), balanced_rows(t[train:])
    y, _ = _about_its_mean(y)
    wide = _with_one(y)
    t = jnp.asarray(t).astype(y.dtype)
    fit, target = wide[:train][rows], t[:train][rows]
    ridge = jnp.ones(wide.shape[1], y.dtype).at[-1].set(0)

    start = jnp.zeros(wide.shape[1], y.dtype)
    w = _newton(_binary_loss, start, rounds, fit, target, ridge, strength)

    def correct(rows_of_y, labels):
        right = ((rows_of_y @ w) > 0) == (labels > 0.5)
        return jnp.mean(right, dtype=y.dtype)

    score = correct(wide[train:][rows_score], t[train:][rows_score])
    return Logistic(w[:-1], w[-1], correct(fit, target), score, rows, rows_score)


def fit_classes(
    y: jax.Array,
    label: jax.Array,
    classes: int,
    *,
    strength: float = 1.0,
    rounds: int = 20,
) -> Callable[[jax.Array], jax.Array]:
    """Multinomial logistic regression: a function from other rows to classes.

    Minimises ||W||^2 / 2 + strength sum log-loss, intercepts free, by damped Newton
    steps; traceable.

    Args:
        y: features, `[samples, m]`.
        label: classes 0 .. classes - 1, `[samples]`.
        classes: their number, >= 2.
        strength: weight of the log-loss (scikit-learn's C).
        rounds: Newton steps.

    Returns:
        `[rows, m] -> [rows]`, the likeliest class; -1, which is none, where a traced
        row, or the fit of traced ones, is not finite.

    Raises:
        ValueError: on other shapes, fewer than two classes, strength <= 0, or concrete
            features that are not finite, here or in the function.

    Example:
        >>> y = jnp.array([[-1.0], [-2.0], [1.0], [2.0]])
        >>> fit_classes(y, jnp.array([0, 0, 1, 1]), 2)(jnp.array([[-3.0], [3.0]]))
        Array([0, 1], dtype=int32)

    Source: von Kuegelgen et al. 2021, Causal3DIdent (accuracy of the class).
    """
    check_rows("y", y, 2)
    check_count("classes", classes, 2)
    check_integers("label", label, y.shape[:1])
    check_within("label", label, classes)
    check_above("strength", strength, 0)
    check_scalar("strength", strength)
    check_count("rounds", rounds)
    check_finite("y", y)
    y, place = _about_its_mean(y)
    wide = _with_one(y)
    hot = jax.nn.one_hot(label, classes, dtype=y.dtype)
    ridge = jnp.ones((wide.shape[1], classes), y.dtype).at[-1].set(1e-6)

    start = jnp.zeros(ridge.size, y.dtype)
    w = _newton(_class_loss, start, rounds, wide, hot, ridge, strength)

    def classify(rows: jax.Array) -> jax.Array:
        check_finite("y", rows)
        logits = _with_one(place(rows)) @ w.reshape(ridge.shape)
        found = jnp.isfinite(logits).all(axis=1)
        return jnp.where(found, jnp.argmax(logits, axis=1), -1)

    return classify


def _about_its_mean(y: Any) -> tuple[jax.Array, Callable[[Any], jax.Array]]:
    """Float64 NumPy columns minus their means, and the same for other rows.

    An intercept that is free takes the means up. All else is as it is.
    """
    if not on_host(y):
        return y, lambda rows: rows
    mean = y.mean(axis=0, keepdims=True)

    def place(rows: Any) -> jax.Array:
        if is_traced(rows):
            return rows - jnp.asarray(mean, rows.dtype)
        return jnp.asarray((np.asarray(rows) - mean).astype(np.float32))

    return place(y), place


def _with_one(y: jax.Array) -> jax.Array:
    return jnp.concatenate([y, jnp.ones_like(y[:, :1])], axis=1)


def _binary_loss(w, rows, target, ridge, strength: float) -> jax.Array:
    margins = jax.nn.softplus(rows @ w) - target * (rows @ w)
    return jnp.sum(ridge * w**2) / 2 + strength * jnp.sum(margins)


def _class_loss(w, rows, hot, ridge, strength: float) -> jax.Array:
    logits = rows @ w.reshape(ridge.shape)
    losses = jax.nn.logsumexp(logits, axis=1) - jnp.sum(hot * logits, axis=1)
    return jnp.sum(ridge.ravel() * w**2) / 2 + strength * jnp.sum(losses)


@compiled
def _newton(loss: Callable, w: jax.Array, rounds: int, *data: Any) -> jax.Array:
    """Minimum of loss(w, *data), smooth and convex, steps halved while they climb.

    A direction of next to no curvature, such as one number on all intercepts, makes
    the Hessian singular to rounding: its diagonal gains that much.
    """
    solve = one_by_one(jnp.linalg.solve)

    def objective(w):
        return loss(w, *data)

    def step(_, w):
        hessian = jax.hessian(objective)(w)
        rounding = 4 * jnp.finfo(w.dtype).eps * jnp.trace(hessian)
        regular = hessian + rounding * jnp.eye(w.size, dtype=w.dtype)
        full = solve(regular, jax.grad(objective)(w))
        # Far out the curvature vanishes.
        sizes = 0.5 ** jnp.arange(12, dtype=w.dtype)
        values = jax.vmap(lambda size: objective(w - size * full))(sizes)
        return w - sizes[jnp.argmin(values)] * full

    return jax.lax.fori_loop(0, rounds, step, w)


@host_first
def t_test(
    values: jax.Array,
    mean: float = 0.5,
    *,
    alpha: float = 0.05,
    tests: int = 1,
    xp: ModuleType = jnp,
) -> TTest:
    """Two-sided one-sample t-test of E[values] = mean, with Bonferroni's correction.

    Args:
        values: `[samples >= 2]`.
        mean: the hypothesis.
        alpha: level of the whole family.
        tests: number of tests in it.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        The statistic, its p-value and the verdict at the corrected level.

    Raises:
        ValueError: on fewer than two values, or alpha outside of (0, 1).

    Example:
        >>> test = t_test(jnp.array([0.9, 0.8, 0.85]), 0.5)
        >>> bool(test.significant)
        True

    Source: Reizinger et al. 2024, sections 5.2 and 5.3.
    """
    check_features("values", values)
    samples = values.shape[0]
    check_shape("values", values, (samples,))
    check_at_least("number of values", samples, 2)
    check_count("tests", tests)
    check_scalar("mean", mean)
    check_scalar("alpha", alpha)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha!r}")
    values = values - mean
    values = values / largest_of(values, xp)  # t depends on no scale
    t = xp.mean(values) / (xp.std(values, ddof=1) / samples**0.5)
    free = xp.asarray(samples - 1, t.dtype)
    ends = free / 2, xp.asarray(0.5, t.dtype), free / (free + t * t)
    p_value = special.betainc(*ends) if xp is np else betainc(*ends)
    return TTest(t, p_value, alpha / tests, p_value < alpha / tests)


def ordinal_levels(values: jax.Array) -> np.ndarray:
    """The rank of every value among the distinct ones, int `[samples]`.

    Args:
        values: numbers, `[samples]`.

    Returns:
        int `[samples]`, from 0.

    Example:
        >>> ordinal_levels(jnp.array([0.1, 0.9, 0.5, 0.1])).tolist()
        [0, 2, 1, 0]

    Source: this library.
    """
    _check_numbers(values)
    check_finite("values", values)
    return np.unique(np.asarray(values), return_inverse=True)[1]


def legacy_levels(values: jax.Array) -> np.ndarray:
    """trunc(value / second smallest distinct value), the published rule.

    It is right for multiples of that value from 0 on, and merges levels elsewhere; use
    `ordinal_levels`.

    Args:
        values: numbers, `[samples]`, at least two distinct ones.

    Returns:
        int `[samples]`.

    Example:
        >>> legacy_levels(jnp.array([0.0, 0.5, 1.0, 0.5])).tolist()
        [0, 1, 2, 1]

    Source: Reizinger et al. 2024, published code.
    """
    _check_numbers(values)
    check_finite("values", values)
    numbers = np.asarray(values)
    distinct = np.unique(numbers)
    check_at_least("number of distinct values", len(distinct), 2)
    return np.trunc(numbers / distinct[1]).astype(int)


def _check_numbers(values: jax.Array) -> None:
    """Raise unless `values` is `[samples]`, of numbers that have an order."""
    check_array("values", values)
    check_real("values", values)
    check_shape("values", values, (np.size(values),))
    missing = int(np.isnan(np.asarray(values, np.float64)).sum())
    if missing or not values.size:
        raise ValueError(f"values must be numbers, got {missing} NaN of {values.size}")
