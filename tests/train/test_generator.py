import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf, expit

from jidcl.train.generator import decode, train_decoder


@pytest.fixture(scope="module")
def images():
    """Bright upper or bright lower half: one bit, with levels 230 and 25."""
    rng = np.random.default_rng(0)
    upper = rng.integers(0, 2, size=400).astype(bool)
    rows = np.where(np.arange(4) < 2, 230, 25).astype(np.uint8)
    rows = np.where(upper[:, None], rows, rows[::-1])
    return np.repeat(rows[:, :, None], 4, axis=2)


@pytest.fixture(scope="module")
def trained(images):
    own = dict(n=2, hidden=(16, 16), steps=300, batch=32, rate=1e-2)
    run = jax.jit(jax.vmap(lambda key: train_decoder(key, images, **own)))
    return run(jax.random.split(jax.random.key(0), 2))


def entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def test_the_decoder_learns_what_differs_between_images(images, trained):
    p = 230 / 255
    pixels = np.r_[np.full(8, p), np.full(8, 25 / 255)]
    # Without z every pixel has mean 1/2, nearly; with it its own entropy, and log 2.
    without, best = 16 * np.log(2), entropy(pixels).sum() + np.log(2)
    for loss in np.asarray(trained["loss"]):
        assert best - 0.1 < loss < best + 0.2 * (without - best)


def test_decoded_images_are_the_network_written_out(trained):
    one = jax.tree.map(lambda leaf: leaf[1], trained["decoder"])
    z = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    want = z
    for i in range(3):
        layer = one["layers"][str(i)]
        want = want @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        if i < 2:
            want = want * (1 + erf(want / np.sqrt(2))) / 2
    np.testing.assert_allclose(decode(one, jnp.asarray(z)), expit(want), rtol=1e-4)


def test_seeds_differ(trained):
    kernel = trained["decoder"]["layers"]["0"]["kernel"]
    assert np.abs(np.asarray(kernel[0] - kernel[1])).max() > 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n must be >= 1"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"images": np.zeros((3, 4, 4))}, "dtype of images must be"),
        ({"images": np.zeros((3, 16), np.uint8)}, "images must have shape"),
        ({"images": np.zeros((3, 4, 4, 3), np.uint8)}, "images must have shape"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, "count >= 1"),
        ({"rate": -1.0}, "rate must be > 0"),
    ],
)
def test_bad_input_is_refused(images, changes, message):
    own = {"images": images, "n": 2, "hidden": (4,), "steps": 1} | changes
    with pytest.raises(ValueError, match=message):
        train_decoder(jax.random.key(0), own.pop("images"), **own)
