"""Pickles of plain containers and arrays, read without running anything.

The standard library splits such a file into instructions (`pickletools`). A small
machine here carries out those that plain data need. No name in a file is imported: a
few names that NumPy writes stand for what is done here, and every other is refused.
"""

import io
import pickletools
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.files import in_short, read_bytes

MOST_PICKLE = 1 << 31  # bytes of such a file
DTYPE = re.compile(r"[|<>=]?(b1|[iu][1248]|f[248])")

# What NumPy's and Python's own names stand for, by the last two parts of the name.
_MEANINGS = {
    "multiarray._reconstruct": "empty array",
    "multiarray.scalar": "scalar",
    "numeric._frombuffer": "array",
    "numpy.ndarray": "array type",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",
    "__builtin__.bytes": "bytes",
    "builtins.bytes": "bytes",
}
_CONSTANTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES"),
    *("SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_FIXED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class _Name:
    """A name of `_MEANINGS` that a file mentions."""

    def __init__(self, meaning: str):
        self.meaning = meaning


class _Unbuilt:
    """An array or dtype whose content is still to come, and where the memo has it."""

    def __init__(self, dtype: np.dtype | None):
        self.dtype, self.places = dtype, []


def read_plain_pickle(path: Path, most: int = MOST_PICKLE) -> Any:
    """What a pickle holds, where it is plain data.

    Args:
        path: a regular file, as Python 2 or 3 wrote it.
        most: bytes that it may have.

    Returns:
        None, bools, numbers, texts, bytes, lists, tuples, dicts and NumPy arrays of
        numbers. Python 2's `str` is read as text of the same bytes (Latin-1).

    Raises:
        FileNotFoundError: when there is none.
        ValueError: naming the file, when it is cut or damaged, or asks for anything
            else, such as a name to import or a function to call.
    """
    content = read_bytes(path, most)
    try:
        return _Machine().run(content)
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
        raise ValueError(
            f"{path} must be a pickle of plain data: {in_short(error)}"
        ) from error


class _Machine:
    """The stack, the memo, and the instructions that are known."""

    def __init__(self):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """Carry out all instructions; what is left on the stack."""
        for code, argument, _ in pickletools.genops(io.BytesIO(content)):
            name = code.name
            if name in _CONSTANTS:
                self.stack.append(argument)
            elif name in _FIXED:
                self.stack.append(_FIXED[name])
            elif name in _TUPLES:
                self.stack.append(tuple(self.last(_TUPLES[name])))
            elif name == "STOP":
                break
            elif name not in ("PROTO", "FRAME"):
                step = getattr(self, f"do_{name.lower()}", None)
                if step is None:
                    raise ValueError(f"plain data need no instruction {name}")
                step(argument)
        (value,) = self.last(1)
        if self.stack or isinstance(value, _Name | _Unbuilt) or value is _MARK:
            raise ValueError("it ends before its value is whole")
        return value

    def last(self, count: int) -> list[Any]:
        """Take so many values from the top."""
        if count > len(self.stack):
            raise ValueError("its stack is empty")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def to_mark(self) -> list[Any]:
        """Take the values above the last mark, and the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                return self.last(len(self.stack) - place)[1:]
        raise ValueError("a mark is missing")

    def top(self, kind: type) -> Any:
        """The value on top, which must be of a kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"a {kind.__name__} is missing")
        return self.stack[-1]

    # Marks and the memo

    def do_mark(self, _):
        self.stack.append(_MARK)

    def do_pop(self, _):
        self.last(1)

    def do_pop_mark(self, _):
        self.to_mark()

    def do_put(self, place):
        (value,) = self.last(1)
        self.stack.append(value)
        self.memo[int(place)] = value
        if isinstance(value, _Unbuilt):
            value.places.append(int(place))

    do_binput = do_long_binput = do_put

    def do_memoize(self, _):
        self.do_put(len(self.memo))

    def do_get(self, place):
        self.stack.append(self.memo[int(place)])

    do_binget = do_long_binget = do_get

    # Containers

    def do_empty_list(self, _):
        self.stack.append([])

    def do_empty_dict(self, _):
        self.stack.append({})

    def do_list(self, _):
        self.stack.append(self.to_mark())

    def do_tuple(self, _):
        self.stack.append(tuple(self.to_mark()))

    def do_dict(self, _):
        self.stack.append(_dict(self.to_mark()))

    def do_append(self, _):
        (value,) = self.last(1)
        self.top(list).append(value)

    def do_appends(self, _):
        values = self.to_mark()
        self.top(list).extend(values)

    def do_setitem(self, _):
        pair = self.last(2)
        self.top(dict).update(_dict(pair))

    def do_setitems(self, _):
        pairs = self.to_mark()
        self.top(dict).update(_dict(pairs))

    # Names, arrays and dtypes

    def do_global(self, name):
        self.stack.append(_known(name.replace(" ", ".")))

    def do_stack_global(self, _):
        module, name = self.last(2)
        self.stack.append(_known(f"{module}.{name}"))

    def do_reduce(self, _):
        name, given = self.last(2)
        if not isinstance(name, _Name) or not isinstance(given, tuple):
            raise ValueError("only NumPy's names may be called")
        self.stack.append(_called(name.meaning, given))

    def do_build(self, _):
        value, state = self.last(2)
        if not isinstance(value, _Unbuilt) or not isinstance(state, tuple):
            raise ValueError("only arrays have a state")
        built = _array(*state[1:]) if value.dtype is None else _ordered(value, state)
        self.stack.append(built)
        for place in value.places:
            self.memo[place] = built


def _known(name: str) -> _Name:
    meaning = _MEANINGS.get(".".join(name.split(".")[-2:]))
    if meaning is None or not re.match(r"numpy\b|_codecs\b|__builtin__\b|bu", name):
        raise ValueError(f"plain data need no name {name[:80]!r}")
    return _Name(meaning)


def _called(meaning: str, given: tuple) -> Any:
    """What a call of a name with these values stands for."""
    if meaning == "empty array":
        return _Unbuilt(None)
    if meaning == "dtype":
        if not isinstance(given[0], str) or not DTYPE.fullmatch(given[0]):
            raise ValueError(f"arrays of {str(given[0])[:20]!r} are not read")
        return _Unbuilt(np.dtype(given[0]))
    if meaning == "scalar":
        dtype, content = given
        return _array((), dtype, False, content)[()]
    if meaning == "array":
        content, dtype, shape, order = given
        return _array(shape, dtype, order == "F", content)
    if meaning == "encode" and len(given) == 2 and isinstance(given[0], str):
        return given[0].encode("latin-1")
    if meaning == "bytes" and given == ():
        return b""
    raise ValueError(f"a call that plain data do not need ({meaning})")


def _ordered(value: _Unbuilt, state: tuple) -> np.dtype:
    """A dtype with the order of bytes that its state says."""
    dtype = value.dtype
    if dtype is None or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
        raise ValueError("a dtype of parts is not read")
    return dtype.newbyteorder(state[1]) if dtype.itemsize > 1 else dtype


def _array(shape: Any, dtype: Any, fortran: Any, content: Any) -> np.ndarray:
    """An array of exactly the bytes that its shape needs."""
    content = content.encode("latin-1") if isinstance(content, str) else content
    whole = isinstance(dtype, np.dtype) and isinstance(content, bytes | bytearray)
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not whole or not all(type(n) is int and n >= 0 for n in sizes):
        raise ValueError("an array needs a dtype, sizes and bytes")
    count = 1
    for size in sizes:
        count *= size
    if count * dtype.itemsize != len(content) or len(sizes) > 32:
        raise ValueError(
            f"an array of {list(sizes)[:8]} in {dtype} has {len(content)} bytes"
        )
    flat = np.frombuffer(content, dtype)
    held = flat.reshape(sizes, order="F" if fortran else "C")
    return held.astype(dtype.newbyteorder("="))


def _dict(items: list) -> dict:
    """Keys and values in turn; keys are texts, bytes or numbers."""
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values) or not all(
        isinstance(key, str | bytes | int | float) for key in keys
    ):
        raise ValueError("keys of a dict must be texts, bytes or numbers")
    return dict(zip(keys, values, strict=True))
