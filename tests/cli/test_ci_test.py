"""`jidcl ci-test`: columns of a table."""

import os
import re

import numpy as np
import pytest

from jidcl.cli import main as cli


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    z, u, v = np.random.default_rng(0).normal(size=(3, 120))
    path = tmp_path_factory.mktemp("table") / "table.csv"
    rows = np.column_stack([z + u, z + v, z])
    np.savetxt(path, rows, delimiter=",", header="a,b,c", comments="")
    return str(path)


def test_verdict_method_and_assumptions(table, capsys):
    given = ["--z", "c", "--test", "fisher_z"]
    for more, word in (([], ": rejected"), (given, "given c: not rejected")):
        assert cli.main(["ci-test", table, "--x", "a", "--y", "1", *more]) == 0
        shown = capsys.readouterr().out
        assert word in shown
        for part in ("p   ", "method", "120 rows", "assumes"):
            assert part in shown


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--x", "a", "--y", "d"], "column of .* must be one of"),
        (["--x", "a", "--y", "a"], "x, y and z must be different columns"),
        (["--x", "a", "--y", "b", "--test", "kcl"], "did you mean 'kci'"),
        (["--x", "a", "--y", "b", "--alpha", "1"], "alpha must be in"),
        (["--x", "a", "--y", "b", "--z", "c", "--test", "xi"], "z must be empty"),
    ],
)
def test_what_cannot_be_tested_is_refused(table, args, message, capsys):
    assert cli.main(["ci-test", table, *args]) == 2

    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.npy"])
def test_a_table_that_is_no_file_is_not_waited_for(tmp_path, name, capsys):
    os.mkfifo(tmp_path / name)
    assert cli.main(["ci-test", str(tmp_path / name), "--x", "a", "--y", "b"]) == 2
    assert "must be a regular file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"", "must be an array in .npy"),
        ("a.npy", b"PK\x03\x04", "must be an array in .npy"),
        ("a.csv", b"\xff\xfea,b\n1,2\n", "must hold a line of names, then numbers"),
        ("a.csv", b"a,b\n", "must hold rows of numbers, got none"),
        ("a.csv", b"", "must hold rows of numbers, got none"),
    ],
)
def test_a_table_that_is_none_is_named(tmp_path, name, content, message, capsys):
    path = tmp_path / name
    path.write_bytes(content)
    assert cli.main(["ci-test", str(path), "--x", "a", "--y", "b"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jidcl: {path} {message}")
    assert error.count("\n") == 1


def test_so_many_categories_that_they_do_not_fit_are_refused(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2000000000\n3,4\n")
    call = ["ci-test", str(path), "--x", "a", "--y", "b", "--test", "g_test"]
    assert cli.main(call) == 2
    assert "levels must be smaller to fit in memory" in capsys.readouterr().err
