"""The launch scripts train to the end on virtual CPU devices."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "launch"
SMALL = "--widths 4 8 --batch 16 --steps 8 --chunk 4 --warmup 1"
SMALL += " --eval-batch 64 --eval-batches 2 --mixing-draws 20"
MESHES = {"one_gpu": (1, 1), "gpus": (8, 1), "tpu_slice": (2, 4)}


def test_every_script_is_here():
    assert {path.stem for path in FOLDER.glob("*.sh")} == {*MESHES, "slurm"}


@pytest.mark.share(3)
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


STAND_INS = {
    "srun": 'exec "$@"',
    "scontrol": 'echo "$@" >> "$QUEUE"',
    "jidcl": f'exec {sys.executable} -m jidcl.cli "$@"',
}


@pytest.mark.long
def test_a_job_that_slurm_ends_is_queued_again_and_goes_on(tmp_path):
    """Stand-ins for SLURM: SIGTERM to the script, as before its time is over."""
    for name, body in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    tools = [str(tmp_path), os.path.dirname(sys.executable), os.environ["PATH"]]
    queue, tests = tmp_path / "queue", str(FOLDER.parents[1] / "tests")
    own = {"PATH": os.pathsep.join(tools), "ROOT": str(tmp_path / "runs")}
    own |= {"SLURM_JOB_ID": "17", "QUEUE": str(queue), "SEEDS": "2"}
    command = [FOLDER / "slurm.sh", "reference.descent:SYSTEM:quick/descent"]
    command += ["--steps", "6000", "--chunk", "1", "--rate", "0.001"]
    with subprocess.Popen(command, env=os.environ | own, cwd=tests) as job:
        while not list(tmp_path.glob("runs/*/metrics.jsonl")):
            assert job.poll() is None
            time.sleep(0.05)
        job.send_signal(signal.SIGTERM)
    assert job.returncode == 143
    assert queue.read_text() == "requeue 17\n"
    assert list(tmp_path.glob("runs/*/ckpt/*"))
    assert not list(tmp_path.glob("runs/*/result.json"))
    done = subprocess.run(command, env=os.environ | own, cwd=tests, check=False)
    assert done.returncode == 0
    assert queue.read_text() == "requeue 17\n"
    (result,) = tmp_path.glob("runs/*/result.json")
    assert json.loads(result.read_text())["curve"][-1]["step"] == 6000


def test_the_page_shows_the_plan_of_a_ring():
    script = FOLDER.parent / "ring_plan.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    page = FOLDER.parents[1] / "docs" / "accelerators.md"
    assert done.returncode == 0
    assert done.stdout.strip() in page.read_text()


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
