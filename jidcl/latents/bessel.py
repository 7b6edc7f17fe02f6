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
    A_n(kappa) = I_{nu+1}(kappa) / I_nu(kappa). With F_v = 0F1(; v+1; kappa^2/4) the
    upward Debye expansion gives F at v = nu + 40, and the stable downward
    recurrence F_{v-1} = F_v + kappa^2/4 F_{v+1} / (v (v+1)) brings it to nu.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration >= 0, any shape.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `(log mu_n(kappa) - kappa, A_n(kappa))`, each of kappa's shape. The first is
        exponentially scaled, so that nothing cancels at large kappa.

    Notes:
        Error below 1e-12 max(1, kappa) in float64 for n from 2 to 1000 and kappa
        from 0 to 1e5. Differentiable in kappa, also at 0.

    Example:
        >>> scaled, cosine = log_mean_exp_dot(3, jnp.asarray(1.0))
        >>> round(float(scaled) + 1, 4), round(float(cosine), 4)
        (0.1614, 0.313)

    Source: DLMF 10.41 (the expansion), 10.29.1 (the recurrence).
    """
    kappa = xp.asarray(kappa)
    nu, shift = n / 2 - 1, 40
    # With kappa below 1e-30 its square underflows harmlessly: F = 1 to rounding.
    quarter = kappa * kappa / 4
    log_f, q = _debye_0f1(nu + shift, kappa, xp)
    for k in range(shift, 0, -1):
        v = nu + k
        growth = quarter / (v * (v + 1)) * q
        log_f, q = log_f + xp.log1p(growth), 1 / (1 + growth)
    return log_f, kappa / (2 * (nu + 1)) * q


def _debye_0f1(
    v: float, kappa: jax.Array, xp: ModuleType
) -> tuple[jax.Array, jax.Array]:
    """(log 0F1(; v+1; kappa^2/4) - kappa, F_{v+1}/F_v) for v >= 20 (DLMF 10.41)."""

    def log_f(v: float) -> jax.Array:
        s = xp.sqrt(1 + (kappa / v) ** 2)
        # v (s - 1) - kappa, and v log((1 + s) / 2), without cancellation; the series
        # at kappa = 0 stands for Stirling's, so that F_v(0) = 1 exactly.
        head = v * (1 / (s + kappa / v) - 1)
        half = (kappa / v) ** 2 / (1 + s) / 2
        series = xp.log1p(_debye_series(v, 1 / s)) - math.log1p(_debye_series(v, 1.0))
        return head - v * xp.log1p(half) - xp.log(s) / 2 + series

    low, high = log_f(v), log_f(v + 1)
    return low, xp.exp(high - low)


def _debye_series(v: float, t):
    """Sum of U_k(t) / v^k, k = 1..4 (DLMF 10.41.10)."""
    t2 = t * t
    u1 = t * (3 - 5 * t2) / 24
    u2 = t2 * (81 - t2 * (462 - 385 * t2)) / 1152
    u3 = t * t2 * (30375 - t2 * (369603 - t2 * (765765 - 425425 * t2))) / 414720
    u4 = 446185740 - 185910725 * t2
    u4 = t2 * t2 * (4465125 - t2 * (94121676 - t2 * (349922430 - t2 * u4))) / 39813120
    return u1 / v + u2 / v**2 + u3 / v**3 + u4 / v**4
