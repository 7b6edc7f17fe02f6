"""`jidcl compare`: how alike representations of the same rows are, with chance."""

import dataclasses
import sys
from pathlib import Path

from jidcl.cli.arguments import no_tyro, parse, quiet
from jidcl.cli.score import load_rows

WRITERS = {
    ".json": "similarity_json",
    ".html": "similarity_html",
    ".txt": "similarity_text",
}


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Compare:
        """Compare representations of the same rows: seeds, runs or methods.

        Of each pair: how far they agree up to order, sign and scale of their columns
        (held-out MCC), and up to linear maps (held-out R2), each with its chance.
        """

        files: Positional[tuple[Path, ...]]
        """two or more .npy files, `[rows, codes]` each"""
        out: tuple[Path, ...] = ()
        """files to write as well: .json, .html (heat maps) or .txt"""
        spearman: bool = False
        """match by ranks: up to monotone maps of columns"""
        permutations: int = 99
        """of rows, for chance and p-values"""
        seed: int = 0
        """of folds and permutations"""

    options = parse(Compare, args, "compare")
    from jidcl.checks import check_choice

    if len(options.files) < 2:
        raise ValueError(f"files must be two or more, got {len(options.files)}")
    for path in options.out:
        check_choice(f"ending of {path}", path.suffix, WRITERS)
    held = [load_rows(path) for path in options.files]
    for path, rows in zip(options.files[1:], held[1:], strict=True):
        if rows.shape[:1] != held[0].shape[:1]:
            raise ValueError(
                f"{path} must have the {held[0].shape[:1]} rows of {options.files[0]}, "
                f"got {rows.shape[:1]}"
            )
    quiet()
    import numpy as np

    from jidcl.files import write_text
    from jidcl.metrics import compare
    from jidcl.report import scores

    rows = [np.asarray(x) for x in held]
    pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
    found = {
        (i, j): compare(
            rows[i],
            rows[j],
            spearman=options.spearman,
            permutations=options.permutations,
            seed=options.seed,
        )
        for i, j in pairs
    }
    names = [path.stem for path in options.files]
    if len(set(names)) < len(names):
        names = [str(path) for path in options.files]
    print(scores.similarity_text(names, found))
    for path in options.out:
        write_text(path, getattr(scores, WRITERS[path.suffix])(names, found))
        print(f"wrote {path}", file=sys.stderr)
    return 0
