"""Maps of the picture's plane, from points to points, and pictures under them.

Source: Reizinger et al. 2022, published code (warps that break the orthogonality of a
scene's Jacobian).
"""

import jax
import jax.numpy as jnp

from jidcl.checks import check_features, check_same_shape, check_shape
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
