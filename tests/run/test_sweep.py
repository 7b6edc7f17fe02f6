"""Sweeps: batched points equal single runs; pieces, resume, grids and figures."""

import dataclasses

import numpy as np
import pytest

from jidcl.report.plots import grid_figure
from jidcl.run import sweep as sweeping
from jidcl.run.costs import program_bytes
from jidcl.run.runner import run
from jidcl.systems.contrastive_ica.problem import SYSTEM as ICA
from jidcl.train.loop import compile_chunk
from jidcl.train.sharding import make_mesh
from reference.tiny import TINY

SYSTEM = "contrastive_ica"
GRID = {"tau": [0.1, 0.5], "conditional_param": [5.0]}


def sweep(root, grid=GRID, **options):
    own = dict(system=SYSTEM, seeds=(0, 3), root=root) | options
    return list(sweeping.sweep(TINY, grid, **own))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """(root, events) of the sweep of `GRID`."""
    root = tmp_path_factory.mktemp("swept")
    return root, sweep(root)


def test_batched_points_equal_single_runs_and_are_not_repeated(swept, tmp_path):
    root, events = swept
    last = events[-1]
    assert (last.piece, last.pieces) == (1, 1)  # one program
    assert len(last.rows) == 2 * 2
    assert {event.step for event in events} == {4, 8, 12}
    row = last.rows[3]
    config = dataclasses.replace(TINY, **{name: row[name] for name in GRID})
    options = dict(system=SYSTEM, preset="one", seeds=[row["seed"]])
    *_, done = run(config, root=tmp_path, **options)
    for metric in ("r2", "loss", "reference"):
        single = done.record.values(metric)[0]
        np.testing.assert_allclose(row[metric], single, rtol=2e-3, atol=2e-3)
    again = sweep(root)
    assert [event.piece for event in again] == [1]
    assert again[-1].rows == last.rows


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"rows": []}', '{"rows": [{"r2": "high"}]}', "[" * 9999]
)
def test_a_damaged_piece_is_named(swept, tmp_path, text):
    (piece,) = swept[0].glob("piece-*.json")
    (tmp_path / piece.name).write_text(text)
    with pytest.raises(ValueError, match=piece.name):
        sweep(tmp_path)


def test_a_static_setting_gets_programs_of_its_own():
    programs = sweeping.split_grid(ICA, TINY, {"batch": [16, 32], "tau": [0.1, 0.5]})
    assert [config.batch for config, _ in programs] == [16, 32]
    assert programs[0][1] == [{"tau": 0.1}, {"tau": 0.5}]


def test_a_program_that_does_not_fit_is_cut_into_even_pieces(tmp_path):
    grid = {"tau": [0.1, 0.2]}
    phases, state = sweeping._prepare(ICA, TINY, [({"tau": 0.1}, 0)])
    one, _ = compile_chunk(phases[0][0], state, steps=1, mesh=make_mesh())
    *_, last = sweep(tmp_path, grid, memory_gib=3.5 * program_bytes(one) / 2**30)
    assert last.pieces == 2
    points = [(row["tau"], row["seed"]) for row in last.rows]
    assert points == [(tau, seed) for tau in grid["tau"] for seed in (0, 3)]


@pytest.mark.long
def test_phases_are_trained_as_in_a_single_run(tmp_path):
    phased = dict(early_share=1 / 3, early_tau=2.0, late_share=1 / 3, late_batch=32)
    config = dataclasses.replace(TINY, **phased)
    own = dict(system=SYSTEM, seeds=[0])
    grid = {"early_tau": [0.5, 2.0]}
    *_, last = sweeping.sweep(config, grid, root=tmp_path / "sweep", **own)
    *_, done = run(config, preset="one", root=tmp_path / "single", **own)
    single = done.record.values("loss")[0]
    np.testing.assert_allclose(last.rows[1]["loss"], single, rtol=5e-4)
    assert abs(last.rows[0]["loss"] - single) > 1e-3 * single


def test_a_run_that_diverges_costs_no_other(tmp_path):
    *_, last = sweep(tmp_path, {"tau": [0.1, 1e-42]}, seeds=[0])
    assert [row["diverged"] for row in last.rows] == [0, 1]
    assert 0 < last.rows[0]["r2"] < 1
    assert "r2" not in last.rows[1]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"tua": [0.1]}, "did you mean 'tau'"),
        ({"tau": [-1.0]}, "tau must be > 0"),
        ({"tau": []}, "values of tau must be at least one"),
        ({"tau": [0.1, 0.1]}, "values of tau must be distinct"),
        ({"mixing": ["moebius"]}, "mixing must be"),
        (
            {
                name: [0.1 + i / 1e4 for i in range(3000)]
                for name in ("tau", "conditional_param", "learning_rate")
            },
            "number of points of the grid must be smaller to fit in memory",
        ),
    ],
)
def test_bad_grids_are_refused_before_anything_runs(tmp_path, grid, message):
    with pytest.raises(ValueError, match=message):
        sweep(tmp_path, grid)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("axes", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_maps_of_one_to_three_axes(tmp_path, axes):
    rows = [
        {"a": a, "b": b, "c": c, "seed": seed, "r2": (a + b + c) / 10}
        for a in (1, 2)
        for b in (1, 2, 3)
        for c in (0.5, 1)
        for seed in (0, 1)
    ]
    path = grid_figure(rows, axes, "r2", tmp_path / "map.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_scores_are_known_before_anything_is_trained(swept):
    known = set(sweeping.metric_names(SYSTEM, TINY, GRID))
    # Theory's closed form is of a number, so it is none where that is traced.
    assert known - {"limit"} == set(swept[1][-1].rows[0]) - {*GRID, "seed"}
    # Of any point, not of the first alone.
    grid = {"objective": ["supervised", "contrastive"]}
    config = TINY.changed(objective="supervised")
    assert "gap" in sweeping.metric_names(SYSTEM, config, grid)
    other = {"learning_rate": [0.1]}
    assert "gap" not in sweeping.metric_names(SYSTEM, config, other)
    with pytest.raises(ValueError, match="tau cannot act here"):
        sweeping.metric_names(SYSTEM, config, {"tau": [0.1]})
