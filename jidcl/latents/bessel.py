"""The Bessel function of the von Mises-Fisher law, on arrays and on the host."""

import math
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp


def log_mean_exp_dot(
    n: int, kappa: Any, *, xp: ModuleType = jnp
) -> tuple[jax.Array, jax.Array]:
    r"""Normaliser and mean cosine of the von Mises-Fisher law on S^(n-1).

    log mu_n(kappa) = log E_{u uniform} exp(kappa u_1)
    = log[Gamma(n/2) (2/kappa)^nu I_nu(kappa)], nu = n/2 - 1, and its derivative
    A_n(kappa) = I_{nu+1}(kappa) / I_nu(kappa).

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration >= 0, any shape.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `(log mu_n(kappa) - kappa, A_n(kappa))`, each of kappa's shape. The first is
        exponentially scaled, so that nothing cancels at large kappa.

    Notes:
        Error below 1e-12 max(1, kappa) in float64 for n from 2 to 1000 and kappa
        from 0 to 1e5, and relative beyond. Differentiable in kappa, also at 0.

    Example:
        >>> scaled, cosine = log_mean_exp_dot(3, jnp.asarray(1.0))
        >>> round(float(scaled) + 1, 4), round(float(cosine), 4)
        (0.1614, 0.313)

    Source: DLMF 10.41 (the expansion), 10.29.1 (the recurrence).
    """
    return bessel_parts(n, kappa, xp=xp)[:2]


def bessel_parts(
    n: int, kappa: Any, *, xp: ModuleType = jnp
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`log_mean_exp_dot` and kappa (1 - A_n(kappa)), from 0 to (n - 1) / 2.

    With F_v = 0F1(; v+1; kappa^2/4) and D_v = kappa (1 - I_{v+1} / I_v) the upward
    Debye expansion gives both at v = nu + 40, and the stable downward recurrences
    F_{v-1} = F_v [1 + (kappa - D_v) / (2 v)] and
    D_{v-1} = kappa (2 v - D_v) / (2 v + kappa - D_v) bring them to nu. No square of
    kappa is taken.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration >= 0, any shape.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `(log mu_n(kappa) - kappa, A_n(kappa), kappa (1 - A_n(kappa)))`.

    Example:
        >>> _, _, short = bessel_parts(3, jnp.asarray(1e30))
        >>> round(float(short), 4)
        1.0

    Source: DLMF 10.41 (the expansions), 10.29.1 (the recurrence).
    """
    kappa = xp.asarray(kappa)
    nu, shift = n / 2 - 1, 40
    log_f, short = _debye(nu + shift, kappa, xp)
    for k in range(shift, 0, -1):
        v = nu + k
        rest = kappa - short  # kappa I_{v+1} / I_v
        log_f, cosine = log_f + xp.log1p(rest / (2 * v)), kappa / (2 * v + rest)
        short = cosine * (2 * v - short)
    return log_f, cosine, short


def _debye(v: float, kappa: jax.Array, xp: ModuleType) -> tuple[jax.Array, jax.Array]:
    """(log 0F1(; v+1; kappa^2/4) - kappa, D_v) for v >= 20 (DLMF 10.41)."""
    r = kappa / v
    large, small = xp.maximum(r, 1), xp.minimum(r, 1)
    s = large * xp.sqrt(1 + (small / large) ** 2)  # sqrt(1 + r^2)
    t = 1 / s
    # v (s - 1) - kappa, and v log((1 + s) / 2), without cancellation; the series
    # at kappa = 0 stands for Stirling's, so that F_v(0) = 1 exactly.
    head = v * (1 / (s + r) - 1)
    half = r * (r / (1 + s)) / 2
    series = _debye_series(v, t)
    norm = xp.log1p(series) - math.log1p(_debye_series(v, 1.0))
    log_f = head - v * xp.log1p(half) - xp.log(s) / 2 + norm
    # I_v' / I_v = s / r (1 + sum V_k / v^k) / (1 + sum U_k / v^k).
    apart = (r * t) ** 2 * _debye_slope(v, t) / (1 + series)
    below = (r / (s + r)) * (1 + r / (1 + s))  # 1 + r - s
    return log_f, v * (below + apart)


def _debye_series(v: float, t):
    """Sum of U_k(t) / v^k, k = 1..4 (DLMF 10.41.10)."""
    t2 = t * t
    u1 = t * (3 - 5 * t2) / 24
    u2 = t2 * (81 - t2 * (462 - 385 * t2)) / 1152
    u3 = t * t2 * (30375 - t2 * (369603 - t2 * (765765 - 425425 * t2))) / 414720
    u4 = 446185740 - 185910725 * t2
    u4 = t2 * t2 * (4465125 - t2 * (94121676 - t2 * (349922430 - t2 * u4))) / 39813120
    return u1 / v + u2 / v**2 + u3 / v**3 + u4 / v**4


def _debye_slope(v: float, t):
    """sum_k [U_{k-1}(t) / 2 + t U_{k-1}'(t)] / v^k, k = 1..4 (DLMF 10.41.11)."""
    t2 = t * t
    w2 = t * (9 - 35 * t2) / 48
    w3 = t2 * (405 - t2 * (4158 - 5005 * t2)) / 2304
    w4 = t * t2 * (212625 - t2 * (4065633 - t2 * (11486475 - 8083075 * t2))) / 829440
    return 1 / (2 * v) + w2 / v**2 + w3 / v**3 + w4 / v**4
