"""The Kalman filter's likelihood step by step, and by a parallel scan.

`jidcl.latents.kalman` has both forms: with roots of covariances through time, and with
covariances as an associative scan of log(time) depth, with more arithmetic. Which is
faster here? Both are timed on random systems, likelihood alone and its gradient in A.
Times are seconds of a processor, the least of some calls: others may use the machine,
and threads do not make them less. Those of the compiler stand beside them.

Expected, said before the first run, of two states: the parallel form takes twice the
time at least. Missed: it takes less than half. Expected after that and before the run
on record, in which elimination takes the place of LAPACK: the parallel form is faster
with two and with five states, in value and in gradient, at both lengths; in float64
both agree to 1e-8 of the likelihood; in float32 roots are closer to it.

Command: python experiments/kalman_scan.py --out experiments/results
Writes kalman_scan.json. Time: some minutes of one core.

Source: Särkkä, García-Fernández 2021, Temporal parallelization of Bayesian smoothers.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from jidcl.latents import kalman, sample_system, simulate
from jidcl.numerics import numbers_in

NOISE = 0.1
CALLS = 3
WAYS = {"roots": kalman.by_roots, "parallel": kalman.in_parallel}


def seconds_of(function, *args) -> tuple[float, float]:
    """Of a processor: the least of some calls, and of one that compiles."""
    found = []
    for _ in range(1 + CALLS):
        begun = time.process_time()
        jax.block_until_ready(function(*args))
        found.append(time.process_time() - begun)
    return min(found[1:]), found[0]


def measured(states: int, length: int) -> dict[str, float]:
    """Values and times of both forms on one random system."""
    row: dict[str, float] = {}
    with numbers_in("float64"):
        keys = jax.random.split(jax.random.key(states), 3)
        system = sample_system(keys[0], states)
        controls = jax.random.normal(keys[1], (length, states))
        noise = NOISE**0.5 * jax.random.normal(keys[2], (length, states))
        outputs = simulate(system, controls)[1] + noise
        zero, one = jnp.zeros(states), jnp.ones(states)
        given = system, outputs, zero, one, jnp.asarray(NOISE), zero

        def value(way, a):
            return way(system._replace(a=a), *given[1:])

        for name, way in WAYS.items():
            run, slope = (
                jax.jit(f(partial(value, way))) for f in (lambda f: f, jax.grad)
            )
            row[name] = float(run(system.a))
            row[f"{name}_seconds"], _ = seconds_of(run, system.a)
            times = seconds_of(slope, system.a)
            row[f"{name}_gradient_seconds"], row[f"{name}_compiler_seconds"] = times
    size = abs(row["roots"])
    row["difference"] = abs(row["parallel"] - row["roots"]) / size
    with numbers_in("float32"):
        for name, way in WAYS.items():
            single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), given)
            found = float(jax.jit(way)(*single))
            row[f"{name}_float32_error"] = abs(found - row["roots"]) / size
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--states", nargs="+", type=int, default=[2, 5])
    parser.add_argument("--times", nargs="+", type=int, default=[1000, 10_000])
    options = parser.parse_args()
    record = {}
    for states in options.states:
        for length in options.times:
            row = measured(states, length)
            record[f"{states} states, {length} steps"] = row
            print(f"{states} states, {length} steps: {row}", flush=True)
    device = jax.devices()[0]
    held = {"device": f"{device.platform} {device.device_kind}", "rows": record}
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(held, indent=1, sort_keys=True) + "\n"
    (options.out / "kalman_scan.json").write_text(text)


if __name__ == "__main__":
    main()
