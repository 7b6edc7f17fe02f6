"""The published rows that are done: one JSON of records, one Markdown table.

Train them first, one or many at a time, as often as it is stopped:
    jidcl verify --budget full --rows t2r6 --seeds 5 --root runs/rows
or all of them side by side on one accelerator:
    benchmarks/accelerator.sh OUT rows supervised      (then --root OUT/runs)
Records that FILE.json holds already stay, unless a run of the same row has as many
seeds; runs of other systems go to files of their own.
Command: python experiments/full_rows.py [--system contrastive_ica] [--root runs/rows]
         [--out experiments/results/full_rows.json]
"""

import argparse
import dataclasses
import json
from pathlib import Path

from jidcl.report.judge import judge_record
from jidcl.report.records import Record, find_records, record_from
from jidcl.report.verdict import Verdict
from jidcl.report.words import counted
from jidcl.systems.registry import load_presets


def table(records: list[Record]) -> str:
    names = "row | what | score | published | gap | steps | device, training | outcome"
    lines = [f"| {names} |", "|---" * 8 + "|"]
    for record in records:
        where = record.device.split()[-1] if "gpu" not in record.device else "GPU"
        spent = f"{where}, {record.seconds['train']:.0f} s"
        for verdict in judge_record(record):
            gap = "-" if verdict.gap is None else f"{verdict.gap:.4f}"
            name = {"r2": "R²", "mcc": "MCC"}.get(verdict.metric, verdict.metric)
            cells = [
                verdict.source,
                verdict.text,
                f"{name} {verdict.score:.2f}" + spread(verdict),
                verdict.expected,
                gap,
                record.config["steps"],
                spent,
                f"{verdict.outcome}; {words(verdict)}",
            ]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def words(verdict: Verdict) -> str:
    """A row's word, those of its seeds where they differ, and what decided."""
    several = len(set(verdict.seeds)) > 1
    seeds = f" ({counted(verdict.seeds)})" if several else ""
    return verdict.word + seeds + (f"; {verdict.note}" if verdict.note else "")


def spread(verdict: Verdict) -> str:
    return f" ± {verdict.std:.2f}" if len(verdict.seeds) > 1 else ""


def gather(held: Path | None, root: Path, system: str) -> list[Record]:
    """Finished runs and records that were kept, a row each, in the tables' order."""
    kept = json.loads(held.read_text())["records"] if held and held.exists() else []
    where = str(held)
    records = [record_from(data, where=where) for data in kept]
    records += find_records(root).values()
    # Of several runs of a row the one of most seeds, then the last.
    own = [record for record in records if record.system == system]
    rows = {r.preset: r for r in sorted(own, key=lambda r: len(r.seeds))}
    return [rows[name] for name in load_presets(system) if name in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", default="contrastive_ica")
    parser.add_argument("--root", type=Path, default=Path("runs/rows"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    records = gather(options.out, options.root, options.system)
    print(table(records))
    if options.out:
        held = {
            "command": "jidcl verify --budget full --rows ROW --seeds SEEDS",
            "machine": "each record names its device, shared with other runs",
            "records": [dataclasses.asdict(record) for record in records],
        }
        options.out.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
