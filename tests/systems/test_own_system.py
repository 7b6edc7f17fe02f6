"""The system of docs/own-system.md, taken from the page: it gets its verdicts."""

import re
import sys
from pathlib import Path

import pytest

from jidcl.cli import main as cli
from jidcl.report.records import find_records
from jidcl.run.verify import Verification

PAGE = Path(__file__).parents[2] / "docs/own-system.md"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The page's module, in the working directory."""
    if not PAGE.exists():
        pytest.skip("the pages of docs/ are not beside the tests")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if block.startswith('"""Slow features')]
    (tmp_path / "slow_features.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("slow_features", None)
    yield code
    sys.modules.pop("slow_features", None)


def test_the_example_is_short_and_gets_its_verdicts(written, tmp_path):
    assert len([line for line in written.splitlines() if line.strip()]) <= 60
    work = Verification(system="slow_features:SYSTEM", root=tmp_path / "runs")
    for _ in work.go():
        pass
    words = {verdict.claim: verdict.word for verdict in work.verdicts}
    assert words == {"distinct": "identified", "equal": "not identified"}
    assert work.passed
    distinct, equal = work.verdicts
    assert distinct.nulls["shuffled"] < 10 < 50 < distinct.nulls["identity"] < 95
    report = (work.folder / "report.md").read_text()
    assert "2 of 2 came out as expected" in report
    (record,) = (
        r for r in find_records(work.root).values() if r.preset == "quick/equal"
    )
    assert record.system == "slow_features:SYSTEM"


def test_it_is_trained_from_the_command_line(written, tmp_path, capsys):
    name = "slow_features:SYSTEM:quick/distinct"
    call = ["train", name, "--steps", "20", "--root", str(tmp_path / "runs")]
    assert cli.main(call) == 0
    assert "mcc" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        cli.main([*call, "--muon-steps", "3"])
    assert "muon_steps cannot act here" in capsys.readouterr().err


def test_a_mistake_in_it_is_one_line(written, tmp_path, capsys):
    (tmp_path / "broken.py").write_text("SYSTEM = {'name': 'mine'}\n")
    for name, message in (
        ("broken:SYSTEM", "must be a jidcl.systems.contract.System, got a dict"),
        ("broken:OTHER", "has no attribute 'OTHER'"),
        ("absent:SYSTEM", "No module named 'absent'"),
    ):
        assert cli.main(["verify", "--system", name]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


MISTAKES = {
    "loss": ("objective(*(batch[0] @ w)), (state, {})", "objective(*(batch[0] @ w))"),
    "probe": ('{"norm": jnp.linalg.norm(w)}', "jnp.linalg.norm(w)"),
    "init": ("(jax.random.orthogonal(key, n), {})", "jax.random.orthogonal(key, n)"),
    "losses": ("Losses(*losses)", "losses[0]"),
    "batches": ('{"mcc": jnp.mean(found)}', '{"mcc": found[:, None]}'),
    "nulls": ('{"mcc": nulls}', "nulls"),
    "no floor": ('"reference"', '"none"'),
    "unknown floor": ('"reference"', '"orakel"'),
    "metric": ('metric="mcc"', 'metric="mmc"'),
    "preset": ("preset=name", "preset=name + name"),
    "field": ('("rhos",)', '("rho",)'),
    "unit": ("threshold=95.0", "threshold=0.95"),
}
SAID = {
    "loss": "step of slow_features cannot be traced: TypeError: loss must return",
    "probe": "probe of slow_features must be arrays by name",
    "init": "start (a problem's init) of slow_features cannot be traced",
    "losses": "losses of evaluate of slow_features must be a jidcl.Losses or None",
    "batches": "scores of evaluate of slow_features: 'mcc' must have at most 1 axes",
    "nulls": "nulls of 'identity' of evaluate of slow_features must be arrays by name",
    "no floor": "floor_kind of slow_features is 'none', but evaluate returns Losses",
    "unknown floor": "floor_kind of slow_features must be one of",
    "metric": "metric of claim distinct must be one of",
    "preset": "preset of a claim must be one of",
    "field": "frozen_fields of slow_features:SYSTEM must be one of",
    "unit": "threshold (percent) must be >= 1, got 0.95",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_what_a_function_returns_is_said_before_training(
    written, tmp_path, capsys, mistake
):
    right, wrong = MISTAKES[mistake]
    assert written.count(right) == 1
    (tmp_path / "slow_features.py").write_text(written.replace(right, wrong))
    name, root = "slow_features:SYSTEM", str(tmp_path / "runs")
    assert cli.main(["verify", "--system", name, "--root", root]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert SAID[mistake] in line
    assert not (tmp_path / "runs").exists()
