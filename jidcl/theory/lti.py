"""Linear systems under interventions: when they are identified, and in closed form.

With C invertible u_t = W (y_(t+1) - G y_t), G = C A C^-1 and W a left inverse of
M = C B: controls are a linear function of two outputs in a row, and finding them is
linear ICA. Environments differ in the variances of the controls, `[environments,
inputs]`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_count, check_shape, is_traced
from jidcl.compiled import compiled
from jidcl.latents.dynamics import LTI, checked_system
from jidcl.latents.small import (
    checked_square,
    inverse_small,
    solve_small,
    spectral_radius,
)
from jidcl.numerics import of_finite, one_by_one
from jidcl.theory.profiles import checked_variance

_DOUBLINGS = 40


def markov_parameters(system: LTI, count: int) -> jax.Array:
    """H_k = C A^k B for k = 0, 1, ...: what no change of the states' coordinates moves.

    Args:
        system: an `LTI`.
        count: how many, >= 1.

    Returns:
        `[count, outputs, inputs]`.

    Raises:
        ValueError: on matrices that do not fit.

    Example:
        >>> one = jnp.eye(1)
        >>> markov_parameters(LTI(0.5 * one, one, one), 3).ravel().tolist()
        [1.0, 0.5, 0.25]

    Source: Rajendran et al. 2024, section 2.
    """
    system = checked_system("system", system)
    check_count("count", count)
    return _markov(system, count)


@compiled
def _markov(system: LTI, count: int) -> jax.Array:
    def step(power, _):
        return system.a @ power, system.c @ power

    return jax.lax.scan(step, system.b, length=count)[1]


class PairMap(NamedTuple):
    """Controls as a function of two outputs in a row, u = W (y' - G y).

    Attributes:
        g: G = C A C^-1, `[outputs, outputs]`.
        m: M = C B, `[outputs, inputs]`.
        w: W, the left inverse of M, `[inputs, outputs]`.
        v: [-W G, W], `[inputs, 2 outputs]`.

    Example:
        >>> one = jnp.eye(1)
        >>> pair_map(LTI(0.5 * one, 2 * one, one)).v.tolist()
        [[-0.25, 0.5]]

    Source: Rajendran et al. 2024, section 2.
    """

    g: jax.Array
    m: jax.Array
    w: jax.Array
    v: jax.Array


def pair_map(system: LTI) -> PairMap:
    """How the controls of a system follow from two outputs in a row.

    Args:
        system: an `LTI` with a square, invertible C and a B of full column rank.

    Returns:
        `PairMap`.

    Raises:
        ValueError: where C is not square or has no inverse, or M lacks rank.

    Example:
        >>> one = jnp.eye(1)
        >>> pair_map(LTI(0.5 * one, one, one)).g.tolist()
        [[0.5]]

    Source: Rajendran et al. 2024, section 2.
    """
    system = checked_system("system", system)
    p, n = system.c.shape
    if p != n:
        raise ValueError(
            f"c of system must be square to give back its states, got [{p}, {n}]"
        )
    found = _pair_map(system)
    if not is_traced(found.v) and not np.isfinite(np.asarray(found.v)).all():
        raise ValueError("system must have an invertible c and a b of full column rank")
    return found


@compiled
def _pair_map(system: LTI) -> PairMap:
    g = solve_small(system.c.T, (system.c @ system.a).T)[0].T
    m = system.c @ system.b
    w = solve_small(m.T @ m, m.T)[0] if m.shape[0] > m.shape[1] else inverse_small(m)
    return PairMap(g, m, w, jnp.concatenate([-w @ g, w], axis=1))


def stationary_covariance(a: Any, q: Any) -> jax.Array:
    """P of P = a P a^T + q, the sum of a^k q a^kT, by doubling.

    Args:
        a: `[n, n]`, of spectral radius below 1.
        q: covariance of what drives the states, `[n, n]`.

    Returns:
        `[n, n]`.

    Raises:
        ValueError: on shapes that do not fit, or an unstable a.

    Example:
        >>> stationary_covariance(0.5 * jnp.eye(1), 3 * jnp.eye(1)).tolist()
        [[4.0]]

    Source: Smith 1968.
    """
    a, q = checked_square("a", a), checked_square("q", q)
    check_shape("q", q, a.shape)
    check_stable("a", a)
    return _stationary(a, q)


def check_stable(name: str, a: Any) -> None:
    """Raise `ValueError` where a concrete matrix has no stationary state."""
    if is_traced(a) or is_traced(radius := spectral_radius(a)):
        return
    if not float(radius) < 1:
        raise ValueError(
            f"{name} must be stable, with a spectral radius below 1, got "
            f"{float(radius):.4g}"
        )


@compiled
def _stationary(a: jax.Array, q: jax.Array) -> jax.Array:
    def double(_, held):
        power, total = held
        return power @ power, total + power @ total @ power.T

    return jax.lax.fori_loop(0, _DOUBLINGS, double, (a, q))[1]


class PairMoments(NamedTuple):
    """Covariances of the stationary states, and of (y_t, y_(t+1)).

    Attributes:
        states: `[environments, states, states]`.
        pairs: `[environments, 2 outputs, 2 outputs]`.

    Example:
        >>> one = jnp.eye(1)
        >>> pair_moments(LTI(0.5 * one, one, one), 3 * jnp.ones((1, 1))).pairs.tolist()
        [[[4.0, 2.0], [2.0, 4.0]]]

    Source: moments of the model.
    """

    states: jax.Array
    pairs: jax.Array


def pair_moments(system: LTI, variance: Any) -> PairMoments:
    """Second moments of two outputs in a row, controls of mean 0.

    Args:
        system: a stable `LTI`.
        variance: of the controls, `[environments, inputs]`, > 0.

    Returns:
        `PairMoments`.

    Raises:
        ValueError: on shapes that do not fit, or an unstable system.

    Example:
        >>> one = jnp.eye(1)
        >>> pair_moments(LTI(0.5 * one, one, one), 3 * jnp.ones((1, 1))).states.tolist()
        [[[4.0]]]

    Source: moments of the model.
    """
    system = checked_system("system", system)
    variance = checked_variance("variance", variance)
    check_shape("variance", variance, (len(variance), system.b.shape[1]))
    check_stable("a of system", system.a)
    return _pair_moments(system, variance)


@compiled
def _pair_moments(system: LTI, variance: jax.Array) -> PairMoments:
    a, b, c = system
    drive = jnp.einsum("im,em,jm->eij", b, variance, b)
    states = jax.vmap(lambda q: _stationary(a, q))(drive)
    both = jnp.concatenate([c, c @ a])
    pairs = both[None] @ states @ both.T[None]
    p = len(c)
    return PairMoments(states, pairs.at[:, p:, p:].add(c[None] @ drive @ c.T[None]))


class TwoEnvironments(NamedTuple):
    """Variance ratios and rows of W, from the innovations of two environments.

    Attributes:
        ratios: variance in the second over that in the first, rising, `[inputs]`.
        rows: w with w R_0 w^T = 1, their largest entry positive, `[inputs, inputs]`.

    Example:
        >>> eye = jnp.eye(2)
        >>> two_environments(eye, jnp.diag(jnp.array([3.0, 2.0]))).ratios.tolist()
        [2.0, 3.0]

    Source: this library; the generalised eigenvalues of two covariances.
    """

    ratios: jax.Array
    rows: jax.Array


def two_environments(first: Any, second: Any) -> TwoEnvironments:
    """The controls of two environments in closed form: R_1 w = ratio R_0 w.

    Args:
        first: covariance of innovations in environment 0, `[inputs, inputs]`.
        second: the same in environment 1.

    Returns:
        `TwoEnvironments`; rows are determined where all ratios differ.

    Raises:
        ValueError: on shapes that do not fit.

    Example:
        >>> eye = jnp.eye(2)
        >>> two_environments(eye, jnp.diag(jnp.array([3.0, 2.0]))).rows.tolist()
        [[0.0, 1.0], [1.0, 0.0]]

    Source: this library; the generalised eigenvalues of two covariances.
    """
    first, second = checked_square("first", first), checked_square("second", second)
    check_shape("second", second, first.shape)
    return TwoEnvironments(*_generalised(first, second))


@compiled
@one_by_one
def _generalised(first: jax.Array, second: jax.Array):
    root = of_finite(jnp.linalg.cholesky, first)
    inverse = inverse_small(root)
    inner = inverse @ second @ inverse.T
    ratios, vectors = of_finite(jnp.linalg.eigh, (inner + inner.T) / 2)
    rows = vectors.T @ inverse
    largest = jnp.argmax(jnp.abs(rows), axis=1)
    signs = jnp.sign(jnp.take_along_axis(rows, largest[:, None], axis=1))
    return ratios, rows * signs
