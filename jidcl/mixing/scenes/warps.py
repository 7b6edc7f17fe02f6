"""Maps of the picture's plane and of its colours, and pictures under them.

Source: Reizinger et al. 2022, published code (warps that break the orthogonality of a
scene's Jacobian).
"""

import jax
import jax.numpy as jnp

from jidcl.checks import check_features, check_same_shape, check_shape
from jidcl.mixing.scenes.shading import hue_circle
from jidcl.types import Array


def affine_map(source: Array, target: Array) -> Array:
    """The matrix `[2, 3]` that takes three points to three others.

    Args:
        source: `[3, 2]`, not on one line.
        target: `[3, 2]`.

    Returns:
        A with target = A (source, 1).
    """
    check_shape("source", source, (3, 2))
    check_same_shape("target", target, "source", source)
    held = jnp.concatenate([source, jnp.ones_like(source[:, :1])], axis=1)
    return jnp.linalg.solve(held, target).T


def projective_map(source: Array, target: Array) -> Array:
    """The matrix `[3, 3]`, of last entry 1, that takes four points to four others.

    Args:
        source: `[4, 2]`, no three on one line.
        target: `[4, 2]`.

    Returns:
        H with target = (H (source, 1))_12 / (H (source, 1))_3.
    """
    check_shape("source", source, (4, 2))
    check_same_shape("target", target, "source", source)
    held = jnp.concatenate([source, jnp.ones_like(source[:, :1])], axis=1)
    none = jnp.zeros_like(held)
    rows = [
        jnp.concatenate([*sides, -target[:, i : i + 1] * source], axis=1)
        for i, sides in enumerate(((held, none), (none, held)))
    ]
    entries = jnp.linalg.solve(jnp.concatenate(rows), target.T.reshape(-1))
    return jnp.append(entries, jnp.ones((), entries.dtype)).reshape(3, 3)


def warp(picture: Array, matrix: Array) -> Array:
    """A picture under a map of its plane, with black from outside.

    Args:
        picture: `[rows, columns, channels]`; a point is (column, row) in pixels.
        matrix: `[2, 3]` or `[3, 3]`, from points of the picture to those of the result.

    Returns:
        The result, of the same shape, read from four neighbours each.
    """
    check_features("picture", picture)
    forward = matrix
    if matrix.shape[0] == 2:
        forward = jnp.concatenate([matrix, jnp.array([[0, 0, 1]], matrix.dtype)])
    rows, columns = picture.shape[:2]
    down, across = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    places = jnp.stack([across, down, jnp.ones_like(down)]).reshape(3, -1)
    back = jnp.linalg.solve(forward, places.astype(forward.dtype))
    where = (back[:2] / back[2:])[::-1]

    def read(channel: Array) -> Array:
        mapped = jax.scipy.ndimage.map_coordinates(channel, list(where), order=1)
        return mapped.reshape(rows, columns)

    return jax.vmap(read, in_axes=-1, out_axes=-1)(picture)


def shift_colours(
    picture: Array, *, hue: float = 0.0, saturation: float = 0.0, value: float = 0.0
) -> Array:
    """A picture with constants added to hue, saturation and value of its colours.

    Saturation and value are clipped to [0, 1]; the hue goes round.

    Args:
        picture: `[..., 3]`, RGB in [0, 1].
        hue: added to the hue, in turns.
        saturation: added to the saturation.
        value: added to the value.

    Returns:
        The result, of the same shape. Grey has hue 0, black has saturation 0.
    """
    check_features("picture", picture, 3)
    red, green, blue = (picture[..., i] for i in range(3))
    most, least = jnp.max(picture, axis=-1), jnp.min(picture, axis=-1)
    chroma = most - least
    # Where a quotient says nothing it is 0, and so is its derivative.
    lit, coloured = most > 0, chroma > 0
    by_chroma = jnp.where(coloured, chroma, jnp.ones_like(chroma))
    sixths = jnp.where(
        most == red,
        (green - blue) / by_chroma,
        jnp.where(
            most == green,
            2 + (blue - red) / by_chroma,
            4 + (red - green) / by_chroma,
        ),
    )
    share = jnp.where(lit, chroma / jnp.where(lit, most, jnp.ones_like(most)), 0.0)
    share = jnp.clip(share + saturation, 0, 1)
    turned = jnp.pi * (jnp.where(coloured, sixths, 0.0) / 3 + 2 * hue)
    colour = jnp.stack(hue_circle(turned, share), axis=-1)
    return colour * jnp.clip(most + value, 0, 1)[..., None]
