"""Time to score: which way of training reaches a published score soonest?

Two rows (Table 1 row 3, Table 2 row 6); data, loss, encoder and final temperature stay
as published, the arms differ in initialisation, optimiser, temperature and batch.

Command: python experiments/time_to_score.py [--rows t1r3 t2r6] [--arms ...] [--seeds 3]
         [--n 10] [--batch 1024] [--steps 2000] [--root runs/time-to-score]
         [--out FILE.json]
Finished runs are read back; the picture lies beside FILE.json. With fewer latents
(--n 5 --batch 512 --steps 600) a run takes a minute instead of ten on one core; the
published score is of n = 10. Arms and rows may be run apart, in processes side by side:
the call without --rows and --arms then gathers them.
"""

import argparse
import json
from pathlib import Path

from jidcl.claims import load_claims
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets

SYSTEM = "contrastive_ica"
_BOTH = dict(muon_steps=3, early_share=0.25, late_share=0.1, precision="fast")
# What an arm changes; "length": share of the steps that --steps names, 1 if not said.
ARMS = {
    "preset: muon, early tau, late batch": {},
    "no early tau": dict(early_share=0.0),
    "no late batch": dict(late_share=0.0),
    "neither": dict(early_share=0.0, late_share=0.0),
    "6 x the batch, a quarter of the steps": dict(late_share=0.75, length=0.25),
    "float32 products": dict(precision="float32"),
    "he_normal": dict(init="he_normal"),
    "fan_in_uniform": dict(init="fan_in_uniform"),
    "adam 1e-3": dict(optimiser="adam", learning_rate=1e-3),
}


def study(rows, arms, seeds: int, shape: dict, root: Path) -> list[dict]:
    claims, presets, results = load_claims(SYSTEM), load_presets(SYSTEM), []
    for arm in arms:
        for row in rows:
            claim = claims.published_by_id(row)
            own = dict(ARMS[arm])
            steps = round(own.pop("length", 1) * shape["steps"])
            config = presets[f"full/{row}"].changed(**shape, **_BOTH)
            config = config.changed(**own, steps=steps)
            own = dict(preset=f"{row}-arm", seeds=range(seeds), root=root)
            *_, last = run(config, system=SYSTEM, **own)
            record = last.record
            scores = [round(100 * v, 2) for v in record.scores[claim.metric]]
            spent = record.seconds["train"]
            results.append(
                dict(
                    row=row,
                    arm=arm,
                    metric=claim.metric,
                    published=claim.mean,
                    n=config.n,
                    batch=config.batch,
                    scores=scores,
                    gap=record.losses["gap"],
                    seconds=spent,
                    steps=config.steps,
                    curve=[
                        [p["step"], pairs_seen(config, p["step"]), p[claim.metric]]
                        for p in record.curve
                    ],
                )
            )
            print(f"{row} {arm:<34} {scores} in {spent:.0f} s", flush=True)
    return results


def pairs_seen(config, step: int) -> int:
    """Pairs that the updates up to a step were made of."""
    seen, begin = 0, 0
    for phase, until in config.phases():
        seen += phase.batch * max(min(step, until) - begin, 0)
        begin = until
    return seen


def draw(results: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = sorted({result["row"] for result in results})
    figure, axes = plt.subplots(1, len(rows), figsize=(5 * len(rows), 4), squeeze=False)
    for axis, row in zip(axes[0], rows, strict=True):
        for result in (r for r in results if r["row"] == row):
            pairs = [seen / 1e6 for _, seen, _ in result["curve"]]
            score = [100 * sum(v) / len(v) for _, _, v in result["curve"]]
            axis.plot(pairs, score, label=result["arm"])
        axis.axhline(result["published"], color="black", linestyle=":")
        n = results[0]["n"]
        axis.set_title(f"{row} at n = {n}; dotted: published, n = 10")
        axis.set_xlabel("millions of pairs seen")
        axis.set_ylabel(f"{result['metric'].upper()} of the probe, %")
        axis.set_ylim(40, 100.5)
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=["t1r3", "t2r6"])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--root", type=Path, default=Path("runs/time-to-score"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    shape = dict(n=options.n, batch=options.batch, steps=options.steps)
    shape |= dict(late_batch=6 * options.batch)
    results = study(options.rows, options.arms, options.seeds, shape, options.root)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")
        draw(results, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
