"""One array of numbers in a MATLAB 5 file; nothing else of such files is read.

Source: MathWorks, "MAT-File Format" (level 5).
"""

import math
import zlib
from pathlib import Path

import numpy as np

from jidcl.files import in_short, read_bytes

MOST_MAT = 1 << 28  # bytes, packed and unpacked
_COMPRESSED, _MATRIX, _INT32, _UINT32, _INT8 = 15, 14, 5, 6, 1
_CLASSES = {8: "i1", 9: "u1", 10: "<i2", 11: "<u2", 12: "<i4", 13: "<u4"}
_STORED = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4"}


def read_mat5(path: Path, name: str) -> np.ndarray:
    """The array of a name, of whole numbers.

    Args:
        path: a file of version 5 in little-endian order, packed or not.
        name: of the variable.

    Returns:
        The array, of the class that the file says.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is cut, damaged or something else, lacks
            the name, or unpacks to more than its shape.
    """
    content = read_bytes(path, MOST_MAT)
    try:
        if content[124:128] != b"\x00\x01IM":
            raise ValueError("its first 128 bytes are not those of version 5")
        place, seen = 128, []
        while place < len(content):
            kind, body, place = _element(content, place)
            if kind == _COMPRESSED:
                unpack = zlib.decompressobj()
                kind, body, _ = _element(unpack.decompress(body, MOST_MAT), 0)
                if unpack.unconsumed_tail or not unpack.eof:
                    raise ValueError("a packed part is cut or too large")
            if kind == _MATRIX:
                found, array = _matrix(body)
                if found == name:
                    return array()
                seen.append(found[:40])
        raise ValueError(f"it has no {name!r}, only {seen}")
    except (ValueError, IndexError, zlib.error) as error:
        raise ValueError(
            f"{path} must be a MATLAB 5 file: {in_short(error)}"
        ) from error


def _element(content: bytes, place: int) -> tuple[int, bytes, int]:
    """Type and content of the element at a place, and where the next begins."""
    if place + 8 > len(content):
        raise ValueError("it is cut")
    kind, size = (int(k) for k in np.frombuffer(content, "<u4", 2, place))
    if kind >> 16:  # a small element: both in four bytes, the content in the next
        kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if size > 4:
            raise ValueError("a small element of more than four bytes")
        end = place + 8
    else:
        start = place + 8
        end = start + size + (-size % 8 if kind != _COMPRESSED else 0)
    if start + size > len(content):
        raise ValueError("it is cut")
    return kind, content[start : start + size], end


def _matrix(body: bytes):
    """The name of an array, and a function that reads it."""
    kind, flags, place = _element(body, 0)
    kind_shape, sizes, place = _element(body, place)
    kind_name, name, place = _element(body, place)
    if (kind, kind_shape, kind_name) != (_UINT32, _INT32, _INT8) or len(flags) != 8:
        raise ValueError("an array without flags, sizes and name")

    def array() -> np.ndarray:
        dtype = _CLASSES.get(flags[0])
        stored, data, _ = _element(body, place)
        if dtype is None or flags[1] & 0x08 or stored not in _STORED:
            raise ValueError("its array is not one of whole numbers")
        shape = [int(n) for n in np.frombuffer(sizes, "<i4")]
        width = np.dtype(_STORED[stored]).itemsize
        if min(shape) < 0 or math.prod(shape) * width != len(data):
            raise ValueError(f"an array of {shape} has {len(data)} bytes")
        flat = np.frombuffer(data, _STORED[stored])
        return flat.reshape(shape, order="F").astype(np.dtype(dtype).newbyteorder("="))

    return name.decode("latin-1"), array
