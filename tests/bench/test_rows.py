"""Benchmark rows: floors by hand, fitted exponents, the peer's loss against ours."""

import dataclasses
import functools
import json
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.bench import Ceilings, loss_row, measure
from jidcl.bench.figures import draw, exponent
from jidcl.bench.independence import FORMS, independence_rows
from jidcl.bench.rows import (
    SIMILARITIES,
    Options,
    benchmark_result,
    loss_forms,
)
from jidcl.bench.scenes import scene_row, step_rows
from jidcl.bench.suite import measure as measured
from jidcl.bench.tables import performance_table
from jidcl.cli.bench import show_bench
from jidcl.losses import Similarity, infonce, pairwise
from jidcl.systems.scenes.presets import presets

TOP = Ceilings(flops=1e12, exps=1e9, bytes=1e10, fast=4e12, elementwise=5e11)


@pytest.mark.parametrize(
    ("name", "flops", "own"),
    [("dot", 60, 60), ("p=1", 90, 180), ("p=2", 90, 120), ("p=3", 90, 180)],
)
def test_a_row_and_its_floors(name, flops, own):
    row = loss_row(name, 64, 10, TOP, repeats=3)
    assert row["floor_s"] == pytest.approx(64**2 * (flops / 1e12 + 1 / 1e9))
    assert row["own_floor_s"] == pytest.approx(64**2 * (own / 1e12 + 1 / 1e9))
    assert row["times_floor"] == pytest.approx(row["median_s"] / row["floor_s"])
    assert row["times_own_floor"] == pytest.approx(row["median_s"] / row["own_floor_s"])
    assert 0 < row["low_s"] <= row["median_s"] <= row["high_s"]


def test_rows_of_kernel_tests_agree_and_are_drawn(tmp_path):
    rows = list(independence_rows(1, peer=True, samples=(60,)))
    by = {(row["similarity"], row["sets"] == 1): row for row in rows}
    own = [(form, alone) for form in FORMS for alone in (False, True)]
    assert [key for key in by if key in own] == own
    for form, _ in own:
        assert by[form, False]["p"][0] == pytest.approx(by[form, True]["p"][0])
    assert by["fourier", False]["p"] == pytest.approx(by["exact", False]["p"], abs=1e-6)
    if find_spec("causallearn"):
        assert by["exact", False]["p_apart"] < 1e-3
        assert by["exact", False]["faster"] > 0
    for row in rows:
        assert 0 < row["low_s"] <= row["median_s"] <= row["high_s"]
    assert [p.name for p in draw({"rows": rows}, tmp_path)] == ["independence.png"]


def test_quantiles_and_repeats():
    calls = []
    times = measure.repeat(lambda: calls.append(0), 4, warmups=2)
    assert len(calls) == 6
    assert times.shape == (4,)
    took = measure.timing(np.arange(11.0))
    assert (took.low, took.median, took.high) == (1, 5, 9)


def test_exponent_of_a_power_law():
    batches = np.array([64, 128, 1024])
    assert exponent(batches, 3 * batches**2.0) == pytest.approx(2)


def test_kernels_are_timed_where_they_are_compiled():
    assert loss_forms(64, "PJRT C API\ncuda 12090") == ["auto", None, "kernel"]
    assert loss_forms(2**20, "PJRT C API\ncuda 12090") == ["auto", "kernel"]
    for platform in ("cpu", "PJRT C API\nrocm 70000"):
        assert loss_forms(64, platform) == ["auto", None]


def test_forms_that_run_nowhere_here_are_refused(tmp_path):
    options = Options(batch=8, n=2, repeats=1, peer=False, forms=("kernels",))
    with pytest.raises(ValueError, match="forms must hold one that runs here"):
        list(measured(["losses"], options, tmp_path, top=TOP))


def test_forms_show_the_value_that_they_agree_on():
    rows = [loss_row("p=1", 300, 3, TOP, tile=t, repeats=1) for t in ("auto", None)]
    assert rows[0]["value"] == pytest.approx(rows[1]["value"], rel=1e-5)


@pytest.mark.many_programs(reason="every suite of the bench, and its embeddings")
def test_rows_come_one_by_one_and_then_the_files(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    options = Options(batch=8, n=2, repeats=1, peer=False, similarities=("dot", "p=1"))
    suites = ("losses", "growth", "width", "devices")
    events = list(measured(suites, options, tmp_path, top=TOP))
    first, *others, last = events
    assert (first.top, first.row, first.written) == (TOP, None, ())
    rows = [event.row for event in others]
    assert {row["what"] for row in rows} == {"loss", "growth", "width", "devices"}
    assert {row["devices"] for row in rows if row["what"] == "devices"} == {1, 2, 4, 8}
    kinds = [kind for kind, _ in last.written]
    assert kinds == ["table", "figure", "figure", "figure", "results"]
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["device"].startswith(jax.default_backend())
    assert len(result["rows"]) == len(rows)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for _, p in last.written}
    # Rows of kernels, which do not run here, are drawn beside the others.
    rows.append(rows[0] | {"tile": "kernel"})
    for path in draw(benchmark_result(rows, options, TOP), tmp_path):
        assert path.read_bytes().startswith(b"\x89PNG")
    show_bench(iter(events))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ceilings: 1000 GFLOP/s in float32, 4000 in")
    assert len(lines) == 1 + len(rows) - 1 + len(kinds)
    assert lines[1].startswith("loss    jidcl dot  B=8: ")
    assert lines[-1] == f"results: {tmp_path / 'results.json'}"


def test_an_unknown_suite_is_refused_before_anything_is_timed(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'losses'"):
        next(measured(["loses"], Options(), tmp_path))


def test_the_table_takes_the_plain_row_of_each_kind():
    base = dict(what="loss", by="jidcl", similarity="p=1", tile="auto", seeds=1)
    base |= dict(precision="float32", times_floor=4.25, extra_bytes=11 * 2**20)
    base |= dict(times_own_floor=2.5)
    rows = [
        base | dict(tile=None, median_s=9.0),
        base | dict(precision="fast", median_s=9.0),
        base | dict(median_s=0.1234),
        dict(what="loss", by="torch", similarity="p=1", median_s=8.64),
        base | dict(what="step", seeds=8, median_s=9.0),
        base | dict(what="step", median_s=0.6),
        base | dict(what="loss", similarity="dot", median_s=0.005),
        dict(what="draw", by="jidcl", scene="sprites", median_s=1.0),
    ]
    lines = performance_table(json.loads(json.dumps(rows))).splitlines()
    own = "4.2 x | 2.5 x | 11 MiB"
    assert lines[2:] == [
        f"| p=1 | 123 ms | {own} | 8,640 ms | **70.0 x** | 600 ms | - | - |",
        f"| dot | 5.00 ms | {own} | - | - | - | - | - |",
    ]
    assert len({line.count("|") for line in lines}) == 1


def test_a_scene_is_timed_by_wall_and_by_core():
    row = scene_row("sprites", batch=2, repeats=3, size=8)
    assert row["pictures_per_s"] == pytest.approx(2 / row["median_s"])
    assert row["pictures_per_core_s"] > 0
    with pytest.raises(ValueError, match="did you mean 'sprites'"):
        scene_row("sprite", batch=2, repeats=1)


def test_drawing_is_a_share_of_the_step_it_feeds():
    config = dataclasses.replace(
        presets()["quick/box"], mixing="sprites", factors=("x", "y"), n=2, size=8
    )
    drawn, whole = step_rows(dataclasses.replace(config, batch=4), repeats=3)
    assert drawn["batch"] == whole["batch"] == 8
    assert whole["share_drawing"] == drawn["median_s"] / whole["median_s"]
    assert whole["extra_bytes"] > drawn["extra_bytes"]


@pytest.mark.parametrize("name", SIMILARITIES)
def test_the_peer_computes_the_same_loss_and_gradients(rng, name):
    pytest.importorskip("torch", reason="PyTorch (extra bench) is not installed")
    from jidcl.bench import torch_peer

    y, y_pos = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
    value, gradients = torch_peer.value_and_gradients(name, y, y_pos)

    def loss(y, y_pos):
        return infonce(y, y_pos, similarity=SIMILARITIES[name])[0]

    want, expected = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(y, y_pos)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    np.testing.assert_allclose(gradients, expected, rtol=1e-4, atol=1e-6)


def test_a_bench_times_the_precisions_that_products_have():
    exact = {}
    for precision in Options().precisions:
        product = functools.partial(pairwise, Similarity(precision=precision))
        text = str(jax.make_jaxpr(product)(jnp.eye(3), jnp.eye(3)))
        exact[precision] = "HIGHEST" in text.split("dot_general[")[1]
    assert exact == {"float32": True, "fast": False, "bfloat16": False}
