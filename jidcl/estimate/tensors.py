"""Files of named arrays in the safetensors format, with NumPy alone.

Eight bytes: the length of a JSON header, little-endian. The header: `{name: {dtype,
shape, data_offsets}}`. Then the arrays, row by row, little-endian, one after another.
Nothing in such a file is executed.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_array
from jidcl.files import check_regular, write_whole

MOST_HEADER = 1 << 26  # bytes
MOST_FILE = 1 << 34  # bytes
KINDS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4",
    "U32": "<u4", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}


def write_tensors(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays in one step.

    Args:
        path: the file; its folder is created.
        arrays: by name.

    Raises:
        TypeError: on an array of a kind that `KINDS` does not have.
        OSError: as for `jidcl.files.write_whole`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_tensors(Path(folder, "a"), {"w": np.ones((2, 1), np.float32)})
        ...     read_tensors(Path(folder, "a"))["w"].tolist()
        [[1.0], [1.0]]
    """
    header, parts, place = {}, [], 0
    for name, array in arrays.items():
        held = np.asarray(array)  # ascontiguousarray would make a scalar a row
        check_array(name, held)
        if held.dtype not in NAMES:
            raise TypeError(f"{name} must be one of {list(KINDS)}, got {held.dtype}")
        content = held.astype(held.dtype.newbyteorder("<"), copy=False).tobytes()
        ends = [place, place + len(content)]
        header[name] = {
            "dtype": NAMES[held.dtype],
            "shape": list(held.shape),
            "data_offsets": ends,
        }
        parts.append(content)
        place = ends[1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write(part: Path) -> None:
        with part.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.writelines(parts)

    write_whole(path, write)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file.

    Args:
        path: a regular file.

    Returns:
        `{name: array}`.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, where it does not hold what its header says.
    """
    path = Path(path)
    check_regular(path, MOST_FILE)
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MOST_HEADER:
                raise ValueError("its header is too long")
            header = json.loads(file.read(size))
            content = file.read()
        return {
            name: _array(name, told, content)
            for name, told in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error


def _array(name: str, told: Any, content: bytes) -> np.ndarray:
    dtype, shape = np.dtype(KINDS[told["dtype"]]), tuple(told["shape"])
    start, stop = told["data_offsets"]
    whole = all(isinstance(k, int) and k >= 0 for k in (start, stop, *shape))
    if not whole or stop > len(content):
        raise ValueError(f"{name} lies outside of the file")
    if stop - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} does not have the bytes of its shape")
    return np.frombuffer(content[start:stop], dtype).reshape(shape).copy()
