"""What runs, sweeps and estimates make of programs of any form."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.run import costs, runner
from jidcl.run import sweep as sweeping
from jidcl.systems.shared.settings import Settings
from jidcl.train.sharding import make_mesh
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
