"""`jidcl data`: what it shows, and its exit codes."""

import pytest

from jidcl.cli import main as cli
from reference.data_files import MAKERS


@pytest.fixture
def root(tmp_path, rng):
    root = tmp_path / "set"
    root.mkdir()
    return MAKERS["mnist"](root, rng)


def test_describe_shows_licence_schema_counts_and_ranges(root, capsys):
    (root / "PROVENANCE.md").write_text("# A\n\n**Licence.** Mine alone.\n\nB\n")
    assert cli.main(["data", "describe", str(root)]) == 0
    shown = capsys.readouterr().out
    for part in ("format     mnist", "CC BY-SA 3.0", "Licence. Mine alone."):
        assert part in shown
    assert "part train (published: 60,000 rows)" in shown
    assert "images       uint8 [3, 28, 28]" in shown


def test_a_contact_sheet_is_written(root, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib (extra plots) is missing")
    from PIL import Image

    sheet = tmp_path / "sheet.png"
    assert cli.main(["data", "describe", str(root), "--sheet", str(sheet)]) == 0
    with Image.open(sheet) as image:
        assert min(image.size) > 100
    assert str(sheet) in capsys.readouterr().out


def test_check_tells_what_is_not_as_published(root, capsys):
    assert cli.main(["data", "check", str(root)]) == 1
    shown = capsys.readouterr().out
    assert "train: 3 rows, published: 60000" in shown
    assert "train-images-idx3-ubyte.gz: is not the published file (MD5" in shown
    assert "every row was read; not all is as published" in shown


def test_convert_writes_and_its_result_passes_the_check(root, tmp_path, capsys):
    out = tmp_path / "out.npz"
    assert cli.main(["data", "convert", str(root), "--out", str(out)]) == 0
    assert "12 rows of all columns" in capsys.readouterr().out
    assert cli.main(["data", "check", str(out)]) == 0
    assert capsys.readouterr().out.endswith("every row was read\n")


def test_formats_are_listed(capsys):
    assert cli.main(["data", "formats"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {name.partition(" ")[0] for name in MAKERS} == set(names)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["dscribe"], "did you mean 'describe'"),
        (["describe", "missing"], "missing"),
        (["check", "SET", "--format", "mnst"], "did you mean 'mnist'"),
        (["describe", "SET", "--size", "8"], "size must be left out"),
        (["convert", "SET"], "out must be named"),
        (["convert", "SET", "--out", "SET", "--to", "folder"], "exists"),
        (["convert", "SET", "--out", "a.h5"], "out must end in .npz"),
        (["convert", "SET", "--out", "a.npz", "--parts", "val"], "part must be one of"),
        (["convert", "SET", "--out", "a.npz", "--rows", "-1"], "rows must be >= 1"),
        (["convert", "SET", "--out", "a", "--to", "zip"], "to must be one of"),
        (["formats", "more"], "no more arguments"),
    ],
)
def test_usage_errors_exit_with_2(root, args, message, capsys):
    args = [str(root) if arg == "SET" else arg for arg in args]
    assert cli.main(["data", *args]) == 2
    assert message in capsys.readouterr().err
