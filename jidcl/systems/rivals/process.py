"""The data-generating processes of the comparison, and the encoder of each objective.

Where the equations live: latents in `jidcl.latents`, the mixing g in
`jidcl.mixing.dense`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder
from jidcl.latents import (
    Box,
    Laplace,
    Sphere,
    Uniform,
    VonMisesFisher,
    init_blocks,
    sample_block_pair,
    sample_blocks,
    sample_marginal,
)
from jidcl.pairs import sample_pair
from jidcl.systems.rivals.presets import CONDITIONS, ON_SPHERE, Rivals
from jidcl.systems.shared.sources import make_source
from jidcl.types import Array


class Latents(NamedTuple):
    """Latents of anchors, positives and independent negatives, `[batch, n]` each."""

    z: Array
    z_pos: Array
    z_neg: Array


def build_encoder(config: Rivals) -> Encoder:
    """The encoder of a configuration, into the space that its objective compares.

    The unit sphere where outputs are compared by cosine: their length, which the loss
    does not see, would be free to carry style. The unit box for align_maxent.
    """
    output = "sphere" if config.objective in ON_SPHERE else "none"
    return make_source(config).encoder(
        config.n,
        m=config.outputs,
        output="box" if config.objective == "align_maxent" else output,
    )


def draw_law(config: Rivals, key: Array) -> dict[str, Any]:
    """The law of content and style, and how often style changes; else nothing."""
    if config.data not in CONDITIONS:
        return {}
    own = dict(CONDITIONS[config.data])
    half = config.n // 2
    change = jnp.asarray(own.pop("change"))
    return {"change": change, "law": init_blocks(key, half, half, **own)}


def draw_latents(config: Rivals, frozen: Any, key: Array, batch: int) -> Latents:
    """Latents of `batch` pairs, the negatives drawn independently of them.

    Args:
        config: which data.
        frozen: the run's frozen draws.
        key: a typed key.
        batch: pairs.

    Returns:
        `Latents`.
    """
    k_pair, k_negative = jax.random.split(key)
    if config.data in CONDITIONS:
        change, law = frozen["change"], frozen["law"]
        pair = sample_block_pair(k_pair, law, batch=batch, change=change)
    else:
        space, conditional = _world(config)
        pair = sample_pair(k_pair, space, Uniform(), conditional, batch=batch)
    return Latents(*pair, draw_marginal(config, frozen, k_negative, batch))


def draw_marginal(config: Rivals, frozen: Any, key: Array, batch: int) -> Array:
    """z from the marginal of the anchors, `[batch, n]`."""
    if config.data in CONDITIONS:
        return sample_blocks(key, frozen["law"], batch=batch)
    return sample_marginal(key, Uniform(), _world(config)[0], shape=(batch,))


def _world(config: Rivals):
    """Space and conditional of box and sphere."""
    if config.data == "sphere":
        kappa = 5.0 if config.noise is None else config.noise
        return Sphere(config.n), VonMisesFisher(kappa)
    return Box(config.n), Laplace(0.1 if config.noise is None else config.noise)
