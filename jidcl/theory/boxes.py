r"""Closed-form limits of the contrastive loss on a box, in float64 on the host.

One coordinate of the data's conditional is exp(-(|z_pos - z| / lam)^beta), truncated to
[low, high]; p(z) is uniform. The terms are those of `jidcl.theory.limits`; the means
over z are taken by quadrature. Values in nats.
"""

import math
from typing import Any

import numpy as np
from scipy import special

from jidcl.checks import (
    check_above,
    check_at_least,
    check_count,
    check_finite,
    check_ordered,
    check_real,
    check_scalar,
)


def box_log_mass(z: Any, low: float, high: float, lam: float, beta: float):
    """log Z(z), Z = int_low^high exp(-(|t - z| / lam)^beta) dt; float64, z's shape.

    Args:
        z: numbers in [low, high], of any shape.
        low: lower bound of the interval.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        float64, of z's shape.

    Example:
        >>> round(float(box_log_mass(0.5, 0.0, 1.0, 0.01, 1.0)), 4)  # log(2 lam)
        -3.912

    Source: Zimmermann et al. 2021 (the conditional); the incomplete gamma function.
    """
    return np.log(sum(_parts(0, z, low, high, lam, beta)))


def box_energy(z: Any, low: float, high: float, lam: float, beta: float):
    """e(z) = E[(|z_pos - z| / lam)^beta | z] of one truncated coordinate.

    Args:
        z: numbers in [low, high], of any shape.
        low: lower bound of the interval.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        float64, of z's shape.

    Example:
        >>> round(float(box_energy(0.5, 0.0, 1.0, 0.01, 1.0)), 6)  # 1 / beta far inside
        1.0

    Source: Zimmermann et al. 2021 (the conditional); moments of the truncated law.
    """
    mass = sum(_parts(0, z, low, high, lam, beta))
    return sum(_parts(beta, z, low, high, lam, beta)) / mass


def box_mean_energy(low: float, high: float, lam: float, beta: float) -> float:
    """E_z[e(z)] of one coordinate, z uniform on [low, high].

    Args:
        low: lower bound of the interval.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        The mean.

    Example:
        >>> 0.9 < box_mean_energy(0.0, 1.0, 0.01, 1.0) < 1.0
        True

    Source: Zimmermann et al. 2021 (the conditional); quadrature over z.
    """
    low, high, lam, beta = _checked(1, low, high, lam, beta)
    return _mean_over(lambda z: box_energy(z, low, high, lam, beta), low, high, lam)


def box_limit(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """Matched L_inf on [low, high]^n, n E_z[e(z) + log(Z(z) / (high - low))].

    The data's conditional is exp(-(|d| / lam)^beta), truncated; the model's similarity
    over tau is the same function. Normal data of standard deviation s: beta = 2,
    lam = sqrt(2) s.

    Args:
        n: dimension, >= 1.
        low: lower bound of each coordinate.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        Nats.

    Example:
        >>> round(box_limit(1, 0, 1, 0.05, 1), 6)
        -1.419033

    Source: Zimmermann et al. 2021, Theorem 1 on a convex body.
    """
    low, high, lam, beta = _checked(n, low, high, lam, beta)
    width = math.log(high - low)

    def integrand(z):
        energy = box_energy(z, low, high, lam, beta)
        return energy + box_log_mass(z, low, high, lam, beta) - width

    return n * _mean_over(integrand, low, high, lam)


def box_mismatched_limit(
    n: int, low: float, high: float, lam: float, beta: float, coeff: float, p: float
) -> float:
    """L_inf where the model's similarity over tau is -coeff |d|^p, the data's as above.

    n E_z[E[coeff |z_pos - z|^p | z] + log(Z_p(z) / (high - low))].

    Args:
        n: dimension, >= 1.
        low: lower bound of each coordinate.
        high: upper bound.
        lam: scale of the data's conditional, > 0.
        beta: its exponent, >= 1.
        coeff: coefficient of the model's similarity over tau, > 0.
        p: its exponent, >= 1.

    Returns:
        Nats.

    Example:
        >>> matched = box_limit(1, 0.0, 1.0, 0.05, 1.0)
        >>> mismatched = box_mismatched_limit(1, 0.0, 1.0, 0.05, 1.0, 20.0, 1.0)
        >>> abs(mismatched - matched) < 1e-9
        True

    Source: Zimmermann et al. 2021, Theorem 1 on a convex body.
    """
    low, high, lam, beta = _checked(n, low, high, lam, beta)
    check_above("coeff", coeff, 0)
    check_at_least("p", p, 1)
    for name, value in (("coeff", coeff), ("p", p)):
        check_scalar(name, value)
        check_finite(name, value)
    model_lam, width = coeff ** (-1 / p), math.log(high - low)

    def integrand(z):
        mass = sum(_parts(0, z, low, high, lam, beta))
        energy = sum(_parts(p, z, low, high, lam, beta)) / mass  # of |d / lam|^p
        energy = energy * (lam / model_lam) ** p
        return energy + box_log_mass(z, low, high, model_lam, p) - width

    return n * _mean_over(integrand, low, high, min(lam, model_lam))


def box_moment(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """R = E_neg[w^2] of the matched density ratio on the box.

    Args:
        n: dimension, >= 1.
        low: lower bound of each coordinate.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        R, >= 1; infinity where it exceeds what float64 holds.

    Example:
        >>> box_moment(2, 0.0, 1.0, 0.1, 1.0) > box_moment(1, 0.0, 1.0, 0.1, 1.0) > 1
        True

    Source: this library; the second moment of the density ratio.
    """
    low, high, lam, beta = _checked(n, low, high, lam, beta)
    narrow = lam / 2 ** (1 / beta)

    def integrand(z):
        log_narrow = box_log_mass(z, low, high, narrow, beta)
        log_ratio = log_narrow - 2 * box_log_mass(z, low, high, lam, beta)
        return (high - low) * np.exp(log_ratio)

    return _power(_mean_over(integrand, low, high, narrow), n)


def box_self_weight(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """Density ratio of the self pair, (E_z[(high - low) / Z(z)])^n.

    Args:
        n: dimension, >= 1.
        low: lower bound of each coordinate.
        high: upper bound.
        lam: scale of the conditional, > 0.
        beta: its exponent, >= 1.

    Returns:
        The ratio, >= 1; infinity where it exceeds what float64 holds.

    Example:
        >>> box_self_weight(1, 0.0, 1.0, 0.1, 1.0) > 1
        True

    Source: this library; the density ratio at distance 0.
    """
    low, high, lam, beta = _checked(n, low, high, lam, beta)

    def integrand(z):
        return (high - low) * np.exp(-box_log_mass(z, low, high, lam, beta))

    return _power(_mean_over(integrand, low, high, lam), n)


def gennorm_moments(lam: float, beta: float) -> dict[str, float]:
    """Variance, mean |d| and log-density at d = lam of exp(-(|d| / lam)^beta).

    Args:
        lam: scale, > 0.
        beta: exponent, >= 1.

    Returns:
        `variance`, `mean_abs` and `log_density_at_lam`.

    Example:
        >>> round(gennorm_moments(1.0, 1.0)["variance"], 4)  # Laplace
        2.0

    Source: moments of the generalised normal law.
    """
    _check_law(lam, beta)
    lam, beta = float(lam), float(beta)
    gammas = [math.gamma(k / beta) for k in (1, 2, 3)]
    return {
        "variance": lam * lam * gammas[2] / gammas[0],
        "mean_abs": lam * gammas[1] / gammas[0],
        "log_density_at_lam": math.log(beta / (2 * lam * gammas[0])) - 1,
    }


def _mean_over(integrand, low: float, high: float, lam: float) -> float:
    """(1/(high-low)) int_low^high, composite Gauss-Legendre, dense near the faces."""
    half = (high - low) / 2
    grid = np.concatenate([np.arange(1, 17) / 2 * lam, half / 8 * np.arange(1, 8)])
    cuts = np.unique(np.concatenate([[0.0], grid[grid < half], [half]]))
    edges = np.concatenate([low + cuts, high - cuts[-2::-1]])
    nodes, weights = np.polynomial.legendre.leggauss(32)
    centre, radius = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    z = centre[:, None] + radius[:, None] * nodes
    total = np.sum(radius[:, None] * weights * integrand(z))
    return float(total / (high - low))


def _parts(p: float, z, low, high, lam, beta) -> list:
    """int (t / lam)^p exp(-(t / lam)^beta) dt up to z - low, and up to high - z."""
    low, high, lam, beta = _checked(1, low, high, lam, beta)
    check_real("z", z)
    z, order, found = np.asarray(z, np.float64), (p + 1) / beta, []
    if ((z < low) | (z > high)).any():
        raise ValueError(f"z must be in [low, high] = [{low}, {high}], got {z}")
    for reach in (z - low, high - z):
        with np.errstate(over="ignore", under="ignore"):
            ratio = reach / lam
            end = ratio**beta
        # Near 0 the first term of the series: there the powers underflow.
        near = end < np.finfo(np.float64).eps ** 2
        tail = special.gammainc(order, np.where(near, 1.0, end))
        far = lam / beta * special.gamma(order) * tail
        close = reach * np.where(near, ratio, 0) ** p / (p + 1)
        found.append(np.where(near, close, far))
    return found


def _power(x: float, n: int) -> float:
    """x^n, infinity where float64 does not hold it."""
    return x**n if n * math.log(x) < 709 else math.inf


def _checked(n: int, low: float, high: float, lam: float, beta: float):
    """The numbers of a box as floats of Python."""
    check_count("n", n)
    check_ordered("low", low, "high", high)
    for name, end in (("low", low), ("high", high)):
        check_scalar(name, end)
        check_finite(name, end)
    _check_law(lam, beta)
    return float(low), float(high), float(lam), float(beta)


def _check_law(lam: float, beta: float) -> None:
    check_above("lam", lam, 0)
    check_at_least("beta", beta, 1)
    for name, value in (("lam", lam), ("beta", beta)):
        check_scalar(name, value)
        check_finite(name, value)
