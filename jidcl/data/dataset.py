"""A file or folder of a known format: opened, described, checked.

Example:
    A folder of CIFAR-10, MNIST, ... (`jidcl.data.formats.FORMATS`):

        data = open_data("cifar-10-batches-py")
        data.parts["train"]["images"].read(0, 10)
"""

import dataclasses
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jidcl.checks import check_choice
from jidcl.data.columns import MOST_FILE, Column, Parts
from jidcl.data.formats import FORMATS, Format
from jidcl.files import check_regular, in_short, read_bytes

CHUNK_BYTES = 1 << 25  # of rows that are read at once
MOST_NOTE = 1 << 20  # bytes of a file of provenance that is quoted


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A path, its format, and its columns.

    Attributes:
        path: a file or a folder.
        format: of `jidcl.data.formats.FORMATS`.
        parts: `{part: {column: Column}}`.
    """

    path: Path
    format: Format
    parts: Parts


class Finding(NamedTuple):
    """One thing that `check_data` looked at.

    Attributes:
        fine: whether it is as published, or nothing is published.
        text: what was found.
    """

    fine: bool
    text: str


class Range(NamedTuple):
    """The range of a column's numbers.

    Attributes:
        low: the least, NaN where there are none.
        high: the greatest.
        not_finite: how many are NaN or infinite.
    """

    low: float
    high: float
    not_finite: int


def open_data(
    path: str | Path, *, format: str | None = None, size: int | None = None
) -> DataSet:
    """The columns of a file or folder of a known format.

    Args:
        path: the file or folder.
        format: a name of `FORMATS`; None: the first that recognises the path.
        size: rows and columns that pictures are brought to, where the format has them
            as single files.

    Returns:
        The set; pictures in large files and in folders are read when they are asked
        for.

    Raises:
        FileNotFoundError: when there is none, or a file of the format is missing.
        ValueError: on a path that is neither file nor folder, or of no known format;
            naming the file that is not what its format says.
        ImportError: where the format needs a package that is not installed.
    """
    path = Path(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a loop of links, a name with a zero byte
        raise ValueError(f"{path} cannot be opened: {in_short(error)}") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} must be a file or a folder")
    known = {held.name: held for held in FORMATS}
    if format is None:
        seen = [held for held in FORMATS if held.recognise(path)]
        if not seen:
            raise ValueError(f"{path} is of no known format: {', '.join(known)}")
        found = seen[0]
    else:
        check_choice("format", format, known)
        found = known[format]
    kind = found.layout.partition(" ")[0]
    if kind != "either" and path.is_dir() != (kind == "folder"):
        raise ValueError(f"{path} must be of format {found.name}: {found.layout}")
    if size is not None and not found.sized:
        raise ValueError(
            f"size must be left out: {found.name} has pictures of one size"
        )
    parts = found.read(path, size) if found.sized else found.read(path)
    return DataSet(path, found, parts)


def rows_at_once(column: Column) -> int:
    """How many rows of a column are read at once.

    Args:
        column: any.

    Returns:
        At least 1.
    """
    row = column.dtype.itemsize * int(np.prod(column.shape[1:], dtype=np.int64))
    return max(1, CHUNK_BYTES // max(1, row))


def column_range(column: Column) -> Range | None:
    """The range of a column, read in chunks.

    Args:
        column: any.

    Returns:
        The range; None where the column holds texts.
    """
    if column.dtype.kind not in "biuf":
        return None
    low, high, odd = np.inf, -np.inf, 0
    for chunk in column.chunks(rows_at_once(column)):
        finite = np.isfinite(chunk) if column.dtype.kind == "f" else None
        if finite is not None and not finite.all():
            odd += int((~finite).sum())
            chunk = chunk[finite]
        if chunk.size:
            low, high = min(low, chunk.min()), max(high, chunk.max())
    if low > high:
        return Range(float("nan"), float("nan"), odd)
    return Range(float(low), float(high), odd)


def licence_beside(path: Path) -> str | None:
    """What a file of provenance or licence in a set's folder says of its licence.

    Args:
        path: the set: a folder, or a file in one.

    Returns:
        The name of the file and its paragraph on the licence, control characters left
        out; None where there is none.
    """
    folder = path if path.is_dir() else path.parent
    for name in ("PROVENANCE.md", "LICENSE", "LICENSE.md", "LICENSE.txt"):
        try:
            content = read_bytes(folder / name, MOST_NOTE)
        except (OSError, ValueError):
            continue
        text = content.decode("utf-8", "replace")
        found = re.search(r"^\W*licen[cs]e.*?(?=\n\s*\n|\Z)", text, re.I | re.M | re.S)
        said = found[0] if found else text[:400]
        kept = "".join(c if c.isprintable() else " " for c in said)
        return f"{name}: {' '.join(kept.replace('**', '').split())}"[:1200]
    return None


def check_data(data: DataSet) -> Iterator[Finding]:
    """Read every row, and compare counts and sums with the published ones.

    Args:
        data: an open set.

    Yields:
        A finding for each column, each published count, and each file with a published
        sum.

    Raises:
        ValueError: naming the file that is damaged.
    """
    for part, columns in data.parts.items():
        for name, column in columns.items():
            held = column_range(column)
            if held is None:
                for _ in column.chunks(rows_at_once(column)):
                    pass
                yield Finding(True, f"{part} {name}: {len(column)} texts")
                continue
            text = f"{part} {name}: {held.low:g} .. {held.high:g}"
            text += f", {held.not_finite} not finite" if held.not_finite else ""
            yield Finding(not held.not_finite, text)
    for part, rows in data.format.rows.items():
        got = max(map(len, data.parts.get(part, {}).values()), default=0)
        same = "as published" if got == rows else f"published: {rows}"
        yield Finding(got == rows, f"{part}: {got} rows, {same}")
    yield from _check_sums(data)


def _check_sums(data: DataSet) -> Iterator[Finding]:
    sets = {}
    for name, known in data.format.hashes.items():
        path = data.path / name
        if not path.is_file():
            continue
        check_regular(path, MOST_FILE)
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        found = known.get(md5.hexdigest())
        text = (
            f"is the published file of {found}"
            if found
            else "is not the published file"
        )
        yield Finding(found is not None, f"{name}: {text} (MD5 {md5.hexdigest()})")
        if found:
            sets[found] = name
    if len(sets) > 1:
        mixed = ", ".join(f"{file} of {name}" for name, file in sets.items())
        yield Finding(False, f"files of several sets: {mixed}")
