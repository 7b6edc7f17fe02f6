"""Rival objectives on the same pairs: which of them isolates what two views share?

All methods pull the views of a pair together and differ in how they keep the outputs
apart. Where the equations live: losses in `jidcl.losses.regularised`, `.contrastive`,
`.entropy`, `.anisotropic` and `.sketch`; heads, averages and queues in
`jidcl.objectives`.
"""

from functools import partial

import jax

from jidcl.objectives import ObjectiveSettings, Views, make_objective
from jidcl.systems.contract import System
from jidcl.systems.rivals import conformance, presets
from jidcl.systems.rivals.evaluate import evaluate, probe
from jidcl.systems.rivals.presets import Rivals
from jidcl.systems.rivals.process import build_encoder, draw_latents, draw_law
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Problem, Program


def make_problem(config: Rivals) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    source, encoder = make_source(config), build_encoder(config)
    method = make_objective(config.objective, _objective_settings(config))

    def f(params, x):
        return encoder.apply(params, {}, x)[0]

    def freeze(key):
        k_mixing, k_law = jax.random.split(key)
        return source.freeze(k_mixing, config.n) | draw_law(config, k_law)

    def init(key):
        k_encoder, k_head = jax.random.split(key)
        params, _ = encoder.init(k_encoder)
        head, held = method.init(k_head, params, config.outputs)
        return {"f": params, "head": head}, held

    def draw(frozen, key):
        latents = draw_latents(config, frozen, key, config.batch)
        return Views(*(source.observe(frozen, z) for z in latents))

    return Problem(
        freeze=freeze,
        init=init,
        draw=draw,
        loss=lambda params, state, batch, key: method.loss(
            params, state, f, batch, key
        ),
        probe=lambda params, state, *rest: probe(
            config, source, partial(f, params["f"]), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, source, partial(f, params["f"]), *rest
        ),
        precision=config.precision,
    )


def make_program(config: Rivals) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


def _objective_settings(config: Rivals) -> ObjectiveSettings:
    return ObjectiveSettings(
        steps=config.steps,
        batch=config.batch,
        tau=config.tau,
        lam=config.lam,
        momentum=config.momentum,
        queue=config.queue,
        hidden=config.hidden,
        prototypes=config.prototypes,
        epsilon=config.epsilon,
        directions=config.directions,
        variance=config.variance,
    )


SYSTEM = System(
    name="rivals",
    title="the objectives of self-supervised learning on the same pairs",
    paper="a comparison of this project",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("data", "n", "mixing", "mixing_layers", "mixing_draws"),
    vectors="content_style",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
