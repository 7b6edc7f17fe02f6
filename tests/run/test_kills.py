"""Kills at chosen moments; what is killed and how is in tests/kills.py."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from kills import KILLS
from survived import note


@pytest.mark.long
def test_runs_killed_at_chosen_moments_end_with_the_same_numbers():
    tests = pathlib.Path(__file__).parents[1]
    paths = [str(tests), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(tests / "kills.py")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        how = f"{line['verb']} {line['moment'][0]}"
        note("kills at chosen moments", how, line["same"])
    assert [line for line in lines if not line["same"]] == []
    assert len(lines) == len(KILLS)
