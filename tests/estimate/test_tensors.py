"""Files of named arrays: the format itself, and what does not hold what it says."""

import json

import numpy as np
import pytest

from jidcl.estimate.tensors import read_tensors, write_tensors

ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "deep/b": np.float64([1.5]),
    "count": np.int32(7),
    "on": np.array([True, False]),
}


def test_arrays_come_back(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS)
    found = read_tensors(tmp_path / "a")
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == np.asarray(array).dtype
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == np.shape(array)


def test_the_bytes_are_those_of_the_format(tmp_path):
    write_tensors(tmp_path / "a", {"w": ARRAYS["w"]})
    content = (tmp_path / "a").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert header == {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    np.testing.assert_array_equal(
        np.frombuffer(content[8 + size :], "<f4"), np.arange(6)
    )


def test_the_library_of_the_format_reads_it(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    write_tensors(tmp_path / "a", ARRAYS)
    found = library.load_file(tmp_path / "a")
    np.testing.assert_array_equal(found["w"], ARRAYS["w"])


def header(**told):
    """A file with one array, told wrongly."""
    own = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **told}
    text = json.dumps({"w": own}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(24)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 64,
        b"\x04\0\0\0\0\0\0\0nope",
        header(shape=[2, 4]),
        header(shape=[-2, -3]),
        header(shape=["2", 3]),
        header(data_offsets=[8, 32]),
        header(data_offsets=[-24, 0]),
        header(data_offsets=[0]),
        header(dtype="F99"),
        (5).to_bytes(8, "little") + b"[1,2]",
    ],
)
def test_files_that_do_not_hold_what_they_say_are_refused(content, tmp_path):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match="bad is not a safetensors file"):
        read_tensors(tmp_path / "bad")


def test_kinds_that_the_format_lacks_are_refused(tmp_path):
    with pytest.raises(TypeError, match="z must be one of .* got complex64"):
        write_tensors(tmp_path / "a", {"z": np.complex64([1])})
    with pytest.raises(TypeError, match="z must hold numbers"):
        write_tensors(tmp_path / "a", {"z": np.array([None])})
    assert not (tmp_path / "a").exists()
