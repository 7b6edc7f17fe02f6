"""What is printed while work goes on."""

import re

from rich.console import Console

from jidcl.cli import progress
from jidcl.run.runner import RunEvent


def test_the_time_left_is_that_of_the_piece_that_runs(monkeypatch, capsys):
    """Runs cut into pieces count their steps from 0 again."""
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    watcher = progress.Watcher(Console(force_terminal=False))
    for step in (10, 60, 100, 10, 60):
        watcher.run(RunEvent("train", step, 100, {}))
    lines = capsys.readouterr().out.splitlines()
    # 50 steps in 20 seconds, and 40 are left.
    assert [
        re.findall(r"(\S+) steps/s, about (\S+) s left", line) for line in lines
    ] == [
        [("2.5", "16")],
        [("2.2", "0")],
        [],
        [("2.5", "16")],
    ]
