"""`jidcl table` and `jidcl report`: verdicts of finished runs."""

from jidcl.cli import main as cli


def test_finished_runs_are_told_in_a_table_and_a_report(finished, tmp_path, capsys):
    root, _ = finished
    assert cli.main(["table", "--root", str(root), "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("quick/sphere-vmf-custom,")
    assert cli.main(["table", "--root", str(root)]) == 0
    assert "| quick/sphere-vmf-custom (12 steps" in capsys.readouterr().out
    assert cli.main(["report", "--root", str(root), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.md")
    assert (tmp_path / "report.md").exists()


def test_a_root_without_runs_is_refused(tmp_path, capsys):
    for verb in ("table", "report"):
        assert cli.main([verb, "--root", str(tmp_path)]) == 2
        assert "root must hold finished runs" in capsys.readouterr().err
