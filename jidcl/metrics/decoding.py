"""Reading binary and ordered factors from frozen representations.

Host-side functions of NumPy or JAX arrays (they choose rows by value), but for
`fit_classes` and `decode_factors`.

Source: Reizinger et al. 2024, sections 5.2 and 5.3 and published code.
"""

from types import (
    ModuleType,
)
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc
from scipy import special

from jidcl.checks import (
    check_array,
    check_at_least,
    check_count,
    check_features,
    check_finite,
    check_real,
    check_rows,
    check_same_rows,
    check_scalar,
    check_shape,
)
from jidcl.metrics.columns import (
    correlate,
    dot,
    fit_affine,
    host_first,
    largest_of,
    standardised,
)
from jidcl.numerics import of_finite


class Decoded(NamedTuple):
    """A linear read-out: weights `[m]` and Pearson correlations."""

    weights: jax.Array
    train: jax.Array
    score: jax.Array


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
    if y.dtype == float:  # the same map, of Y: the condition of Y^T Y is its square
        rounding = max(y.shape) * np.finfo(float).eps
        inverse = of_finite(lambda y: xp.linalg.pinv(y, rounding), y, xp)
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
        tests: number of tests in it, at most 10^6.
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
    check_count("tests", tests, most=10**6)
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
