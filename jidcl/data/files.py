"""Where published data sets lie, and how they are opened."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.files import MOST_ARRAYS, check_regular, in_short

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
        ValueError: on a file that is not such an archive, a missing array, or another
            dtype or shape.
    """
    try:
        check_regular(path, MOST_ARRAYS)
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("one array")
            names = sorted(archive.files)
            held = {name: archive[name] for name in columns if name in names}
            if not all(isinstance(array, np.ndarray) for array in held.values()):
                raise ValueError("a member that is no array")
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be an .npz file of arrays: {in_short(error)}"
        ) from error
    rows: dict[str, int] = {}
    for name, (dtype, shape) in columns.items():
        if name not in held:
            raise ValueError(f"{path} must hold an array {name!r}, got {names}")
        array, group = held[name], name.partition("_")[0]
        want = tuple(rows.get(group) if size is None else size for size in shape)
        fits = array.ndim == len(want) and all(
            size in (None, got) for size, got in zip(want, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits or not array.size:
            raise ValueError(
                f"{name} of {path} must be {np.dtype(dtype)} of shape {_text(want)}, "
                f"got {array.dtype} of shape {list(array.shape)}"
            )
        rows.setdefault(group, len(array))
    return held


def _text(shape: tuple) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
