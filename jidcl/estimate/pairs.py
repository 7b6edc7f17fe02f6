"""Pairs of observations as they come: arrays, files, batches; checked and split.

Nothing here holds more than a block of a file in memory. Held-out pairs are whole
blocks of neighbouring rows, so that the frames of one moment do not lie on both sides.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_array
from jidcl.data.columns import MOST_FILE, Column, Rows, in_memory, npz_columns
from jidcl.files import check_regular, in_short

LEAST = 10  # pairs
BLOCKS = 50  # at least, of which some are held out
BLOCK_ROWS = 4096  # at most, of a block
MOST_HELD = 20_000  # pairs of each held-out part
MOST_BUFFER = 1 << 26  # bytes of training pairs that lie in memory at once


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Two columns of equal shape; row i of one belongs to row i of the other.

    Attributes:
        x: anchors, `[rows, features]`.
        x_pos: their positives.
    """

    x: Column
    x_pos: Column

    @property
    def rows(self) -> int:
        """How many pairs."""
        return len(self.x)

    @property
    def width(self) -> int:
        """How many features."""
        return self.x.shape[1]

    def read(self, start: int, stop: int) -> np.ndarray:
        """Pairs `start` to `stop` as they are, `[2, rows, features]`."""
        return np.stack([part.read(start, stop) for part in (self.x, self.x_pos)])


@dataclasses.dataclass(frozen=True)
class Split:
    """Which blocks of rows are for what.

    Attributes:
        train: `(start, stop)` of each block to train on.
        stop: of those that end the training.
        test: of those that are judged on.
    """

    train: tuple[tuple[int, int], ...]
    stop: tuple[tuple[int, int], ...]
    test: tuple[tuple[int, int], ...]


def open_pairs(x: Any, x_pos: Any = None) -> Pairs:
    """Pairs from arrays, `.npy` files, an `.npz` file or batches.

    Args:
        x: `[rows, features]`, an array (memory-mapped ones are read in blocks) or the
            path of a `.npy` file; with `x_pos=None` the path of an `.npz` file of `x`
            and `x_pos`, or an iterable of batches `(x, x_pos)`.
        x_pos: of the same shape.

    Returns:
        The pairs, shapes and types checked. Batches lie in a temporary file.

    Raises:
        TypeError: on what holds no real numbers.
        ValueError: on shapes that differ, too few rows, or fewer rows than features.
    """
    if x_pos is None:
        x, x_pos = _both(x)
    columns = [_column(name, part) for name, part in (("x", x), ("x_pos", x_pos))]
    if columns[0].shape != columns[1].shape:
        first, second = (list(column.shape) for column in columns)
        raise ValueError(
            f"x_pos must have the shape of x {first}, a positive for each row, got "
            f"{second}"
        )
    rows, width = columns[0].shape
    least = max(LEAST, width + 1)
    if rows < least:
        raise ValueError(
            f"x must have at least {least} rows ({LEAST}, and more than its {width} "
            f"features), got n_samples = {rows}: take more pairs, or fewer features"
        )
    return Pairs(*columns)


def split_rows(rows: int, held_out: float, seed: int) -> Split:
    """Blocks of neighbouring rows to train on, to stop by and to judge on.

    Args:
        rows: in all.
        held_out: share of rows that is not trained on; a third of it stops training.
        seed: which blocks these are.

    Returns:
        The split; every part has a row at least.
    """
    count = min(rows, max(BLOCKS, -(-rows // BLOCK_ROWS)))
    edges = np.linspace(0, rows, count + 1).astype(np.int64).tolist()
    blocks = list(zip(edges[:-1], edges[1:], strict=True))
    order = np.random.default_rng(seed).permutation(count)
    held = max(6, round(held_out * count))
    to_stop = max(4, round(held / 3))
    parts = order[:to_stop], order[to_stop:held], order[held:]
    stop, test, train = (tuple(blocks[i] for i in sorted(part)) for part in parts)
    return Split(train, stop, test)


def moments(
    pairs: Pairs, blocks: Iterable[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over anchors and positives.

    Args:
        pairs: the pairs.
        blocks: rows that count; NaN or infinite numbers in them are refused.

    Returns:
        `(mean, scale)`, float64 `[features]`; the scale of a constant feature is 1.

    Raises:
        ValueError: where a number is not finite, every feature is constant, or all
            partners are equal.
    """
    count, mean, square = 0, np.zeros(pairs.width), np.zeros(pairs.width)
    largest, same = np.zeros(pairs.width), True
    for start, stop in blocks:
        both = _read_finite(pairs, start, stop)
        same = same and np.array_equal(*both)
        for part in both:
            wide = np.asarray(part, np.float64)
            own, rows = wide.mean(axis=0), len(wide)
            square += ((wide - own) ** 2).sum(axis=0)
            square += (own - mean) ** 2 * count * rows / (count + rows)
            mean, count = mean + (own - mean) * rows / (count + rows), count + rows
            largest = np.maximum(largest, np.abs(wide).max(axis=0))
    scale = np.sqrt(square / count)
    constant = scale <= 1e-7 * largest
    if constant.all():
        raise ValueError("x must vary, got constant features only")
    if same:
        raise ValueError("x_pos must differ from x, got the same numbers in both")
    return mean, np.where(constant, 1.0, scale)


def standardised(part: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(x - mean) / scale in float32, computed in float64."""
    return ((np.asarray(part, np.float64) - mean) / scale).astype(np.float32)


def read_blocks(
    pairs: Pairs,
    blocks: Iterable[tuple[int, int]],
    mean: np.ndarray,
    scale: np.ndarray,
    most: int = MOST_HELD,
) -> np.ndarray:
    """The standardised pairs of some blocks, `[2, rows <= most, features]`."""
    held, rows = [], 0
    for start, stop in blocks:
        part = _read_finite(pairs, start, min(stop, start + most - rows))
        held.append(standardised(part, mean, scale))
        rows += part.shape[1]
        if rows >= most:
            break
    return np.concatenate(held, axis=1)


def buffers(
    pairs: Pairs,
    blocks: tuple[tuple[int, int], ...],
    mean: np.ndarray,
    scale: np.ndarray,
    seed: int,
) -> Iterator[np.ndarray]:
    """Training pairs that fit in memory, again and again, `[2, rows, features]`.

    All pairs, always the same array, where `MOST_BUFFER` allows; else blocks in a
    random order, so that every pair has come before one comes again, and always as
    many rows.
    """
    rows = sum(stop - start for start, stop in blocks)
    most = MOST_BUFFER // (8 * pairs.width)
    if rows <= most:
        held = read_blocks(pairs, blocks, mean, scale, rows)
        while True:
            yield held
    rng, queue = np.random.default_rng(seed), []
    smallest = min(stop - start for start, stop in blocks)
    per_buffer = max(1, most // (smallest + 1))
    while True:
        while len(queue) < per_buffer:
            queue += rng.permutation(len(blocks)).tolist()
        chosen, queue = queue[:per_buffer], queue[per_buffer:]
        places = [(blocks[i][0], blocks[i][0] + smallest) for i in chosen]
        yield read_blocks(pairs, places, mean, scale, per_buffer * smallest)


def rows_of(name: str, x: Any, width: int | None = None) -> np.ndarray:
    """An array `[rows, features]` in memory, refused by name where it is none.

    Args:
        name: of the argument.
        x: an array, or a list of rows.
        width: features that it must have; any number when None.

    Returns:
        The array; memory-mapped ones are not read.

    Raises:
        TypeError: on what holds no real numbers, sparse matrices among them.
        ValueError: on another shape.
    """
    if hasattr(x, "toarray"):
        raise TypeError(f"{name} must be dense, got a sparse matrix: take x.toarray()")
    held = x if isinstance(x, np.ndarray) else np.asarray(x)
    if held.dtype.kind == "c":
        raise ValueError(f"{name} must be real. Complex data not supported")
    if held.dtype.kind in "iub":
        held = held.astype(np.float64) if not isinstance(x, np.memmap) else held
    check_array(name, held)
    if held.ndim != 2:
        raise ValueError(
            f"{name} must have shape [rows, features], got {list(held.shape)}. Reshape "
            "your data"
        )
    if 0 in held.shape:
        what = "sample" if held.shape[0] == 0 else "feature"
        raise ValueError(
            f"{name} must not be empty: 0 {what}(s) (shape={held.shape}) while a "
            "minimum of 1 is required."
        )
    if width is not None:
        check_width(name, held.shape[1], width)
    return held


def check_width(name: str, got: int, width: int) -> None:
    """Raise `ValueError` unless rows have the features that were fitted."""
    if got != width:
        raise ValueError(
            f"{name} must have {width} features: X has {got} features, but "
            f"ContrastiveEncoder is expecting {width} features as input"
        )


def _read_finite(pairs: Pairs, start: int, stop: int) -> np.ndarray:
    """`pairs.read`, refused where a number is not finite."""
    both = pairs.read(start, stop)
    for name, part in zip(("x", "x_pos"), both, strict=True):
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise ValueError(f"{name} must be finite, got NaN or infinity in row {row}")
    return both


def _column(name: str, part: Any) -> Column:
    """A column of an array, or of the array that a `.npy` file holds."""
    if not isinstance(part, str | Path):
        return in_memory(rows_of(name, part))
    path = Path(part)
    check_regular(path, MOST_FILE)
    try:  # of this format alone: `np.load` would open an archive of another name
        held = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{part} must be a .npy file of numbers: {in_short(error)}"
        ) from error

    @contextlib.contextmanager
    def opened() -> Iterator[Rows]:
        # Mapped anew each time: pages that were read do not stay with the process.
        again = np.lib.format.open_memmap(path, mode="r")
        yield lambda start, stop: np.array(again[start:stop])

    held = rows_of(name, held)
    return Column(held.dtype, held.shape, opened)


def _both(x: Any) -> tuple[Any, Any]:
    """x and x_pos of one file or of batches."""
    if isinstance(x, str | Path):
        if Path(x).suffix == ".npy":
            raise ValueError(f"x_pos must be given with {x}, another .npy file")
        columns = npz_columns(Path(x))
        if not {"x", "x_pos"} <= set(columns):
            raise ValueError(
                f"{x} must hold x and x_pos, arrays of numbers, got {sorted(columns)}"
            )
        return columns["x"].read(), columns["x_pos"].read()  # it may be packed
    if isinstance(x, np.ndarray) or not isinstance(x, Iterable):
        raise ValueError(
            "x_pos must be given with an array: requires y to be passed, but the "
            "target y is None"
        )
    return _spooled(x)


def _spooled(batches: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Batches as memory-mapped arrays, whose folder goes when they do."""
    folder = Path(tempfile.mkdtemp(prefix="jidcl-pairs-"))
    try:
        return _mapped(batches, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _mapped(batches: Iterable[Any], folder: Path) -> tuple[np.ndarray, np.ndarray]:
    paths = [folder / name for name in ("x", "x_pos")]
    rows, width = 0, None
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for number, batch in enumerate(batches):
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise ValueError(
                    f"batch {number} must be (x, x_pos), got {type(batch).__name__}"
                )
            names = f"x of batch {number}", f"x_pos of batch {number}"
            first = rows_of(names[0], batch[0], width)
            second = rows_of(names[1], batch[1], first.shape[1])
            if len(first) != len(second):
                raise ValueError(
                    f"batch {number} must hold as many x as x_pos, got {len(first)} "
                    f"and {len(second)}"
                )
            for file, part in zip(files, (first, second), strict=True):
                file.write(np.ascontiguousarray(part, np.float32).tobytes())
            rows, width = rows + len(first), first.shape[1]
    if width is None:
        raise ValueError("x must hold a batch (x, x_pos) at least, got none")
    x, x_pos = (np.memmap(p, np.float32, "r", shape=(rows, width)) for p in paths)
    weakref.finalize(x, shutil.rmtree, folder, ignore_errors=True)
    return x, x_pos
