"""Nearest rows of a set of latents: how a fixed set of pictures stands in for g.

Published sets of pictures are fixed: the partner of a picture is the nearest neighbour,
among the latents that were rendered, of a draw from the conditional. The search is
exact, runs on the device inside a step, and holds no array of all queries by all rows.

Source: Zimmermann et al. 2021 (3DIdent) and von Kuegelgen et al. 2021 (Causal3DIdent),
published code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_at_least, check_finite, check_rows
from jidcl.metrics.columns import on_host
from jidcl.numerics import power_of_two
from jidcl.types import Array

QUERIES, ROWS = 256, 8192  # of one tile


class RowPairs(NamedTuple):
    """Rows of a set, integers `[pairs]`: of the anchors, and of their partners."""

    row: Array
    row_pos: Array


def nearest_rows(
    z: Array,
    queries: Array,
    *,
    own: Array | None = None,
    label: Array | None = None,
    tile: tuple[int, int] = (QUERIES, ROWS),
) -> Array:
    """The row of z nearest to each query by Euclidean distance.

    Squared differences are summed as they are, but for a power of two, so that a row
    is found by its own latents; of equal distances the lower row is taken.

    Args:
        z: the set's latents, `[rows, n]`.
        queries: `[queries, n]`, of the same dtype.
        own: a row to leave out for each query, integers `[queries]`.
        label: a class for each row, `[rows]`: only rows of own's class are looked at.
        tile: most queries and rows that are compared at once.

    Returns:
        int32, `[queries]`. Where a class has no other row, row 0; -1, which is none,
        where a traced query or z holds NaN.

    Raises:
        ValueError: on other shapes, a label without own, a single row that is left
            out, or concrete latents or queries that are not finite.

    Example:
        >>> z = jnp.asarray([[0.0], [1.0], [3.0]])
        >>> nearest_rows(z, jnp.asarray([[1.8], [9.0]])).tolist()
        [1, 2]
        >>> nearest_rows(z, z, own=jnp.arange(3)).tolist()
        [1, 0, 1]
    """
    _check(z, queries, own, label)
    check_at_least("tile", min(tile), 1)
    if on_host(z, queries):  # no distance depends on a shift, digits of float32 do
        centre = np.mean(z, axis=0, keepdims=True, dtype=np.float64)
        z, queries = (
            jnp.asarray((np.asarray(x) - centre).astype(np.float32))
            for x in (z, queries)
        )
    # Of any size: squares neither overflow nor underflow.
    largest = jnp.maximum(jnp.max(jnp.abs(z)), jnp.max(jnp.abs(queries)))
    power = power_of_two(largest, axis=None)
    z, queries = z * (1 / power), queries * (1 / power)
    missing = jnp.isnan(z).any() | jnp.isnan(queries).any(axis=1)
    size = min(tile[1], len(z))
    tiles = -(-len(z) // size)
    fill = tiles * size - len(z)
    # Rows that are not there are infinitely far away.
    rows = jnp.pad(z, ((0, fill), (0, 0)), constant_values=jnp.inf)
    rows = rows.reshape(tiles, size, -1).swapaxes(1, 2)
    kinds = jnp.zeros(len(z), jnp.int32) if label is None else label
    kinds_of = jnp.pad(kinds, (0, fill)).reshape(tiles, size)
    numbers = jnp.arange(tiles * size, dtype=jnp.int32).reshape(tiles, size)

    def one(query):
        place, mine, kind = query

        def look(best, part):
            columns, kinds, numbers = part
            far = jnp.sum(jnp.square(place[:, None] - columns), axis=0)
            if own is not None:
                far = jnp.where((numbers == mine) | (kinds != kind), jnp.inf, far)
            low = jnp.argmin(far)
            nearer = far[low] < best[0]
            new = far[low], numbers[low]
            return jax.tree.map(lambda a, b: jnp.where(nearer, a, b), new, best), None

        start = jnp.full((), jnp.inf, z.dtype), jnp.zeros((), jnp.int32)
        return jax.lax.scan(look, start, (rows, kinds_of, numbers))[0][1]

    mine = jnp.full(len(queries), -1) if own is None else own
    asked = queries, mine.astype(jnp.int32), kinds[mine]
    found = jax.lax.map(one, asked, batch_size=tile[0])
    return jnp.where(missing, -1, found)


def pair_rows(z: Array, anchors: Array, partners: Array) -> RowPairs:
    """Rows of a set that stand for pairs of an exact draw.

    The row nearest to the anchor, and the row nearest to its partner, or the second
    nearest where that is the anchor's.

    Args:
        z: the set's latents, `[rows >= 2, n]`.
        anchors: `[pairs, n]`.
        partners: drawn from the conditional of the anchors, `[pairs, n]`.

    Returns:
        `RowPairs`. Their latents differ by more than the drawn ones: with 250,000 rows,
        n = 10 and steps of 0.1 the differences have a standard deviation of 0.26.

    Raises:
        ValueError: on partners of another shape than the anchors.

    Source: Zimmermann et al. 2021, section 5.3 and published code.
    """
    if anchors.shape != partners.shape:
        raise ValueError(
            f"partners must have the shape of anchors {list(anchors.shape)}, got "
            f"{list(partners.shape)}"
        )
    row = nearest_rows(z, anchors)
    return RowPairs(row, nearest_rows(z, partners, own=row))


def _check(z, queries, own, label) -> None:
    check_rows("z", z)
    check_rows("queries", queries)
    check_finite("z", z)
    check_finite("queries", queries)
    if queries.shape[1] != z.shape[1]:
        raise ValueError(
            f"queries must have as many columns as z, {z.shape[1]}, got "
            f"{queries.shape[1]}"
        )
    if label is not None and (own is None or label.shape != (len(z),)):
        raise ValueError(
            f"label must have shape [{len(z)}] and come with own, got "
            f"{list(label.shape)}"
        )
    if own is None:
        return
    if own.shape != (len(queries),) or not jnp.issubdtype(own.dtype, jnp.integer):
        raise ValueError(
            f"own must be integers [{len(queries)}], got {own.dtype} {list(own.shape)}"
        )
    check_at_least("number of rows of z", len(z), 2)
