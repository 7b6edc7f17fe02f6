"""Exchangeable sequences with continuous parameters, in closed form.

A sequence is exchangeable with independent mechanisms where its parameters are drawn
once, each by itself, and shared by all members: de Finetti's theorem read causally.
The members are pairs, or whole trajectories; never the times of one.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from jidcl.checks import (
    check_above,
    check_at_least,
    check_count,
    check_features,
    check_float,
    check_integers,
    check_scalar,
    check_shape,
    check_within,
)
from jidcl.compiled import compiled
from jidcl.latents.small import solve_small

_MOST_PATHS = 2**20


@compiled
def _regression(targets: jax.Array, inputs: jax.Array, variance, prior) -> jax.Array:
    """log N(each column; 0, variance I + prior Z Z^T), by the small side."""
    count, width = inputs.shape
    inner = jnp.eye(width, dtype=inputs.dtype)
    inner = inner + prior / variance * inputs.T @ inputs
    told = inputs.T @ targets
    solved, log_det = solve_small(inner, told)
    squares = jnp.sum(targets**2) - prior / variance * jnp.sum(told * solved)
    each = count * jnp.log(2 * jnp.pi * variance) + log_det
    return -0.5 * (targets.shape[1] * each + squares / variance)


def pair_evidence(
    x: Any, y: Any, *, theta: float, psi: float, noise: float
) -> jax.Array:
    """log p of pairs with x_n ~ N(theta', 1) and y_n ~ N(psi' x_n, noise).

    The parameters are theta' ~ N(0, theta) and psi' ~ N(0, psi), independent and shared
    by all pairs:
    log N(x; 0, I + theta 1 1^T) + log N(y; 0, noise I + psi x x^T).

    Args:
        x: causes, `[pairs]`.
        y: effects, `[pairs]`.
        theta: variance of the cause's parameter, >= 0.
        psi: variance of the mechanism's parameter, >= 0.
        noise: variance of the effect's noise, > 0.

    Returns:
        The log-evidence, nats.

    Raises:
        ValueError: on shapes that do not fit, or a variance out of range.

    Example:
        >>> one = jnp.ones(1)
        >>> own = dict(theta=1.0, psi=0.0, noise=1.0)
        >>> round(float(pair_evidence(one, one, **own)), 4)
        -2.9345

    Source: Guo et al. 2023 with continuous parameters; Rajendran et al. 2024.
    """
    check_features("x", x)
    check_float("y", y)
    check_shape("x", x, (x.shape[-1],))
    check_shape("y", y, x.shape)
    of_cause, of_effect, left = _variances(theta=theta, psi=psi, noise=noise)
    x, y = (jnp.asarray(v, float)[:, None] for v in (x, y))
    cause = _regression(x, jnp.ones_like(x), jnp.ones_like(left), of_cause)
    return cause + _regression(y, x, left, of_effect)


def _variances(**values: Any) -> list[jax.Array]:
    for name, value in values.items():
        check_scalar(name, value)
        check_at_least(name, value, 0)
    check_above("noise", values["noise"], 0)
    return [jnp.asarray(value, float) for value in values.values()]


def trajectory_evidence(
    x: Any, *, theta: float, dynamics: float, noise: float
) -> jax.Array:
    """log p of trajectories x_(t+1) = A x_t + noise that share A and their mean start.

    Entries of A ~ N(0, dynamics), x_0 ~ N(theta', I) with theta' ~ N(0, theta I): the
    evidence of the starts times that of a Bayesian regression of successors on
    predecessors.

    Args:
        x: `[trajectories, time >= 2, states]`.
        theta: variance of the mean start, >= 0.
        dynamics: variance of the entries of A, >= 0.
        noise: variance of what drives each state, > 0.

    Returns:
        The log-evidence, nats. It is that of any order of the trajectories, and not
        that of another order in time.

    Raises:
        ValueError: on another shape, or a variance out of range.

    Example:
        >>> x = jnp.array([[[0.0], [1.0]], [[1.0], [0.0]]])
        >>> own = dict(theta=1.0, dynamics=1.0, noise=1.0)
        >>> seen = trajectory_evidence(x, **own), trajectory_evidence(x[::-1], **own)
        >>> bool(abs(seen[0] - seen[1]) < 1e-5)
        True

    Source: Rajendran et al. 2024, the extension of causal de Finetti.
    """
    check_features("x", x)
    if x.ndim != 3 or x.shape[0] < 1 or x.shape[1] < 2:
        raise ValueError(
            "x must have shape [trajectories >= 1, time >= 2, states], got "
            f"{list(x.shape)}"
        )
    mean, of_a, left = _variances(theta=theta, dynamics=dynamics, noise=noise)
    x = jnp.asarray(x, float)
    first = x[:, 0]
    ones = jnp.ones_like(first[:, :1])
    starts = _regression(first, ones, jnp.ones_like(left), mean)
    before, after = (v.reshape(-1, x.shape[-1]) for v in (x[:, :-1], x[:, 1:]))
    return starts + _regression(after, before, left, of_a)


def hmm_evidence(
    sequences: Any,
    *,
    alpha: float,
    beta: float,
    hidden: int = 2,
    symbols: int = 2,
) -> jax.Array:
    """log p of sequences of a hidden Markov model whose rows are Dirichlet draws.

    The initial law and each row of transitions are Dirichlet(alpha), each row of
    emissions Dirichlet(beta), shared by all sequences. Every hidden path is listed, and
    its counts are those of Polya's urn.

    Args:
        sequences: of symbols from 0, `[sequences, time]`.
        alpha: of states, > 0.
        beta: of symbols, > 0.
        hidden: hidden states, at least 2.
        symbols: at least 2.

    Returns:
        The log-evidence, nats.

    Raises:
        ValueError: on a number out of range, or too many paths to list.

    Example:
        >>> own = dict(alpha=1.0, beta=1.0)
        >>> round(float(hmm_evidence(np.array([[0]]), **own)), 2)
        -0.69

    Source: Rajendran et al. 2024, the extension of causal de Finetti.
    """
    check_integers("sequences", sequences)
    if sequences.ndim != 2 or not sequences.size:
        raise ValueError(
            f"sequences must have shape [sequences, time], got {list(sequences.shape)}"
        )
    for name, value in (("alpha", alpha), ("beta", beta)):
        check_scalar(name, value)
        check_above(name, value, 0)
    check_count("hidden", hidden, 2)
    check_count("symbols", symbols, 2)
    check_within("sequences", sequences, symbols)
    if hidden**sequences.size > _MOST_PATHS:
        raise ValueError(
            f"sequences must have few enough entries to list all {hidden}^entries "
            f"paths (at most {_MOST_PATHS}), got {sequences.size} entries"
        )
    count, time = sequences.shape
    paths = np.indices((hidden,) * sequences.size).reshape(count, time, -1)
    paths = jnp.asarray(paths.transpose(2, 0, 1))
    of_states, of_symbols = (jnp.asarray(value, float) for value in (alpha, beta))
    seen = jnp.asarray(sequences)
    return _hmm(seen, paths, of_states, of_symbols, hidden, symbols)


@compiled
def _hmm(sequences, paths, alpha, beta, hidden: int, symbols: int) -> jax.Array:
    state = jax.nn.one_hot(paths, hidden, dtype=alpha.dtype)
    symbol = jax.nn.one_hot(sequences, symbols, dtype=alpha.dtype)
    starts = jnp.sum(state[:, :, 0], axis=1)[:, None]
    moves = jnp.einsum("kcti,kctj->kij", state[:, :, :-1], state[:, :, 1:])
    shown = jnp.einsum("kcti,ctj->kij", state, symbol)
    urns = ((starts, alpha), (moves, alpha), (shown, beta))
    return jax.nn.logsumexp(sum(_urn(counts, value) for counts, value in urns))


def _urn(counts: jax.Array, value: jax.Array) -> jax.Array:
    """log of the Dirichlet-multinomial of each row, summed over rows."""
    size = counts.shape[-1]
    each = jnp.sum(gammaln(value + counts) - gammaln(value), axis=-1)
    total = jnp.sum(counts, axis=-1)
    return jnp.sum(each + gammaln(size * value) - gammaln(size * value + total), -1)
