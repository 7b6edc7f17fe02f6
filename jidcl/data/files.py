"""Where published data sets lie, and how they are opened."""

import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_memory
from jidcl.files import check_unpacked, in_short

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
    try:
        names, heads = _heads(path, columns)
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be an .npz file of arrays: {in_short(error)}"
        ) from error
    rows: dict[str, int] = {}
    for name, (dtype, shape) in columns.items():
        if name not in heads:
            raise ValueError(f"{path} must hold an array {name!r}, got {names}")
        got, held = heads[name]
        group = name.partition("_")[0]
        want = tuple(rows.get(group) if size is None else size for size in shape)
        fits = len(got) == len(want) and all(
            size in (None, own) for size, own in zip(want, got, strict=True)
        )
        if held != dtype or not fits or not math.prod(got):
            raise ValueError(
                f"{name} of {path} must be {np.dtype(dtype)} of shape {_text(want)}, "
                f"got {held} of shape {list(got)}"
            )
        rows.setdefault(group, got[0])
    numbers = sum(math.prod(heads[name][0]) for name in columns)
    check_memory(f"arrays of {path}", f"{numbers} numbers", numbers, width=1)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in columns}
    except Exception as error:
        raise ValueError(
            f"{path} must be an .npz file of arrays: {in_short(error)}"
        ) from error


def _heads(path: Path, wanted: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """Names in an archive; shape and dtype of the wanted ones, none of them read."""
    check_unpacked(path)
    found = {}
    with zipfile.ZipFile(path) as archive:
        names = sorted(name.removesuffix(".npy") for name in archive.namelist())
        for name in wanted:
            if name not in names:
                continue
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                if version == (1, 0):
                    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                else:
                    shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            if dtype.hasobject:
                raise ValueError(f"{name} holds objects")
            found[name] = shape, dtype
    return names, found


def _text(shape: tuple) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
