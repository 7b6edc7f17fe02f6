"""Linear Gaussian exchangeable pairs in closed form, and what tests see of them.

X_n = theta + e_n, Y_n = a X_n + psi + h_n: theta and psi belong to an environment,
n = 1, 2 are samples of it.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import check_above, check_at_least, check_scalar, check_unit_interval


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
    normal, q = NormalDist(), NormalDist().inv_cdf(1 - alpha / 2)
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
    quantile = NormalDist().inv_cdf
    both = quantile(1 - alpha / 2) + quantile(power)
    return math.ceil(given + 3 + (both / math.atanh(abs(correlation))) ** 2)


def _check_power(correlation: float, given: int, alpha: float) -> None:
    check_scalar("correlation", correlation)
    check_unit_interval("size of correlation", abs(correlation))
    if abs(correlation) == 1:
        raise ValueError(f"correlation must be in (-1, 1), got {correlation}")
    check_at_least("given", given, 0)
    check_scalar("alpha", alpha)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be in (0, 1), got {alpha}")
