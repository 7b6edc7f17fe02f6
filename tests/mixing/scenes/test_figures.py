"""The seven figures: signed distances, and what of them shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing.scenes import Figures, figures, render
from jidcl.mixing.scenes.rays import Vec

SEVEN = range(len(figures.NAMES))


@jax.jit
def _distance(index, points):
    tubes = figures.figure(index, jnp.float32)
    return figures.distance(tubes, Vec(*points.T))


def distance(index, points):
    return np.asarray(_distance(jnp.asarray(index), jnp.asarray(points, jnp.float32)))


def inside(index, points):
    """Within a cone's disk at the foot on its axis, or a half ball; by NumPy alone."""
    found = np.zeros(len(points), bool)
    ends = figures.FIGURES.first[index], figures.FIGURES.last[index]
    for a, b in zip(*ends, strict=True):
        axis = b[:3] - a[:3]
        share = (points - a[:3]) @ axis / (axis @ axis)
        foot = np.linalg.norm(points - a[:3] - share[:, None] * axis, axis=1)
        found |= (share >= 0) & (share <= 1) & (foot < a[3] + share * (b - a)[3])
        for ball, beyond in ((a, share < 0), (b, share > 1)):
            found |= beyond & (np.linalg.norm(points - ball[:3], axis=1) < ball[3])
    return found


@pytest.mark.parametrize("index", SEVEN)
def test_signs_are_those_of_half_balls_and_cones(index, rng):
    points = rng.uniform(-1.5, 1.5, size=(20_000, 3))
    values, within = distance(index, points), inside(index, points)
    clear = np.abs(values) > 1e-4
    np.testing.assert_array_equal((values < 0)[clear], within[clear])
    assert 0.01 < within.mean() < 0.5


@pytest.mark.parametrize("index", SEVEN)
def test_distances_never_overstep_and_boxes_hold_the_figure(index, rng):
    a = rng.uniform(-1.8, 1.8, size=(2000, 3))
    b = a + rng.normal(scale=0.05, size=a.shape)
    slope = np.abs(distance(index, a) - distance(index, b)) / np.linalg.norm(
        a - b, axis=1
    )
    assert slope.max() <= 1 + 1e-3
    tubes = figures.figure(index, jnp.float32)
    outside = (a < np.asarray(tubes.low)) | (a > np.asarray(tubes.high))
    assert (distance(index, a)[outside.any(1)] > 0).all()
    sides = np.asarray(tubes.high) - np.asarray(tubes.low)
    np.testing.assert_allclose(sides.max(), figures.LARGEST + 0.04, rtol=1e-5)


def test_no_figure_looks_like_another_or_like_itself_turned(rng):
    """Insides of any two differ, also under the 23 turns of a cube."""
    points = rng.uniform(-1.5, 1.5, size=(3000, 3))
    turns = [
        np.eye(3)[list(order)] * np.asarray(signs)[:, None]
        for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2), (2, 1, 0))
        for signs in np.ndindex(2, 2, 2)
        for signs in [[1 - 2 * s for s in signs]]
    ]
    turns = [t for t in turns if np.linalg.det(t) > 0]
    assert len(turns) == 24
    held = {k: [distance(k, points @ t.T) < 0 for t in turns] for k in SEVEN}
    for k in SEVEN:
        own = held[k][0]
        for other in SEVEN:
            for which, turned in enumerate(held[other]):
                if (other, which) != (k, 0):
                    assert (own ^ turned).sum() > 0.2 * own.sum()


def test_the_first_factor_is_the_object_and_nothing_else_of_it_shows():
    scene = Figures(size=32)
    assert scene.factors == ("object", *Figures.factors[1:])
    parts = np.linspace(-1, 1, 8)
    middle, inner = (parts[:-1] + parts[1:]) / 2, parts[:-1] + 0.01
    z = np.zeros((14, 11), np.float32)
    z[:, 0] = np.concatenate([middle, inner])
    z[:, 4:7] = 0.4
    x = np.asarray(jax.jit(jax.vmap(lambda z: render(scene, z)))(jnp.asarray(z)))
    np.testing.assert_array_equal(x[:7], x[7:])
    for k in SEVEN:
        for other in range(k):
            assert (np.abs(x[k] - x[other]).max(-1) > 0.1).sum() > 15
