"""The likelihood of sequences token by token, and how small its loss can be."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_choice,
    check_count,
    check_features,
    check_integers,
    check_real,
    check_within,
)
from jidcl.numerics import at_least_float32, log_softmax


class SequenceFloor(NamedTuple):
    """What no model of a uniform law over nested sentences can do better.

    Attributes:
        per_sequence: entropy log N, nats.
        per_position: the same over the predicted positions, nats: the least loss.
        accuracy: largest share of positions that a most likely token gets right.
        accuracy_without_b: of a model that never foresees the first b, and else errs
            nowhere.
    """

    per_sequence: float
    per_position: float
    accuracy: float
    accuracy_without_b: float


def next_token_nll(
    logits: jax.Array,
    targets: jax.Array,
    *,
    start: int = 0,
    pad: int | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """-log softmax(logits_t) at target_t, over the positions from `start` on, nats.

    Args:
        logits: of the next token, `[..., length, tokens]`.
        targets: the next tokens, integers in [0, tokens), `[..., length]`.
        start: first position that counts, from 0 to length - 1.
        pad: targets of this token do not count; all count when None.
        reduction: `"mean"` over all positions that count, `"sum"` over those of each
            sequence, `[...]`, or `"none"`, `[..., length - start]`, 0 where none
            counts.

    Returns:
        As of `reduction`; float32 or wider. NaN of a mean over nothing, and where a
        traced target is no token.

    Raises:
        ValueError: on shapes that do not fit, or numbers out of range.
        TypeError: on logits that are not real, or targets that are not integers.

    Example:
        >>> even = jnp.zeros((2, 3, 5))
        >>> round(float(next_token_nll(even, jnp.ones((2, 3), int))), 4)  # log 5
        1.6094

    Source: Reizinger et al. 2024, section 2; the definition.
    """
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    check_features("logits", logits)
    if logits.ndim < 2:
        raise ValueError(
            f"logits must have shape [..., length, tokens], got {list(logits.shape)}"
        )
    check_integers("targets", targets, logits.shape[:-1])
    tokens = logits.shape[-1]
    check_within("targets", targets, tokens)
    check_count("start", start, 0, logits.shape[-2] - 1)
    if pad is not None:
        check_count("pad", pad, 0, tokens - 1)
    targets = jnp.asarray(targets)[..., start:]
    logs = log_softmax(
        jnp.asarray(logits, at_least_float32(logits.dtype))[..., start:, :], -1
    )
    known = (targets >= 0) & (targets < tokens)
    at = jnp.where(known, targets, 0)[..., None]
    loss = -jnp.take_along_axis(logs, at, axis=-1)[..., 0]
    loss = jnp.where(known, loss, jnp.nan)
    counts = jnp.ones_like(known) if pad is None else targets != pad
    loss = jnp.where(counts, loss, 0)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return jnp.sum(loss, axis=-1)
    return jnp.sum(loss) / jnp.sum(counts, dtype=loss.dtype)


def sequence_floor(count: int, positions: int) -> SequenceFloor:
    """What is left to a model that knows the uniform law over `count` sentences.

    The only random choices are whether b follows k times a, of probability
    1 / (N - k + 1), so a sequence has log N nats, and a mean over all predicted
    positions log N / positions.

    Args:
        count: N, number of sentences, >= 1.
        positions: predicted positions of a sequence, `max_length + 1`, >= 1.

    Returns:
        A `SequenceFloor`, in float64.

    Raises:
        ValueError: on numbers out of range.

    Example:
        >>> round(sequence_floor(16, 33).per_position, 7)
        0.0840178

    Source: closed form for the law of Reizinger et al. 2024, section 4.

    Notes:
        The published code subtracts log(N) / N, which is another number.
    """
    check_count("count", count)
    check_count("positions", positions)
    entropy = math.log(count)
    wrong = (count - 1) / (count * positions)
    return SequenceFloor(
        entropy, entropy / positions, 1 - wrong, 1 - min(count - 1, 1) / positions
    )


def first_b_law(count: int) -> jax.Array:
    """p(b | SOS a^k) = 1 / (N - k + 1), k = 1 .. N, of the uniform law over a^n b^n.

    Args:
        count: N, number of sentences, >= 1.

    Returns:
        Probabilities, `[count]`; every later token is certain.

    Raises:
        ValueError: on count < 1.

    Example:
        >>> [round(float(share), 4) for share in first_b_law(4)]
        [0.25, 0.3333, 0.5, 1.0]

    Source: Bayes' rule.
    """
    check_count("count", count)
    return 1 / jnp.arange(count, 0, -1, dtype=jnp.result_type(float))


def excess_nats(loss: jax.Array | float, count: int, positions: int) -> jax.Array:
    """Nats by which a sequence costs more than it has to: KL(p || q), >= 0.

    Args:
        loss: mean over all positions, PAD included, nats.
        count: as of `sequence_floor`.
        positions: as of `sequence_floor`.

    Returns:
        (loss - floor) times positions.

    Raises:
        ValueError: on numbers out of range.

    Example:
        >>> round(float(excess_nats(0.0845, 16, 33)), 4)
        0.0159

    Source: the definition; Reizinger et al. 2024, section 2.
    """
    check_real("loss", loss)
    floor = sequence_floor(count, positions)
    return positions * jnp.asarray(loss) - floor.per_sequence
