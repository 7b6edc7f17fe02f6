"""Linear systems under interventions: the tables, and designs against chance.

Command: python experiments/interventions.py --out FOLDER [--studies design kalman]
Writes FOLDER/interventions.json, after every study; studies that the file holds and
that are not asked for stay in it. `design` also draws FOLDER/interventions.png. Every
study writes down the seconds of a processor that it took.

design: error against the number of environments: random, designed one by one, at once,
and the maximal design, all of one power; 50 systems. grid: recovery for d = 2, 3, 5, 8,
10, minimal and maximal. environments: recovery against their number, and proportional
profiles. noise: recovery against the variance of output noise; the DC motor. kalman:
errors of the likelihood by the Kalman filter against the variance of output noise, the
fit of pairs beside it, 20 systems of two states, and 20 of three of which two are seen.
sweeps: what a fit of `minimal-2` loses by its 100 sweeps, four runs of 50 systems.

Expected of `design`, said after a look at seed 0 and before the run of seed 1, which is
the one on record: with the same number of environments the medians of both errors are
lower with either design than with random variances, and their 95 % intervals do not
meet; the mean loss of MCC of every design lies within 15 % of its closed form; with six
environments designed one by one is within 15 % of at once.

Expected of `kalman`, said before it was run: up to a variance of 0.1 at least 18 of 20
fits are as likely as the truth, the median error is below 0.15, and from 0.01 on it is
below half of that of pairs. Of three states, 16 of 20 and 0.2.

Expected of `grid`, `environments` and `noise`, said before they were run: the share
with an MCC of 0.99 is 0.8 at least for d = 2, 3, 5, minimal and maximal, means of zero
or drawn; 8 and 10 are reported. Proportional profiles stay below 0.95 for any number of
environments; with uniform ones the mean MCC is above 0.95 from two on and above 0.99
from four on. With two states every noise of 0.01 and more is below 0.95. The motor is
above 0.98 up to a variance of 1e-6 and below 0.7 from 1e-4 on; the pooled MCC of the
published objective is 0.2 above that within environments wherever it has no noise.
"""

import argparse
import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from jidcl.run.runner import run
from jidcl.systems.lti.presets import presets

INPUTS, BUDGET, LEAST, LENGTH, SYSTEMS = 3, 1.0, 0.02, 400, 50
COUNTS = (2, 3, 4, 6)
SWEEPS = (100, 3000)
KALMAN_SYSTEMS, KALMAN_NOISES, FIT_STEPS = 20, (1e-4, 1e-2, 1e-1, 1.0), 60
METHODS = ("random", "one by one", "at once", "maximal")
STARTS = {  # the presets of each study of presets
    "grid": ("minimal-", "maximal-"),
    "environments": ("environments-", "proportional-"),
    "noise": ("noise-", "motor-"),
}
SCORES = ("mcc", "mcc_within", "mcc_pooled", "recovered", "optimised", "g_error")
SCORES += ("m_error", "predicted", "source_mcc_within", "source_mcc_pooled")


def of_presets(study: str, root: Path) -> dict:
    """Scores of the presets of a study."""
    held = {}
    for name, config in presets().items():
        label = name.removeprefix("full/")
        if not name.startswith("full/") or not label.startswith(STARTS[study]):
            continue
        *_, last = run(config, preset=name, system="lti", seeds=[0], root=root)
        record = last.record
        held[label] = {s: record.mean(s) for s in SCORES if s in record.scores}
        told = ", ".join(f"{s} {held[label][s]:.4f}" for s in ("mcc", "mcc_within"))
        print(f"{label:<28} {told}", flush=True)
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

    from jidcl.numerics import numbers_in, stream_key
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
        for seed in range(4):  # the systems of the preset's run of that seed
            key = jax.random.fold_in(stream_key(jax.random.key(seed), "eval"), 0)
            keys = jax.random.split(key, config.systems)
            mcc, value = jax.device_get(run_all(keys))
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


def designs() -> dict[str, dict[int, np.ndarray]]:
    """Variances of each method that is the same for all systems, `[count, inputs]`."""
    import jax

    from jidcl.theory import design_interventions

    own = dict(budget=BUDGET, least=LEAST)
    keys = iter(jax.random.split(jax.random.key(11), 20))
    rows = np.full((1, INPUTS), BUDGET / INPUTS)
    found: dict[str, dict[int, np.ndarray]] = {"one by one": {}, "at once": {}}
    while len(rows) < max(COUNTS):
        new = design_interventions(next(keys), INPUTS, 1, before=rows, **own)
        rows = np.concatenate([rows, np.asarray(new)])
        if len(rows) in COUNTS:
            found["one by one"][len(rows)] = rows
    for count in COUNTS:
        new = design_interventions(next(keys), INPUTS, count, **own)
        found["at once"][count] = np.asarray(new)
    high = BUDGET - (INPUTS - 1) * LEAST
    ones = np.concatenate([np.zeros((1, INPUTS)), np.eye(INPUTS)])
    found["maximal"] = {INPUTS + 1: LEAST + (high - LEAST) * ones}
    return found


def compare(seed: int) -> dict:
    """Errors of every method and number of environments, a number a system."""
    import jax
    import jax.numpy as jnp

    from jidcl.latents import Environments, sample_series, sample_system
    from jidcl.numerics import numbers_in
    from jidcl.systems.lti import estimators
    from jidcl.systems.lti.evaluate import correlations, of_pairs
    from jidcl.systems.lti.matching import aligned
    from jidcl.theory import expected_mcc_loss, pair_map

    most = max(COUNTS)

    def of_one(mean, covariance, v):
        """MCC within an environment."""
        held = estimators.Moments(mean[None], covariance[None], jnp.ones(1))
        return correlations(held, v).centred

    def errors(key, variance, weights):
        k_system, k_data, k_fit = jax.random.split(key, 3)
        system = sample_system(k_system, INPUTS)
        driven = Environments(jnp.zeros_like(variance), variance)
        series = sample_series(k_data, system, driven, LENGTH)
        rows = estimators.pair_rows(series.outputs, series.controls)
        white = estimators.whitened(rows, 2 * INPUTS)
        joint = estimators.moments_of(white.rows)._replace(weights=weights)
        fit = estimators.fit(k_fit, of_pairs(joint, 2 * INPUTS), INPUTS, variance)
        _, m_hat = estimators.parameters_of(fit.v @ white.inverse)
        error = aligned(pair_map(system).m, m_hat).error
        # Environments that are not there have weight 0, and no share of a mean.
        within = jax.vmap(lambda *own: of_one(*own, fit.v))(*joint[:2])
        return 1 - jnp.sum(weights * within), error

    with numbers_in("float64"):
        found = designs()
        rng = np.random.default_rng(seed)
        run_all = jax.jit(jax.vmap(errors, (0, 0, None)))
        keys = jax.random.split(jax.random.key(seed), SYSTEMS)
        held: dict = {}
        for method in METHODS:
            for count in COUNTS if method != "maximal" else (INPUTS + 1,):
                if method == "random":
                    drawn = np.abs(rng.normal(size=(SYSTEMS, count, INPUTS))) / 2
                    share = drawn / drawn.sum(-1, keepdims=True)
                    variance = LEAST + (BUDGET - INPUTS * LEAST) * share
                else:
                    variance = np.stack([found[method][count]] * SYSTEMS)
                used = np.where(np.arange(most) < count, 1 / count, 0.0)
                own = np.ones((SYSTEMS, most - count, INPUTS))
                whole = np.concatenate([variance, own], axis=1)
                loss, error = run_all(keys, whole, used)
                told = [
                    float(expected_mcc_loss(v, count * LENGTH / 2, outputs=INPUTS))
                    for v in variance
                ]
                row = {"mcc_loss": loss, "m_error": error, "expected": told}
                held[f"{method}, {count}"] = {
                    name: summary(np.asarray(values)) for name, values in row.items()
                }
                print(f"{method}, {count}", held[f"{method}, {count}"], flush=True)
    return held


def summary(values: np.ndarray) -> dict[str, float]:
    """Median and mean over systems, with 95 % intervals of resampled systems."""
    rng = np.random.default_rng(0)
    drawn = values[rng.integers(0, len(values), (2000, len(values)))]
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    low_mean, high_mean = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return {
        "median": float(np.median(values)),
        "median_low": float(low),
        "median_high": float(high),
        "mean": float(values.mean()),
        "mean_low": float(low_mean),
        "mean_high": float(high_mean),
    }


def draw(held: dict, path: Path) -> None:
    """Medians against the number of environments, with their intervals."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    titles = {"mcc_loss": "1 - MCC within environments", "m_error": "error of M"}
    shifts = dict(zip(METHODS, (0.94, 1.0, 1.06, 1.12), strict=True))
    for axis, (score, title) in zip(axes, titles.items(), strict=True):
        for method in METHODS:
            counts = [c for c in COUNTS if f"{method}, {c}" in held]
            rows = [held[f"{method}, {c}"][score] for c in counts]
            middle = np.array([row["median"] for row in rows])
            ends = np.array([[r["median_low"], r["median_high"]] for r in rows]).T
            axis.errorbar(
                shifts[method] * np.array(counts),
                middle,
                yerr=np.abs(ends - middle),
                marker="o",
                ms=4,
                capsize=3,
                label=method,
            )
        axis.set_yscale("log")
        axis.set_xlabel("environments")
        axis.set_xticks(COUNTS, [str(c) for c in COUNTS])
        axis.set_title(f"{title}, median of {SYSTEMS} systems")
        axis.grid(alpha=0.3)
    axes[0].legend()
    fig.tight_layout()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = ("design", "kalman", "sweeps", *STARTS)
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
        elif study == "kalman":
            held[study] = kalman(options.seed, options.noises)
        elif study == "sweeps":
            held[study] = sweeps()
        else:
            held[study] = of_presets(study, options.root)
        spent = time.process_time() - begun
        held.setdefault("processor_seconds", {})[study] = round(spent)
        print(f"{study}: {spent:.0f} s of a processor", flush=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")
        part.replace(path)


if __name__ == "__main__":
    main()
