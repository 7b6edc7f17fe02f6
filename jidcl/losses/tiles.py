"""How the matrix of all pairs is cut: sizes of tiles, by request and by platform."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_at_least, check_whole


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Pallas kernels for CUDA, `jidcl.losses.kernel`; interpreted elsewhere, slowly.

    Attributes:
        own: rows that a program holds, a power of two.
        other: rows of a tile that it meets at once, a power of two.
        programs: columns are shared among programs until there are about as many, >= 1.

    Raises:
        TypeError: on a number that is not whole.
        ValueError: on a number < 1, or on rows that are no power of two.

    Example:
        >>> Kernel(own=64).other
        16
    """

    own: int = 32
    other: int = 16
    programs: int = 2048

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            check_whole(name, value)
            check_at_least(name, value, 1)
            if name != "programs" and value & (value - 1):
                raise ValueError(f"{name} must be a power of two, got {value}")


# Rows and columns of a tile, and what a caller may ask for.
Sizes = tuple[int, int]
Tile = str | None | int | Sizes | Kernel

CPU_TILE = 512, 64
ACCELERATOR_TILE = 2048, 8192
SMALL = 2**16  # pairs of which one matrix is made


def check_tile(tile: Any) -> Any:
    """What a caller asks for, in one of four forms.

    Args:
        tile: `"auto"`, None, an integer >= 1, two of them (rows, columns), `"kernel"`
            or a `Kernel`.

    Returns:
        `"auto"`, None, a `Kernel`, or the pair (rows, columns).

    Raises:
        ValueError: on another text, another number of sizes, or a size < 1.
        TypeError: on a size that is not whole.

    Example:
        >>> check_tile(64)
        (64, 64)
    """
    if isinstance(tile, str) and tile in ("auto", "kernel"):
        return tile if tile == "auto" else Kernel()
    if tile is None or isinstance(tile, Kernel):
        return tile
    sizes = tile if isinstance(tile, tuple) else (tile, tile)
    if len(sizes) != 2:
        raise ValueError(
            f"tile must be 'auto', 'kernel', None, one number or two, got {tile}"
        )
    for size in sizes:
        check_whole("tile", size)
        check_at_least("tile", size, 1)
    return sizes


def by_platform(here, other, tile: Any, *args):
    """here(tile, *args) on a CPU, other(tile, *args) elsewhere.

    Args:
        here: of a tile (rows, columns) and arrays.
        other: the same.
        tile: (rows, columns) >= 1 that was asked for; None chooses by the platform that
            the program runs on.
        *args: the arrays.

    Returns:
        What `here` or `other` returns.

    Example:
        >>> times = lambda tile, x: x * tile[0]
        >>> by_platform(times, times, (2, 3), jnp.asarray(5)).item()
        10
    """
    here = functools.partial(here, tile or CPU_TILE)
    other = functools.partial(other, tile or ACCELERATOR_TILE)
    return jax.lax.platform_dependent(*args, cpu=here, default=other)


def cut_pairs(tile: Sizes, a: jax.Array, b: jax.Array):
    """Rows and columns of all pairs in tiles, as even as it goes, filled up with zeros.

    The outer loop goes over the columns: what it slices is stored once for the inner
    loop. (Sliced inside the pairwise pass, it would not be vectorised.)

    Args:
        tile: most rows and most columns of a tile, >= 1.
        a: `[rows, m]`.
        b: `[cols, m]`.

    Returns:
        `((rows, numbers), (columns, numbers))`: row tiles `[tiles, size, m]` and column
        tiles with features first, `[tiles, m, size]`, each with the numbers of its rows
        in a or b, `[tiles, size]`; a number beyond the last fills up.

    Example:
        >>> a = jnp.zeros((5, 3))
        >>> (rows, numbers), (columns, _) = cut_pairs((2, 4), a, a)
        >>> rows.shape, columns.shape
        ((3, 2, 3), (2, 3, 3))
    """

    def cut(array, size):
        count = -(-array.shape[0] // size)
        size = -(-array.shape[0] // count)  # as even as it goes
        filled = jnp.pad(array, ((0, count * size - array.shape[0]), (0, 0)))
        number = jnp.arange(count * size).reshape(count, size)
        return filled.reshape(count, size, -1), number

    (rows, row_number), (columns, column_number) = cut(a, tile[0]), cut(b, tile[1])
    return (rows, row_number), (jnp.swapaxes(columns, 1, 2), column_number)


def finite(top: jax.Array) -> jax.Array:
    """The maximum to subtract: 0 for a row without entries, whose sum stays 0.

    Args:
        top: running maxima of rows, any shape; -inf where a row has no entry so far.

    Returns:
        top's shape, without -inf.

    Example:
        >>> finite(jnp.asarray([2.0, -jnp.inf])).tolist()
        [2.0, 0.0]
    """
    return jnp.where(top == -jnp.inf, 0.0, top)
