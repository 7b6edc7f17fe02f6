"""Benchmark rows of the scenes: pictures a second, by scene, resolution and batch."""

import time
from collections.abc import Iterator
from typing import Any

import jax

from jidcl.bench.measure import repeat, timing
from jidcl.mixing.scenes import SCENES, make_scene, render

SIZES = (32, 64, 128)
LARGEST_BATCH = 64  # at most so many pictures a call


def scene_row(name: str, *, batch: int, repeats: int, **settings: Any) -> dict:
    """Time calls that render a batch of random latents.

    `pictures_per_s` is of the wall clock; `pictures_per_core_s` of the processor's
    time, which other programs do not stretch (None where an accelerator draws).
    """
    scene = make_scene(name, **settings)
    shape = batch, len(scene.factors)
    z = jax.random.uniform(jax.random.key(0), shape, minval=-1, maxval=1)
    began = time.perf_counter()
    program = jax.jit(jax.vmap(lambda z: render(scene, z))).lower(z).compile()
    compiling = time.perf_counter() - began
    jax.block_until_ready(program(z))
    began = time.process_time()
    times = repeat(lambda: jax.block_until_ready(program(z)), repeats, warmups=0)
    core = (time.process_time() - began) / repeats
    on_cpu = jax.default_backend() == "cpu"
    memory = program.memory_analysis()
    extra = None if memory is None else memory.temp_size_in_bytes
    took = timing(times, compiling, extra)
    return {
        "what": "scene",
        "by": "jidcl",
        "scene": name,
        **settings,
        "batch": batch,
        "median_s": took.median,
        "low_s": took.low,
        "high_s": took.high,
        "compile_s": took.compile,
        "extra_bytes": took.extra_bytes,
        "pictures_per_s": batch / took.median,
        "pictures_per_core_s": batch / core if on_cpu else None,
        "floor_s": None,
        "times_floor": None,
    }


def scene_rows(batch: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Every scene at every size, and the reference level of ident3d at 64."""
    count = min(batch, LARGEST_BATCH)
    for name in SCENES:
        for size in SIZES:
            yield scene_row(name, batch=count, repeats=repeats, size=size)
    own = dict(size=64, level="reference")
    yield scene_row("ident3d", batch=min(count, 8), repeats=repeats, **own)
