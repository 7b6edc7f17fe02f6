"""Where published data sets lie, and how they are opened."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_memory
from jidcl.data.columns import npz_columns
from jidcl.files import check_unpacked

VARIABLE = "JIDCL_DATA"


class MissingData(ValueError):
    """A data set that the user has to provide is not there."""


def data_file(name: str) -> Path:
    """A file below the folder that the environment variable JIDCL_DATA names.

    Args:
        name: path below that folder, such as `"mnist/mnist.npz"`.

    Returns:
        Its path.

    Raises:
        ValueError: when the name leads out of that folder.
        MissingData: when the variable is not set or the file is not there.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"name must lie below the folder of {VARIABLE}, got {name!r}")
    root = os.environ.get(VARIABLE)
    path = Path(root or "") / name
    if not root or not path.is_file():
        raise MissingData(
            f"{VARIABLE} must name a folder that holds {name}, got "
            f"{'no value' if not root else repr(root)}"
        )
    return path


def read_npz(path: Path, columns: Mapping[str, tuple[Any, tuple]]) -> dict:
    """The named arrays of an `.npz` file, their dtypes and shapes as promised.

    Args:
        path: the file.
        columns: name -> (dtype, shape), None for any size. Arrays whose names agree up
            to the first `_` have equally many rows.

    Returns:
        name -> array.

    Raises:
        ValueError: on a file that is not such an archive, one that would unpack to
            more than `jidcl.files.MOST_ARRAYS` bytes, a missing array, or another
            dtype or shape.
    """
    held = npz_columns(path)
    check_unpacked(path)
    rows: dict[str, int] = {}
    for name, (dtype, shape) in columns.items():
        if name not in held:
            raise ValueError(f"{path} must hold an array {name!r}, got {sorted(held)}")
        own, group = held[name], name.partition("_")[0]
        want = tuple(rows.get(group) if size is None else size for size in shape)
        fits = len(own.shape) == len(want) and all(
            size in (None, got) for size, got in zip(want, own.shape, strict=True)
        )
        if own.dtype != dtype or not fits or not math.prod(own.shape):
            raise ValueError(
                f"{name} of {path} must be {np.dtype(dtype)} of shape {_text(want)}, "
                f"got {own.dtype} of shape {list(own.shape)}"
            )
        rows.setdefault(group, len(own))
    size = sum(math.prod(held[n].shape) * held[n].dtype.itemsize for n in columns)
    check_memory(f"arrays of {path}", f"{size} bytes", size, width=1)
    return {name: held[name].read() for name in columns}


def _text(shape: tuple) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
