"""Prompts of a language: those that start a sentence, the others, and completions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_choice, check_count
from jidcl.compiled import compiled
from jidcl.latents.grammar import (
    EOS,
    GRAMMARS,
    PAD,
    SOS,
    A,
    B,
    can_start,
    checked_tokens,
)

LONGEST_PROMPT = 20  # symbols; there are 2^20 of these


class Prompts(NamedTuple):
    """All prompts of a length, in lexicographic order, a first; SOS in front.

    Attributes:
        inside: those that start a sentence, int32 `[inside, 1 + length]`.
        outside: the others, of probability 0, int32 `[outside, 1 + length]`.
    """

    inside: jax.Array
    outside: jax.Array


def prompts(length: int, grammar: str = "aNbN") -> Prompts:
    """All 2^length prompts, split by `can_start`.

    Args:
        length: symbols, from 1 to 20.
        grammar: one of `GRAMMARS`.

    Returns:
        `Prompts`; of aNbN length // 2 + 1 are inside.

    Raises:
        ValueError: on another length, or an unknown grammar.

    Example:
        >>> held = prompts(8)
        >>> held.inside.shape, held.outside.shape
        ((5, 9), (251, 9))

    Source: Reizinger et al. 2024, section 4.
    """
    check_choice("grammar", grammar, GRAMMARS)
    check_count("length", length, 1, LONGEST_PROMPT)
    number = np.arange(2**length, dtype=np.int32)[:, None]
    bits = (number >> np.arange(length)[::-1]) & 1
    whole = np.insert(bits, 0, SOS, axis=1).astype(np.int32)
    # On the host, whatever is being traced: the split gives the shapes.
    with jax.ensure_compile_time_eval():
        inside = np.asarray(can_start(whole, grammar))
    return Prompts(jnp.asarray(whole[inside]), jnp.asarray(whole[~inside]))


def completed(prompt: jax.Array, equal: jax.Array | bool, width: int) -> jax.Array:
    """Prompts with a completion that makes the counts equal, or misses by one.

    |#a - #b| of the missing symbol and EOS: rule R1 holds (an oracle's completion). Or
    one symbol more, b's where the counts are equal: R1 fails by one (an adversary's).

    Args:
        prompt: SOS and symbols, integers `[batch, 1 + length]`.
        equal: whether the counts shall be equal, `[batch]`, or one for all.
        width: tokens of a result, >= 2 length + 3 (2 length + 2 where all shall be
            equal).

    Returns:
        Tokens, int32 `[batch, width]`, padded on the right.

    Raises:
        ValueError: on prompts that are no rows, or a width that they may not fit in.
        TypeError: on prompts that are not integers.

    Example:
        >>> completed(jnp.array([[2, 1, 1]]), True, 6).tolist()
        [[2, 1, 1, 0, 0, 3]]

    Source: Reizinger et al. 2024, appendix and published code.
    """
    prompt = checked_tokens(prompt)
    if prompt.ndim != 2:
        raise ValueError(
            f"prompt must have shape [batch, 1 + length], got {list(prompt.shape)}"
        )
    held = prompt.shape[1]
    check_count("width", width, 2 * held + (0 if equal is True else 1))
    return _completed(prompt, jnp.asarray(equal), width)


@compiled
def _completed(prompt: jax.Array, equal: jax.Array, width: int) -> jax.Array:
    held = prompt.shape[1]
    signs = jnp.where(prompt == A, 1, jnp.where(prompt == B, -1, 0))
    over = jnp.sum(signs, axis=1, dtype=jnp.int32)
    more = jnp.abs(over) + jnp.where(equal, 0, 1)
    place = jnp.arange(width - held, dtype=jnp.int32)[None]
    symbol, more = jnp.where(over >= 0, B, A)[:, None], more[:, None]
    end = jnp.where(place < more, symbol, jnp.where(place == more, EOS, PAD))
    return jnp.concatenate([prompt, end], axis=1).astype(jnp.int32)
