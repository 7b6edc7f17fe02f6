"""Boundary validation with one wording: argument, value got, what is allowed.

Shapes and names are checked at trace time; value ranges only where the value is
concrete, so every check is free inside `jit`. This module imports neither JAX nor
NumPy at the top, because the configuration modules use it too and `--help` is instant.
"""

import difflib
import operator
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

MOST_SHOWN = 60  # names in a message
SMALL = 2**26  # bytes that are taken unasked


def is_traced(value: Any) -> bool:
    """Whether `value` is an abstract value inside a JAX transformation."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.core.Tracer)


def is_number(name: str, value: Any) -> bool:
    """Whether `value` is a concrete number or array; `TypeError` on text.

    A field of a pytree may also hold a traced value, or an object that stands for one.
    """
    if isinstance(value, str | bytes | complex | list | tuple | dict):
        raise TypeError(f"{name} must be a number or an array, got {value!r}")
    import numpy as np

    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return not is_traced(value)
    return isinstance(value, int | float | np.number | np.ndarray)


def check_real(name: str, value: Any) -> None:
    """Raise `TypeError` unless `value` is a real number, or an array of such."""
    if isinstance(value, int | float):
        return
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        check_array(name, value)
    real = getattr(dtype, "kind", None) in {"f", "i", "u", "b"}
    if not real and getattr(dtype, "name", None) != "bfloat16":
        raise TypeError(f"{name} must be a real number, got {_what(value)}")


def check_single(name: str, value: Any) -> None:
    """Raise unless `value` is one real number, NaN included."""
    check_real(name, value)
    if getattr(value, "shape", ()) != ():
        raise ValueError(f"{name} must be a scalar, got shape {list(value.shape)}")


def check_scalar(name: str, value: Any) -> None:
    """Raise unless `value` is one real number; a concrete one must not be NaN."""
    check_single(name, value)
    if not is_traced(value) and not _all(value, lambda v: v == v):
        raise ValueError(f"{name} must be a number, got {_show(value)}")


def check_above(name: str, value: Any, low: float) -> None:
    """Raise unless every entry of a concrete `value` is > `low`."""
    check_real(name, value)
    if not is_traced(value) and not _all(value, lambda v: v > low):
        raise ValueError(f"{name} must be > {low:g}, got {_show(value)}")


def check_at_least(name: str, value: Any, low: float) -> None:
    """Raise unless every entry of a concrete `value` is >= `low`."""
    check_real(name, value)
    if not is_traced(value) and not _all(value, lambda v: v >= low):
        raise ValueError(f"{name} must be >= {low:g}, got {_show(value)}")


def check_unit_interval(name: str, value: Any) -> None:
    """Raise unless every entry of a concrete `value` is in [0, 1]."""
    check_real(name, value)
    if not is_traced(value) and not _all(value, lambda v: (v >= 0) & (v <= 1)):
        raise ValueError(f"{name} must be in [0, 1], got {_show(value)}")


def check_ordered(low_name: str, low: float, high_name: str, high: float) -> None:
    """Raise unless `low` < `high`, both real numbers."""
    check_single(low_name, low)
    check_single(high_name, high)
    if not low < high:
        raise ValueError(
            f"{low_name} must be < {high_name}, got {low_name}={low!r} and "
            f"{high_name}={high!r}"
        )


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise `ValueError` naming the nearest valid name unless `value` is allowed.

    Of very many names the nearest five stand for all.
    """
    allowed = list(allowed)
    if value in allowed:
        return
    near = difflib.get_close_matches(str(value), allowed, n=5, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    known: object = allowed
    if len(allowed) > MOST_SHOWN:
        shown = near or allowed[:5]
        known = f"{len(allowed)} names, such as {', '.join(map(repr, shown))}"
    raise ValueError(f"{name} must be one of {known}, got {value!r}{hint}")


def check_type(name: str, value: Any, wanted: Any) -> None:
    """Raise `TypeError` unless `value` is a `wanted`, a class or a union of classes."""
    if not isinstance(value, wanted):
        kinds = getattr(wanted, "__args__", None) or (wanted,)
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be a {names}, got {value!r}")


def check_callable(name: str, value: Any) -> None:
    """Raise `TypeError` unless `value` can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def check_whole(name: str, value: Any) -> None:
    """Raise `TypeError` unless `value` is a whole number."""
    wrong = TypeError(f"{name} must be an integer, got {value!r}")
    if isinstance(value, bool):
        raise wrong
    try:
        operator.index(value)
    except TypeError as error:
        raise wrong from error


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Raise unless `value` is a whole number >= `least`, and <= `most`."""
    check_whole(name, value)
    check_at_least(name, value, least)
    if most is not None and value > most:
        raise ValueError(f"{name} must be <= {most}, got {value}")


def check_numbers(name: str, values: Any) -> None:
    """Raise unless `values` is a sequence of real numbers, at least one."""
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(f"{name} must be a sequence of numbers, got {values!r}")
    check_count(f"number of {name}", len(values))
    for value in values:
        check_scalar(f"every one of {name}", value)


def check_lengths(name: str, value: Any) -> None:
    """Raise unless `value` is the shape of an array: a tuple of whole numbers >= 0."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    for length in value:
        check_count(f"every length of {name}", length, 0)


def check_partition(name: str, blocks: Any, n: int) -> None:
    """Raise `ValueError` unless `blocks` hold each of 0 .. n - 1 once."""
    try:
        held = sorted(operator.index(i) for block in blocks for i in block)
    except TypeError:
        held = None
    if held != list(range(n)):
        raise ValueError(f"{name} must hold each of 0 .. {n - 1} once, got {blocks!r}")


def check_key(name: str, key: Any) -> None:
    """Raise `TypeError` unless `key` is one key of `jax.random`."""
    import jax

    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jax.numpy.issubdtype(dtype, jax.dtypes.prng_key)
    old = getattr(dtype, "name", None) == "uint32" and len(shape or ()) == 1
    if not (old or (typed and shape == ())):
        raise TypeError(
            f"{name} must be one typed key, as of jax.random.key, got {_what(key)}"
        )


def check_array(name: str, array: Any) -> None:
    """Raise `TypeError` unless `array` is of NumPy or JAX, and none that JAX lacks.

    Strides and whether it may be written do not matter.
    """
    import numpy as np

    jax = sys.modules.get("jax")
    known = (np.ndarray, np.generic)
    known += (jax.Array, jax.ShapeDtypeStruct) if jax is not None else ()
    if not isinstance(array, known) and not hasattr(array, "__jax_array__"):
        raise TypeError(f"{name} must be an array, got {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be masked: fill or drop what is")
    if array.dtype.kind in "OUSMm" or getattr(array.dtype, "names", None):
        raise TypeError(f"{name} must hold numbers, got {array.dtype}")
    if not getattr(array.dtype, "isnative", True):
        raise TypeError(
            f"{name} must have the byte order of this machine, got {array.dtype.str}: "
            "take x.astype(x.dtype.newbyteorder('='))"
        )
    size: int = array.dtype.itemsize  # type: ignore[assignment]
    if array.dtype in (np.longdouble, np.clongdouble) and size > 8:
        raise TypeError(f"{name} must have at most 64 bits, got {array.dtype}")


def check_integers(name: str, array: Any, shape: tuple[int, ...] | None = None) -> None:
    """Raise unless `array` is one of integers, of that shape (any when None)."""
    check_array(name, array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    if shape is not None:
        check_shape(name, array, shape)


def check_within(name: str, array: Any, count: int, what: str = "") -> None:
    """Raise `ValueError` unless concrete integers are in [0, `count`)."""
    if is_traced(array) or not array.size:
        return
    import numpy as np

    values = np.asarray(array)
    if values.min() < 0 or values.max() >= count:
        raise ValueError(
            f"{name} must be in [0, {count}){what}, got {values.min()} to "
            f"{values.max()}"
        )


def check_shape(name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Raise unless `array` is an array of that shape."""
    check_array(name, array)
    if array.shape != tuple(shape):
        raise ValueError(
            f"{name} must have shape {list(shape)}, got {list(array.shape)}"
        )


def check_float(name: str, array: Any) -> None:
    """Raise `TypeError` unless `array` has a real floating-point dtype."""
    check_array(name, array)
    dtype = array.dtype
    if dtype.kind != "f" and dtype.name != "bfloat16":
        raise TypeError(f"{name} must have a floating-point dtype, got {dtype}")


def check_features(name: str, array: Any, n: int | None = None) -> None:
    """Raise unless `array` is a float array `[..., n]` (any n >= 1 when None)."""
    check_float(name, array)
    if array.ndim < 1 or array.shape[-1] < 1 or n not in (None, array.shape[-1]):
        want = "[..., features]" if n is None else f"[..., {n}]"
        raise ValueError(f"{name} must have shape {want}, got {list(array.shape)}")


def check_rows(name: str, array: Any, rows: int = 1, width: int | None = None) -> None:
    """Raise unless `array` is a float array `[batch, features]`, batch >= rows.

    Of `width` features; any number >= 1 when None.
    """
    check_float(name, array)
    if array.ndim != 2 or array.shape[0] < rows or array.shape[1] < 1:
        raise ValueError(
            f"{name} must have shape [batch >= {rows}, features >= 1], "
            f"got {list(array.shape)}"
        )
    if width is not None:
        check_features(name, array, width)


def check_same_rows(name: str, array: Any, other_name: str, other: Any) -> None:
    """Raise `ValueError` unless both arrays have the same number of rows."""
    if array.shape[0] != other.shape[0]:
        raise ValueError(
            f"{name} and {other_name} must have the same number of rows, got "
            f"{array.shape[0]} and {other.shape[0]}"
        )


def check_same_shape(name: str, array: Any, other_name: str, other: Any) -> None:
    """Raise unless both are float arrays of the same shape."""
    check_float(name, array)
    check_float(other_name, other)
    if array.shape != other.shape:
        raise ValueError(
            f"{name} must have the shape of {other_name} {list(other.shape)}, "
            f"got {list(array.shape)}"
        )


def check_finite(name: str, array: Any) -> None:
    """Raise `ValueError` when a concrete array holds NaN or infinity."""
    if not is_traced(array):
        import numpy as np

        bad = int(np.size(array) - np.isfinite(np.asarray(array, np.float64)).sum())
        if bad:
            raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values")


def check_memory(name: str, value: Any, numbers: int, width: int = 4) -> None:
    """Raise `ValueError` where an array would not fit in memory, before it is made.

    A size that is asked for may end the interpreter: the system grants memory that it
    does not have. Small arrays are not looked at.

    Args:
        name: of the argument that gives the size.
        value: of that argument.
        numbers: in the array.
        width: bytes of one.
    """
    wanted = int(numbers) * width
    if wanted <= SMALL:
        return
    held = free_memory()
    if wanted > held:
        unit = 2**30
        raise ValueError(
            f"{name} must be smaller to fit in memory ({held / unit:.1f} GiB are "
            f"free), got {value}, which takes {wanted / unit:.1f} GiB"
        )


def free_memory() -> int:
    """Bytes that new arrays can take: on this machine, or on the accelerator if more.

    Where the system does not tell, all that the machine has.
    """
    held = 2**63
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path, word in (
        ("/proc/meminfo", "MemAvailable:"),
        ("/sys/fs/cgroup/memory.max", ""),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", ""),
    ):
        try:
            with open(path) as lines:
                found = next(line for line in lines if line.startswith(word))
        except (OSError, StopIteration):
            continue
        number = found[len(word) :].split()[0]
        if number.isdigit():
            held = min(held, int(number) * (1024 if word else 1))
    jax = sys.modules.get("jax")
    if jax is None or jax.default_backend() == "cpu":
        return held
    of_device = jax.local_devices()[0].memory_stats() or {}
    return max(held, of_device.get("bytes_limit", 0))


def printable(text: str) -> str:
    r"""A text that a terminal takes for text: what else it holds stands as escapes.

    Args:
        text: from anywhere, such as a file.

    Returns:
        The same, but for characters that cannot be printed.

    Example:
        >>> printable("a title\x1b]0;mine\x07")
        'a title\\x1b]0;mine\\x07'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _all(value: Any, test: Callable[[Any], Any]) -> bool:
    if type(value).__module__.startswith("jax"):
        import numpy as np  # a traced function may close over a concrete array

        value = np.asarray(value)
    result = test(value)
    return bool(result.all()) if hasattr(result, "all") else bool(result)


def _what(value: Any) -> str:
    """A value that is short, or what an array is."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return repr(value)
    return f"{dtype} of shape {list(getattr(value, 'shape', ()))}"


def _show(value: Any) -> str:
    return repr(value) if isinstance(value, int | float) else str(value)
