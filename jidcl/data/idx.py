"""Arrays in the formats idx (MNIST, Fashion-MNIST) and NORB, packed or not.

    idx     big-endian: 0, 0, type, number of axes, sizes; then the numbers
    NORB    little-endian: magic number, number of axes, sizes (three at least), numbers

Source: LeCun et al. 1998 (MNIST), Xiao et al. 2017 (Fashion-MNIST), LeCun, Huang,
Bottou 2004 (small NORB).
"""

import math
from pathlib import Path

import numpy as np

from jidcl.data.columns import Parts, check_labels, in_memory, read_exactly

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NORB_TYPES = {0x1E3D4C55: "u1", 0x1E3D4C54: "<i4"}
MNIST_FILES = {"train": "train", "test": "t10k"}
NORB_FILES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
NORB_INFO = ("instance", "elevation", "azimuth", "lighting")
# Of each part its instances; of the others their values in both.
_INSTANCES = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5)}
_VALUES = (None, range(9), range(0, 36, 2), range(6))


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The array of an idx file.

    Args:
        path: the file; `.gz` is unpacked.
        axes: how many axes it must have.

    Returns:
        The array, in the machine's order of bytes.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, on another header, or more or less numbers than it
            says.
    """
    start = 4 + 4 * axes

    def size(header: bytes) -> int:
        if header[:2] != b"\0\0" or header[2] not in IDX_TYPES or header[3] != axes:
            raise ValueError(
                f"it must begin as an idx array of {axes} axes, got {header[:4].hex()}"
            )
        shape = np.frombuffer(header, ">u4", offset=4)
        return math.prod(map(int, shape)) * np.dtype(IDX_TYPES[header[2]]).itemsize

    content = read_exactly(path, start, size)
    shape = np.frombuffer(content[4:start], ">u4").astype(int)
    flat = np.frombuffer(content, IDX_TYPES[content[2]], offset=start)
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="))


def read_norb(path: Path, axes: int) -> np.ndarray:
    """The array of a file of small NORB.

    Args:
        path: the file; `.gz` is unpacked.
        axes: how many axes it must have.

    Returns:
        uint8 or int32.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: as `read_idx`.
    """
    start = 8 + 4 * max(axes, 3)

    def size(header: bytes) -> int:
        magic, count, *shape = map(int, np.frombuffer(header, "<i4"))
        if magic not in NORB_TYPES or count != axes or min(shape) < 1:
            raise ValueError(
                f"it must begin as a NORB array of {axes} axes, got {header[:8].hex()}"
            )
        return math.prod(shape[:axes]) * np.dtype(NORB_TYPES[magic]).itemsize

    content = read_exactly(path, start, size)
    shape = np.frombuffer(content[8:start], "<i4")[:axes]
    magic = int(np.frombuffer(content[:4], "<i4")[0])
    flat = np.frombuffer(content, NORB_TYPES[magic], offset=start)
    return flat.reshape(shape).astype(flat.dtype.newbyteorder("="))


def packed_or_not(folder: Path, name: str) -> Path:
    """`folder/name`, or the same packed, `folder/name.gz`.

    Args:
        folder: where it lies.
        name: without `.gz`.

    Returns:
        The path of the one that is there, of `name` where neither is.
    """
    plain, packed = folder / name, folder / f"{name}.gz"
    return packed if not plain.exists() and packed.exists() else plain


def read_mnist_folder(folder: Path) -> Parts:
    """MNIST, or another set in its layout, from its four idx files.

    Args:
        folder: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
            `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each or not `.gz`.

    Returns:
        Parts `train` and `test` of `images`, uint8 `[rows, 28, 28]`, and `labels`.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: naming the file that is something else.
    """
    parts = {}
    for part, stem in MNIST_FILES.items():
        images = packed_or_not(folder, f"{stem}-images-idx3-ubyte")
        labels = packed_or_not(folder, f"{stem}-labels-idx1-ubyte")
        x, label = read_idx(images, 3), read_idx(labels, 1)
        if x.dtype != np.uint8 or x.shape[1:] != (28, 28) or not len(x):
            raise ValueError(
                f"{images} must hold bytes [rows, 28, 28], got {x.dtype} "
                f"{list(x.shape)}"
            )
        check_labels(labels, label, rows=len(x), classes=10)
        parts[part] = {"images": in_memory(x), "labels": in_memory(label)}
    return parts


def read_norb_folder(folder: Path) -> Parts:
    """Small NORB from its six files.

    Args:
        folder: holds the files `-dat.mat`, `-cat.mat` and `-info.mat` of both parts,
            under the published names, each or not `.gz`.

    Returns:
        Parts `train` and `test` of `images`, uint8 `[rows, 2, 96, 96]` (left, right),
        `labels` of five categories, and `factors` `[rows, 4]`: instance, elevation,
        azimuth (even numbers) and lighting.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: naming the file that is something else, such as one of the other
            part.
    """
    parts = {}
    for part, stem in NORB_FILES.items():
        data, category, info = (
            packed_or_not(folder, f"{stem}-{kind}.mat")
            for kind in ("dat", "cat", "info")
        )
        x, label, z = read_norb(data, 4), read_norb(category, 1), read_norb(info, 2)
        if x.dtype != np.uint8 or x.shape[1:] != (2, 96, 96):
            raise ValueError(
                f"{data} must hold bytes [rows, 2, 96, 96], got {x.dtype} "
                f"{list(x.shape)}"
            )
        check_labels(category, label, rows=len(x), classes=5)
        if z.dtype != np.int32 or z.shape != (len(x), 4):
            raise ValueError(
                f"{info} must hold int32 [{len(x)}, 4], got {z.dtype} {list(z.shape)}"
            )
        allowed = (_INSTANCES[part], *_VALUES[1:])
        for name, column, values in zip(NORB_INFO, z.T, allowed, strict=True):
            if not np.isin(column, values).all():
                raise ValueError(f"{name} of {info} must be one of {list(values)}")
        held = {"images": x, "labels": label, "factors": z}
        parts[part] = {name: in_memory(array) for name, array in held.items()}
    return parts
