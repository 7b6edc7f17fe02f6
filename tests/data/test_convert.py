"""Sets in other formats: read back equal, written whole or not at all."""

import json

import numpy as np
import pytest

from jidcl.data.convert import as_pictures, convert_data
from jidcl.data.dataset import open_data
from reference.data_files import MAKERS

SETS = ("mnist", "cifar100-python", "kitti-masks", "imagenet-x", "smallnorb")


@pytest.fixture
def opened(tmp_path, rng):
    """A function that writes a small set of a format and opens it."""

    def made(name):
        root = tmp_path / "set"
        root.mkdir()
        return open_data(MAKERS[name](root, rng))

    return made


def rows(column):
    held = column.read()
    return np.char.decode(held, "utf-8") if held.dtype.kind == "S" else held


@pytest.mark.parametrize("to", ["npz", "h5"])
@pytest.mark.parametrize("name", SETS)
def test_what_is_written_is_read_back(opened, tmp_path, name, to):
    if to == "h5":
        pytest.importorskip("h5py", reason="h5py (extra data) is not installed")
    data, counts = opened(name), []
    out = convert_data(data, tmp_path / f"out.{to}", to=to, told=counts.append)
    again = open_data(out)
    assert again.format.name == to
    assert list(again.parts) == list(data.parts)
    total = 0
    for part, columns in data.parts.items():
        assert set(again.parts[part]) == set(columns)
        for key, column in columns.items():
            np.testing.assert_array_equal(rows(again.parts[part][key]), column.read())
            total += len(column)
    assert counts[-1] == total
    if to == "npz":  # NumPy reads it too
        with np.load(out, allow_pickle=False) as held:
            assert len(held.files) == sum(map(len, data.parts.values()))


def test_parquet_holds_rows_shapes_and_licence(opened, tmp_path):
    pq = pytest.importorskip(
        "pyarrow.parquet", reason="pyarrow (extra parquet) is not installed"
    )
    data = opened("mnist")
    out = convert_data(data, tmp_path / "out", to="parquet", parts=("test",))
    assert [path.name for path in out.iterdir()] == ["test.parquet"]
    table = pq.read_table(out / "test.parquet")
    want = data.parts["test"]["images"].read()
    assert json.loads(table.schema.metadata[b"shapes"])["images"] == [28, 28]
    assert "MNIST" in json.loads(table.schema.metadata[b"about"])["licence"]
    held = np.asarray(table["images"].to_pylist()).reshape(want.shape)
    np.testing.assert_array_equal(held, want)
    assert table["labels"].to_pylist() == data.parts["test"]["labels"].read().tolist()


def test_parquet_without_pyarrow_names_the_extra(opened, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'jidcl\[parquet\]'"):
        convert_data(opened("mnist"), tmp_path / "out", to="parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_a_folder_of_classes_is_read_back(opened, tmp_path):
    data = opened("cifar10-python")
    out = convert_data(data, tmp_path / "out", to="folder", parts=("train",))
    again = open_data(out, size=32)
    assert again.format.name == "class-folders"
    columns, images = again.parts["train"], data.parts["train"]["images"].read()
    kept = [int(name[-6:-4]) for name in columns["file_name"].read()]
    assert sorted(kept) == list(range(15))
    np.testing.assert_array_equal(columns["images"].read(), images[kept])
    said = [int(name.split("/")[0]) for name in columns["file_name"].read()]
    assert said == data.parts["train"]["labels"].read()[kept].tolist()
    assert (
        "no explicit licence" in json.loads((out / "about.json").read_text())["licence"]
    )


def test_3dident_stays_in_its_layout_and_masks_are_seen(opened, tmp_path):
    data = opened("3dident")
    again = open_data(convert_data(data, tmp_path / "out", to="folder") / "all")
    assert again.format.name == "3dident"
    for name, column in data.parts["all"].items():
        np.testing.assert_array_equal(again.parts["all"][name].read(), column.read())


def test_pictures_have_one_form():
    pairs = np.arange(2 * 2 * 3 * 4, dtype=np.uint8).reshape(2, 2, 3, 4)
    held = as_pictures(pairs)
    assert held.shape == (2, 3, 8, 1)
    np.testing.assert_array_equal(held[:, :, 4:, 0], pairs[:, 1])
    assert as_pictures(np.ones((2, 3, 4), np.uint8), scale=255).min() == 255
    assert as_pictures(np.ones((2, 5, 4, 3), np.uint8)).shape == (2, 5, 4, 3)
    with pytest.raises(ValueError, match="pictures must be bytes"):
        as_pictures(np.ones((2, 5, 4, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(to="tar"), "to must be one of"),
        (dict(to="h5"), r"out must end in \.h5, got 'out.npz'"),
        (dict(to="npz", parts=("tests",)), "did you mean 'test'"),
        (dict(to="npz", rows=0), "rows must be >= 1"),
    ],
)
def test_wrong_wishes_are_refused(opened, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        convert_data(opened("mnist"), tmp_path / "out.npz", **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


@pytest.mark.parametrize("to", ["npz", "folder"])
def test_nothing_half_written_is_left(opened, tmp_path, to):
    data = opened("class-folders")
    picture = data.path / "val" / "n02" / "n02_2.png"
    picture.write_bytes(picture.read_bytes()[:500])
    out = tmp_path / ("out.npz" if to == "npz" else "out")
    with pytest.raises(ValueError, match=r"n02_2\.png must be a PNG or a JPEG"):
        convert_data(data, out, to=to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    out.write_text("mine")
    with pytest.raises(ValueError, match="exists: choose another name"):
        convert_data(data, out, to=to)
    assert out.read_text() == "mine"


def test_columns_of_other_lengths_make_no_table(opened, tmp_path):
    data = opened("npz")
    columns = data.parts["train"]
    columns["labels"] = type(columns["labels"])(
        columns["labels"].dtype, (2,), columns["labels"].opened
    )
    with pytest.raises(ValueError, match="columns of train must have equally many"):
        convert_data(data, tmp_path / "out", to="folder")
    assert not (tmp_path / "out").exists()
