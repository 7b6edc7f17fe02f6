"""`jidcl verify`: from claims to a report, rows of tables."""

import dataclasses

import pytest

from jidcl.claims import load_claims
from jidcl.cli import main as cli
from jidcl.run import verify
from jidcl.systems.contrastive_ica.presets import presets
from jidcl.systems.registry import SYSTEMS
from reference.tiny import shrunk


@pytest.fixture
def tiny_presets(monkeypatch):
    named = {name: shrunk(config) for name, config in presets().items()}
    monkeypatch.setattr(verify, "load_presets", lambda system: named)


@pytest.fixture
def few_claims(monkeypatch):
    claims = load_claims("contrastive_ica")
    quick = [c for c in claims.quick if c.preset.startswith(("sphere", "uniformity"))]
    few = dict(quick=tuple(quick), curves=claims.curves[:1])
    few = dataclasses.replace(claims, **few)
    monkeypatch.setattr(verify, "load_claims", lambda system: few)


@pytest.mark.long
def test_verify_goes_from_claims_to_a_report(
    tmp_path, capsys, tiny_presets, few_claims
):
    args = ["verify", "--budget", "smoke", "--seeds", "2", "--root", str(tmp_path)]
    assert cli.main(args) == 1  # twenty steps identify nothing
    out = capsys.readouterr().out
    assert "report.md" in out
    folder = tmp_path / "report-contrastive_ica-smoke"
    text = (folder / "report.md").read_text()
    assert "Theorem 1" in text
    assert "✗" in text
    assert (folder / "verdicts.csv").exists()
    assert cli.main(["table", "--root", str(tmp_path), "--csv"]) == 0
    assert "smoke/sphere-vmf" in capsys.readouterr().out
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["report", "--root", str(tmp_path), *out]) == 0
    assert (tmp_path / "out" / "report.md").exists()


BOTH = pytest.param(["t2r6", "t2r8"], marks=pytest.mark.long)


@pytest.mark.parametrize("rows", [["t2r8"], BOTH])
def test_published_rows_run_through_the_same_verb(tmp_path, capsys, tiny_presets, rows):
    args = ["verify", "--budget", "full", "--rows", *rows, "--seeds", "1"]
    assert cli.main([*args, "--root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert all(f"Table 2, row {row[-1]}" in out for row in rows)
    text = (tmp_path / "report-contrastive_ica-full" / "report.md").read_text()
    assert "✗ missed" in text
    assert "the same run misses t1r5" in text


def test_a_smoke_run_is_one_that_trains_and_one_that_does_not():
    work = verify.Verification(budget="smoke")
    assert list(work.stages()) == ["theorem1/thm1-vmf", "smoke/sphere-vmf"]
    for system in SYSTEMS:
        if load_claims(system).at("smoke"):
            work = verify.Verification(system=system, budget="smoke")
            trained = [name for name, _ in work.trained()]
            assert 1 <= len(work.stages()) <= 2
            assert len(trained) <= 1
    with pytest.raises(ValueError, match=r"budget of lti must be one of \['quick'\]"):
        verify.Verification(system="lti", budget="smoke")
