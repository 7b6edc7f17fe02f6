"""Safe norms, key streams and the Bessel function of the von Mises-Fisher law."""

import contextlib
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_choice

STREAMS = ("freeze", "init", "data", "loss", "eval", "null")
STREAMS += ("optimiser", "carry", "edit")
PRECISIONS = ("float32", "fast", "float64")


def stream_key(key: jax.Array, purpose: str) -> jax.Array:
    """Key of one named stream of a run, `fold_in(key, index of purpose)`.

    Args:
        key: the run's key.
        purpose: one of `STREAMS`.

    Returns:
        The stream's key; fold in the step for the draw at one step, so that the
        batch at step t depends on (seed, t) only.

    Raises:
        ValueError: on an unknown purpose.

    Example:
        >>> key = stream_key(jax.random.key(0), "data")
    """
    check_choice("purpose", purpose, STREAMS)
    return jax.random.fold_in(key, STREAMS.index(purpose))


def safe_norm(x: jax.Array, *, keepdims: bool = False) -> jax.Array:
    """Euclidean norm over the last axis, with gradient 0 (not NaN) at x = 0.

    Args:
        x: `[..., n]`.
        keepdims: keep the last axis with size 1.

    Returns:
        `[...]` or `[..., 1]`.
    """
    return safe_root(jnp.sum(x * x, axis=-1, keepdims=keepdims), 2.0)


def safe_root(x: jax.Array, p: float) -> jax.Array:
    """x^(1/p) for x >= 0, with derivative 0 (not infinity) at x = 0."""
    positive = x > 0
    root = jnp.where(positive, x, 1.0)
    root = jnp.sqrt(root) if p == 2 else root ** (1.0 / p)
    return jnp.where(positive, root, 0.0)


# One call after another under `vmap`, for functions that call LAPACK: batched calls
# that do not depend on each other wait for each other's threads on a CPU of few
# cores, for ever.
one_by_one = jax.custom_batching.sequential_vmap


def products_in(precision: str) -> contextlib.AbstractContextManager:
    """Context to trace in: the precision of matrix products of float32 numbers.

    Args:
        precision: `"float32"`, `"float64"` (the same: those of 64 bits are exact
            anyway), or `"fast"`: the platform's own, TF32 on NVIDIA, bfloat16 on TPU,
            float32 on a CPU. Products that name one keep it.

    Raises:
        ValueError: on an unknown precision.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "fast":
        return contextlib.nullcontext()
    return jax.default_matmul_precision("float32")


def numbers_in(precision: str) -> contextlib.AbstractContextManager:
    """Context to trace and to call in: 64-bit types where `precision` is `"float64"`.

    For one dispatch at a time: the types are a global of the thread, so a generator
    must not hold it across a `yield`.

    Args:
        precision: as for `products_in`.

    Raises:
        ValueError: on an unknown precision.
    """
    check_choice("precision", precision, PRECISIONS)
    return jax.enable_x64(True) if precision == "float64" else contextlib.nullcontext()


def at_least_float32(*dtypes: Any) -> Any:
    """The widest of the dtypes, float32 if that is wider: where sums accumulate."""
    bits = max(jnp.finfo(dtype).bits for dtype in dtypes)
    return jnp.float64 if bits == 64 else jnp.float32


def varying_zero(dtype: Any, *like: jax.Array) -> jax.Array:
    """0 that `jax.shard_map` takes to vary over the mesh axes that any array does.

    Inside it, what varies over devices is part of a type, and a loop has to start with
    the type of its end.
    """
    corners = [x.ravel()[0] for x in like]
    zeros = [jnp.where(corner != corner, 0, 0) for corner in corners]
    return functools.reduce(jnp.add, zeros).astype(dtype)


def unit(x: jax.Array) -> jax.Array:
    """x / ||x|| over the last axis; 0 stays 0."""
    norm = safe_norm(x, keepdims=True)
    return x / jnp.where(norm > 0, norm, 1.0)


def log_mean_exp_dot(n: int, kappa: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Normaliser and mean cosine of the von Mises-Fisher law on S^(n-1).

    log mu_n(kappa) = log E_{u uniform} exp(kappa u_1)
    = log[Gamma(n/2) (2/kappa)^nu I_nu(kappa)], nu = n/2 - 1, and its derivative
    A_n(kappa) = I_{nu+1}(kappa) / I_nu(kappa). With F_v = 0F1(; v+1; kappa^2/4) the
    upward Debye expansion gives F at v = nu + 40, and the stable downward
    recurrence F_{v-1} = F_v + kappa^2/4 F_{v+1} / (v (v+1)) brings it to nu.

    Args:
        n: dimension of the ambient space, >= 2.
        kappa: concentration >= 0, any shape.

    Returns:
        `(log mu_n(kappa) - kappa, A_n(kappa))`, each of kappa's shape. The first is
        exponentially scaled, so that nothing cancels at large kappa.

    Notes:
        Error below 1e-12 max(1, kappa) in float64 for n from 2 to 1000 and kappa
        from 0 to 1e5. Differentiable in kappa, also at 0.
    """
    kappa = jnp.asarray(kappa)
    nu, shift = n / 2 - 1, 40
    # With kappa below 1e-30 its square underflows harmlessly: F = 1 to rounding.
    quarter = kappa * kappa / 4
    log_f, q = _debye_0f1(nu + shift, kappa)
    for k in range(shift, 0, -1):
        v = nu + k
        growth = quarter / (v * (v + 1)) * q
        log_f, q = log_f + jnp.log1p(growth), 1 / (1 + growth)
    return log_f, kappa / (2 * (nu + 1)) * q


def _debye_0f1(v: float, kappa: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(log 0F1(; v+1; kappa^2/4) - kappa, F_{v+1}/F_v) for v >= 20 (DLMF 10.41)."""

    def log_f(v: float) -> jax.Array:
        s = jnp.sqrt(1 + (kappa / v) ** 2)
        # v (s - 1) - kappa, and v log((1 + s) / 2), without cancellation; the series
        # at kappa = 0 stands for Stirling's, so that F_v(0) = 1 exactly.
        head = v * (1 / (s + kappa / v) - 1)
        half = (kappa / v) ** 2 / (1 + s) / 2
        series = jnp.log1p(_debye_series(v, 1 / s)) - math.log1p(_debye_series(v, 1.0))
        return head - v * jnp.log1p(half) - jnp.log(s) / 2 + series

    low, high = log_f(v), log_f(v + 1)
    return low, jnp.exp(high - low)


def _debye_series(v: float, t):
    """Sum of U_k(t) / v^k, k = 1..4 (DLMF 10.41.10)."""
    t2 = t * t
    u1 = t * (3 - 5 * t2) / 24
    u2 = t2 * (81 - t2 * (462 - 385 * t2)) / 1152
    u3 = t * t2 * (30375 - t2 * (369603 - t2 * (765765 - 425425 * t2))) / 414720
    u4 = 446185740 - 185910725 * t2
    u4 = t2 * t2 * (4465125 - t2 * (94121676 - t2 * (349922430 - t2 * u4))) / 39813120
    return u1 / v + u2 / v**2 + u3 / v**3 + u4 / v**4


def log_sphere_area(n: int) -> float:
    """Natural log of the area of S^(n-1), log[2 pi^(n/2) / Gamma(n/2)]."""
    return math.log(2) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)
