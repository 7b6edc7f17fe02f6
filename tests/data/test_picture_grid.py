"""Published files of whole grids: read, shrunk, refused."""

import io
import pickle

import numpy as np
import pytest

from jidcl.data.columns import Column
from jidcl.data.picture_grid import load_picture_grid, picture_grid_digest
from jidcl.data.published import GRIDS

COUNTS = (3, 2, 4)
POINTS = 24


def sprites(root, x):
    """As published: pictures of 0 and 1 beside a pickled description."""
    note = np.array({"title": "x"}, dtype=object)
    np.savez_compressed(root / GRIDS["sprites"], imgs=x, metadata=note)


def solids(root, x, name="images"):
    h5py = pytest.importorskip("h5py", reason="h5py (extra data) is not installed")
    with h5py.File(root / GRIDS["shapes3d"], "w") as file:
        file.create_dataset(name, data=x)


def load(root, scene="sprites", size=4):
    return load_picture_grid(root, scene=scene, counts=COUNTS, size=size)


def test_black_and_white_pictures_are_shrunk_by_means(tmp_path, rng):
    x = rng.integers(0, 2, (POINTS, 8, 8)).astype(np.uint8)
    sprites(tmp_path, x)
    held = load(tmp_path)
    want = np.round(255 * x.reshape(POINTS, 4, 2, 4, 2).mean((2, 4)))
    np.testing.assert_array_equal(held.x[..., 0], want)
    assert held.x.dtype == np.uint8
    assert load(tmp_path) is held
    np.testing.assert_array_equal(load(tmp_path, size=8).x[..., 0], 255 * x)
    first = picture_grid_digest(tmp_path, scene="sprites")
    sprites(tmp_path, 1 - x)
    assert picture_grid_digest(tmp_path, scene="sprites") != first


def test_colours_are_read_from_hdf5(tmp_path, rng):
    x = rng.integers(0, 256, (POINTS, 6, 6, 3)).astype(np.uint8)
    solids(tmp_path, x)
    held = load(tmp_path, "shapes3d", size=6)
    np.testing.assert_array_equal(held.x, x)
    small = load(tmp_path, "shapes3d", size=2)
    want = np.round(x.reshape(POINTS, 2, 3, 2, 3, 3).mean((2, 4)))
    np.testing.assert_allclose(small.x, want, atol=1)  # halves may go either way


def archive(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


HARMS = {
    "missing": (None, "folder must hold dsprites"),
    "text": (b"1, 2", "must be an .npz file"),
    "pickle": (pickle.dumps({"imgs": 1}), "must be an .npz file"),
    "name": (archive(images=np.zeros((POINTS, 8, 8), np.uint8)), "'imgs'"),
    "rows": (archive(imgs=np.zeros((23, 8, 8), np.uint8)), r"pictures \[24\]"),
    "not square": (archive(imgs=np.zeros((POINTS, 8, 4), np.uint8)), "must hold pict"),
    "sides": (archive(imgs=np.zeros((POINTS, 6, 6), np.uint8)), "multiple of 4"),
    "dtype": (archive(imgs=np.zeros((POINTS, 8, 8))), "must be uint8"),
    "levels": (archive(imgs=np.full((POINTS, 8, 8), 7, np.uint8)), "0 or 1, got 7"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_other_archives_are_refused_with_their_name(tmp_path, harm):
    content, message = HARMS[harm]
    if content is not None:
        (tmp_path / GRIDS["sprites"]).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_other_hdf5_files_are_refused_with_their_name(tmp_path):
    solids(tmp_path, np.zeros((POINTS, 8, 8, 3), np.uint8), name="pictures")
    with pytest.raises(ValueError, match=r"3dshapes\.h5 must hold a data set 'images'"):
        load(tmp_path, "shapes3d")
    (tmp_path / GRIDS["shapes3d"]).write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"3dshapes\.h5 must be an HDF5 file"):
        load(tmp_path, "shapes3d")


def test_arrays_are_refused_by_their_heads_before_they_are_read(tmp_path, monkeypatch):
    sprites(tmp_path, np.zeros((POINTS, 8, 8, 2000), np.uint8))
    monkeypatch.setattr(Column, "read", pytest.fail)
    with pytest.raises(ValueError, match=r"must be uint8 of shape \[any, any, any\]"):
        load(tmp_path)
