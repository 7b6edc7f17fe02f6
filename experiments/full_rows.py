"""The published rows that are done: one JSON of records, one Markdown table.

Train them first, one or many at a time, as often as it is stopped:
    jidcl verify --budget full --rows t2r6 --seeds 1 --root runs/rows
Records that FILE.json holds already stay, unless a run of the same row is newer.
Command: python experiments/full_rows.py [--root runs/rows]
         [--out experiments/results/full_rows.json]
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path

from jidcl.report.document import judge_record
from jidcl.report.records import Record, find_records
from jidcl.systems.registry import load_presets


def table(records: list[Record]) -> str:
    lines = ["| row | what | score | published | gap | steps | training | outcome |"]
    lines.append("|---" * 8 + "|")
    for record in records:
        minutes = record.seconds["train"] / 60
        for verdict in judge_record(record):
            gap = "-" if verdict.gap is None else f"{verdict.gap:.4f}"
            name = {"r2": "R²", "mcc": "MCC"}.get(verdict.metric, verdict.metric)
            cells = [
                verdict.source,
                verdict.text,
                f"{name} {verdict.score:.2f}",
                verdict.expected,
                gap,
                record.config["steps"],
                f"{minutes:.0f} min",
                f"{verdict.outcome}; {verdict.word}",
            ]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def gather(held: Path | None, root: Path) -> list[Record]:
    """Finished runs and records that were kept, a row each, in the tables' order."""
    kept = json.loads(held.read_text())["records"] if held and held.exists() else []
    records = [*(Record(**fields) for fields in kept), *find_records(root).values()]
    rows = {record.preset: record for record in records}
    return [rows[name] for name in load_presets("contrastive_ica") if name in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("runs/rows"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    records = gather(options.out, options.root)
    print(table(records))
    if options.out:
        held = {
            "command": "jidcl verify --budget full --rows ROW --seeds 1",
            "machine": f"one or {os.cpu_count()} cores, shared with other work",
            "records": [dataclasses.asdict(record) for record in records],
        }
        options.out.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
