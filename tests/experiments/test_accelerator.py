"""The first calls on a GPU, dry: rows come one by one, end in time, are not redone."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "accelerator.py"


@pytest.fixture
def calls(monkeypatch):
    spec = importlib.util.spec_from_file_location("accelerator", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(out, piece):
    return json.loads((out / piece / "results.json").read_text())


def test_a_million_comes_in_pieces_that_add_up(calls, tmp_path, capsys):
    assert calls.do_piece(tmp_path, "million", float("inf"), True)
    found = rows_of(tmp_path, "million")
    assert found["done"]
    assert len(found["rows"]) == 3 * 4
    sums = {name: 0.0 for name in calls.PRECISIONS}
    for key, row in found["rows"].items():
        sums[key.split()[0]] += row["sum"]
    assert sums["fast"] == pytest.approx(sums["float32"], rel=1e-6)
    assert sums["bfloat16"] == pytest.approx(sums["float32"], rel=1e-2)
    assert sums["bfloat16"] != sums["float32"]
    before = (tmp_path / "million" / "results.json").read_text()
    capsys.readouterr()
    assert calls.do_piece(tmp_path, "million", float("inf"), True)
    assert capsys.readouterr().out == ""  # nothing was done anew
    assert (tmp_path / "million" / "results.json").read_text() == before
    with pytest.raises(SystemExit, match="another device or size"):
        calls.do_piece(tmp_path, "million", float("inf"), False)


def test_rows_that_fail_or_have_no_time_are_left_for_another_call(
    calls, tmp_path, monkeypatch, capsys
):
    broken = [True]

    def row(left):
        if broken[0]:
            raise RuntimeError("no memory")
        return {"seconds": 1.0}

    def missing(left):
        raise calls.LeftOut("needs something")

    def piece(out, tiny):
        yield "good", lambda left: {"seconds": 2.0}
        yield "bad", row
        yield "elsewhere", missing

    monkeypatch.setattr(calls, "PIECES", {"some": piece})
    assert not calls.do_piece(tmp_path, "some", -1, True)
    assert rows_of(tmp_path, "some")["rows"] == {}
    assert not calls.do_piece(tmp_path, "some", 60, True)
    found = rows_of(tmp_path, "some")
    assert (list(found["rows"]), found["done"]) == (["good"], False)
    broken[0] = False
    assert calls.do_piece(tmp_path, "some", 60, True)
    assert list(rows_of(tmp_path, "some")["rows"]) == ["good", "bad"]
    said = capsys.readouterr().out
    assert "some: no time for good and what follows" in said
    assert "some bad: RuntimeError: no memory" in said
    assert "some elsewhere: left out, needs something" in said
    assert said.count("some good: seconds 2") == 1


def test_a_piece_that_hangs_is_ended_and_the_next_one_runs(
    calls, tmp_path, monkeypatch, capsys
):
    ran = []

    def run(command, *, timeout, check):
        ran.append((command[3], timeout))
        if command[3] == "hangs":
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(calls.subprocess, "run", run)
    for name, done in (("before", True), ("half", False)):
        (tmp_path / name).mkdir()
        text = json.dumps({"done": done, "rows": {}})
        (tmp_path / name / "results.json").write_text(text)
    pieces = dict(before=50, hangs=20, half=900, late=30)
    assert not calls.do_call(tmp_path, pieces, 100, True)
    assert [name for name, _ in ran] == ["hangs", "half", "late"]
    assert [timeout for _, timeout in ran] == pytest.approx([20, 100, 30], abs=1)
    said = capsys.readouterr().out
    assert "== before: done before" in said
    assert "== hangs: not done (ended)" in said
    assert said.endswith("call again\n")
    assert not calls.do_call(tmp_path, {"late": 30}, calls.LEAST - 1, True)
    assert "== late: left for another call" in capsys.readouterr().out


def test_it_needs_the_core_alone():
    """No piece imports the command line or its parser (flax imports rich itself)."""
    program = f"""
import runpy, sys
sys.modules["tyro"] = sys.modules["jidcl.cli"] = None
calls = runpy.run_path({str(PATH)!r})
for name, piece in calls["PIECES"].items():
    assert list(piece(calls["pathlib"].Path("out"), True)), name
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
