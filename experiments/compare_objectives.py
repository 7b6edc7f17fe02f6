"""Every self-supervised objective on the same pairs: what does each recover?

For each data set and objective the learning rate is the one of `RATES` with the best
mean linear R2 of the shared latents over the validation seeds; the same rule for all,
because losses of different methods cannot be compared. It is the only use of labels.
Then the test seeds, with other mixings, are trained once at that rate.

Command: python experiments/compare_objectives.py [--data n1 box ...] [--steps 300]
         [--objectives ...] [--root runs/compare-objectives]
         [--out experiments/results] [--finished] [--again vicreg]
Half a minute a cell (data set and objective) on two quiet cores. Finished cells are
read back; the record, the table and the picture lie in the folder `--out`. With
`--again` the objectives named are trained, and all other rows are those of the record.
"""

import argparse
import dataclasses
import hashlib
import json
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jidcl.numerics import stream_key
from jidcl.optim import make_optimiser
from jidcl.systems.rivals import evaluate
from jidcl.systems.rivals.presets import DATA, OBJECTIVES, QUICK, Rivals
from jidcl.systems.rivals.problem import make_problem
from jidcl.systems.rivals.process import build_encoder
from jidcl.systems.shared.sources import make_source
from jidcl.train import gradient
from jidcl.train.state import frozen_draws, start_state
from jidcl.train.step import make_step

RATES = (2e-3, 8e-3, 3.2e-2)
VALIDATION_SEEDS = (100, 101)
TEST_SEEDS = (0, 1, 2)
COLUMNS = ("content", "style", "style_oracle", "r2", "mcc", "effective_rank", "spread")


def training(config: Rivals):
    """`(rate, seed, frozen) -> (params, last loss)` of many runs, one program."""
    problem = make_problem(config)

    def one(rate, seed, frozen):
        # Adam's updates are proportional to its rate, which may thus be traced.
        unit = make_optimiser(
            "adam",
            1.0,
            steps=config.steps,
            schedule=config.schedule,
            warmup=config.warmup,
        )
        program = gradient(problem, optax.chain(unit, optax.scale(rate)))
        step = make_step(program)
        state = start_state(program, seed, frozen)
        state, metrics = jax.lax.scan(
            lambda run, _: step(run), state, length=config.steps
        )
        return state.params, metrics["loss"][-1]

    return jax.jit(jax.vmap(one))


def frozen_of(config: Rivals, seeds):
    """Mixings and laws of the seeds, with a leading axis."""
    problem = make_problem(config)
    draw = jax.jit(lambda s: jax.lax.map(lambda seed: frozen_draws(problem, seed), s))
    return draw(np.asarray(seeds, np.int32))


# One program for all encoders with as many outputs.
score_rows = jax.jit(evaluate.scores, static_argnames=("n_c", "cross_validate"))


def scores_of(config: Rivals, f, params, frozen, seeds) -> dict[str, list]:
    """Scores of `f(params, x)`, run after run."""
    source = make_source(config)

    def at(tree, index):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)

    def draw_one(params, frozen, seed):
        key = stream_key(jax.random.key(seed), "eval")
        rows = evaluate.draw_rows(config, source, partial(f, params), frozen, key)
        return rows, evaluate.style_oracle(frozen)

    draw = jax.jit(lambda index, *trees: draw_one(*(at(t, index) for t in trees)))
    found = []
    for index in range(len(seeds)):
        (fit, held), oracle = draw(index, params, frozen, seeds)
        scores = score_rows(
            fit.z,
            fit.y,
            held.z,
            held.y,
            n_c=config.n_c,
            cross_validate=config.cross_validate,
        )
        found.append({**scores, **oracle})
    return {
        name: [np.asarray(one[name]).tolist() for one in found] for name in found[0]
    }


def compare(config: Rivals) -> dict:
    """One cell: choose the rate on validation seeds, train and score the test seeds."""
    train, encoder = training(config), build_encoder(config)
    count = len(RATES)

    def f(params, x):
        return encoder.apply(params, {}, x)[0]

    by_rate, seconds = [], []
    for seed in VALIDATION_SEEDS:
        seeds = np.full(count, seed, np.int32)
        frozen = frozen_of(config, seeds[:1])
        frozen = jax.tree.map(lambda a: np.repeat(np.asarray(a), count, axis=0), frozen)
        began = time.perf_counter()
        params, _ = jax.block_until_ready(
            train(np.asarray(RATES, np.float32), seeds, frozen)
        )
        seconds.append(time.perf_counter() - began)
        by_rate.append(scores_of(config, f, params["f"], frozen, seeds)["r2"])
    validation = np.mean(by_rate, axis=0)
    rate = RATES[int(np.argmax(np.nan_to_num(validation, nan=-np.inf)))]
    seeds = np.asarray(TEST_SEEDS, np.int32)
    frozen = frozen_of(config, seeds)
    rates = np.full(len(seeds), rate, np.float32)
    params, loss = train(rates, seeds, frozen)
    return {
        "data": config.data,
        "objective": config.objective,
        "outputs": config.outputs,
        "rate": rate,
        "validation_r2": validation.tolist(),
        "loss": np.asarray(loss).tolist(),
        "metrics": scores_of(config, f, params["f"], frozen, seeds),
        "ms_per_step": 1000 * seconds[-1] / config.steps / count,
    }


def nulls(config: Rivals) -> list[dict]:
    """Scores of the observations themselves and of untrained encoders."""
    seeds = np.asarray(TEST_SEEDS, np.int32)
    frozen = frozen_of(config, seeds)
    problem, encoder = make_problem(config), build_encoder(config)
    init = jax.jit(lambda s: problem.init(stream_key(jax.random.key(s), "init"))[0])
    params = [init(seed)["f"] for seed in seeds]
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *params)

    def untrained(params, x):
        return encoder.apply(params, {}, x)[0]

    rows = []
    for name, f in (("raw x", lambda _, x: x), ("untrained", untrained)):
        metrics = scores_of(config, f, params, frozen, seeds)
        rows.append({"data": config.data, "objective": name, "metrics": metrics})
    return rows


def cached(path: Path, make):
    """The JSON value at `path`, made and written when it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(make()) + "\n")
        part.replace(path)
    return json.loads(path.read_text())


def settings_of(config: Rivals) -> dict:
    """The settings but the rate, which `RATES` stand for."""
    settings = dataclasses.asdict(config)
    del settings["learning_rate"]
    return settings


def cell_path(root: Path, kind: str, config: Rivals) -> Path:
    """Named by everything that decides the cell's numbers."""
    settings = [settings_of(config), RATES, VALIDATION_SEEDS, TEST_SEEDS]
    mark = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    return root / f"{config.data}-{config.objective}-{kind}-{mark}.json"


def study(
    base: Rivals, data, objectives, root: Path, *, finished: bool = False
) -> list[dict]:
    """All cells, nulls first; with `finished`, those that are there already."""
    rows = []
    for world in data:
        config = dataclasses.replace(base, data=world)
        rows += cached(cell_path(root, "null", config), lambda c=config: nulls(c))
        for objective in objectives:
            own = dataclasses.replace(config, objective=objective)
            if finished and not cell_path(root, "cell", own).exists():
                continue
            row = cached(cell_path(root, "cell", own), lambda c=own: compare(c))
            rows.append(row)
            means = {name: np.mean(row["metrics"].get(name, 0)) for name in COLUMNS}
            shown = {name: f"{mean:.3f}" for name, mean in means.items()}
            print(world, objective, f"rate {row['rate']:g}", shown, flush=True)
    return rows


def renewed(base: Rivals, record: dict, again, root: Path) -> list[dict]:
    """The rows of a record, those of the objectives in `again` trained anew."""
    wanted = json.loads(json.dumps(settings_of(base) | {"rates": RATES}))
    held = record["settings"] | {"rates": record["rates"]}
    differ = sorted(name for name in wanted if wanted[name] != held.get(name))
    if differ:
        raise ValueError(f"the record's rows have other settings {differ}")
    rows = []
    for row in record["rows"]:
        if row["objective"] in again:
            own = {name: row[name] for name in ("data", "objective")}
            config = dataclasses.replace(base, **own)
            path = cell_path(root, "cell", config)
            row = cached(path, lambda c=config: compare(c))
            print(own, flush=True)
        rows.append(row)
    return rows


def table(rows: list[dict], record: dict) -> str:
    """One markdown table for each data set, mean and standard deviation over seeds."""
    head = ["objective", *COLUMNS, "rate", "ms/step"]
    lines = [record["what"], ""]
    for world in dict.fromkeys(row["data"] for row in rows):
        lines += [f"**{world}**", "", "| " + " | ".join(head) + " |"]
        lines.append("|" + "---|" * len(head))
        for row in (row for row in rows if row["data"] == world):
            cells = [row["objective"]]
            for name in COLUMNS:
                values = row["metrics"].get(name)
                shown = "-"
                if values is not None:
                    shown = f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
                cells.append(shown)
            cells.append(f"{row['rate']:g}" if "rate" in row else "-")
            spent = row.get("ms_per_step")
            cells.append("-" if spent is None else f"{spent:.1f}")
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Content and style of every objective, a dot for each seed."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    worlds = list(dict.fromkeys(row["data"] for row in rows))
    names = list(dict.fromkeys(row["objective"] for row in rows))
    figure, axes = plt.subplots(
        1,
        len(worlds),
        figsize=(1.8 + 2.7 * len(worlds), 1.2 + 0.28 * len(names)),
        sharey=True,
        squeeze=False,
    )
    for axis, world in zip(axes[0], worlds, strict=True):
        for row in (row for row in rows if row["data"] == world):
            height = len(names) - names.index(row["objective"])
            for name, marker, color in (
                ("content", "o", "tab:blue"),
                ("style", "s", "tab:orange"),
                ("style_oracle", "|", "black"),
            ):
                for value in row["metrics"].get(name, []):
                    axis.plot(max(value, -0.08), height, marker, color=color, ms=5)
        axis.set_title(world)
        axis.set_xlim(-0.12, 1.05)
        axis.set_xlabel("held-out R2 (kernel ridge)")
        axis.grid(axis="x", alpha=0.3)
    axes[0][0].set_yticks(range(len(names), 0, -1), names)
    handles = [
        plt.Line2D([], [], marker=m, color=c, linestyle="", label=label)
        for label, m, c in (
            ("shared latents", "o", "tab:blue"),
            ("style", "s", "tab:orange"),
            ("style known from content", "|", "black"),
        )
    ]
    figure.legend(handles=handles, loc="lower center", ncol=3, fontsize=8)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument(
        "--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--root", type=Path, default=Path("runs/compare-objectives"))
    parser.add_argument("--out", type=Path, default=Path("experiments/results"))
    parser.add_argument(
        "--finished", action="store_true", help="record finished cells, train none"
    )
    parser.add_argument(
        "--again",
        nargs="+",
        default=[],
        choices=OBJECTIVES,
        help="train these, and keep the other rows of the record in --out",
    )
    options = parser.parse_args()
    base = dataclasses.replace(QUICK, steps=options.steps)
    path = options.out / "compare_objectives.json"
    if options.again:
        held = json.loads(path.read_text())
        rows = renewed(base, held, options.again, options.root)
    else:
        rows = study(
            base,
            options.data,
            options.objectives,
            options.root,
            finished=options.finished,
        )
    device = jax.devices()[0]
    what = (
        f"n = {base.n} latents, {base.steps} steps of {base.batch} pairs, Adam "
        f"(cosine), rate of {RATES} by validation R2; {len(TEST_SEEDS)} test seeds, "
        f"mean ± standard deviation; {device.platform} {device.device_kind}, shared."
    )
    record = {
        "what": what,
        "settings": settings_of(base),
        "rates": RATES,
        "validation_seeds": VALIDATION_SEEDS,
        "test_seeds": TEST_SEEDS,
        "jax": jax.__version__,
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(table(rows, record))
    draw(rows, path.with_suffix(".png"))
    print(table(rows, record))


if __name__ == "__main__":
    main()
