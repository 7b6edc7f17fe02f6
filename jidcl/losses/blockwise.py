"""Row tiles: all-pairs losses in memory of tile x columns instead of rows x columns."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def over_tiles(
    function: Callable[..., jax.Array], tile: int | None, *rows: jax.Array
) -> jax.Array:
    """function(*rows) in tiles of rows, one after another, recomputed backwards.

    Args:
        function: maps arrays `[r, ...]` to `[r]`, row by row; it may close over
            arrays (their gradients accumulate over the tiles).
        tile: rows at a time; all of them at once when None or not below their number.
        *rows: arrays `[rows, ...]`.

    Returns:
        `[rows]`.

    Notes:
        `lax.map` of a checkpointed tile: the backward pass stores the inputs of a tile
        and computes its logits again. The last tile is filled up with copies of the
        first row; what they give is dropped.
    """
    count = rows[0].shape[0]
    if tile is None or tile >= count:
        return function(*rows)
    tiles = -(-count // tile)
    number = jnp.arange(tiles * tile)
    number = jnp.where(number < count, number, 0).reshape(tiles, tile)
    one = jax.checkpoint(lambda part: function(*part))
    return jax.lax.map(one, tuple(array[number] for array in rows)).reshape(-1)[:count]
