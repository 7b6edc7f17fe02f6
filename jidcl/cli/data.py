"""`jidcl data`: describe, check and convert the files of published data sets."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import no_tyro, parse, quiet

ACTIONS = ("describe", "check", "convert", "formats")
_SHOWN, _COLUMNS = 1000, 8  # rows whose range is described; pictures in a row
_EVERY = 10.0  # seconds between two lines of progress


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    from jidcl.checks import check_choice

    if not args or args[0] in ("-h", "--help"):
        print("usage: jidcl data {describe,check,convert} PATH ...\n")
        print(
            "  describe PATH   format, licence, schema, counts, ranges; --sheet F.png"
        )
        print(
            "  check PATH      reads every row; compares with published counts and sums"
        )
        print("  convert PATH    writes npz, h5, parquet or a folder of pictures")
        print("  formats         lists the formats that are known")
        return 0 if args else 2
    action, *rest = args
    check_choice("action", action, ACTIONS)
    if action == "formats":
        return _formats(rest)
    options = parse(_options(action), rest, f"data {action}")
    quiet()
    from jidcl.data.dataset import open_data

    data = open_data(options.path, format=options.format, size=options.size)
    return {"describe": _describe, "check": _check, "convert": _convert}[action](
        data, options
    )


def _options(action: str) -> Any:
    """The dataclass of an action's options."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Common:
        path: Positional[Path]
        """a file or a folder"""
        format: str | None = None
        """a name that `jidcl data formats` lists; recognised when left out"""
        size: int | None = None
        """rows and columns of a picture, where pictures are single files"""

    @dataclasses.dataclass(frozen=True)
    class Describe(Common):
        """Show format, licence, columns, counts, and ranges of the first rows."""

        sheet: Path | None = None
        """a PNG to write: pictures at even distances"""
        count: int = 32
        """pictures of the sheet"""

    @dataclasses.dataclass(frozen=True)
    class Check(Common):
        """Read every row; compare counts and MD5 sums with the published ones.

        The exit code is 1 where something is not as published.
        """

    @dataclasses.dataclass(frozen=True)
    class Convert(Common):
        """Write the set in another format: whole, or not at all."""

        out: Path = Path()
        """what is written; it must not exist"""
        to: str = "npz"
        """npz, h5, parquet (a folder of a file a part), folder (of pictures)"""
        parts: tuple[str, ...] = ()
        """parts, such as train; all when left out"""
        rows: int | None = None
        """the first so many of each part; all when left out"""

    return {"describe": Describe, "check": Check, "convert": Convert}[action]


def _formats(rest: list[str]) -> int:
    from jidcl.cli.arguments import nothing_after

    nothing_after(rest)
    quiet()
    from jidcl.data.formats import FORMATS

    for held in FORMATS:
        print(f"{held.name:<16} {held.title}: {held.layout}")
    return 0


def _describe(data: Any, options: Any) -> int:
    from jidcl.checks import check_at_least
    from jidcl.data.dataset import column_range, licence_beside

    check_at_least("count", options.count, 1)
    print(f"format     {data.format.name}: {data.format.title}")
    print(f"licence    {data.format.licence}")
    beside = licence_beside(data.path)
    if beside:
        print(f"beside it  {beside}")
    for part, columns in data.parts.items():
        known = data.format.rows.get(part)
        print(f"part {part}" + (f" (published: {known:,} rows)" if known else ""))
        for name, column in columns.items():
            held = column_range(column.first(_SHOWN))
            text = "no numbers" if held is None else f"{held.low:g} .. {held.high:g}"
            first = f" (first {_SHOWN:,} rows)" if len(column) > _SHOWN else ""
            print(f"  {name:<12} {column.dtype} {list(column.shape)}  {text}{first}")
    if options.sheet is not None:
        print(f"sheet      {_sheet(data, options)}")
    return 0


def _sheet(data: Any, options: Any) -> Path:
    """Pictures at even distances, a part below the other."""
    import numpy as np

    from jidcl.data.convert import as_pictures, pictures_of
    from jidcl.files import write_whole
    from jidcl.report.plots import plot_pictures

    rows, labels = [], []
    for part, columns in data.parts.items():
        found = pictures_of(columns)
        if found is None or not len(columns[found[0]]):
            continue
        scale, column = found[1], columns[found[0]]
        count = min(options.count, len(column))
        places = np.linspace(0, len(column) - 1, count).astype(int)
        with column.opened() as read:
            shown = np.concatenate([read(k, k + 1) for k in places])
        pictures = as_pictures(shown, scale=scale) / 255
        cut = [pictures[k : k + _COLUMNS] for k in range(0, count, _COLUMNS)]
        rows += cut
        labels += [part] + [""] * (len(cut) - 1)
    if not rows:
        raise ValueError(f"{data.path} must have pictures for a sheet")
    if options.sheet.suffix != ".png":
        raise ValueError(f"sheet must end in .png, got {options.sheet.name!r}")

    def draw(part: Path) -> None:
        plot_pictures(rows, labels, part)

    write_whole(options.sheet, draw)
    return options.sheet


def _check(data: Any, options: Any) -> int:
    from jidcl.data.dataset import check_data

    fine = True
    print(f"format     {data.format.name}: {data.format.title}")
    for finding in check_data(data):
        fine = fine and finding.fine
        print(f"{'ok' if finding.fine else 'other':<10} {finding.text}", flush=True)
    print("every row was read" + ("" if fine else "; not all is as published"))
    return 0 if fine else 1


def _convert(data: Any, options: Any) -> int:
    from jidcl.data.convert import chosen_parts, convert_data

    if options.out == Path():
        raise ValueError("out must be named: --out NAME")
    parts = chosen_parts(data, options.parts, options.rows)
    total = sum(len(c) for columns in parts.values() for c in columns.values())
    started = printed = time.monotonic()

    def told(done: int) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed > _EVERY:
            printed = now
            left = (now - started) * (total - done) / max(done, 1)
            print(f"  {done:,}/{total:,} rows, about {left:.0f} s left", flush=True)

    out = convert_data(
        data,
        options.out,
        to=options.to,
        parts=options.parts,
        rows=options.rows,
        told=told,
    )
    print(f"{out}: {total:,} rows of all columns")
    return 0
