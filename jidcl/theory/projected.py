"""The projected normal law beside the uniform one, in float64 on the host."""

import math

from scipy import integrate

from jidcl.checks import check_at_least, check_count, check_finite, check_scalar
from jidcl.numerics import log_sphere_area

LEAST = 1e-8  # of sigma: the digits of float64 have to resolve the law


def projected_normal_log_ratio(n: int, sigma: float, cosine: float) -> float:
    """log r(t): density of (e_1 + sigma eps)/||.|| relative to the uniform one.

    r(t) = |S| (2 pi sigma^2)^(-n/2) int_0^inf r^(n-1) exp(-(r^2 - 2 r t + 1) / 2
    sigma^2) dr at t = e_1.x, by quadrature around the integrand's mode.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, >= 1e-8.
        cosine: t in [-1, 1].

    Returns:
        The logarithm, nats.

    Raises:
        ValueError: on n < 2, sigma < 1e-8, or a cosine outside of [-1, 1].

    Example:
        >>> abs(projected_normal_log_ratio(3, 1e3, 0.5)) < 0.01  # nearly uniform
        True

    Source: this library; an integral along the ray.
    """
    _check_law(n, sigma)
    check_scalar("cosine", cosine)
    if not -1 <= cosine <= 1:
        raise ValueError(f"cosine must be in [-1, 1], got {cosine!r}")
    t = cosine
    mode = (t + math.sqrt(t * t + 4 * (n - 1) * sigma**2)) / 2

    def log_f(r):
        return (n - 1) * math.log(r) - (r * r - 2 * r * t + 1) / (2 * sigma**2)

    peak = log_f(mode)
    low, high = max(mode - 12 * sigma, 1e-300), mode + 12 * sigma
    area, _ = integrate.quad(
        lambda r: math.exp(log_f(r) - peak), low, high, epsabs=0, epsrel=1e-11
    )
    log_norm = log_sphere_area(n) - n / 2 * math.log(2 * math.pi * sigma**2)
    return log_norm + peak + math.log(area)


def projected_normal_tv(n: int, sigma: float) -> float:
    """Total variation between the projected normal of `sigma` and the uniform law.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, >= 1e-8.

    Returns:
        The distance, in (0, 1).

    Example:
        >>> projected_normal_tv(3, 0.05) > 0.9 > 0.1 > projected_normal_tv(3, 10.0)
        True

    Source: this library; quadrature of `projected_normal_log_ratio`.
    """
    return _over_cosine(n, lambda t, log_r: abs(math.expm1(log_r)) / 2, sigma)


def projected_normal_mean_cosine(n: int, sigma: float) -> float:
    """E[e_1.x] under the projected normal of `sigma`.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, >= 1e-8.

    Returns:
        The mean, in (0, 1).

    Example:
        >>> 0.99 < projected_normal_mean_cosine(3, 0.05) < 1
        True

    Source: this library; quadrature of `projected_normal_log_ratio`.
    """
    return _over_cosine(n, lambda t, log_r: t * math.exp(log_r), sigma)


def _over_cosine(n: int, value, sigma: float) -> float:
    """E over uniform points of value(t, log r(t)); t = cos(angle), by quadrature."""
    _check_law(n, sigma)
    sigma = float(sigma)
    log_norm = math.lgamma(n / 2) - math.lgamma((n - 1) / 2) - math.log(math.pi) / 2

    def integrand(angle):
        t = math.cos(angle)
        weight = math.exp(log_norm) * math.sin(angle) ** (n - 2)
        return value(t, projected_normal_log_ratio(n, sigma, t)) * weight

    cuts = sorted({min(k * sigma, math.pi / 2) for k in (0.5, 1, 2, 4, 8)})
    edges = [0.0, *cuts, math.pi]
    return sum(
        integrate.quad(integrand, a, b, epsabs=1e-9, epsrel=1e-7)[0]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    )


def _check_law(n: int, sigma: float) -> None:
    check_count("n", n, 2)
    check_at_least("sigma", sigma, LEAST)
    check_scalar("sigma", sigma)
    check_finite("sigma", sigma)
