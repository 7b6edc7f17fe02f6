"""Benchmark rows of the scenes: pictures a second, by scene, resolution and batch."""

from collections.abc import Iterator
from typing import Any

import jax

from jidcl.bench.measure import time_program
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
    took = time_program(jax.vmap(lambda z: render(scene, z)), z, repeats=repeats)
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
        "pictures_per_core_s": batch / took.core if took.core else None,
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
