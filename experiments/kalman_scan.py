"""The Kalman filter's likelihood step by step, and by a parallel scan.

`jidcl.latents.kalman_log_likelihood` goes through time. The same likelihood is an
associative scan of log(time) depth, with more arithmetic: which is faster here? Both
are timed on random systems, likelihood alone and its gradient in A. Times are seconds
of a processor, the least of some calls: others may use the machine, and threads do not
make them less.

Expected, said before the run: on a CPU the sequential form takes less than half of the
time of the parallel one at every size, which two cores cannot make up for; the two
agree to 1e-8 of the likelihood.

Command: python experiments/kalman_scan.py --out experiments/results
Writes kalman_scan.json. Time: two minutes of one core.

Source: Särkkä, García-Fernández 2021, Temporal parallelization of Bayesian smoothers.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp

from jidcl.latents import kalman_log_likelihood, sample_system, simulate
from jidcl.numerics import numbers_in

NOISE = 0.1
CALLS = 3


def combined(first, second):
    """Two stretches of time as one, each `(A, b, C, eta, J)`."""
    a1, b1, c1, eta1, j1 = first
    a2, b2, c2, eta2, j2 = second
    n = len(b1)
    inverse = jnp.linalg.inv(jnp.eye(n) + c1 @ j2)
    ahead = a2 @ inverse
    # (I + J2 C1)^-1 = (I + C1 J2)^-T, as C1 and J2 are symmetric.
    back = a1.T @ inverse.T
    return (
        ahead @ a1,
        ahead @ (b1 + c1 @ eta2) + b2,
        ahead @ c1 @ a2.T + c2,
        back @ (eta2 - j2 @ b1) + eta1,
        back @ j2 @ a1 + j1,
    )


def parallel_log_likelihood(system, outputs, *, mean, variance, noise):
    """`kalman_log_likelihood` of x_0 = 0 and no gaps, by an associative scan."""
    a, b, c = system
    n, p = len(a), len(c)
    push, drive = b @ mean, (b * variance) @ b.T
    inner = c @ drive @ c.T + noise * jnp.eye(p)
    gain = jnp.linalg.solve(inner, c @ drive).T
    back = jnp.linalg.solve(inner, c @ a).T

    def element(y):
        error = y - c @ push
        left = jnp.eye(n) - gain @ c
        new = (left @ a, push + gain @ error, left @ drive)
        return (*new, back @ error, back @ c @ a)

    elements = jax.vmap(element)(outputs)
    zero = jax.tree.map(lambda x: jnp.zeros_like(x[:1]), elements)
    rest = jax.tree.map(lambda x: x[1:], elements)
    elements = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), zero, rest)
    _, x, cov, _, _ = jax.lax.associative_scan(jax.vmap(combined), elements)

    def log_of(y, x, cov):
        inner = c @ cov @ c.T + noise * jnp.eye(p)
        error = y - c @ x
        solved, size = jnp.linalg.solve(inner, error), jnp.linalg.slogdet(inner)[1]
        return -0.5 * (error @ solved + size + p * jnp.log(2 * jnp.pi))

    ahead = x[:-1] @ a.T + push
    spread = a @ cov[:-1] @ a.T + drive
    first = log_of(outputs[0], jnp.zeros(n), jnp.zeros((n, n)))
    return first + jnp.sum(jax.vmap(log_of)(outputs[1:], ahead, spread))


def seconds_of(function, *args) -> float:
    """Of a processor: the least of some calls, after one that compiles."""
    jax.block_until_ready(function(*args))
    found = []
    for _ in range(CALLS):
        begun = time.process_time()
        jax.block_until_ready(function(*args))
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--states", nargs="+", type=int, default=[2, 5])
    parser.add_argument("--times", nargs="+", type=int, default=[1000, 10_000])
    options = parser.parse_args()
    ways = {"sequential": kalman_log_likelihood, "parallel": parallel_log_likelihood}
    record = {}
    for states in options.states:
        for length in options.times:
            with numbers_in("float64"):
                keys = jax.random.split(jax.random.key(states), 3)
                system = sample_system(keys[0], states)
                controls = jax.random.normal(keys[1], (length, states))
                noise = NOISE**0.5 * jax.random.normal(keys[2], (length, states))
                outputs = simulate(system, controls)[1] + noise
                own = dict(mean=jnp.zeros(states), variance=jnp.ones(states))
                row: dict[str, float] = {}
                for name, way in ways.items():

                    def value(a, way=way, system=system, outputs=outputs, own=own):
                        moved = system._replace(a=a)
                        return way(moved, outputs, noise=NOISE, **own)

                    run, slope = jax.jit(value), jax.jit(jax.grad(value))
                    row[name] = float(run(system.a))
                    row[f"{name}_seconds"] = seconds_of(run, system.a)
                    row[f"{name}_gradient_seconds"] = seconds_of(slope, system.a)
                gap = abs(row["parallel"] - row["sequential"])
                row["difference"] = gap / abs(row["sequential"])
            record[f"{states} states, {length} steps"] = row
            print(f"{states} states, {length} steps: {row}", flush=True)
    device = jax.devices()[0]
    held = {"device": f"{device.platform} {device.device_kind}", "rows": record}
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(held, indent=1, sort_keys=True) + "\n"
    (options.out / "kalman_scan.json").write_text(text)


if __name__ == "__main__":
    main()
