"""Which label-free number of a trained VAE says whether it found the sources?

200 models of two uniform sources in one program: 10 mixings times 2 precisions times 10
seeds. A mixing is a Moebius map, seven of them followed by a linear map of determinant
1. MCC is compared by rank with what needs no sources: the loss on new data, the IMA
contrast of the decoder, and self-consistency in x and in z.

Ranks are compared over all models, and within a group of one mixing and one precision,
where the question is which of several seeds to keep. Intervals are of mixings drawn
anew, 95 %.

Expected, said before the run: within groups the loss has a mean rank correlation of
-0.3 or below, its interval under 0, and so has the error in x; the contrast says less
than the loss. Over all models the contrast of the decoder has a correlation below 0.

Command: python experiments/predictor_of_recovery.py --out experiments/results
Writes predictor_of_recovery.json and predictor_of_recovery.png, with the seconds of a
processor that it took; `--draw` makes the figure of a result that is there.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from jidcl.losses import LatentPrior
from jidcl.metrics import global_c_ima, jacobians, mcc
from jidcl.systems.ima_vae.presets import ImaVae
from jidcl.systems.ima_vae.problem import make_program
from jidcl.systems.ima_vae.process import (
    build_networks,
    decode,
    draw_sources,
    encode,
    freeze,
    negative_elbo,
    observe,
    true_code,
)

MIXINGS, SEEDS, PRECISIONS = 10, 10, (1e3, 1e4)
PLAIN = 3  # mixings without a linear map
ROWS, DRAWS = 1024, 8
CONFIG = ImaVae(
    mixing_seed=-1,
    mixing="distorted",
    learning_rate=1e-2,
    schedule="cosine",
    batch=128,
    steps=1200,
)
PREDICTORS = {
    "loss": "negative ELBO",
    "c_ima": "IMA contrast",
    "mse_x": "error in x",
    "mse_z": "error in z",
}


def mixing(key):
    """A Moebius map whose pictures spread, and a linear map."""
    g = freeze(CONFIG, key)
    # One scale for all, so that a precision means the same.
    x = observe(CONFIG, g, draw_sources(CONFIG, jax.random.fold_in(key, 7), 1024))
    return {**g, "scale": g["scale"] * 0.3 / jnp.sqrt(jnp.mean(jnp.var(x, axis=0)))}


def model(g, gamma2, key):
    """One model, trained and measured; scores that need ranks follow on the host."""
    config = replace(CONFIG, gamma2=gamma2)
    nets, program = build_networks(config), make_program(config)
    k_run, k_source, k_prior, k_noise = jax.random.split(key, 4)
    first = program.start(g, k_run)

    def step(run, t):
        run, _ = program.step(run, g, k_run, t)
        return run, None

    run, _ = jax.lax.scan(step, first, jnp.arange(config.steps))
    params, prior = run.params, LatentPrior(config.prior)
    source = draw_sources(config, k_source, ROWS)
    x = observe(config, g, source)

    def to_latents(x):
        return prior.latents(encode(config, nets, params, x)[0])

    def f(z):
        return decode(config, nets, params, g, z)

    noise = jax.random.normal(k_noise, (DRAWS, *x.shape))
    loss = jax.vmap(
        lambda e: jnp.mean(negative_elbo(config, nets, params, {}, g, x, e)[0])
    )(noise)
    z = prior.latents(true_code(config, draw_sources(config, k_prior, ROWS)))
    y = to_latents(x)
    return (
        source,
        y,
        {
            "loss": jnp.mean(loss),
            "c_ima": global_c_ima(jacobians(f, z)),
            "mse_x": jnp.mean((f(y) - x) ** 2),
            "mse_z": jnp.mean((to_latents(f(z)) - z) ** 2),
            "c_ima_mixing": global_c_ima(
                jacobians(lambda s: observe(config, g, s), source)
            ),
        },
    )


def trained(seed: int) -> dict[str, np.ndarray]:
    """Scores of all models, `[mixings, precisions, seeds]`."""
    k_mixing, k_model = jax.random.split(jax.random.key(seed))
    g = jax.vmap(mixing)(jax.random.split(k_mixing, MIXINGS))
    plain = (jnp.arange(MIXINGS) < PLAIN)[:, None, None]
    g["linear"] = jnp.where(plain, jnp.eye(2), g["linear"])
    keys = jax.random.split(k_model, (MIXINGS, len(PRECISIONS), SEEDS))
    over = jax.vmap(model, (None, None, 0))
    over = jax.vmap(over, (None, 0, 0))
    over = jax.vmap(over, (0, None, 0))
    found = jax.jit(over)(g, jnp.asarray(PRECISIONS), keys)
    source, y, scores = jax.device_get(found)
    shape = source.shape[:3]
    each = [
        float(mcc(s, h, xp=np).mean)
        for s, h in zip(
            source.reshape(-1, ROWS, 2), y.reshape(-1, ROWS, 2), strict=True
        )
    ]
    return {**scores, "mcc": np.reshape(each, shape)}


def rank(a, b) -> float:
    return float(spearmanr(np.ravel(a), np.ravel(b)).statistic)


def compared(scores: dict[str, np.ndarray]) -> dict:
    """Rank correlations with MCC, over all models and within groups."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, MIXINGS, (2000, MIXINGS))
    held = {}
    for name in PREDICTORS:
        a, b = scores[name], scores["mcc"]
        groups = np.array(
            [
                np.mean([rank(a[i, j], b[i, j]) for j in range(len(PRECISIONS))])
                for i in range(MIXINGS)
            ]
        )
        whole = [rank(a[rows], b[rows]) for rows in drawn[:500]]
        within = groups[drawn].mean(axis=1)
        # What is gained by keeping the best of ten seeds by this number.
        kept = np.take_along_axis(b, a.argmin(-1)[..., None], -1)[..., 0]
        held[name] = {
            "all": rank(a, b),
            "all_interval": np.quantile(whole, [0.025, 0.975]).tolist(),
            "within": float(groups.mean()),
            "within_interval": np.quantile(within, [0.025, 0.975]).tolist(),
            "mcc_of_kept": float(kept.mean()),
        }
    return held


def draw(record: dict, path: Path) -> None:
    """MCC against each number, a colour a mixing."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    scores = {name: np.array(value) for name, value in record["models"].items()}
    fig, axes = plt.subplots(1, len(PREDICTORS), figsize=(13, 3.4), sharey=True)
    colours = np.arange(MIXINGS)[:, None, None] + np.zeros_like(scores["mcc"])
    for axis, (name, title) in zip(axes, PREDICTORS.items(), strict=True):
        for j, mark in enumerate("ox"):
            axis.scatter(
                scores[name][:, j].ravel(),
                scores["mcc"][:, j].ravel(),
                c=colours[:, j].ravel(),
                cmap="tab10",
                marker=mark,
                s=18,
                linewidths=1,
                label=f"precision {PRECISIONS[j]:g}",
            )
        told = record["ranks"][name]
        axis.set_title(
            f"rank corr. {told['all']:.2f}, within {told['within']:.2f}", fontsize=10
        )
        axis.set_xlabel(title)
        if name != "loss":
            axis.set_xscale("log")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("MCC")
    axes[0].legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "predictor_of_recovery.json"
    if options.draw:
        draw(json.loads(path.read_text()), path.with_suffix(".png"))
        return
    begun = time.process_time()
    scores = trained(options.seed)
    record = {
        "ranks": compared(scores),
        "mean_mcc": float(scores["mcc"].mean()),
        "best_mcc": float(scores["mcc"].max(-1).mean()),
        "models": {name: np.round(v, 6).tolist() for name, v in scores.items()},
        "processor_seconds": round(time.process_time() - begun),
    }
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    for name, row in record["ranks"].items():
        print(name, row)
    print({k: v for k, v in record.items() if k not in ("models", "ranks")})
    draw(record, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
