"""Contrastive ICA as a problem, and its entry in the registry of systems."""

from functools import partial

from jax.sharding import Mesh

from jidcl.losses import mse
from jidcl.systems.contract import System
from jidcl.systems.contrastive_ica import checks, conformance, presets
from jidcl.systems.contrastive_ica.evaluate import evaluate, probe
from jidcl.systems.contrastive_ica.process import (
    build_parts,
    draw_pair,
    floor_kind,
    objective,
)
from jidcl.systems.contrastive_ica.settings import Theorem1, Trained
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Batch, Problem, Program


def make_problem(config: Trained, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one, whose objective is trained.
        mesh: spread the rows of the training loss over its `data` axis, by the ring of
            `jidcl.losses.distributed`.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    parts = build_parts(config)
    source = parts.source

    def draw(frozen, key):
        frozen = source.part(frozen, "train")
        pair = draw_pair(parts, frozen, key, config.batch)
        if config.objective == "supervised":  # partners are not looked at
            x = source.observe(frozen, pair.z)
            return Batch(x, x, *pair)
        return Batch(*source.observe_pair(frozen, *pair), *pair)

    def loss(params, state, batch, key):
        y, state = parts.encoder.apply(params, state, batch.x, train=True)
        if config.objective == "supervised":
            return mse(y, batch.z), (state, {})
        y_pos, state = parts.encoder.apply(params, state, batch.x_pos, train=True)
        how = partial(objective, config, parts, mesh=mesh, precision=config.precision)
        return how(y, y_pos), (state, {})

    def f(params, state, x):
        return parts.encoder.apply(params, state, x)[0]

    return Problem(
        freeze=lambda key: source.freeze(key, config.n),
        init=parts.encoder.init,
        draw=draw,
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, parts, partial(f, params, state), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, parts, partial(f, params, state), *rest
        ),
        sharded=partial(make_problem, config),
        precision=config.precision,
        shared=source.shared,
    )


def make_program(config: Trained | Theorem1) -> Program:
    """The program of a configuration; identity scores and Theorem 1 train nothing."""
    if isinstance(config, Theorem1):
        return checks.theorem1(config)
    if config.objective == "identity":
        return checks.identity(config)
    return gradient(make_problem(config), run_optimiser(config))


SYSTEM = System(
    name="contrastive_ica",
    title="contrastive ICA",
    paper="Zimmermann et al. 2021",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("n", "mixing", "mixing_layers", "mixing_draws"),
    traced_fields=("tau", "early_tau", "conditional_param", "marginal_param"),
    floor_kind=lambda config: (
        "none" if isinstance(config, Theorem1) else floor_kind(config)
    ),
    vectors="contrastive_ica",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
