"""Contrastive ICA from pictures of a scene, rendered inside the training step.

Latents, conditionals, loss, oracle and scores are those of
`jidcl.systems.contrastive_ica`; the mixing is `jidcl.mixing.scenes.render`, the
encoders `jidcl.encoders.images`, augmented views `jidcl.data.views`. Scores of the
observations themselves (the null `identity`) are those of 4 x 4 means of the pictures.

Source: Zimmermann et al. 2021, section 5.3 and Table 4.
"""

import dataclasses

import jax
from jax.sharding import Mesh

from jidcl.data import ViewSettings
from jidcl.systems.contract import System
from jidcl.systems.contrastive_ica import problem as contrastive_ica
from jidcl.systems.contrastive_ica import process
from jidcl.systems.contrastive_ica.evaluate import evaluate as evaluate_pairs
from jidcl.systems.scenes import conformance, presets
from jidcl.systems.scenes.presets import Scenes
from jidcl.systems.shared.pictures import two_views
from jidcl.systems.shared.sources import data_identity
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Batch, Losses, OnHost, Problem, Program


def make_problem(config: Scenes, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss over its `data` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    problem = contrastive_ica.make_problem(config, mesh)
    if config.views == "latents":
        return problem
    parts = process.build_parts(config)

    def draw(frozen, key, part="train"):
        frozen = parts.source.part(frozen, part)
        z_key, views_key = jax.random.split(key)
        z = process.draw_pair(parts, frozen, z_key, config.batch).z
        settings = ViewSettings(size=config.size, crop=True, jitter=0.8, grey=0.2)
        views = two_views(views_key, parts.source.observe(frozen, z), settings)
        return Batch(views[0], views[1], z, z)

    def evaluate(params, state, frozen, key):
        batch_key, key = jax.random.split(key)

        def f(x):
            return parts.encoder.apply(params, state, x)[0]

        of_pairs = evaluate_pairs(config, parts, f, frozen, key)
        batch = draw(frozen, batch_key, "test")
        loss, _ = problem.loss(params, state, batch, batch_key)

        def finish(arrays, xp):
            pairs, loss = arrays
            found = of_pairs.finish(pairs, xp)
            scores = {k: v for k, v in found.scores.items() if k != "isometry_error"}
            # The law of augmented views is not known, so neither is a reference.
            return dataclasses.replace(found, scores=scores, losses=Losses(loss[None]))

        return OnHost((of_pairs.arrays, loss), finish)

    def sharded(mesh):
        return make_problem(config, mesh)

    return dataclasses.replace(problem, draw=draw, evaluate=evaluate, sharded=sharded)


def make_program(config: Scenes) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


def floor_kind(config: Scenes) -> str:
    """As for contrastive ICA; `"none"` for augmented views, whose law is not known."""
    return "none" if config.views == "augmented" else process.floor_kind(config)


SYSTEM = System(
    name="scenes",
    title="contrastive ICA from pictures",
    paper="Zimmermann et al. 2021, Table 4",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    traced_fields=contrastive_ica.SYSTEM.traced_fields,
    floor_kind=floor_kind,
    data_identity=data_identity,
    vectors="contrastive_ica",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
