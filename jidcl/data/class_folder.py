"""Folders of pictures: one folder a class, as ImageNet has them; and annotations.

    ROOT/train/n01440764/n01440764_10026.JPEG       parts, or
    ROOT/n01440764/n01440764_10026.JPEG             one part

Classes are numbered in the order of their folders' names. Parts have the same ones.
"""

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jidcl.checks import check_at_least
from jidcl.data.columns import Column, Parts, in_memory
from jidcl.data.image_folder import MODES, MOST_PICTURE, MOST_SIDE
from jidcl.files import check_regular, in_short

PARTS = ("train", "val", "valid", "test")
ENDINGS = (".jpeg", ".jpg", ".png")
DEFAULT_SIZE = 64


def parts_of(root: Path, names: Sequence[str] = PARTS) -> dict[str, Path]:
    """The folders of a set's parts, or the set itself as the one part `all`.

    Args:
        root: the folder.
        names: of the folders; a part is called as its folder, less a "set" at the end.

    Returns:
        `{part: folder}`.
    """
    found = [name for name in names if (root / name).is_dir()]
    return {name.removesuffix("set"): root / name for name in found} or {"all": root}


def read_class_folders(root: Path, size: int | None = None) -> Parts:
    """Pictures of class folders, shrunk when they are read.

    The shorter side is shrunk (or grown) to `size`, then the middle is cut out.

    Args:
        root: see the module.
        size: rows and columns; None: 64.

    Returns:
        Of each part `images`, uint8 `[rows, size, size, 3]`, `labels`, and `file_name`.

    Raises:
        ValueError: on a part without classes, a class without pictures, or a class
            that only one part has; when they are read, naming the file that is no
            picture.
    """
    size = DEFAULT_SIZE if size is None else size
    check_at_least("size", size, 1)
    parts, first = {}, None
    for part, folder in parts_of(root).items():
        classes = class_names(folder)
        if not classes:
            raise ValueError(f"{folder} must hold a folder for each class")
        first = (folder, classes) if first is None else first
        if classes != first[1]:
            odd = sorted(set(classes) ^ set(first[1]))[0]
            raise ValueError(f"{odd!r} must be a class of {first[0]} and of {folder}")
        paths, labels = [], []
        for label, name in enumerate(classes):
            files = pictures_in(folder / name)
            paths += files
            labels += [label] * len(files)
        names = np.asarray([f"{path.parent.name}/{path.name}" for path in paths])
        parts[part] = {
            "images": picture_column(paths, size),
            "labels": in_memory(np.asarray(labels, np.int64)),
            "file_name": in_memory(names),
        }
    return parts


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by their endings, in order of their names.

    Args:
        folder: of one class.

    Returns:
        Their paths.

    Raises:
        ValueError: when there are none.
    """
    names = sorted(os.listdir(folder))
    files = [folder / name for name in names if name.lower().endswith(ENDINGS)]
    if not files:
        raise ValueError(f"{folder} must hold pictures ({', '.join(ENDINGS)})")
    return files


def picture_column(paths: Sequence[Path], size: int) -> Column:
    """Pictures on disk as a column; several threads read them.

    Args:
        paths: PNG or JPEG files.
        size: rows and columns.

    Returns:
        The column, uint8 `[rows, size, size, 3]`.
    """

    def rows(start: int, stop: int) -> np.ndarray:
        out = np.empty((stop - start, size, size, 3), np.uint8)

        def fill(row: int) -> None:
            out[row] = read_picture(paths[start + row], size)

        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, range(stop - start)))
        return out

    shape = (len(paths), size, size, 3)
    return Column(np.dtype(np.uint8), shape, lambda: contextlib.nullcontext(rows))


def read_picture(path: Path, size: int) -> np.ndarray:
    """One picture: its shorter side brought to `size`, the middle cut out.

    Args:
        path: a PNG or JPEG file.
        size: rows and columns.

    Returns:
        uint8 `[size, size, 3]`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no such picture or has more than 4,096
            pixels a side.
    """
    from PIL import Image

    check_regular(path, MOST_PICTURE)
    try:
        with Image.open(path, formats=["PNG", "JPEG"]) as image:
            wide, high = image.size
            if max(wide, high) > MOST_SIDE:
                raise ValueError(f"more than {MOST_SIDE} pixels a side")
            if image.mode not in (*MODES, "CMYK"):
                raise ValueError(f"mode {image.mode} is not read")
            square = min(wide, high)
            left, top = (wide - square) // 2, (high - square) // 2
            box = (left, top, left + square, top + square)
            image = image.convert("RGB")
            return np.asarray(
                image.resize(
                    (size, size), Image.Resampling.BOX, box=box, reducing_gap=2
                )
            )
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be a PNG or a JPEG: {in_short(error)}"
        ) from error


def class_names(root: Path) -> list[str]:
    """Names of the folders in a folder, hidden ones apart, in order.

    Args:
        root: the folder of a part.

    Returns:
        The names; the place of each is its label.
    """
    names = sorted(name for name in os.listdir(root) if name[0] != ".")
    return [name for name in names if os.path.isdir(root / name)]
