"""What an evaluation's losses say: the gap to the floor, and its error."""

import dataclasses
from types import ModuleType
from typing import Any

import jax.numpy as jnp

from jidcl.types import Evaluation, Losses, Metrics, OnHost


def finished(result: Any, xp: ModuleType = jnp) -> Any:
    """What a probe or an evaluation returned, an `OnHost` computed to its end.

    Args:
        result: of one seed.
        xp: `jax.numpy` while tracing, `numpy` for arrays on the host.

    Returns:
        An `Evaluation`, or scores by name.
    """
    return result.finish(result.arrays, xp) if isinstance(result, OnHost) else result


def summarised(
    result: Evaluation | Metrics | OnHost, xp: ModuleType = jnp
) -> Evaluation:
    """An evaluation whose `losses` are scalars by name; empty where there is no loss.

    Args:
        result: what a program's `evaluate` returned; a dict stands for its scores.
        xp: as for `finished`.

    Returns:
        An `Evaluation`.
    """
    result = finished(result, xp)
    if not isinstance(result, Evaluation):
        return Evaluation(result, {})
    losses = result.losses
    known = summary(losses, xp) if isinstance(losses, Losses) else losses or {}
    return dataclasses.replace(result, losses=known)


def summary(losses: Losses, xp: ModuleType = jnp) -> Metrics:
    """Means of losses over batches, and the gap beside its standard error.

    gap = mean of d_b = loss_b - reference_b, paired on the same draws;
    gap_se = sqrt(var(d) / (batches - 1)), var with divisor `batches`.

    Args:
        losses: of one run, `[batches]` each.
        xp: as for `finished`.

    Returns:
        `loss`; with a reference also `floor`, `gap` and `gap_se`; with a chance level
        `chance`; and the extra losses. Scalars, nats.
    """
    known: Metrics = {name: xp.mean(value) for name, value in losses.extra.items()}
    known["loss"] = xp.mean(losses.loss)
    if losses.chance is not None:
        known["chance"] = xp.mean(losses.chance)
    if losses.reference is None:
        return known
    gaps = losses.loss - losses.reference
    floor = xp.mean(losses.reference) if losses.floor is None else losses.floor
    return {
        **known,
        "floor": xp.asarray(floor, gaps.dtype),
        "gap": xp.mean(gaps),
        "gap_se": xp.sqrt(xp.var(gaps) / max(gaps.shape[0] - 1, 1)),
    }
