"""`jidcl conformance`: reference vectors, replayed on this device."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jidcl.cli.arguments import no_tyro, parse, quiet


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    try:
        from tyro.conf import Positional
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Conformance:
        """Replay reference vectors through the public functions, on this device.

        In float64 on the CPU with each file's tolerances, and in float32 on the default
        device with a wider one. Exit code 1 on a miss.
        """

        files: Positional[tuple[Path, ...]] = ()
        """files of the vector schema; the packaged ones by default"""
        strict: bool = False
        """kinds that no function covers and cases without data count as misses"""

    options = parse(Conformance, args, "conformance")
    quiet()
    return show_conformance(options.files, options.strict)


def show_conformance(files: Sequence[Path], strict: bool) -> int:
    """Replay vector files, print a table; 1 on a miss (`strict`: or a gap), else 0."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from jidcl.run import conformance

    console = Console()
    paths = list(files) or conformance.packaged_vectors()
    table = Table("system", "kind", "cases", "float64", "float32", "status")
    misses, uncovered, skipped, errata = [], [], [], []
    for path in paths:
        double = conformance.replay(path, float64=True)
        single = conformance.replay(path, float64=False)
        for wide, narrow in zip(double, single, strict=True):
            failed = [*wide.failed, *(f"{f}, float32" for f in narrow.failed)]
            status = "[red]miss[/]" if failed else "ok"
            if not wide.covered:
                uncovered.append(f"{wide.system}/{wide.kind}")
                status = "[yellow]not covered yet[/]"
            elif wide.skipped and not failed:
                status = f"[yellow]{len(wide.skipped)} skipped[/]"
            errors = [f"{wide.worst:.1e}", f"{narrow.worst:.1e}"]
            if not wide.covered or len(wide.skipped) == wide.cases:
                errors = ["-", "-"]
            names = map(escape, (wide.system, wide.kind))
            table.add_row(*names, str(wide.cases), *errors, status)
            misses += failed
            skipped += wide.skipped
            errata += wide.errata
    console.print(table)
    words = {"erratum": errata, "skipped": skipped, "[red]miss[/]": misses}
    for word, lines in words.items():
        for line in lines:
            console.print(f"{word}: {escape(line)}", highlight=False, soft_wrap=True)
    if uncovered:
        console.print(f"not covered by a function: {escape(', '.join(uncovered))}")
    return int(bool(misses or (strict and (uncovered or skipped))))
