"""MNIST from the user's own file."""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jidcl.data.files import data_file, read_npz

FILE = "mnist/mnist.npz"
SIDE = 28
_IMAGES = np.uint8, (None, SIDE, SIDE)
_LABELS = np.uint8, (None,)


class Mnist(NamedTuple):
    """White digits on black.

    Attributes:
        train_images: uint8 `[count, 28, 28]`.
        train_labels: uint8 `[count]`.
        test_images: uint8 `[count, 28, 28]`.
        test_labels: uint8 `[count]`.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_mnist() -> Mnist:
    """The arrays of `JIDCL_DATA/mnist/mnist.npz`, of any number of rows.

    Returns:
        The arrays.

    Raises:
        ValueError: where the file is missing, or its arrays are not those of `Mnist`.

    Source: LeCun, Bottou, Bengio, Haffner 1998.
    """
    path = data_file(FILE)
    return _read(path, path.stat().st_mtime_ns)


def mnist_digest() -> str:
    """SHA-256 of the file, which names the data that a decoder was trained on.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(data_file(FILE).read_bytes()).hexdigest()


@functools.lru_cache(maxsize=1)
def _read(path: Path, changed: int) -> Mnist:
    columns = {
        f"{part}_{what}": form
        for part in ("train", "test")
        for what, form in (("images", _IMAGES), ("labels", _LABELS))
    }
    data = Mnist(**read_npz(path, columns))
    for name in ("train_labels", "test_labels"):
        if getattr(data, name).max() > 9:
            raise ValueError(
                f"{name} of {path} must be digits 0 to 9, got "
                f"{getattr(data, name).max()}"
            )
    return data
