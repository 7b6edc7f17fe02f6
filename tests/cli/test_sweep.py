"""`jidcl sweep`: records and maps of grids."""

import json

import pytest

from jidcl.cli import main as cli


@pytest.mark.long
def test_two_sweeps_below_one_root_keep_their_records(tmp_path, capsys):
    plain = ["steps=4", "chunk=4", "batch=16", "mixing_draws=1", "eval_batch=64"]
    call = ["sweep", "quick/sphere-vmf", "--root", str(tmp_path), "--metric", "loss"]
    for grid in ("tau=0.5", "tau=0.5,1"):
        assert cli.main([*call, "--grid", grid, "--set", *plain]) == 0
    records = [json.loads(p.read_text()) for p in tmp_path.glob("*/sweep.json")]
    grids = sorted((r["grid"]["tau"] for r in records), key=len)
    assert grids == [[0.5], [0.5, 1.0]]
    assert records[0]["preset"] == "quick/sphere-vmf"
    assert records[0]["set"]["steps"] == [4]
    out = capsys.readouterr().out
    assert "left" not in out
    assert out.count("sweep.json") == out.count("sweep.png") == 2
    assert len(list(tmp_path.glob("*/sweep.png"))) == 2
