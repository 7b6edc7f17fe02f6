"""`jidcl audit`: the judge is judged."""

import dataclasses
import time
from pathlib import Path

from jidcl.cli.arguments import no_tyro, parse, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Audit:
        """Judge the judge: words on representations whose truth is planted.

        Permutations, rotations, folds, lost latents, noise, thousands of outputs and
        more are scored as a run is, nothing is trained, and the words are compared
        with the truth. Exit code 1 beyond 1 percent of false "identified" or 5 percent
        of missed ones.
        """

        what: Positional[str] = "verdict"
        """what to audit: verdict, the words"""
        count: int = 10_000
        """planted representations; 10,000 take some 17 minutes of one core"""
        seed: int = 0
        """of all draws"""
        out: Path | None = None
        """a JSON file for the table, the rates and the worst cases"""

    options = parse(Audit, args, "audit")
    from jidcl.checks import check_choice

    check_choice("what", options.what, ("verdict",))
    quiet()
    return _show(options.count, options.seed, options.out)


def _show(count: int, seed: int, out: Path | None) -> int:
    from rich.console import Console
    from rich.table import Table

    from jidcl.cli.progress import show_count
    from jidcl.files import write_json
    from jidcl.run.audit import METRICS, audit_verdict, passed, summary

    began, rows = time.perf_counter(), []

    def counts():
        for row in audit_verdict(count, seed):
            rows.append(row)
            yield len(rows) // len(METRICS)

    show_count(counts(), count, "representations")
    found = summary(rows, time.perf_counter() - began)
    words = list(dict.fromkeys(w for c in found["confusion"].values() for w in c))
    table = Table("truth", *words)
    for truth, counted in found["confusion"].items():
        table.add_row(truth, *(f"{counted.get(word, 0):,}" for word in words))
    console = Console()
    console.print(table)
    for row in found["worst"]:
        shown = ", ".join(f"{name} {value}" for name, value in row.items())
        console.print(f"  {shown}", highlight=False)
    if out is not None:
        write_json(out, found)
        console.print(f"written: {out}")
    console.print(
        f"false identified: {found['false_identified']:.2%} (at most "
        f"{found['false_limit']:.0%}); missed: {found['missed']:.2%} (at most "
        f"{found['missed_limit']:.0%})"
    )
    return 0 if passed(found) else 1
