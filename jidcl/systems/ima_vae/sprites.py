"""Pictures of coloured triangles for the IMA-VAE: factors, warps, networks.

Source: Reizinger et al. 2022, section 4.3 and published code; the scene is
`jidcl.mixing.scenes.Triangles`.
"""

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder, make_cnn, make_cnn_decoder
from jidcl.mixing.scenes import make_scene, render
from jidcl.mixing.scenes.warps import affine_map, projective_map, shift_colours, warp
from jidcl.systems.ima_vae.presets import ImaVae
from jidcl.types import Array, Params

SHAPES = 2.0, 15.0  # the least and the largest shape of a factor's Beta law
# Points of pictures of 64 x 64, (column, row), before and after.
PUBLISHED_SIZE = 64
MAPS = {
    "affine": (
        affine_map,
        ((16.0, 16.0), (64.0, 16.0), (16.0, 48.0)),
        ((10.0, 32.0), (64.0, 16.0), (32.0, 64.0)),
    ),
    "projective": (
        projective_map,
        ((0.0, 0.0), (0.0, 63.0), (32.0, 0.0), (32.0, 63.0)),
        ((8.0, 3.0), (4.0, 47.0), (42.0, 15.0), (40.0, 38.0)),
    ),
}
# The published constants are not recorded.
COLOURS = dict(hue=0.1, saturation=-0.3, value=-0.2)


def freeze_sprites(config: ImaVae, key: Array) -> Params:
    """`shapes` `[2, n]` of the factors' Beta laws, and the `matrix` of a map."""
    low, high = SHAPES
    shapes = jax.random.uniform(key, (2, config.n), minval=low, maxval=high)
    if config.warp not in MAPS:
        return {"shapes": shapes}
    make, *points = MAPS[config.warp]
    shrunk = config.size / PUBLISHED_SIZE
    # Middles of pixels have whole coordinates.
    scaled = [(jnp.array(p) + 0.5) * shrunk - 0.5 for p in points]
    return {"shapes": shapes, "matrix": make(*scaled)}


def draw_beta(key: Array, shapes: Array, batch: int) -> Array:
    """Independent Beta numbers of shapes `[2, n]`, `[batch, n]`."""
    alpha, beta = (row[None] for row in shapes)
    return jax.random.beta(key, alpha, beta, (batch, shapes.shape[1]))


def observe_sprites(config: ImaVae, g: Params, source: Array) -> Array:
    """Pictures of factors in (0, 1), flat: `[batch, n] -> [batch, size * size * 3]`."""
    scene = make_scene("triangles", size=config.size)

    def picture(z):
        shown = render(scene, z)
        if config.warp == "colours":
            return shift_colours(shown, **COLOURS)
        return warp(shown, g["matrix"]) if config.warp in MAPS else shown

    return jax.vmap(picture)(2 * source - 1).reshape(len(source), -1)


def sprite_networks(config: ImaVae) -> tuple[Encoder, Encoder]:
    """The CNN `[batch, D] -> [batch, 2 n]` and its decoder `[batch, n] -> [batch, D]`.

    D = 3 size^2. The decoder's outputs are the pixels' means.
    """
    n, size, own = config.n, config.size, dict(narrow=config.narrow)
    f, g = make_cnn(size, 3, 2 * n, **own), make_cnn_decoder(size, 3, n, **own)

    def encode(params, state, x, train=False):
        # Black is most of a picture: it is made brighter.
        pictures = 4 * x.reshape(-1, size, size, 3)
        return f.apply(params, state, pictures, train=train)

    def decode(params, state, z, train=False):
        # Spread about 0, as the start of the network expects.
        pictures, state = g.apply(params, state, 4 * z - 2, train=train)
        return pictures.reshape(len(z), -1), state

    return Encoder(f.init, encode), Encoder(g.init, decode)
