"""A solid in a room: the six factors of 3D Shapes.

Floor, wall and object hue, scale, shape (cube, cylinder, sphere, capsule) and the
angle of the view. The published grid of 10 x 10 x 10 x 8 x 4 x 15 = 480,000 pictures
is reproduced as a set of factor values; geometry and light are ours.

Source: Burgess and Kim 2018 (3D Shapes).
"""

import dataclasses

import jax.numpy as jnp

from jidcl.checks import check_at_least, check_whole
from jidcl.mixing.scenes.common import check_size, part_of
from jidcl.mixing.scenes.rays import (
    Vec,
    box_span,
    pinhole,
    select,
    trace,
    unit,
    visibility,
)
from jidcl.mixing.scenes.shading import hue_circle
from jidcl.types import Array

_ROOM, _HEIGHT, _AWAY = 4.0, 5.0, 5.6
_LAMP = (1.5, 1.0, 4.6)


@dataclasses.dataclass(frozen=True)
class Shapes3D:
    """Settings of the scene.

    Shape (cube, cylinder, sphere, capsule) is read from z in four equal steps: it
    cannot be recovered as a number.

    Attributes:
        size: rows and columns of the image.
        steps: of the rays.

    Example:
        >>> Shapes3D(size=16).channels
        3

    Source: Burgess and Kim 2018, 3D Shapes (factors and grid).
    """

    size: int = 64
    steps: int = 20

    factors = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    grid = (10, 10, 10, 8, 4, 15)
    channels = 3

    def __post_init__(self):
        check_size(self.size)
        check_whole("steps", self.steps)
        check_at_least("steps", self.steps, 1)


def physical(z: Array) -> Array:
    """Hues in [0, 0.9], scale in [0.75, 1.25], shape 0..3, degrees in [-30, 30]."""
    hues = [0.45 * (z[..., k] + 1) for k in range(3)]
    kind = part_of(z[..., 4], 4).astype(z.dtype)
    return jnp.stack([*hues, 1 + 0.25 * z[..., 3], kind, 30 * z[..., 5]], -1)


def picture(scene: Shapes3D, z: Array) -> Array:
    """`[6] -> [size, size, 3]`: Lambert light from one lamp, a shadow, and a fill."""
    *hues, scale, kind, degrees = physical(z)

    def distance(p: Vec) -> Array:
        return _solid(p * (1 / scale), kind) * scale

    camera, ray = _view(scene.size, degrees * jnp.pi / 180, z.dtype)
    reach = 1.05 * scale
    low, high = Vec(-reach, -reach, 0 * reach), Vec(reach, reach, 2 * reach)
    seen = trace(distance, camera, ray, box_span(camera, ray, low, high), scene.steps)
    room, wall, on_floor = _inside(camera, ray)
    point = camera + ray * jnp.where(seen.found, seen.t, room)
    normal = select(seen.found, seen.normal, wall)
    apart = Vec(*jnp.asarray(_LAMP, z.dtype)) - point
    towards = unit(apart)
    start = point + normal * 0.02
    span = box_span(start, towards, low, high)
    share = visibility(distance, start, towards, span, 0.06, scene.steps)
    light = 0.35 + 0.65 * share * jnp.maximum(normal.dot(towards), 0)
    colours = [hue_circle(2 * jnp.pi * hue, 0.85) for hue in hues]
    channels = [
        light * jnp.where(seen.found, solid, jnp.where(on_floor, floor, wall_colour))
        for floor, wall_colour, solid in zip(*colours, strict=True)
    ]
    return jnp.clip(jnp.stack(channels, -1), 0, 1)


def _view(size: int, angle: Array, dtype) -> tuple[Vec, Vec]:
    """Camera that goes round the object at the angle, and its rays."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    zero, down = jnp.zeros_like(cos), -0.25
    flat = (1 - down**2) ** 0.5
    forward = jnp.stack([-cos * flat, -sin * flat, zero + down])
    right = jnp.stack([-sin, cos, zero])
    up = jnp.stack([cos * down, sin * down, zero + flat])
    half = jnp.asarray(0.5, dtype)
    ray = pinhole(size, (half, half), 0.5, jnp.stack([right, up, forward]))
    return Vec(_AWAY * cos, _AWAY * sin, zero + 2.4), ray


def _inside(camera: Vec, ray: Vec) -> tuple[Array, Vec, Array]:
    """Where a ray meets floor or walls from inside: (t, normal, on the floor)."""
    # Far walls only; the camera may stand outside of the near one.
    floor = -camera.z / jnp.minimum(ray.z, -1e-6)
    back = (-_ROOM - camera.x) / jnp.minimum(ray.x, -1e-6)
    side = (jnp.where(ray.y > 0, _ROOM, -_ROOM) - camera.y) / jnp.where(
        jnp.abs(ray.y) < 1e-6, 1e-6, ray.y
    )
    side = jnp.where(side > 0, side, 1e6)
    t = jnp.minimum(jnp.minimum(floor, back), side)
    on_floor, on_back = t == floor, t == back
    zero, one = jnp.zeros_like(t), jnp.ones_like(t)
    sideways = Vec(zero, -jnp.sign(ray.y), zero)
    wall = select(on_back, Vec(one, zero, zero), sideways)
    return t, select(on_floor, Vec(zero, zero, one), wall), on_floor


def _solid(p: Vec, kind: Array) -> Array:
    """Signed distance to a solid of unit scale that stands on the floor."""
    z = p.z - 0.8
    rho = jnp.sqrt(p.x**2 + p.y**2 + 1e-9)
    edge = jnp.maximum(jnp.abs(p.x), jnp.abs(p.y))
    cube = jnp.maximum(edge - 0.65, jnp.abs(z) - 0.8)
    cylinder = jnp.maximum(rho - 0.7, jnp.abs(z) - 0.8)
    sphere = jnp.sqrt(rho * rho + z * z + 1e-9) - 0.8
    shaft = z - jnp.clip(z, -0.3, 0.9)
    capsule = jnp.sqrt(rho * rho + shaft * shaft + 1e-9) - 0.5
    return jnp.select(
        [kind == 0, kind == 1, kind == 2], [cube, cylinder, sphere], capsule
    )
