"""Colour operations against `colorsys`, and what each must leave alone."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.data import brightness, contrast, grey, hue_shift, saturation

OPERATIONS = (brightness, contrast, saturation)


@pytest.fixture
def images(rng):
    return jnp.asarray(rng.integers(0, 256, size=(2, 8, 9, 3)), jnp.float32)


@pytest.mark.many_programs(
    reason="every operation by itself, as compiled products round once less"
)
def test_a_factor_of_one_and_no_shift_change_nothing(images):
    for operation in OPERATIONS:
        np.testing.assert_array_equal(operation(images, 1.0), images)
    # Hue and saturation are cut to 256 levels on the way: a few levels are lost.
    assert np.abs(np.asarray(hue_shift(images, 0.0) - images)).max() <= 6


def test_a_factor_of_zero_is_the_other_end_of_the_blend(images):
    assert not np.asarray(brightness(images, 0.0)).any()
    np.testing.assert_array_equal(saturation(images, 0.0), grey(images))
    flat = np.asarray(contrast(images, 0.0))
    level = np.asarray(images, np.float64) @ [0.299, 0.587, 0.114]
    for image, levels in zip(flat, level, strict=True):
        assert np.ptp(image) == 0
        assert abs(image.flat[0] - levels.mean()) <= 1


def test_results_are_whole_levels_and_clip(images):
    for operation in OPERATIONS:
        result = np.asarray(operation(images, 1.8))
        np.testing.assert_array_equal(result, np.floor(result))
        assert 0 <= result.min() <= result.max() <= 255
    np.testing.assert_array_equal(
        brightness(images, 1.8), np.floor(np.clip(np.asarray(images) * 1.8, 0, 255))
    )


@pytest.mark.parametrize("shift", [0.2, -0.2, 0.5])
def test_hue_shift_turns_the_hue_and_keeps_saturation_and_value(images, shift):
    shifted = hue_shift(images, shift)
    before, after = (np.asarray(v, np.float64) / 255 for v in (images, shifted))
    for old, new in zip(before.reshape(-1, 3), after.reshape(-1, 3), strict=True):
        (h, s, v), (h2, s2, v2) = colorsys.rgb_to_hsv(*old), colorsys.rgb_to_hsv(*new)
        assert v2 == pytest.approx(v, abs=1e-6)
        if s * v < 0.2:  # the hue of a nearly grey pixel is not defined to a level
            continue
        assert s2 == pytest.approx(s, abs=3 / (255 * v) + 1 / 255)
        turned = (h2 - h - shift + 0.5) % 1 - 0.5
        assert abs(turned) <= 3 / 255 + 2 / (255 * s * v) / 6


@pytest.mark.many_programs(reason="compiled operations are compared with single ones")
def test_each_image_has_its_own_setting(images):
    settings = jnp.asarray([0.5, 1.5])
    for operation in (*OPERATIONS, hue_shift):
        got = jax.jit(operation)(images, settings)
        for i in range(2):
            # Compiled products may be fused: one rounding less, so one level.
            want = operation(images[i], settings[i])
            np.testing.assert_allclose(got[i], want, atol=1)


def test_grey_pixels_have_no_hue(images):
    plain = grey(images)
    np.testing.assert_array_equal(hue_shift(plain, 0.3), plain)
    np.testing.assert_array_equal(grey(plain), plain)


def test_bad_input_is_refused(images):
    with pytest.raises(ValueError, match=r"image must have shape \[..., 3\]"):
        grey(images[..., :2])
    with pytest.raises(ValueError, match="factor must be >= 0, got -1"):
        contrast(images, -1.0)
    with pytest.raises(TypeError, match="floating-point"):
        brightness(jnp.zeros((2, 2, 3), jnp.int32), 0.5)
