"""`jidcl train`: records, repeats, devices, runs without training."""

import json

import pytest

from jidcl.cli import main as cli


def test_train_writes_a_record_and_repeats_for_free(
    finished, tiny_call, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "160")
    root, printed = finished
    (record,) = root.glob("quick-sphere-vmf-custom-*/result.json")
    stamp = record.stat().st_mtime_ns
    assert "r2" in printed
    assert "r2_per_dim" not in printed
    assert cli.main([*tiny_call, "--root", str(root)]) == 0
    assert record.stat().st_mtime_ns == stamp
    assert f"record: {record}" in capsys.readouterr().out
    assert cli.main([*tiny_call, "--dry-run"]) == 0
    assert "12 steps, 0 s" in " ".join(capsys.readouterr().out.split())


@pytest.mark.long
@pytest.mark.many_programs(reason="a whole run, spread over devices")
def test_devices_are_used(tiny_call, tmp_path, capsys):
    args = [
        *tiny_call,
        "--devices.seed",
        "2",
        "--devices.data",
        "4",
        "--root",
        str(tmp_path),
    ]
    assert cli.main(args) == 0
    (env,) = tmp_path.glob("*/env.json")
    assert '"seed": 2' in env.read_text()


def test_what_trains_nothing_shows_its_scores_and_no_optimisation(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "160")  # all columns of verdicts
    call = ["train", "theorem1/thm1-normal", "--seeds", "2"]
    call += ["--counts", "8", "16"]
    assert cli.main([*call, "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    (path,) = tmp_path.glob("theorem1-thm1-normal-custom-*/result.json")
    first, second = json.loads(path.read_text())["scores"]["excess"]
    means = [(a + b) / 2 for a, b in zip(first, second, strict=True)]
    for values in (first, second, means):
        assert " ".join(f"{value:.4g}" for value in values) in out
    assert "numbers of negatives M" in out
    for word in ("gap", "optimised", "identified", "step "):
        assert word not in out
    assert {p.name for p in path.parent.iterdir()} == {
        "config.json",
        "env.json",
        "lock",
        "result.json",
    }
    assert cli.main([*call, "--dry-run"]) == 0
    assert "nothing is trained" in " ".join(capsys.readouterr().out.split())
