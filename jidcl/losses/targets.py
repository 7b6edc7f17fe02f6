"""Slow targets of self-supervised objectives: averaged parameters, queues of keys."""

from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_count,
    check_key,
    check_memory,
    check_real,
    check_rows,
    check_same_shape,
    check_scalar,
    check_unit_interval,
)
from jidcl.numerics import unit


def ema_schedule(step: jax.Array, *, start: float, end: float, steps: int) -> jax.Array:
    """Weight of the old average: end - (end - start) (1 + cos(pi step / steps)) / 2.

    Args:
        step: updates done, any shape; steps beyond the last keep the last value.
        start: value at step 0, in [0, 1].
        end: value at the last step.
        steps: length of the run, >= 1.

    Returns:
        step's shape, floating-point.

    Example:
        >>> float(ema_schedule(jnp.asarray(50), start=0.9, end=1.0, steps=100))
        0.949999988079071

    Source: Grill et al. 2020, appendix.
    """
    for name, value in (("start", start), ("end", end)):
        check_unit_interval(name, value)
        check_scalar(name, value)
    check_count("steps", steps)
    check_real("step", step)
    step = jnp.asarray(step)
    share = jnp.clip(step.astype(jnp.result_type(float)) / int(steps), 0, 1)
    return end - (end - start) * (1 + jnp.cos(jnp.pi * share)) / 2


def ema_update(average: Any, params: Any, momentum: jax.Array | float) -> Any:
    """momentum average + (1 - momentum) params, leaf by leaf, without gradient.

    Args:
        average: parameters so far, a tree of arrays.
        params: the trained parameters, a tree of the same structure.
        momentum: weight of the old average, in [0, 1].

    Returns:
        The tree.

    Raises:
        ValueError: on trees of another structure, or arrays of another shape.

    Example:
        >>> float(ema_update(jnp.zeros(()), jnp.ones(()), 0.75))
        0.25

    Source: He et al. 2020; Grill et al. 2020.
    """
    check_unit_interval("momentum", momentum)
    check_scalar("momentum", momentum)
    structures = [jax.tree.structure(tree) for tree in (average, params)]
    if structures[0] != structures[1]:
        raise ValueError(
            f"params must have the structure of average {structures[0]}, got "
            f"{structures[1]}"
        )
    leaves = zip(jax.tree.leaves(params), jax.tree.leaves(average), strict=True)
    for new, old in leaves:
        check_same_shape("every leaf of params", new, "average", old)
    params = jax.lax.stop_gradient(params)

    def one(old, new):
        weight = jnp.asarray(momentum, old.dtype)
        return weight * old + (1 - weight) * new

    return jax.tree.map(one, average, params)


def init_queue(key: jax.Array, rows: int, m: int) -> jax.Array:
    """Unit vectors in random directions to start a queue with.

    Args:
        key: a typed key.
        rows: length of the queue, >= 1.
        m: dimension, >= 1.

    Returns:
        `[rows, m]`.

    Example:
        >>> init_queue(jax.random.key(0), 8, 3).shape
        (8, 3)

    Source: He et al. 2020 (the queue).
    """
    check_key("key", key)
    check_count("rows", rows)
    check_count("m", m)
    check_memory("rows", rows, 2 * rows * m)
    return unit(jax.random.normal(key, (rows, m)))


def push(queue: jax.Array, rows: jax.Array) -> jax.Array:
    """First in, first out: the newest `rows` come first, the oldest fall out.

    Args:
        queue: `[length, m]`.
        rows: `[batch, m]`; length must be a multiple of batch.

    Returns:
        `[length, m]`, without gradient.

    Raises:
        ValueError: on other shapes.

    Example:
        >>> push(jnp.array([[1.0], [2.0]]), jnp.array([[3.0]]))
        Array([[3.],
               [1.]], dtype=float32)

    Source: He et al. 2020 (the queue).
    """
    check_rows("queue", queue)
    check_rows("rows", rows, width=queue.shape[1])
    batch = rows.shape[0]
    if queue.shape[0] % batch:
        raise ValueError(
            f"length of the queue must be a multiple of the batch {batch} of rows, got "
            f"{queue.shape[0]}"
        )
    kept = queue[: queue.shape[0] - batch]
    return jax.lax.stop_gradient(jnp.concatenate([rows, kept]))
