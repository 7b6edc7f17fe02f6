"""Full disks, folders that cannot be written or vanish, clocks that go back."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from jidcl.run import runner
from reference import descent
from survived import note

# Tasks that Orbax leaves behind a write that failed.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)
LONG = dataclasses.replace(descent.CONFIG, steps=20, chunk=2, rate=0.05)
OWN = dict(system=descent.NAME, preset="quick/descent-custom", seeds=(0,))
FREE = (0, 4, 12, 24, 48, 96)  # KiB that are left, of which a run needs some 100
ARGS = [f"{descent.NAME}:quick/descent", "--steps", "20", "--chunk", "2"]
ARGS += ["--rate", "0.05", "--save-seconds", "0"]


def train(root):
    """The command in a process of its own, and what that printed as errors."""
    code = "from jidcl.cli.main import main; raise SystemExit(main())"
    tests = str(pathlib.Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, "train", *ARGS, "--root", str(root)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tests,
    )
    return done.returncode, done.stderr


def finish(root):
    *_, last = runner.run(LONG, **OWN, root=root)
    return last.record


@pytest.fixture(scope="module")
def want(tmp_path_factory):
    """The record of a run that nothing disturbs."""
    return finish(tmp_path_factory.mktemp("undisturbed"))


def check_one_line(error, *words):
    lines = error.strip().splitlines()
    assert len(lines) == 1, error
    assert lines[0].startswith("jidcl: ")
    assert all(word in lines[0] for word in words), error


def check_same(record, want):
    assert record.scores == want.scores
    assert record.curve == want.curve


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB, where the user may mount one."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


@pytest.mark.long
@pytest.mark.many_programs(reason="the same tiny run many times")
@pytest.mark.parametrize("free", FREE)
def test_a_full_disk_is_one_line_and_with_room_the_run_goes_on(small_disk, want, free):
    fill = small_disk / "fill"
    with contextlib.suppress(OSError), fill.open("wb") as file:
        while True:
            file.write(b"0" * 4096)
            file.flush()
    os.truncate(fill, fill.stat().st_size - 1024 * free)
    code, error = train(small_disk)
    assert code == 2
    check_one_line(error, "No space left on device")
    fill.unlink()
    check_same(finish(small_disk), want)
    note("a full disk", f"{free} KiB left: one line, then the same numbers")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    try:
        code, error = train(tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert code == 2
    check_one_line(error, "Permission denied")


@pytest.mark.parametrize("when", ["before", "under a run"])
def test_where_no_checkpoint_can_be_written_the_command_ends_at_once(tmp_path, when):
    code = (
        "import sys, pathlib\n"
        "from jidcl.train.checkpoint import Checkpoints\n"
        "from jidcl.train import loop\n"
        "from jidcl.train.sharding import make_mesh\n"
        "from reference import descent\n"
        "import numpy as np\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "program = descent.make_program(descent.CONFIG)\n"
        "state = loop.start(program, np.arange(1), mesh=make_mesh())\n"
        "if sys.argv[2] == 'before':\n"
        "    folder.write_text('')\n"
        "try:\n"
        "    saver = Checkpoints(folder)\n"
        "    if folder.is_dir():\n"
        "        folder.rmdir()\n"
        "        folder.write_text('')\n"
        "    saver.save(1, state)\n"
        "except OSError as error:\n"
        "    print(error, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "ckpt"), when],
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parents[1],
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "ckpt") in done.stdout


def test_a_root_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "root").write_text("")
    code, error = train(tmp_path / "root")
    assert code == 2
    check_one_line(error, str(tmp_path / "root"))


@pytest.mark.many_programs(reason="the same tiny run twice")
def test_a_folder_that_vanishes_is_one_error_and_nothing_is_made_in_its_place(
    tmp_path, want
):
    folder = runner.run_folder(tmp_path, config=LONG, **OWN)
    events = runner.run(LONG, **OWN, root=tmp_path, save_seconds=0.0)
    while next(events).step != 8:
        pass
    folder.rename(tmp_path / "gone")
    with pytest.raises(OSError, match=r"was removed while a run worked in it|written"):
        list(events)
    assert not (folder / "result.json").exists()
    shutil.rmtree(folder, ignore_errors=True)
    check_same(finish(tmp_path), want)


@pytest.mark.many_programs(reason="the same tiny run twice")
def test_a_clock_that_goes_back_changes_nothing(tmp_path, want, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400.0)
    events = runner.run(LONG, **OWN, root=tmp_path, save_seconds=0.0)
    while next(events).step != 8:
        pass
    events.close()
    for path in tmp_path.rglob("*"):  # as if written tomorrow
        os.utime(path, (now + 86_400, now + 86_400))
    check_same(finish(tmp_path), want)
