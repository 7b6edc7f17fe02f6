"""Rays against signed distances: vectors, pinhole camera, tracing, soft shadows.

Loops have fixed counts and run on stopped gradients. The hit and the shadow are then
evaluated once more at what the loop found: by the implicit function theorem (the hit)
and the envelope theorem (the nearest miss) that gives their derivatives.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Vec:
    """A field of 3-vectors, one array for each coordinate: no axis of length three."""

    x: Array
    y: Array
    z: Array

    def __add__(self, other: "Vec") -> "Vec":
        return Vec(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other: "Vec") -> "Vec":
        return Vec(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor: Array | float) -> "Vec":
        return Vec(self.x * factor, self.y * factor, self.z * factor)

    def dot(self, other: "Vec") -> Array:
        """Inner product."""
        return self.x * other.x + self.y * other.y + self.z * other.z

    def turned(self, matrix: Array) -> "Vec":
        """Matrix `[3, 3]` times the vector."""
        rows = (matrix[k, 0] * self.x + matrix[k, 1] * self.y for k in range(3))
        return Vec(*(row + matrix[k, 2] * self.z for k, row in enumerate(rows)))


Distance = Callable[[Vec], Array]


def length(v: Vec) -> Array:
    """||v||, with a gradient at zero."""
    return jnp.sqrt(jnp.maximum(v.dot(v), 1e-12))


def unit(v: Vec) -> Vec:
    """v / ||v||."""
    return v * (1 / length(v))


def select(choose: Array, yes: Vec, no: Vec) -> Vec:
    """`yes` where `choose`, else `no`."""
    return jax.tree.map(lambda a, b: jnp.where(choose, a, b), yes, no)


def pinhole(size: int, offset: tuple[Array, Array], tangent: float, axes: Array) -> Vec:
    """Unit directions of the rays through the pixels, row 0 at the top.

    Args:
        size: rows and columns.
        offset: where in a pixel, (row, column), 0.5 is its middle.
        tangent: of half the field of view.
        axes: rows right, up and forward of the camera in the world, `[3, 3]`.

    Returns:
        `Vec` of `[size, size]`.
    """
    index = jnp.arange(size, dtype=axes.dtype)
    up = tangent * (1 - 2 * (index + offset[0]) / size)[:, None]
    right = tangent * (2 * (index + offset[1]) / size - 1)[None, :]
    shape = (size, size)
    view = Vec(
        jnp.broadcast_to(right, shape),
        jnp.broadcast_to(up, shape),
        jnp.ones(shape, axes.dtype),
    )
    return unit(view.turned(axes.T))


def box_span(origin: Vec, ray: Vec, low: Vec, high: Vec) -> tuple[Array, Array]:
    """Where a ray enters and leaves a box: (near >= 0, far); far < near: it misses."""

    def slab(o, d, a, b):
        d = jnp.where(jnp.abs(d) < 1e-6, 1e-6, d)
        first, second = (a - o) / d, (b - o) / d
        return jnp.minimum(first, second), jnp.maximum(first, second)

    spans = [
        slab(getattr(origin, k), getattr(ray, k), getattr(low, k), getattr(high, k))
        for k in "xyz"
    ]
    near = jnp.maximum(jnp.maximum(spans[0][0], spans[1][0]), spans[2][0])
    far = jnp.minimum(jnp.minimum(spans[0][1], spans[1][1]), spans[2][1])
    return jnp.maximum(near, 0), far


class Hit(NamedTuple):
    """Where rays meet a surface: distance, unit normal, and whether they do at all."""

    t: Array
    normal: Vec
    found: Array


def trace(
    distance: Distance, origin: Vec, ray: Vec, span: tuple[Array, Array], steps: int
) -> Hit:
    """First crossing of the surface by sphere tracing, and its normal.

    t <- t + distance(origin + t ray), a fixed number of times, then two Newton steps
    that carry the derivative: dt = -d distance / (ray . gradient). The slope is kept
    below -0.2: derivatives fade on the silhouette.

    Args:
        distance: signed, at most the true one.
        origin: of the rays.
        ray: unit directions.
        span: where to look, (near, far).
        steps: number of steps.

    Returns:
        `Hit`; t and normal mean nothing where nothing is found.
    """
    near, far = jax.lax.stop_gradient(span)
    fixed = jax.lax.stop_gradient((origin, ray))

    def step(_, t):
        return jnp.minimum(t + distance(fixed[0] + fixed[1] * t), far)

    def newton(_, carry):
        t, _, _ = carry
        left, gradient = _expand(distance, origin + ray * t)
        slope = jax.lax.stop_gradient(gradient.dot(ray))
        return t - left / jnp.minimum(slope, -0.2), left, gradient

    traced = jax.lax.fori_loop(0, steps, step, near)
    carry = traced, traced, fixed[1] * traced
    t, left, gradient = jax.lax.fori_loop(0, 2, newton, carry)
    found = (left < 0.002 * t) & (far > near) & (traced < far)
    return Hit(t, unit(select(found, gradient, ray)), found)


def _expand(distance: Distance, point: Vec, step: float = 0.004) -> tuple[Array, Vec]:
    """Value and gradient of the distance, from its values at a tetrahedron.

    Four values cost less than reverse-mode differentiation, and their own derivatives
    are those of plain arithmetic. (They are mapped over, not written out: XLA fuses
    what is written out with every consumer and computes it anew there.)
    """
    corners = jnp.asarray(
        [(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)], point.x.dtype
    )
    a, b, c, d = jax.lax.map(lambda k: distance(point + Vec(*(step * k))), corners)
    gradient = Vec(a - b - c + d, c + d - a - b, b + d - a - c) * (0.25 / step)
    return 0.25 * (a + b + c + d), gradient


def visibility(
    distance: Distance,
    origin: Vec,
    ray: Vec,
    span: tuple[Array, Array],
    opening: Array | float,
    steps: int,
) -> Array:
    """Share of a round lamp that a point sees, from one ray to the lamp's centre.

    The lamp's cone has the half-width w = opening s at distance s. With the least
    c = distance / w on the ray, the share is that of a disk cut by an edge at c:
    1/2 + (c sqrt(1 - c^2) + arcsin c) / pi on [-1, 1].

    Args:
        distance: signed, of the occluder.
        origin: points to light.
        ray: unit directions to the lamp.
        span: the part of the ray that can be blocked, (near, far).
        opening: lamp's radius over its distance.
        steps: number of steps.

    Returns:
        Share in [0, 1].
    """
    near, far = jax.lax.stop_gradient(span)
    fixed = jax.lax.stop_gradient((origin, ray))
    slope = jax.lax.stop_gradient(opening)

    def step(k, carry):
        # The distance has one consumer, the next round: XLA then computes it once.
        s, gap, least, at = carry
        width = slope * s + 1e-3
        closer = (k > 0) & (gap < least * width) & (s <= far)
        least, at = jnp.where(closer, gap / width, least), jnp.where(closer, s, at)
        s = s + jnp.maximum(jnp.abs(gap), 0.5 * width + 0.01)
        return s, distance(fixed[0] + fixed[1] * s), least, at

    start = jnp.maximum(near, 0.02)
    carry = start, jnp.zeros_like(start), jnp.full_like(start, 2.0), start
    *_, at = jax.lax.fori_loop(0, steps + 1, step, carry)
    c = distance(origin + ray * at) / (opening * at + 1e-3)
    return jnp.where(far > start, disk_share(c), 1)


def disk_share(c: Array) -> Array:
    """Share of a unit disk below a line at height c in [-1, 1]."""
    inside = jnp.abs(c) < 0.999
    c = jnp.where(inside, c, jnp.where(c > 0, 0.999, -0.999))
    share = 0.5 + (c * jnp.sqrt(1 - c * c) + jnp.arcsin(c)) / jnp.pi
    return jnp.where(inside, share, jnp.where(c > 0, 1.0, 0.0))
