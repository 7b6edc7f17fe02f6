"""Files are written whole, read with bounds, and a folder has one owner."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from jidcl.files import (
    FolderInUse,
    owned,
    read_arrays,
    read_json,
    write_arrays,
    write_json,
    write_whole,
)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": [1.5, float("nan")]})
    before = path.read_bytes()

    def fails(part):
        part.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        write_whole(path, fails)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    json.loads(before, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a JSON file"),
        ('{"a": 1', "is not a JSON file"),
        ("[" * 200_000, "nested too deeply"),
        ("\udcff", "is not a JSON file"),
    ],
)
def test_damaged_json_is_one_error_that_names_the_file(tmp_path, content, message):
    path = tmp_path / "b.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"b.json .*{message}|b.json {message}"):
        read_json(path)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path):
    fifo, loop, device = (tmp_path / name for name in ("fifo", "loop", "device"))
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    device.symlink_to("/dev/zero")
    for path in (fifo, device, tmp_path):
        with pytest.raises(ValueError, match="must be a regular file"):
            read_json(path)
    with pytest.raises(ValueError, match="is a loop of links"):
        read_json(loop)
    assert read_arrays(fifo) == {}
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")


def test_archives_are_refused_before_they_are_unpacked(tmp_path):
    path = tmp_path / "c.npz"
    write_arrays(path, {"z": np.zeros(1 << 16)})
    assert path.stat().st_size < 1 << 12
    assert read_arrays(path)["z"].shape == (1 << 16,)
    assert read_arrays(path, most=1 << 16) == {}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("z.npy", b"no array")
    assert read_arrays(path) == {}


def test_a_folder_has_one_owner_and_a_dead_one_counts_no_more(tmp_path):
    code = (
        "import sys, time, pathlib; from jidcl.files import owned\n"
        "with owned(pathlib.Path(sys.argv[1])):\n"
        "    print('mine', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "mine\n"
        with (
            pytest.raises(FolderInUse, match=f"is in use by process {child.pid} on "),
            owned(tmp_path),
        ):
            pass
        child.kill()
    with owned(tmp_path):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()


def test_an_owner_finds_no_half_files(tmp_path):
    for name in (".17.result.json", ".own", "result.json"):
        (tmp_path / name).write_text("{")
    with owned(tmp_path):
        held = {path.name for path in tmp_path.iterdir()}
    assert held == {".own", "result.json", "lock"}


@pytest.mark.parametrize("make", ["link", "pipe", "folder"])
def test_a_lock_that_is_no_file_is_refused_and_not_followed(tmp_path, make):
    victim, lock = tmp_path / "notes", tmp_path / "lock"
    victim.write_text("mine")
    if make == "link":
        lock.symlink_to(victim)
    elif make == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with (
        pytest.raises(ValueError, match="lock must be a regular file"),
        owned(tmp_path),
    ):
        pass
    assert victim.read_text() == "mine"
