"""Seeds of equal likelihood that behave differently, and what tells them apart.

Small models of a^n b^n (up to 16 symbols), trained by likelihood alone: LSTMs and
Transformers at three scales of initialisation. Shown: rule R1 on prompts that start no
sentence, against the excess over the least loss; and rank correlations of R1 with what
could predict it, with 95 % intervals.

Command: python experiments/behaviour_of_seeds.py [--seeds 168] [--block 84]
    [--steps 400] [--models lstm transformer] [--scales 0.5 1 2]
    [--root runs/behaviour] [--out experiments/results/behaviour_of_seeds.json]
A block of seeds is one program; finished blocks are read back, one that was stopped
goes on. The picture lies beside the JSON. `--seeds` are for each model and scale: 168
make 1,008 runs.
Expected: no rank correlation of R1 with the excess beyond 0.3 within a model and scale;
R1 spread over 0.2 or more among seeds within 0.01 nats of each other.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from jidcl.run.runner import run
from jidcl.systems.autoregressive.presets import Autoregressive

WITHIN = 0.01  # nats between seeds that count as equal
PREDICTORS = ("excess", "sharpness", "weight_norm", "early_r1", "early_excess")
MODELS = {
    "lstm": Autoregressive(embedding=8, width=16),
    "transformer": Autoregressive().changed(
        model="transformer", width=8, heads=2, layers=2, feed_forward=32
    ),
}


def configuration(model: str, scale: float, steps: int) -> Autoregressive:
    return MODELS[model].changed(
        max_length=16,
        prompt_length=6,
        new_tokens=16,
        learning_rate=1e-2,
        steps=steps,
        chunk=max(steps // 4, 1),
        init_scale=scale,
        sharpness_steps=10,
    )


def rows_of(model: str, scale: float, options) -> list[dict]:
    """One row a seed: scores at the end, and at a quarter of the way."""
    config, rows = configuration(model, scale, options.steps), []
    for first in range(0, options.seeds, options.block):
        seeds = range(first, min(first + options.block, options.seeds))
        own = dict(preset=f"{model}-{scale:g}", root=options.root)
        *_, last = run(config, system="autoregressive", seeds=seeds, **own)
        record, early = last.record, last.record.curve[0]
        for i, seed in enumerate(record.seeds):
            row = dict(model=model, scale=scale, seed=seed)
            for name in ("excess", "ood_r1", "ood_finished", "id_r1", "weight_norm"):
                row[name] = float(record.scores[name][i])
            row["sharpness"] = float(record.scores["sharpness"][i])
            row["early_r1"] = float(early["ood_r1"][i])
            row["early_excess"] = float(early["excess"][i])
            rows.append(row)
        print(f"{model} {scale:g}: {len(rows)} of {options.seeds} seeds", flush=True)
    return rows


def spread(rows: list[dict]) -> dict:
    """R1 of the largest set of seeds within `WITHIN` nats of each other."""
    excess = np.array([row["excess"] for row in rows])
    r1 = np.array([row["ood_r1"] for row in rows])
    order = np.argsort(excess)
    excess, r1 = excess[order], r1[order]
    ends = np.searchsorted(excess, excess + WITHIN, side="right")
    first = int(np.argmax(ends - np.arange(len(ends))))
    held = slice(first, int(ends[first]))
    return dict(
        seeds=int(ends[first]) - first,
        excess=[float(excess[held].min()), float(excess[held].max())],
        r1=[float(r1[held].min()), float(r1[held].max())],
        r1_mean=float(r1[held].mean()),
        r1_std=float(r1[held].std()),
    )


def correlations(rows: list[dict], draws: int = 1000) -> dict:
    """Spearman's rank correlation of R1 with each predictor, and a 95 % interval."""
    rng, found = np.random.default_rng(0), {}
    r1 = np.array([row["ood_r1"] for row in rows])
    for name in PREDICTORS:
        x = np.array([row[name] for row in rows])
        picks = rng.integers(0, len(rows), size=(draws, len(rows)))
        values = [rank_correlation(x[pick], r1[pick]) for pick in picks]
        low, high = np.nanquantile(values, [0.025, 0.975])
        found[name] = [rank_correlation(x, r1), float(low), float(high)]
    return found


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """NaN where either is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def draw(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    models = list(dict.fromkeys(row["model"] for row in rows))
    scales = sorted({row["scale"] for row in rows})
    shape = dict(sharex=True, sharey=True, squeeze=False)
    figure, axes = plt.subplots(1, len(models), figsize=(5 * len(models), 4), **shape)
    colours = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(scales)))
    for axis, model in zip(axes[0], models, strict=True):
        for scale, colour in zip(scales, colours, strict=True):
            own = [r for r in rows if (r["model"], r["scale"]) == (model, scale)]
            x, y = ([row[name] for row in own] for name in ("excess", "ood_r1"))
            axis.scatter(x, y, s=9, color=colour, label=f"weights x {scale:g}")
        axis.axhline(19 / 60, color="black", linestyle=":", linewidth=1)
        axis.set(title=model, xscale="log", xlabel="nats a sentence above the floor")
    axes[0][0].set(ylabel="share of prompts outside with #a = #b", ylim=(0, 1))
    axes[0][-1].legend(fontsize=8)
    figure.suptitle("A dot a seed; dotted: every prompt ended at once", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=168)
    parser.add_argument("--block", type=int, default=84)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=[*MODELS])
    parser.add_argument("--scales", nargs="+", type=float, default=[0.5, 1.0, 2.0])
    parser.add_argument("--root", type=Path, default=Path("runs/behaviour"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows, groups = [], {}
    for model in options.models:
        for scale in options.scales:
            own = rows_of(model, scale, options)
            rows += own
            name = f"{model}, weights x {scale:g}"
            groups[name] = spread(own) | dict(correlations=correlations(own))
    groups["all"] = spread(rows) | dict(correlations=correlations(rows))
    for name, group in groups.items():
        low, high = group["r1"]
        print(
            f"{name}: {group['seeds']} seeds within {WITHIN} nats, R1 from {low:.3f} "
            f"to {high:.3f}, deviation {group['r1_std']:.3f}"
        )
        for predictor, (value, low, high) in group["correlations"].items():
            print(f"  {predictor:<13} {value:+.2f} [{low:+.2f}, {high:+.2f}]")
    if options.out:
        held = dict(steps=options.steps, seeds=options.seeds, within=WITHIN)
        held |= dict(groups=groups, rows=rows)
        options.out.write_text(json.dumps(held, indent=1) + "\n")
        draw(rows, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
