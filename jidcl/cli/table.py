"""`jidcl table`: the verdicts of finished runs."""

import dataclasses
from pathlib import Path

from jidcl.cli.arguments import parse


@dataclasses.dataclass(frozen=True)
class Table:
    """Print verdicts of finished runs as Markdown or CSV, without training."""

    root: Path = Path("runs")
    """folder of all runs"""
    csv: bool = False
    """CSV instead of Markdown"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parse(Table, args, "table")
    from jidcl.report.document import judge_finished
    from jidcl.report.tables import to_csv, to_markdown

    verdicts, _ = judge_finished(options.root)
    print((to_csv if options.csv else to_markdown)(verdicts), end="")
    return 0
