"""Random views against Pillow and SciPy; parameters against their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from budget import one_program
from jidcl import data
from jidcl.data import ViewSettings, crop_box, random_view

blur = one_program(data.blur)
brightness = one_program(data.brightness)
crop_resize = one_program(data.crop_resize)
grey = one_program(data.grey)


@pytest.fixture
def image(rng):
    smooth = ndimage.gaussian_filter(rng.uniform(size=(40, 32, 3)), (2, 2, 0))
    levels = 255 * (smooth - smooth.min()) / np.ptp(smooth)
    return jnp.asarray(np.round(levels), jnp.float32)


@pytest.mark.parametrize("method", ["linear", "cubic"])
@pytest.mark.parametrize("size", [13, 50])
def test_resampling_is_that_of_pillow(image, method, size):
    from PIL import Image

    kind = dict(linear=Image.Resampling.BILINEAR, cubic=Image.Resampling.BICUBIC)
    picture = Image.fromarray(np.asarray(image).astype(np.uint8))
    want = np.asarray(picture.resize((size, size), kind[method]), float)
    got = np.asarray(crop_resize(image, (0, 0, 40, 32), size, method=method))
    assert np.abs(got - want).max() <= 2
    # A box of its own: Pillow repeats its edge, ours looks beyond it.
    want = picture.resize((size, size), kind[method], box=(4, 6, 28, 36))
    got = np.asarray(crop_resize(image, (6, 4, 30, 24), size, method=method))
    inner = (slice(3, -3), slice(3, -3))
    assert np.abs(got - np.asarray(want, float))[inner].max() <= 2


def test_the_whole_image_at_its_own_size_is_unchanged(image):
    square = image[:32]
    np.testing.assert_array_equal(crop_resize(square, (0, 0, 32, 32), 32), square)


@pytest.mark.parametrize("sigma", [0.6, 2.0])
def test_blur_is_that_of_scipy(image, sigma):
    want = ndimage.gaussian_filter(
        np.asarray(image, float), (sigma, sigma, 0), mode="reflect", truncate=8 / sigma
    )
    got = np.asarray(blur(image, sigma, radius=8))
    assert np.abs(got - want).max() <= 1
    with pytest.raises(ValueError, match="radius must be less than the image's sides"):
        blur(image, sigma, radius=32)


def test_boxes_have_their_law_and_stay_inside():
    keys = jax.random.split(jax.random.key(0), 4000)
    draw = jax.jit(
        jax.vmap(
            lambda k: crop_box(k, (100, 100), area=(0.2, 0.5), aspect=(0.75, 1.25))
        )
    )
    top, left, height, width = (np.asarray(v) for v in draw(keys))
    assert ((top >= 0) & (left >= 0)).all()
    assert ((top + height <= 100) & (left + width <= 100)).all()
    assert (width / height >= 0.73).all()
    assert (width / height <= 1.28).all()
    # With boxes this small every first one fits: laws as stated (false alarms 1e-4).
    share, ratio = width * height / 1e4, np.log(width / height)
    assert stats.kstest(share, stats.uniform(0.2, 0.3).cdf).pvalue > 1e-4
    law = stats.uniform(np.log(0.75), np.log(1.25 / 0.75))
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, ratio.size)  # whole pixels
    assert stats.kstest(ratio + jitter, law.cdf).statistic < 0.04
    place = (left + 0.5) / (101 - width)
    assert abs(place.mean() - 0.5) < 4 / np.sqrt(12 * 4000)


def test_a_box_that_never_fits_is_the_middle_of_the_image():
    got = crop_box(jax.random.key(0), (10, 100), area=(1, 1), aspect=(0.75, 1.25))
    assert [float(v) for v in got] == [0, 44, 10, 12]


def test_parameters_say_what_was_done(image):
    square = image[:32]
    views = ViewSettings(16, quarter_turns=True, crop=True, grey=0.5, blur=0.0)
    many = jax.jit(jax.vmap(lambda key: random_view(key, square, views)))
    seen, done = many(jax.random.split(jax.random.key(1), 24))
    assert set(np.asarray(done["turns"])) == {0, 1, 2, 3}
    assert 0 < np.mean(done["flipped"]) < 1
    for k in range(24):
        box = [np.asarray(done[name])[k] for name in ("top", "left", "height", "width")]
        box = [np.asarray(value) for value in box]  # one program for all boxes
        turned = np.rot90(square, int(done["turns"][k]))
        want = crop_resize(turned, box, 16)
        want = np.asarray(want)[:, ::-1] if done["flipped"][k] else want
        want = grey(want) if done["grey"][k] else want
        assert np.abs(seen[k] - want).max() <= 1


def test_jitter_uses_the_factors_it_returns(image):
    views = ViewSettings(8, jitter=1.0, strength=0.5, method="linear")
    many = jax.jit(jax.vmap(lambda key: random_view(key, image, views)))
    seen, done = many(jax.random.split(jax.random.key(2), 40))
    for name in ("brightness", "contrast", "saturation"):
        assert (np.abs(done[name] - 1) <= 0.4).all()
        assert np.std(done[name]) == pytest.approx(0.8 / np.sqrt(12), rel=0.25)
    assert (np.abs(done["hue"]) <= 0.1).all()
    # Hue, contrast and saturation keep the mean level about: brightness scales it.
    plain = crop_resize(image, (0, 0, 40, 32), 8, method="linear")
    factors = map(np.asarray, np.asarray(done["brightness"]))
    means = [np.mean(brightness(plain, f)) for f in factors]
    got = np.asarray(seen).mean(axis=(1, 2, 3))
    assert np.corrcoef(means, got)[0, 1] > 0.95
    assert len(np.unique(got)) == 40
    never, left = one_program(random_view)(
        jax.random.key(3), image, ViewSettings(8, method="linear")
    )
    np.testing.assert_array_equal(never, plain)
    assert float(left["sigma"]) == 0
    assert float(left["brightness"]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(size=0), "size must be >= 1, got 0"),
        (dict(method="nearest"), "method must be one of"),
        (dict(jitter=1.5), "jitter must be in"),
        (dict(area=(0.5, 0.2)), r"area\[0\]"),
        (dict(strength=2.0), "0.8 strength must be in"),
        (dict(sigma=(0.0, 1.0)), r"sigma\[0\] must be > 0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ViewSettings(**settings)


def test_bad_images_are_named(image):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"jax.vmap for a batch"):
        random_view(key, image[None], ViewSettings())
    with pytest.raises(ValueError, match="square where quarter turns"):
        random_view(key, image, ViewSettings(quarter_turns=True))
