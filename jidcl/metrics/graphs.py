"""Distances of directed graphs."""

import jax
import jax.numpy as jnp

from jidcl.checks import check_array


def normalised_shd(found: jax.Array, truth: jax.Array) -> jax.Array:
    """(|found - truth| + |truth - found|) / (|found| + |truth|) of sets of edges.

    Not the usual structural Hamming distance: a reversed edge counts twice, and the
    value lies in [0, 1]. An undirected edge is both of its directions.

    Args:
        found: `[..., variables, variables]`, not 0 where there is an edge
            row -> column.
        truth: of the same shape.

    Returns:
        `[...]`; 1 where no edge is found and there are some, 0 where both have none.

    Raises:
        ValueError: on shapes that differ or are not square.

    Example:
        >>> edge = jnp.array([[0, 1], [0, 0]])
        >>> float(normalised_shd(edge, edge.T))
        1.0

    Source: Guo, Toth, Schoelkopf, Huszar 2023, published code.
    """
    for name, array in (("found", found), ("truth", truth)):
        check_array(name, array)
    if found.shape != truth.shape:
        raise ValueError(
            f"found must have the shape of truth {list(truth.shape)}, got "
            f"{list(found.shape)}"
        )
    if found.ndim < 2 or found.shape[-1] != found.shape[-2]:
        raise ValueError(
            "found must have shape [..., variables, variables], got "
            f"{list(found.shape)}"
        )
    a, b = (jnp.asarray(array).astype(bool) for array in (found, truth))
    apart = jnp.sum(a ^ b, axis=(-1, -2))
    edges = jnp.sum(a, axis=(-1, -2)) + jnp.sum(b, axis=(-1, -2))
    return apart / jnp.maximum(edges, 1)
