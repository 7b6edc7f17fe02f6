"""Tokens per second of decoding: a batch of prompts against one by one.

Command: python experiments/decoding_rate.py [--models lstm transformer] [--new 64]
    [--rows 60] [--alone 10] [--out experiments/results/decoding_rate.json]
Time: a minute on two cores. `--alone` prompts are decoded one by one. Their tokens
must be those of the batch; times are of the second call, without compilation.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np

from jidcl.encoders.sequence import decode
from jidcl.latents.prompts import prompts
from jidcl.systems.autoregressive.presets import Autoregressive
from jidcl.systems.autoregressive.problem import make_model

MODELS = {
    "lstm": Autoregressive(),
    "transformer": Autoregressive().changed(model="transformer", width=8, layers=2),
}


def measured(name: str, options) -> dict:
    model = make_model(MODELS[name])
    params, state = jax.jit(model.init)(jax.random.key(0))

    @jax.jit
    def run(prompt):
        return decode(model, params, state, prompt, new=options.new, raw=True)

    held = np.asarray(prompts(8).outside)[: options.rows]
    jax.block_until_ready((run(held), run(held[:1])))
    begin = time.perf_counter()
    batch = np.asarray(run(held))
    batched = time.perf_counter() - begin
    begin = time.perf_counter()
    count = min(options.alone, len(held))
    alone = np.concatenate([run(held[i : i + 1]) for i in range(count)])
    single = time.perf_counter() - begin
    if not (alone == batch[:count]).all():
        raise AssertionError(f"{name}: rows of a batch are not those of single prompts")
    return dict(
        model=name,
        rows=len(held),
        batched=round(len(held) * options.new / batched),
        one_by_one=round(count * options.new / single),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=[*MODELS])
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--alone", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [measured(name, options) for name in options.models]
    for row in rows:
        print(
            f"{row['model']}: {row['batched']} tokens/s in a batch of {row['rows']}, "
            f"{row['one_by_one']} one by one, equal tokens"
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
