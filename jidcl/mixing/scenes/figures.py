"""Seven figures of tapered tubes as signed distances, for scenes with object classes.

Ours, in the spirit of the classes of Causal3DIdent (teapot, hare, dragon, cow,
armadillo, horse, head), none of which they copy. Each is a union of tubes: two half
balls and the cone between them, x to the front, y to its left, z up; no figure is
symmetric under a rotation, so that every rotation shows.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jidcl.mixing.scenes.rays import Vec
from jidcl.types import Array

NAMES = ("teapot", "hare", "dragon", "cow", "armadillo", "horse", "head")
LARGEST = 2.961  # largest side of every figure's box, as the published teapot's

# Tubes: first ball (x, y, z, radius), last ball (x, y, z, radius).
_FIGURES = {
    "teapot": [
        ((0, 0, -0.25, 0.85), (0, 0, 0.15, 0.75)),  # body
        ((0, 0, 0.6, 0.4), (0, 0, 1.05, 0.2)),  # lid
        ((0.7, 0, -0.3, 0.26), (1.2, 0, 0.1, 0.17)),  # spout
        ((1.2, 0, 0.1, 0.17), (1.55, 0, 0.55, 0.12)),
        ((-0.7, 0, 0.45, 0.12), (-1.35, 0, 0.45, 0.12)),  # handle
        ((-1.35, 0, 0.45, 0.12), (-1.35, 0, -0.15, 0.12)),
        ((-1.35, 0, -0.15, 0.12), (-0.75, 0, -0.4, 0.12)),
    ],
    "hare": [
        ((-0.5, 0, 0.1, 0.62), (0.2, 0, 0.35, 0.45)),
        ((0.2, 0, 0.35, 0.45), (0.6, 0, 0.95, 0.33)),
        ((0.6, 0, 0.95, 0.33), (0.95, 0, 0.85, 0.2)),
        ((0.5, 0.15, 1.2, 0.12), (0.25, 0.3, 2.0, 0.1)),  # ears
        ((0.5, -0.15, 1.2, 0.12), (0.1, -0.55, 1.75, 0.1)),
        ((0.4, 0.25, 0.1, 0.15), (0.6, 0.25, -0.5, 0.12)),  # forelegs
        ((0.4, -0.25, 0.1, 0.15), (0.6, -0.25, -0.5, 0.12)),
        ((-0.6, 0.4, -0.2, 0.3), (0.1, 0.45, -0.5, 0.14)),  # hind feet
        ((-0.6, -0.4, -0.2, 0.3), (0.1, -0.45, -0.5, 0.14)),
        ((-1.15, 0, 0.2, 0.2), (-1.2, 0, 0.25, 0.2)),  # tail
    ],
    "dragon": [
        ((-0.6, 0, 0, 0.4), (0.3, 0, 0.15, 0.38)),
        ((0.3, 0, 0.15, 0.34), (0.9, 0.1, 0.75, 0.2)),  # neck
        ((0.9, 0.1, 0.75, 0.22), (1.45, 0.1, 0.7, 0.14)),
        ((-0.6, 0, 0, 0.34), (-1.3, 0.35, -0.15, 0.2)),  # tail, to the left
        ((-1.3, 0.35, -0.15, 0.2), (-1.7, 0.95, 0.05, 0.07)),
        ((0, 0.2, 0.4, 0.14), (-0.3, 1.2, 1.2, 0.08)),  # wings
        ((-0.3, 1.2, 1.2, 0.1), (-0.8, 1.0, 0.4, 0.05)),
        ((0, -0.2, 0.4, 0.14), (-0.3, -1.2, 1.2, 0.08)),
        ((-0.3, -1.2, 1.2, 0.1), (-0.8, -1.0, 0.4, 0.05)),
        ((0.3, 0.35, -0.1, 0.16), (0.45, 0.4, -0.75, 0.12)),
        ((0.3, -0.35, -0.1, 0.16), (0.45, -0.4, -0.75, 0.12)),
        ((-0.6, 0, -0.2, 0.3), (-0.6, 0, -0.7, 0.18)),
    ],
    "cow": [
        ((-0.8, 0, 0.2, 0.52), (0.55, 0, 0.2, 0.5)),
        ((0.7, 0, 0.4, 0.36), (1.15, 0, 0.45, 0.3)),
        ((1.15, 0, 0.45, 0.3), (1.45, 0, 0.2, 0.2)),
        ((1.1, 0.25, 0.65, 0.09), (1.2, 0.55, 0.95, 0.05)),  # horns
        ((1.1, -0.25, 0.65, 0.09), (1.2, -0.55, 0.95, 0.05)),
        ((0.5, 0.3, 0, 0.17), (0.5, 0.3, -0.9, 0.13)),  # legs
        ((0.5, -0.3, 0, 0.17), (0.5, -0.3, -0.9, 0.13)),
        ((-0.9, 0.3, 0, 0.18), (-0.9, 0.3, -0.9, 0.13)),
        ((-0.9, -0.3, 0, 0.18), (-0.9, -0.3, -0.9, 0.13)),
        ((-1.3, 0, 0.5, 0.07), (-1.55, 0, -0.4, 0.09)),  # tail
        ((-0.5, 0, -0.3, 0.2), (-0.45, 0, -0.4, 0.2)),
    ],
    "armadillo": [
        ((0, 0, -0.1, 0.55), (0.05, 0, 0.5, 0.48)),  # upright
        ((0.1, 0, 1.0, 0.26), (0.5, 0, 0.95, 0.12)),
        ((0.1, 0.2, 1.2, 0.08), (0, 0.35, 1.5, 0.06)),
        ((0.1, -0.2, 1.2, 0.08), (0, -0.35, 1.5, 0.06)),
        ((0.1, 0.5, 0.6, 0.17), (0.3, 1.1, 1.0, 0.11)),  # one arm up
        ((0.1, -0.5, 0.6, 0.17), (0.6, -0.95, 0.3, 0.11)),  # one forwards
        ((0, 0.3, -0.5, 0.24), (0.3, 0.5, -1.2, 0.15)),
        ((0, -0.3, -0.5, 0.24), (0.3, -0.5, -1.2, 0.15)),
        ((0.3, 0.5, -1.3, 0.12), (0.6, 0.55, -1.32, 0.08)),
        ((0.3, -0.5, -1.3, 0.12), (0.6, -0.55, -1.32, 0.08)),
        ((-0.4, 0, -0.4, 0.25), (-1.25, 0, -1.2, 0.06)),  # tail
    ],
    "horse": [
        ((-0.7, 0, 0.15, 0.36), (0.5, 0, 0.2, 0.38)),
        ((0.6, 0, 0.35, 0.3), (1.05, 0, 1.15, 0.18)),  # neck
        ((1.05, 0, 1.2, 0.2), (1.55, 0, 0.9, 0.12)),
        ((1.0, 0.1, 1.35, 0.06), (0.98, 0.15, 1.6, 0.04)),
        ((0.5, 0.22, 0, 0.13), (0.55, 0.24, -1.2, 0.09)),
        ((0.5, -0.22, 0, 0.14), (1.0, -0.24, -0.3, 0.11)),  # one foreleg raised
        ((1.0, -0.24, -0.3, 0.11), (0.85, -0.24, -0.8, 0.08)),
        ((-0.75, 0.22, 0, 0.16), (-0.8, 0.24, -1.2, 0.09)),
        ((-0.75, -0.22, 0, 0.16), (-0.8, -0.24, -1.2, 0.09)),
        ((-1.0, 0, 0.35, 0.12), (-1.5, 0, -0.6, 0.06)),
    ],
    "head": [
        ((0, 0, 0.35, 0.8), (-0.1, 0, 0.5, 0.8)),
        ((0.15, 0, -0.3, 0.5), (0.35, 0, -0.55, 0.38)),  # jaw
        ((0.8, 0, 0.25, 0.1), (1.02, 0, -0.1, 0.17)),  # nose
        ((-0.15, 0, -0.6, 0.42), (-0.25, 0, -1.2, 0.45)),  # neck
        ((-0.05, 0.82, 0.25, 0.16), (-0.1, 0.9, 0.0, 0.1)),  # ears
        ((-0.05, -0.82, 0.25, 0.16), (-0.1, -0.9, 0.0, 0.1)),
        ((0.55, 0.35, 0.62, 0.16), (0.62, 0.1, 0.68, 0.14)),  # brows
        ((0.55, -0.35, 0.62, 0.16), (0.62, -0.1, 0.68, 0.14)),
        ((-0.75, 0, 0.75, 0.35), (-1.15, 0, 1.2, 0.2)),  # a bun
    ],
}


class Tubes(NamedTuple):
    """Tubes of one figure (or, with a leading axis, of several).

    Attributes:
        first: `[..., tubes, 4]`, place and radius of the first ball.
        last: of the last ball.
        low: `[..., 3]`, corner of a box that holds it.
        high: the other one.
    """

    first: Any
    last: Any
    low: Any
    high: Any


def _normalised(tubes: list) -> tuple[np.ndarray, np.ndarray]:
    """`[tubes, 2, 4]` of a largest side of `LARGEST`, about the middle; its corner."""
    ends = np.asarray(tubes, np.float64)
    reach = ends[..., 3:]
    low = (ends[..., :3] - reach).min((0, 1))
    high = (ends[..., :3] + reach).max((0, 1))
    ends[..., :3] -= (low + high) / 2
    scale = LARGEST / (high - low).max()
    return ends * scale, (high - low) * scale / 2


def _stacked() -> Tubes:
    parts = [_normalised(_FIGURES[name]) for name in NAMES]
    most = max(len(ends) for ends, _ in parts)
    # Padded by repeating the last tube: a union does not change.
    ends = np.stack(
        [np.pad(e, ((0, most - len(e)), (0, 0), (0, 0)), "edge") for e, _ in parts]
    )
    corner = np.stack([corner for _, corner in parts]) + 0.02
    return Tubes(ends[:, :, 0], ends[:, :, 1], -corner, corner)


FIGURES = _stacked()


def figure(index: Array, dtype) -> Tubes:
    """The tubes of one class, 0 .. 6 in the order of `NAMES`; index may be traced."""
    return Tubes(*(jnp.asarray(table, dtype)[index] for table in FIGURES))


def distance(tubes: Tubes, p: Vec) -> Array:
    """Signed distance to the union of the tubes, at most the true one outside.

    ||p - a - t (b - a)|| - r(t), t the share along the axis, times the cosine of the
    steepest taper.
    """
    least = None
    for a, b in zip(tubes.first, tubes.last, strict=True):
        axis, from_a = b - a, Vec(p.x - a[0], p.y - a[1], p.z - a[2])
        size = axis[0] ** 2 + axis[1] ** 2 + axis[2] ** 2
        along = from_a.x * axis[0] + from_a.y * axis[1] + from_a.z * axis[2]
        share = jnp.clip(along / size, 0, 1)
        apart = from_a - Vec(axis[0] * share, axis[1] * share, axis[2] * share)
        gap = jnp.sqrt(apart.dot(apart) + 1e-9) - (a[3] + axis[3] * share)
        least = gap if least is None else jnp.minimum(least, gap)
    assert least is not None
    return _SAFE * least


# A tube's own distance exceeds the true one by 1 / cos of its taper at most.
_SLOPES = (FIGURES.last - FIGURES.first)[..., 3] / np.linalg.norm(
    (FIGURES.last - FIGURES.first)[..., :3], axis=-1
)
_SAFE = float(np.cos(np.arctan(np.abs(_SLOPES).max())))
