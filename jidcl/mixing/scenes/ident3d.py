"""3DIdent: an object over a coloured ground, under three lamps; ten latents.

z in [-1, 1]^10 is, in order: object position x, y, z (3 z); rotation about the world's
x, y, z; position angle of the spotlight; hue of the object, the spotlight and the
ground (pi/2 z each). The camera stands at (8, 0, 8) and looks at the origin; world
units, radians, linear RGB until the display curve.

Source: Zimmermann et al. 2021, public scene and scripts (3DIdent).
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import check_choice
from jidcl.mixing.scenes import figures, shading, teapot
from jidcl.mixing.scenes.common import check_size, part_of
from jidcl.mixing.scenes.rays import (
    Distance,
    Vec,
    box_span,
    length,
    pinhole,
    select,
    trace,
    unit,
    visibility,
)
from jidcl.types import Array

FACTORS = (
    "x",
    "y",
    "z",
    "alpha",
    "beta",
    "gamma",
    "spot_angle",
    "object_hue",
    "spot_hue",
    "ground_hue",
)
OBJECT_SIZE = 4.4421167  # largest side of the teapot's box, in world units
_SCALE = 1.5
_TANGENT = 25 / 35
_CAMERA = (8.0, 0.0, 8.0)
_AREA = (0.0, 0.0, 7.0)
_SPOT_POWER = 3000 / (4 * jnp.pi)
_HALF = 0.5**0.5
# Rows: right, up and forward of the camera; axes of the mesh: spout, side, up.
_VIEW = ((0, 1, 0), (-_HALF, 0, _HALF), (-_HALF, 0, -_HALF))
_MESH = ((_HALF, -_HALF, 0), (_HALF, _HALF, 0), (0, 0, 1))
# Means of equally likely parts of the pixel filter (4-term Blackman-Harris, 1.5 wide).
_FILTER = {1: (0.0,), 4: (-0.2656, -0.0695, 0.0695, 0.2656)}


class Level(NamedTuple):
    """Samples a side of a pixel (each with its own lamp point), steps of the rays."""

    side: int
    steps: int
    shadow_steps: int


LEVELS = {"fast": Level(1, 16, 16), "reference": Level(4, 40, 32)}


@dataclasses.dataclass(frozen=True)
class Ident3D:
    """Settings of the scene.

    Attributes:
        size: rows and columns of the image.
        level: `fast`, one ray a pixel, one for each lamp, penumbrae from its nearest
            miss; `reference`, sixteen of each, filtered and spread over the lamps.
        hue: `circle`, half a turn of the ordinary hue circle; `published`, the
            conversion of the published scripts, neither injective nor continuous.

    Example:
        >>> len(Ident3D().factors)
        10

    Source: Zimmermann et al. 2021, 3DIdent; the renderer is this library's.
    """

    size: int = 64
    level: str = "fast"
    hue: str = "circle"

    factors = FACTORS
    channels = 3

    def __post_init__(self):
        check_size(self.size)
        check_choice("level", self.level, LEVELS)
        check_choice("hue", self.hue, ("circle", "published"))


@dataclasses.dataclass(frozen=True)
class Figures(Ident3D):
    """The same scene with one of seven objects, which is its first factor.

    The object is that of one of seven equal parts of [-1, 1], in the order of
    `jidcl.mixing.scenes.figures.NAMES`; the other ten factors follow. Our figures, in
    the layout of Causal3DIdent.

    Example:
        >>> len(Figures().factors)
        11

    Source: von Kuegelgen et al. 2021, section 5.2 (Causal3DIdent).
    """

    factors = ("object", *FACTORS)


class Solid(NamedTuple):
    """What stands in the scene: its signed distance, and a box that holds it."""

    distance: Distance
    low: Sequence[float] | Array
    high: Sequence[float] | Array


class Layout(NamedTuple):
    """What the latents stand for: places, angles and linear colours."""

    object_location: Array
    object_euler: Array
    spot_location: Array
    object_rgb: Array
    spot_rgb: Array
    ground_rgb: Array


def physical(z: Array) -> Array:
    """World units and radians of the latents: (3 z_1..3, pi/2 z_4..10)."""
    scale = jnp.asarray([3.0] * 3 + [jnp.pi / 2] * 7, z.dtype)
    return z * jnp.broadcast_to(scale, z.shape)


def layout(z: Array, *, hue: str = "circle") -> Layout:
    """The scene of one latent vector `[10]`.

    With `hue="published"` colours are those of the scripts, before the renderer clips
    negative ones to 0.
    """
    values = physical(z)
    location = values[:3] + jnp.asarray([0, 0, OBJECT_SIZE / 2], z.dtype)
    angle = values[6]
    height = jnp.full_like(angle, 6 + OBJECT_SIZE)
    spot = jnp.stack([4 * jnp.sin(angle), 4 * jnp.cos(angle), height])
    convert = shading.hue_circle if hue == "circle" else shading.hue_unclipped
    colours = [
        jnp.stack(convert(values[k], saturation))
        for k, saturation in ((7, 1.0), (8, 0.8), (9, 0.6))
    ]
    return Layout(location, values[3:6], spot, *colours)


def picture(scene: Ident3D, z: Array) -> Array:
    """`[10] -> [size, size, 3]`, display values (sRGB)."""
    return _picture(scene, z, Solid(teapot.distance, teapot.LOW, teapot.HIGH))


def figure_picture(scene: Figures, z: Array) -> Array:
    """`[11] -> [size, size, 3]`, display values (sRGB)."""
    tubes = figures.figure(part_of(z[0], len(figures.NAMES)), z.dtype)
    shape = functools.partial(figures.distance, tubes)
    return _picture(scene, z[1:], Solid(shape, tubes.low, tubes.high))


def _picture(scene: Ident3D, z: Array, solid: Solid) -> Array:
    level = LEVELS[scene.level]
    setup = layout(z, hue=scene.hue)
    shot = functools.partial(_radiance, scene, setup, solid, level)
    offsets, lamps = _samples(level.side, z.dtype)
    if level.side == 1:
        linear = shot(offsets[0], lamps[0])
    else:

        def add(total, sample):
            return total + shot(*sample), None

        zero = jnp.zeros((scene.size, scene.size, 3), z.dtype)
        linear = jax.lax.scan(add, zero, (offsets, lamps))[0] / level.side**2
    return shading.display(linear)


def _samples(side: int, dtype) -> tuple[Array, Array]:
    """Pixel offsets `[side^2, 2]` and points of a square lamp `[side^2, 2]`.

    Both are stratified; each row of pixel offsets meets every row of lamp points.
    """
    steps = jnp.asarray(_FILTER[side], dtype)
    a, b = jnp.meshgrid(steps, steps, indexing="ij")
    offsets = 0.5 + jnp.stack([a.ravel(), b.ravel()], -1)
    cells = (jnp.arange(side, dtype=dtype) + 0.5) / side * 2 - 1
    u, v = jnp.meshgrid(cells, cells, indexing="ij")
    order = jnp.argsort((jnp.arange(side**2) * (2 * side - 1 - side // 2)) % side**2)
    lamps = jnp.stack([u.ravel(), v.ravel()], -1)[order]
    return offsets, lamps


class _Pose(NamedTuple):
    """World to mesh: p_mesh = turn (p - place) / 1.5."""

    turn: Array
    place: Vec

    def points(self, p: Vec) -> Vec:
        return (p - self.place).turned(self.turn) * (1 / _SCALE)

    def rays(self, d: Vec) -> Vec:
        return d.turned(self.turn)


def _radiance(
    scene: Ident3D,
    setup: Layout,
    solid: Solid,
    level: Level,
    offset: Array,
    lamp: Array,
) -> Array:
    """Linear picture `[size, size, 3]` of one point in each pixel and each lamp."""
    dtype = offset.dtype
    pose = _Pose(_turn(setup.object_euler, dtype), Vec(*setup.object_location))
    camera = Vec(*jnp.asarray(_CAMERA, dtype))
    view = jnp.asarray(_VIEW, dtype)
    ray = pinhole(scene.size, (offset[0], offset[1]), _TANGENT, view)
    start, course = pose.points(camera), pose.rays(ray)
    span = _span(solid, start, course)
    seen = trace(solid.distance, start, course, span, level.steps)
    # The ground's distance in closed form; every ray that misses the object meets it.
    ground = (-OBJECT_SIZE - camera.z) / ray.z
    point = camera + ray * jnp.where(seen.found, _SCALE * seen.t, ground)
    flat = Vec(*(jnp.full_like(ground, value) for value in (0.0, 0.0, 1.0)))
    facing = select(seen.found, seen.normal.turned(pose.turn.T), flat)
    view = ray * -1.0
    # A ray that only just misses sees a normal that turns away: bend it back.
    behind = jnp.maximum(0.05 - facing.dot(view), 0)
    surface = _Surface(point, unit(facing + view * behind), view, seen.found)
    return _lit(setup, solid, pose, surface, lamp, level)


class _Surface(NamedTuple):
    """What the camera sees: place, normal, direction to it, object or ground."""

    point: Vec
    normal: Vec
    view: Vec
    hit: Array


class _Light(NamedTuple):
    """A lamp from every point: direction, distance, radius, irradiance, colour."""

    towards: Vec
    away: Array
    radius: Array
    power: Array
    colour: Array


def _lit(setup: Layout, solid: Solid, pose: _Pose, seen: _Surface, lamp, level: Level):
    """Sum over the lamps of irradiance x reflectance x what is not in shadow."""
    softness = 1 / level.side
    disk = _square_to_disk(lamp)
    every = (_sun(seen, disk), _area(seen, lamp), _spot(seen, setup, disk, softness))
    lights = jax.tree.map(lambda *parts: jnp.stack(parts), *every)
    start = pose.points(seen.point + seen.normal * 0.02)

    def share(light):
        course = pose.rays(light.towards)
        low, high = _span(solid, start, course)
        span = low, jnp.minimum(high, light.away / _SCALE)
        opening = softness * light.radius / light.away
        return visibility(
            solid.distance, start, course, span, opening, level.shadow_steps
        )

    def reflected(light_share):
        light, share = light_share
        coloured, grey = shading.rubber(seen.normal, seen.view, light.towards)
        return coloured * light.power * share, grey * light.power * share

    # Two maps: the shadows are computed once, not once for each of their consumers.
    coloured, grey = jax.lax.map(reflected, (lights, jax.lax.map(share, lights)))
    surface = [jnp.maximum(c, 0) for c in (setup.object_rgb, setup.ground_rgb)]
    channels = []
    for k in range(3):
        base = jnp.where(seen.hit, surface[0][k], surface[1][k])
        tint = lights.colour[:, k, None, None]
        channels.append(jnp.sum(tint * (coloured * base[None] + grey), axis=0))
    return jnp.stack(channels, -1)


def _sun(seen: _Surface, disk: Array) -> _Light:
    """Straight down, E = 0.5, angular radius tangent 0.1: as a lamp at distance 10."""
    up = unit(Vec(0.1 * disk[0], 0.1 * disk[1], jnp.ones_like(disk[0])))
    shape = jnp.zeros_like(seen.point.x)
    towards = Vec(shape + up.x, shape + up.y, shape + up.z)
    far = jnp.full_like(shape, 1e3)
    power = jnp.full_like(shape, 0.5)
    return _Light(towards, far, 0.1 * far[0, 0], power, jnp.ones(3, far.dtype))


def _area(seen: _Surface, lamp: Array) -> _Light:
    """A square of side 1 facing down: E = 12.5 max(l_z, 0) / |D|^2."""
    centre = jnp.asarray(_AREA, lamp.dtype)
    place = Vec(centre[0] + 0.5 * lamp[0], centre[1] + 0.5 * lamp[1], centre[2])
    apart = place - seen.point
    away = length(apart)
    towards = apart * (1 / away)
    power = 12.5 * jnp.maximum(towards.z, 0) / (away * away)
    # The disk of the square's area.
    radius = jnp.full_like(away[0, 0], 0.564)
    return _Light(towards, away, radius, power, jnp.ones(3, away.dtype))


def _spot(seen: _Surface, setup: Layout, disk: Array, softness: float) -> _Light:
    """A disk of radius 0.5 that faces the point, its cone aimed at the object.

    E = 3000 / (4 pi) (l . m) / |D|^2 A(-l . a).
    """
    centre, target = Vec(*setup.spot_location), Vec(*setup.object_location)
    axis = unit(target - centre)
    facing = unit(centre - seen.point)
    side = unit(Vec(facing.z, jnp.zeros_like(facing.x), -facing.x))
    other = Vec(
        facing.y * side.z,
        facing.z * side.x - facing.x * side.z,
        -facing.y * side.x,
    )
    place = centre + side * (0.5 * disk[0]) + other * (0.5 * disk[1])
    apart = place - seen.point
    away = length(apart)
    towards = apart * (1 / away)
    profile = shading.cone(-towards.dot(axis), 0.5 * softness / away)
    power = _SPOT_POWER * towards.dot(facing) / (away * away) * profile
    radius = jnp.full_like(away[0, 0], 0.5)
    colour = jnp.maximum(setup.spot_rgb, 0)
    return _Light(towards, away, radius, power, colour)


def _turn(euler: Array, dtype) -> Array:
    """World to mesh axes: (R_z R_y R_x E)^T for the mesh's own axes E."""
    (sa, sb, sc), (ca, cb, cc) = jnp.sin(euler), jnp.cos(euler)
    one, zero = jnp.ones_like(sa), jnp.zeros_like(sa)
    x = jnp.stack([one, zero, zero, zero, ca, -sa, zero, sa, ca]).reshape(3, 3)
    y = jnp.stack([cb, zero, sb, zero, one, zero, -sb, zero, cb]).reshape(3, 3)
    z = jnp.stack([cc, -sc, zero, sc, cc, zero, zero, zero, one]).reshape(3, 3)
    exact = functools.partial(jnp.matmul, precision="highest")
    return exact(jnp.asarray(_MESH, dtype), exact(z, exact(y, x)).T)


def _span(solid: Solid, origin: Vec, ray: Vec) -> tuple[Array, Array]:
    low, high = (
        Vec(*(jnp.asarray(c, origin.x.dtype) for c in corner))
        for corner in (solid.low, solid.high)
    )
    return box_span(origin, ray, low, high)


def _square_to_disk(lamp: Array) -> Array:
    """Equal-area map of [-1, 1]^2 onto the unit disk (concentric)."""
    a, b = lamp
    wide = jnp.abs(a) > jnp.abs(b)
    radius = jnp.where(wide, a, b)
    safe = jnp.where(radius == 0, 1, radius)
    ratio = jnp.where(wide, b, a) / safe
    angle = jnp.pi / 4 * ratio
    cos, sin = radius * jnp.cos(angle), radius * jnp.sin(angle)
    return jnp.stack([jnp.where(wide, cos, sin), jnp.where(wide, sin, cos)])
