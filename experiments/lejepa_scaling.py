"""The scaling table row by row, our R2 beside the published one.

Command: python experiments/lejepa_scaling.py [--n 2 4 8 16 32 64]
    [--objective lejepa] [--seeds 1] [--budget full] [--steps N]
Time: a minute or two a row on two CPU cores.
Expected: within 1e-4 of the published R2 for LeJEPA and whitening.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np

from jidcl.claims import load_claims
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64])
    parser.add_argument("--objective", default="lejepa")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", choices=("full", "published"), default="full")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--root", type=Path, default=Path("runs/lejepa-scaling"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    presets, claims = load_presets("lejepa"), load_claims("lejepa")
    tail = "" if options.objective == "lejepa" else f"-{options.objective}"
    rows = []
    for n in options.n:
        name = f"scaling-{n}{tail}"
        config = presets[f"{options.budget}/{name}"]
        if options.steps:
            config = dataclasses.replace(config, steps=options.steps)
        seeds = range(options.seeds)
        own = dict(system="lejepa", preset=f"{options.budget}/{name}", seeds=seeds)
        *_, last = run(config, root=options.root, **own)
        record, published = last.record, claims.published_by_id(name).mean / 100
        row = dict(
            n=n,
            objective=options.objective,
            steps=config.steps,
            restarts=config.restarts,
            r2=record.scores["r2"],
            published=published,
            difference=record.mean("r2") - published,
            r2_identity=float(np.mean(record.nulls["r2"]["identity"])),
            orth_err_normalized=record.mean("orth_err_normalized"),
            gap=record.mean("gap"),
            seconds=record.seconds,
            device=record.device,
        )
        rows.append(row)
        print(
            f"n = {n:<5} R2 {record.mean('r2'):.6f}, published {published:.6f}, "
            f"difference {row['difference']:+.2e}; x itself "
            f"{row['r2_identity']:.3f}; {record.seconds['train']:.0f} s",
            flush=True,
        )
        if options.out:
            options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
