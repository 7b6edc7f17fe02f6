"""What the scenes share: checks of settings and latents, names of factors."""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_choice, check_features, check_whole, is_traced
from jidcl.types import Array

SMALLEST = 8


def check_size(size: int) -> None:
    """Raise unless `size` is a whole number of pixels, 8 at least."""
    check_whole("size", size)
    if size < SMALLEST:
        raise ValueError(f"size must be >= {SMALLEST} pixels, got {size}")


def check_latents(z: Array, factors: tuple[str, ...]) -> None:
    """Raise unless z is `[n]`, one latent vector, and (concretely) in [-1, 1]."""
    n = len(factors)
    check_features("z", z, n)
    if z.ndim != 1:
        raise ValueError(
            f"z must be one latent vector [{n}], got {list(z.shape)}: "
            "use jax.vmap for a batch"
        )
    if is_traced(z):
        return
    values = np.asarray(z, np.float64)
    wrong = ~(np.abs(values) <= 1)
    if wrong.any():
        shown = {factors[k]: round(float(values[k]), 6) for k in np.flatnonzero(wrong)}
        raise ValueError(f"z must be in [-1, 1], got {shown}")


def factor_index(factors: tuple[str, ...], name: str) -> int:
    """Column of a factor; an unknown one is refused with the nearest name.

    Args:
        factors: names of a scene's factors.
        name: one of them.

    Returns:
        The column.

    Example:
        >>> factor_index(("x", "y"), "y")
        1

    Source: this library.
    """
    check_choice("factor", name, factors)
    return factors.index(name)


def vary(factors: tuple[str, ...], name: str, z: Array, values: Array) -> Array:
    """Latents `[len(values), n]` that differ from z, `[n]`, in one factor only.

    Args:
        factors: names of a scene's factors.
        name: the factor that varies.
        z: latents of the others, `[n]`, in [-1, 1].
        values: of that factor, `[rows]`, in [-1, 1].

    Returns:
        `[rows, n]`.

    Example:
        >>> vary(("x", "y"), "y", jnp.zeros(2), jnp.array([-1.0, 1.0]))
        Array([[ 0., -1.],
               [ 0.,  1.]], dtype=float32)

    Source: this library.
    """
    column = factor_index(factors, name)
    check_features("z", z, len(factors))
    values = jnp.asarray(values)
    rows = jnp.broadcast_to(z, (len(values), len(factors)))
    return rows.at[:, column].set(values.astype(z.dtype))


def ranged(z: Array, low: Sequence[float], high: Sequence[float]) -> Array:
    """z in [-1, 1]^n, `[..., n]`, mapped linearly onto the box from low to high."""
    ends = (jnp.asarray(end, z.dtype) for end in (low, high))
    first, last = (jnp.broadcast_to(end, z.shape) for end in ends)
    return first + (last - first) * 0.5 * (z + 1)


def pixel_middles(size: int, dtype) -> tuple[Array, Array]:
    """(across, down), `[size, size]`: middles of pixels of the unit square."""
    middle = (jnp.arange(size, dtype=dtype) + 0.5) / size
    across, down = jnp.meshgrid(middle, middle)
    return across, down


def part_of(z: Array, count: int) -> Array:
    """Which of `count` equal parts of [-1, 1] holds z: 0 .. count - 1."""
    part = jnp.floor(0.5 * (z + 1) * count)
    return jnp.clip(part, 0, count - 1).astype("int32")


def grid_latents(scene: Any, index: Array) -> Array:
    """Latents of pictures of a published grid, the last factor changing fastest.

    Args:
        scene: one with a `grid`, the number of values of each factor.
        index: `[...]`, 0 .. prod(grid) - 1.

    Returns:
        `[..., n]` in [-1, 1].

    Raises:
        ValueError: without a grid or, concretely, beyond it.
        TypeError: on an index that is not whole.

    Example:
        >>> from jidcl.mixing.scenes import Sprites
        >>> grid_latents(Sprites(), jnp.array([0]))
        Array([[-1., -1., -1., -1., -1.]], dtype=float32)

    Source: this library; the order of the published files.
    """
    counts = getattr(scene, "grid", None)
    if counts is None:
        raise ValueError(f"scene must have a published grid, got {scene!r}")
    total = math.prod(counts)
    index = jnp.asarray(index)
    if not jnp.issubdtype(index.dtype, jnp.integer):
        raise TypeError(f"index must be of an integer dtype, got {index.dtype}")
    if not is_traced(index):
        values = np.asarray(index)
        wrong = values[(values < 0) | (values >= total)]
        if wrong.size:
            raise ValueError(f"index must be in 0..{total - 1}, got {wrong[0]}")
    places = jnp.unravel_index(index, counts)
    return jnp.stack(
        [2 * p / (n - 1) - 1 for p, n in zip(places, counts, strict=True)], -1
    )
