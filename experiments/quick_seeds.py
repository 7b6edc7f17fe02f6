"""Does every quick verdict come out on fresh seeds, and at what cost?

    python3 experiments/quick_seeds.py --system contrastive_ica --first 100 --count 20

Every claim of the quick budget is judged on each seed alone. A claim passes when at
least 19 of 20 seeds give the word that it expects. `--set` tries other settings, for
all quick presets (`steps=300`) or one (`sphere-vmf:steps=300`).
"""

import argparse
import dataclasses
import json
from pathlib import Path

from jidcl.claims import CurveClaim
from jidcl.cli.arguments import quiet

quiet()

from jidcl.files import write_json  # noqa: E402
from jidcl.report.judge import judge  # noqa: E402
from jidcl.report.records import Record  # noqa: E402
from jidcl.run.runner import run  # noqa: E402
from jidcl.systems.registry import load_claims, load_presets  # noqa: E402

NEEDED = 0.95


def of_seed(record: Record, index: int) -> Record:
    """The record of one of its seeds."""

    def only(value):
        if isinstance(value, dict):
            return {name: only(held) for name, held in value.items()}
        return [value[index]]

    curve = [
        {k: v if k == "step" else [v[index]] for k, v in row.items()}
        for row in record.curve
    ]
    parts = {
        name: only(getattr(record, name))
        for name in ("scores", "losses", "nulls", "untrained", "errors", "perturbed")
    }
    return dataclasses.replace(
        record, seeds=[record.seeds[index]], curve=curve, dead={}, **parts
    )


def changed(config, name: str, items: list[str]):
    """The configuration with the settings of `--set` that are for it."""
    for item in items:
        where, value = item.split("=", 1)
        preset, _, field = where.rpartition(":")
        if preset and f"quick/{preset}" != name:
            continue
        if not hasattr(config, field):
            continue
        kind = json.loads(value)
        kind = tuple(kind) if isinstance(kind, list) else kind
        config = config.changed(**{field: kind})
    return config


def main() -> None:
    """Run, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", default="contrastive_ica")
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--presets", nargs="*", default=[])
    parser.add_argument("--root", type=Path, default=Path("runs/quick-seeds"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    claims, presets = load_claims(options.system), load_presets(options.system)
    for item in options.set:
        where = item.split("=", 1)[0].rpartition(":")
        own = [
            c for n, c in presets.items() if n == f"quick/{where[0]}" or not where[0]
        ]
        if "=" not in item or not any(hasattr(config, where[2]) for config in own):
            parser.error(f"--set must be [PRESET:]SETTING=VALUE, got {item!r}")
    seeds = list(range(options.first, options.first + options.count))
    records: dict[str, Record] = {}
    rows, costs = [], {}
    for claim in claims.at("quick"):
        if claim.untestable or isinstance(claim, CurveClaim):
            continue
        names = claim.needs("quick")
        if options.presets and not set(names) <= {
            f"quick/{p}" for p in options.presets
        }:
            continue
        if not all(presets[name].phases() for name in names):
            continue
        for name in names:
            if name in records:
                continue
            config = changed(presets[name], name, options.set)
            events = run(
                config,
                system=options.system,
                preset=name,
                seeds=seeds,
                root=options.root,
            )
            *_, last = events
            records[name] = last.record
            costs[name] = last.record.seconds["train"]
        held = [
            [of_seed(records[name], i) for name in names] for i in range(len(seeds))
        ]
        words = [judge(parts, claim) for parts in held]
        right = sum(word.ok for word in words)
        rows.append(
            {
                "claim": claim.id,
                "right": right,
                "of": len(seeds),
                "score": [round(w.score, 3) for w in words],
                "gap": [w.gap and round(w.gap, 5) for w in words],
                "bar": [w.bar and round(w.bar, 5) for w in words],
                "wrong": {
                    s: w.word for s, w in zip(seeds, words, strict=True) if not w.ok
                },
            }
        )
        ok = "ok " if right >= NEEDED * len(seeds) else "BAD"
        print(
            f"{ok} {claim.id:24} {right} of {len(seeds)}  {rows[-1]['wrong']}",
            flush=True,
        )
    for name, seconds in costs.items():
        print(f"    {name:32} {seconds:.1f} s of training")
    if options.out:
        about = {"system": options.system, "seeds": seeds, "set": options.set}
        write_json(options.out, {**about, "claims": rows, "train_seconds": costs})


if __name__ == "__main__":
    main()
