"""`jidcl report`: verdicts and figures of finished runs in one document."""

import dataclasses
from pathlib import Path

from jidcl.cli.arguments import parse


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a report of all finished runs: verdicts and figures, without training."""

    root: Path = Path("runs")
    """folder of all runs"""
    out: Path = Path("runs/report")
    """folder of the report"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parse(Report, args, "report")
    from jidcl.report import document

    verdicts, runs = document.judge_finished(options.root)
    report = document.write_report(
        options.out,
        verdicts,
        runs,
        title=f"Finished runs in {options.root}",
        source="see `jidcl list claims`",
    )
    print(report)
    return 0
