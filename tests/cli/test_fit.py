"""`jidcl fit` and `jidcl diagnose`: from a file to a page, and what is refused."""

import json
import re

import numpy as np
import pytest

from jidcl.cli import main as cli
from jidcl.diagnosis.planted import plant

X, X_POS = plant("matched", 0, rows=300)
SMALL = ["--outputs", "3", "--hidden", "8", "--steps", "20"]
SMALL += ["--batch", "16", "--seeds", "2"]


@pytest.mark.many_programs(reason="a fit and its rivals")
def test_a_file_becomes_a_page(tmp_path, capsys):
    np.savez(tmp_path / "pairs.npz", x=X, x_pos=X_POS)
    assert cli.main(["fit", str(tmp_path / "pairs.npz"), *SMALL]) == 0
    shown = capsys.readouterr()
    assert "bits above chance" in shown.out
    assert "held out" in shown.err
    out = tmp_path / "fit-pairs"
    held = {path.name for path in out.iterdir()}
    assert {"encoder.json", "fit.json", "fit.csv", "fit.html", "pairs.json"} <= held
    assert cli.main(["diagnose", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "bits of p = 2 minus p = 1" in shown
    told = json.loads((out / "diagnosis.json").read_text())
    assert set(told["evidence"]["rivals"]) == {"2", "3"}
    assert (out / "diagnosis.html").read_text().startswith("<!doctype html>")
    # Nothing is written over.
    assert cli.main(["fit", str(tmp_path / "pairs.npz"), *SMALL]) == 2
    assert "exists: choose another name" in capsys.readouterr().err
    # Pairs that are gone cost the comparison of exponents alone.
    (tmp_path / "pairs.npz").unlink()
    assert cli.main(["diagnose", str(out)]) == 0
    assert "is gone: exponents are not compared" in capsys.readouterr().out


@pytest.mark.many_programs(reason="a fit")
def test_a_folder_of_arrays_is_read(tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "x_pos.npy", X_POS)
    args = ["fit", str(tmp_path), "--out", str(tmp_path / "run"), *SMALL]
    assert cli.main(args) == 0
    assert (tmp_path / "run" / "fit.json").exists()


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("a.npz", dict(x=X), "must hold x and x_pos"),
        ("a.npz", dict(x=X, x_pos=X[1:]), "x_pos must have the shape of x"),
        ("a.npz", dict(x=np.full_like(X, np.nan), x_pos=X), "x must be finite"),
        ("a.npz", dict(x=0 * X, x_pos=0 * X), "x must vary"),
        ("a.csv", dict(x=X, x_pos=X), "must be an .npz or .parquet file, or a folder"),
    ],
)
def test_what_cannot_be_fitted_leaves_nothing(name, arrays, message, tmp_path, capsys):
    with (tmp_path / name).open("wb") as file:
        np.savez(file, **arrays)
    assert cli.main(["fit", str(tmp_path / name), *SMALL]) == 2
    said = capsys.readouterr().err
    assert re.search(f"^jidcl: .*{message}", said, re.MULTILINE)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folders_that_hold_no_fit_are_refused(tmp_path, capsys):
    assert cli.main(["diagnose", str(tmp_path / "nowhere")]) == 2
    assert "run must be a folder that jidcl fit wrote" in capsys.readouterr().err
    (tmp_path / "encoder.json").write_text("{}")
    assert cli.main(["diagnose", str(tmp_path)]) == 2
    assert "encoder.json does not hold an encoder" in capsys.readouterr().err
    assert cli.main(["fit", str(tmp_path)]) == 2
    assert "must hold x.npy and x_pos.npy, lacks" in capsys.readouterr().err


def test_columns_of_lists_are_read(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from jidcl.cli.fit import opened

    table = arrow.table({"x": X.tolist(), "x_pos": X_POS.tolist()})
    parquet.write_table(table, tmp_path / "a.parquet")
    x, x_pos = opened(tmp_path / "a.parquet")
    np.testing.assert_allclose(x, X)
    np.testing.assert_allclose(x_pos, X_POS)
