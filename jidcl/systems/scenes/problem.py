"""Contrastive ICA from pictures of a scene, rendered inside the training step.

Latents, conditionals, loss, oracle and scores are those of
`jidcl.systems.contrastive_ica.problem`; the mixing is `jidcl.mixing.scenes.render`, the
encoders `jidcl.encoders.images`, augmented views `jidcl.data.views`. Scores of the
observations themselves (`r2_identity`) are those of 4 x 4 means of the pictures.

Source: Zimmermann et al. 2021, section 5.3 and Table 4.
"""

import dataclasses

import jax
from jax.sharding import Mesh

from jidcl.data import ViewSettings
from jidcl.systems.contrastive_ica import problem as contrastive_ica
from jidcl.systems.scenes.presets import Scenes
from jidcl.systems.shared.pictures import pictures_identity, two_views
from jidcl.systems.shared.wiring import observe, run_optimiser
from jidcl.types import Batch, Problem

TRACED = contrastive_ica.TRACED
# Scores of pairs from the conditional, which say nothing of augmented views.
_OF_PAIRS = ("loss", "floor", "chance", "gap", "gap_se", "oracle_loss", "linear_loss")
_OF_PAIRS += ("train_floor", "oracle_scale", "isometry_error")
make_run_optimiser = run_optimiser


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
    parts = contrastive_ica.build_parts(config)

    def draw(frozen, key, part="train"):
        own, frozen = contrastive_ica.of_part(config, parts, frozen, part)
        z_key, views_key = jax.random.split(key)
        z = contrastive_ica.draw_pair(own, z_key, config.batch).z
        settings = ViewSettings(size=config.size, crop=True, jitter=0.8, grey=0.2)
        views = two_views(views_key, observe(config, frozen, z), settings)
        return Batch(views[0], views[1], z, z)

    def evaluate(params, state, frozen, key):
        batch_key, key = jax.random.split(key)
        scores = problem.evaluate(params, state, frozen, key)
        scores = {k: v for k, v in scores.items() if k not in _OF_PAIRS}
        batch = draw(frozen, batch_key, "test")
        loss, _ = problem.loss(params, state, batch, batch_key)
        return scores | {"loss": loss}

    def sharded(mesh):
        return make_problem(config, mesh)

    own = dict(draw=draw, evaluate=evaluate, sharded=sharded)
    return dataclasses.replace(problem, **own)


def frozen_identity(config: Scenes) -> dict[str, object]:
    """The settings that the frozen draws depend on: a scene has none."""
    return pictures_identity(config)


def floor_kind(config: Scenes) -> str:
    """As for contrastive ICA; `"none"` for augmented views, whose law is not known."""
    if config.views == "augmented":
        return "none"
    return contrastive_ica.floor_kind(config)
