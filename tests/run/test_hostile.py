"""Run folders in which something else stands in the place of a file or a folder."""

import dataclasses
import os
import shutil
import signal
import warnings

import pytest

from jidcl.run import runner
from reference import descent
from survived import note

# What Orbax leaves behind a folder that it cannot read.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)
LONG = dataclasses.replace(descent.CONFIG, steps=12, chunk=2, rate=0.05)
OWN = dict(system=descent.NAME, preset="t", seeds=(0,))
PATIENCE = 120  # seconds without an answer
TEXT = "somebody's notes\n"


def emptied(path, victim):
    path.write_text("")


def deep(path, victim):
    path.write_text("[" * 200_000)


def garbage(path, victim):
    path.write_bytes(bytes(range(256)) * 20)


def other_type(path, victim):
    path.write_text('{"leaves": 3, "kept": [], "scores": 5, "config": null}')


def folder(path, victim):
    path.mkdir()
    (path / "x").write_text("x")


def pipe(path, victim):
    os.mkfifo(path)


def loop(path, victim):
    path.symlink_to(path.name)


def device(path, victim):
    path.symlink_to("/dev/zero")


def link(path, victim):
    path.symlink_to(victim)


WAYS = [emptied, deep, garbage, other_type, folder, pipe, loop, device, link]
LEFT = (
    "config.json env.json lock metrics.jsonl ckpt ckpt/6 digests digests/6.json damaged"
)
DONE = "config.json result.json samples.npz lock"


def last_of(events):
    *_, last = events
    return last.record


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Runs: one that was left after six steps, one that is done; and its record."""
    root = tmp_path_factory.mktemp("runs")
    events = runner.run(LONG, **OWN, root=root / "left", save_seconds=0.0)
    while next(events).step != 6:
        pass
    events.close()
    return root, last_of(runner.run(LONG, **OWN, root=root / "done"))


def too_long(*_):
    raise AssertionError("no answer")


def ended(root, home, want):
    """How a run ended; nothing where it ended badly."""
    signal.alarm(PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = last_of(runner.run(LONG, **OWN, root=root))
    except (ValueError, OSError) as error:
        named = str(home) in str(error)
        return f"refused by name, {type(error).__name__}" if named else ""
    finally:
        signal.alarm(0)
    same = record.scores == want.scores and record.curve == want.curve
    return "the same numbers" if same else ""


@pytest.mark.long
@pytest.mark.many_programs(reason="the same tiny run many times")
@pytest.mark.parametrize(
    ("state", "name"),
    [("left", name) for name in LEFT.split()] + [("done", n) for n in DONE.split()],
)
def test_what_stands_in_another_place_is_one_line_or_harmless(
    folders, tmp_path, state, name
):
    origin, want = folders
    victim = tmp_path / "notes.txt"
    victim.write_text(TEXT)
    signal.signal(signal.SIGALRM, too_long)
    for way in WAYS:
        root = tmp_path / way.__name__
        shutil.copytree(origin / state, root)
        (home,) = root.glob("t-*")
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        way(path, victim)
        how = ended(root, home, want)
        assert how, way
        assert victim.read_text() == TEXT, way
        note("something else in a run folder", how)
