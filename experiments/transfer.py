"""An encoder trained on rendered pictures, read out on pictures of Blender.

A small CNN learns the ten factors of `ident3d` (supervised, or with the contrastive
loss of Table 4, row 1), on pictures drawn inside the training step. Its outputs on the
1,600 pictures of threedident_mini, which it never saw, are then read out linearly: fit
on the first half, R2 of each factor on the second. Beside it: the same on our own
pictures of the same latents, and the outputs themselves where they were supervised.

Command: JIDCL_DATA=FOLDER python experiments/transfer.py [--objective contrastive]
         [--steps 1500] [--batch 128] [--out experiments/results/transfer.json]
The run is kept below --root and resumed. Time: ten to twenty minutes on two cores.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.data.files import data_file
from jidcl.data.image_folder import read_image_folder
from jidcl.metrics import determination, r2
from jidcl.mixing.scenes import Ident3D
from jidcl.runner import run, trained
from jidcl.systems.pictures import draw_pictures, make_image_encoder
from jidcl.systems.scenes_presets import TABLE4, Scenes

CHUNK = 100
COMMON: dict[str, Any] = dict(
    encoder="cnn", hue="published", chunk=20, eval_batch=512, eval_batches=2
)


def settings(options: argparse.Namespace) -> Scenes:
    """Table 4's first row with the small CNN, or its supervised twin."""
    own: dict[str, Any] = dict(
        steps=options.steps, batch=options.batch, learning_rate=options.rate
    )
    if options.objective == "supervised":
        own |= dict(objective="supervised", output="none")
    return dataclasses.replace(TABLE4["t4r1"], **COMMON, **own)


def in_chunks(function, rows: np.ndarray) -> jax.Array:
    """function of `[CHUNK, ...]` over all rows; CHUNK divides their number."""
    parts = jnp.asarray(rows).reshape(-1, CHUNK, *rows.shape[1:])
    return jnp.concatenate([function(part) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--objective", choices=("supervised", "contrastive"), default="supervised"
    )
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--root", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    z, x = read_image_folder(data_file("threedident_mini/raw_latents.npy").parent)
    config, shown, seconds = settings(options), {}, {}
    own: dict[str, Any] = dict(
        system="scenes", preset=options.objective, seeds=[0], root=options.root
    )
    for event in run(config, **own):
        if event.scores and event.scores != shown:
            shown = event.scores
            print(f"{event.step}/{event.steps}: R2 {shown['r2']:.3f}", flush=True)
        seconds = event.record.seconds if event.record else {}
    state = trained(config, **own)
    held = jax.tree.map(lambda leaf: leaf[0], (state.params, state.state))
    space = dict(output=config.output, output_size=config.output_size)
    encoder = make_image_encoder(config, config.n, **space)
    f = jax.jit(lambda x: encoder.apply(*held, x)[0])
    real = in_chunks(f, x.astype(np.float32) / 255)
    draw = jax.jit(lambda z: f(draw_pictures(config, z)))
    ours, z = in_chunks(draw, z), jnp.asarray(z)
    scores = {
        "Blender's pictures, read out": r2(z, real, split=True).per_dim,
        "our pictures, read out": r2(z, ours, split=True).per_dim,
    }
    if options.objective == "supervised":
        scores["Blender's pictures, outputs"] = determination(z, real)
        scores["our pictures, outputs"] = determination(z, ours)
    table = {
        name: dict(zip(Ident3D.factors, map(float, values), strict=True))
        for name, values in scores.items()
    }
    for name, row in table.items():
        print(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in row.items()))
    if options.out:
        device = jax.devices()[0]
        record = {
            "device": f"{device.platform} {device.device_kind}",
            "objective": options.objective,
            "steps": options.steps,
            "batch": options.batch,
            "rate": options.rate,
            "seconds": seconds,
            "r2": table,
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
