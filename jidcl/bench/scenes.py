"""Benchmark rows of the scenes: pictures a second, by scene, resolution and batch."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.bench.measure import Timing, time_program
from jidcl.mixing.scenes import SCENES, make_scene, render
from jidcl.systems.registry import load_presets, load_system
from jidcl.systems.shared.pictures import draw_pictures
from jidcl.train.state import start_state
from jidcl.train.step import make_step

SIZES = (32, 64, 128)
CPU_BATCH = 64  # at most so many pictures a call on a CPU


def scene_row(name: str, *, batch: int, repeats: int, **settings: Any) -> dict:
    """Time calls that render a batch of random latents.

    `pictures_per_s` is of the wall clock; `pictures_per_core_s` of the processor's
    time, which other programs do not stretch (None where an accelerator draws).
    """
    scene = make_scene(name, **settings)
    shape = batch, len(scene.factors)
    z = jax.random.uniform(jax.random.key(0), shape, minval=-1, maxval=1)
    took = time_program(jax.vmap(lambda z: render(scene, z)), z, repeats=repeats)
    return _row("scene", name, settings, batch, took)


def step_rows(config: Any, repeats: int) -> Iterator[dict[str, Any]]:
    """Drawing the pictures of a training step, and all of it: their share.

    The step is a pair of pictures for each row of the batch, encoder, loss, gradients
    and update; a row's `batch` counts pictures.
    """
    program = load_system("scenes").make_program(config)
    run = start_state(program, jnp.asarray(0), {"g": {}})

    def draw(key):
        shape = 2, config.batch, config.n
        z = jax.random.uniform(key, shape, minval=config.low, maxval=config.high)
        return jax.vmap(partial(draw_pictures, config))(z)

    settings = dict(size=config.size, encoder=config.encoder)
    pictures = 2 * config.batch
    drawn = time_program(draw, run.key, repeats=repeats)
    whole = time_program(make_step(program), run, repeats=repeats)
    yield _row("draw", config.mixing, settings, pictures, drawn)
    share = {"share_drawing": drawn.median / whole.median}
    yield _row("train", config.mixing, settings, pictures, whole) | share


def _row(what: str, name: str, settings: dict, batch: int, took: Timing) -> dict:
    return {
        "what": what,
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
    count = min(batch, CPU_BATCH) if jax.default_backend() == "cpu" else batch
    for name in SCENES:
        for size in SIZES:
            yield scene_row(name, batch=count, repeats=repeats, size=size)
    own = dict(size=64, level="reference")
    yield scene_row("ident3d", batch=min(count, 8), repeats=repeats, **own)
    config = load_presets("scenes")["quick/box"]
    config = replace(config, batch=min(config.batch, batch))
    yield from step_rows(config, repeats)
