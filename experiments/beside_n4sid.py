"""1,000 linear systems in one program, beside N4SID one by one, on the same data.

Systems of d = 5 states, inputs and outputs; 6 environments of 200 steps in one run of
1,200. Ours sees outputs and the inputs' variances. N4SID (`nfoursid`, of the extra
`bench`) is run twice: with the inputs themselves (two block rows), and with outputs
alone (five), from which it has no M. Its order is given. It takes the first `--beside`
systems: 0.4 s of a processor each.

Errors are relative: of G = C A C^-1, and of M = C B with columns matched and scaled.
Times are seconds of a processor: others may use the machine.

Expected, said before the run: with the inputs N4SID is exact, as nothing is noisy; of
outputs alone its median error of G is above ours; ours takes less than a tenth of the
time of a system, its compilation included.

Command: python experiments/beside_n4sid.py --out experiments/results
Writes beside_n4sid.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

D, ENVIRONMENTS, LENGTH = 5, 6, 200


def drawn(systems: int, seed: int):
    """G, M, variances, controls and outputs of all systems, NumPy arrays."""
    import jax
    import jax.numpy as jnp

    from jidcl.latents import sample_environments, sample_system, simulate
    from jidcl.theory import pair_map

    def one(key):
        keys = jax.random.split(key, 3)
        system = sample_system(keys[0], D)
        held = sample_environments(keys[1], ENVIRONMENTS, D, design="uniform")
        normal = jax.random.normal(keys[2], (ENVIRONMENTS, LENGTH, D), float)
        controls = (jnp.sqrt(held.variance)[:, None] * normal).reshape(-1, D)
        told = pair_map(system)
        return told.g, told.m, held.variance, controls, simulate(system, controls)[1]

    keys = jax.random.split(jax.random.key(seed), systems)
    return jax.device_get(jax.jit(lambda keys: jax.lax.map(one, keys))(keys))


def ours(variance, outputs):
    """G and M of all systems, by one program."""
    import jax

    from jidcl.systems.lti import estimators
    from jidcl.systems.lti.evaluate import of_pairs

    def one(key, variance, outputs):
        rows = estimators.pair_rows(outputs.reshape(ENVIRONMENTS, LENGTH, D))
        white = estimators.whitened(rows, 2 * D)
        moments = of_pairs(estimators.moments_of(white.rows), 2 * D)
        v = estimators.fit(key, moments, D, variance).v @ white.inverse
        return estimators.parameters_of(v)

    def all_of(keys, *arrays):
        return jax.lax.map(lambda own: one(*own), (keys, *arrays), batch_size=50)

    keys = jax.random.split(jax.random.key(1), len(outputs))
    return jax.device_get(jax.jit(all_of)(keys, variance, outputs))


def n4sid(outputs, controls=None):
    """G and M of one system; M is None without controls."""
    import pandas as pd
    from nfoursid.nfoursid import NFourSID

    y, u = ([f"{name}{i}" for i in range(D)] for name in "yu")
    table = pd.DataFrame(outputs, columns=y)
    if controls is not None:
        table = table.join(pd.DataFrame(controls, columns=u))
    seen = None if controls is None else u
    rows = 5 if seen is None else 2
    held = NFourSID(table, output_columns=y, input_columns=seen, num_block_rows=rows)
    held.subspace_identification()
    model, _ = held.system_identification(rank=D)
    g = model.c @ model.a @ np.linalg.pinv(model.c)
    return g, None if controls is None else model.c @ model.b


def error(true, found) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def matched(true, found) -> list[float]:
    """Errors after columns are matched by |cosine| and scaled."""
    import jax

    from jidcl.numerics import numbers_in
    from jidcl.systems.lti.matching import aligned

    with numbers_in("float64"):
        return jax.jit(jax.vmap(aligned))(true, found).error.tolist()


def main() -> None:
    from jidcl.numerics import numbers_in

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--systems", type=int, default=1000)
    parser.add_argument("--beside", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with numbers_in("float64"):
        g, m, variance, controls, outputs = drawn(options.systems, options.seed)
        begun = time.process_time()
        found = {"ours": list(zip(*ours(variance, outputs), strict=True))}
        seconds = {"ours": time.process_time() - begun}
    ways = {"n4sid, inputs seen": controls, "n4sid, outputs alone": None}
    for name, seen in ways.items():
        begun = time.process_time()
        found[name] = [
            n4sid(y, None if seen is None else seen[i])
            for i, y in enumerate(outputs[: options.beside])
        ]
        seconds[name] = time.process_time() - begun
    record = {}
    for name, pairs in found.items():
        row = {
            "systems": len(pairs),
            "processor_seconds": round(seconds[name], 1),
            "seconds_each": round(seconds[name] / len(pairs), 4),
        }
        of_g = [error(true, own[0]) for true, own in zip(g, pairs, strict=False)]
        errors = {"g": of_g}
        if pairs[0][1] is not None:
            errors["m"] = matched(m[: len(pairs)], np.stack([own[1] for own in pairs]))
        for part, values in errors.items():
            for share in (0.1, 0.5, 0.9):
                row[f"{part}_error_{share:g}"] = float(np.quantile(values, share))
        record[name] = row
        print(name, row, flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "beside_n4sid.json"
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
