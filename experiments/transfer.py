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
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.cli.train import show_run
from jidcl.data.files import data_file
from jidcl.data.image_folder import read_image_folder
from jidcl.metrics import determination, r2
from jidcl.mixing.scenes import Ident3D
from jidcl.run.runner import trained
from jidcl.systems.scenes.presets import TABLE4, Scenes
from jidcl.systems.shared.sources import make_source


def settings(options: argparse.Namespace) -> Scenes:
    """Table 4's first row with the small CNN, or its supervised twin."""
    row = TABLE4["t4r1"].changed(
        encoder="cnn",
        hue="published",
        chunk=20,
        eval_batch=512,
        eval_batches=2,
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.rate,
    )
    if options.objective == "supervised":
        return row.changed(objective="supervised", output="none")
    return row


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
    config = settings(options)
    own: dict[str, Any] = dict(system="scenes", seeds=[0])
    record = show_run(config, options.objective, root=options.root, **own)
    state = trained(config, preset=options.objective, root=options.root, **own)
    held = jax.tree.map(lambda leaf: leaf[0], (state.run.params, state.run.state))
    source = make_source(config)
    encoder = source.encoder(
        config.n, output=config.output, output_size=config.output_size
    )

    def f(x):
        return encoder.apply(*held, x)[0]

    def h(z):
        return f(source.observe({}, z))

    z = jnp.asarray(z)
    real = jax.jit(lambda x: source.read(f, x))(x.astype(np.float32) / 255)
    ours = jax.jit(lambda z: source.read(h, z))(z)
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
        kept = {
            "device": f"{device.platform} {device.device_kind}",
            "objective": options.objective,
            "steps": options.steps,
            "batch": options.batch,
            "rate": options.rate,
            "seconds": record.seconds,
            "r2": table,
        }
        options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
