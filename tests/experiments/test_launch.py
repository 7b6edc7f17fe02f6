"""The launch scripts train to the end on virtual CPU devices."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "launch"
SMALL = "--widths 4 8 --batch 16 --steps 8 --chunk 4 --warmup 1"
SMALL += " --eval-batch 64 --eval-batches 2 --mixing-draws 20"
MESHES = {"one_gpu": (1, 1), "gpus": (8, 1), "tpu_slice": (2, 4)}


def test_every_script_is_here():
    assert {path.stem for path in FOLDER.glob("*.sh")} == set(MESHES)


@pytest.mark.parametrize("script", MESHES)
def test_it_trains_on_its_mesh(tmp_path, script):
    tools = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    command = [FOLDER / f"{script}.sh", "quick/sphere-vmf", *SMALL.split()]
    done = subprocess.run(
        command,
        env=os.environ | {"ROOT": str(tmp_path), "PATH": tools},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (environment,) = tmp_path.glob("*/env.json")
    seed, data = MESHES[script]
    held = json.loads(environment.read_text())["mesh"]
    assert held == {"seed": seed, "data": data, "model": 1}
    result = json.loads(environment.with_name("result.json").read_text())
    assert (
        len(result["scores"]["r2"])
        == len(result["seeds"])
        == {"one_gpu": 8, "gpus": 8, "tpu_slice": 2}[script]
    )


def test_the_accelerator_script_runs_pieces_side_by_side(tmp_path):
    """Every command of the pieces that train is run once, with its own log."""
    script = FOLDER.parents[1] / "benchmarks" / "accelerator.sh"
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\necho ran: "$@"\n')
    fake.chmod(0o755)
    tools = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", script, tmp_path / "out", "wide", "losses", "rows", "study"],
        env=os.environ | {"PATH": tools, "JOBS": "4"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "accelerator.py" in done.stdout.split("ran: -m jidcl.cli bench")[0]
    logs = sorted((tmp_path / "out" / "log").glob("*.txt"))
    said = [log.read_text() for log in logs]
    assert len(said) == done.stdout.count("done 0") == 19 + 2 * 9
    assert all(text.startswith("ran: ") for text in said)
    rows = {text.split("--rows ")[1].split()[0] for text in said[:19]}
    assert len(rows) == 19
    assert "--arms no early tau --root" in said[20]
