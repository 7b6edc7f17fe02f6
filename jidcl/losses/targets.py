"""Slow targets of self-supervised objectives: averaged parameters, queues of keys."""

from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_features,
    check_memory,
    check_rows,
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
    check_unit_interval("start", start)
    check_unit_interval("end", end)
    check_at_least("steps", steps, 1)
    step = jnp.asarray(step)
    share = jnp.clip(step.astype(jnp.result_type(float)) / steps, 0, 1)
    return end - (end - start) * (1 + jnp.cos(jnp.pi * share)) / 2


def ema_update(average: Any, params: Any, momentum: jax.Array | float) -> Any:
    """momentum average + (1 - momentum) params, leaf by leaf, without gradient.

    Args:
        average: parameters so far, a tree of arrays.
        params: the trained parameters, a tree of the same structure.
        momentum: weight of the old average, in [0, 1].

    Returns:
        The tree.

    Example:
        >>> float(ema_update(jnp.zeros(()), jnp.ones(()), 0.75))
        0.25

    Source: He et al. 2020; Grill et al. 2020.
    """
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
    check_at_least("rows", rows, 1)
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
    check_features("rows", rows, queue.shape[1])
    batch = rows.shape[0]
    if queue.shape[0] % batch:
        raise ValueError(
            f"length of the queue must be a multiple of the batch {batch}, got "
            f"{queue.shape[0]}"
        )
    kept = queue[: queue.shape[0] - batch]
    return jax.lax.stop_gradient(jnp.concatenate([rows, kept]))
