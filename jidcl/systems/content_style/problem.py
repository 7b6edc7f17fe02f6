"""Content/style: does training on augmented pairs isolate what they share?"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.systems.content_style import conformance, presets
from jidcl.systems.content_style.evaluate import evaluate, probe
from jidcl.systems.content_style.presets import ContentStyle
from jidcl.systems.content_style.process import (
    build_encoder,
    draw_latents,
    draw_law,
    objective,
)
from jidcl.systems.contract import System
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Array, Problem, Program


class Batch(NamedTuple):
    """What the loss sees: anchors, positives, independent negatives, `[batch, n]`."""

    x: Array
    x_pos: Array
    x_neg: Array


def make_problem(config: ContentStyle, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss, InfoNCE, over its `data` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    source, encoder = make_source(config), build_encoder(config)

    def freeze(key):
        k_mixing, k_law = jax.random.split(key)
        return source.freeze(k_mixing, config.n) | {"law": draw_law(config, k_law)}

    def draw(frozen, key):
        latents = draw_latents(config, frozen["law"], key, config.batch)
        return Batch(*(source.observe(frozen, z) for z in latents))

    def loss(params, state, batch, key):
        y, state = encoder.apply(params, state, jnp.stack(batch), train=True)
        value, metrics = objective(config, *y, mesh=mesh)
        return value, (state, metrics)

    def f(params, state, x):
        return encoder.apply(params, state, x)[0]

    return Problem(
        freeze=freeze,
        init=encoder.init,
        draw=draw,
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, source, partial(f, params, state), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, source, partial(f, params, state), *rest
        ),
        sharded=partial(make_problem, config)
        if config.objective == "infonce"
        else None,
        precision=config.precision,
    )


def make_program(config: ContentStyle) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


SYSTEM = System(
    name="content_style",
    title="content isolated from style",
    paper="von Kuegelgen et al. 2021",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(
        "n_c",
        "n_s",
        "stat",
        "causal",
        "least_eigenvalue",
        "mixing",
        "mixing_layers",
        "mixing_draws",
    ),
    traced_fields=("tau", "change"),
    floor_kind=lambda config: "reference",  # the loss of the true content
    vectors="content_style",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
