"""Flat sprites: the five factors of dSprites, and coloured triangles.

Shapes are signed distances in the unit square, x to the right and y down (up for the
triangles); a pixel's coverage is clip(1/2 - size distance, 0, 1), so that edges are
soft and have derivatives. The published dSprites pictures are binary and drawn by
another program: factors, ranges and grid are theirs, pixels are ours.

Source: Matthey et al. 2017 (dSprites); Reizinger et al. 2022 (coloured sprites).
"""

import dataclasses

import jax.numpy as jnp

from jidcl.mixing.scenes.common import check_size, part_of, pixel_middles, ranged
from jidcl.mixing.scenes.shading import hue_circle
from jidcl.types import Array


@dataclasses.dataclass(frozen=True)
class Sprites:
    """White square, ellipse or heart on black: shape, scale, orientation, x, y.

    The grid is the published one of 3 x 6 x 40 x 32 x 32 = 737,280 pictures. A turn of
    the square by 90 degrees, of the ellipse by 180, or of any shape by 360 (both ends
    of its range) shows the same picture; shape is read from z in three equal steps. So
    orientation and shape are no function of the picture, and no score of theirs is 1.

    Attributes:
        size: rows and columns of the image.

    Example:
        >>> Sprites(size=16).channels
        1

    Source: Matthey et al. 2017, dSprites (factors and grid).
    """

    size: int = 64

    factors = ("shape", "scale", "orientation", "x", "y")
    grid = (3, 6, 40, 32, 32)
    channels = 1

    def __post_init__(self):
        check_size(self.size)


@dataclasses.dataclass(frozen=True)
class Triangles:
    """One coloured triangle on black: x, y, scale, hue.

    The hue goes once round the circle, as published: both ends look the same.

    Attributes:
        size: rows and columns of the image.

    Example:
        >>> Triangles(size=16).factors
        ('x', 'y', 'scale', 'hue')

    Source: Reizinger et al. 2022 (coloured sprites).
    """

    size: int = 64

    factors = ("x", "y", "scale", "hue")
    channels = 3

    def __post_init__(self):
        check_size(self.size)


def physical_sprites(z: Array) -> Array:
    """(shape 0..2, scale in [0.5, 1], orientation in [0, 2 pi], x, y in [0, 1])."""
    share = 0.5 * (z[..., 1:] + 1)
    values = [0.5 + 0.5 * share[..., 0], 2 * jnp.pi * share[..., 1]]
    values += [share[..., 2], share[..., 3]]
    return jnp.stack([part_of(z[..., 0], 3).astype(z.dtype), *values], -1)


def sprite_picture(scene: Sprites, z: Array) -> Array:
    """`[5] -> [size, size, 1]`; the centre moves over the middle half of the square."""
    kind, scale, angle, x, y = physical_sprites(z)
    across, down = pixel_middles(scene.size, z.dtype)
    dx, dy = across - (0.25 + 0.5 * x), down - (0.25 + 0.5 * y)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    u, v = (cos * dx + sin * dy) / scale, (cos * dy - sin * dx) / scale
    every = (_square(u, v), _ellipse(u, v), _heart(u, v))
    gap = jnp.where(kind == 0, every[0], jnp.where(kind == 1, every[1], every[2]))
    return _coverage(gap * scale, scene.size)[..., None]


def physical_triangles(z: Array) -> Array:
    """(x, y in [0.2, 0.75], scale in [0.11, 0.2], hue in [0, 1])."""
    return ranged(z, (0.2, 0.2, 0.11, 0.0), (0.75, 0.75, 0.2, 1.0))


def triangle_picture(scene: Triangles, z: Array) -> Array:
    """`[4] -> [size, size, 3]`; the triangle's area is scale^2, y points up."""
    x, y, scale, hue = physical_triangles(z)
    across, down = pixel_middles(scene.size, z.dtype)
    dx, dy = (across - x) / scale, (1 - down - y) / scale
    # Equilateral, of unit area: the circle inside has radius sqrt(sqrt(3) / 9).
    inner = (3**0.5 / 9) ** 0.5
    sides = [dx * jnp.cos(a) + dy * jnp.sin(a) - inner for a in _SIDES]
    gap = jnp.maximum(jnp.maximum(sides[0], sides[1]), sides[2])
    shown = _coverage(gap * scale, scene.size)
    colour = jnp.stack(hue_circle(2 * jnp.pi * hue, 1.0))
    return shown[..., None] * colour[None, None]


_SIDES = tuple(jnp.pi * degrees / 180 for degrees in (-90, 30, 150))


def _coverage(gap: Array, size: int) -> Array:
    return jnp.clip(0.5 - size * gap, 0, 1)


def _square(u: Array, v: Array, half: float = 0.155) -> Array:
    return jnp.maximum(jnp.abs(u), jnp.abs(v)) - half


def _ellipse(u: Array, v: Array, a: float = 0.22, b: float = 0.11) -> Array:
    size = jnp.sqrt((u / a) ** 2 + (v / b) ** 2 + 1e-9)
    steep = jnp.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + 1e-9)
    return size * (size - 1) / steep


def _heart(u: Array, v: Array, scale: float = 0.34) -> Array:
    """Two circles over a right angle, its tip downwards."""
    a, b = jnp.abs(u) / scale, 0.62 - v / scale
    lobe = jnp.sqrt((a - 0.25) ** 2 + (b - 0.75) ** 2 + 1e-9) - 0.125**0.5
    along = 0.5 * jnp.maximum(a + b, 0)
    side = jnp.sqrt((a - along) ** 2 + (b - along) ** 2 + 1e-9)
    notch = jnp.sqrt(a**2 + (b - 1) ** 2 + 1e-9)
    below = jnp.minimum(notch, side) * jnp.where(a > b, 1, -1)
    return jnp.where(a + b > 1, lobe, below) * scale
