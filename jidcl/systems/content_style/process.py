"""The data-generating process and the objective of content/style isolation.

Wiring of von Kuegelgen et al. 2021. Where its equations live: the latent process in
`jidcl.latents.blocks`, the mixing g in `jidcl.mixing.dense`, the objectives in
`jidcl.losses.contrastive` and `jidcl.losses.entropy`, the scores in
`jidcl.metrics.blocks`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.encoders import Encoder
from jidcl.latents import BlockLaw, init_blocks, sample_block_pair, sample_blocks
from jidcl.losses import NegativePolicy, Similarity, align_maxent, infonce
from jidcl.systems.content_style.presets import ContentStyle
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import over_rows
from jidcl.types import Array, Metrics


class Latents(NamedTuple):
    """Latents of anchors, positives and independent negatives, `[batch, n]` each."""

    z: Array
    z_pos: Array
    z_neg: Array


def build_encoder(config: ContentStyle) -> Encoder:
    """The encoder of a configuration, n -> outputs."""
    source = make_source(config)
    return source.encoder(config.n, m=config.outputs, output=config.output)


def draw_law(config: ContentStyle, key: Array) -> BlockLaw:
    """The law of content, style and changes, drawn once in a run."""
    return init_blocks(
        key,
        config.n_c,
        config.n_s,
        stat=config.stat,
        causal=config.causal,
        least_eigenvalue=config.least_eigenvalue,
    )


def draw_latents(
    config: ContentStyle, law: BlockLaw, key: Array, batch: int
) -> Latents:
    """Latents of `batch` pairs, the negatives drawn independently of them.

    Args:
        config: which style coordinates change, and how often.
        law: of `draw_law`.
        key: a typed key.
        batch: pairs.

    Returns:
        `Latents`.
    """
    k_pair, k_negative = jax.random.split(key)
    changes = jnp.asarray([j not in config.fixed_style for j in range(config.n_s)])
    change = jnp.where(changes, config.change, 0.0)
    pair = sample_block_pair(k_pair, law, batch=batch, change=change)
    return Latents(*pair, sample_blocks(k_negative, law, batch=batch))


def objective(
    config: ContentStyle,
    y: Array,
    y_pos: Array,
    y_neg: Array,
    *,
    mesh: Mesh | None = None,
) -> tuple[Array, Metrics]:
    """The training loss and its parts, `(scalar, metrics)`, nats.

    AlignMaxEnt takes its entropy from the anchors and leaves the negatives unused.

    Args:
        config: which objective, and its numbers.
        y: representations of anchors, `[batch, m]`.
        y_pos: of positives.
        y_neg: of independent negatives.
        mesh: spread the rows of InfoNCE over its `data` axis.
    """
    if config.objective == "align_maxent":
        return align_maxent(y, y_pos, variance=config.variance, weight=config.weight)
    policy = NegativePolicy(
        negatives="independent",
        include_positive=config.include_positive,
        log_mean=config.log_mean,
        alpha=config.alpha,
    )
    similarity = Similarity("lp", config.p, config.power)
    loss = partial(infonce, similarity=similarity, policy=policy)
    return over_rows(
        lambda y, y_pos, y_neg, tau, axis: loss(y, y_pos, y_neg, tau=tau, axis=axis),
        mesh,
        (y, y_pos, y_neg),
        (config.tau,),
    )
