"""Pickles of plain data: read as Python reads them, and nothing in them is run."""

import io
import os
import pickle
import struct
import sys

import numpy as np
import pytest

from jidcl.data.plain_pickle import read_plain_pickle

ARRAY = np.arange(6, dtype=np.int16).reshape(2, 3)
PLAIN = {
    "containers": {"a": [1, -2, 3.5, None, True, False], b"b": (1, (2, ()), {})},
    "large numbers": [2**70, -(2**40), 255, 65536],
    "texts": ["", "é", "x" * 300, b"", b"\x00\xff", b"y" * 300],
    "arrays": {
        "one": ARRAY,
        "columns first": np.asfortranarray(ARRAY),
        "bytes reversed": ARRAY.astype(">f8"),
        "flags": ARRAY > 2,
        "empty": np.zeros((0, 4), np.float32),
        "list": [ARRAY.astype(np.uint8) + k for k in range(4)],
    },
    "scalars": [np.float32(0.5), np.int64(7), np.bool_(True)],
    "the same twice": [ARRAY, ARRAY],
}


def same(a, b):
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        pairs = zip(a, b, strict=True)
        return type(a) is type(b) and all(same(x, y) for x, y in pairs)
    if isinstance(a, np.ndarray | np.generic):
        alike = a.dtype.newbyteorder("=") == b.dtype and a.shape == b.shape
        return alike and np.array_equal(a, b)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("what", PLAIN)
def test_plain_data_are_read_as_python_reads_them(tmp_path, what, protocol):
    path = tmp_path / "data.pickle"
    path.write_bytes(pickle.dumps(PLAIN[what], protocol))
    assert same(PLAIN[what], read_plain_pickle(path))


def python2(content, shape):
    """An array as NumPy under Python 2 wrote it: names of then, content in a string."""
    state = b"(K\x01("
    state += b"".join(b"K" + bytes([n]) for n in shape)
    state += b"tcnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    state += b"J\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(content))
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    return start + state + content + b"tb"


def test_arrays_of_python_2_are_read(tmp_path):
    content = bytes(range(250, 256))
    path = tmp_path / "batch"
    path.write_bytes(b"\x80\x02}U\x04data" + python2(content, (2, 3)) + b"s.")
    held = read_plain_pickle(path)["data"]
    np.testing.assert_array_equal(held, np.arange(250, 256).reshape(2, 3))
    assert held.dtype == np.uint8


class Runs:
    """What a hostile pickle does: it calls a function."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


def hostile():
    yield "a call", pickle.dumps(Runs(os.system, "touch HARM")), "no name 'posix"
    yield "eval", pickle.dumps(Runs(eval, "1 + 1")), "no name 'builtins.eval'"
    yield "eval of Python 2", b"c__builtin__\neval\n(U\x011tR.", "no name '__builtin__"
    deep = b"cnumpy.lib.multiarray\nx\n."
    yield "another name of NumPy", deep, "no name 'numpy.lib.multiarray.x'"
    yield "another place", b"cevil.numpy\nndarray\n.", "no name 'evil.numpy"
    yield "an object", pickle.dumps(io.StringIO("a")), "plain data need no"
    yield "an array of objects", pickle.dumps(np.array([{}], object)), "are not read"
    yield "an array of texts", pickle.dumps(np.array(["a"])), "are not read"
    yield "no array's state", b"}(K\x01tb.", "only arrays have a state"
    yield "an unhashable key", b"}]K\x01s.", "keys of a dict must be"
    yield "no value", b"\x80\x02.", "its stack is empty"
    yield "an open mark", b"(.", "before its value is whole"
    yield "nothing", b"", "must be a pickle of plain data"
    yield "text", b"hello", "must be a pickle of plain data"
    yield "a place that is not there", b"h\x05.", "must be a pickle"
    yield "too short an array", python2(b"123", (2, 3)) + b".", "has 3 bytes"
    huge = python2(b"1", (1,)).replace(b"(K\x01t", b"(J\xff\xff\xff\x7ft") + b"."
    yield "too large an array", huge, "has 1 bytes"
    yield "a persistent name", b"Pexternal\n.", "no instruction PERSID"
    yield "an unfilled array", python2(b"1", (1,))[:60] + b".", "must be a pickle"


@pytest.mark.parametrize(("content", "message"), [h[1:] for h in hostile()])
def test_everything_else_is_refused_and_nothing_is_run(
    tmp_path, monkeypatch, content, message
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.pickle"
    path.write_bytes(content)
    before = set(sys.modules)
    with pytest.raises(ValueError, match=message) as caught:
        read_plain_pickle(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "HARM").exists()
    assert "evil" not in set(sys.modules) - before


def test_every_cut_of_a_file_is_refused(tmp_path):
    whole = pickle.dumps({"a": [ARRAY, "text"], "b": (1, 2.5)}, 4)
    path = tmp_path / "data.pickle"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="must be a pickle of plain data"):
            read_plain_pickle(path)


def test_sizes_are_bounded_and_only_files_are_read(tmp_path):
    path = tmp_path / "data.pickle"
    path.write_bytes(pickle.dumps([1] * 100))
    with pytest.raises(ValueError, match="at most 10 bytes"):
        read_plain_pickle(path, most=10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a regular file"):
        read_plain_pickle(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ValueError, match="is a loop of links"):
        read_plain_pickle(tmp_path / "loop")
