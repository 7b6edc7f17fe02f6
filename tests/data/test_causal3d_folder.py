"""Folders of Causal3DIdent: read, paired, refused when wrong."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from budget import one_program
from jidcl.data.causal3d_folder import read_causal_folder
from jidcl.latents.causal import CLASSES, sample_causal
from jidcl.mixing.scenes import Figures
from jidcl.mixing.scenes.common import part_of

COUNT = 11  # two digits


def colour(kind, row):
    return (10 * kind, 20 * row, 7)


@pytest.fixture
def root(tmp_path, rng):
    for kind in range(CLASSES):
        z = rng.uniform(-1, 1, (COUNT, 10)).astype(np.float64)
        np.save(tmp_path / f"raw_latents_{kind}.npy", z)
        (tmp_path / f"images_{kind}").mkdir()
        for row in range(COUNT):
            image = Image.new("RGBA", (6, 6), (*colour(kind, row), 128))
            image.save(tmp_path / f"images_{kind}" / f"{row:02d}.png")
    return tmp_path


def test_items_are_rows_of_classes_in_turn(root):
    held = read_causal_folder(root)
    assert held.z.shape == (CLASSES * COUNT, len(Figures.factors))
    assert held.z.dtype == np.float32
    np.testing.assert_array_equal(held.label, np.repeat(np.arange(CLASSES), COUNT))
    # The class is where the scene and the graph have it.
    np.testing.assert_array_equal(part_of(held.z[:, 0], CLASSES), held.label)
    third = np.load(root / "raw_latents_3.npy").astype(np.float32)
    np.testing.assert_array_equal(held.z[3 * COUNT : 4 * COUNT, 1:], third)
    items = [0, 3 * COUNT + 4, CLASSES * COUNT - 1]
    x = held.read(items)
    assert x.shape == (3, 6, 6, 3)
    want = [colour(0, 0), colour(3, 4), colour(6, COUNT - 1)]
    np.testing.assert_array_equal(x[:, 2, 5], want)
    with pytest.raises(ValueError, match=r"index must be in 0\.\.76, got 77"):
        held.read([77])


def test_latents_of_the_graph_have_the_same_layout():
    z, label = one_program(sample_causal)(jax.random.key(0), batch=50)
    z = np.asarray(z)
    np.testing.assert_allclose(z[:, 0], (2 * np.asarray(label) + 1) / 7 - 1, atol=1e-6)


def archive():
    file = io.BytesIO()
    np.savez(file, a=np.zeros((COUNT, 10)))
    return file.getvalue()


HARMS = {
    "missing": (lambda path: path.unlink(), "must be an array in .npy"),
    "text": (lambda path: path.write_text("1, 2"), "must be an array in .npy"),
    "cut": (
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        "must be an array in .npy",
    ),
    "pickle": (
        lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True),
        "must be an array in .npy",
    ),
    "archive": (
        lambda path: path.write_bytes(archive()),
        "must be an array in .npy",
    ),
    "columns": (
        lambda path: np.save(path, np.zeros((COUNT, 11))),
        r"must hold finite latents \[count, 10\]",
    ),
    "whole numbers": (
        lambda path: np.save(path, np.zeros((COUNT, 10), int)),
        "must hold finite latents .* in float32 or float64",
    ),
    "not finite": (
        lambda path: np.save(path, np.full((COUNT, 10), 1e300)),
        "must hold finite",
    ),
    "range": (
        lambda path: np.save(path, np.full((COUNT, 10), 1.5)),
        r"must hold latents in \[-1, 1\], got 1.5",
    ),
    "rows": (
        lambda path: np.save(path, np.zeros((COUNT - 1, 10))),
        "must hold 11 rows, as the first class does, got 10",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_hostile_latents_are_refused_with_the_name_of_the_file(root, harm):
    spoil, message = HARMS[harm]
    spoil(root / "raw_latents_4.npy")
    with pytest.raises(ValueError, match=rf"raw_latents_4\.npy {message}"):
        read_causal_folder(root)


@pytest.mark.parametrize("harm", ["missing", "text", "size", "huge", "bmp"])
def test_hostile_pictures_are_refused_with_the_name_of_the_file(root, harm):
    path = root / "images_2" / "05.png"
    if harm == "missing":
        path.unlink()
    elif harm == "text":
        path.write_text("no picture")
    elif harm == "size":
        Image.new("RGB", (6, 7)).save(path)
    elif harm == "huge":
        for row in range(COUNT):  # also where it is the first
            Image.new("1", (5000, 1)).save(path.with_name(f"{row:02d}.png"))
    else:
        Image.new("RGB", (6, 6)).save(path, format="BMP")
    held = read_causal_folder(root)
    with pytest.raises(ValueError, match=r"images_2/05\.png must be a PNG"):
        held.read([2 * COUNT + 5] if harm == "huge" else [0, 2 * COUNT + 5])
    held.read([0, 1])
