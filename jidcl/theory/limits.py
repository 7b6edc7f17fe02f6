r"""Closed-form limits of the contrastive loss, in float64 on the host.

`L_inf = lim_{M -> inf} (loss - log M)` for uniform p(z), the true encoder and the model
q_h ~ exp(s / tau): Theorem 1 of Zimmermann et al. 2021 (after Wang and Isola 2020),
`L_inf = E_z[H(p(.|z), q_h(.|z))] - log |Z|`. Every function takes plain numbers and
returns a float (or a float64 array where it says so); values in nats.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy import integrate, special

from jidcl.checks import check_above, check_at_least, check_choice, check_ordered
from jidcl.latents.vmf import vmf_log_mean_exp, vmf_log_normaliser, vmf_mean_cosine
from jidcl.numerics import log_sphere_area


def vmf_limit(n: int, kappa: float, *, model_kappa: float | None = None) -> float:
    """L_inf on the sphere for an isometric encoder.

    log mu_n(k) - k A_n(kappa), with k the model's concentration (radius^2 / tau).

    Args:
        n: dimension, >= 2.
        kappa: concentration of the data, >= 0.
        model_kappa: k; the data's kappa (matched) when None.

    Returns:
        Nats.

    Example:
        >>> round(vmf_limit(3, 1.0), 8)
        -0.15159592
    """
    k = kappa if model_kappa is None else model_kappa
    return vmf_log_mean_exp(n, k) - k * vmf_mean_cosine(n, kappa)


def vmf_moment(n: int, kappa: float) -> float:
    """R = E_neg[w^2] of the matched density ratio: |S| c_n(kappa)^2 / c_n(2 kappa)."""
    log_c, log_c2 = vmf_log_normaliser(n, kappa), vmf_log_normaliser(n, 2 * kappa)
    log_r = log_sphere_area(n) + 2 * log_c - log_c2
    return math.exp(log_r) if log_r < 700 else math.inf


def vmf_correction(n: int, kappa: float, *, model_kappa: float | None = None) -> float:
    """E_pos[w] - Var_neg[w] / 2 for `finite_negatives`; (R + 1) / 2 when matched."""
    k = kappa if model_kappa is None else model_kappa
    data, model, both = (vmf_log_mean_exp(n, c) for c in (kappa, k, kappa + k))
    positive = math.exp(both - data - model)
    variance = math.exp(vmf_log_mean_exp(n, 2 * k) - 2 * model) - 1
    return positive - variance / 2


def vmf_self_weight(n: int, kappa: float) -> float:
    """Ratio w of the self pair for the model's kappa: exp(kappa) c_n(kappa) |S|."""
    return math.exp(kappa - vmf_log_mean_exp(n, kappa))


def box_log_mass(z: Any, low: float, high: float, lam: float, beta: float):
    """log Z(z), Z = int_low^high exp(-(|t - z| / lam)^beta) dt; float64, z's shape."""
    a, b = _reach(z, low, high, lam, beta)
    gamma = special.gamma(1 / beta)
    mass = special.gammainc(1 / beta, a) + special.gammainc(1 / beta, b)
    return np.log(lam / beta * gamma * mass)


def box_energy(z: Any, low: float, high: float, lam: float, beta: float):
    """e(z) = E[(|z_pos - z| / lam)^beta | z] of one truncated coordinate."""
    a, b = _reach(z, low, high, lam, beta)
    gamma = special.gamma(1 / beta)
    mass = gamma * (special.gammainc(1 / beta, a) + special.gammainc(1 / beta, b))
    edge = a ** (1 / beta) * np.exp(-a) + b ** (1 / beta) * np.exp(-b)
    return 1 / beta - edge / mass


def box_mean_energy(low: float, high: float, lam: float, beta: float) -> float:
    """E_z[e(z)] of one coordinate, z uniform on [low, high]."""
    _check_box(1, low, high, lam, beta)
    return _mean_over(lambda z: box_energy(z, low, high, lam, beta), low, high, lam)


def box_limit(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """Matched L_inf on [low, high]^n, n E_z[e(z) + log(Z(z) / (high - low))].

    The data's conditional is exp(-(|d| / lam)^beta), truncated; the model's similarity
    over tau is the same function. Normal data of standard deviation s: beta = 2,
    lam = sqrt(2) s.

    Example:
        >>> round(box_limit(1, 0, 1, 0.05, 1), 6)
        -1.419033
    """
    _check_box(n, low, high, lam, beta)
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
    """
    _check_box(n, low, high, lam, beta)
    check_above("coeff", coeff, 0)
    check_at_least("p", p, 1)
    model_lam, width = coeff ** (-1 / p), math.log(high - low)

    def integrand(z):
        energy = 0.0
        for reach in (z - low, high - z):
            part = special.gammainc((p + 1) / beta, (reach / lam) ** beta)
            energy = energy + part * special.gamma((p + 1) / beta)
        mass = np.exp(box_log_mass(z, low, high, lam, beta))
        energy = coeff * energy * lam ** (p + 1) / beta / mass
        return energy + box_log_mass(z, low, high, model_lam, p) - width

    return n * _mean_over(integrand, low, high, min(lam, model_lam))


def box_moment(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """R = E_neg[w^2] of the matched density ratio on the box."""
    _check_box(n, low, high, lam, beta)
    narrow = lam / 2 ** (1 / beta)

    def integrand(z):
        log_narrow = box_log_mass(z, low, high, narrow, beta)
        log_ratio = log_narrow - 2 * box_log_mass(z, low, high, lam, beta)
        return (high - low) * np.exp(log_ratio)

    return _mean_over(integrand, low, high, narrow) ** n


def box_self_weight(n: int, low: float, high: float, lam: float, beta: float) -> float:
    """Density ratio of the self pair, (E_z[(high - low) / Z(z)])^n."""
    _check_box(n, low, high, lam, beta)

    def integrand(z):
        return (high - low) * np.exp(-box_log_mass(z, low, high, lam, beta))

    return _mean_over(integrand, low, high, lam) ** n


def gauss_limit(n: int, marginal_std: float, cond_std: float, coeff: float) -> float:
    """L_inf on R^n: N(0, s^2) marginal, N(z, sig^2) conditional, -coeff ||d||^2.

    n [c sig^2 - log(1 + 2 c s^2) / 2 - c s^2 / (1 + 2 c s^2)], h an isometry.
    """
    check_at_least("n", n, 1)
    for name, value in (
        ("marginal_std", marginal_std),
        ("cond_std", cond_std),
        ("coeff", coeff),
    ):
        check_above(name, value, 0)
    u = 1 + 2 * coeff * marginal_std**2
    apart = coeff * marginal_std**2 / u
    return n * (coeff * cond_std**2 - math.log(u) / 2 - apart)


def best_gauss_coefficient(marginal_std: float, cond_std: float) -> float:
    """coeff that minimises `gauss_limit`: the best output scale, squared, at tau = 1.

    With u = 1 + 2 c s^2 and r = sig^2 / s^2 the stationary point is r u^2 - u - 1 = 0
    (r = 1: the golden ratio, output scale 0.55589). 0 for r >= 2: such pairs carry
    too little, and every positive coefficient is worse than a constant encoder.
    """
    check_above("marginal_std", marginal_std, 0)
    check_above("cond_std", cond_std, 0)
    ratio = (cond_std / marginal_std) ** 2
    u = (1 + math.sqrt(1 + 4 * ratio)) / (2 * ratio)
    return max(u - 1, 0.0) / (2 * marginal_std**2)


COMPOSITIONS = ("independent", "in_batch", "with_self")


def finite_negatives(
    limit: float,
    correction: float,
    count: int,
    *,
    composition: str = "independent",
    self_weight: float = 0.0,
) -> float:
    """Loss at a finite number of negatives, to first order in 1 / count.

    Args:
        limit: L_inf.
        correction: E_pos[w] - Var_neg[w] / 2 with w = exp(s / tau) / E_neg[...];
            (R + 1) / 2 where the model is matched.
        count: M independent negatives, or the batch B.
        composition: the positive is always counted; beside it `"independent"`: M
            negatives, log M + L_inf + correction / M; `"in_batch"`: the B - 1 other
            anchors, M = B - 1; `"with_self"`: those and the anchor itself,
            log B + L_inf + (correction + w_self - 1) / B.
        self_weight: w_self, for `"with_self"`.

    Returns:
        The loss in nats (not minus log M). It means something only where R is small
        beside M; jidcl uses it as a floor for R <= 0.1 M.

    Raises:
        ValueError: on an unknown composition or too small a count.
    """
    check_choice("composition", composition, COMPOSITIONS)
    check_at_least("count", count, 1 if composition == "independent" else 2)
    if composition == "with_self":
        return math.log(count) + limit + (correction + self_weight - 1) / count
    m = count if composition == "independent" else count - 1
    return math.log(m) + limit + correction / m


def projected_normal_log_ratio(n: int, sigma: float, cosine: float) -> float:
    """log r(t): density of (e_1 + sigma eps)/||.|| relative to the uniform one.

    r(t) = |S| (2 pi sigma^2)^(-n/2) int_0^inf r^(n-1) exp(-(r^2 - 2 r t + 1) / 2
    sigma^2) dr at t = e_1.x, by quadrature around the integrand's mode.
    """
    check_at_least("n", n, 2)
    check_above("sigma", sigma, 0)
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
    """Total variation between the projected normal of `sigma` and the uniform law."""
    return _over_cosine(n, lambda t, log_r: abs(math.expm1(log_r)) / 2, sigma)


def projected_normal_mean_cosine(n: int, sigma: float) -> float:
    """E[e_1.x] under the projected normal of `sigma`."""
    return _over_cosine(n, lambda t, log_r: t * math.exp(log_r), sigma)


def gennorm_moments(lam: float, beta: float) -> dict[str, float]:
    """Variance, mean |d| and log-density at d = lam of exp(-(|d| / lam)^beta)."""
    check_above("lam", lam, 0)
    check_at_least("beta", beta, 1)
    gammas = [math.gamma(k / beta) for k in (1, 2, 3)]
    return {
        "variance": lam**2 * gammas[2] / gammas[0],
        "mean_abs": lam * gammas[1] / gammas[0],
        "log_density_at_lam": math.log(beta / (2 * lam * gammas[0])) - 1,
    }


def _over_cosine(n: int, value, sigma: float) -> float:
    """E over uniform points of value(t, log r(t)); t = cos(angle), by quadrature."""
    check_at_least("n", n, 2)
    check_above("sigma", sigma, 0)
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


def _reach(z, low, high, lam, beta):
    z = np.asarray(z, np.float64)
    return ((z - low) / lam) ** beta, ((high - z) / lam) ** beta


def _check_box(n: int, low: float, high: float, lam: float, beta: float) -> None:
    check_at_least("n", n, 1)
    check_ordered("low", low, "high", high)
    check_above("lam", lam, 0)
    check_at_least("beta", beta, 1)


def ou_alignment_limit(rho, pair: str = "common_anchor"):
    """Least alignment of a representation with law N(0, I), per dimension.

    Views of a stationary normal process with correlation r have mean squared
    distance from their mean >= (1 - r) / 2 in each dimension, with equality for
    h(z) = Q z, Q orthogonal, alone. r = rho^2 for `"common_anchor"` pairs, rho for
    `"direct"` ones.

    Args:
        rho: correlation of one step.
        pair: see `jidcl.latents.sample_ou_pair`.

    Raises:
        ValueError: on an unknown pair.

    Source: Klindt, LeCun and Balestriero 2026, Theorem 1.
    """
    check_choice("pair", pair, ("common_anchor", "direct"))
    return jnp.asarray((1 - (rho**2 if pair == "common_anchor" else rho)) / 2)
