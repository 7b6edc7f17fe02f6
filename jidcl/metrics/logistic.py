"""Reading classes from frozen representations by logistic regression.

`balanced_logistic` chooses rows by value, on the host; `fit_classes` is traceable.

Source: Reizinger et al. 2024, sections 5.2 and 5.3 and published code.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_at_least,
    check_count,
    check_finite,
    check_integers,
    check_real,
    check_rows,
    check_scalar,
    check_shape,
    check_within,
    is_traced,
)
from jidcl.compiled import compiled
from jidcl.numerics import logsumexp, one_by_one

MOST_SCALE = 1e15  # of columns about their means


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
        ValueError: on a part without both classes, a y that is not finite or beyond
            1e15 or below 1e-15 about its means, or strength <= 0.

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
    y, mean, _ = _about_its_mean(y)
    _check_scale(y)
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
    bias = w[-1] - (jnp.asarray(mean, y.dtype) * w[:-1]).sum()
    return Logistic(w[:-1], bias, correct(fit, target), score, rows, rows_score)


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
            features that are not finite, here or in the function, or beyond 1e15 or
            below 1e-15 about their means.

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
    y, _, place = _about_its_mean(y)
    _check_scale(y)
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


def _about_its_mean(y: Any) -> tuple[jax.Array, Any, Callable[[Any], jax.Array]]:
    """Columns minus their means, the means, and the same for other rows.

    An intercept that is free takes the means up. Those of NumPy are subtracted in
    float64.
    """
    mean = y.mean(axis=0) if isinstance(y, jax.Array) else y.mean(axis=0, dtype=float)
    kind = jax.dtypes.canonicalize_dtype(y.dtype)

    def place(rows: Any) -> jax.Array:
        if isinstance(rows, jax.Array):
            return rows - jnp.asarray(mean, rows.dtype)[None]
        return jnp.asarray((rows - np.asarray(mean)[None]).astype(kind))

    return place(y), mean, place


def _check_scale(y: jax.Array) -> None:
    """Raise where squares of columns about their means leave float32's range."""
    if is_traced(y):
        return
    largest = float(jnp.abs(y).max())
    if largest and not 1 / MOST_SCALE <= largest <= MOST_SCALE:
        raise ValueError(
            f"y about its means must be at most {MOST_SCALE:g} and at least "
            f"{1 / MOST_SCALE:g} where it is largest, got {largest:g}: standardise it, "
            "the penalty depends on its scale"
        )


def _with_one(y: jax.Array) -> jax.Array:
    return jnp.concatenate([y, jnp.ones_like(y[:, :1])], axis=1)


def _binary_loss(w, rows, target, ridge, strength: float) -> jax.Array:
    margins = jax.nn.softplus(rows @ w) - target * (rows @ w)
    return jnp.sum(ridge * w**2) / 2 + strength * jnp.sum(margins)


def _class_loss(w, rows, hot, ridge, strength: float) -> jax.Array:
    logits = rows @ w.reshape(ridge.shape)
    losses = logsumexp(logits, 1) - jnp.sum(hot * logits, axis=1)
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
