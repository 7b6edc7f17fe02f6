"""AnInfoNCE when one assumption fails: R2, MCC and Lambda of each mismatch.

Command: python experiments/mismatch.py --out FOLDER [--rows vmf batch-16] [--seeds 3]
Writes FOLDER/mismatch.json and FOLDER/mismatch.png, after every row; rows that the file
holds and that are not asked for stay in it, finished runs are reused. Time: about half
a minute a row on two quiet CPU cores (batches of 4000: ten minutes).
`--study mnist`: the rows whose mixing is a decoder trained on MNIST (JIDCL_DATA names
the folder of mnist/mnist.npz), in FOLDER/mnist.json and FOLDER/mnist.png.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from jidcl.report.records import Record
from jidcl.run.runner import run
from jidcl.systems.anisotropic.presets import Anisotropic, learned, study

SCORES = ("r2", "mcc", "lam_error", "lam_error_sorted", "lam_pearson", "block_r2")
OTHERS = ("r2_per_dim", "head_r2", "head_mcc", "decoder_loss")
LOSSES = ("loss", "reference", "gap", "gap_se")
STUDIES = {"mismatch": ("study", study), "mnist": ("mnist", learned)}


def train(
    rows: dict[str, Anisotropic], kind: str, seeds: Sequence[int], root: Path
) -> Iterator[tuple[str, Record]]:
    """Each row's name and record, all seeds of a row at once."""
    own = dict(system="anisotropic", seeds=seeds, root=root)
    for name, config in rows.items():
        *_, last = run(config, preset=f"{kind}/{name}", **own)
        record = last.record
        held = [s for s in SCORES[:4] if s in record.scores]
        means = ", ".join(f"{s} {record.mean(s):.3f}" for s in held)
        print(f"{name:<20} {means}", flush=True)
        yield name, record


def summary(config: Anisotropic, record: Record) -> dict:
    """What the JSON file keeps of a row: settings and scores of each seed."""
    held = {s: record.scores[s] for s in SCORES + OTHERS if s in record.scores}
    held |= {name: record.losses[name] for name in LOSSES if name in record.losses}
    for score, nulls in record.nulls.items():
        if "identity" in nulls:
            held[f"{score}_identity"] = nulls["identity"]
    return dict(
        settings=config.summary(),
        lams=config.lams,
        seeds=list(record.seeds),
        steps=config.steps,
        batch=config.batch,
        seconds=record.seconds,
        **held,
    )


def draw(table: dict[str, dict], path: Path) -> None:
    """One point for each seed, one line of rows for each score."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(table)
    height = 1.2 + 0.22 * len(names)
    fig, axes = plt.subplots(1, 3, figsize=(10, height), sharey=True)
    titles = {"r2": "R2", "mcc": "MCC", "lam_error": "relative error of Lambda"}
    for axis, (score, title) in zip(axes, titles.items(), strict=True):
        for row, name in enumerate(names):
            values = table[name].get(score, ())  # supervised: no Lambda
            axis.plot(values, [row] * len(values), "o", ms=4, alpha=0.7, color="C0")
        axis.set_title(title)
        axis.grid(alpha=0.3)
    axes[2].set_xscale("log")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    fig.tight_layout()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", choices=sorted(STUDIES), default="mismatch")
    parser.add_argument("--rows", nargs="*", help="all when not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--root", type=Path, default=Path("runs/mismatch"))
    options = parser.parse_args()
    kind, known = STUDIES[options.study]
    unknown = sorted(set(options.rows or ()) - set(known()))
    if unknown:
        parser.error(f"--rows must be of {', '.join(known())}, got {unknown}")
    rows = {k: c for k, c in known().items() if k in (options.rows or known())}
    if options.steps:
        rows = {k: dataclasses.replace(c, steps=options.steps) for k, c in rows.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{options.study}.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    for name, record in train(rows, kind, range(options.seeds), options.root):
        held[name] = summary(rows[name], record)
        table = {name: held[name] for name in known() if name in held}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(table, indent=1) + "\n")
        part.replace(path)
        draw(table, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
