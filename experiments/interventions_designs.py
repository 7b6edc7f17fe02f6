"""Errors against the number of environments, for designs and for chance.

Both studies are run by `interventions.py`, which says what was expected of them. Every
study is one program, for all systems and numbers of environments: an environment that
is not there yet has weight 0.
"""

from functools import partial
from pathlib import Path

import numpy as np

INPUTS, BUDGET, LEAST, SYSTEMS = 3, 1.0, 0.02, 50
COUNTS = (2, 3, 4, 6)
METHODS = ("random", "one by one", "at once", "maximal")
GROWN = ("random", "one by one", "maximal", "proportional", "uniform")
DESIGN_LENGTH, GROWN_LENGTH = 400, 4000
RECOVERED = 0.99
TITLES = {"mcc_loss": "1 - MCC within environments", "m_error": "error of M"}


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


def by_chance(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random variances of the same power, `[systems, count, inputs]`."""
    drawn = np.abs(rng.normal(size=(SYSTEMS, count, INPUTS))) / 2
    share = drawn / drawn.sum(-1, keepdims=True)
    return LEAST + (BUDGET - INPUTS * LEAST) * share


def program(length: int):
    """Errors of systems, `[systems, masks]`, of keys, variances and masks' weights."""
    import jax
    import jax.numpy as jnp

    from jidcl.latents import Environments, sample_series, sample_system
    from jidcl.systems.lti import estimators
    from jidcl.systems.lti.evaluate import correlations, of_pairs
    from jidcl.systems.lti.matching import aligned
    from jidcl.theory import pair_map

    def of_one(mean, covariance, v):
        """MCC within an environment."""
        held = estimators.Moments(mean[None], covariance[None], jnp.ones(1))
        return correlations(held, v).centred

    def of_system(key, variance, masks):
        k_system, k_data, k_fit = jax.random.split(key, 3)
        system = sample_system(k_system, INPUTS)
        driven = Environments(jnp.zeros_like(variance), variance)
        series = sample_series(k_data, system, driven, length)
        rows = estimators.pair_rows(series.outputs, series.controls)
        white = estimators.whitened(rows, 2 * INPUTS)
        whole = estimators.moments_of(white.rows)

        def of_mask(weights):
            joint = whole._replace(weights=weights)
            fit = estimators.fit(k_fit, of_pairs(joint, 2 * INPUTS), INPUTS, variance)
            _, m_hat = estimators.parameters_of(fit.v @ white.inverse)
            # Environments that are not there have weight 0, and no share of a mean.
            within = jax.vmap(lambda *own: of_one(*own, fit.v))(*joint[:2])
            return {
                "mcc_loss": 1 - jnp.sum(weights * within),
                "m_error": aligned(pair_map(system).m, m_hat).error,
                "mcc": correlations(joint, fit.v).centred,
            }

        return jax.vmap(of_mask)(masks)

    return jax.jit(jax.vmap(of_system, (0, 0, None)))


def filled(variance: np.ndarray) -> np.ndarray:
    """With environments of ones behind, as many as the largest count."""
    more = max(COUNTS) - variance.shape[1]
    return np.concatenate([variance, np.ones((SYSTEMS, more, INPUTS))], axis=1)


def weights_of(count: int) -> np.ndarray:
    """Of the first environments, equal; 0 of the others."""
    return np.where(np.arange(max(COUNTS)) < count, 1 / count, 0.0)


def told_by_variances(variance: np.ndarray, samples: int) -> np.ndarray:
    """The loss of MCC in closed form, a number a system."""
    from jidcl.theory import expected_mcc_loss

    of_one = partial(expected_mcc_loss, pairs=samples / 2, outputs=INPUTS)
    return np.array([float(of_one(own)) for own in variance])


def compare(seed: int) -> dict:
    """Errors of every method and number of environments, over systems."""
    import jax

    from jidcl.numerics import numbers_in

    with numbers_in("float64"):
        found = designs()
        rng = np.random.default_rng(seed)
        run_all = program(DESIGN_LENGTH)
        keys = jax.random.split(jax.random.key(seed), SYSTEMS)
        held: dict = {}
        for method in METHODS:
            for count in COUNTS if method != "maximal" else (INPUTS + 1,):
                if method == "random":
                    variance = by_chance(rng, count)
                else:
                    variance = np.stack([found[method][count]] * SYSTEMS)
                row = run_all(keys, filled(variance), weights_of(count)[None])
                row = {name: np.asarray(row[name])[:, 0] for name in TITLES}
                row["expected"] = told_by_variances(variance, count * DESIGN_LENGTH)
                held[f"{method}, {count}"] = {k: summary(v) for k, v in row.items()}
                print(f"{method}, {count}", held[f"{method}, {count}"], flush=True)
    return held


def grown(seed: int) -> dict:
    """Errors of experiments that grow by one environment, over systems."""
    import jax

    from jidcl.numerics import numbers_in

    most = max(COUNTS)
    rng = np.random.default_rng([seed, 1])
    scale = rng.uniform(0.1, 2.0, (SYSTEMS, most, 1))
    variances = {
        "random": by_chance(rng, most),
        "proportional": scale * rng.uniform(0.1, 2.0, (SYSTEMS, 1, INPUTS)),
        "uniform": rng.uniform(0.1, 2.0, (SYSTEMS, most, INPUTS)),
    }
    held: dict = {}
    with numbers_in("float64"):
        found = designs()
        for method in ("one by one", "maximal"):
            rows = found[method][max(found[method])]
            variances[method] = np.stack([rows] * SYSTEMS)
        run_all = program(GROWN_LENGTH)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), SYSTEMS)
        masks = np.stack([weights_of(count) for count in range(1, most + 1)])
        for method in GROWN:
            variance = variances[method]
            scores = jax.device_get(run_all(keys, filled(variance), masks))
            for count in range(1, variance.shape[1] + 1):
                row = {name: v[:, count - 1] for name, v in scores.items()}
                samples = count * GROWN_LENGTH
                own = told_by_variances(variance[:, :count], samples)
                if own.max() < 1:  # else these environments do not suffice
                    row["expected"] = own
                name = f"{method}, {count}"
                held[name] = {k: summary(v) for k, v in row.items()}
                share = float(np.mean(row["mcc"] >= RECOVERED))
                held[name]["recovered"] = share
                print(name, held[name], flush=True)
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

    methods = list(dict.fromkeys(name.split(", ")[0] for name in held))
    counts = sorted({int(name.split(", ")[1]) for name in held})
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, (score, title) in zip(axes, TITLES.items(), strict=True):
        for place, method in enumerate(methods):
            own = [c for c in counts if f"{method}, {c}" in held]
            rows = [held[f"{method}, {c}"][score] for c in own]
            middle = np.array([row["median"] for row in rows])
            ends = np.array([[r["median_low"], r["median_high"]] for r in rows]).T
            axis.errorbar(
                np.array(own) + 0.08 * (place - 1.5),
                middle,
                yerr=np.abs(ends - middle),
                marker="o",
                ms=4,
                capsize=3,
                label=method,
            )
        axis.set_yscale("log")
        axis.set_xlabel("environments")
        axis.set_xticks(counts, [str(c) for c in counts])
        axis.set_title(f"{title}, median of {SYSTEMS} systems")
        axis.grid(alpha=0.3)
    axes[0].legend()
    fig.tight_layout()
    fig.savefig(path, dpi=120)
    plt.close(fig)
