import dataclasses

import pytest

from jidcl.claims import load_claims
from jidcl.report import document, plots
from jidcl.report.judge import answered
from jidcl.report.records import write_record
from jidcl.run import runner
from jidcl.systems.contrastive_ica.presets import presets
from reference.records import curve
from reference.tiny import TINY

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    names = ["sphere-vmf", "uniformity-10", "uniformity-1", "uniformity-0.2"]
    small = ("widths", "batch", "steps", "chunk", "eval_batch", "eval_batches")
    small += ("mixing_draws", "warmup")
    for name in names:
        fields = {field: getattr(TINY, field) for field in small}
        config = dataclasses.replace(presets()[f"quick/{name}"], **fields)
        own = dict(system="contrastive_ica", preset=f"quick/{name}")
        for _ in runner.run(config, **own, seeds=(0, 1), root=root):
            pass
    return root


def test_finished_runs_become_verdicts_and_a_report_with_figures(runs, tmp_path):
    theorem = dataclasses.replace(curve(), preset="theorem1/thm1-vmf")
    write_record(runs / "theorem1", theorem)
    verdicts, found = document.judge_finished(runs)
    assert {v.claim for v in verdicts} == {
        "q-sphere",
        "q-uniformity-1",
        "q-uniformity-2",
        "q-uniformity-3",
        "q-uniformity",
        "thm1-vmf",
    }
    order = next(v for v in verdicts if v.claim == "q-uniformity")
    assert len(order.series) == 3
    records = document.by_name(found, "contrastive_ica")
    pairs = answered(load_claims("contrastive_ica"), records)
    held = next(held for claim, held in pairs if claim.id == "q-uniformity")
    scales = [record.config["marginal_param"] for record in held]
    assert scales == [10.0, 1.0, 0.2]
    report = document.write_report(
        tmp_path,
        verdicts,
        found,
        title="Title",
        source="Source",
    )
    text = report.read_text()
    assert text.startswith("# Title")
    figures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(figures) == 2 + 2 * (len(found) - 1)  # a run that trains nothing: none
    for name in figures:
        assert f"]({name})" in text
        assert (tmp_path / name).read_bytes()[:4] == PNG
    assert (tmp_path / "verdicts.csv").exists()


def test_without_matplotlib_the_report_says_what_to_install(
    runs, tmp_path, monkeypatch
):
    monkeypatch.setattr(plots, "available", lambda: False)
    verdicts, found = document.judge_finished(runs)
    report = document.write_report(tmp_path, verdicts, found, title="T", source="S")
    assert "pip install 'jidcl[plots]'" in report.read_text()
    assert not list(tmp_path.glob("*.png"))


def test_joined_reports_keep_their_tables_and_leave_their_figures(tmp_path):
    for name in ("a", "b"):
        text = f"# System {name}\n\n| claim |\n\n## curve\n\n![curve](c.png)\n"
        (tmp_path / name).write_text(text)
    out = document.join_reports([tmp_path / "a", tmp_path / "b"], tmp_path / "all.md")
    want = "# System a\n\n| claim |\n\n## System b\n\n| claim |\n"
    assert out.read_text() == want


def test_no_finished_run_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must hold finished runs"):
        document.judge_finished(tmp_path)
