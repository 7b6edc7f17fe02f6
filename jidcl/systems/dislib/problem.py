"""Does a label alone make the other factors of a picture linearly readable?

The problem of Reizinger et al. 2024, section 5.2 and Table 4, and its entry in the
registry of systems.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.systems.contract import System
from jidcl.systems.dislib import conformance, presets
from jidcl.systems.dislib.evaluate import evaluate, probe
from jidcl.systems.dislib.presets import Dislib
from jidcl.systems.dislib.process import (
    draw_latents,
    floor_kind,
    make_grid,
    num_labels,
    objective,
)
from jidcl.systems.shared.pictures import build_scene, make_image_encoder
from jidcl.systems.shared.sources import data_identity, make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Array, Problem, Program


class Labelled(NamedTuple):
    """Pictures `[batch, size, size, channels]`, labels `[batch]`, latents."""

    x: Array
    target: Array
    z: Array


def make_problem(config: Dislib) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Raises:
        ValueError: on a factor that the scene does not have, more instances than points
            to train on, or pictures on disk that are not the scene's.
    """
    grid = make_grid(config)
    source = make_source(config)
    encoder = make_image_encoder(config, None)

    def freeze(key):
        # Which pictures are trained on and which are held out.
        order = jax.random.permutation(key, math.prod(grid.counts))
        return {**source.freeze(key, len(grid.names)), "order": order}

    def init(key):
        e_key, w_key, b_key = (jax.random.fold_in(key, i) for i in range(3))
        params, state = encoder.init(e_key)
        x = jnp.zeros((2, config.size, config.size, build_scene(config).channels))
        width = jax.eval_shape(encoder.apply, params, state, x)[0].shape[1]
        bound = width**-0.5
        shape = (num_labels(config, grid), width)
        w, bias = (
            jax.random.uniform(k, shape, minval=-bound, maxval=bound)
            for k, shape in ((w_key, shape), (b_key, shape[:1]))
        )
        return {"encoder": params, "w": w, "bias": bias}, state

    def draw(frozen, key):
        frozen = source.part(frozen, "train")
        z, target = draw_latents(config, grid, frozen, key, config.batch)
        return Labelled(source.observe(frozen, z), target, z)

    def loss(params, state, batch, key):
        y, state = encoder.apply(params["encoder"], state, batch.x, train=True)
        return objective(params, y, batch.target), (state, {})

    def f(params, state, x):
        return encoder.apply(params["encoder"], state, x)[0]

    return Problem(
        freeze=freeze,
        init=init,
        draw=draw,
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, source, partial(f, params, state), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, source, partial(f, params, state), params, *rest
        ),
        precision=config.precision,
        shared=source.shared,
    )


def make_program(config: Dislib) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


SYSTEM = System(
    name="dislib",
    title="labels of pictures, other factors read",
    paper="Reizinger et al. 2024, Table 4",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("mixing", "factors"),
    floor_kind=floor_kind,
    data_identity=data_identity,
    vectors="cross_entropy",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
