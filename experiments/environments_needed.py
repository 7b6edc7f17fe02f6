"""How many environments does a wanted accuracy need? Linear Gaussian pairs x -> y.

Accuracy over environments, spread of the parameters, noise of the effect and samples of
an environment, where the cause varies, the mechanism does, or both: by the law of the
decision from three tests (`jidcl.theory.decision_law`), and measured on drawn data sets
by Fisher's z, all in one compiled program. Then the rule
(`jidcl.theory.environments_for_accuracy`) on fresh data.

Units: the slope is 1, the cause's noise has variance 1. Spread is the standard
deviation of each parameter that varies, noise that of the effect's own noise. Samples
beyond two are averaged in halves.

Expected, and said before the run: measured and predicted shares differ by at most four
standard errors and 0.01; the rule's accuracy is met within 0.05.

Command: python experiments/environments_needed.py --out experiments/results
Writes environments_needed.json and environments_needed.png. Time: two minutes on two
quiet CPU cores; `--draw` makes the figure of a result that is there.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.systems.causal_definetti.pairs import bivariate_decision, bivariate_tests
from jidcl.theory import decision_law, environments_for_accuracy, linear_pair
from jidcl.train.programs import SELDOM

VARY = ("cause", "mechanism", "both")
ENVIRONMENTS = (50, 100, 200, 400, 800)
SPREADS = (0.25, 0.5, 1.0, 2.0, 4.0)
NOISES = (0.25, 0.5, 1.0, 2.0, 4.0)
SAMPLES = (2, 4, 16)
SETS = 200
WANTED = 0.9
# Vary, spread, noise and samples of the rows that test the rule.
RULED = (
    ("cause", 1.0, 1.0, 2),
    ("cause", 0.5, 1.0, 2),
    ("cause", 0.5, 1.0, 16),
    ("mechanism", 1.0, 1.0, 2),
    ("mechanism", 0.5, 0.5, 2),
    ("both", 1.0, 0.5, 2),
)


def law_of(vary: str, spread: float, noise: float, slope: float = 1.0) -> tuple:
    """Slope, and variances as `linear_pair` has them."""
    theta, psi = (
        spread**2 if vary in (name, "both") else 0.0 for name in ("cause", "mechanism")
    )
    return slope, theta, 1.0, psi, noise**2


def predicted(law: tuple, environments: float, samples: int):
    a, theta, e, psi, h = law
    half = samples / 2
    return decision_law(linear_pair(a, theta, e / half, psi, h / half), environments)


def draws(key, law, samples: int, environments: int):
    """x and y of `SETS` data sets, `[sets, environments, samples]`."""
    a, theta, e, psi, h = law
    shape = (2, SETS, environments, 1 + samples)
    normal = jax.random.normal(key, shape, jnp.float32).astype(float)
    x = jnp.sqrt(theta) * normal[0, ..., :1] + jnp.sqrt(e) * normal[0, ..., 1:]
    return x, a * x + jnp.sqrt(psi) * normal[1, ..., :1] + jnp.sqrt(h) * normal[
        1, ..., 1:
    ]


def decided(x, y):
    """Shares of the three decisions; halves of the samples are averaged."""
    x, y = (jnp.mean(v.reshape(*v.shape[:2], 2, -1), axis=-1) for v in (x, y))
    found = bivariate_decision(bivariate_tests(x, y, test="fisher_z"))
    return jnp.mean(found[:, None] == jnp.arange(3), axis=0)


def measure(laws: list[tuple], seed: int = 0) -> np.ndarray:
    """`[laws, samples, environments, 3]`, one program.

    Fewer environments and samples are the first ones of the same data sets.
    """

    def one(held):
        x, y = draws(*held, max(SAMPLES), max(ENVIRONMENTS))
        shares = [
            decided(x[:, :n, :samples], y[:, :n, :samples])
            for samples, n in itertools.product(SAMPLES, ENVIRONMENTS)
        ]
        return jnp.stack(shares).reshape(len(SAMPLES), len(ENVIRONMENTS), 3)

    def every(key, laws):
        return jax.lax.map(one, (jax.random.split(key, len(laws)), laws))

    with jax.enable_x64(True):
        own = jax.random.key(seed), jnp.array(laws)
        program = jax.jit(every).lower(*own).compile(compiler_options=SELDOM)
        return np.asarray(program(*own))


def phases() -> list[dict]:
    """A row for each setting: predicted and measured share of the right structure."""
    grid = list(itertools.product(VARY, SPREADS, NOISES))
    laws = [law_of(*held) for held in grid]
    # Independent variables: their share does not depend on anything.
    laws.append(law_of("both", 1.0, 1.0, slope=0.0))
    shares = measure(laws)
    rows = []
    for (i, samples), (k, law), (j, n) in itertools.product(
        enumerate(SAMPLES), enumerate(laws), enumerate(ENVIRONMENTS)
    ):
        vary, spread, noise = grid[k] if k < len(grid) else ("independent", 1.0, 1.0)
        right = 2 if vary == "independent" else 0
        row = dict(vary=vary, spread=spread, noise=noise, samples=samples)
        row |= dict(environments=n, predicted=predicted(law, n, samples)[right])
        rows.append(row | dict(measured=float(shares[k, i, j, right])))
    return rows


def distance(row: dict) -> float:
    """Standard errors between measured and predicted, after 0.01 of first order."""
    p = row["predicted"]
    error = max((p * (1 - p) / SETS) ** 0.5, 1 / SETS)
    return max(abs(row["measured"] - p) - 0.01, 0) / error


def rules() -> list[dict]:
    """The rule's number of environments, and the accuracy of fresh data there."""
    rows = []
    for index, (vary, spread, noise, samples) in enumerate(RULED):
        law = law_of(vary, spread, noise)
        a, theta, e, psi, h = law
        half = samples / 2
        pair = linear_pair(a, theta, e / half, psi, h / half)
        n = environments_for_accuracy(pair, WANTED)
        with jax.enable_x64(True):
            key = jax.random.key(1000 + index)
            found = decided(*draws(key, jnp.array(law), samples, n))
        row = dict(vary=vary, spread=spread, noise=noise, samples=samples)
        row |= dict(wanted=WANTED, environments=n, measured=float(found[0]))
        print(row, flush=True)
        rows.append(row)
    return rows


# Figure ------------------------------------------------------------------------------

PANELS = (
    ("environments", "spread", dict(noise=0.5, samples=2)),
    ("noise", "spread", dict(environments=200, samples=2)),
    ("environments", "samples", dict(spread=0.5, noise=0.5)),
)
FINE = 10


def draw(rows: list[dict], path: Path) -> None:
    """Colour: the law. Circles: measured, in the same colours."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 3, figsize=(11, 9), layout="constrained")
    levels = np.linspace(0, 1, 21)
    for vary, line in zip(VARY, axes, strict=True):
        for axis, (across, up, fixed) in zip(line, PANELS, strict=True):
            held = [
                row
                for row in rows
                if row["vary"] == vary and all(row[k] == v for k, v in fixed.items())
            ]
            x, y = (np.array([row[name] for row in held]) for name in (across, up))
            fine_x, fine_y = (np.geomspace(v.min(), v.max(), FINE) for v in (x, y))
            field = [
                [_law_at(vary, across, u, up, v, fixed) for u in fine_x] for v in fine_y
            ]
            own = dict(levels=levels, cmap="viridis")
            colour = axis.contourf(fine_x, fine_y, field, **own)
            axis.contour(fine_x, fine_y, field, levels=[WANTED], colors="white")
            seen = [row["measured"] for row in held]
            edge = dict(edgecolors="black", linewidths=0.8, s=60, zorder=3)
            edge |= dict(clip_on=False)
            axis.scatter(x, y, c=seen, vmin=0, vmax=1, cmap="viridis", **edge)
            axis.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
            for name, which in ((across, axis.xaxis), (up, axis.yaxis)):
                ticks = sorted({row[name] for row in held})
                which.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
                which.set_minor_locator(matplotlib.ticker.NullLocator())
            text = ", ".join(f"{k} {v:g}" for k, v in fixed.items())
            verb = "vary" if vary == "both" else "varies"
            axis.set_title(f"{vary} {verb}; {text}", fontsize=8)
    figure.colorbar(colour, ax=axes, label="x -> y found", shrink=0.6)
    figure.savefig(path, dpi=110)


def _law_at(vary, across, u, up, v, fixed) -> float:
    held = {**fixed, across: u, up: v}
    law = law_of(vary, held["spread"], held["noise"])
    return predicted(law, held["environments"], held["samples"])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    path = options.out / "environments_needed.json"
    if not options.draw:
        began = time.perf_counter()
        rows = phases()
        spent = time.perf_counter() - began
        result = dict(sets=SETS, seconds=round(spent, 1), rows=rows, rules=rules())
        path.write_text(json.dumps(result) + "\n")
    result = json.loads(path.read_text())
    worst = sorted(result["rows"], key=distance)[::-1]
    beyond = sum(distance(row) > 4 for row in worst)
    print(f"{beyond} of {len(worst)} beyond four standard errors; the three worst:")
    for row in worst[:3]:
        print(f"{distance(row):.1f}", row)
    off = [abs(row["measured"] - row["wanted"]) for row in result["rules"]]
    print(f"rule: off by at most {max(off):.3f}")
    draw(result["rows"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
