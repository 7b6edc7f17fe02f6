r"""Closed-form limits of the contrastive loss, in float64 on the host.

`L_inf = lim_{M -> inf} (loss - log M)` for uniform p(z), the true encoder and the model
q_h ~ exp(s / tau): Theorem 1 of Zimmermann et al. 2021 (after Wang and Isola 2020),
`L_inf = E_z[H(p(.|z), q_h(.|z))] - log |Z|`. Every function takes plain numbers and
returns a float (or a float64 array where it says so); values in nats.
"""

import math

import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_finite,
    check_scalar,
    check_unit_interval,
)
from jidcl.latents.vmf import (
    vmf_parts,
)


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

    Source: Zimmermann et al. 2021, Theorem 1.
    """
    k = kappa if model_kappa is None else model_kappa
    _check_kappas(n, kappa, k)
    short = vmf_parts(n, kappa)[2]
    # k (1 - A): nothing cancels at large k.
    return vmf_parts(n, k)[0] + (k / kappa * short if kappa > 0 else k)


def vmf_moment(n: int, kappa: float) -> float:
    """R = E_neg[w^2] of the matched density ratio: |S| c_n(kappa)^2 / c_n(2 kappa).

    Args:
        n: dimension, >= 2.
        kappa: concentration, >= 0.

    Returns:
        R, >= 1; infinity where it exceeds what float64 holds.

    Example:
        >>> round(vmf_moment(3, 0.0), 4)
        1.0

    Source: this library; the second moment of the density ratio.
    """
    _check_kappas(n, kappa, kappa)
    return _exp(vmf_parts(n, 2 * kappa)[0] - 2 * vmf_parts(n, kappa)[0])


def vmf_correction(n: int, kappa: float, *, model_kappa: float | None = None) -> float:
    """E_pos[w] - Var_neg[w] / 2 for `finite_negatives`; (R + 1) / 2 when matched.

    Args:
        n: dimension, >= 2.
        kappa: concentration of the data, >= 0.
        model_kappa: that of the model; the data's (matched) when None.

    Returns:
        The correction; an infinity where it exceeds what float64 holds.

    Example:
        >>> abs(vmf_correction(3, 1.0) - (vmf_moment(3, 1.0) + 1) / 2) < 1e-9
        True

    Source: this library; the expansion of Zimmermann et al. 2021, Theorem 1, in 1 / M.
    """
    k = kappa if model_kappa is None else model_kappa
    _check_kappas(n, kappa, k)
    concentrations = kappa, k, kappa + k, 2 * k
    data, model, both, twice = (vmf_parts(n, c)[0] for c in concentrations)
    logs = both - data - model, twice - 2 * model  # of E_pos[w] and of R
    top = max(*logs, 0.0)
    # (sum of terms) e^top, the terms of ordinary size.
    terms = math.exp(logs[0] - top) - math.exp(logs[1] - top) / 2 + math.exp(-top) / 2
    return terms * _exp(top)


def _check_kappas(n: int, kappa: float, model_kappa: float) -> None:
    check_count("n", n, 2)
    for name, value in (("kappa", kappa), ("model_kappa", model_kappa)):
        check_at_least(name, value, 0)
        check_scalar(name, value)
        if not value <= 1e300:
            raise ValueError(f"{name} must be <= 1e300, got {value!r}")


def vmf_self_weight(n: int, kappa: float) -> float:
    """Ratio w of the self pair for the model's kappa: exp(kappa) c_n(kappa) |S|.

    Args:
        n: dimension, >= 2.
        kappa: concentration, >= 0.

    Returns:
        The ratio, >= 1; infinity where it exceeds what float64 holds.

    Example:
        >>> round(vmf_self_weight(3, 0.0), 4)
        1.0

    Source: this library; the density ratio at distance 0.
    """
    _check_kappas(n, kappa, kappa)
    return _exp(-vmf_parts(n, kappa)[0])


def _exp(x: float) -> float:
    """exp(x), infinity where float64 does not hold it."""
    return math.exp(x) if x < 709 else math.inf


def gauss_limit(n: int, marginal_std: float, cond_std: float, coeff: float) -> float:
    """L_inf on R^n: N(0, s^2) marginal, N(z, sig^2) conditional, -coeff ||d||^2.

    n [c sig^2 - log(1 + 2 c s^2) / 2 - c s^2 / (1 + 2 c s^2)], h an isometry.

    Args:
        n: dimension, >= 1.
        marginal_std: s > 0.
        cond_std: sig > 0.
        coeff: c > 0.

    Returns:
        Nats.

    Example:
        >>> gauss_limit(2, 1.0, 0.1, 4.0) == 2 * gauss_limit(1, 1.0, 0.1, 4.0)
        True

    Source: this library; Theorem 1 of Zimmermann et al. 2021 for normal laws.
    """
    check_count("n", n)
    for name, value in (
        ("marginal_std", marginal_std),
        ("cond_std", cond_std),
        ("coeff", coeff),
    ):
        check_above(name, value, 0)
        check_scalar(name, value)
    # No square on the way is larger or smaller than what it is needed for.
    root = math.sqrt(coeff)
    own, other = root * marginal_std, root * cond_std
    if own < 1:
        log_u, apart = math.log1p(2 * own * own), own * own / (1 + 2 * own * own)
    else:
        inverse = 1 / own
        log_u = 2 * math.log(own) + math.log(2 + inverse * inverse)
        apart = 1 / (2 + inverse * inverse)
    return n * (other * other - log_u / 2 - apart)


def best_gauss_coefficient(marginal_std: float, cond_std: float) -> float:
    """coeff that minimises `gauss_limit`: the best output scale, squared, at tau = 1.

    With u = 1 + 2 c s^2 and r = sig^2 / s^2 the stationary point is r u^2 - u - 1 = 0
    (r = 1: the golden ratio, output scale 0.55589). 0 for r >= 2: such pairs carry
    too little, and every positive coefficient is worse than a constant encoder.

    Args:
        marginal_std: s > 0.
        cond_std: sig > 0.

    Returns:
        The coefficient, >= 0.

    Example:
        >>> round(best_gauss_coefficient(1.0, 1.0) ** 0.5, 5)
        0.55589

    Source: this library; the stationary point of `gauss_limit`.
    """
    check_above("marginal_std", marginal_std, 0)
    check_above("cond_std", cond_std, 0)
    for name, value in (("marginal_std", marginal_std), ("cond_std", cond_std)):
        check_scalar(name, value)
        check_finite(name, value)
    root = cond_std / marginal_std
    ratio = root * root
    if ratio >= 2:
        return 0.0
    # (u - 1) / (2 s^2), by r s^2 = sig^2.
    top = 1 + math.sqrt(1 + 4 * ratio) - 2 * ratio
    return top / (2 * cond_std) / (2 * cond_std)


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

    Example:
        >>> round(finite_negatives(-1.0, 2.0, 100), 4)  # log 100 - 1 + 2 / 100
        3.6252

    Source: this library; the expansion of Zimmermann et al. 2021, Theorem 1, in 1 / M.
    """
    check_choice("composition", composition, COMPOSITIONS)
    check_count("count", count, 1 if composition == "independent" else 2)
    for name, value in (
        ("limit", limit),
        ("correction", correction),
        ("self_weight", self_weight),
    ):
        check_scalar(name, value)
    if composition == "with_self":
        return math.log(count) + limit + (correction + self_weight - 1) / count
    m = count if composition == "independent" else count - 1
    return math.log(m) + limit + correction / m


def ou_alignment_limit(rho, pair: str = "common_anchor"):
    """Least alignment of a representation with law N(0, I), per dimension.

    Views of a stationary normal process with correlation r have mean squared
    distance from their mean >= (1 - r) / 2 in each dimension, with equality for
    h(z) = Q z, Q orthogonal, alone. r = rho^2 for `"common_anchor"` pairs, rho for
    `"direct"` ones.

    Args:
        rho: correlation of one step.
        pair: see `jidcl.latents.sample_ou_pair`.

    Returns:
        A scalar array in [0, 1/2].

    Raises:
        ValueError: on an unknown pair.

    Example:
        >>> round(float(ou_alignment_limit(0.5, "direct")), 4)
        0.25

    Source: Klindt, LeCun and Balestriero 2026, Theorem 1.
    """
    check_choice("pair", pair, ("common_anchor", "direct"))
    check_unit_interval("rho", rho)
    return jnp.asarray((1 - (rho**2 if pair == "common_anchor" else rho)) / 2)
