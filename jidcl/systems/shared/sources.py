"""Where observations come from: a drawn mixing, a rendered scene, pictures on disk.

A system asks its `Source` and does not know which one it has.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.data import PictureGrid, PictureSet, load_mnist, pair_rows
from jidcl.encoders import Encoder, make_mlp
from jidcl.mixing import init_invertible_mlp, init_linear, init_orthogonal, mix
from jidcl.systems.shared.pictures import (
    coarse,
    draw_pictures,
    in_parts,
    look_up,
    make_image_encoder,
    pictures_identity,
    shared_pictures,
)
from jidcl.systems.shared.settings import Pictures, Settings
from jidcl.train.generator import decode, train_decoder
from jidcl.types import Array, Metrics, Pair

Frozen = Any
MNIST_PIXELS = 28 * 28


@dataclasses.dataclass(frozen=True)
class Source:
    """Observations x = g(z), as pure functions of a run's frozen draws.

    Attributes:
        freeze: `(key, n) -> frozen`, a dict: the weights of the mixing of n latents.
        observe: `(frozen, z) -> x`, `[batch, n] -> [batch, ...]`.
        part: `(frozen, "train" | "test") -> frozen`: where pictures are on disk, those
            to train on or those to score on; otherwise what was given.
        pair: `(frozen, pair) -> Pair`: the latents themselves, or those of the pictures
            on disk that stand for them.
        features: `x -> [batch, k]`: what scores of the observations themselves read.
        read: `(function, z) -> tree`: `function(z)`, of few rows at once where
            observations are large.
        encoder: `(d, m=None, **output) -> Encoder` of observations of d latents, to m
            outputs (d when None).
        shared: see `jidcl.types.Program.shared`.
        pictures: whether observations are pictures: features are many, so scores of
            them are fitted and judged on different rows.
    """

    freeze: Callable[[Array, int], dict[str, Any]]
    observe: Callable[[Frozen, Array], Array]
    part: Callable[[Frozen, str], Frozen]
    pair: Callable[[Frozen, Pair], Pair]
    features: Callable[[Array], Array]
    read: Callable[[Callable[[Array], Any], Array], Any]
    encoder: Callable[..., Encoder]
    shared: Any = None
    pictures: bool = False

    def observe_pair(self, frozen: Frozen, z: Array, z_pos: Array):
        """(x, x_pos) by one program: a scene's takes long to compile."""
        both = jax.vmap(partial(self.observe, frozen))(jnp.stack([z, z_pos]))
        return both[0], both[1]


def make_source(config: Settings) -> Source:
    """The source of a configuration.

    Args:
        config: settings with the part `Pictures`, or `DrawnMixing` and `Network`.

    Returns:
        A `Source`.

    Raises:
        ValueError: on pictures on disk that do not fit the settings.
    """
    return _pictures(config) if isinstance(config, Pictures) else _drawn(config)


def data_identity(config: Settings) -> dict[str, Any]:
    """What identifies observations beside the settings: the contents of a folder.

    Args:
        config: settings of a system.

    Returns:
        Empty, or `data`, a digest of the pictures on disk.
    """
    return pictures_identity(config) if isinstance(config, Pictures) else {}


def set_size(frozen: Frozen) -> Metrics:
    """`rows_of_set`: training pictures of a set, points of a grid; or nothing.

    Args:
        frozen: draws of a run; a dict.

    Returns:
        A scalar by name, or an empty dict.
    """
    held = frozen.get("shared")
    if held is None:
        return {}
    x = held.x if isinstance(held, PictureGrid) else held["train"].x
    return {"rows_of_set": jnp.asarray(len(x))}


def _drawn(config: Any) -> Source:
    """Of `DrawnMixing`, with the MLP of `Network`."""
    images = config.mixing == "mnist"

    def encoder(d: int, m: int | None = None, **own: Any) -> Encoder:
        net = dict(widths=config.widths, slope=config.slope, init=config.init)
        return make_mlp(d, d=MNIST_PIXELS if images else d, m=m, **{**net, **own})

    return Source(
        freeze=lambda key, n: {"g": init_mixing(config, key, n)},
        observe=lambda frozen, z: _mixed(frozen["g"], z),
        part=lambda frozen, name: frozen,
        pair=lambda frozen, pair: pair,
        features=lambda x: x,
        read=lambda function, z: function(z),
        encoder=encoder,
        pictures=images,
    )


def init_mixing(config: Any, key: Array, n: int) -> dict[str, Any]:
    """Weights of the configured mixing of n latents.

    Args:
        config: settings with the part `DrawnMixing`.
        key: a typed key.
        n: latents, >= 1.

    Returns:
        A dict that `observe` of the source reads.
    """
    draws = config.mixing_draws
    match config.mixing:
        case "invertible_mlp":
            return init_invertible_mlp(key, n, layers=config.mixing_layers, draws=draws)
        case "linear":
            return init_linear(key, n, draws=draws)
        case "orthogonal":
            return init_orthogonal(key, n)
        case "mnist":
            hidden = (25 * n,) * (config.mixing_layers - 1)
            images = load_mnist().train_images
            return train_decoder(key, images, n=n, hidden=hidden, steps=draws)
    return {"kernels": jnp.eye(n)[None], "cond": jnp.ones((1,))}


def _mixed(g: dict[str, Any], z: Array) -> Array:
    """g(z). A decoder sees latents of its prior's length, sqrt(n) for a sphere's."""
    if "decoder" in g:
        return decode(g["decoder"], z * z.shape[-1] ** 0.5)
    return mix(g, z)


def _pictures(config: Pictures) -> Source:
    """Of a scene; or of a set in a folder, which `part` puts into `frozen["set"]`."""

    def observe(frozen: Frozen, z: Array) -> Array:
        held = frozen.get("set")
        return draw_pictures(config, z) if held is None else look_up(config, held, z)

    def part(frozen: Frozen, name: str) -> Frozen:
        held = frozen.get("shared")
        if held is None:
            return frozen
        return {**frozen, "set": held if isinstance(held, PictureGrid) else held[name]}

    def pair(frozen: Frozen, pair: Pair) -> Pair:
        held = frozen.get("set")
        if not isinstance(held, PictureSet):
            return pair
        rows = pair_rows(held.z, *pair)
        return Pair(held.z[rows.row], held.z[rows.row_pos])

    def encoder(d: int, m: int | None = None, **own: Any) -> Encoder:
        return make_image_encoder(config, d if m is None else m, **own)

    return Source(
        freeze=lambda key, n: {"g": {}},
        observe=observe,
        part=part,
        pair=pair,
        features=coarse,
        read=in_parts,
        encoder=encoder,
        shared=shared_pictures(config),
        pictures=True,
    )
