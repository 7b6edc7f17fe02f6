"""Why are some published rows of contrastive ICA missed? One study for each question.

    python experiments/missed_rows.py STUDY [--root runs/missed] [--out FOLDER]

bent     Table 1 rows 11, 12: is the best map of the latents linear?    no encoder
best     Table 2 rows 5, 10, Table 1 rows 9, 10: what does the best map of a small
         family score?                                                  no encoder
haar     Table 2 rows 8 to 10: what does a random rotation score?       no encoder
folds    Table 1 row 2, Table 2 row 5: how many of ten seeds fold, and from which start?
lengths  Table 2 row 10: what do longer runs score?
adam     Table 1 row 12: the published optimiser, at ten times its rate, cut short
steps    Table 1 row 1, at n = 4 and 6: five times the steps

Each writes FOLDER/missed_STUDY.json and its figure. Finished runs are read back, others
resume. What counts as right was written before the first run (`missed_expected.py`);
the JSON says what came of each line.
"""

import argparse
import functools
import json
import time
from pathlib import Path
from typing import Any

from jidcl.cli.arguments import quiet

quiet()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import missed_expected as expected  # noqa: E402
import numpy as np  # noqa: E402
from missed_expected import SEEDS, SIGMAS, SYSTEM  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

from jidcl.claims import load_claims  # noqa: E402
from jidcl.files import write_json  # noqa: E402
from jidcl.metrics import mcc, r2, rotation_null  # noqa: E402
from jidcl.numerics import safe_norm, unit  # noqa: E402
from jidcl.pairs import sample_pair  # noqa: E402
from jidcl.report.records import Record, record_from  # noqa: E402
from jidcl.run.runner import run, trained  # noqa: E402
from jidcl.systems.contrastive_ica.process import build_parts, objective  # noqa: E402
from jidcl.systems.registry import load_presets  # noqa: E402

PRESETS = load_presets(SYSTEM)
RESULTS = Path(__file__).parent / "results"
FOLDED = 0.05  # share of the latents that are turned over, from which a seed is folded


# Maps h(z) of small families; q are their numbers.
def scaled(q, z):
    return jnp.exp(q[0]) * z


def bent(q, z):
    """s z / sqrt(1 + a ||z||^2): bent towards the sphere."""
    a = jnp.exp(q[1])
    return jnp.exp(q[0]) * z / jnp.sqrt(1 + a * jnp.sum(z**2, axis=-1, keepdims=True))


def curved(q, z):
    """One odd polynomial of each coordinate of the box [0, 1]^n."""
    u = 2 * z - 1
    return jnp.exp(q[0]) * (u + q[1] * u**3 + q[2] * u**5)


def linear(q, z):
    return z @ q.reshape(z.shape[-1], -1)


def drawn(q, z):
    """Drawn along the first axis of the sphere, where marginals have their centre."""
    first = q[0] + jnp.exp(q[1]) * z[..., :1]
    return unit(jnp.concatenate([first, z[..., 1:]], axis=-1))


@functools.cache
def losses_of(config, family):
    """(loss, its slope in q) of the maps of a family, under a row's objective."""
    parts = build_parts(config)

    def loss(q, z, z_pos):
        return objective(config, parts, family(q, z), family(q, z_pos))

    return jax.jit(loss), jax.jit(jax.value_and_grad(loss))


def best(row, family, start, *, batch: int, seed: int, **changed) -> dict[str, Any]:
    """The map of a family with the least loss on one batch, scored on another."""
    config = PRESETS[f"full/{row}"]
    parts = build_parts(config.changed(**changed))
    laws = parts.space, parts.marginal, parts.conditional
    keys = jax.random.split(jax.random.key(seed))
    fit, held = (sample_pair(key, *laws, batch=batch) for key in keys)
    loss, slope = losses_of(config, family)

    def value(q):
        found, by = slope(jnp.asarray(q, jnp.float32), *fit)
        return float(found), np.asarray(by, np.float64)

    start = np.asarray(start, np.float64)
    options = dict(maxiter=300, ftol=1e-8)
    found = minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    q = jnp.asarray(found.x, jnp.float32)
    z, y = np.asarray(held.z), np.asarray(family(q, held.z))
    scores = dict(r2=float(r2(z, y, xp=np).mean), mcc=float(mcc(z, y, xp=np).mean))
    few = {"q": [round(float(v), 5) for v in q]} if len(q) < 9 else {}
    return {"loss": float(loss(q, *held)), **scores, **few}


def of_bent(root: Path) -> dict[str, Any]:
    rows = []
    for row in ("t1r12", "t1r11"):
        for sigma in SIGMAS:
            own = dict(batch=3072, conditional_param=sigma)
            for seed in SEEDS:
                start = -np.log(2 * sigma + 1)
                plain = best(row, scaled, [start], seed=seed, **own)
                curve = best(row, bent, [start, -3.0], seed=seed, **own)
                rows.append(
                    dict(row=row, sigma=sigma, seed=seed, scaled=plain, bent=curve)
                )
            gain = rows[-1]["scaled"]["loss"] - rows[-1]["bent"]["loss"]
            told = f"{row} sigma {sigma}: R2 {curve['r2']:.4f}, {gain:.3f} nats"
            print(told, flush=True)
    at = dict(batch=6144, seed=0)
    full = {
        row: dict(
            scaled=best(row, scaled, [-0.6], **at), bent=best(row, bent, [0, -1], **at)
        )
        for row in ("t1r12", "t1r11")
    }
    return dict(batch=3072, rows=rows, at_6144=full)


def of_best(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for batch in (1024, 6144):
        found[f"t2r5 at {batch}"] = dict(
            plain=best("t2r5", curved_only, [1.0], batch=batch, seed=0),
            best=best("t2r5", curved, [1.0, 0, 0], batch=batch, seed=0),
        )
    for row in ("t1r9", "t1r10"):
        found[f"{row} at 6144"] = dict(
            plain=best(row, drawn_none, [0.0], batch=6144, seed=0),
            best=best(row, drawn, [0.0, 0.0], batch=6144, seed=0),
        )
    rng = np.random.default_rng(0)
    for seed in SEEDS:
        turn = np.linalg.qr(rng.normal(size=(10, 10)))[0]
        found[f"t2r10 at 1024, seed {seed}"] = dict(
            plain=best("t2r10", scaled, [1.5], batch=1024, seed=seed),
            best=best("t2r10", linear, (5 * turn).ravel(), batch=1024, seed=seed),
        )
    for name, pair in found.items():
        print(name, pair, flush=True)
    return dict(maps=found)


def curved_only(q, z):
    """`curved` without a curve."""
    return jnp.exp(q[0]) * (2 * z - 1)


def drawn_none(q, z):
    """`drawn` by nothing: the latents themselves."""
    return z + 0 * q[0]


def of_haar(root: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    null = rotation_null(rng, rng.uniform(size=(6144, 10)), draws=4000, xp=np)
    means = rng.choice(null, size=(100_000, 5)).mean(axis=1)
    claims, rows = load_claims(SYSTEM), {}
    for row, run_of in (("t2r8", "t1r5"), ("t2r9", "t1r6"), ("t2r10", "t1r8")):
        claim, ours = claims.published_by_id(row), recorded(run_of).scores["mcc"]
        rows[row] = dict(
            published=claim.mean / 100,
            published_rank=float(np.mean(means < claim.mean / 100)),
            ours=ours,
            ours_ranks=[float(np.mean(null < score)) for score in ours],
            ours_mean=float(np.mean(ours)),
            ours_mean_rank=float(np.mean(means < np.mean(ours))),
        )
        print(row, rows[row], flush=True)
    ends = np.quantile(null, [0.005, 0.025, 0.975, 0.995]).tolist()
    return dict(
        n=10,
        mean=float(null.mean()),
        std=float(null.std()),
        quantiles=dict(zip(("0.5 %", "2.5 %", "97.5 %", "99.5 %"), ends, strict=True)),
        std_of_five=float(means.std()),
        null=np.round(null, 4).tolist(),
        rows=rows,
    )


def recorded(preset: str) -> Record:
    """The committed record of a full row."""
    held = json.loads((RESULTS / "full_rows.json").read_text())["records"]
    records = (record_from(data, where="full_rows.json") for data in held)
    return next(r for r in records if r.preset == f"full/{preset}")


def train(name: str, seeds, root: Path, **changed) -> tuple[Any, Record, dict]:
    """(configuration, record, what the JSON keeps of it) of a preset, changed."""
    own: dict[str, Any] = dict(late_share=0.0, precision="float32")
    own |= dict(eval_batch=2048, eval_batches=3)
    config = PRESETS[name].changed(**own).changed(**changed)
    *_, last = run(config, system=SYSTEM, preset=name, seeds=seeds, root=root)
    record = last.record
    kept = ("step", "r2", "mcc", "loss")
    held = dict(
        preset=name,
        changed={**own, **changed},
        seeds=list(seeds),
        r2=record.scores["r2"],
        mcc=record.scores["mcc"],
        losses={k: record.losses[k] for k in ("loss", "reference", "train_reference")},
        gap=record.losses["gap"],
        chance=record.losses["chance"],
        curve=[{k: point[k] for k in kept} for point in record.curve],
        seconds=record.seconds,
    )
    scores = ", ".join(
        f"{k} {np.round(100 * np.array(held[k]), 2)}" for k in ("r2", "mcc")
    )
    print(f"{name} {changed}: {scores}", flush=True)
    return config, record, held


def reversed_share(h, z):
    """Share of the points z at which h turns space over: 0 where h is one to one.

    det Dh has one sign then. The rarer sign counts: 1/2 where a coordinate is folded.
    """
    sign = jnp.linalg.slogdet(jax.vmap(jax.jacfwd(h))(z))[0]
    share = jnp.mean(sign > 0)
    return jnp.minimum(share, 1 - share)


def turned_over(config, state, samples: int = 500) -> list[float]:
    """`reversed_share` of h = f(g(z)) for each seed; ||z|| h(z / ||z||) on a sphere."""
    parts = build_parts(config)
    laws = parts.space, parts.marginal, parts.conditional
    z = sample_pair(jax.random.key(99), *laws, batch=samples).z

    def one(params, net, frozen):
        def h(z):
            size = safe_norm(z) if config.space == "sphere" else 1.0
            x = parts.source.observe(frozen, (z / size)[None])
            return size * parts.encoder.apply(params, net, x)[0][0]

        return reversed_share(h, z)

    shares = jax.jit(jax.vmap(one))(state.run.params, state.run.state, state.frozen)
    return [round(float(share), 4) for share in shares]


SMALL = dict(n=4, batch=256, steps=400)
STARTS = {
    "t1r2": {
        "preset": {},
        "one temperature": dict(early_share=0.0),
    },
    "t2r5": {
        "preset": {},
        "half the rate": dict(learning_rate=5e-3),
        "bound from 2": dict(output_size=2.0),
    },
}


def of_folds(root: Path) -> dict[str, Any]:
    found = {}
    for row, arms in STARTS.items():
        for arm, own in arms.items():
            name, seeds = f"full/{row}", range(10)
            config, _, held = train(name, seeds, root, **{**SMALL, **own})
            where = dict(system=SYSTEM, preset=name, seeds=seeds, root=root)
            held["turned_over"] = turned_over(config, trained(config, **where))
            held["folded"] = sum(s > FOLDED for s in held["turned_over"])
            told = f"{row} {arm}: {held['folded']} of 10 folded, {held['turned_over']}"
            print(told, flush=True)
            found[f"{row}, {arm}"] = held
    return dict(runs=found)


def of_lengths(root: Path) -> dict[str, Any]:
    found = {
        f"{row}, {steps}": train(f"full/{row}", [0], root, steps=steps)[2]
        for row in ("t2r10",)
        for steps in (300, 600)
    }
    return dict(runs=found)


def of_adam(root: Path) -> dict[str, Any]:
    own = dict(batch=1024, learning_rate=1e-3, steps=1000, chunk=50)
    return dict(runs={"t1r12": train("published/t1r12", [0], root, **own)[2]})


def of_steps(root: Path) -> dict[str, Any]:
    found = {
        f"n = {n}, {steps}": train(
            "full/t1r1", [0], root, n=n, batch=1024, steps=steps
        )[2]
        for n in (4, 6)
        for steps in (300, 1500)
    }
    return dict(runs=found)


STUDIES = dict(
    bent=(of_bent, expected.expect_bent),
    best=(of_best, expected.expect_best),
    haar=(of_haar, expected.expect_haar),
    folds=(of_folds, expected.expect_folds),
    lengths=(of_lengths, expected.expect_lengths),
    adam=(of_adam, expected.expect_adam),
    steps=(of_steps, expected.expect_steps),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--root", type=Path, default=Path("runs/missed"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    began, (study, expect) = time.perf_counter(), STUDIES[options.study]
    result = study(options.root)
    about = dict(
        command=f"python experiments/missed_rows.py {options.study}",
        machine="one CPU core, shared with other work",
        seconds=round(time.perf_counter() - began),
        expected={text: bool(came) for text, came in expect(result).items()},
    )
    path = options.out / f"missed_{options.study}.json"
    write_json(path, {**about, **result})
    expected.draw(options.study, result, path.with_suffix(".png"))
    for text, came in about["expected"].items():
        print("yes" if came else "NO ", text)


if __name__ == "__main__":
    main()
