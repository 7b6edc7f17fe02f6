"""Maps of the picture's plane and of its colours take each where it should go."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing.scenes.warps import (
    affine_map,
    projective_map,
    shift_colours,
    warp,
)

SQUARE = jnp.array([[0.0, 0.0], [0.0, 7.0], [7.0, 0.0], [7.0, 7.0]])


def test_maps_take_points_to_points(rng):
    target = SQUARE + jnp.asarray(rng.uniform(-1, 1, size=(4, 2)), jnp.float32)
    a = np.asarray(jax.jit(affine_map)(SQUARE[:3], target[:3]))
    ones = np.ones((4, 1))
    held = np.concatenate([SQUARE, ones], axis=1)
    np.testing.assert_allclose((held @ a.T)[:3], target[:3], atol=1e-4)
    h = np.asarray(jax.jit(projective_map)(SQUARE, target))
    moved = held @ h.T
    np.testing.assert_allclose(moved[:, :2] / moved[:, 2:], target, atol=1e-3)


def test_a_picture_moves_with_its_points():
    picture = jnp.zeros((8, 8, 3)).at[2, 3].set(1.0)
    shift = jnp.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])  # two right, one down
    got = np.asarray(jax.jit(warp)(picture, shift))
    assert np.argwhere(got[..., 0] > 0.5).tolist() == [[3, 5]]
    np.testing.assert_allclose(jax.jit(warp)(picture, jnp.eye(3)), picture, atol=1e-6)


@pytest.mark.parametrize(
    "shift", [(0, 0, 0), (0.4, 0, 0), (0.1, -0.3, -0.2), (0, 1, 1)]
)
def test_colours_are_shifted_as_in_hsv(rng, shift):
    pixels = np.float32(rng.uniform(size=(60, 3)))
    pixels[:4] = [[0, 0, 0], [0.5, 0.5, 0.5], [1, 0, 0], [0, 0.3, 0.3]]

    def moved(pixel):
        hue, *others = colorsys.rgb_to_hsv(*pixel)
        others = np.clip(np.add(others, shift[1:]), 0, 1)
        return colorsys.hsv_to_rgb((hue + shift[0]) % 1, *others)

    own = dict(zip(("hue", "saturation", "value"), shift, strict=True))
    got = jax.jit(lambda x: shift_colours(x, **own))(pixels)
    want = np.array([moved(pixel) for pixel in pixels])
    np.testing.assert_allclose(got, want, atol=2e-6)
    slopes = jax.jit(jax.grad(lambda x: shift_colours(x, **own).sum()))(pixels)
    assert np.isfinite(slopes).all()


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"source must have shape \[3, 2\]"):
        affine_map(SQUARE, SQUARE)
