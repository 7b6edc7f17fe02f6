"""Pairs as they come: arrays, files, batches; what is refused; how rows are split."""

from pathlib import Path

import numpy as np
import pytest

from jidcl.estimate import pairs as rows

X = np.random.default_rng(0).normal(size=(300, 3))


def test_arrays_files_and_batches_are_the_same_pairs(tmp_path):
    y = X + 1
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "both.npz", x=X, x_pos=y)
    opened = [
        rows.open_pairs(X, y),
        rows.open_pairs(tmp_path / "x.npy", str(tmp_path / "y.npy")),
        rows.open_pairs(tmp_path / "both.npz"),
        rows.open_pairs((X[i : i + 50], y[i : i + 50]) for i in range(0, 300, 50)),
    ]
    for pairs in opened:
        assert (pairs.rows, pairs.width) == (300, 3)
        np.testing.assert_allclose(pairs.read(10, 20), [X[10:20], y[10:20]], rtol=1e-6)


def test_what_was_read_of_a_file_does_not_stay_mapped(tmp_path):
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("needs /proc")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", np.asfortranarray(X + 1))
    pairs = rows.open_pairs(tmp_path / "x.npy", tmp_path / "y.npy")
    np.testing.assert_array_equal(pairs.read(7, 9), [X[7:9], X[7:9] + 1])
    assert str(tmp_path) not in maps.read_text()
    held = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert str(tmp_path) in maps.read_text()
    del held


def wrong(**change):
    held = X.copy()
    held[5, 1] = change.get("value", 0.0)
    return held


@pytest.mark.parametrize(
    ("x", "x_pos", "kind", "message"),
    [
        (X, X[:-1], ValueError, r"x_pos must have the shape of x \[300, 3\]"),
        (X, X[:, :2], ValueError, r"got \[300, 2\]"),
        (X[:3], X[:3], ValueError, "at least 10 rows .* got n_samples = 3"),
        (X[:8].T[:, :2], X[:8].T[:, :2], ValueError, "n_samples = 3"),
        (X.astype(object), X, TypeError, "x must hold numbers, got object"),
        (X.astype(str), X, TypeError, "x must hold numbers"),
        (X + 1j, X, ValueError, "x must be real"),
        (X[:, 0], X[:, 0], ValueError, r"must have shape \[rows, features\], got"),
        (X, None, ValueError, "x_pos must be given with an array"),
        ([(X, X), X], None, ValueError, "batch 1 must be .x, x_pos."),
        ([(X, X[1:])], None, ValueError, "as many x as x_pos, got 300 and 299"),
        ([(X, X), (X[:, :2], X)], None, ValueError, "x of batch 1 must have 3 feat"),
        ([], None, ValueError, "must hold a batch"),
        ("nowhere.npy", "nowhere.npy", FileNotFoundError, "nowhere"),
        ("a.npy", None, ValueError, "x_pos must be given with a.npy, another .npy"),
    ],
)
def test_what_cannot_be_pairs_is_refused_by_name(x, x_pos, kind, message):
    with pytest.raises(kind, match=message):
        rows.open_pairs(x, x_pos)


def test_fewer_rows_than_features_are_refused():
    wide = np.ones((20, 30))
    with pytest.raises(ValueError, match="at least 31 rows .* more than its 30 feat"):
        rows.open_pairs(wide, wide)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY no header", b"PK\x03\x04"])
def test_damaged_files_are_refused_by_name(content, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.npy must be a .npy file"):
        rows.open_pairs(path, path)
    other = tmp_path / "b.npz"
    other.write_bytes(content)
    with pytest.raises(ValueError, match=r"b.npz"):
        rows.open_pairs(other)


def test_an_archive_without_pairs_is_refused(tmp_path):
    np.savez(tmp_path / "c.npz", x=X)
    with pytest.raises(
        ValueError, match=r"hold x and x_pos, arrays of numbers, got \['x'\]"
    ):
        rows.open_pairs(tmp_path / "c.npz")


@pytest.mark.parametrize("count", [10, 49, 50, 3000, 10**7])
def test_every_row_is_in_one_part(count):
    split = rows.split_rows(count, 0.3, seed=1)
    blocks = sorted(split.train + split.stop + split.test)
    assert blocks[0][0] == 0
    assert blocks[-1][1] == count
    assert all(a[1] == b[0] for a, b in zip(blocks[:-1], blocks[1:], strict=True))
    parts = split.train, split.stop, split.test
    sizes = [sum(b - a for a, b in part) for part in parts]
    assert all(sizes)
    if count >= 3000:
        np.testing.assert_allclose(np.array(sizes) / count, [0.7, 0.1, 0.2], atol=0.02)


def test_moments_are_those_of_both_parts():
    x = X * [1, 10, 0] + [1e6, 0, 7]
    pairs = rows.open_pairs(x, x + 1)
    mean, scale = rows.moments(pairs, [(0, 100), (100, 300)])
    both = np.concatenate([x, x + 1])
    np.testing.assert_allclose(mean, both.mean(axis=0), rtol=1e-12)
    wanted = both.std(axis=0)
    np.testing.assert_allclose(scale, wanted, rtol=1e-8)
    still = rows.open_pairs(x * [1, 1, 0], (x + 1) * [1, 1, 0])
    assert rows.moments(still, [(0, 300)])[1][2] == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(value):
    pairs = rows.open_pairs(X, wrong(value=value))
    with pytest.raises(
        ValueError, match="x_pos must be finite, got NaN or infinity in row 5"
    ):
        rows.moments(pairs, [(200, 300), (3, 100)])


def test_constant_data_are_refused():
    pairs = rows.open_pairs(np.ones((30, 2)), np.ones((30, 2)))
    with pytest.raises(ValueError, match="x must vary"):
        rows.moments(pairs, [(0, 30)])


def test_partners_that_are_the_rows_themselves_are_refused():
    with pytest.raises(ValueError, match="x_pos must differ from x"):
        rows.moments(rows.open_pairs(X, X.copy()), [(0, 100), (100, 300)])
    rows.moments(rows.open_pairs(X, wrong(value=7.0)), [(0, 100), (100, 300)])


def test_arrays_of_objects_in_an_archive_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=X.astype(object), x_pos=X)
    message = r"must hold x and x_pos, arrays of numbers, got \['x_pos'\]"
    with pytest.raises(ValueError, match=message):
        rows.open_pairs(tmp_path / "a.npz")


def test_a_large_file_is_read_in_buffers_of_one_size(monkeypatch):
    monkeypatch.setattr(rows, "MOST_BUFFER", 8 * 3 * 64)
    pairs = rows.open_pairs(X, X)
    blocks = tuple((i, i + 20) for i in range(0, 300, 20))
    turns = rows.buffers(pairs, blocks, np.zeros(3), np.ones(3), 0)
    seen = [next(turns) for _ in range(5)]
    assert {part.shape for part in seen} == {(2, 60, 3)}
    # Every pair comes once before one comes again.
    held = np.concatenate([part[0] for part in seen])
    assert len(np.unique(held, axis=0)) == 300
    # What fits in memory is read once.
    monkeypatch.setattr(rows, "MOST_BUFFER", 1 << 20)
    turns = rows.buffers(pairs, blocks, np.zeros(3), np.ones(3), 0)
    assert next(turns) is next(turns)
