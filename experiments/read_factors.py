"""Can every factor of a scene be read from its pixels? R2 of a supervised encoder.

A small CNN learns to regress the latents of fresh pictures, drawn inside the training
step; R2 of each factor on other pictures, without a fitted map. A factor that cannot be
read here cannot be recovered by any objective with this encoder.

Command: python experiments/read_factors.py [--scenes ident3d shapes3d] [--size 32]
         [--steps 1500] [--batch 64] [--out experiments/results/read_factors.json]
Time: two to ten minutes a scene on two CPU cores (half a minute of it compiles).
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jidcl import Batch, Problem, fit
from jidcl.encoders import make_cnn
from jidcl.losses import mse
from jidcl.mixing.scenes import make_scene, render

SCENES = ("ident3d", "shapes3d", "sprites", "triangles", "masks")
TESTED = 8  # evaluation batches


def make_problem(name: str, size: int, batch: int) -> tuple[Problem, tuple[str, ...]]:
    """Regression of all latents of a scene, uniform on [-1, 1]^n."""
    scene = make_scene(name, size=size)
    n = len(scene.factors)
    f = make_cnn(size, scene.channels, n)
    picture = jax.vmap(lambda z: render(scene, z))

    def draw(frozen, key):
        z = jax.random.uniform(key, (batch, n), minval=-1, maxval=1)
        x = picture(z)
        return Batch(x, x, z, z)

    def loss(params, state, batch, key):
        # Pictures are dark: about unit spread is what the start of the network expects.
        return mse(f.apply(params, state, 4 * batch.x)[0], batch.z), (state, {})

    def evaluate(params, state, frozen, key):
        def one(key):
            b = draw(frozen, key)
            return b.z, f.apply(params, state, 4 * b.x)[0]

        z, y = jax.lax.map(one, jax.random.split(key, TESTED))
        left = jnp.mean((z - y) ** 2, axis=(0, 1))
        return {"r2_per_dim": 1 - left / jnp.var(z, axis=(0, 1))}

    def freeze(key):
        return {}

    return Problem(freeze, f.init, draw, loss, evaluate, evaluate), scene.factors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", nargs="+", default=SCENES, choices=SCENES)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device, results = jax.devices()[0], {}
    settings = dict(size=options.size, steps=options.steps, batch=options.batch)
    for name in options.scenes:
        problem, factors = make_problem(name, options.size, options.batch)
        rate = optax.warmup_cosine_decay_schedule(0.0, 2e-3, 100, options.steps)
        began = time.perf_counter()
        # Adam's bias correction promotes a Python float.
        with jax.numpy_dtype_promotion("standard"):
            _, scores = fit(problem, optax.adam(rate), seeds=1, steps=options.steps)
        r2 = dict(zip(factors, scores["r2_per_dim"][0].tolist(), strict=True))
        seconds = round(time.perf_counter() - began, 1)
        results[name] = {"r2": r2, "seconds": seconds}
        shown = ", ".join(f"{factor} {value:.3f}" for factor, value in r2.items())
        print(f"{name} ({seconds:.0f} s): {shown}", flush=True)
        if options.out:
            held = {"device": f"{device.platform} {device.device_kind}", **settings}
            held["scenes"] = results
            options.out.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
