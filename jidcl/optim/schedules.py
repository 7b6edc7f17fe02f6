"""Optimisers by name, for configurations."""

import jax.numpy as jnp
import optax
import optax.contrib

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_scalar,
)

OPTIMISERS = ("adam", "adamw", "muon")
SCHEDULES = ("constant", "cosine", "half_constant_cosine")


def make_schedule(name: str, learning_rate: float, steps: int, warmup: int = 0):
    """Learning rate over the steps: constant, cosine to zero, or half of each.

    Args:
        name: `"constant"`; `"cosine"`, to zero after a warm-up; or
            `"half_constant_cosine"`, constant for the first half of the steps and
            cosine to zero in the second (Klindt et al. 2026).
        learning_rate: peak value, > 0.
        steps: length of the run, >= 1.
        warmup: steps of linear growth from 0 (cosine only).

    Returns:
        An optax schedule.

    Raises:
        ValueError: on an unknown name or numbers out of range.
    """
    check_choice("schedule", name, SCHEDULES)
    check_above("learning_rate", learning_rate, 0)
    check_scalar("learning_rate", learning_rate)
    check_count("steps", steps)
    check_count("warmup", warmup, 0)
    steps, warmup = int(steps), int(warmup)
    if name == "constant":
        return optax.constant_schedule(learning_rate)
    if name == "half_constant_cosine":
        half = steps / 2

        def schedule(count):
            late = jnp.asarray(count, jnp.result_type(float)) / half - 1
            return learning_rate / 2 * (1 + jnp.cos(jnp.pi * jnp.clip(late, 0, 1)))

        return schedule
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else learning_rate, learning_rate, warmup, max(steps, warmup + 1)
    )


def make_optimiser(
    name: str,
    learning_rate: float,
    *,
    steps: int,
    schedule: str = "cosine",
    warmup: int = 0,
    muon_steps: int = 5,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Adam, AdamW, or Muon (orthogonalised momentum for matrices, Adam for the rest).

    Args:
        name: `"adam"`, `"adamw"` or `"muon"`.
        learning_rate: peak learning rate.
        steps: length of the run.
        schedule: see `make_schedule`.
        warmup: see `make_schedule`.
        muon_steps: Newton-Schulz iterations of each orthogonalisation, >= 1.
        weight_decay: decoupled decay of AdamW, each step rate times it, >= 0.

    Returns:
        An optax transformation.

    Raises:
        ValueError: on unknown names or numbers out of range.
    """
    check_choice("optimiser", name, OPTIMISERS)
    rate = make_schedule(schedule, learning_rate, steps, warmup)
    if name == "adam":
        return optax.adam(rate)
    if name == "adamw":
        check_at_least("weight_decay", weight_decay, 0)
        check_scalar("weight_decay", weight_decay)
        return optax.adamw(rate, weight_decay=weight_decay)
    check_count("muon_steps", muon_steps)
    return optax.contrib.muon(rate, ns_steps=muon_steps)
