"""Safe norms, key streams, precisions of sums and products, areas of spheres."""

import contextlib
import functools
import math
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_choice, is_traced

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
    """The widest of the dtypes, float32 if that is wider: where sums accumulate."""
    bits = max(jnp.finfo(dtype).bits for dtype in dtypes)
    return jnp.float64 if bits == 64 else jnp.float32


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


def unit(x: jax.Array) -> jax.Array:
    """x / ||x|| over the last axis; 0 stays 0."""
    norm = safe_norm(x, keepdims=True)
    return x / jnp.where(norm > 0, norm, 1.0)


def log_sphere_area(n: int) -> float:
    """Natural log of the area of S^(n-1), log[2 pi^(n/2) / Gamma(n/2)]."""
    return math.log(2) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)
