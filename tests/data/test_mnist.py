"""The reader of MNIST on a small stand-in, and on the real file where there is one."""

import os
import zipfile

import numpy as np
import pytest

from jidcl.data import load_mnist, mnist_digest


@pytest.fixture
def arrays(rng):
    return {
        "train_images": rng.integers(0, 256, size=(12, 28, 28)).astype(np.uint8),
        "train_labels": rng.integers(0, 10, size=12).astype(np.uint8),
        "test_images": rng.integers(0, 256, size=(5, 28, 28)).astype(np.uint8),
        "test_labels": rng.integers(0, 10, size=5).astype(np.uint8),
    }


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A function that stores arrays where the reader looks, and returns the path."""
    path = tmp_path / "mnist" / "mnist.npz"
    path.parent.mkdir()
    monkeypatch.setenv("JIDCL_DATA", str(tmp_path))

    def store(arrays):
        np.savez(path, **arrays)
        return path

    return store


def test_arrays_are_those_of_the_file(arrays, stored):
    stored({**arrays, "test_index": np.arange(5)})
    data = load_mnist()
    for name, want in arrays.items():
        np.testing.assert_array_equal(getattr(data, name), want)


def test_the_digest_names_the_file(arrays, stored):
    path = stored(arrays)
    first = mnist_digest()
    arrays["train_images"][3, 4, 5] ^= 1
    path.unlink()
    stored(arrays)
    assert mnist_digest() != first


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("train_images", None, "must hold an array 'train_images'"),
        ("train_images", np.zeros((12, 28, 28)), "must be uint8 .* got float64"),
        ("test_images", np.zeros((5, 28, 27), np.uint8), r"\[any, 28, 28\], got"),
        ("train_labels", np.zeros(11, np.uint8), r"of shape \[12\], got .* \[11\]"),
        ("test_labels", np.full(5, 10, np.uint8), "digits 0 to 9, got 10"),
        ("test_images", np.zeros((0, 28, 28), np.uint8), r"got uint8 of shape \[0, 28"),
    ],
)
def test_other_arrays_are_refused(arrays, stored, name, value, message):
    arrays[name] = value
    stored({k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ValueError, match=message):
        load_mnist()


def test_damaged_and_pickled_files_are_refused(arrays, stored):
    path = stored(arrays)
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"must be an \.npz file"):
            load_mnist()
    path.unlink()
    stored({**arrays, "train_labels": np.array([{}] * 12, object)})
    with pytest.raises(ValueError, match="must hold an array 'train_labels'"):
        load_mnist()


def test_a_hostile_member_is_refused(arrays, stored):
    path = stored(arrays)
    header = np.lib.format.magic(1, 0) + b"\x40\x00"
    huge = header + b"{'descr': '|u1', 'fortran_order': False, 'shape': (10**15,)}"
    for member in (b"hello", header + b"{'descr': (".ljust(64), huge):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train_images.npy", member)
        with pytest.raises(ValueError, match=r"must be an \.npz file"):
            load_mnist()


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JIDCL_DATA", raising=False)
    with pytest.raises(ValueError, match=r"mnist/mnist\.npz, got no value"):
        load_mnist()
    monkeypatch.setenv("JIDCL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="JIDCL_DATA must name a folder that holds"):
        load_mnist()


def test_the_real_file():
    if not os.environ.get("JIDCL_DATA"):
        pytest.skip("JIDCL_DATA names no folder of data")
    try:
        data = load_mnist()
    except ValueError as error:
        pytest.skip(str(error))
    pixels = data.train_images / np.float32(255)
    assert pixels.shape == (60_000, 28, 28)
    # The mean and standard deviation that everyone normalises MNIST with.
    np.testing.assert_allclose(
        [pixels.mean(), pixels.std()], [0.1307, 0.3081], rtol=1e-3
    )
    assert set(np.unique(data.test_labels)) == set(range(10))
