"""The data-generating process and the objective of contrastive ICA, and its reference.

Wiring of Zimmermann, Sharma, Schneider, Bethge, Brendel 2021. Where its equations
live: latents and conditionals in `jidcl.latents`, the mixing g in `jidcl.mixing`, the
encoder in `jidcl.encoders`, the loss in `jidcl.losses`, Theorem 1 and the closed forms
in `jidcl.theory`, the scores in `jidcl.metrics`.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from jidcl.checks import is_traced
from jidcl.encoders import Encoder
from jidcl.latents import (
    Ball,
    Box,
    Density,
    Real,
    Simplex,
    Space,
    Sphere,
    make_density,
)
from jidcl.losses.contrastive import NegativePolicy, infonce
from jidcl.losses.similarity import Similarity
from jidcl.pairs import sample_pair
from jidcl.systems.contrastive_ica.settings import Trained
from jidcl.systems.shared.sources import Source, make_source
from jidcl.systems.shared.wiring import over_rows
from jidcl.theory.limits import (
    finite_negatives,
    vmf_correction,
    vmf_limit,
    vmf_moment,
    vmf_self_weight,
)
from jidcl.types import Array, Pair


class Parts(NamedTuple):
    """The objects that a configuration names."""

    space: Space
    marginal: Density
    conditional: Density
    encoder: Encoder
    similarity: Similarity
    policy: NegativePolicy
    source: Source


def build_parts(config: Trained) -> Parts:
    """Spaces, densities, encoder, similarity and policy of a configuration."""
    n, source = config.n, make_source(config)
    spaces = {
        "sphere": lambda: Sphere(n),
        "box": lambda: Box(n, config.low, config.high),
        "real": lambda: Real(n),
        "ball": lambda: Ball(n),
        "simplex": lambda: Simplex(n),
    }
    return Parts(
        space=spaces[config.space](),
        marginal=make_density(config.marginal, config.marginal_param, config.gennorm_p),
        conditional=make_density(
            config.conditional, config.conditional_param, config.gennorm_p
        ),
        encoder=source.encoder(n, output=config.output, output_size=config.output_size),
        similarity=Similarity(config.similarity, config.p, config.power),
        policy=NegativePolicy(
            include_positive=config.include_positive,
            exclude_self=config.exclude_self,
            compare=config.compare,
            log_mean=config.log_mean,
            alpha=config.alpha,
            symmetric=config.symmetric,
        ),
        source=source,
    )


def draw_pair(parts: Parts, frozen, key: jax.Array, batch: int) -> Pair:
    """Latents of `batch` pairs of the process, or of the pictures that stand for them.

    Args:
        parts: of the configuration.
        frozen: of the part of the source to draw from.
        key: a typed key.
        batch: pairs.

    Returns:
        A `Pair` of `[batch, n]`.
    """
    laws = parts.space, parts.marginal, parts.conditional
    return parts.source.pair(frozen, sample_pair(key, *laws, batch=batch))


def objective(
    config: Trained,
    parts: Parts,
    y: Array,
    y_pos: Array,
    *,
    mesh: Mesh | None = None,
    precision: str = "float32",
) -> Array:
    """The loss of a pair's representations, `[batch, m]` each; a scalar, nats."""
    similarity = replace(parts.similarity, precision=precision)
    loss = partial(infonce, similarity=similarity, policy=parts.policy)
    value, metrics = over_rows(
        lambda y, y_pos, tau, axis: loss(y, y_pos, tau=tau, axis=axis),
        mesh,
        (y, y_pos),
        (config.tau,),
    )
    return metrics["negative"] if config.objective == "marginal_only" else value


def floor_kind(config: Trained) -> str:
    """`"limit"` where the closed form applies (R <= 0.1 M), else `"reference"`.

    The supervised objective has no reference but 0, and what is not trained none at
    all: `"none"`.
    """
    if config.objective in ("supervised", "identity"):
        return "none"
    closed_form = (
        config.objective == "contrastive"
        and config.space == "sphere"
        and config.marginal == "uniform"
        and config.conditional == "vmf"
        and config.output == "sphere"
        and config.similarity in ("dot", "cosine")
        and (config.include_positive, config.exclude_self) == (True, False)
        and (config.compare, config.log_mean, config.alpha) == ("anchor", False, 0.5)
        and not config.symmetric
    )
    traced = any(map(is_traced, (config.conditional_param, config.tau)))
    if traced or not closed_form:
        return "reference"
    moments = (config.conditional_param, 1 / config.tau)
    largest = max(vmf_moment(config.n, kappa) for kappa in moments)
    return "limit" if largest <= 0.1 * config.eval_batch else "reference"


def least_loss(config: Trained) -> float:
    """Theorem 1's loss at the evaluation batch, for `floor_kind(config) == "limit"`."""
    n, kappa, model = config.n, config.conditional_param, 1 / config.tau
    return finite_negatives(
        vmf_limit(n, kappa, model_kappa=model),
        vmf_correction(n, kappa, model_kappa=model),
        config.eval_batch,
        composition="with_self",
        self_weight=vmf_self_weight(n, model),
    )
