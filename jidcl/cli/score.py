"""`jidcl score`: every score of a representation, with chance, p-value and notes."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import no_tyro, parse, quiet

WRITERS = {
    ".json": "score_json",
    ".csv": "score_csv",
    ".html": "score_html",
    ".txt": "score_text",
}


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Score:
        """Score a representation of known factors.

        Every score stands beside its 95 % interval, what chance reaches, its p-value,
        and what in the data speaks against it. Larger is better.
        """

        z: Positional[Path]
        """a .npy file of the true factors, `[rows, factors]`"""
        y: Positional[Path]
        """a .npy file of the representation of the same rows, `[rows, codes]`"""
        out: tuple[Path, ...] = ()
        """files to write as well: .json, .csv, .html (with pictures) or .txt"""
        permutations: int = 99
        """of rows, for chance and p-values"""
        most_rows: int = 4000
        """a random choice of so many rows stands for more"""
        seed: int = 0
        """of folds and permutations"""

    options = parse(Score, args, "score")
    from jidcl.checks import check_choice

    for path in options.out:
        check_choice(f"ending of {path}", path.suffix, WRITERS)
    z, y = load_rows(options.z), load_rows(options.y)
    quiet()
    from jidcl.metrics import report

    found = report(
        z,
        y,
        permutations=options.permutations,
        most_rows=options.most_rows,
        seed=options.seed,
    )
    from jidcl.files import write_text
    from jidcl.report import scores

    print(scores.score_text(found))
    for path in options.out:
        more = (f"{options.y.name} against {options.z.name}",)
        own = more if path.suffix == ".html" else ()
        write_text(path, getattr(scores, WRITERS[path.suffix])(found, *own))
        print(f"wrote {path}", file=sys.stderr)
    return 0


def load_rows(path: Path) -> Any:
    """An array of numbers of a .npy file, mapped and not read."""
    import numpy as np

    from jidcl.files import MOST_ARRAYS, check_regular

    check_regular(path, MOST_ARRAYS)
    if path.suffix != ".npy":
        raise ValueError(f"{path} must be a .npy file")
    try:
        # Of this format alone: `np.load` would open an archive of another name.
        held = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path} must hold an array of numbers, not of objects: {error}"
        ) from error
    if held.dtype.kind not in "fiub":
        raise ValueError(f"{path} must hold real numbers, got {held.dtype}")
    return held
