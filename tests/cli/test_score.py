"""`jidcl score` and `jidcl compare`: files in, tables and one page out."""

import csv
import json
import re

import numpy as np
import pytest

from jidcl.cli import main as cli
from jidcl.metrics import fold_rows, permutation_test, report
from jidcl.metrics.cross_fit import Reading, against
from jidcl.metrics.similarity import Similarity
from jidcl.report.scores import similarity_text


def saved(path, **arrays):
    for name, x in arrays.items():
        np.save(path / f"{name}.npy", x)
    return [str(path / f"{name}.npy") for name in arrays]


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(120, 3))
    return z, -2 * z[:, [1, 2, 0]], rng.normal(size=(120, 3))


def by_name(found):
    return {row.name: row for row in found.scores}


@pytest.mark.many_programs(reason="the lasso of every order and block of rows")
def test_a_report_tells_recovery_mixing_and_chance_apart(pair):
    z, same, noise = pair
    good = by_name(report(z, same, permutations=19))
    assert all(good[name].score > 0.999 for name in ("mcc", "spearman", "r2", "rdc"))
    assert good["tmex_f1"].score == 1
    assert good["dci_d"].score > 0.95
    assert good["mcc"].p_value == 0.05
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    mixed = by_name(report(z, z @ turned, permutations=19))
    assert mixed["r2"].score > 0.999
    assert mixed["mcc"].score < 0.95
    assert mixed["tmex_f1"].score < 0.95
    chance = by_name(report(z, noise, permutations=19))
    assert abs(chance["mcc"].score) < 0.25
    assert chance["mcc_in_sample"].score < chance["mcc_in_sample"].null * 1.5
    for row in chance.values():
        assert row.low <= row.score <= row.high, row
        assert row.p_value > 0.02, row
    assert "chance alone" in chance["mcc_in_sample"].note


def test_a_report_says_what_in_the_data_speaks_against_scores(pair):
    z, same, _ = pair
    doubled = np.column_stack([z, z[:, 0] ** 3])
    heavy = np.column_stack([same, same[:, 0], np.full(120, 2.0), np.exp(5 * z[:, 1])])
    notes = " / ".join(report(doubled, heavy, permutations=1).notes)
    assert "factors 0 and 3 correlate" in notes
    assert "codes 0 and 3 are copies" in notes
    assert "columns [4] of y are constant" in notes
    assert "heavy tails" not in notes or "[5]" in notes
    few = " / ".join(report(z, same[:, :1], permutations=1).notes)
    assert "matched scores leave 2 factors out" in few
    mixed = np.column_stack([np.arange(120) % 3, z[:, 0]])
    text = " / ".join(report(mixed, same, permutations=1).notes)
    assert "columns [0] of z have few whole values" in text


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_linear_r2_has_no_units(unit):
    rng = np.random.default_rng(0)
    z, y, folds = rng.normal(size=(40, 2)), rng.normal(size=(40, 3)), fold_rows(40)
    plain = Reading(z, y, folds).z_from_y(np.arange(40))
    found = Reading(unit * z, y * [1, 1e-12, unit], folds).z_from_y(np.arange(40))
    np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_a_score_that_is_no_number_is_not_significant():
    assert against([np.nan, 0.1, 0.2])[2] == against([0.5, np.nan, np.nan])[2] == 1
    z = np.zeros((12, 1))
    found = permutation_test(lambda z, y: np.nan, z, z, permutations=9)
    assert found.p_value == 1


@pytest.mark.parametrize("orders", [np.zeros((0, 12), int), np.zeros((3, 12), int)])
def test_orders_hold_every_row_once(orders):
    z = np.zeros((12, 1))
    with pytest.raises(ValueError, match="orders must"):
        permutation_test(lambda z, y: 0.0, z, z, orders=orders)


@pytest.mark.parametrize(
    ("z", "y", "why"),
    [
        (np.zeros((40, 2)), np.ones((40, 2)), "z must have a column that varies"),
        (np.ones((40, 0)), np.ones((40, 2)), "z must have shape"),
        (np.ones((20, 2)), np.ones((20, 2)), "samples >= 30"),
        (np.eye(40), np.eye(40), "fewer columns than rows"),
        (np.eye(40)[:, :2], np.full((40, 2), np.nan), "y must be finite"),
        (np.eye(40)[:, :2].astype(object), np.eye(40), "z must hold numbers"),
        (np.eye(40)[:, :2] * 1j, np.eye(40), "z must hold real numbers"),
        (np.eye(40)[:, :2], np.eye(41)[:, :2], "same number of rows"),
    ],
)
def test_a_report_refuses_by_name(z, y, why):
    with pytest.raises((ValueError, TypeError), match=why):
        report(z, y)


@pytest.mark.many_programs(reason="the lasso of every order and block of rows")
def test_score_prints_and_writes_every_form(pair, tmp_path, capsys):
    z, same, _ = pair
    paths = saved(tmp_path, z=z.astype(np.float32), y=same.astype(np.float32))
    outs = [str(tmp_path / f"found{end}") for end in (".json", ".csv", ".html", ".txt")]
    args = ["score", *paths, "--permutations", "3", "--out", *outs]
    assert cli.main(args) == 0
    shown, told = capsys.readouterr()
    assert told.splitlines() == [f"wrote {path}" for path in outs]
    assert shown.startswith("120 rows, 3 factors, 3 codes")
    held = json.loads((tmp_path / "found.json").read_text())
    lines = (tmp_path / "found.csv").read_text().splitlines()
    table = list(csv.DictReader(lines))
    assert [row["score"] for row in table] == [row["name"] for row in held["scores"]]
    assert float(table[0]["value"]) == held["scores"][0]["score"]
    assert np.shape(held["correlations"]) == (3, 3)
    page = (tmp_path / "found.html").read_text()
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing else
    assert (tmp_path / "found.txt").read_text().strip() == shown.strip()


@pytest.mark.parametrize("verb", ["score", "compare"])
@pytest.mark.parametrize("kind", ["empty", "archive", "short", "words"])
def test_files_that_are_no_arrays_are_refused(verb, kind, tmp_path, capsys):
    path = tmp_path / "z.npy"
    np.save(path, np.array(["a"] * 40) if kind == "words" else np.ones((40, 2)))
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "short":
        path.write_bytes(path.read_bytes()[:-8])
    elif kind == "archive":
        with path.open("wb") as file:
            np.savez(file, z=np.ones((40, 2)))
    assert cli.main([verb, str(path), str(path)]) == 2
    assert f"{path} must hold" in capsys.readouterr().err


def test_score_refuses_what_holds_no_numbers(tmp_path, capsys):
    paths = saved(tmp_path, z=np.zeros((40, 2)))
    np.save(tmp_path / "y.npy", np.array([{}]), allow_pickle=True)
    assert cli.main(["score", *paths, str(tmp_path / "y.npy")]) == 2
    assert "not of objects" in capsys.readouterr().err
    assert cli.main(["score", *paths, *paths, "--out", "a.pdf"]) == 2
    assert "ending of a.pdf" in capsys.readouterr().err


def test_columns_stand_under_their_titles_whatever_the_names():
    one = Similarity(0.5, 0.1, 0.05, 0.6, 0.2, 0.05, 0.6, 0.6)
    for names in (["a", "b"], ["encoder_of_seed_0", "encoder_of_seed_1"]):
        head, row = similarity_text(names, {(0, 1): one}).splitlines()
        ends = [[m.end() for m in re.finditer(r"\S+", line)] for line in (head, row)]
        assert ends[0][1:] == ends[1][3:]  # a pair is three words


def test_compare_prints_every_pair_and_writes_heat_maps(pair, tmp_path, capsys):
    z, same, noise = pair
    paths = saved(tmp_path, first=z, second=same, third=noise)
    outs = [str(tmp_path / f"found{end}") for end in (".json", ".html", ".txt")]
    args = ["compare", *paths, "--permutations", "19", "--out", *outs]
    assert cli.main(args) == 0
    shown, told = capsys.readouterr()
    lines = shown.splitlines()
    assert len(lines) == 4
    assert told.splitlines() == [f"wrote {path}" for path in outs]
    held = json.loads((tmp_path / "found.json").read_text())["pairs"]
    assert held[0]["matched"] == pytest.approx(1)
    assert held[0]["matched_p"] == 0.05
    assert abs(held[1]["linear"]) < 0.3
    page = (tmp_path / "found.html").read_text()
    assert page.count("<svg") == 2
    assert "<title>first, third: " in page
    assert cli.main(["compare", paths[0]]) == 2
    np.save(tmp_path / "short.npy", z[:50])
    assert cli.main(["compare", paths[0], str(tmp_path / "short.npy")]) == 2
    assert "rows" in capsys.readouterr().err
