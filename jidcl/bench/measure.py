"""Timing of compiled programs, and the ceilings of the device."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

TERMS = 16  # of a p-norm, when its rate is measured


class Timing(NamedTuple):
    """Repeated runs of one program, each waited for.

    Attributes:
        median: seconds.
        low: 10 % quantile, seconds.
        high: 90 % quantile, seconds.
        compile: seconds to trace and compile, 0 for an eager peer.
        extra_bytes: temporaries of the compiled program, None for a peer.
        core: processor seconds of a call, all threads: other programs do not stretch
            them. None for a peer and where an accelerator computes.
        result: what the program returned, None for a peer.
    """

    median: float
    low: float
    high: float
    compile: float
    extra_bytes: int | None
    core: float | None = None
    result: Any = None


class Ceilings(NamedTuple):
    """What the device does at best, measured on large arrays.

    Attributes:
        flops: operations a second of a matrix product in float32.
        exps: exponentials a second.
        bytes: bytes read and written a second by an addition.
        fast: operations a second of a product of float32 numbers in the platform's own
            precision (TF32 on NVIDIA); `flops` where there is none.
        elementwise: operations a second of subtractions, absolute values and additions
            of numbers that stay in cache: of the terms of a p-norm.
        bfloat16: of a product of bfloat16 numbers, summed in float32; NaN where it was
            not measured.
    """

    flops: float
    exps: float
    bytes: float
    fast: float
    elementwise: float
    bfloat16: float = math.nan

    def rate(self, precision: str) -> float:
        """Operations a second of products in a precision of `products_in`."""
        return {"fast": self.fast, "bfloat16": self.bfloat16}.get(precision, self.flops)


def repeat(function: Callable[[], Any], repeats: int, warmups: int = 1) -> np.ndarray:
    """Wall seconds of `repeats` calls after the warm-ups."""
    for _ in range(warmups):
        function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return np.asarray(times)


def timing(
    times: np.ndarray,
    compile: float = 0.0,
    extra: int | None = None,
    core: float | None = None,
) -> Timing:
    """Median and 10-90 % of measured seconds."""
    low, median, high = np.quantile(times, [0.1, 0.5, 0.9]).tolist()
    return Timing(median, low, high, compile, extra, core)


def time_program(function: Callable, *args: Any, repeats: int) -> Timing:
    """Compile `function(*args)` apart, then time it, the result waited for.

    Args:
        function: a jittable function.
        *args: its arguments.
        repeats: timed calls, after one that is not.

    Returns:
        `Timing`.

    Example:
        >>> time_program(lambda x: x + 1, jnp.ones(3), repeats=2).extra_bytes
        0
    """
    began = time.perf_counter()
    program = jax.jit(function).lower(*args).compile()
    compiling = time.perf_counter() - began
    result = jax.block_until_ready(program(*args))
    began = time.process_time()
    times = repeat(lambda: jax.block_until_ready(program(*args)), repeats, warmups=0)
    core = (time.process_time() - began) / repeats
    on_cpu = jax.default_backend() == "cpu"
    memory = program.memory_analysis()
    extra = None if memory is None else memory.temp_size_in_bytes
    took = timing(times, compiling, extra, core if on_cpu else None)
    return took._replace(result=result)


def measure_ceilings(repeats: int = 5) -> Ceilings:
    """The best of some runs of a large product, addition, exponential, and p-norm.

    On a CPU the exponential is of an array in its cache; an accelerator, which would
    wait for its memory, takes many of each number. The terms of the p-norm are many of
    each number everywhere.

    Args:
        repeats: timed runs of each, >= 1.

    Returns:
        The rates.
    """
    on_cpu = jax.default_backend() == "cpu"
    width, long, short, each = (2048, 24, 20, 1) if on_cpu else (8192, 28, 24, 32)

    def product(precision):
        dtype = "bfloat16" if precision == "bfloat16" else "float32"
        a = jax.random.normal(jax.random.key(0), (width, width), dtype)
        exact = jax.lax.Precision.HIGHEST if precision == "float32" else None
        own: Any = dict(precision=exact, preferred_element_type=jnp.float32)
        multiply = partial(jnp.matmul, **own)
        return 2 * width**3 / time_program(multiply, a, a, repeats=repeats).low

    def exponentials(x):
        return sum(jnp.exp(x * (k + 1)) for k in range(each))

    x = jnp.linspace(-5 / each, 0, 2**short)
    exp = time_program(exponentials, x, repeats=10 * repeats).low
    add = time_program(lambda x: x + 1, jnp.ones(2**long), repeats=repeats).low
    rates = product("float32"), each * x.size / exp, 8 * 2**long / add
    centres = jnp.linspace(-4, 0, TERMS)

    def norm(x, centres):
        return sum(jnp.abs(x - centres[k]) for k in range(TERMS))

    took = time_program(norm, x, centres, repeats=10 * repeats).low
    elementwise = 3 * TERMS * x.size / took
    if on_cpu:  # it multiplies in float32, whatever is wanted
        return Ceilings(*rates, rates[0], elementwise, rates[0])
    return Ceilings(*rates, product("fast"), elementwise, product("bfloat16"))
