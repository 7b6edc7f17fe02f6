"""Published pictures of a whole grid of factors, as the files that they come in.

    dSprites    ROOT/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz, array `imgs`
    3D Shapes   ROOT/3dshapes.h5, data set `images` (read by h5py, extra `data`)

The last factor changes fastest, as in the grids of `jidcl.mixing.scenes`.

Source: Matthey et al. 2017 (dSprites); Burgess and Kim 2018 (3D Shapes).
"""

import functools
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jidcl.data.files import read_npz
from jidcl.data.published import GRIDS
from jidcl.files import in_short
from jidcl.types import Array

CHUNK = 4096  # pictures shrunk at once


class PictureGrid(NamedTuple):
    """The pictures of a whole grid of factors.

    Attributes:
        x: pictures of all points, uint8 `[points, size, size, channels]`.
    """

    x: Array


def load_picture_grid(
    folder: str | Path, *, scene: str, counts: tuple[int, ...], size: int
) -> PictureGrid:
    """The pictures of a grid, shrunk to `size` by means over areas.

    Read once a process; a file that has changed is read again.

    Args:
        folder: holds the file of `published.GRIDS`.
        scene: `sprites` or `shapes3d`.
        counts: how many values each factor has.
        size: rows and columns, a divisor of the file's.

    Returns:
        The pictures of all points, the last factor changing fastest.

    Raises:
        ValueError: where the file is missing or holds something else, with its name.
        ImportError: for 3D Shapes without h5py.
    """
    path = _file(folder, scene)
    return _load(path, path.stat().st_mtime_ns, scene, math.prod(counts), size)


def picture_grid_digest(folder: str | Path, *, scene: str) -> str:
    """SHA-256 of the file, which a run on it is known by.

    Args:
        folder: holds the file of `published.GRIDS`.
        scene: `sprites` or `shapes3d`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: where the file is missing.
    """
    with _file(folder, scene).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(folder: str | Path, scene: str) -> Path:
    path = Path(folder) / GRIDS[scene]
    if not path.is_file():
        raise ValueError(f"folder must hold {path.name}, got {folder}")
    return path


@functools.lru_cache(maxsize=1)
def _load(path: Path, changed: int, scene: str, points: int, size: int) -> PictureGrid:
    shape, read, close = {"sprites": _open_npz, "shapes3d": _open_h5}[scene](path)
    try:
        side = shape[1] if len(shape) > 1 else 0
        want = (points, side, side) + (() if scene == "sprites" else (3,))
        if shape != want or side % size:
            raise ValueError(
                f"{path} must hold pictures {list(want[:1])} with sides a multiple of "
                f"{size}, got {list(shape)}"
            )
        x = np.empty((points, size, size, 1 if scene == "sprites" else 3), np.uint8)
        for start in range(0, points, CHUNK):
            part = slice(start, min(start + CHUNK, points))
            x[part] = _shrunk(read(part).reshape(-1, side, side, x.shape[-1]), size)
    finally:
        close()
    return PictureGrid(jnp.asarray(x))


def _shrunk(x: np.ndarray, size: int) -> np.ndarray:
    """Means over blocks, rounded; `[rows, side, side, c] -> [rows, size, size, c]`."""
    block = x.shape[1] // size
    parts = x.reshape(len(x), size, block, size, block, -1)
    return np.round(parts.mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)


def _open_npz(path: Path) -> tuple[tuple[int, ...], Callable, Callable]:
    """(shape, reader of rows, closer); pictures of 0 and 1 become black and white."""
    x = read_npz(path, {"imgs": (np.uint8, (None, None, None))})["imgs"]
    if x.max() > 1:
        raise ValueError(f"imgs of {path} must be 0 or 1, got {x.max()}")
    return x.shape, lambda part: 255 * x[part], lambda: None


def _open_h5(path: Path) -> tuple[tuple[int, ...], Callable, Callable]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path.name} is read by h5py: pip install 'jidcl[data]'"
        ) from error
    try:
        file: Any = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} must be an HDF5 file: {in_short(error)}") from error
    x = file.get("images")
    if not isinstance(x, h5py.Dataset) or x.dtype != np.uint8:
        file.close()
        raise ValueError(f"{path} must hold a data set 'images' of bytes")
    return x.shape, lambda part: x[part], file.close
