"""Cost of one InfoNCE loss with gradients: time, memory, and the ratio to the floor.

python benchmarks/pairwise.py [--batch 6144] [--n 10] [--repeats 7] [--out FILE]

Floor: 9 n B^2 flops for a p-norm (3 n forward, twice that backward; 6 n for a dot
product) at the rate of a large matmul, and B^2 exponentials at the rate of a large
vectorised exp, both measured in the same run.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.losses import Similarity, infonce

CASES = {
    "dot": Similarity(),
    "p=1": Similarity("lp", 1.0),
    "p=2": Similarity("lp", 2.0),
    "p=3": Similarity("lp", 3.0),
}


def seconds(function, *args, repeats):
    """Sorted wall times of a compiled function, and its compilation."""
    began = time.perf_counter()
    compiled = jax.jit(function).lower(*args).compile()
    compiling = time.perf_counter() - began
    jax.block_until_ready(compiled(*args))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        times.append(time.perf_counter() - began)
    return np.sort(times), compiling, compiled.memory_analysis().temp_size_in_bytes


def ceilings(repeats):
    """Flops a second of a large matmul, exponentials and bytes a second."""
    a, x = jnp.ones((2048, 2048)), jnp.linspace(-5, 0, 2**24)
    matmul = seconds(lambda a: a @ a, a, repeats=repeats)[0][0]
    exp = seconds(jnp.exp, x, repeats=repeats)[0][0]
    copy = seconds(lambda x: x + 1, x, repeats=repeats)[0][0]
    return {
        "flops": 2 * 2048**3 / matmul,
        "exps": x.size / exp,
        "bytes": 8 * x.size / copy,
    }


def measure(name, similarity, batch, n, tile, top, repeats):
    keys = jax.random.split(jax.random.key(0))
    y, y_pos = (0.3 * jax.random.normal(key, (batch, n)) for key in keys)

    def loss(y, y_pos):
        return infonce(y, y_pos, similarity=similarity, tile=tile)[0]

    gradient = jax.value_and_grad(loss, argnums=(0, 1))
    times, compiling, memory = seconds(gradient, y, y_pos, repeats=repeats)
    flops = (6 if name == "dot" else 9) * n * batch**2
    floor = flops / top["flops"] + batch**2 / top["exps"]
    low, median, high = np.quantile(times, [0.1, 0.5, 0.9]).tolist()
    return {
        "similarity": name,
        "batch": batch,
        "n": n,
        "tile": tile,
        "median_s": median,
        "low_s": low,
        "high_s": high,
        "compile_s": compiling,
        "extra_bytes": memory,
        "floor_s": floor,
        "times_floor": median / floor,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[6144])
    parser.add_argument("--n", type=int, default=10)
    parser.add_argument("--tile", type=int, nargs="+", default=[0, 128, 512])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    top = ceilings(args.repeats)
    rows = []
    for batch in args.batch:
        for name, similarity in CASES.items():
            for tile in args.tile:
                settings = batch, args.n, tile or None, top, args.repeats
                rows.append(measure(name, similarity, *settings))
                print(
                    "{similarity:>4} B={batch} tile={tile}: {median_s:.3f} s, "
                    "{times_floor:.1f} x floor, ".format(**rows[-1])
                    + f"{rows[-1]['extra_bytes'] / 2**20:.0f} MiB extra",
                    flush=True,
                )
    device = jax.devices()[0]
    result = {
        "command": "python benchmarks/pairwise.py",
        "device": f"{device.platform} {device.device_kind}",
        "machine": platform.machine(),
        "jax": jax.__version__,
        "ceilings": top,
        "rows": rows,
    }
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
