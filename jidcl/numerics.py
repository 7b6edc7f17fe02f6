"""Numbers of any size: norms, sums of exponentials; key streams, precisions, areas."""

import contextlib
import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_choice,
    is_traced,
)

STREAMS = ("freeze", "init", "data", "loss", "eval", "null")
STREAMS += ("optimiser", "carry", "edit")
# Precisions of matrix products, see `products_in`.
PRODUCTS = ("float32", "fast", "bfloat16")
PRECISIONS = (*PRODUCTS, "float64")  # and of programs, see `numbers_in`


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


def generators(key_data: Any, count: int, xp: ModuleType) -> list[Any]:
    """Independent sources of random numbers from the data of a key.

    Args:
        key_data: of `jax.random.key_data`, uint32.
        count: how many, >= 1.
        xp: `numpy`: generators of NumPy; `jax.numpy`: typed keys.

    Returns:
        A list of `count` sources.
    """
    if xp is np:
        return list(np.random.default_rng(np.asarray(key_data)).spawn(count))
    return list(jax.random.split(jax.random.wrap_key_data(key_data), count))


def power_of_two(
    x: jax.Array, *, axis: Any = -1, least: float = 0.0, keepdims: bool = True
) -> jax.Array:
    """A power of two near the largest |x|: x over it has squares of ordinary size.

    Numbers over a power of two keep their digits, so what is computed from them is
    what plain squares give wherever these neither overflow nor underflow. Its
    derivative is 0: it is for scales that the result does not depend on.

    Args:
        x: floating-point, of any shape.
        axis: over which the largest is taken, as of `jnp.max`; None: over all.
        least: the power is not below it, >= 0.
        keepdims: keep the axes with size 1.

    Returns:
        Of x's dtype; 1 where every x is 0, and finite where one is not.

    Example:
        >>> power_of_two(jnp.array([[3e20, -1.0], [0.0, 0.0]])).tolist()
        [[2.95147905179352...e+20], [1.0]]
    """
    info = jnp.finfo(x.dtype)
    x = jnp.abs(jax.lax.stop_gradient(x))
    largest = jnp.max(x, axis=axis, keepdims=keepdims, initial=least)
    # Rounded to no digits: the exponent alone.
    power = jax.lax.reduce_precision(largest, info.nexp, 0)
    # One over it is neither infinite nor so small that devices take it for 0.
    most = float(1 / info.tiny)
    return jnp.where(largest > 0, jnp.clip(power, float(info.tiny), most), 1)


# Outside of a program every operation is compiled: there these are one program each, in
# a program they are a part of it.
_at_once = functools.partial(jax.jit, inline=True)


@functools.partial(_at_once, static_argnames="keepdims")
def safe_norm(x: jax.Array, *, keepdims: bool = False) -> jax.Array:
    """Euclidean norm over the last axis, of numbers of any size.

    Args:
        x: `[..., n]`.
        keepdims: keep the last axis with size 1.

    Returns:
        `[...]` or `[..., 1]`; infinite or NaN where x is. The gradient at x = 0 is 0,
        not NaN.

    Example:
        >>> float(safe_norm(jnp.array([3e30, 4e30])) / 1e30)
        5.0
    """
    power = power_of_two(x)
    norm = safe_root(jnp.sum((x * (1 / power)) ** 2, axis=-1, keepdims=True), 2.0)
    norm = power * norm
    return norm if keepdims else norm[..., 0]


def safe_root(x: jax.Array, p: float) -> jax.Array:
    """x^(1/p) for x >= 0, with derivative 0 (not infinity) at x = 0."""
    other = x != 0
    root = jnp.where(other, x, 1.0)
    root = jnp.sqrt(root) if p == 2 else root ** (1.0 / p)
    return jnp.where(other, root, 0.0)


def share(logits: jax.Array, most: jax.Array) -> jax.Array:
    """exp(logits - most) for logits of at most `most`, and at most 1.

    A compiler may compute the logits anew here, and round them otherwise: at 1e9 a last
    digit is worth more than exp can hold.
    """
    return jnp.exp(not_above_zero(logits - most))


@jax.custom_jvp
def not_above_zero(x: jax.Array) -> jax.Array:
    """x, which is above 0 by rounding only: min(x, 0) with the derivative of x."""
    return jnp.minimum(x, 0.0)


# What is above is rounding: the derivative is that of x, also at 0.
not_above_zero.defjvp(lambda primals, tangents: (not_above_zero(*primals), *tangents))


@jax.custom_jvp
def once(x: jax.Array) -> jax.Array:
    """x, computed once wherever it is used: its digits are the same everywhere.

    A compiler may compute what is used twice twice, and round it otherwise.
    """
    return jax.lax.optimization_barrier(x)


once.defjvp(lambda primals, tangents: (once(*primals), *tangents))


def at_least_one(total: jax.Array) -> jax.Array:
    """A sum that is below 1 by rounding only, with its own derivative."""
    return 1 - not_above_zero(1 - total)


@functools.partial(_at_once, static_argnames="axis")
def logsumexp(
    x: jax.Array,
    axis: int,
    *,
    tau: jax.Array | float = 1.0,
    weights: jax.Array | None = None,
    kept: jax.Array | None = None,
) -> jax.Array:
    """log of the sum of weights times exp(x / tau), for numbers of any size.

    Args:
        x: floating-point.
        axis: which to sum over.
        tau: > 0, a scalar.
        weights: > 0, broadcast against x; 1 when None.
        kept: which entries count, of x's shape; all when None.

    Returns:
        x without the axis; -inf where no entry counts, or all are -inf.

    Example:
        >>> float(logsumexp(jnp.array([3e9, 3e9]), 0)) > 2.9e9
        True

    Source: the definition; see `share`.
    """
    x = once(x)
    seen = x if kept is None else jnp.where(kept, x, -jnp.inf)
    top = jax.lax.stop_gradient(jnp.max(seen, axis=axis, keepdims=True))
    nothing = top == -jnp.inf
    base = jnp.where(nothing, 0, top)
    # Before it is divided, the largest less itself is 0, whatever its size.
    below = not_above_zero((x - base) / tau)
    entries = jnp.exp(below if kept is None else jnp.where(kept, below, -jnp.inf))
    entries = entries if weights is None else entries * weights
    total = jnp.sum(entries, axis=axis, keepdims=True)
    # Where nothing counts, the logarithm and its derivatives are not taken.
    value = base / tau + jnp.log(jnp.where(nothing, 1, total))
    return jnp.squeeze(jnp.where(nothing, -jnp.inf, value), axis)


@functools.partial(_at_once, static_argnames="axis")
def log_softmax(x: jax.Array, axis: int) -> jax.Array:
    """x minus its `logsumexp` over the axis, <= 0: log-probabilities.

    Args:
        x: logits, floating-point.
        axis: over which probabilities sum to 1.

    Returns:
        Of x's shape.

    Example:
        >>> round(float(log_softmax(jnp.array([3e9, 3e9]), 0)[0]), 4)
        -0.6931

    Source: the definition; see `share`.
    """
    x = once(x)
    top = jax.lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True))
    below = not_above_zero(x - top)
    return below - jnp.log(jnp.sum(jnp.exp(below), axis=axis, keepdims=True))


def of_finite(
    function: Callable[[Any], Any], matrix: jax.Array, xp: ModuleType = jnp
) -> Any:
    """function(matrix), NaN where an entry of the matrix is not finite.

    For functions of LAPACK, which may not return from an infinity.

    Args:
        function: of one array; it is called with zeros where an entry is not finite.
        matrix: floating-point, one matrix.
        xp: `jax.numpy`, or `numpy` for arrays on the host.

    Returns:
        A tree of arrays, as the function's.

    Example:
        >>> roots = lambda a: jnp.linalg.svd(a, compute_uv=False)
        >>> of_finite(roots, jnp.array([[jnp.inf, 0.0], [0.0, 1.0]])).tolist()
        [nan, nan]
    """
    finite = xp.isfinite(matrix).all()
    found = function(xp.where(finite, matrix, 0))
    return jax.tree.map(lambda x: xp.where(finite, x, xp.nan), found)


# One call after another under `vmap`, for functions that call LAPACK: batched calls
# that do not depend on each other wait for each other's threads on a CPU of few
# cores, for ever.
one_by_one = jax.custom_batching.sequential_vmap


def products_in(precision: str) -> contextlib.AbstractContextManager:
    """Context to trace in: the precision of matrix products of float32 numbers.

    Args:
        precision: `"float32"`, `"float64"` (the same: those of 64 bits are exact
            anyway), `"fast"`: the platform's own, TF32 on NVIDIA, bfloat16 on TPU,
            float32 on a CPU, or `"bfloat16"`: of numbers rounded to it, summed in
            float32 (a CPU takes float32). Products that name one keep it.

    Raises:
        ValueError: on an unknown precision.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "fast":
        return contextlib.nullcontext()
    names = {"bfloat16": "BF16_BF16_F32"}
    return jax.default_matmul_precision(names.get(precision, "float32"))


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
    """The widest of the dtypes, float32 if that is wider: where sums accumulate.

    Float64 only where JAX has 64-bit types: its arrays hold no other.
    """
    bits = max(jnp.finfo(dtype).bits for dtype in dtypes)
    wide = bits == 64 and jnp.result_type(float) == jnp.float64
    return jnp.float64 if wide else jnp.float32


def positive_or_nan(value: Any) -> Any:
    """A setting that has to be > 0; NaN where a traced one is not.

    A program cannot refuse a number that it is given. A loss that is NaN ends a run.
    """
    return jnp.where(value > 0, value, jnp.nan) if is_traced(value) else value


def varying_zero(dtype: Any, *like: jax.Array) -> jax.Array:
    """0 that `jax.shard_map` takes to vary over the mesh axes that any array does.

    Inside it, what varies over devices is part of a type, and a loop has to start with
    the type of its end.
    """
    corners = [x.ravel()[0] for x in like]
    zeros = [jnp.where(corner != corner, 0, 0) for corner in corners]
    return functools.reduce(jnp.add, zeros).astype(dtype)


@_at_once
def unit(x: jax.Array) -> jax.Array:
    """x / ||x|| over the last axis, of numbers of any size; 0 stays 0.

    Args:
        x: `[..., n]`.

    Returns:
        `[..., n]`; NaN where x is not finite. The gradient at x = 0 is that of x.

    Example:
        >>> unit(jnp.array([[3e30, 4e30], [0.0, 0.0]])).round(3).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    x = x * (1 / power_of_two(x))
    norm = safe_root(jnp.sum(x * x, axis=-1, keepdims=True), 2.0)
    return x / jnp.where(norm == 0, 1.0, norm)


@_at_once
def within(x: jax.Array, r: jax.Array | float) -> jax.Array:
    """x where ||x|| <= r, else r x / ||x||: the nearest point of the ball.

    Args:
        x: `[..., n]`, numbers of any size.
        r: radius > 0, a scalar.

    Returns:
        `[..., n]`.

    Example:
        >>> within(jnp.array([[3.0, 4.0], [0.5, 0.0]]), 2.5).tolist()
        [[1.5, 2.0], [0.5, 0.0]]
    """
    inverse = 1 / power_of_two(x)
    y = x * inverse
    norm = safe_root(jnp.sum(y * y, axis=-1, keepdims=True), 2.0)
    inside = norm <= r * inverse
    # What is NaN is not inside, and stays NaN.
    return jnp.where(inside, x, r * (y / jnp.where(inside, 1, norm)))


def log_sphere_area(n: int) -> float:
    """Natural log of the area of S^(n-1), log[2 pi^(n/2) / Gamma(n/2)]."""
    return math.log(2) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)
