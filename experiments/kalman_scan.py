"""The Kalman filter's likelihood step by step, in blocks, and by a parallel scan.

`jidcl.latents.kalman` has two forms: step by step through time with roots of
covariances, and in blocks of sqrt(time) steps side by side with covariances. The same
likelihood is an associative scan of log(time) depth. Which is faster here? All are
timed on random systems, likelihood alone and its gradient in A. Times are seconds of a
processor, the least of some calls: others may use the machine, and threads do not make
them less. Those of a first call of the gradient, compiler included, stand beside them.

Expected, said before the first run, of two states: the scan takes twice the time of
steps at least. Missed: it takes half. Expected after that and before the run on record:
blocks and the scan are both faster than steps with two and with five states, in value
and in gradient, at both lengths; all agree to 1e-8 of the likelihood in float64; blocks
take less of the compiler than the scan does; in float32 roots are closer to the
likelihood than blocks.

Command: python experiments/kalman_scan.py --out experiments/results
Writes kalman_scan.json, after every row; rows of other sizes stay. Time: ten minutes of
one core, most of them the compiler's.

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


def by_tree(system, outputs, mean, variance, noise, start):
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


WAYS = {"steps": kalman.by_roots, "blocks": kalman.in_blocks, "tree": by_tree}


def seconds_of(function, *args) -> tuple[float, float]:
    """Of a processor: the least of some calls, and of one that compiles."""
    found = []
    for _ in range(1 + CALLS):
        begun = time.process_time()
        jax.block_until_ready(function(*args))
        found.append(time.process_time() - begun)
    return min(found[1:]), found[0]


def measured(states: int, length: int, ways: list[str]) -> dict[str, float]:
    """Values and times of some forms on one random system."""
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

        for name in ways:
            way = WAYS[name]
            run, slope = (
                jax.jit(f(partial(value, way))) for f in (lambda f: f, jax.grad)
            )
            row[name] = float(run(system.a))
            row[f"{name}_seconds"], _ = seconds_of(run, system.a)
            times = seconds_of(slope, system.a)
            row[f"{name}_gradient_seconds"], row[f"{name}_first_call_seconds"] = times
    size = abs(row["steps"])
    for name in ways[1:]:
        row[f"{name}_difference"] = abs(row[name] - row["steps"]) / size
    with numbers_in("float32"):
        single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), given)
        for name in ("steps", "blocks"):
            found = float(jax.jit(WAYS[name])(*single))
            row[f"{name}_float32_error"] = abs(found - row["steps"]) / size
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--states", nargs="+", type=int, default=[2, 5])
    parser.add_argument("--times", nargs="+", type=int, default=[1000, 10_000])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    if options.ways[0] != "steps":
        parser.error("--ways must begin with steps, which others are compared with")
    device = jax.devices()[0]
    path = options.out / "kalman_scan.json"
    record = json.loads(path.read_text())["rows"] if path.exists() else {}
    held = {"device": f"{device.platform} {device.device_kind}", "rows": record}
    options.out.mkdir(parents=True, exist_ok=True)
    for states in options.states:
        for length in options.times:
            row = measured(states, length, options.ways)
            record[f"{states} states, {length} steps"] = row
            print(f"{states} states, {length} steps: {row}", flush=True)
            text = json.dumps(held, indent=1, sort_keys=True) + "\n"
            path.write_text(text)


if __name__ == "__main__":
    main()
