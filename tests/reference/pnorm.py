"""p-norm families exp(-(|d| / length)^p), by scipy.stats and by quadrature."""

import numpy as np
from scipy import integrate, stats

# The family's law by its own parameter, and its exponent p.
FAMILIES = {
    "laplace": (lambda scale: stats.laplace(scale=scale), 1.0),
    "normal": (lambda scale: stats.norm(scale=scale), 2.0),
    "gennorm": (lambda scale: stats.gennorm(3.0, scale=scale), 3.0),
}


def law(name, scale):
    """Frozen scipy law of one centred coordinate; a number names its exponent."""
    if name in FAMILIES:
        return FAMILIES[name][0](scale)
    return stats.gennorm(name, scale=scale)


def length(name, scale):
    """The l of exp(-(|d| / l)^p)."""
    return scale * np.sqrt(2) if name == "normal" else scale


def truncated_cdf(name, scale, mean, low, high):
    """CDF on [low, high] of the family around `mean` (inside the interval)."""
    base = law(name, scale)

    def half(reach):  # P(0 < d < reach), odd in reach
        return np.sign(reach) * (0.5 - base.sf(np.abs(reach)))

    total = half(high - mean) - half(low - mean)
    return lambda x: (half(x - mean) - half(low - mean)) / total


def truncated_log_density(name, scale, mean, low, high, z):
    """Log-density on [low, high], normalised with scipy's CDF; -inf outside."""
    base = law(name, scale)
    total = base.cdf(high - mean) - base.cdf(low - mean)
    z = np.asarray(z, np.float64)
    inside = (z >= low) & (z <= high)
    return np.where(inside, base.logpdf(z - mean) - np.log(total), -np.inf)


def projected_log_density(name, scale, z, mean):
    """log int_0^inf r^(n-1) prod_i q(r z_i - mean_i) dr, by adaptive quadrature."""
    base, n = law(name, scale), len(z)

    def log_f(r):
        r = np.asarray(r, np.float64)[..., None]
        return (n - 1) * np.log(r[..., 0]) + base.logpdf(r * z - mean).sum(-1)

    grid = np.geomspace(1e-12, 50 * (1 + scale * n), 40_001)
    values = log_f(grid)
    peak = values.max()
    keep = grid[values > peak - 40]
    with np.errstate(divide="ignore", invalid="ignore"):
        kinks = mean / z
    kinks = kinks[np.isfinite(kinks) & (kinks > keep[0]) & (kinks < keep[-1])]
    cuts = np.linspace(keep[0], keep[-1], 9)
    edges = np.unique(np.concatenate([cuts, kinks, [grid[values.argmax()]]]))
    area = sum(
        integrate.quad(lambda r: np.exp(log_f(r) - peak), a, b, epsrel=1e-10)[0]
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    )
    return peak + np.log(area)


def box_log_mass(z, low, high, lam, beta):
    """log int_low^high exp(-(|t - z| / lam)^beta) dt."""
    return np.log(_over(lambda t: np.exp(-((abs(t - z) / lam) ** beta)), z, low, high))


def box_energy(z, low, high, lam, beta, coeff=None, p=None):
    """E[coeff |t - z|^p] under the truncated law; the law's own energy by default."""
    coeff, p = (lam**-beta, beta) if coeff is None else (coeff, p)

    def weighted(t):
        return coeff * abs(t - z) ** p * np.exp(-((abs(t - z) / lam) ** beta))

    mass = np.exp(box_log_mass(z, low, high, lam, beta))
    return _over(weighted, z, low, high) / mass


def box_mean(value, low, high):
    """(1 / (high - low)) int value(z) dz of a function symmetric in the box."""
    # Panels shrink towards the face, where the integrand changes within lam.
    middle = (low + high) / 2
    edges = low + (middle - low) * np.concatenate([[0.0], 0.5 ** np.arange(8, -1, -1)])
    nodes, weights = np.polynomial.legendre.leggauss(10)
    total = 0.0
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        points = (a + b) / 2 + (b - a) / 2 * nodes
        total += (
            (b - a)
            / 2
            * sum(w * value(z) for w, z in zip(weights, points, strict=True))
        )
    return total / (middle - low)


def _over(f, z, low, high):
    left = integrate.quad(f, low, z, epsabs=1e-13, epsrel=1e-10, limit=200)[0]
    right = integrate.quad(f, z, high, epsabs=1e-13, epsrel=1e-10, limit=200)[0]
    return left + right
