"""The von Mises-Fisher law in float64, from its density c exp(kappa mean.z)."""

import numpy as np
from scipy import special, stats


def log_mean_exp(n, kappa):
    """log E_{u uniform} exp(kappa (u_1 - 1)), NaN where scipy's ive underflows."""
    if kappa == 0:
        return 0.0
    nu = n / 2 - 1
    bessel = special.ive(nu, kappa)
    if bessel < 1e-290:
        return np.nan
    return special.gammaln(n / 2) + nu * np.log(2 / kappa) + np.log(bessel)


def log_mean_exp_series(n, kappa):
    """The same from E u_1^(2m) = (1/2)_m / (n/2)_m, for kappa up to about 1000."""
    m = np.arange(1, int(4 * kappa) + 200)
    ratio = (kappa / 2) ** 2 / (m * (n / 2 + m - 1))
    with np.errstate(divide="ignore"):
        terms = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    return special.logsumexp(terms) - kappa


def mean_cosine(n, kappa):
    """I_{n/2}(kappa) / I_{n/2-1}(kappa), by the series where ive underflows."""
    bessel = special.ive(n / 2 - 1, kappa)
    if bessel > 1e-290:
        return special.ive(n / 2, kappa) / bessel
    ratio = log_mean_exp_series(n + 2, kappa) - log_mean_exp_series(n, kappa)
    return kappa / n * np.exp(ratio)


def log_area(n):
    """Log area of S^(n-1)."""
    return np.log(2) + n / 2 * np.log(np.pi) - special.gammaln(n / 2)


def log_density(n, kappa, cosine):
    """Log-density against the surface measure."""
    return kappa * (cosine - 1) - log_mean_exp(n, kappa) - log_area(n)


def angle_cdf(n, kappa):
    """CDF of the angle to the mean: closed forms at n = 2, 3, else quadrature."""
    if n == 2:
        if kappa == 0:
            return lambda a: np.asarray(a) / np.pi
        law = stats.vonmises(kappa)
        return lambda a: 2 * law.cdf(np.asarray(a)) - 1
    if n == 3:

        def below(a):  # 1 - cos a
            return 2 * np.sin(np.asarray(a) / 2) ** 2

        if kappa == 0:
            return lambda a: below(a) / 2
        return lambda a: np.expm1(-kappa * below(a)) / np.expm1(-2 * kappa)

    def log_f(a):
        return -2 * kappa * np.sin(a / 2) ** 2 + (n - 2) * np.log(np.sin(a))

    coarse = np.linspace(0, np.pi, 200_002)[1:-1]
    # Wide enough for every kappa: the mode of log_f has cos = mode below.
    half = (n - 2) / 2
    mode = np.arccos(kappa / (half + np.hypot(half, kappa))) if kappa else np.pi / 2
    keep = coarse[log_f(coarse) > log_f(mode) - 45]
    step = coarse[1] - coarse[0]
    low, high = max(keep[0] - step, 0.0), min(keep[-1] + step, np.pi)
    grid = np.linspace(low, high, 40_001)
    with np.errstate(divide="ignore"):
        density = np.exp(log_f(grid) - log_f(mode))
    cdf = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return lambda a: np.interp(a, grid, cdf / cdf[-1])


def angle(z, mean):
    """Angle between unit vectors from the chord, which keeps small angles."""
    chord = np.linalg.norm(np.asarray(z, np.float64) - np.asarray(mean), axis=-1)
    return 2 * np.arcsin(np.minimum(chord / 2, 1))
