"""Can every factor of a scene be read from its pixels? R2 of a supervised encoder.

A small CNN learns to regress the latents of fresh pictures, drawn inside the training
step; R2 of each factor on other pictures. A factor that cannot be read here cannot be
recovered by any objective with this encoder.

Command: python experiments/read_factors.py [--scenes ident3d shapes3d] [--size 32]
         [--factors x y] [--steps 1500] [--batch 128]
         [--out experiments/results/read_factors.json]
--factors frees only these, which the scenes must have. Runs are kept below --root and
resumed. Time: one to ten minutes a scene on two CPU cores.
"""

import argparse
import json
import math
from pathlib import Path

import jax

from jidcl.cli.train import show_run
from jidcl.mixing.scenes import SCENES
from jidcl.systems.scenes.presets import Scenes


def settings(name: str, options: argparse.Namespace) -> Scenes:
    """Supervised regression of the free factors of a scene, uniform on [-1, 1]^n."""
    return Scenes(
        mixing=name,
        factors=tuple(options.factors),
        n=len(free(name, options)),
        objective="supervised",
        size=options.size,
        encoder=options.encoder,
        optimiser="adam",
        learning_rate=options.rate,
        warmup=100,
        batch=options.batch,
        steps=options.steps,
        chunk=20,
        eval_batch=1024,
        eval_batches=2,
    )


def free(name: str, options: argparse.Namespace) -> list[str]:
    """The factors that vary; the others stay in the middle of their range."""
    return options.factors or list(SCENES[name]().factors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", nargs="+", default=sorted(SCENES), choices=SCENES)
    parser.add_argument("--factors", nargs="+", default=[], help="all by default")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--encoder", default="cnn")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--root", type=Path, default=Path("runs/read_factors"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device, results = jax.devices()[0], {}
    for name in options.scenes:
        config = settings(name, options)
        record = show_run(config, name, system="scenes", seeds=[0], root=options.root)
        r2 = record.scores["r2_per_dim"][0]
        seconds = round(math.fsum(record.seconds.values()), 1)
        r2 = dict(zip(free(name, options), r2, strict=True))
        results[name] = {"r2": r2, "seconds": seconds}
        shown = ", ".join(f"{factor} {value:.3f}" for factor, value in r2.items())
        print(f"{name} ({seconds:.0f} s): {shown}", flush=True)
        if options.out:
            names = ("size", "encoder", "steps", "batch", "rate")
            held = {"device": f"{device.platform} {device.device_kind}"}
            held |= {key: getattr(options, key) for key in names}
            options.out.write_text(json.dumps(held | {"scenes": results}, indent=1))


if __name__ == "__main__":
    main()
