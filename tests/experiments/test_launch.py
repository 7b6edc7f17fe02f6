"""The launch scripts train to the end on virtual CPU devices."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "launch"
SMALL = "--widths 4 8 --batch 16 --late-batch 16 --steps 8 --chunk 4 --warmup 1"
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
        len(result["metrics"]["r2"])
        == len(result["seeds"])
        == {"one_gpu": 8, "gpus": 8, "tpu_slice": 2}[script]
    )
