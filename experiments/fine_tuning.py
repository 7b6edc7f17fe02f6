"""One function, three sets of parameters: are they fine-tuned alike?

A small Transformer is trained on a^n b^n. Its ReLU layers are rescaled by alpha, which
changes no logit, and every copy is fine-tuned on a^n b^n a^n by the same SGD.

Command: python experiments/fine_tuning.py [--seeds 3] [--steps 800] [--tuning 400]
    [--rate 0.05] [--out experiments/results/fine_tuning.json]
Time: two minutes on two cores. The picture lies beside the JSON.
Expected: logits equal to 1e-4 and first losses equal; losses after tuning that differ
by more than 10 % between alpha = 1 and the others in at least three of four cases;
alpha = 1 equal to no rescaling. The loss after tuning is the mean of the last tenth:
at a rate of 0.05 single steps jump by more, so `--rate 0.01 --seeds 8` is judged.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jidcl
from jidcl.encoders.transformer import rescaled_feed_forward
from jidcl.latents.grammar import sentences
from jidcl.losses.sequence import next_token_nll, sequence_floor
from jidcl.systems.autoregressive.presets import presets
from jidcl.systems.autoregressive.problem import make_model, make_program

ALPHAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SYMBOLS = 32  # most of a body, before and after


def pretrained(seeds: int, steps: int):
    """The model, its state, and parameters `[seeds, ...]`."""
    config = presets()["quick/transformer"].changed(steps=steps)
    state, found = jidcl.fit(make_program(config), seeds=seeds, steps=steps)
    print("nats a sentence above the floor:", np.round(found.scores["excess"], 3))
    held = jax.device_get((state.run.params, state.run.state))
    return make_model(config), *held


def tuned(model, params, state, *, steps: int, rate: float):
    """(largest change of a logit, loss at every step) of every alpha of a seed."""
    before, after = (sentences(name, SYMBOLS) for name in ("aNbN", "aNbNaN"))

    def logits(params, tokens):
        return model.apply(params, state, tokens[:, :-1])[0]

    def loss(params):
        return next_token_nll(logits(params, after), after[:, 1:])

    def one(alpha):
        own = rescaled_feed_forward(params, alpha)
        moved = jnp.max(jnp.abs(logits(own, before) - logits(params, before)))

        def step(own, _):
            value, slopes = jax.value_and_grad(loss)(own)
            return jax.tree.map(lambda w, g: w - rate * g, own, slopes), value

        return moved, jax.lax.scan(step, own, length=steps)[1]

    return jax.lax.map(one, jnp.asarray(ALPHAS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--tuning", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    model, params, state = pretrained(options.seeds, options.steps)
    own = dict(steps=options.tuning, rate=options.rate)
    run = jax.jit(jax.vmap(lambda p, s: tuned(model, p, s, **own)))
    moved, losses = jax.device_get(run(params, state))
    positions = SYMBOLS + 1
    nats = positions * losses  # [seeds, alphas, steps]
    after = nats[:, :, -max(options.tuning // 10, 1) :].mean(2)
    floor = sequence_floor(len(sentences("aNbNaN", SYMBOLS)), positions).per_sequence
    print(f"floor of a^n b^n a^n: {floor:.3f} nats a sentence")
    for i, alpha in enumerate(ALPHAS):
        print(
            f"alpha {alpha:<4g} logits moved by {moved[:, i].max():.1e}; nats at first "
            f"{np.round(nats[:, i, 0], 2)}, after tuning {np.round(after[:, i], 2)}"
        )
    apart = np.abs(after / after[:, [ALPHAS.index(1)]] - 1) > 0.1
    cases = apart.size - len(apart)
    print(f"more than 10 % from alpha = 1: {apart.sum()} of {cases}")
    if options.out:
        kept = nats[:, :, :: max(options.tuning // 100, 1)]
        held = dict(alphas=ALPHAS, rate=options.rate, floor=floor, moved=moved.tolist())
        held |= dict(nats=np.round(kept, 4).tolist(), tuning=options.tuning)
        held |= dict(after=np.round(after, 4).tolist(), apart=int(apart.sum()))
        options.out.write_text(json.dumps(held, indent=1) + "\n")
        draw(nats, floor, options.out.with_suffix(".png"))


def draw(nats: np.ndarray, floor: float, path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4))
    colours = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(ALPHAS)))
    for i, (alpha, colour) in enumerate(zip(ALPHAS, colours, strict=True)):
        for seed, curve in enumerate(nats[:, i]):
            name = None if seed else f"alpha = {alpha:g}"
            axis.plot(curve, color=colour, label=name, linewidth=1)
    axis.axhline(floor, color="black", linestyle=":", linewidth=1)
    axis.set(xlabel="steps of SGD", ylabel="nats a sentence of a^n b^n a^n")
    axis.set(title="Equal logits at the start; dotted: the floor", yscale="log")
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
