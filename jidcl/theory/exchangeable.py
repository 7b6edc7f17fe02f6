"""Linear Gaussian exchangeable pairs in closed form, and what tests see of them.

X_n = theta + e_n, Y_n = a X_n + psi + h_n: theta and psi belong to an environment,
n = 1, 2 are samples of it.

A test of m samples an environment, halves averaged, is one of two: with e and h divided
by m / 2.
"""

import functools
import math
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from jidcl.checks import (
    check_above,
    check_at_least,
    check_scalar,
    check_shape,
    check_type,
    check_unit_interval,
)

_POINTS = 2**16  # of the integral over three statistics: its error is below 1e-3
_MOST = 10**9  # environments that are looked for


class LinearPair(NamedTuple):
    """The law of (X1, X2, Y1, Y2), and the correlations that tests look at.

    Attributes:
        covariance: of (X1, X2, Y1, Y2), `[4, 4]`.
        x1_y2_given_x2: partial correlation; 0 for X -> Y.
        y1_x2_given_y2: partial correlation; 0 where the two ratios of signal to noise
            are equal, although X -> Y.
        x1_y1: correlation.
        determinant: var theta var h - var psi var e; the second one is proportional
            to it.

    Example:
        >>> bool(linear_pair(1.0, 1.0, 1.0, 0.0, 1.0).determinant == 1)
        True

    Source: moments of the model.
    """

    covariance: jax.Array
    x1_y2_given_x2: jax.Array
    y1_x2_given_y2: jax.Array
    x1_y1: jax.Array
    determinant: jax.Array


def linear_pair(
    a: jax.Array | float,
    theta: jax.Array | float,
    e: jax.Array | float,
    psi: jax.Array | float,
    h: jax.Array | float,
) -> LinearPair:
    """The law of a linear Gaussian pair X -> Y.

    Args:
        a: slope of Y on X.
        theta: variance of the cause's parameter, >= 0.
        e: variance of the cause's noise, > 0.
        psi: variance of the mechanism's parameter, >= 0.
        h: variance of the mechanism's noise, > 0.

    Returns:
        `LinearPair`.

    Raises:
        ValueError: on a variance out of range.

    Example:
        >>> bool(abs(linear_pair(1.0, 0.5, 2.0, 0.5, 2.0).y1_x2_given_y2) < 1e-6)
        True

    Source: d-separation and the moments of the model.
    """
    check_scalar("a", a)
    for name, value in (("theta", theta), ("psi", psi)):
        check_scalar(name, value)
        check_at_least(name, value, 0)
    for name, value in (("e", e), ("h", h)):
        check_scalar(name, value)
        check_above(name, value, 0)
    a, theta, e, psi, h = (jnp.asarray(v, float) for v in (a, theta, e, psi, h))
    same, other = theta + e, theta
    y_same, y_other = a**2 * same + psi + h, a**2 * other + psi
    rows = (
        (same, other, a * same, a * other),
        (other, same, a * other, a * same),
        (a * same, a * other, y_same, y_other),
        (a * other, a * same, y_other, y_same),
    )
    cov = jnp.stack([jnp.stack(row) for row in rows])

    def given(i, j, k):
        def left(p, q):
            return cov[p, q] - cov[p, k] * cov[q, k] / cov[k, k]

        return left(i, j) / jnp.sqrt(left(i, i) * left(j, j))

    return LinearPair(
        cov,
        given(0, 3, 1),
        given(2, 1, 3),
        cov[0, 2] / jnp.sqrt(cov[0, 0] * cov[2, 2]),
        theta * h - psi * e,
    )


def fisher_power(
    correlation: float, environments: float, *, given: int = 1, alpha: float = 0.05
) -> float:
    """Probability that Fisher's z rejects at level alpha, to first order.

    Phi(m - q) + Phi(-m - q), m = sqrt(environments - given - 3) atanh(correlation),
    q the normal quantile at 1 - alpha / 2.

    Args:
        correlation: the true partial correlation, in (-1, 1).
        environments: i.i.d. samples of the test, above given + 3.
        given: number of variables conditioned on.
        alpha: level, in (0, 1).

    Returns:
        The probability.

    Raises:
        ValueError: on a number out of range.

    Example:
        >>> round(fisher_power(0.0, 100), 4), round(fisher_power(0.3, 100), 3)
        (0.05, 0.858)

    Source: Fisher 1924, the normal limit of z.
    """
    _check_power(correlation, given, alpha)
    check_scalar("environments", environments)
    check_above("environments", environments, given + 3)
    normal, q = NormalDist(), _critical(alpha)
    mean = math.sqrt(environments - given - 3) * math.atanh(correlation)
    return normal.cdf(mean - q) + normal.cdf(-mean - q)


def environments_needed(
    correlation: float, power: float, *, given: int = 1, alpha: float = 0.05
) -> int:
    """Environments from which Fisher's z rejects with a wanted probability.

    given + 3 + ((q + normal quantile of power) / atanh |correlation|)^2, rounded up.

    Args:
        correlation: the true partial correlation, in (-1, 1), not 0.
        power: wanted probability, in (alpha, 1).
        given: number of variables conditioned on.
        alpha: level, in (0, 1).

    Returns:
        The number.

    Raises:
        ValueError: on a number out of range.

    Example:
        >>> environments_needed(0.3, 0.9)
        114

    Source: `fisher_power`, its smaller tail left out.
    """
    _check_power(correlation, given, alpha)
    check_scalar("power", power)
    if correlation == 0:
        raise ValueError(
            "correlation must not be 0: no number of environments shows it"
        )
    if not alpha < power < 1:
        raise ValueError(f"power must be in ({alpha}, 1), got {power}")
    both = _critical(alpha) + NormalDist().inv_cdf(power)
    return math.ceil(given + 3 + (both / math.atanh(abs(correlation))) ** 2)


# The decision from three tests --------------------------------------------------------


class DecisionLaw(NamedTuple):
    """How often each structure is decided, three shares that add up to 1.

    Attributes:
        x_to_y: share of X -> Y.
        y_to_x: share of Y -> X.
        independent: share of no edge.

    Example:
        >>> sum(DecisionLaw(0.9, 0.1, 0.0))
        1.0

    Source: this library.
    """

    x_to_y: float
    y_to_x: float
    independent: float


def decision_law(
    pair: LinearPair, environments: float, *, alpha: float = 0.05
) -> DecisionLaw:
    """What three tests by Fisher's z decide on linear Gaussian pairs, to first order.

    z1, z2, z3 belong to X1, Y2 given X2; to Y1, X2 given Y2; to X1, Y1. Together they
    are normal with means sqrt(environments - given - 3) atanh(correlation) and the
    covariance 2 tr(F_i S F_j S): S is the covariance of the pair, and x' F_i x the
    influence of one environment on atanh of the sample correlation. The decision is no
    edge where no |z| is above the quantile at 1 - alpha / 2, else the test with the
    smallest |z| names the structure. The integral takes 2^16 points of an additive
    recurrence; its error is below 1e-3.

    Args:
        pair: of `linear_pair`, one law; slope 0 for independent variables.
        environments: i.i.d. samples of the tests, above 4.
        alpha: level of each test, in (0, 1).

    Returns:
        `DecisionLaw`.

    Raises:
        ValueError: on a number out of range, or several laws at once.
        TypeError: on a pair of another type.

    Example:
        >>> law = decision_law(linear_pair(1.0, 1.0, 1.0, 0.0, 1.0), 200)
        >>> round(law.x_to_y, 2), round(law.y_to_x, 2)
        (0.98, 0.02)

    Source: the delta method; the rule of Guo et al. 2023, bivariate experiment.
    """
    _check_decision(pair, alpha)
    check_scalar("environments", environments)
    check_above("environments", environments, 4)
    return _decided(*_joint(pair), float(environments), alpha)


def environments_for_accuracy(
    pair: LinearPair, accuracy: float, *, alpha: float = 0.05
) -> int:
    """Environments from which three tests by Fisher's z find X -> Y often enough.

    The smallest number for which `decision_law` has that share of X -> Y.

    Args:
        pair: of `linear_pair`, one law, its slope not 0.
        accuracy: wanted share of pairs whose structure is found, in (0, 1).
        alpha: level of each test, in (0, 1).

    Returns:
        The number, at least 5.

    Raises:
        ValueError: on a number out of range, or where 10^9 environments are too few:
            the two ratios of signal to noise are equal, or nearly.
        TypeError: on a pair of another type.

    Example:
        >>> law = linear_pair(1.0, 1.0, 1.0, 0.0, 1.0)
        >>> 40 < environments_for_accuracy(law, 0.9) < 120
        True

    Source: `decision_law`.
    """
    _check_decision(pair, alpha)
    check_scalar("accuracy", accuracy)
    if not 0 < accuracy < 1:
        raise ValueError(f"accuracy must be in (0, 1), got {accuracy}")
    means, root = _joint(pair)

    def reached(environments: int) -> bool:
        return _decided(means, root, environments, alpha).x_to_y >= accuracy

    if not reached(_MOST):
        raise ValueError(
            f"accuracy {accuracy} must be within reach of {_MOST} environments: the "
            "pair has slope 0, or two ratios of signal to noise that are nearly equal"
        )
    low, high = 4, _MOST  # reached at high, not at low
    while high - low > 1:
        middle = math.isqrt(low * high) if high > 2 * low else (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _joint(pair: LinearPair) -> tuple[np.ndarray, np.ndarray]:
    """Means of the statistics at size 1, and a root of their covariance."""
    cov = np.asarray(pair.covariance, np.float64)
    means, forms = [], []
    for i, j, given in ((0, 3, 1), (2, 1, 3), (0, 2, None)):
        u, v = (_residual(cov, k, given) for k in (i, j))
        r = u @ cov @ v
        squares = np.outer(u, u) + np.outer(v, v)
        product = np.outer(u, v) + np.outer(v, u)
        forms.append((product - r * squares) / (2 * (1 - r**2)) @ cov)
        means.append(math.atanh(r))
    joint = np.array([[2 * np.trace(a @ b) for b in forms] for a in forms])
    values, vectors = np.linalg.eigh(joint)
    return np.array(means), vectors * np.sqrt(np.maximum(values, 0))


def _residual(cov: np.ndarray, i: int, given: int | None) -> np.ndarray:
    """The form that has variance 1 and is what variable `given` leaves of i."""
    form = np.eye(4)[i]
    if given is not None:
        form = form - np.eye(4)[given] * cov[i, given] / cov[given, given]
    return form / np.sqrt(form @ cov @ form)


@functools.cache
def _normal_points() -> np.ndarray:
    """`_POINTS` points of a normal law in three dimensions, evenly spread."""
    root = 1.2207440846057596  # of x^4 = x + 1
    steps = root ** -np.arange(1.0, 4.0)
    return ndtri((0.5 + np.arange(1, _POINTS + 1)[:, None] * steps) % 1)


def _decided(
    means: np.ndarray, root: np.ndarray, environments: float, alpha: float
) -> DecisionLaw:
    sizes = np.sqrt(environments - 3 - np.array([1, 1, 0]))
    z = np.abs(_normal_points() @ root.T + sizes * means)
    kept = (z <= _critical(alpha)).all(axis=1)
    found = np.where(kept, 2, np.argmin(z, axis=1))
    shares = np.bincount(found, minlength=3) / _POINTS
    return DecisionLaw(*shares.tolist())


def _critical(alpha: float) -> float:
    """Normal quantile at 1 - alpha / 2, from the tail that keeps a small alpha."""
    return -NormalDist().inv_cdf(alpha / 2 or alpha)


def _check_decision(pair: LinearPair, alpha: float) -> None:
    check_type("pair", pair, LinearPair)
    check_shape("covariance of pair", pair.covariance, (4, 4))
    _check_alpha(alpha)


def _check_power(correlation: float, given: int, alpha: float) -> None:
    check_scalar("correlation", correlation)
    check_unit_interval("size of correlation", abs(correlation))
    if abs(correlation) == 1:
        raise ValueError(f"correlation must be in (-1, 1), got {correlation}")
    check_at_least("given", given, 0)
    _check_alpha(alpha)


def _check_alpha(alpha: float) -> None:
    check_scalar("alpha", alpha)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")
