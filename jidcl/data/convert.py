"""Data sets in other file formats: npz, HDF5, Parquet, folders of pictures.

A few thousand rows are held at once. What is written appears whole or not at all, and
nothing that exists is written over. Where the set is from, and its licence, go along.
"""

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.checks import check_at_least, check_choice
from jidcl.data.columns import Column, Parts, import_h5py
from jidcl.data.dataset import DataSet, column_range, licence_beside, rows_at_once
from jidcl.files import check_new, to_json, write_folder_whole, write_text, write_whole

KINDS = {"npz": ".npz", "h5": ".h5", "parquet": "", "folder": ""}
PICTURES = ("images", "masks")  # columns that are pictures

Told = Callable[[int], None]


def convert_data(
    data: DataSet,
    out: str | Path,
    *,
    to: str,
    parts: tuple[str, ...] = (),
    rows: int | None = None,
    told: Told = lambda done: None,
) -> Path:
    """Write a data set in another format.

    | to | what is written |
    |---|---|
    | npz | a file of arrays `PART_COLUMN`; read back as format `npz` |
    | h5 | a file of data sets `PART_COLUMN`; read back as format `h5` |
    | parquet | a folder of `PART.parquet`; rows of arrays are lists of fixed length |
    | folder | `PART/CLASS/000000.png`, or `PART/images/` without labels; the other
      columns as `PART/NAME.npy` |

    Args:
        data: an open set.
        out: what is written; it must not exist. Files end in `.npz` or `.h5`.
        to: npz, h5, parquet or folder.
        parts: of these alone; none named: of all.
        rows: the first so many of each part; None: all.
        told: called with the number of rows of all columns that are written.

    Returns:
        `out`.

    Raises:
        ValueError: on another kind or part, a name that exists or ends otherwise, or
            columns that the kind cannot hold; nothing is written.
        ImportError: without h5py, pyarrow or Pillow, where they are needed.
        OSError: when the disk is full or may not be written; nothing is left.
    """
    check_choice("to", to, KINDS)
    chosen = chosen_parts(data, parts, rows)
    out = Path(out)
    if KINDS[to] and out.suffix != KINDS[to]:
        raise ValueError(f"out must end in {KINDS[to]}, got {out.name!r}")
    check_new(out)
    beside = licence_beside(data.path)
    about = {"source": data.path.name, "format": data.format.name}
    about["licence"] = beside or data.format.licence
    write = {"npz": _npz, "h5": _h5, "parquet": _parquet, "folder": _folder}[to]
    whole = write_whole if KINDS[to] else write_folder_whole
    whole(out, lambda part: write(chosen, part, about, told))
    return out


def chosen_parts(data: DataSet, parts: tuple[str, ...], rows: int | None) -> Parts:
    """Some parts of a set, the first rows of each.

    Args:
        data: an open set.
        parts: their names; none: all.
        rows: the first so many; None: all.

    Returns:
        The columns.

    Raises:
        ValueError: on another part, or rows < 1.
    """
    for part in parts:
        check_choice("part", part, data.parts)
    if rows is not None:
        check_at_least("rows", rows, 1)
    return {
        part: {
            name: column if rows is None else column.first(rows)
            for name, column in columns.items()
        }
        for part, columns in data.parts.items()
        if part in (parts or data.parts)
    }


def as_pictures(rows: np.ndarray, *, scale: int = 1) -> np.ndarray:
    """Rows of pictures in one form.

    Args:
        rows: bytes `[rows, height, width]`, `[rows, height, width, 1 or 3]`, or pairs
            `[rows, 2, height, width]`, which are put side by side.
        scale: what levels are multiplied with: 255 where they are 0 and 1.

    Returns:
        uint8 `[rows, height, width, 1 or 3]`.

    Raises:
        ValueError: on another shape or dtype.
    """
    if rows.ndim == 4 and rows.shape[1] == 2 and rows.shape[3] not in (1, 3):
        rows = np.concatenate([rows[:, 0], rows[:, 1]], axis=2)
    rows = rows[..., None] if rows.ndim == 3 else rows
    if rows.dtype != np.uint8 or rows.ndim != 4 or rows.shape[3] not in (1, 3):
        raise ValueError(
            f"pictures must be bytes [rows, height, width, 1 or 3], got {rows.dtype} "
            f"{list(rows.shape)}"
        )
    return rows * np.uint8(scale)


def pictures_of(columns: dict[str, Column]) -> tuple[str, int] | None:
    """The column of pictures of a part, and the scale of its levels.

    Args:
        columns: of a part.

    Returns:
        Its name, and 255 where its first rows are 0 and 1, else 1; None where there is
        none.
    """
    for name in PICTURES:
        column = columns.get(name)
        if column is not None and column.dtype == np.uint8 and len(column.shape) > 2:
            held = column_range(column.first(256))
            return name, 255 if held is not None and held.high <= 1 else 1
    return None


def _each(parts: Parts, told: Told) -> Iterator[tuple[str, Column, Iterator]]:
    """Name, column and chunks of every column; counts rows as they are taken."""
    done = 0

    def chunks(column: Column) -> Iterator[np.ndarray]:
        nonlocal done
        for chunk in column.chunks(rows_at_once(column)):
            yield chunk
            done += len(chunk)
            told(done)

    for part, columns in parts.items():
        for name, column in columns.items():
            yield f"{part}_{name}", column, chunks(column)


def _npz(parts: Parts, path: Path, about: dict, told: Told) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.comment = to_json(about).encode()[:60_000]
        for name, column, chunks in _each(parts, told):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {
                    "descr": np.lib.format.dtype_to_descr(column.dtype),
                    "fortran_order": False,
                    "shape": column.shape,
                }
                np.lib.format.write_array_header_2_0(file, header)
                for chunk in chunks:
                    file.write(np.ascontiguousarray(chunk).tobytes())


def _h5(parts: Parts, path: Path, about: dict, told: Told) -> None:
    with import_h5py(path.name).File(path, "w") as file:
        file.attrs.update(about)
        for name, column, chunks in _each(parts, told):
            text = column.dtype.kind == "U"
            dtype = f"S{column.dtype.itemsize or 1}" if text else column.dtype
            made = file.create_dataset(name, shape=column.shape, dtype=dtype)
            start = 0
            for chunk in chunks:
                held = np.char.encode(chunk, "utf-8") if text else chunk
                made[start : start + len(chunk)] = held
                start += len(chunk)


def _parquet(parts: Parts, path: Path, about: dict, told: Told) -> None:
    try:
        import pyarrow as pa  # type: ignore
        import pyarrow.parquet as pq  # type: ignore
    except ImportError as error:
        raise ImportError(
            "Parquet needs pyarrow: pip install 'jidcl[parquet]'"
        ) from error

    def values(rows: np.ndarray) -> Any:
        if rows.dtype.kind in "US":
            return pa.array(rows.tolist(), pa.string())
        flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
        wide = int(np.prod(rows.shape[1:]))
        return flat if rows.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, wide)

    done = 0
    for part, columns in parts.items():
        with contextlib.ExitStack() as stack:
            count = _rows_alike(part, columns)
            step = min((rows_at_once(c) for c in columns.values()), default=1)
            read = {n: stack.enter_context(c.opened()) for n, c in columns.items()}
            shapes = {name: column.shape[1:] for name, column in columns.items()}
            writer = None
            for start in range(0, max(count, 1), step):
                stop = min(start + step, count)
                table = pa.table(
                    {n: values(rows(start, stop)) for n, rows in read.items()}
                )
                note = {"shapes": to_json(shapes), "about": to_json(about)}
                table = table.replace_schema_metadata(note)
                if writer is None:
                    made = pq.ParquetWriter(path / f"{part}.parquet", table.schema)
                    writer = stack.enter_context(made)
                writer.write_table(table)
                done += (stop - start) * len(columns)
                told(done)


def _folder(parts: Parts, path: Path, about: dict, told: Told) -> None:
    from PIL import Image

    done = 0
    for part, columns in parts.items():
        found = pictures_of(columns)
        if found is None:
            raise ValueError(f"{part} must have pictures, got columns {list(columns)}")
        (name, scale), count = found, _rows_alike(part, columns)
        classes = columns.get("labels")
        labels = None if classes is None else classes.read()
        width = len(str(labels.max())) if labels is not None and count else 1
        digits, row = max(1, len(str(count - 1))), 0
        for chunk in columns[name].chunks(rows_at_once(columns[name])):
            for picture in as_pictures(chunk, scale=scale):
                under = "images" if labels is None else f"{labels[row]:0{width}d}"
                file = path / part / under / f"{row:0{digits}d}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                held = picture[..., 0] if picture.shape[-1] == 1 else picture
                Image.fromarray(held).save(file)
                row += 1
            done += len(chunk)
            told(done)
        for other in set(columns) - {name, "labels"}:
            # Latents of 3DIdent keep their name, so that the layout is its own.
            stem = "raw_latents" if (other, about["format"]) == _OF_3DIDENT else other
            with (path / part / f"{stem}.npy").open("wb") as file:
                np.save(file, columns[other].read(), allow_pickle=False)
    write_text(path / "about.json", to_json(about, indent=1) + "\n")


_OF_3DIDENT = ("latents", "3dident")


def _rows_alike(part: str, columns: dict[str, Column]) -> int:
    """How many rows the columns of a part have, which must be one number."""
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"columns of {part} must have equally many rows, got {counts}")
    return next(iter(counts.values()))
