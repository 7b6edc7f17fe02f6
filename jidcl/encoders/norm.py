"""Batch normalisation with running statistics in the encoder's `state`."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import check_at_least, check_unit_interval


class Running(NamedTuple):
    """Statistics of each feature.

    Attributes:
        mean: `[features]`.
        var: `[features]`, >= 0.
    """

    mean: jax.Array
    var: jax.Array


def batch_statistics(x: jax.Array) -> Running:
    """Mean and biased variance over the rows of `x [rows, features]`."""
    mean = jnp.mean(x, axis=0)
    return Running(mean, jnp.mean((x - mean[None]) ** 2, axis=0))


def normalise(x: jax.Array, by: Running, *, eps: float = 1e-5) -> jax.Array:
    """(x - mean) / sqrt(var + eps) for every feature of `x [rows, features]`."""
    return (x - by.mean[None]) * jax.lax.rsqrt(by.var[None] + eps)


def update_running(
    running: Running, batch: Running, rows: int, *, rate: float = 0.1, unbiased=True
) -> Running:
    """(1 - rate) running + rate batch.

    Args:
        running: statistics so far.
        batch: of the present batch, with the biased variance.
        rows: number of rows of the batch.
        rate: weight of the batch in [0, 1].
        unbiased: take rows / (rows - 1) of the batch's variance, as the published code
            does (Flax does not).
    """
    check_at_least("rows", rows, 2)
    check_unit_interval("rate", rate)
    factor = rows / (rows - 1) if unbiased else 1.0
    return Running(
        (1 - rate) * running.mean + rate * batch.mean,
        (1 - rate) * running.var + rate * factor * batch.var,
    )


class BatchNorm(nnx.Module):
    """Normalise each feature by its batch, then scale and shift.

    In training by the statistics of the batch, which also move the running ones; in
    evaluation by the running ones. Under jit over a batch that is spread over devices
    the statistics are those of the whole batch.

    Args:
        features: number of features.

    Source: Ioffe and Szegedy 2015; defaults of the code of Reizinger et al. 2024.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones((features,)))
        self.shift = nnx.Param(jnp.zeros((features,)))
        self.mean = nnx.BatchStat(jnp.zeros((features,)))
        self.var = nnx.BatchStat(jnp.ones((features,)))
        self.use_running_average = True  # switched by `Module.train` and `eval`

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[rows, features] -> [rows, features]`."""
        by = running = Running(self.mean[...], self.var[...])
        if not self.use_running_average:
            by = batch_statistics(x)
            moved = update_running(running, by, x.shape[0])
            self.mean[...], self.var[...] = moved
        return self.scale[...][None] * normalise(x, by) + self.shift[...][None]
