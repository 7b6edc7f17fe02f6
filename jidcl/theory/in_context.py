"""Learning in context, and a model that lacks it at almost no cost in likelihood.

In float64 on the host.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from jidcl.checks import check_at_least, check_count, check_memory, check_shape
from jidcl.theory.autoregressive import checked_law

LONGEST = 12  # symbols of which all sequences are looked at


class Posterior(NamedTuple):
    """What observations say about a concept.

    Attributes:
        posterior: of each concept, `[concepts]`.
        predictive: probability that the next observation is 1.
        log_evidence: log probability of the observations, nats.
    """

    posterior: np.ndarray
    predictive: float
    log_evidence: float


def concept_posterior(
    theta: np.ndarray, prior: np.ndarray, observations: np.ndarray
) -> Posterior:
    """Posterior over concepts, each a coin of probability theta.

    Args:
        theta: probability of a 1 by concept, in (0, 1), `[concepts]`.
        prior: of each concept, `[concepts]`.
        observations: 0 or 1, `[n]`.

    Returns:
        A `Posterior`.

    Raises:
        ValueError: on numbers that are no laws, theta out of range, or observations
            other than 0 and 1.

    Example:
        >>> round(concept_posterior([0.9, 0.1], [0.5, 0.5], [1]).predictive, 4)
        0.82

    Source: Xie et al. 2022, of finitely many concepts; Bayes' rule.
    """
    prior = checked_law("prior", prior)
    theta = np.asarray(theta, np.float64)
    if theta.shape != prior.shape or not ((theta > 0) & (theta < 1)).all():
        raise ValueError(
            f"theta must be in (0, 1), of shape {list(prior.shape)}, got {theta}"
        )
    seen = np.asarray(observations, np.float64)
    if seen.ndim != 1 or not np.isin(seen, (0, 1)).all():
        raise ValueError(f"observations must be 0 or 1, [n], got {observations}")
    ones = seen.sum()
    logs = ones * np.log(theta) + (len(seen) - ones) * np.log1p(-theta)
    evidence = float(np.asarray(logsumexp(logs, b=prior)))  # these may underflow
    posterior = prior * np.exp(logs - evidence)
    return Posterior(posterior, float(posterior @ theta), evidence)


class Concepts(NamedTuple):
    """A mixture of hidden Markov models; the last symbol is the delimiter.

    Attributes:
        prior: of each concept, `[concepts]`.
        initial: law of the first state, `[concepts, states]`.
        transition: from row to column, `[concepts, states, states]`.
        emission: of a symbol by state, `[concepts, states, symbols]`.
    """

    prior: np.ndarray
    initial: np.ndarray
    transition: np.ndarray
    emission: np.ndarray


def next_symbol(concepts: Concepts, prompt: Sequence[int]) -> np.ndarray:
    """p(next symbol | prompt), concepts and states summed out.

    Args:
        concepts: the mixture.
        prompt: symbols, at least none.

    Returns:
        `[symbols]`.

    Raises:
        ValueError: on a prompt of probability 0 or other symbols, or numbers that are
            no laws.

    Example:
        >>> coin = Concepts([1.0], [[1.0]], [[[1.0]]], [[[0.25, 0.75]]])
        >>> next_symbol(coin, [0, 1]).tolist()
        [0.25, 0.75]

    Source: Xie et al. 2022; the forward recursion.
    """
    held = _checked(concepts)
    symbols = held.emission.shape[-1]
    state = held.prior[:, None] * held.initial
    for symbol in prompt:
        check_count("every symbol of prompt", symbol, 0, symbols - 1)
        state = _moved(held, state[None])[0, symbol]
        state = state / (state.sum() or 1)  # the scale cancels, and may underflow
    law = np.einsum("cs,cso->o", state, held.emission)
    if not law.sum() > 0:
        raise ValueError(f"prompt must have a probability > 0, got {list(prompt)}")
    return law / law.sum()


def _checked(concepts: Concepts) -> Concepts:
    """In float64, laws of shapes that fit."""
    held = Concepts(*(np.asarray(part, np.float64) for part in concepts))
    if held.emission.ndim != 3:
        raise ValueError(
            "emission must have shape [concepts, states, symbols], got "
            f"{list(held.emission.shape)}"
        )
    count, states, _ = held.emission.shape
    shapes = (count,), (count, states), (count, states, states), held.emission.shape
    for name, part, shape in zip(Concepts._fields, held, shapes, strict=True):
        check_shape(name, part, shape)
        for row in part.reshape(-1, shape[-1]):
            checked_law(f"every law of {name}", row)
    return held


def _moved(held: Concepts, state: np.ndarray) -> np.ndarray:
    """Joint with every next symbol, `[prefixes, symbols, concepts, states]`."""
    emitted = state[:, None] * np.moveaxis(held.emission, -1, 0)[None]
    return np.einsum("poci,cij->pocj", emitted, held.transition)


class Swapped(NamedTuple):
    """A model that is wrong in context, and how little that costs.

    Attributes:
        kl: KL(p || q_k), nats a sequence.
        reached: probability that a sequence has a prefix with k delimiters.
        total: probability of all sequences: 1.
    """

    kl: float
    reached: float
    total: float


def swapped_in_context(concepts: Concepts, length: int, delimiters: int) -> Swapped:
    """q_k: symbols 0 and 1 exchanged after a prefix with k delimiters or more.

    KL(p || q_k) = sum_t E_p[1{h_t in E_k} KL(p(. | h_t) || q_k(. | h_t))], by
    enumeration. It falls to 0 in k, while q_k inverts every answer after k examples.

    Args:
        concepts: the mixture.
        length: symbols of a sequence, from 1 to 12.
        delimiters: k, >= 0.

    Returns:
        A `Swapped`.

    Raises:
        ValueError: on numbers out of range or that are no laws, fewer than 3 symbols,
            or more sequences than memory holds.

    Example:
        >>> coin = Concepts([1.0], [[1.0]], [[[1.0]]], [[[0.2, 0.6, 0.2]]])
        >>> round(swapped_in_context(coin, 1, 0).kl, 4)  # 0.4 log 3
        0.4394

    Source: Reizinger et al. 2024, section 4, after Xie et al. 2022; this construction
        is the library's own.
    """
    check_count("length", length, 1, LONGEST)
    check_count("delimiters", delimiters, 0)
    held = _checked(concepts)
    count, states, symbols = held.emission.shape
    check_at_least("symbols of emission", symbols, 3)
    check_memory("length", length, symbols**length * count * states, 8)
    state, seen = (held.prior[:, None] * held.initial)[None], np.zeros(1, int)
    inside, kl = np.zeros(1, bool), 0.0
    order = np.array([1, 0, *range(2, symbols)])
    delimiter = np.arange(symbols) == symbols - 1
    for _ in range(length):
        joint = np.einsum("pcs,cso->po", state, held.emission)
        inside = seen >= delimiters
        here = joint[inside]
        some = here > 0
        with np.errstate(divide="ignore"):
            kl += np.sum(here[some] * np.log(here[some] / here[:, order][some]))
        state = _moved(held, state).reshape(-1, *state.shape[1:])
        seen = (seen[:, None] + delimiter).ravel()
    mass = state.sum((1, 2))
    reached = np.repeat(inside, symbols)  # in E_k before the last symbol
    return Swapped(float(kl), float(mass[reached].sum()), float(mass.sum()))
