"""Nearest rows of a set against SciPy's tree, and the pairs made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from jidcl.data import nearest
from jidcl.data.nearest import nearest_rows, other_rows, pair_rows


@pytest.mark.parametrize(
    ("rows", "n", "count", "tile"),
    [
        (500, 10, 1, (64, 128)),
        (501, 3, 2, (7, 50)),  # nothing divides
        (40, 1, 5, (100, 1000)),  # one tile of each
        (30, 2, 30, (8, 4)),  # all of them, more than a tile holds
        (1, 4, 1, (8, 8)),
    ],
)
def test_rows_are_those_of_a_tree(rng, rows, n, count, tile):
    z, queries = rng.uniform(-1, 1, (rows, n)), rng.uniform(-1.2, 1.2, (33, n))
    got = nearest_rows(z, queries, count=count, tile=tile)
    want = cKDTree(z).query(queries, k=[*range(1, count + 1)])[1]
    np.testing.assert_array_equal(got, want)
    assert got.dtype.kind == "i"
    # A row is its own nearest.
    np.testing.assert_array_equal(nearest_rows(z, z)[:, 0], np.arange(rows))


def brute(z, queries, count):
    d = ((queries[:, None] - z[None]) ** 2).sum(-1)
    return np.argsort(d, axis=1, kind="stable")[:, :count]


def test_of_equal_distances_the_lower_row_is_first(rng):
    """A coarse grid, every point several times: ties are all there is."""
    z = rng.integers(-1, 2, (300, 3)) / 2
    queries = rng.integers(-2, 3, (50, 3)) / 4
    got = nearest_rows(z, queries, count=3, tile=(16, 64))
    np.testing.assert_array_equal(got, brute(z, queries, 3))


def test_rounding_of_the_candidates_does_not_show(rng, monkeypatch):
    """Far from 0 the differences have no digits left in float32."""
    z = 1000 + 1e-3 * rng.normal(size=(400, 5))
    queries = 1000 + 1e-3 * rng.normal(size=(20, 5))
    near = nearest_rows(z, queries, count=2, tile=(8, 100))
    np.testing.assert_array_equal(near, cKDTree(z).query(queries, k=2)[1])
    # Where float32 suffices nothing is done twice.
    monkeypatch.setattr(nearest, "_of_all", None)
    z = rng.uniform(-1, 1, (2000, 6))
    nearest_rows(z, z[:50] + 0.1, tile=(50, 500))


def test_no_array_is_of_all_rows_by_queries():
    tiles = jnp.zeros((10, 100, 3)), jnp.zeros((10, 100))
    text = nearest._candidates.lower(jnp.zeros((16, 3)), tiles, keep=9).as_text()
    assert "tensor<16x100x" in text
    assert "16x1000" not in text


def test_a_row_of_its_own_is_left_out_and_classes_are_kept_apart(rng):
    z, label = rng.uniform(-1, 1, (210, 4)), np.repeat(np.arange(3), 70)
    own = rng.integers(0, 210, 60)
    queries = z[own] + rng.normal(scale=0.05, size=(60, 4))
    got = other_rows(z, queries, own, label=label)
    for query, row, other in zip(queries, own, got, strict=True):
        allowed = np.flatnonzero((label == label[row]) & (np.arange(210) != row))
        want = allowed[cKDTree(z[allowed]).query(query)[1]]
        assert other == want
    # Near itself, a row would have been found.
    assert (nearest_rows(z, queries)[:, 0] == own).mean() > 0.5
    assert (label[other_rows(z, queries, own)] != label[own]).any()


def test_pairs_follow_the_published_rule(rng):
    z = rng.uniform(-1, 1, (300, 3))
    anchors = rng.uniform(-1, 1, (80, 3))
    partners = anchors + rng.normal(scale=0.02, size=(80, 3))
    got = pair_rows(z, anchors, partners)
    tree = cKDTree(z)
    row = tree.query(anchors)[1]
    two = tree.query(partners, k=2)[1]
    np.testing.assert_array_equal(got.row, row)
    same = two[:, 0] == row
    assert 0 < same.sum() < 80
    np.testing.assert_array_equal(got.row_pos, np.where(same, two[:, 1], two[:, 0]))
    assert (got.row != got.row_pos).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: nearest_rows(z, z[:, :2]), "as many columns as z, 3, got 2"),
        (lambda z: nearest_rows(z, z[:0]), "queries must have shape"),
        (lambda z: nearest_rows(z, z, count=6), "number of rows of z must be >= 6"),
        (lambda z: nearest_rows(z, z, count=0), "count must be >= 1"),
        (lambda z: nearest_rows(z, z, tile=(0, 9)), "tile must be >= 1"),
        (lambda z: nearest_rows(z / 0, z), "z must be finite"),
        (lambda z: other_rows(z, z, np.arange(4)), r"own must be integers \[5\]"),
        (lambda z: other_rows(z, z, np.arange(1, 6)), r"rows 0\.\.4, got 5"),
        (
            lambda z: other_rows(z, z, np.arange(5), label=np.arange(5)),
            "label 0 must have two rows at least",
        ),
        (lambda z: other_rows(z, z, np.arange(5), label=np.arange(4)), "label must"),
        (lambda z: pair_rows(z, z, z[:4]), "partners must have the shape of anchors"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_wrong_sets_are_refused(call, message):
    z = np.arange(15.0).reshape(5, 3)
    with pytest.raises(ValueError, match=message):
        call(z)


def test_arrays_of_the_device_are_taken_as_well():
    z = jax.random.uniform(jax.random.key(0), (20, 2))
    np.testing.assert_array_equal(nearest_rows(z, z[3:5])[:, 0], [3, 4])  # type: ignore


def test_sizes_whose_squares_float32_cannot_hold_are_refused():
    z = 2e19 + 1e17 * np.arange(20.0)[:, None]
    with pytest.raises(ValueError, match="z must be at most 1e"):
        nearest_rows(z, np.zeros((1, 1)))
    z = 9e14 * np.linspace(-1, 1, 7)[:, None]
    np.testing.assert_array_equal(nearest_rows(z, z)[:, 0], np.arange(7))
