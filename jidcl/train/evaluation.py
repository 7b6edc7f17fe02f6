"""What an evaluation's losses say: the gap to the floor, and its error."""

import dataclasses

import jax.numpy as jnp

from jidcl.types import Evaluation, Losses, Metrics


def summarised(result: Evaluation | Metrics) -> Evaluation:
    """An evaluation whose `losses` are scalars by name; empty where there is no loss.

    Args:
        result: what a program's `evaluate` returned; a dict stands for its scores.

    Returns:
        An `Evaluation`.
    """
    if not isinstance(result, Evaluation):
        return Evaluation(result, {})
    losses = result.losses
    known = summary(losses) if isinstance(losses, Losses) else losses or {}
    return dataclasses.replace(result, losses=known)


def summary(losses: Losses) -> Metrics:
    """Means of losses over batches, and the gap beside its standard error.

    gap = mean of d_b = loss_b - reference_b, paired on the same draws;
    gap_se = sqrt(var(d) / (batches - 1)), var with divisor `batches`.

    Args:
        losses: of one run, `[batches]` each.

    Returns:
        `loss`; with a reference also `floor`, `gap` and `gap_se`; with a chance level
        `chance`; and the extra losses. Scalars, nats.
    """
    known: Metrics = {name: jnp.mean(value) for name, value in losses.extra.items()}
    known["loss"] = jnp.mean(losses.loss)
    if losses.chance is not None:
        known["chance"] = jnp.mean(losses.chance)
    if losses.reference is None:
        return known
    gaps = losses.loss - losses.reference
    floor = jnp.mean(losses.reference) if losses.floor is None else losses.floor
    return {
        **known,
        "floor": jnp.asarray(floor, gaps.dtype),
        "gap": jnp.mean(gaps),
        "gap_se": jnp.sqrt(jnp.var(gaps) / max(gaps.shape[0] - 1, 1)),
    }
