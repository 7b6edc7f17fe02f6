"""Published sets of pictures on a grid of factors, with the factors of each picture.

    dSprites    dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz
    3D Shapes   3dshapes.h5
    MPI3D       mpi3d_toy.npz, mpi3d_realistic.npz, mpi3d_real.npz
    Cars3D      cars/car_001_mesh.mat ...

Pictures are read in parts. `jidcl.data.picture_grid` shrinks the first two for a run.

Source: Matthey et al. 2017 (dSprites); Burgess and Kim 2018 (3D Shapes); Gondal et al.
2019 (MPI3D); Reed et al. 2015 (Cars3D).
"""

import contextlib
import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jidcl.data.columns import (
    Column,
    Parts,
    Rows,
    h5_columns,
    in_memory,
    npz_columns,
)
from jidcl.data.mat5 import read_mat5

SPRITES = (1, 3, 6, 40, 32, 32)
SHAPES = (10, 10, 10, 8, 4, 15)
# Factors: colour, shape and size of the object, height of the camera, background, axes.
MPI3D = {"simple": (6, 6, 2, 3, 3, 40, 40), "complex": (4, 4, 2, 3, 3, 40, 40)}
CARS = (128, 128, 3, 24, 4)  # rows, columns, colours, azimuths, elevations
CAR = re.compile(r"car_\d{3}_mesh\.mat")


def grid_rows(counts: tuple[int, ...]) -> np.ndarray:
    """The points of a grid, the last factor changing fastest.

    Args:
        counts: values of each factor.

    Returns:
        int16 `[points, factors]`.
    """
    axes = np.indices(counts, np.int16).reshape(len(counts), -1)
    return np.ascontiguousarray(axes.T)


def read_sprites(path: Path) -> Parts:
    """dSprites: `images` of 0 and 1, `factors` as indices, `values` as published.

    Args:
        path: the `.npz` file; its pickled description is not read.

    Returns:
        The one part `all`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file that is something else, such as rows in another
            order than the grid's.
    """
    held = npz_columns(path, ("imgs", "latents_classes", "latents_values"))
    _check_pictures(path, held["imgs"], (math.prod(SPRITES), 64, 64))
    classes = held["latents_classes"].read()
    values = held["latents_values"]
    if classes.dtype.kind != "i" or not np.array_equal(classes, grid_rows(SPRITES)):
        raise ValueError(f"latents_classes of {path} must be the grid's, in its order")
    if values.dtype.kind != "f" or values.shape != classes.shape:
        raise ValueError(f"latents_values of {path} must be {list(classes.shape)}")
    columns = {"images": held["imgs"], "factors": in_memory(classes), "values": values}
    return {"all": columns}


def read_shapes(path: Path) -> Parts:
    """3D Shapes: `images` and `values`, the published labels, which are checked.

    Args:
        path: the HDF5 file.

    Returns:
        The one part `all`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: as `read_sprites`.
        ImportError: without h5py.
    """
    held = h5_columns(path, ("images", "labels"))
    _check_pictures(path, held["images"], (math.prod(SHAPES), 64, 64, 3))
    values, grid = held["labels"].read(), grid_rows(SHAPES)
    fits = values.dtype.kind == "f" and values.shape == grid.shape
    if fits:
        for column, place in zip(values.T, grid.T, strict=True):
            levels = column[np.unique(place, return_index=True)[1]]
            fits = fits and np.array_equal(column, levels[place])
            fits = fits and bool((np.diff(levels) > 0).all())
    if not fits:
        raise ValueError(f"labels of {path} must be the grid's, in its order")
    columns = {"images": held["images"], "factors": in_memory(grid)}
    return {"all": {**columns, "values": in_memory(values)}}


def read_mpi3d(path: Path) -> Parts:
    """MPI3D: `images` and `factors` as indices; the file holds pictures alone.

    Args:
        path: the `.npz` file.

    Returns:
        The one part `all`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file that is something else.
    """
    images = npz_columns(path, ("images",))["images"]
    sizes = {math.prod(counts): counts for counts in MPI3D.values()}
    if len(images) not in sizes:
        raise ValueError(f"{path} must hold {' or '.join(map(str, sizes))} pictures")
    _check_pictures(path, images, (len(images), 64, 64, 3))
    factors = grid_rows(sizes[len(images)])
    return {"all": {"images": images, "factors": in_memory(factors)}}


def read_cars(folder: Path) -> Parts:
    """Cars3D: `images`, uint8 `[rows, 128, 128, 3]`, and `factors`.

    A car is read when its pictures are. Factors: elevation of four, azimuth of 24, car.
    Of a car's pictures the elevation changes fastest.

    Args:
        folder: holds `car_001_mesh.mat` and so on.

    Returns:
        The one part `all`.

    Raises:
        ValueError: when there is no such file; when it is read, naming the file that
            is something else.
    """
    paths = sorted(path for path in folder.iterdir() if CAR.fullmatch(path.name))
    if not paths:
        raise ValueError(f"{folder} must hold car_001_mesh.mat and so on")
    per_car = CARS[3] * CARS[4]
    car, azimuth, elevation = grid_rows((len(paths), CARS[3], CARS[4])).T

    @functools.lru_cache(maxsize=2)
    def pictures(number: int) -> np.ndarray:
        held = read_mat5(paths[number], "im")
        if held.dtype != np.uint8 or held.shape != CARS:
            raise ValueError(
                f"im of {paths[number]} must be bytes {list(CARS)}, got {held.dtype} "
                f"{list(held.shape)}"
            )
        return held.transpose(3, 4, 0, 1, 2).reshape(per_car, *CARS[:3])

    def rows(start: int, stop: int) -> np.ndarray:
        numbers = range(start // per_car, -(-stop // per_car))
        held = np.concatenate(
            [np.zeros((0, *CARS[:3]), np.uint8), *map(pictures, numbers)]
        )
        first = start % per_car
        return held[first : first + stop - start]

    @contextlib.contextmanager
    def opened() -> Iterator[Rows]:
        yield rows
        pictures.cache_clear()

    images = Column(np.dtype(np.uint8), (len(car), *CARS[:3]), opened)
    factors = np.stack([elevation, azimuth, car], axis=1)
    return {"all": {"images": images, "factors": in_memory(factors)}}


def _check_pictures(path: Path, images: Column, shape: tuple[int, ...]) -> None:
    if images.dtype != np.uint8 or images.shape != shape:
        raise ValueError(
            f"{path} must hold pictures of bytes {list(shape)}, got {images.dtype} "
            f"{list(images.shape)}"
        )
