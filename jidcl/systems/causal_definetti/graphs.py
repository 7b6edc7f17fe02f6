"""Several binary variables: levels from sinks, then edges between levels.

A table of counts is all that is needed of the data: every test is of one of its
margins. So all tests that the search could ask for are computed once, and the search
looks them up.

Source: Guo et al. 2023, multivariate experiment; co-parents of one level are not
conditioned on, as in its published code.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.metrics.independence import PValue, g_of_counts


class Searched(NamedTuple):
    """What a search found, `[..., variables]` and `[..., variables, variables]`.

    Attributes:
        level: from 1, sinks first; 0 for a variable that never became a sink.
        edges: true where there is an edge row -> column.
    """

    level: jax.Array
    edges: jax.Array


def _margin(table: jax.Array, x: int, y: int, z: Any) -> jax.Array:
    """`[..., cells of z, 2, 2]` of the axes x, y and z of a table."""
    axes = table.ndim % 2 and 1  # leading axes: none, or one of data sets
    kept = [axes + axis for axis in (*z, x, y)]
    dropped = [a for a in range(axes, table.ndim) if a not in kept]
    held = jnp.sum(table, axis=tuple(dropped)) if dropped else table
    order = [sorted(kept).index(axis) + axes for axis in kept]
    held = jnp.transpose(held, (*range(axes), *order))
    return held.reshape(*table.shape[:axes], -1, 2, 2)


def level_test(table: jax.Array, held: Any, j: int, k: int) -> PValue:
    """V_j at position 1 against V_k at position 2, given position 1 of all others.

    Args:
        table: `[2] * (2 variables)` counts, or with an axis of data sets before.
        held: the variables that are left, j and k among them.
        j: the candidate for a sink.
        k: another variable.

    Returns:
        `PValue`.
    """
    count = table.ndim // 2
    return g_of_counts(_margin(table, j, count + k, [m for m in held if m != j]))


def edge_test(table: jax.Array, j: int, k: int, given: Any) -> PValue:
    """V_j against V_k given others, all at position 1.

    Args:
        table: as in `level_test`.
        j: one variable.
        k: another one.
        given: the others that are conditioned on.

    Returns:
        `PValue`.
    """
    return g_of_counts(_margin(table, j, k, list(given)))


def _subsets(variables: int) -> list[tuple[int, ...]]:
    return [
        tuple(d for d in range(variables) if mask >> d & 1)
        for mask in range(2**variables)
    ]


def all_tests(table: jax.Array) -> tuple[jax.Array, jax.Array]:
    """p-values of every test that a search can ask for, by bit mask of variables.

    Args:
        table: as in `level_test`.

    Returns:
        `(levels, edges)`, `[..., 2^variables, variables, variables]` each: of
        `level_test` by the variables that are left, of `edge_test` by those
        conditioned on. 1 where there is no such test.
    """
    count = table.ndim // 2
    subsets = _subsets(count)
    one = jnp.ones(table.shape[: table.ndim % 2], table.dtype)
    levels, edges = [], []
    for subset, j, k in itertools.product(subsets, range(count), range(count)):
        pair = j != k and {j, k} <= set(subset)
        levels.append(level_test(table, subset, j, k).p if pair else one)
        apart = j < k and not {j, k} & set(subset)
        edges.append(edge_test(table, j, k, subset).p if apart else one)
    shape = (*table.shape[: table.ndim % 2], len(subsets), count, count)
    below, above = (jnp.stack(part, -1).reshape(shape) for part in (levels, edges))
    return below, jnp.minimum(above, jnp.swapaxes(above, -1, -2))


def search(levels: jax.Array, edges: jax.Array, alpha: float = 0.05) -> Searched:
    """Levels and edges of one data set from its p-values.

    Level i holds every variable that is independent of all others that are left, at
    the other position. An edge runs from a higher level to a lower one where the test
    given all higher levels, and, across levels, the parents found so far, rejects.

    Args:
        levels: `[2^variables, variables, variables]` of `all_tests`.
        edges: of the same shape.
        alpha: level of each test.

    Returns:
        `Searched`.
    """
    count = levels.shape[-1]
    bits, eye = 2 ** jnp.arange(count), jnp.eye(count, dtype=bool)
    left, level = jnp.ones(count, bool), jnp.zeros(count, int)
    for i in range(1, count + 1):
        p = levels[jnp.sum(jnp.where(left, bits, 0))]
        sink = left & jnp.all(~left[None, :] | eye | (p >= alpha), axis=1)
        level, left = jnp.where(sink, i, level), left & ~sink
    found = jnp.zeros((count, count), bool)
    for distance in range(1, count):
        fresh = found
        for j, k in itertools.permutations(range(count), 2):
            above = level > level[j]
            parents = found[:, k] & ~above & (level != level[j])
            given = above | parents if distance > 1 else above
            apart = (level[j] - level[k] == distance) & (level[k] > 0)
            held = apart & (edges[jnp.sum(jnp.where(given, bits, 0)), j, k] <= alpha)
            fresh = fresh.at[j, k].set(fresh[j, k] | held)
        found = fresh
    return Searched(level, found)
