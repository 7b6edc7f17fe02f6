"""Columns that are known up to order and scale, matched with true ones."""

from typing import NamedTuple

import jax.numpy as jnp

from jidcl.metrics import assign
from jidcl.types import Array


class Aligned(NamedTuple):
    """Columns matched to true ones.

    Attributes:
        cosine: |cosine| of true (row) and found (column) columns.
        columns: the found column of each true one.
        scales: by which it is multiplied.
        aligned: the found matrix in the order and scale of the true one.
        error: relative Frobenius error.
    """

    cosine: Array
    columns: Array
    scales: Array
    aligned: Array
    error: Array


def aligned(true: Array, found: Array) -> Aligned:
    """Found columns in the order and scale of the true ones.

    Args:
        true: `[p, m]`.
        found: `[p, m]`.

    Returns:
        `Aligned`.
    """
    squares, others = jnp.sum(true**2, axis=0), jnp.sum(found**2, axis=0)
    cosine = jnp.abs(true.T @ found) / jnp.sqrt(squares[:, None] * others[None])
    columns, _ = assign(cosine)
    ordered = found[:, columns]
    scales = jnp.sum(true * ordered, axis=0) / jnp.sum(ordered**2, axis=0)
    moved = ordered * scales[None]
    error = jnp.sqrt(jnp.sum((moved - true) ** 2) / jnp.sum(squares))
    return Aligned(cosine, columns, scales, moved, error)
