"""Which label-free number of a trained VAE says whether it found the sources?

200 models of two uniform sources: 10 mixings times 2 precisions times 10 seeds. A
mixing is a Moebius map, seven of them followed by a linear map of determinant 1. MCC is
compared by rank with what needs no sources: the loss on new data, the IMA contrast of
the decoder, and self-consistency in x and in z.

Ranks are compared over all models, and within a group of one mixing and one precision,
where the question is which of several seeds to keep. Intervals are of mixings drawn
anew, 95 %.

The same mixings are given to 100 contrastive encoders of the VAE's shape, 10 seeds
each. They see pairs, a positive within a Laplace step of its anchor: they know more.

Expected, said before the run: within groups the loss has a mean rank correlation of
-0.3 or below, its interval under 0, and so has the error in x; the contrast says less
than the loss. Over all models the contrast of the decoder has a correlation below 0.
The VAE has a mean MCC of 0.85 or more without a linear map, and at least 0.1 less with
one; the contrastive encoder has 0.9 or more on both.

Command: python experiments/predictor_of_recovery.py --out experiments/results
One program trains the 30 models of a mixing, ten times. Finished mixings lie in
`--root` and are read back. Writes predictor_of_recovery.json and
predictor_of_recovery.png, with the seconds of a processor that it took; `--draw` makes
the figure of a result that is there.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import spearmanr

from jidcl.encoders import make_mlp
from jidcl.latents import Box, Laplace, Uniform
from jidcl.losses import LatentPrior, Similarity, infonce
from jidcl.metrics import global_c_ima, jacobians, mcc
from jidcl.pairs import sample_pair
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
from jidcl.systems.shared.wiring import run_optimiser

MIXINGS, SEEDS, PRECISIONS = 10, 10, (1e3, 1e4)
PLAIN = 3  # mixings without a linear map
ROWS, DRAWS = 1024, 8
CUBE, STEP, TAU = Box(2, -0.5, 0.5), 0.1, 0.1  # of the contrastive pairs
CONFIG = ImaVae(
    mixing_seed=-1,
    mixing="distorted",
    learning_rate=1e-2,
    schedule="cosine",
    batch=128,
    steps=3000,
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
    x = observe(CONFIG, g, draw_sources(CONFIG, g, jax.random.fold_in(key, 7), 1024))
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
    source = draw_sources(config, g, k_source, ROWS)
    x = observe(config, g, source)

    def to_latents(x):
        return prior.latents(encode(config, nets, params, x)[0])

    def f(z):
        return decode(config, nets, params, g, z)

    noise = jax.random.normal(k_noise, (DRAWS, *x.shape))
    loss = jax.vmap(
        lambda e: jnp.mean(negative_elbo(config, nets, params, {}, g, x, e)[0])
    )(noise)
    z = prior.latents(true_code(config, draw_sources(config, g, k_prior, ROWS)))
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


def contrastive(g, key):
    """Sources and the outputs of one contrastive encoder, trained on pairs."""
    f = make_mlp(2, widths=CONFIG.widths, slope=CONFIG.slope, init=CONFIG.init)
    optimiser = run_optimiser(CONFIG)
    k_init, k_run, k_rows = jax.random.split(key, 3)
    params = f.init(k_init)[0]

    def loss(params, pair):
        y, y_pos = (f.apply(params, {}, observe(CONFIG, g, z))[0] for z in pair)
        return infonce(y, y_pos, similarity=Similarity("lp", 1), tau=TAU)[0]

    def step(held, t):
        params, state = held
        own = Uniform(), Laplace(STEP)
        k_pair = jax.random.fold_in(k_run, t)
        pair = sample_pair(k_pair, CUBE, *own, batch=CONFIG.batch)
        slope = jax.grad(loss)(params, pair)
        change, state = optimiser.update(slope, state, params)
        return (optax.apply_updates(params, change), state), None

    first = params, optimiser.init(params)
    (params, _), _ = jax.lax.scan(step, first, jnp.arange(CONFIG.steps))
    source = draw_sources(CONFIG, g, k_rows, ROWS)
    return source, f.apply(params, {}, observe(CONFIG, g, source))[0]


@jax.jit
def of_mixing(g, key):
    """The models of one mixing: VAEs `[precisions, seeds]`, encoders `[seeds]`."""
    k_vae, k_pairs = jax.random.split(key)
    over = jax.vmap(jax.vmap(model, (None, None, 0)), (None, 0, 0))
    keys = jax.random.split(k_vae, (len(PRECISIONS), SEEDS))
    vaes = over(g, jnp.asarray(PRECISIONS), keys)
    keys = jax.random.split(k_pairs, SEEDS)
    return vaes, jax.vmap(contrastive, (None, 0))(g, keys)


def scored(source, y) -> np.ndarray:
    """MCC of each model's rows, of any leading shape."""
    pairs = zip(source.reshape(-1, ROWS, 2), y.reshape(-1, ROWS, 2), strict=True)
    return np.reshape([float(mcc(s, h, xp=np).mean) for s, h in pairs], y.shape[:-2])


def trained(seed: int, root: Path) -> dict[str, np.ndarray]:
    """Scores of all models, `[mixings, precisions, seeds]`; `mcc_pairs` has no middle.

    Each mixing is a file of `root`, read back where it is of this seed and settings.
    """
    k_mixing, k_model = jax.random.split(jax.random.key(seed))
    g = jax.vmap(mixing)(jax.random.split(k_mixing, MIXINGS))
    plain = (jnp.arange(MIXINGS) < PLAIN)[:, None, None]
    g["linear"] = jnp.where(plain, jnp.eye(2), g["linear"])
    keys, rows = jax.random.split(k_model, MIXINGS), []
    held = {"seed": seed, "settings": repr((CONFIG, PRECISIONS, SEEDS, STEP, TAU))}
    root.mkdir(parents=True, exist_ok=True)
    for i in range(MIXINGS):
        path = root / f"mixing-{i}.json"
        row = json.loads(path.read_text()) if path.exists() else {}
        if row.get("held") != held:
            begun = time.process_time()
            own = jax.tree.map(lambda leaf, i=i: leaf[i], g)
            vaes, pairs = jax.device_get(of_mixing(own, keys[i]))
            scores = {**vaes[2], "mcc": scored(*vaes[:2]), "mcc_pairs": scored(*pairs)}
            scores = {name: value.tolist() for name, value in scores.items()}
            spent = time.process_time() - begun
            row = {"held": held, "scores": scores, "processor_seconds": spent}
            path.write_text(json.dumps(row))
            print(f"mixing {i}: {spent:.0f} s of a processor", flush=True)
        rows.append({**row["scores"], "processor_seconds": row["processor_seconds"]})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def rank(a, b) -> float:
    return float(spearmanr(np.ravel(a), np.ravel(b)).statistic)


def who_recovers(scores) -> dict:
    """Mean MCC of VAEs (all, and the one of least loss a group) and of encoders."""
    best = scores["loss"].argmin(-1)[..., None]
    kept = np.take_along_axis(scores["mcc"], best, -1)[..., 0]
    held = {}
    for name, rows in (("plain", slice(PLAIN)), ("linear", slice(PLAIN, None))):
        held[name] = {
            "vae": scores["mcc"][rows].mean((0, 2)).tolist(),
            "vae_of_least_loss": kept[rows].mean(0).tolist(),
            "contrastive": float(scores["mcc_pairs"][rows].mean()),
            "contrastive_least": float(scores["mcc_pairs"][rows].min()),
        }
    return held


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
    fig, axes = plt.subplots(1, len(PREDICTORS) + 1, figsize=(15, 3.4), sharey=True)
    colours = np.arange(MIXINGS)[:, None, None] + np.zeros_like(scores["mcc"])
    for axis, (name, title) in zip(axes, PREDICTORS.items(), strict=False):
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
    contrast = scores["c_ima_mixing"].mean((1, 2))
    rows = {
        "VAE": scores["mcc"].mean((1, 2)),
        "contrastive": scores["mcc_pairs"].mean(1),
    }
    for mark, (name, value) in zip("ox", rows.items(), strict=True):
        axes[-1].scatter(contrast, value, c="k", marker=mark, s=24, label=name)
    axes[-1].set_title("means of ten mixings", fontsize=10)
    axes[-1].set_xlabel("IMA contrast of the mixing")
    axes[-1].legend(fontsize=8)
    axes[-1].grid(alpha=0.3)
    axes[0].set_ylabel("MCC")
    axes[0].legend(fontsize=8)
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path("runs/predictor"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "predictor_of_recovery.json"
    if options.draw:
        draw(json.loads(path.read_text()), path.with_suffix(".png"))
        return
    scores = trained(options.seed, options.root)
    seconds = scores.pop("processor_seconds").sum()
    record = {
        "ranks": compared(scores),
        "who": who_recovers(scores),
        "mean_mcc": float(scores["mcc"].mean()),
        "best_mcc": float(scores["mcc"].max(-1).mean()),
        "models": {name: np.round(v, 6).tolist() for name, v in scores.items()},
        "processor_seconds": round(float(seconds)),
    }
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    for name, row in record["ranks"].items():
        print(name, row)
    print({k: v for k, v in record.items() if k not in ("models", "ranks")})
    draw(record, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
