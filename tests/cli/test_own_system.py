"""Verbs on a system outside the package: it is named `MODULE:OBJECT`."""

import json
import sys

import pytest

from jidcl.cli import main as cli

MODULE = """
import dataclasses

import jax
import jax.numpy as jnp
from jidcl import Evaluation, Problem, Program, System
from jidcl.claims import Claims, QuickClaim
from jidcl.systems.shared.settings import Settings


@dataclasses.dataclass(frozen=True)
class Constants(Settings):
    level: float = 0.75

    def summary(self):
        return f"a score of {self.level}"


def make_program(config):
    def evaluate(run, frozen, key):
        per_dim = config.level + jnp.asarray([-0.125, 0.125])
        return Evaluation({"r2": jnp.float32(config.level), "each": per_dim})

    return Program(
        freeze=lambda key: {},
        start=lambda frozen, key: {},
        step=None,
        evaluate=evaluate,
    )


CLAIM = QuickClaim(
    id="low", text="a low score", source="here", metric="r2", threshold=95.0,
    preset="a/low", expect="not identified",
)
PARTS = dict(
    name="constants",
    title="constants",
    paper="none",
    presets=lambda: {"quick/a/low": Constants(), "quick/high": Constants(level=1.0)},
    make_program=make_program,
    frozen_fields=(),
    legend={"each": "the score on either side"},
)
SYSTEM = System(
    **PARTS,
    claims=lambda: Claims(system="constants", source="here", quick=(CLAIM,)),
)
UNCLAIMED = System(**PARTS)
PROBLEM = System(**{**PARTS, "make_program": lambda config: Problem(*[len] * 6)})
NO_SETTINGS = System(**{**PARTS, "presets": lambda: {"quick/x": {"level": 1}}})
NO_PRESETS = System(**{**PARTS, "presets": lambda: 1 / 0})
NO_CLAIMS = System(**PARTS, claims=lambda: [CLAIM])
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the working directory, which is not on the path."""
    (tmp_path / "own_constants.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "own_constants"
    sys.modules.pop("own_constants", None)


def test_its_presets_claims_and_scores_are_listed(module, capsys):
    for topic, words in {
        "presets": ["quick/a/low", "a score of 0.75"],
        "claims": ["not identified at 95"],
        "scores": ["of own_constants:SYSTEM", "the score on either side", "of ranks"],
    }.items():
        assert cli.main(["list", topic, f"{module}:SYSTEM"]) == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words)


def test_it_is_trained_swept_and_verified(module, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    name = f"{module}:SYSTEM:quick/a/low"
    assert cli.main(["train", name, "--seeds", "2"]) == 0
    out = capsys.readouterr().out
    assert "0.625 0.875" in out
    assert "the score on either side" in out
    assert "gap" not in out
    (path,) = tmp_path.glob("runs/quick-a-low-*/result.json")
    record = json.loads(path.read_text())
    held = [record[key] for key in ("system", "preset", "seeds")]
    assert held == [f"{module}:SYSTEM", "quick/a/low", [0, 1]]
    assert cli.main(["verify", "--system", f"{module}:SYSTEM", "--seeds", "2"]) == 0
    assert "1 of 1 as expected" in capsys.readouterr().out
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 1  # the same run
    call = ["sweep", name, "--grid", "level=0.25,0.5", "--seeds", "2"]
    assert cli.main(call) == 0
    (path,) = tmp_path.glob("runs/sweep/*/sweep.json")
    rows = json.loads(path.read_text())["rows"]
    assert [row["r2"] for row in rows] == [0.25, 0.25, 0.5, 0.5]
    call[call.index("level=0.25,0.5")] = "level=0.25"
    assert cli.main(call) == 0  # below the same root
    found = tmp_path.glob("runs/sweep/*/sweep.json")
    grids = sorted((json.loads(p.read_text())["grid"]["level"] for p in found), key=len)
    assert grids == [[0.25], [0.25, 0.5]]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["list", "presets", "nowhere:SYSTEM"], "No module named 'nowhere'"),
        (["train", "nowhere:SYSTEM:quick/x"], "No module named 'nowhere'"),
        (["train", "own_constants:SYSTEM:quick/low"], "must be one of ['quick/a/low'"),
        (["train", "own_constants:SYSTEM"], "MODULE:OBJECT:PRESET of your own"),
        (["verify", "--system", "own_constants:NONE"], "has no attribute 'NONE'"),
        (["verify", "--system", "own_constants:CLAIM"], "must be a jidcl.systems"),
        (["verify", "--system", "own_constants:UNCLAIMED"], "must have claims"),
        (["verify", "--system", "own_constants:NO_CLAIMS"], "must be Claims or None"),
        (
            ["list", "presets", "own_constants:NO_SETTINGS"],
            "preset 'quick/x' of own_constants:NO_SETTINGS must be a",
        ),
        (
            ["list", "presets", "own_constants:NO_PRESETS"],
            "ZeroDivisionError: division by zero (",
        ),
        (
            ["train", "own_constants:PROBLEM:quick/high"],
            "must return a Program (jidcl.gradient makes one of a Problem), got a Prob",
        ),
        (
            ["sweep", "own_constants:PROBLEM:quick/high", "--grid", "level=1"],
            "must return a Program",
        ),
    ],
)
def test_what_is_wrong_with_it_is_one_line(args, message, module, capsys):
    assert cli.main(args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_module_that_cannot_be_read_names_the_line(module, tmp_path, capsys):
    for name, text, message in (
        ("own_broken", "x =\n", "SyntaxError: invalid syntax (own_broken.py, line 1)"),
        (
            "own_partial",
            "from jidcl import System\nSYSTEM = System(name='mine')\n",
            "missing 5 required positional arguments: 'title', 'paper', 'presets'",
        ),
    ):
        (tmp_path / f"{name}.py").write_text(text)
        assert cli.main(["verify", "--system", f"{name}:SYSTEM"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert line.endswith("own_partial.py, line 2)")
