"""Sweeps whose pieces are jobs, as processes of this machine; they need submitit."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from jidcl.run.launch import launched
from reference import descent

TESTS = pathlib.Path(__file__).parents[1]
# The descent, of which jobs fail in two ways until the file `mended` is there.
FLAKY = """
import dataclasses, os, pathlib, signal
from reference import descent

def make_program(config):
    if "SUBMITIT_LOCAL_JOB_ID" in os.environ and not pathlib.Path("mended").exists():
        if config.steps == 6:
            raise RuntimeError("six is not mended")
        if config.steps == 8:
            os.kill(os.getpid(), signal.SIGKILL)
    return descent.make_program(config)

SYSTEM = dataclasses.replace(descent.SYSTEM, make_program=make_program)
"""
SWEEP = ["sweep", "flaky:SYSTEM:quick/descent", "--grid", "steps=4,6,8", "rate=0.1,0.2"]
SWEEP += ["--metric", "w", "--root", "runs"]
JOBS = ["--launcher", "submitit", "--job", "cluster=local", "timeout_min=10"]


def jidcl(folder, *args):
    paths = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return subprocess.run(
        [sys.executable, "-m", "jidcl.cli", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def times(folder):
    """When each piece was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("runs/piece-*")}


def results(folder):
    (path,) = folder.glob("runs/*/sweep.json")
    return json.loads(path.read_text())


def test_jobs_that_fail_are_noted_and_alone_are_run_again(tmp_path):
    pytest.importorskip("submitit", reason="needs submitit, pip install 'jidcl[jobs]'")
    here, jobs = tmp_path / "here", tmp_path / "jobs"
    for folder in (here, jobs):
        folder.mkdir()
        (folder / "flaky.py").write_text(FLAKY)
    assert jidcl(here, *SWEEP).returncode == 0
    done = jidcl(jobs, *SWEEP, *JOBS)
    assert done.returncode == 1, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("jidcl: failed: RuntimeError: six is not mended: ")
    assert second.startswith("jidcl: failed: the job ended (")
    notes = sorted(jobs.glob("runs/failed-*"))
    assert len(notes) == len(results(jobs)["failed"]) == 2
    kept = [json.loads(note.read_text())["runs"] for note in notes]
    assert kept == [[{"rate": 0.1, "seed": 0}, {"rate": 0.2, "seed": 0}]] * 2
    before = times(jobs)
    assert len(before) == 1
    assert {row["steps"] for row in results(jobs)["rows"]} == {4}

    (jobs / "mended").touch()
    done = jidcl(jobs, *SWEEP, *JOBS)
    assert done.returncode == 0, done.stderr
    after = times(jobs)
    assert len(after) == 3
    assert after.items() > before.items()  # what was done is as it was
    assert not list(jobs.glob("runs/failed-*"))
    assert results(jobs) == results(here)


def test_without_submitit_one_line_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    events = launched(
        descent.CONFIG, {"rate": [0.1]}, system=descent.NAME, seeds=[0], root=tmp_path
    )
    with pytest.raises(ImportError, match=r"needs submitit: pip install 'jidcl\[jobs"):
        next(events)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("job", [{"cluster": "x"}, {"tea": 1}, {"timeout_min": "x"}])
def test_parameters_that_submitit_does_not_know_are_refused(tmp_path, job):
    pytest.importorskip("submitit", reason="needs submitit, pip install 'jidcl[jobs]'")
    own = dict(system=descent.NAME, seeds=[0], root=tmp_path)
    with pytest.raises(ValueError, match="job must hold what submitit knows: "):
        next(launched(descent.CONFIG, {"rate": [0.1]}, **own, job=job))
