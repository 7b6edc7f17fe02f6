import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jidcl.run import ahead
from jidcl.run.runner import run
from jidcl.run.verify import Verification
from jidcl.systems.registry import load_presets
from jidcl.train import programs
from reference.tiny import shrunk


@pytest.mark.parametrize(
    ("system", "preset"),
    [
        ("contrastive_ica", "quick/sphere-vmf"),
        ("contrastive_ica", "identity/t1r1"),
        pytest.param("diet", "", marks=pytest.mark.long),
        pytest.param("anisotropic", "", marks=pytest.mark.long),
    ],
)
def test_what_is_compiled_ahead_is_what_the_run_asks_for(
    tmp_path, monkeypatch, system, preset
):
    presets = load_presets(system)
    config = shrunk(presets.get(preset) or next(iter(presets.values())))
    compiled, seen = programs._compiled, {"ahead": set(), "run": set()}

    def noted(where, really):
        def compile_one(name, lowered, options):
            seen[where].add((name, lowered.as_text(), tuple(options.items())))
            return compiled(name, lowered, options) if really else lowered.compile()

        return compile_one

    monkeypatch.setattr(programs, "_compiled", noted("ahead", False))
    assert list(ahead.compile_run(config, system=system, seeds=[3, 5]))
    monkeypatch.setattr(programs, "_compiled", noted("run", True))
    *_, last = run(config, system=system, preset=preset, seeds=[3, 5], root=tmp_path)
    assert last.record is not None
    names = {name for name, *_ in seen["run"]}
    assert seen["run"] == seen["ahead"], names


def test_nothing_is_started_where_it_cannot_help(tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refused)
    monkeypatch.setenv("JIDCL_AHEAD", "on")
    work = Verification(root=tmp_path)
    with pytest.raises(AssertionError, match="was started"), ahead.compiled_ahead(work):
        pass
    with monkeypatch.context() as own:
        own.delenv("JAX_COMPILATION_CACHE_DIR")
        with ahead.compiled_ahead(work) as begins:
            begins(0)
    with monkeypatch.context() as own:
        own.delenv("JIDCL_AHEAD")
        with ahead.compiled_ahead(work) as begins:
            begins(0)
    with monkeypatch.context() as own:
        own.setattr(os, "cpu_count", lambda: 1)
        with ahead.compiled_ahead(work) as begins:
            begins(0)
    with monkeypatch.context() as own:
        own.setattr(ahead, "_unfinished", lambda work: [3])
        with ahead.compiled_ahead(work) as begins:
            begins(0)


PARENT = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
from jidcl.run.ahead import compiled_ahead
from jidcl.run.verify import Verification
with compiled_ahead(Verification(root=Path(sys.argv[1]))) as begins:
    begins(0)
    print("begun", flush=True)
    if sys.argv[2] == "fail":
        raise SystemExit(3)
    time.sleep(600)
"""


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("way", ["kill", "interrupt", "fail"])
def test_the_second_process_ends_with_the_first(tmp_path, way):
    command = [sys.executable, "-c", PARENT, str(tmp_path), way]
    pipes: dict = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pipes["env"] = {**os.environ, "JIDCL_AHEAD": "on"}
    with subprocess.Popen(command, **pipes) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"begun\n"
        helpers = [] if way == "fail" else children(parent.pid)
        if way == "kill":
            parent.kill()
        elif way == "interrupt":
            parent.send_signal(signal.SIGINT)
        try:
            parent.wait(60)
        finally:
            parent.kill()
    assert len(helpers) == (way != "fail")
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/exe").exists() for pid in helpers):
        assert time.monotonic() < until, "the helper goes on"
        time.sleep(0.05)
