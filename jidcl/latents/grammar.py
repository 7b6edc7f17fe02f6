"""Small formal languages: their sentences, samplers, counts and rules.

A sentence is SOS, a body of a and b, EOS, and is padded on the right to
`max_length + 2` tokens; `max_length` counts symbols of the body.

| grammar | body |
|---|---|
| aNbN | a^n b^n, n = 1 .. max_length // 2 |
| aNbNaN | a^n b^n a^n, n = 1 .. max_length // 3 |
| abN | n of each in any order, n = 1 .. max_length // 2 |
| aNbM | l times a, then b up to max_length - 2 symbols, l = 1 .. max_length - 3 |
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_choice,
    check_count,
    check_integers,
    check_key,
    check_memory,
    check_within,
)
from jidcl.compiled import compiled

A, B, SOS, EOS, PAD = range(5)
TOKENS = 5  # how many there are
GRAMMARS = ("aNbN", "aNbNaN", "abN", "aNbM")
SELECTIONS = ("all", "even", "odd")
_LEAST = {"aNbN": 2, "aNbNaN": 3, "abN": 2, "aNbM": 4}  # max_length that has a sentence

# Sentences ---------------------------------------------------------------------------


def sizes(grammar: str, max_length: int, select: str = "all") -> np.ndarray:
    """The sizes n (of aNbM: the numbers of a) that a grammar's bodies can have.

    Args:
        grammar: one of `GRAMMARS`.
        max_length: most symbols of a body.
        select: all, even or odd sizes.

    Returns:
        Integers, ascending, at least one.

    Raises:
        ValueError: on an unknown name, or a `max_length` that no body fits into
            or whose sizes do not fit in memory.
    """
    check_choice("grammar", grammar, GRAMMARS)
    check_choice("select", select, SELECTIONS)
    least = _LEAST[grammar] * (2 if select == "even" and grammar != "aNbM" else 1)
    check_count(f"max_length of {grammar}", max_length, least)
    check_memory("max_length", max_length, max_length // 2, 8)
    most = {"aNbNaN": max_length // 3, "aNbM": max_length - 3}
    n = np.arange(1, most.get(grammar, max_length // 2) + 1)
    return n if select == "all" else n[n % 2 == (select == "odd")]


def count_sentences(grammar: str, max_length: int) -> int:
    """How many different sentences a grammar has: the size of its support.

    Args:
        grammar: one of `GRAMMARS`.
        max_length: most symbols of a body.

    Returns:
        The number; of abN the sum of binom(2n, n) over n.

    Raises:
        ValueError: as of `sizes`.

    Example:
        >>> count_sentences("aNbN", 8), count_sentences("abN", 8)
        (4, 98)

    Source: the definitions; Reizinger et al. 2024, section 2.
    """
    n = sizes(grammar, max_length)
    if grammar == "abN":
        return sum(math.comb(2 * k, k) for k in n.tolist())
    return len(n)


def sentences(grammar: str, max_length: int, select: str = "all") -> jax.Array:
    """Every sentence once, by ascending size: the support of the uniform law.

    Args:
        grammar: aNbN, aNbNaN or aNbM, which have one sentence a size.
        max_length: most symbols of a body.
        select: all, even or odd sizes.

    Returns:
        Tokens, int32 `[sentences, max_length + 2]`.

    Raises:
        ValueError: on abN, which has too many, or as of `sizes`.

    Example:
        >>> sentences("aNbN", 4).tolist()
        [[2, 0, 1, 3, 4, 4], [2, 0, 0, 1, 1, 3]]

    Source: Reizinger et al. 2024, appendix and published code.
    """
    check_choice("grammar", grammar, [g for g in GRAMMARS if g != "abN"])
    n = sizes(grammar, max_length, select)
    check_memory("max_length", max_length, len(n) * (max_length + 2))
    return _written(jnp.asarray(n, jnp.int32), grammar, max_length)


def sample_sentences(
    key: jax.Array, grammar: str, max_length: int, count: int
) -> jax.Array:
    """Sentences with sizes drawn uniformly, and of abN in a uniform order.

    Args:
        key: a typed key.
        grammar: one of `GRAMMARS`.
        max_length: most symbols of a body.
        count: how many.

    Returns:
        Tokens, int32 `[count, max_length + 2]`.

    Raises:
        ValueError: as of `sizes`, or count < 1.

    Example:
        >>> drawn = sample_sentences(jax.random.key(0), "abN", 8, 3)
        >>> bool(is_sentence(drawn, "abN").all())
        True

    Source: Reizinger et al. 2024, appendix and published code.
    """
    check_key("key", key)
    n = sizes(grammar, max_length)
    check_count("count", count)
    check_memory("count", count, count * (max_length + 2))
    size_key, order_key = jax.random.split(key)
    drawn = jax.random.choice(size_key, jnp.asarray(n, jnp.int32), (count,))
    if grammar != "abN":
        return _written(drawn, grammar, max_length)
    return _in_any_order(order_key, _written(drawn, "aNbN", max_length), drawn)


@compiled
def _in_any_order(key: jax.Array, tokens: jax.Array, n: jax.Array) -> jax.Array:
    """The symbols of a^n b^n in a uniform order; other tokens keep their place."""
    place = jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
    noise = jax.random.uniform(key, tokens.shape)
    body = (place > 0) & (place <= 2 * n[:, None])
    # SOS before all of the body, 0 <= noise < 1, and what follows after.
    rank = jnp.where(body, noise, 2 * place.astype(noise.dtype) - 1)
    return jnp.take_along_axis(tokens, jnp.argsort(rank, axis=1), axis=1)


@compiled
def _written(n: jax.Array, grammar: str, max_length: int) -> jax.Array:
    """The sentences of these sizes, padded."""
    # Of a symbol in its body.
    place = jnp.arange(max_length + 2, dtype=jnp.int32)[None] - 1
    n = n[:, None]
    length = {"aNbN": 2 * n, "aNbNaN": 3 * n}.get(grammar, 0 * n + max_length - 2)
    second = (place >= n) & ((place < 2 * n) | (grammar == "aNbM"))
    body = jnp.where(second, B, A)
    tokens = jnp.where(place < length, body, jnp.where(place == length, EOS, PAD))
    return jnp.where(place < 0, SOS, tokens).astype(jnp.int32)


# Rules -------------------------------------------------------------------------------


def rules(tokens: jax.Array | np.ndarray) -> dict[str, jax.Array]:
    """Which rules a sequence of tokens follows; SOS, EOS and PAD are no symbols.

    | rule | holds where |
    |---|---|
    | same_number | #a = #b (R1 of aNbN) |
    | as_before_bs | no a follows a b (R2 of aNbN) |
    | twice_as_many_as | #a = 2 #b |
    | at_least_as_many_as | #a >= #b |
    | as_before_first_b_at_least_bs | as many a before the first b as b at least |
    | bs_together | there are b, and nothing stands between them |
    | bs_in_middle | there are b, as many tokens before the first as after the last |
    | finished | there is an EOS, and neither a nor b after the first |

    Args:
        tokens: integers in [0, 5), `[..., length]`.

    Returns:
        Booleans `[...]` by rule.

    Raises:
        ValueError: on concrete tokens out of range, or without an axis.
        TypeError: on tokens that are not integers.

    Example:
        >>> found = rules(jnp.array([2, 0, 0, 1, 3]))
        >>> bool(found["same_number"]), bool(found["as_before_bs"])
        (False, True)

    Source: Reizinger et al. 2024, section 4 and published code.

    Notes:
        PAD counts nowhere, so padding changes no answer; SOS and EOS count in
        `bs_in_middle`, and what stands between b in `bs_together`, as published.
    """
    return _rules(checked_tokens(tokens))


@compiled
def _rules(tokens: jax.Array) -> dict[str, jax.Array]:
    is_a, is_b, is_end = tokens == A, tokens == B, tokens == EOS
    a, b = _count(is_a), _count(is_b)
    after_b, after_end = _seen(is_b), _seen(is_end)
    later_b = jnp.flip(_seen(jnp.flip(is_b, -1)), -1)  # here, or after this
    some = b > 0
    token = tokens != PAD
    before, after = _count(token & ~after_b), _count(token & ~later_b)
    return {
        "same_number": a == b,
        "as_before_bs": ~jnp.any(is_a & after_b, axis=-1),
        "twice_as_many_as": a == 2 * b,
        "at_least_as_many_as": a >= b,
        "as_before_first_b_at_least_bs": _count(is_a & ~after_b) >= b,
        "bs_together": some & ~jnp.any(after_b & later_b & ~is_b, axis=-1),
        "bs_in_middle": some & (before == after),
        "finished": jnp.any(is_end, -1) & ~jnp.any(after_end & (is_a | is_b), axis=-1),
    }


def is_sentence(tokens: jax.Array | np.ndarray, grammar: str) -> jax.Array:
    """Whether the symbols of a sequence are a body of the grammar, of any length.

    Args:
        tokens: integers in [0, 5), `[..., length]`.
        grammar: one of `GRAMMARS`.

    Returns:
        Booleans `[...]`. An empty body counts where its rules hold, as published.

    Raises:
        ValueError: on an unknown grammar, or as of `rules`.

    Example:
        >>> is_sentence(jnp.array([[2, 0, 1, 3], [2, 1, 0, 3]]), "aNbN").tolist()
        [True, False]

    Source: Reizinger et al. 2024, section 4 and published code.
    """
    check_choice("grammar", grammar, GRAMMARS)
    return _all(rules(tokens), _OF_SENTENCES[grammar])


def can_start(tokens: jax.Array | np.ndarray, grammar: str) -> jax.Array:
    """Whether a prompt counts as in distribution: the published test.

    Args:
        tokens: integers in [0, 5), `[..., length]`.
        grammar: one of `GRAMMARS`.

    Returns:
        Booleans `[...]`.

    Raises:
        ValueError: on an unknown grammar, or as of `rules`.

    Example:
        >>> can_start(jnp.array([[2, 0, 0, 1], [2, 1, 0, 0]]), "aNbN").tolist()
        [True, False]

    Source: Reizinger et al. 2024, section 4 and published code.

    Notes:
        Of aNbN, abN and aNbM it is exact for bodies of any length. Of aNbNaN it asks
        for b's that stand together and no a after them, so it refuses prompts such as
        "aa" and "aba", which have a completion.
    """
    check_choice("grammar", grammar, GRAMMARS)
    return _all(rules(tokens), _OF_PROMPTS[grammar])


_OF_SENTENCES = {
    "aNbN": ("same_number", "as_before_bs"),
    "aNbNaN": ("twice_as_many_as", "bs_in_middle", "bs_together"),
    "abN": ("same_number",),
    "aNbM": ("as_before_bs",),
}
_OF_PROMPTS = {
    "aNbN": ("as_before_bs", "at_least_as_many_as"),
    "aNbNaN": ("as_before_bs", "bs_together"),
    "abN": (),
    "aNbM": ("as_before_bs",),
}


def _all(found: dict[str, jax.Array], names: tuple[str, ...]) -> jax.Array:
    held = jnp.ones_like(found["finished"])
    for name in names:
        held = held & found[name]
    return held


def checked_tokens(tokens: jax.Array | np.ndarray) -> jax.Array:
    """An array of them; ValueError or TypeError unless they are integers in [0, 5)."""
    check_integers("tokens", tokens)
    if tokens.ndim < 1:
        raise ValueError("tokens must have shape [..., length], got []")
    check_within("tokens", tokens, TOKENS)
    return jnp.asarray(tokens)


def _count(where: jax.Array) -> jax.Array:
    return jnp.sum(where, axis=-1, dtype=jnp.int32)


def _seen(where: jax.Array) -> jax.Array:
    """Whether one is here or before, `[..., length]`."""
    return jnp.cumsum(where, axis=-1, dtype=jnp.int32) > 0
