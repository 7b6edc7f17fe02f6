"""Nearest rows of a set against SciPy's tree, and the pairs made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import cKDTree

from budget import one_program
from jidcl.data import nearest
from jidcl.data.nearest import pair_rows

nearest_rows = one_program(nearest.nearest_rows)


def uniform(rng, rows, n, most=1.0):
    return jnp.asarray(rng.uniform(-most, most, (rows, n)), jnp.float32)


@pytest.mark.parametrize(
    ("rows", "n", "tile"),
    [
        (500, 10, (16, 128)),
        (501, 3, (7, 50)),  # nothing divides
        (40, 1, (100, 1000)),  # one tile of each
        (1, 4, (8, 8)),
    ],
)
def test_rows_are_those_of_a_tree(rng, rows, n, tile):
    z, queries = uniform(rng, rows, n), uniform(rng, 33, n, 1.2)
    got = nearest_rows(z, queries, tile=tile)
    tree = cKDTree(np.asarray(z, np.float64))
    want = tree.query(np.asarray(queries, np.float64))[1]
    np.testing.assert_array_equal(got, want)
    assert got.dtype == jnp.int32
    # A row is its own nearest.
    np.testing.assert_array_equal(nearest_rows(z, z), np.arange(rows))


def test_of_equal_distances_the_lower_row_is_taken(rng):
    """A coarse grid, every point several times: ties are all there is."""
    z = jnp.asarray(rng.integers(-1, 2, (300, 3)) / 2, jnp.float32)
    queries = jnp.asarray(rng.integers(-2, 3, (50, 3)) / 4, jnp.float32)
    far = ((np.asarray(queries)[:, None] - np.asarray(z)[None]) ** 2).sum(-1)
    got = nearest_rows(z, queries, tile=(16, 64))
    np.testing.assert_array_equal(got, far.argmin(1))


def test_rows_far_from_0_and_close_together_find_themselves():
    """|z|^2 - 2 z.q would have no digits left of such differences."""
    z = 1000 + jnp.arange(64, dtype=jnp.float32)[:, None] * jnp.float32(2.0**-13)
    np.testing.assert_array_equal(nearest_rows(z, z), np.arange(64))


def test_no_array_is_of_all_rows_by_queries():
    z, queries = jnp.zeros((1000, 3)), jnp.zeros((48, 3))
    search = jax.jit(lambda z, q: nearest_rows(z, q, tile=(16, 100)))
    text = search.lower(z, queries).as_text()
    assert "16x100x" in text or "16x3x100x" in text
    assert "48x1000" not in text
    assert "16x1000" not in text


def test_a_row_of_its_own_is_left_out_and_classes_are_kept_apart(rng):
    z, label = uniform(rng, 210, 4), np.repeat(np.arange(3), 70)
    own = rng.integers(0, 210, 60)
    noise = jnp.asarray(rng.normal(scale=0.05, size=(60, 4)), jnp.float32)
    queries = z[own] + noise
    got = nearest_rows(z, queries, own=own, label=label, tile=(16, 64))
    for query, row, other in zip(np.asarray(queries), own, map(int, got), strict=True):
        allowed = np.flatnonzero((label == label[row]) & (np.arange(210) != row))
        tree = cKDTree(np.asarray(z, np.float64)[allowed])
        assert other == allowed[tree.query(query.astype(float))[1]]
    # Near itself, a row would have been found.
    assert (np.asarray(nearest_rows(z, queries)) == own).mean() > 0.5
    free = np.asarray(nearest_rows(z, queries, own=own))
    assert (label[free] != label[own]).any()


def test_pairs_follow_the_published_rule(rng):
    z, anchors = uniform(rng, 300, 3), uniform(rng, 80, 3)
    noise = rng.normal(scale=0.02, size=(80, 3))
    partners = anchors + jnp.asarray(noise, jnp.float32)
    got = jax.jit(pair_rows)(z, anchors, partners)
    tree = cKDTree(np.asarray(z, np.float64))
    row = tree.query(np.asarray(anchors, np.float64))[1]
    two = tree.query(np.asarray(partners, np.float64), k=2)[1]
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
        (lambda z: nearest_rows(z, z, tile=(0, 9)), "tile must be >= 1"),
        (
            lambda z: nearest_rows(z, z, own=jnp.arange(4)),
            r"own must be integers \[5\]",
        ),
        (lambda z: nearest_rows(z, z, own=z[:, 0]), r"own must be integers \[5\]"),
        (
            lambda z: nearest_rows(z[:1], z[:1], own=jnp.arange(1)),
            "number of rows of z must be >= 2",
        ),
        (
            lambda z: nearest_rows(z, z, own=jnp.arange(5), label=jnp.arange(4)),
            r"label must have shape \[5\]",
        ),
        (lambda z: nearest_rows(z, z, label=jnp.arange(5)), "come with own"),
        (lambda z: pair_rows(z, z, z[:4]), "partners must have the shape of anchors"),
    ],
)
def test_wrong_sets_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.arange(15.0).reshape(5, 3))


@pytest.mark.parametrize("size", [1e20, 1e-25])
def test_rows_of_any_size_are_those_of_a_tree(rng, size):
    z, queries = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    want = cKDTree(z).query(queries)[1]
    small = [jnp.asarray(size * x, jnp.float32) for x in (z, queries)]
    np.testing.assert_array_equal(nearest_rows(*small), want)


@pytest.mark.many_programs(reason="float64 arrays of NumPy, outside of a program")
def test_float64_rows_far_from_0_keep_their_digits(rng):
    z, queries = rng.normal(size=(50, 3)), rng.normal(size=(20, 3))
    want = cKDTree(z).query(queries)[1]
    got = nearest.nearest_rows(z + 1e8, queries + 1e8)
    np.testing.assert_array_equal(got, want)


def test_nothing_is_near_to_nan():
    z = jnp.array([[0.0], [1.0]])
    queries = jnp.array([[0.9], [jnp.nan]])
    assert nearest_rows(z, queries).tolist() == [1, -1]
    assert nearest_rows(z.at[0].set(jnp.nan), queries).tolist() == [-1, -1]
    with pytest.raises(ValueError, match="^queries must be finite, got 1 NaN"):
        nearest.nearest_rows(z, queries)
    with pytest.raises(ValueError, match="^z must be finite, got 1 NaN"):
        nearest.nearest_rows(z.at[0].set(jnp.nan), z)
