"""Ten seeds of every trained quick preset: does at least nine of ten come out?

Command: python experiments/ten_seeds.py [--root runs/ten-seeds] [--out FILE.json]
Time: about six minutes on two CPU cores. Expected: 9 or 10 of 10 in every row.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from jidcl.claims import load_claims
from jidcl.report.judge import judge
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets

SYSTEM = "contrastive_ica"


def study(root: Path, seeds: Sequence[int]) -> list[dict]:
    presets, rows = load_presets(SYSTEM), []
    records = {}
    for claim in load_claims(SYSTEM).quick:
        name = f"quick/{claim.preset}"
        if name not in records:
            own = dict(system=SYSTEM, preset=name, seeds=seeds, root=root)
            *_, last = run(presets[name], **own)
            records[name] = last.record
        verdict = judge(records[name], claim)
        count = verdict.seeds.count(claim.expect)
        scores = [round(100 * v, 2) for v in records[name].scores[claim.metric]]
        rows.append(
            dict(
                claim=claim.id,
                expected=claim.expect,
                as_expected=count,
                of=len(seeds),
                metric=claim.metric,
                scores=scores,
                gap=verdict.gap,
                bar=verdict.bar,
                seconds=records[name].seconds,
            )
        )
        print(f"{claim.id:<20} {count} of {len(seeds)} {claim.expect}: {scores}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("runs/ten-seeds"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    rows = study(options.root, tuple(range(options.seeds)))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")
    assert all(row["as_expected"] >= 0.9 * row["of"] for row in rows), "below 9 of 10"


if __name__ == "__main__":
    main()
