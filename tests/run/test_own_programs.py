"""What runs, sweeps and estimates make of programs of any form."""

import dataclasses
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jidcl.report.records import read_record
from jidcl.run import costs, runner
from jidcl.run import sweep as sweeping
from jidcl.systems.shared.settings import Settings
from jidcl.train import gradient
from jidcl.train.sharding import make_mesh
from jidcl.types import Problem
from reference import descent
from reference.descent import CONFIG, changed


def finish(root, config=CONFIG, seeds=(0, 1), **options):
    own = dict(system=descent.NAME, preset="quick/descent", seeds=seeds, root=root)
    *_, last = runner.run(config, **own, **options)
    assert last.record is not None
    return last


def f32(value):
    return float(np.float32(value))


@dataclasses.dataclass(frozen=True)
class Untold(Settings):
    """Settings that do not say how a run is trained."""

    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Batchless(Untold):
    """Settings whose one phase has no batch."""

    chunk: int = 2

    def phases(self):
        return [(self, 4)]


@pytest.mark.parametrize(
    ("config", "lacks"),
    [(Untold(), "no phases and no chunk"), (Batchless(), "no batch")],
)
def test_settings_that_do_not_say_how_a_step_is_trained_are_refused(
    tmp_path, config, lacks
):
    message = rf"Optimisation\), {type(config).__name__} has {lacks}$"
    with pytest.raises(ValueError, match=message):
        finish(tmp_path, config)
    with pytest.raises(ValueError, match=message):
        costs.estimate(config, system=descent.NAME, seeds=[0])
    own = dict(system=descent.NAME, seeds=[0], root=tmp_path)
    with pytest.raises(ValueError, match=message):
        list(sweeping.sweep(config, {"rate": [0.5]}, **own))
    assert not list(tmp_path.iterdir())


def test_what_has_no_step_needs_no_phases(tmp_path, monkeypatch):
    changed(monkeypatch, step=None)
    assert finish(tmp_path, Untold()).record.scores["w"] == pytest.approx([1 / 3] * 2)


def test_an_estimate_counts_the_numbers_of_a_run_of_any_form(monkeypatch):
    own = dict(system=descent.NAME, seeds=[0, 1], steps=1)
    assert costs.estimate(CONFIG, **own).parameters == 1
    start = lambda frozen, key: {"w": jnp.ones(()), "key": key, "n": jnp.int32(3)}  # noqa: E731
    step = lambda run, *_: ({**run, "w": run["w"] / 2}, {"loss": run["w"]})  # noqa: E731
    changed(monkeypatch, start=start, step=step)
    assert costs.estimate(CONFIG, **own).parameters == 1


@pytest.mark.parametrize(("seeds_that_fit", "pieces"), [(1.5, 3), (2.5, 2)])
def test_seeds_that_do_not_fit_run_in_pieces_as_one_record(
    tmp_path, seeds_that_fit, pieces
):
    own = dict(system=descent.NAME, steps=1)
    one = costs.estimate(CONFIG, seeds=[20], **own).memory
    seeds, limit = range(20, 23), seeds_that_fit * one / 2**30
    cut = finish(tmp_path / "cut", seeds=seeds, memory_gib=limit)
    whole = finish(tmp_path / "whole", seeds=seeds)
    assert len(list((cut.folder / "pieces").glob("*/result.json"))) == pieces
    assert cut.record.seeds == whole.record.seeds == list(seeds)
    for name, values in whole.record.scores.items():
        np.testing.assert_allclose(cut.record.scores[name], values, rtol=1e-6)
    last, wanted = cut.record.curve[-1], whole.record.curve[-1]
    assert last.keys() == wanted.keys()
    np.testing.assert_allclose(last["loss"], wanted["loss"], rtol=1e-6)
    again = finish(tmp_path / "cut", seeds=seeds, memory_gib=limit)
    assert again.record == cut.record


def ambitious(config):
    """A descent by an optimiser that reads the loss, averages and waits."""
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    inner = optax.chain(optax.contrib.schedule_free_sgd(config.rate), plateau)
    problem = Problem(
        freeze=lambda key: {},
        init=lambda key: ({"w": jax.random.normal(key, (2, 2))}, {}),
        draw=lambda frozen, key: jax.random.normal(key, (2, 2)),
        loss=lambda p, state, x, key: (jnp.mean((p["w"] - x) ** 2), (state, {})),
        probe=lambda p, *rest: {"w": p["w"][0, 0]},
        evaluate=lambda p, *rest: {"w": p["w"]},
    )
    return gradient(problem, optax.MultiSteps(inner, 3))


def test_a_run_resumes_within_whatever_its_optimiser_holds(tmp_path, monkeypatch):
    changed(monkeypatch, ambitious)
    whole = finish(tmp_path / "whole").record
    own = dict(system=descent.NAME, preset="quick/descent", seeds=(0, 1))
    events = runner.run(CONFIG, **own, root=tmp_path / "cut")
    for event in events:
        if event.stage == "train" and event.step == 2:  # of three small steps
            break
    events.close()
    cut = finish(tmp_path / "cut").record
    assert (cut.scores, cut.curve) == (whole.scores, whole.curve)


def no_constant(token):
    raise AssertionError(f"{token} is not JSON")


@dataclasses.dataclass(frozen=True)
class Unbounded(descent.Descent):
    """A descent whose settings hold an infinity and a NaN."""

    bound: float = math.inf
    target: float = math.nan


def test_files_of_a_run_with_nan_and_infinity_are_json_and_read_back(
    tmp_path, monkeypatch
):
    def scores(run, frozen, key):
        return {"w": run["w"], "nan": run["w"] * jnp.nan, "inf": -1 / (0 * run["w"])}

    changed(monkeypatch, probe=scores, evaluate=scores)
    config = Unbounded(batch=2, steps=4, chunk=2)
    events = runner.run(
        config, system=descent.NAME, preset="p", seeds=[0], root=tmp_path
    )
    for event in events:
        if event.stage == "train" and event.step == 2:
            break
    events.close()  # resumed below: the curve is read and written again
    done = runner.run(config, system=descent.NAME, preset="p", seeds=[0], root=tmp_path)
    *_, last = done
    files = [*last.folder.glob("*.json"), last.folder / "metrics.jsonl"]
    assert len(files) == 4
    for path in files:
        texts = path.read_text().splitlines()
        for text in texts if path.suffix == ".jsonl" else ["\n".join(texts)]:
            json.loads(text, parse_constant=no_constant)
    kept = read_record(last.folder)
    np.testing.assert_equal(*map(dataclasses.asdict, (kept, last.record)))
    assert [row["step"] for row in kept.curve] == [2, 4]
    for row in kept.curve:
        assert math.isnan(row["nan"][0])
        assert row["inf"] == [-math.inf]
    assert kept.config["bound"] == math.inf
    again = runner.run(
        config, system=descent.NAME, preset="p", seeds=[0], root=tmp_path
    )
    assert [event.stage for event in again] == ["done"]


def in_64_bits(config):
    """The descent of exact thirds, that refuses numbers of 32 bits."""
    program, rate = descent.make_program(config), config.rate

    def start(frozen, key):
        assert frozen["a"].dtype == jnp.float64
        return {"w": jnp.ones(()) / 3}

    def step(run, frozen, key, t):
        held = (run["w"], frozen["a"], frozen["shared"]["third"])
        assert all(x.dtype == jnp.float64 for x in held)
        w = run["w"] * (1 - rate)
        return {"w": w}, {"loss": w + 0 * frozen["shared"]["third"]}

    def evaluate(run, frozen, key):
        third = frozen["shared"]["third"]
        assert third.dtype == jnp.float64
        return {"w": run["w"], "third": third, "off": jnp.abs(third - 1 / 3)}

    return dataclasses.replace(
        program,
        start=start,
        step=step,
        evaluate=evaluate,
        precision="float64",
        shared={"third": np.float64(1) / np.full((), 3.0)},
    )


def test_all_numbers_of_a_float64_program_have_64_bits(tmp_path, monkeypatch):
    changed(monkeypatch, in_64_bits)
    own = dict(system=descent.NAME, seeds=[0, 3])
    costs.estimate(CONFIG, **own, steps=1)
    grid = {"rate": [0.1, 0.5]}
    named = sweeping.metric_names(descent.NAME, CONFIG, grid)
    assert set(named) == {"diverged", "off", "third", "w"}
    *_, last = sweeping.sweep(CONFIG, grid, root=tmp_path / "sweep", **own)
    scores = finish(tmp_path).record.scores
    assert scores["off"] == [0, 0]
    for row in last.rows:
        assert row["off"] == 0
        assert row["w"] == pytest.approx((1 - row["rate"]) ** 4 / 3, rel=1e-14)
    assert scores["w"] == pytest.approx([1 / 48] * 2, rel=1e-14)
    assert jnp.ones(()).dtype == jnp.float32


@pytest.mark.parametrize("trained", [True, False])
def test_seeds_divide_over_the_mesh_whatever_is_trained(tmp_path, monkeypatch, trained):
    changed(monkeypatch, **({} if trained else {"step": None}))
    with pytest.raises(ValueError, match=r"seeds must be a multiple .* \(2\), got 3"):
        finish(tmp_path, seeds=(0, 1, 2), mesh=make_mesh(seed=2))
    assert not list(tmp_path.iterdir())


def test_phases_may_have_metrics_of_their_own(tmp_path, monkeypatch):
    def make(config):
        def step(run, frozen, key, t):
            own = {"early": run["w"]} if config.batch == 2 else {"late": run["w"]}
            return run, {"loss": 0 * run["w"], **own}

        return dataclasses.replace(descent.make_program(config), step=step)

    changed(monkeypatch, make)
    monkeypatch.setattr(runner, "CURVE_POINTS", 1)  # one point spans both phases
    config = dataclasses.replace(CONFIG, late_share=0.5, late_batch=4)
    (row,) = finish(tmp_path, config, seeds=[0]).record.curve
    assert row.pop("step") == 4
    assert row == {"loss": [0], **dict.fromkeys(("early", "late", "w"), [f32(1 / 3)])}


@pytest.mark.parametrize(
    ("metric", "probed"), [("step", "w"), ("m", "step"), ("m", "loss"), ("w", "w")]
)
def test_names_that_clash_in_a_curve_are_refused(tmp_path, monkeypatch, metric, probed):
    changed(
        monkeypatch,
        step=lambda run, *_: (run, {"loss": run["w"], metric: run["w"]}),
        probe=lambda run, *_: {probed: run["w"]},
    )
    name = "step" if "step" in (metric, probed) else probed
    with pytest.raises(ValueError, match=rf"none 'step', got \['{name}'\]"):
        finish(tmp_path)
    assert not list(tmp_path.glob("*/result.json"))


def test_a_run_without_samples_writes_none_and_is_not_repeated(tmp_path):
    folder = finish(tmp_path).folder
    assert not (folder / "samples.npz").exists()
    own = dict(system=descent.NAME, preset="quick/descent", seeds=(0, 1))
    assert len(list(runner.run(CONFIG, root=tmp_path, **own))) == 1
    *_, last = runner.run(CONFIG, root=tmp_path / "cut", memory_gib=1e-9, **own)
    assert len(list(last.folder.glob("pieces/*/result.json"))) == 2
    assert not list(last.folder.rglob("samples.npz"))


def stopped_at(root, step, config):
    """A run that somebody stopped watching at a step; its folder."""
    own = dict(system=descent.NAME, preset="quick/descent", seeds=(0, 1), root=root)
    events = runner.run(config, **own)
    for event in events:
        if event.stage == "train" and event.step == step:
            events.close()
            break
    return runner.run_folder(root, descent.NAME, "quick/descent", config, (0, 1))


MANY = dataclasses.replace(CONFIG, steps=44, chunk=1, rate=0.05)  # 2 chunks a point


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text,
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text + text,
        lambda text: '{"step": null}\n' + text,
        lambda text: '{"step": 99}\n5\n[[[',
    ],
)
def test_a_resumed_curve_is_the_undisturbed_one_whatever_became_of_the_file(
    tmp_path, spoil
):
    want = finish(tmp_path / "whole", MANY).record.curve
    assert [row["step"] for row in want] == list(range(2, 45, 2))
    folder = stopped_at(tmp_path / "cut", 7, MANY)  # between two points
    log = folder / "metrics.jsonl"
    log.write_text(spoil(log.read_text()))
    last = finish(tmp_path / "cut", MANY)
    assert last.record.curve == want
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert rows == want


def test_two_runs_of_one_folder_at_once_are_refused(tmp_path):
    own = dict(system=descent.NAME, preset="quick/descent", seeds=(0, 1), root=tmp_path)
    first = runner.run(MANY, **own)
    while next(first).stage != "train":
        pass
    with pytest.raises(OSError, match=r"quick-descent-.* is in use by process \d+ on "):
        list(runner.run(MANY, **own))
    first.close()
    assert finish(tmp_path, MANY).stage == "done"


def dying(config):
    """A program whose seed 1 has NaN from step 7 on."""
    base = descent.make_program(config)

    def step(run, frozen, key, t):
        dies = (run["seed"] == 1) & (t >= 6)
        w = run["w"] * jnp.where(dies, jnp.nan, 1 - config.rate)
        return {**run, "w": w}, {"loss": w**2 / 2}

    def start(frozen, key):
        seed = jax.random.key_data(key)[..., -1].astype(jnp.float32)
        return {**base.start(frozen, key), "seed": seed}

    return dataclasses.replace(base, start=start, step=step)


@pytest.mark.parametrize("cut", [False, True])
def test_a_seed_that_dies_is_marked_and_the_others_go_on(monkeypatch, tmp_path, cut):
    descent.changed(monkeypatch, dying)
    want = finish(tmp_path / "one", MANY, seeds=(0, 2)).record
    seeds = (0, 1, 2)
    if cut:
        own = dict(system=descent.NAME, preset="quick/descent", seeds=seeds)
        events = runner.run(MANY, **own, root=tmp_path)
        for event in events:
            if event.step == 9:
                events.close()
                break
    record = finish(tmp_path, MANY, seeds=seeds).record
    assert record.seeds == [0, 2]
    text = "loss not finite from step 7 on, first in ['w']"
    assert record.dead == {"1": text}
    assert record.scores == want.scores
    assert record.curve == want.curve
    assert read_record(finish(tmp_path, MANY, seeds=seeds).folder) == record


def test_a_run_whose_seeds_all_die_is_one_error(monkeypatch, tmp_path):
    descent.changed(monkeypatch, dying)
    with pytest.raises(FloatingPointError, match=r"from step 7 on, seeds \[1\], first"):
        finish(tmp_path, MANY, seeds=(1,))


@pytest.mark.many_programs(reason="a run of another program")
def test_the_rows_of_a_batch_that_is_not_finite_are_named(tmp_path, monkeypatch):
    def draw(frozen, key):
        x = jax.random.normal(key, (6, 2))
        broken = frozen["a"] > 0.5  # of some seeds
        return {"x": jnp.where(broken, x.at[jnp.array([1, 4]), 0].set(jnp.inf), x)}

    def loss(w, state, batch, key):
        return jnp.mean((w * batch["x"]) ** 2), (state, {})

    problem = Problem(
        freeze=lambda key: {"a": jax.random.uniform(key)},
        init=lambda key: (jnp.ones(()), {}),
        draw=draw,
        loss=loss,
        probe=lambda w, state, frozen, key: {"w": w},
        evaluate=lambda w, state, frozen, key: {"w": w},
    )
    descent.changed(monkeypatch, lambda config: gradient(problem, optax.sgd(0.1)))
    record = finish(tmp_path, seeds=(0, 1, 2, 3)).record
    assert 0 < len(record.dead) < 4
    for text in record.dead.values():
        assert text.startswith("loss not finite from step 1 on")
        assert text.endswith("; rows [1, 4] of its batch['x'] are not finite")
