"""Linear systems under interventions: the tables, and designs against chance.

Command: python experiments/interventions.py --out FOLDER [--studies design kalman]
Writes FOLDER/interventions.json, after every study; studies that the file holds and
that are not asked for stay in it. `design` also draws FOLDER/interventions.png. Every
study writes down the seconds of a processor that it took.

design: error against the number of environments: random, designed one by one, at once,
and the maximal design, all of one power; 50 systems, 400 steps an environment.
environments: experiments of 50 systems that grow by one environment of 4,000 steps:
random, designed one by one and maximal, all of one power, profiles that stay
proportional, and uniform ones; it draws FOLDER/interventions_environments.png. grid:
recovery for d = 2, 3, 5, 8, 10, minimal and maximal. noise: recovery against the
variance of output noise; the DC motor. kalman: errors of the likelihood by the Kalman
filter against the variance of output noise, the fit of pairs beside it, 20 systems of
two states, and 20 of three of which two are seen; rows of other noises stay. sweeps:
what a fit of `minimal-2` loses by its 100 sweeps, four runs of 50 systems.

Expected of `design`, said after a look at seed 0 and before the run of seed 1, which is
the one on record: with the same number of environments the medians of both errors are
lower with either design than with random variances, and their 95 % intervals do not
meet; the mean loss of MCC of every design lies within 15 % of its closed form; with six
environments designed one by one is within 15 % of at once.

Expected of `kalman`, said before it was run: up to a variance of 0.1 at least 18 of 20
fits are as likely as the truth, the median error is below 0.15, and from 0.01 on it is
below half of that of pairs. Of three states, 16 of 20 and 0.2. Of a variance of 1, said
after the runs of 0.01 and 0.1 and before its own: the same, in both rows; and the error
grows with the variance.

Expected of `grid`, `environments` and `noise`, said before they were run: the share
with an MCC of 0.99 is 0.8 at least for d = 2, 3, 5, minimal and maximal, means of zero
or drawn; 8 and 10 are reported. Proportional profiles stay below 0.95 for any number of
environments; with uniform ones the mean MCC is above 0.95 from two on and above 0.99
from four on. With two states every noise of 0.01 and more is below 0.95. The motor is
above 0.98 up to a variance of 1e-6 and below 0.7 from 1e-4 on; the pooled MCC of the
published objective is 0.2 above that within environments wherever it has no noise.

Expected of designs in `environments`, said after the record of `design` and before this
run: one environment leaves the mean MCC below 0.95 with any method. Designed one by one
has lower medians of both errors than chance from two to six environments, and the 95 %
intervals do not meet at two and three. Its mean loss of MCC is within 15 % of the
closed form from two on. With four environments its median error of M is below that of
six random ones, and their intervals do not meet. The maximal design of four has a mean
loss within 15 % of it.
"""

import argparse
import itertools
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from interventions_designs import compare, draw, grown

from jidcl.run.runner import run
from jidcl.systems.lti.presets import DIMENSIONS, MEANS, Interventions, presets

SWEEPS = (100, 3000)
KALMAN_SYSTEMS, KALMAN_NOISES, FIT_STEPS = 20, (1e-4, 1e-2, 1e-1, 1.0), 60
OF_NOISE = ("noise-", "motor-")  # presets
SCORES = ("mcc", "mcc_within", "mcc_pooled", "recovered", "optimised", "g_error")
SCORES += ("m_error", "predicted", "source_mcc_within", "source_mcc_pooled")


def noise(root: Path) -> dict:
    """Scores of the presets of noise."""
    held = {}
    for name, config in presets().items():
        label = name.removeprefix("full/")
        if not name.startswith("full/") or not label.startswith(OF_NOISE):
            continue
        *_, last = run(config, preset=name, system="lti", seeds=[0], root=root)
        record = last.record
        held[label] = {s: record.mean(s) for s in SCORES if s in record.scores}
        told = ", ".join(f"{s} {held[label][s]:.4f}" for s in ("mcc", "mcc_within"))
        print(f"{label:<28} {told}", flush=True)
    return held


def keys_of(config: Interventions, seed: int):
    """Keys of the systems of a preset's run of that seed."""
    import jax

    from jidcl.numerics import stream_key

    key = jax.random.fold_in(stream_key(jax.random.key(seed), "eval"), 0)
    return jax.random.split(key, config.systems)


def grid() -> dict:
    """Scores of the presets `minimal-` and `maximal-`, one program a dimension."""
    import jax

    from jidcl.numerics import numbers_in
    from jidcl.systems.lti.evaluate import drawn, one_recovery

    def environments_of(config, key):
        return drawn(config, jax.random.split(key)[0])[1]

    held = {}
    for d in DIMENSIONS:
        base = presets()[f"full/minimal-{d}-zero"]
        fitted = jax.jit(jax.vmap(partial(one_recovery, base)))
        for design, means in itertools.product(("minimal", "maximal"), MEANS):
            label = f"{design}-{d}-{means}"
            config = presets()[f"full/{label}"]
            with numbers_in("float64"):
                keys = keys_of(config, 0)
                environments = jax.vmap(partial(environments_of, config))
                scores = jax.device_get(fitted(keys, jax.jit(environments)(keys)))
            held[label] = row = {
                name: float((np.median if "error" in name else np.mean)(scores[name]))
                for name in SCORES
                if name in scores
            }
            print(f"{label:<18}", row, flush=True)
    return held


def kalman(seed: int, noises: list[float]) -> dict:
    """Errors of fits by the Kalman filter's likelihood, medians over systems."""
    import jax
    import jax.numpy as jnp

    from jidcl.numerics import numbers_in
    from jidcl.systems.lti.filtered import NoisySystems, make_filtered

    def fitted(config, noise, key):
        program = make_filtered(replace(config, noise=noise))
        keys = jax.random.split(key, 3)
        frozen = program.freeze(keys[0])

        def step(run, t):
            return program.step(run, frozen, keys[1], t)[0], None

        run = program.start(frozen, keys[1])
        run, _ = jax.lax.scan(step, run, jnp.arange(FIT_STEPS))
        return program.evaluate(run, frozen, keys[2]).scores

    def whole(config, noises, keys):
        over = jax.vmap(partial(fitted, config), (None, 0))
        return jax.lax.map(lambda noise: over(noise, keys), noises)

    held = {}
    rows = {
        "two states": NoisySystems(),
        "three states, two seen": NoisySystems(states=3, starts=8),
    }
    with numbers_in("float64"):
        keys = jax.random.split(jax.random.key(seed), KALMAN_SYSTEMS)
        for name, config in rows.items():
            run_all = jax.jit(partial(whole, config))
            scores = jax.device_get(run_all(jnp.asarray(noises), keys))
            for i, noise in enumerate(noises):
                row = {k: float(np.median(v[i])) for k, v in scores.items()}
                row["optimised"] = float(np.mean(scores["optimised"][i]))
                held[f"{name}, {noise:g}"] = row
                print(f"{name}, {noise:g}", row, flush=True)
    return held


def sweeps() -> dict:
    """Systems recovered, and what is left to the maximum, by sweeps of a fit."""
    import jax
    import jax.numpy as jnp

    from jidcl.numerics import numbers_in
    from jidcl.systems.lti import estimators
    from jidcl.systems.lti.evaluate import correlations, drawn, of_pairs

    config = presets()["quick/minimal-2"]
    d = config.states

    def fitted(key):
        k_data, k_fit = jax.random.split(key)
        _, environments, rows = drawn(config, k_data)
        joint = estimators.moments_of(estimators.whitened(rows, 2 * d).rows)
        moments, own = of_pairs(joint, 2 * d), dict(starts=config.starts)
        found = [
            estimators.fit(k_fit, moments, d, environments.variance, sweeps=n, **own)
            for n in SWEEPS
        ]
        mcc = [correlations(joint, one.v).centred for one in found]
        return jnp.stack(mcc), jnp.stack([one.log_likelihood for one in found])

    pairs = config.count * config.length / 2
    held = {}
    with numbers_in("float64"):
        run_all = jax.jit(jax.vmap(fitted))
        for seed in range(4):
            mcc, value = jax.device_get(run_all(keys_of(config, seed)))
            left = pairs * (value.max(1, keepdims=True) - value)
            for i, n in enumerate(SWEEPS):
                held[f"seed {seed}, {n} sweeps"] = row = {
                    "recovered": float(np.mean(mcc[:, i] >= 0.99)),
                    "mcc": float(np.mean(mcc[:, i])),
                    "nats_left": float(left[:, i].max()),
                    "moved": float(np.abs(mcc[:, i] - mcc[:, -1]).max()),
                }
                print(f"seed {seed}, {n} sweeps", row, flush=True)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ("design", "environments", "grid", "noise", "kalman", "sweeps")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", nargs="*", choices=known, default=list(known))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--noises", nargs="+", type=float, default=KALMAN_NOISES, help="of kalman"
    )
    parser.add_argument("--root", type=Path, default=Path("runs/interventions"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "interventions.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    for study in options.studies:
        begun = time.process_time()
        if study == "design":
            held[study] = compare(options.seed)
            draw(held[study], path.with_suffix(".png"))
        elif study == "environments":
            held[study] = grown(options.seed)
            shown = {k: v for k, v in held[study].items() if "uniform" not in k}
            draw(shown, options.out / "interventions_environments.png")
        elif study == "kalman":  # other noises stay
            held[study] = held.get(study, {}) | kalman(options.seed, options.noises)
        elif study == "sweeps":
            held[study] = sweeps()
        else:
            held[study] = grid() if study == "grid" else noise(options.root)
        spent = time.process_time() - begun
        held.setdefault("processor_seconds", {})[study] = round(spent)
        print(f"{study}: {spent:.0f} s of a processor", flush=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")
        part.replace(path)


if __name__ == "__main__":
    main()
