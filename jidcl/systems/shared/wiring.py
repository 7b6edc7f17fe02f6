"""Wiring that systems share: optimisers, programs without a step, rows, batches."""

from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jidcl.optim import make_optimiser
from jidcl.systems.shared.settings import Optimisation
from jidcl.types import Array, Evaluation, Metrics, OnHost, Program


def run_optimiser(config: Optimisation) -> optax.GradientTransformation:
    """The optimiser of a configuration.

    Args:
        config: settings with the part `Optimisation`.

    Returns:
        An optax transformation.
    """
    return make_optimiser(
        config.optimiser,
        config.learning_rate,
        steps=config.steps,
        schedule=config.schedule,
        warmup=config.warmup,
        muon_steps=config.muon_steps,
        weight_decay=config.weight_decay,
    )


def untrained(
    evaluate: Callable[[Any, Array], Evaluation | Metrics | OnHost],
    *,
    freeze: Callable[[Array], Any] | None = None,
    precision: str = "float32",
    shared: Any = None,
) -> Program:
    """A program that trains nothing: it draws, and says what it found.

    Args:
        evaluate: `(frozen, key) -> Evaluation`.
        freeze: `key -> frozen`; nothing is drawn for the run when None.
        precision: as of `jidcl.types.Program`.
        shared: as of `jidcl.types.Program`.

    Returns:
        A `Program` without a step.
    """
    return Program(
        freeze=freeze or (lambda key: {}),
        start=lambda frozen, key: {},
        step=None,
        evaluate=lambda run, frozen, key: evaluate(frozen, key),
        precision=precision,
        shared=shared,
    )


def of_least(costs: Array, held: Any) -> Any:
    """The entry of stacked trees that costs least; NaN costs more than any number.

    Args:
        costs: `[entries]`.
        held: a tree of leaves `[entries, ...]`.

    Returns:
        The tree of one entry.
    """
    best = jnp.argmin(jnp.nan_to_num(costs, nan=jnp.inf))
    return jax.tree.map(lambda leaf: leaf[best], held)


def over_rows(loss: Callable, mesh: Mesh | None, rows: tuple, whole: tuple = ()):
    """`loss(*rows, *whole, axis=...)`, the rows spread over the mesh's `data` axis.

    Args:
        loss: with `axis` None of whole arrays, with `"data"` of a device's rows.
        mesh: None: no axis.
        rows: arrays `[batch, ...]`.
        whole: arrays that every device has.

    Returns:
        What `loss` returns: the same on every device.
    """
    if mesh is None:
        return loss(*rows, *whole, axis=None)
    # A vmap over seeds outside adds `seed` to some operands' varying axes only.
    return jax.shard_map(
        partial(loss, axis="data"),
        mesh=mesh,
        in_specs=(P("data"),) * len(rows) + (P(),) * len(whole),
        out_specs=P(),
        check_vma=False,
    )(*rows, *whole)


def over_batches(score: Callable[[Array], Any], key: Array, batches: int):
    """Scores of `batches` independent draws, one after another: `[batches, ...]`.

    Args:
        score: `key -> tree` of arrays.
        key: a typed key.
        batches: draws, >= 1.

    Returns:
        The tree, each array `[batches, ...]`.
    """
    return jax.lax.map(score, jax.random.split(key, batches))


def mean_over_batches(scores: Any) -> Any:
    """A tree of scores, each averaged over its leading axis.

    Args:
        scores: a tree of arrays `[batches, ...]`.

    Returns:
        The tree, without the axis.
    """
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), scores)


def mean_of(each: Sequence[Any], xp: ModuleType) -> Any:
    """The mean of trees of scores, leaf by leaf.

    Args:
        each: trees of one structure, at least one.
        xp: `numpy`, or `jax.numpy` while tracing.

    Returns:
        A tree.
    """
    return jax.tree.map(lambda *leaves: xp.mean(xp.stack(leaves), axis=0), *each)


def errors_of(each: Sequence[Metrics], xp: ModuleType) -> Metrics:
    """Standard errors over batches of the scores that are scalars.

    Args:
        each: scores of each batch, by name, at least one batch.
        xp: `numpy`, or `jax.numpy` while tracing.

    Returns:
        sqrt(variance / (batches - 1)) by name, the variance with divisor `batches`;
        empty where there is one batch only.
    """
    if len(each) < 2:
        return {}
    names = [name for name, value in each[0].items() if value.ndim == 0]
    return {
        name: xp.sqrt(xp.var(xp.stack([s[name] for s in each])) / (len(each) - 1))
        for name in names
    }
