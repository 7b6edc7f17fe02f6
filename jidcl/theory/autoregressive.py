"""Models of sequences at KL = 0, or near it, that behave in opposite ways.

Completions of prompts of probability 0 are free (`zero_kl_pair`), and near KL = 0 so
are those of rare ones (`mixture`). In float64 on the host.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jidcl.checks import check_count, check_scalar, check_unit_interval
from jidcl.latents.grammar import EOS, PAD, SOS, TOKENS, A, B

Law = Callable[[Sequence[int]], np.ndarray]

# Zero KL -----------------------------------------------------------------------------


def zero_kl_pair(count: int) -> tuple[Law, Law]:
    """Two models with KL(p || q) = 0 that complete other prompts in opposite ways.

    p is uniform over a^n b^n, n = 1 .. N. Both have p's conditionals wherever p has
    probability. Elsewhere the first continues with the missing symbol until the counts
    are equal, and then ends; the second ends at once.

    Args:
        count: N, >= 1.

    Returns:
        Two functions of a prefix (tokens from SOS on) to the law of the next token,
        `[5]`.

    Raises:
        ValueError: on count < 1; from the functions, on a prefix without SOS in front,
            which no string starts with.

    Example:
        >>> balanced, ended = zero_kl_pair(4)
        >>> complete(balanced, [2, 1], 4), complete(ended, [2, 1], 4)
        ([2, 1, 0, 3], [2, 1, 3])

    Source: Reizinger et al. 2024, section 4.
    """
    check_count("count", count)

    def known(prefix: Sequence[int]) -> np.ndarray | None:
        """The law of p, None where the prefix has probability 0."""
        held = [int(token) for token in prefix]
        if held[:1] != [SOS]:
            raise ValueError(f"prefix must start with SOS = {SOS}, got {held}")
        body = [t for t in held[1:] if t in (A, B)]
        a, b = body.count(A), body.count(B)
        # Its symbols in order, then all that can follow an end.
        ended = [EOS] + [PAD] * len(held) if len(held) > 1 + a + b else []
        if held != ([SOS] + [A] * a + [B] * b + ended)[: len(held)]:
            return None
        if b > a or a > count or (ended and (a != b or a == 0)):
            return None
        if ended:
            return _one(PAD)
        if b:
            return _one(B if b < a else EOS)
        law = np.zeros(TOKENS)
        law[B] = 1 / (count - a + 1) if a else 0
        law[A] = 1 - law[B]
        return law

    def balanced(prefix: Sequence[int]) -> np.ndarray:
        law = known(prefix)
        if law is not None:
            return law
        held = [int(token) for token in prefix]
        over = held.count(A) - held.count(B)
        return _one(PAD if EOS in held else EOS if over == 0 else B if over > 0 else A)

    def ended(prefix: Sequence[int]) -> np.ndarray:
        law = known(prefix)
        if law is not None:
            return law
        return _one(PAD if EOS in [int(t) for t in prefix] else EOS)

    return balanced, ended


def _one(token: int) -> np.ndarray:
    return np.eye(TOKENS)[token]


def complete(law: Law, prompt: Sequence[int], new: int) -> list[int]:
    """A prompt with its most likely next tokens, up to EOS.

    Args:
        law: of the next token, as of `zero_kl_pair`.
        prompt: tokens, SOS first.
        new: most tokens that are added.

    Returns:
        Tokens.

    Raises:
        ValueError: on new < 1.

    Example:
        >>> complete(zero_kl_pair(2)[0], [2, 0, 0], 9)
        [2, 0, 0, 1, 1, 3]

    Source: the definition.
    """
    check_count("new", new)
    held = [int(token) for token in prompt]
    for _ in range(new):
        held.append(int(np.argmax(law(held))))
        if held[-1] == EOS:
            break
    return held


def kl_of_law(law: Law, count: int) -> float:
    """KL(p || q) of the uniform law over a^n b^n, n = 1 .. N, by enumeration, nats.

    Args:
        law: q, of the next token, as of `zero_kl_pair`.
        count: N, >= 1.

    Returns:
        The divergence; infinite where q excludes a sentence.

    Raises:
        ValueError: on count < 1.

    Example:
        >>> round(kl_of_law(zero_kl_pair(4)[1], 4), 12)
        0.0

    Source: the definition.
    """
    check_count("count", count)
    total = -np.log(count)
    for n in range(1, count + 1):
        sentence = [SOS, *[A] * n, *[B] * n, EOS]
        for t in range(1, len(sentence)):
            share = law(sentence[:t])[sentence[t]]
            total -= (np.log(share) if share > 0 else -np.inf) / count
    return float(total) + 0.0


# Mixtures ----------------------------------------------------------------------------


class Mixture(NamedTuple):
    """A law with a little of another one.

    Attributes:
        q: (1 - eps) p + eps r, `[outcomes]`.
        kl: KL(p || q), nats.
        bound: -log(1 - eps), which it never exceeds; equal where r lies off p's
            support.
    """

    q: np.ndarray
    kl: float
    bound: float


def mixture(p: np.ndarray, r: np.ndarray, eps: float) -> Mixture:
    """q = (1 - eps) p + eps r: near p, and on prompts that p excludes it is r.

    Args:
        p: a law, `[outcomes]`.
        r: another one, `[outcomes]`.
        eps: its weight, in [0, 1).

    Returns:
        A `Mixture`. For every eps > 0, q(y | x) = r(y | x) where p(x) = 0 < r(x).

    Raises:
        ValueError: on numbers that are no laws, or eps out of range.

    Example:
        >>> held = mixture(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.1)
        >>> round(held.kl, 6), round(held.bound, 6)
        (0.105361, 0.105361)

    Source: Reizinger et al. 2024, section 4; the bound by Jensen's inequality.
    """
    p, r = checked_law("p", p), checked_law("r", r)
    if p.shape != r.shape:
        raise ValueError(f"r must have shape {list(p.shape)}, got {list(r.shape)}")
    check_scalar("eps", eps)
    check_unit_interval("eps", eps)
    if eps >= 1:
        raise ValueError(f"eps must be < 1, got {eps}")
    q = (1 - eps) * p + eps * r
    some = p > 0
    kl = float(np.sum(p[some] * np.log(p[some] / q[some])))
    return Mixture(q, kl, float(-np.log1p(-eps)))


def checked_law(name: str, values: np.ndarray) -> np.ndarray:
    """Probabilities `[outcomes]` in float64; ValueError unless they sum to 1.

    They may miss it by 0.001, as rounded ones do, and are scaled.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not values.size or not (values >= 0).all():
        raise ValueError(f"{name} must hold probabilities [outcomes], got {values}")
    if not abs(values.sum() - 1) <= 1e-3:
        raise ValueError(f"{name} must sum to 1, got {values.sum()}")
    return values / values.sum()
