"""The projected normal law beside the uniform one, in float64 on the host."""

import math

from scipy import integrate

from jidcl.checks import check_above, check_count, check_finite, check_scalar
from jidcl.numerics import log_sphere_area


def projected_normal_log_ratio(n: int, sigma: float, cosine: float) -> float:
    """log r(t): density of (e_1 + sigma eps)/||.|| relative to the uniform one.

    r(t) = |S| (2 pi sigma^2)^(-n/2) int_0^inf r^(n-1) exp(-(r^2 - 2 r t + 1) / 2
    sigma^2) dr at t = e_1.x, by quadrature around the integrand's mode.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, > 0.
        cosine: t in [-1, 1].

    Returns:
        The logarithm, nats.

    Raises:
        ValueError: on n < 2, sigma <= 0, or a cosine outside of [-1, 1].

    Example:
        >>> abs(projected_normal_log_ratio(3, 1e3, 0.5)) < 0.01  # nearly uniform
        True

    Source: this library; an integral along the ray.
    """
    _check_law(n, sigma)
    check_scalar("cosine", cosine)
    if not -1 <= cosine <= 1:
        raise ValueError(f"cosine must be in [-1, 1], got {cosine!r}")
    return _log_ratio(n, sigma, cosine, math.sqrt((1 - cosine) * (1 + cosine)))


def _log_ratio(n: int, sigma: float, t: float, sine: float) -> float:
    """`projected_normal_log_ratio` at cosine t: near 1 the sine has more digits."""
    # r = mode + width sigma x: the integrand is a few units of x wide at any sigma.
    root = math.hypot(t, 2 * math.sqrt(n - 1) * sigma)
    # (t + root) / 2, also where the two cancel.
    mode = (t + root) / 2 if t >= 0 else 2 * (n - 1) * sigma * (sigma / (root - t))
    width = 1 / math.sqrt(1 + (n - 1) * (sigma / mode) ** 2)
    share = width * (sigma / mode)
    apart, across = (mode - t) / sigma, sine / sigma

    def f(x):
        change = (n - 1) * math.log1p(share * x) - width * x * (apart + width * x / 2)
        return math.exp(change)

    # Beyond, it is below rounding: it falls as a normal law, or as a gamma law.
    low, high = max(-12.0, -(1 - 1e-12) / share), 12.0 if t >= 0 else 60.0
    area, _ = integrate.quad(f, low, high, epsabs=0, epsrel=1e-11)
    peak = (n - 1) * math.log(mode / sigma) - (apart * apart + across * across) / 2
    log_norm = log_sphere_area(n) - n / 2 * math.log(2 * math.pi)
    return log_norm + peak + math.log(width * area)


def projected_normal_tv(n: int, sigma: float) -> float:
    """Total variation between the projected normal of `sigma` and the uniform law.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, > 0.

    Returns:
        The distance, in (0, 1).

    Example:
        >>> projected_normal_tv(3, 0.05) > 0.9 > 0.1 > projected_normal_tv(3, 10.0)
        True

    Source: this library; quadrature of `projected_normal_log_ratio`.
    """
    return _over_cosine(n, lambda t, r, one: abs(r - one) / 2, sigma)


def projected_normal_mean_cosine(n: int, sigma: float) -> float:
    """E[e_1.x] under the projected normal of `sigma`.

    Args:
        n: dimension, >= 2.
        sigma: standard deviation of the noise, > 0.

    Returns:
        The mean, in (0, 1).

    Example:
        >>> 0.99 < projected_normal_mean_cosine(3, 0.05) < 1
        True

    Source: this library; quadrature of `projected_normal_log_ratio`.
    """
    return _over_cosine(n, lambda t, r, one: t * r, sigma)


def _over_cosine(n: int, value, sigma: float) -> float:
    """int value(t, r(t) w, w) d angle, w the uniform density; t = cos(angle)."""
    _check_law(n, sigma)
    sigma = float(sigma)
    log_norm = math.lgamma(n / 2) - math.lgamma((n - 1) / 2) - math.log(math.pi) / 2

    def integrand(angle):
        t = math.cos(angle)
        sine = max(math.sin(angle), 1e-300)
        log_one = log_norm + (n - 2) * math.log(sine)
        log_r = _log_ratio(n, sigma, t, sine)
        return value(t, math.exp(log_r + log_one), math.exp(log_one))

    # The angle is about sqrt(n - 1) sigma.
    widths = {
        k * sigma * root for k in (0.5, 1, 2, 4, 8) for root in (1, (n - 1) ** 0.5)
    }
    cuts = sorted({min(width, math.pi / 2) for width in widths})
    edges = [0.0, *cuts, math.pi]
    return sum(
        integrate.quad(integrand, a, b, epsabs=1e-9, epsrel=1e-7)[0]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    )


def _check_law(n: int, sigma: float) -> None:
    check_count("n", n, 2)
    check_above("sigma", sigma, 0)
    check_scalar("sigma", sigma)
    check_finite("sigma", sigma)
