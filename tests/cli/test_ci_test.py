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
