"""Arrays on disk that are read in parts, whatever file they lie in.

A `Column` knows dtype and shape from a header, so describing a file reads no rows, and
converting it holds a few thousand rows at once. `Parts` names columns: `{part: {column:
Column}}`, such as `{"train": {"images": ..., "labels": ...}}`.
"""

import contextlib
import dataclasses
import gzip
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_at_least
from jidcl.files import MOST_ARRAYS, check_regular, in_short

MOST_FILE = 1 << 38  # bytes of a file that is read in parts
Rows = Callable[[int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Column:
    """An array on disk.

    Attributes:
        dtype: of its numbers.
        shape: rows first.
        opened: gives a context whose value reads rows `start` to `stop`; parts that
            are asked for in rising order are read once.

    Example:
        >>> column = in_memory(np.arange(6).reshape(3, 2))
        >>> column.read(1, 3).tolist(), [len(c) for c in column.chunks(2)]
        ([[2, 3], [4, 5]], [2, 1])
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    opened: Callable[[], contextlib.AbstractContextManager[Rows]]

    def __len__(self) -> int:
        return self.shape[0]

    def first(self, rows: int) -> "Column":
        """The first rows; all where there are no more.

        Args:
            rows: how many, >= 0.

        Returns:
            A column.
        """
        shape = (min(rows, len(self)), *self.shape[1:])
        return dataclasses.replace(self, shape=shape)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows `start` to `stop`; all of them by default.

        Args:
            start: the first row.
            stop: the row after the last; None: the last of all is the last.

        Returns:
            `[stop - start, ...]`.

        Raises:
            ValueError: on rows that are not there, or more than `MOST_ARRAYS` bytes.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise ValueError(f"rows must be in 0..{len(self)}, got {start}..{stop}")
        size = (stop - start) * self.dtype.itemsize * math.prod(self.shape[1:])
        if size > MOST_ARRAYS:
            raise ValueError(
                f"rows read at once must have at most {MOST_ARRAYS} bytes, got {size}: "
                "read them in chunks"
            )
        with self.opened() as rows:
            return rows(start, stop)

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """All rows in turn.

        Args:
            rows: at once, >= 1.

        Yields:
            `[rows, ...]`; the last one may be shorter.
        """
        check_at_least("rows", rows, 1)
        with self.opened() as read:
            for start in range(0, len(self), rows):
                yield read(start, min(start + rows, len(self)))


Parts = dict[str, dict[str, Column]]


def in_memory(array: Any) -> Column:
    """A column of an array that is there already.

    Args:
        array: `[rows, ...]`.

    Returns:
        The column.
    """
    held = np.asarray(array)

    def opened() -> contextlib.AbstractContextManager[Rows]:
        return contextlib.nullcontext(lambda start, stop: held[start:stop])

    return Column(held.dtype, held.shape, opened)


def npz_columns(path: Path, names: Sequence[str] | None = None) -> dict[str, Column]:
    """The arrays of an `.npz` file, read in parts.

    A member that would unpack to more, or less, than its shape says is refused before
    it is unpacked.

    Args:
        path: the file.
        names: of the arrays that are wanted; None: all, but for arrays of objects,
            which are left out.

    Returns:
        The columns, in the order of the file or of `names`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no such archive or lacks a name.
    """
    check_regular(path, MOST_FILE)
    try:
        with zipfile.ZipFile(path) as archive:
            every = {
                part.filename: part
                for part in archive.infolist()
                if part.filename.endswith(".npy")
            }
            stems = [name.removesuffix(".npy") for name in every]
            wanted = stems if names is None else list(names)
            missing = [name for name in wanted if f"{name}.npy" not in every]
            if missing:
                raise ValueError(f"{missing[0]!r} must be an array in it, got {stems}")
            held = {
                name: _npz_column(path, archive, every[f"{name}.npy"])
                for name in wanted
            }
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be an .npz file of arrays: {in_short(error)}"
        ) from error
    found = {name: column for name, column in held.items() if column is not None}
    if names is not None and len(found) < len(held):
        raise ValueError(f"{path} must hold numbers in {list(names)}, not objects")
    return found


def _npz_column(path: Path, archive: Any, part: zipfile.ZipInfo) -> Column | None:
    """A member; None for one of objects."""
    with archive.open(part) as file:
        version = np.lib.format.read_magic(file)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise ValueError(f"{part.filename} has version {version} of the format")
        shape, fortran, dtype = header(file)
        start = file.tell()
    if dtype.hasobject:
        return None
    size = dtype.itemsize * math.prod(shape)
    counts = all(0 <= length <= MOST_FILE for length in shape)
    if not counts or start + size != part.file_size:
        raise ValueError(
            f"{part.filename} says {list(shape)} in {dtype}, {size} bytes, and holds "
            f"{part.file_size - start}"
        )
    if fortran and len(shape) > 1:
        if size > MOST_ARRAYS:
            raise ValueError(f"{part.filename} has columns first and is too large")
        flat = np.frombuffer(archive.read(part), dtype, offset=start)
        return in_memory(np.ascontiguousarray(flat.reshape(shape, order="F")))
    if not shape:
        return in_memory(np.frombuffer(archive.read(part), dtype, offset=start))
    row = dtype.itemsize * math.prod(shape[1:])

    @contextlib.contextmanager
    def opened() -> Iterator[Rows]:
        with zipfile.ZipFile(path) as again, again.open(part) as file:
            file.read(start)  # from Python 3.13 on a seek would end the check of sums

            def rows(first: int, last: int) -> np.ndarray:
                try:
                    file.seek(start + first * row)
                    content = file.read((last - first) * row)
                    flat = np.frombuffer(content, dtype)
                    return flat.reshape(last - first, *shape[1:])
                except Exception as error:  # whatever zlib says of damaged bytes
                    raise ValueError(f"{path} is damaged: {in_short(error)}") from error

            yield rows

    return Column(dtype, shape, opened)


def h5_columns(path: Path, names: Sequence[str] | None = None) -> dict[str, Column]:
    """The data sets at the root of an HDF5 file, read in parts.

    Args:
        path: the file.
        names: of the data sets that are wanted; None: all of numbers.

    Returns:
        The columns.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is no such file or lacks a name.
        ImportError: without h5py.
    """
    h5py = import_h5py(path.name)
    check_regular(path, MOST_FILE)
    found = {}
    try:
        with h5py.File(path, "r") as file:
            for name in file if names is None else names:
                held = file.get(name, getlink=True)
                if isinstance(held, h5py.ExternalLink | h5py.SoftLink):
                    raise ValueError(f"{name!r} is a link to elsewhere")
                held = file.get(name)
                plain = isinstance(held, h5py.Dataset) and held.dtype.kind in "biufS"
                if plain and held.shape and not held.external and not held.is_virtual:
                    found[name] = Column(held.dtype, held.shape, _h5_rows(path, name))
                elif names is not None:
                    raise ValueError(f"{name!r} must be a data set of numbers in it")
    except Exception as error:  # whatever a reader of hostile bytes may raise
        raise ValueError(
            f"{path} must be an HDF5 file of arrays: {in_short(error)}"
        ) from error
    return found


def _h5_rows(path: Path, name: str) -> Callable:
    @contextlib.contextmanager
    def opened() -> Iterator[Rows]:
        with import_h5py(path.name).File(path, "r") as file:
            held: Any = file[name]

            def rows(first: int, last: int) -> np.ndarray:
                try:
                    return held[first:last]
                except Exception as error:
                    raise ValueError(f"{path} is damaged: {in_short(error)}") from error

            yield rows

    return opened


def import_h5py(name: str) -> Any:
    """The module h5py.

    Args:
        name: of the file that needs it.

    Returns:
        The module.

    Raises:
        ImportError: without it, saying how it is installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{name} needs h5py: pip install 'jidcl[data]'") from error
    return h5py


def read_exactly(path: Path, header: int, size: Callable[[bytes], int]) -> bytes:
    """The content of a file, or of a gzip file, of a length that its header says.

    Args:
        path: ends in `.gz` where it is to be unpacked.
        header: bytes of the header.
        size: from the header to the bytes after it; it raises a ValueError on a header
            that is not of the format.

    Returns:
        Header and rest.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is cut, longer, damaged or too large. No
            more than what the header says is unpacked, and one byte.
    """
    check_regular(path, MOST_FILE)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(header)
            if len(start) < header:
                raise ValueError(f"its header has {len(start)} bytes of {header}")
            rest = size(start)
            if rest > MOST_ARRAYS:
                raise ValueError(f"it says {rest} bytes, at most {MOST_ARRAYS}")
            content = file.read(rest + 1)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {in_short(error)}") from error
    except Exception as error:  # zlib.error is no OSError
        raise ValueError(f"{path} is damaged: {in_short(error)}") from error
    if len(content) != rest:
        more = "more" if len(content) > rest else f"only {len(content)}"
        raise ValueError(f"{path} must hold {rest} bytes after its header, got {more}")
    return start + content


def check_labels(path: Path, labels: np.ndarray, *, rows: int, classes: int) -> None:
    """Raise unless labels are whole numbers, one for each row, of so many classes.

    Args:
        path: of the file, for the message.
        labels: `[rows]`.
        rows: how many there must be.
        classes: labels are in 0 .. classes - 1.

    Raises:
        ValueError: naming the file.
    """
    if labels.dtype.kind not in "iu" or labels.shape != (rows,):
        raise ValueError(
            f"{path} must hold {rows} labels, one a picture, got {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if rows and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"labels of {path} must be in 0..{classes - 1}, got {labels.min()}.."
            f"{labels.max()}"
        )
