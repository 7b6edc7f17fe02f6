"""Rows of Table 3 of contrastive ICA on a file of KITTI Masks, or on the drawn walk.

Each row is trained on pairs of frames alone. Its outputs stand beside place and area of
the silhouettes, by rank correlation, after what needs no training: the moments of the
masks, and the encoder before its first step.

Command: python experiments/kitti_masks.py --file kitti_masks_peds.npz
         [--rows laplace normal slowvae] [--lags 1 5] [--seeds 0 1] [--steps 2000]
         [--out experiments/results/kitti_masks.json] [--before]
Without --file the walk is drawn. With --out a figure per row is written beside it, and
rows that it holds stay. With --before nothing is trained, and what needs no training is
shown. Runs are kept below --root and resumed. Time: a row of two
seeds and 300 steps takes some minutes of one core. Seeds run one by one.

Expected of the rows laplace, normal and slowvae with two seeds and 300 steps, said
before they were run to their end: with either lag laplace is above normal, as
published, and every row is above the untrained encoder; none is above 99 % of random
directions. One row is above another only where 95 % intervals of their means do not
meet (Student's, over seeds: with two of them 12.7 standard errors).
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.stats import t

from jidcl.claims import load_claims
from jidcl.metrics import mcc, r2
from jidcl.report.plots import plot_recovery
from jidcl.report.records import Record, merge_records, read_samples
from jidcl.run.runner import run
from jidcl.systems.kitti_masks.evaluate import direction_null
from jidcl.systems.kitti_masks.presets import ROWS, presets
from jidcl.systems.kitti_masks.problem import make_program
from jidcl.train import loop
from jidcl.train.sharding import make_mesh
from jidcl.train.state import with_shared

SCORES = ("mcc_spearman", "mcc_seen", "r2")
HOW = "of one output each; z: y, x, area"


def settings(name: str, options: argparse.Namespace) -> Any:
    """The row of the full budget, at other steps."""
    own = dict(steps=options.steps, batch=options.batch)
    config = presets()[f"full/{name}"].changed(**own)
    return config.read_from(options.file) if options.file else config


def trained(config: Any, name: str, seed: int, root: Path) -> tuple[Path, Record]:
    """A run of one seed: in a batch of them convolutions are slow on a CPU."""
    own: dict[str, Any] = dict(preset=f"full/{name}", seeds=[seed], root=root)
    *_, last = run(config, system="kitti_masks", **own)
    assert last.record is not None
    return last.folder, last.record


def summary(record: Record, published: dict[str, float]) -> dict[str, Any]:
    """Scores of each seed in percent, nulls averaged over seeds."""
    found = {k: record.scores[k] for k in SCORES if k in record.scores}
    found["per_latent"] = record.scores["mcc_spearman_per_dim"]
    nulls = {
        name: record.null("mcc_spearman", name)
        for name in ("identity", "untrained", "rotation_low", "rotation_high")
    }
    shown = {k: np.round(100 * np.asarray(v), 2).tolist() for k, v in found.items()}
    shown["interval"] = interval(shown["mcc_spearman"])
    held = {k: round(100 * float(np.mean(v)), 2) for k, v in nulls.items()}
    curve = {str(p["step"]): p["mcc_spearman"] for p in record.curve}
    return {
        "steps": record.config["steps"],
        "seeds": record.seeds,
        **shown,
        "nulls": held,
        "published": published,
        "curve": {
            step: np.round(100 * np.asarray(v), 2).tolist() for step, v in curve.items()
        },
        "seconds": round(math.fsum(record.seconds.values())),
    }


def interval(scores: list[float]) -> list[float]:
    """Student's 95 % interval of the mean over seeds; of one seed anything."""
    if len(scores) < 2:
        return [0.0, 100.0]
    half = t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / len(scores) ** 0.5
    middle = np.mean(scores)
    return np.round([max(0.0, middle - half), min(100.0, middle + half)], 2).tolist()


def untrained(config: Any, seeds: list[int]) -> dict[str, Any]:
    """What needs no training: encoders before their first step, random directions."""
    program = make_program(config)
    begun = loop.start(program, np.asarray(seeds), mesh=make_mesh())
    frozen = with_shared({}, program.shared)
    read = jax.jit(lambda run, key: program.probe(run, frozen, key).arrays)
    found: dict[str, Any] = {"mcc_spearman": [], "r2": []}
    for i in range(len(seeds)):
        run_of_seed = jax.tree.map(lambda leaf, i=i: leaf[i], begun.run)
        z, y = (
            np.asarray(part, np.float64)
            for part in read(run_of_seed, jax.random.key(seeds[i]))
        )
        found["mcc_spearman"].append(mcc(z, y, spearman=True, xp=np).mean)
        found["r2"].append(r2(z, y, xp=np).mean)
    found = {k: np.round(100 * np.asarray(v), 2).tolist() for k, v in found.items()}
    turned = direction_null(np.random.default_rng(0), z, config.m, np)
    ends = np.quantile(turned, [0.005, 0.5, 0.995])
    return {**found, "directions": np.round(100 * ends, 2).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", default="", help="a file of KITTI Masks")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--lags", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--root", type=Path, default=Path("runs/kitti_masks"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--before", action="store_true", help="train nothing")
    options = parser.parse_args()
    device, results = jax.devices()[0], {}
    if options.out and options.out.exists():
        results = json.loads(options.out.read_text())["rows"]
    claims = {claim.preset: claim for claim in load_claims("kitti_masks").published}
    for name in (f"{row}-lag{lag}" for row in options.rows for lag in options.lags):
        config = settings(name, options)
        if options.before:
            print(f"{name}: {untrained(config, options.seeds)}", flush=True)
            continue
        ended = [trained(config, name, seed, options.root) for seed in options.seeds]
        record = merge_records([record for _, record in ended])
        published = {key: getattr(claims[name], key) for key in ("mean", "std")}
        results[name] = summary(record, published)
        print(f"{name}: {results[name]}", flush=True)
        if options.out:
            held = {"device": f"{device.platform} {device.device_kind}"}
            held |= {"file": Path(options.file).name, "batch": options.batch}
            options.out.write_text(json.dumps(held | {"rows": results}, indent=1))
            picture = options.out.with_name(f"{options.out.stem}_{name}.png")
            plot_recovery(record, read_samples(ended[0][0]), picture, how=HOW)


if __name__ == "__main__":
    main()
