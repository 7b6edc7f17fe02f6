"""Profiles of variances over environments: whether inputs can be told apart.

The profile of an input is its variance in every environment, a column of
`[environments, inputs]`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_finite,
    check_float,
    check_rows,
    check_scalar,
    check_shape,
    check_unit_interval,
)
from jidcl.compiled import compiled
from jidcl.numerics import of_finite, one_by_one


class Diversity(NamedTuple):
    """How far environments differ, for inputs of those variances.

    Attributes:
        delta: precisions minus those of environment 0, `[environments - 1, inputs]`.
        singular_values: of delta, falling.
        rank: of delta.
        sufficient: rank == inputs: the published condition.
        min_pair_sine: see `min_pair_sine`.
        identifiable: no two profiles are proportional: the exact condition.

    Example:
        >>> bool(diversity(jnp.array([[1.0, 1.0], [2.0, 3.0]])).identifiable)
        True

    Source: Rajendran et al. 2024, section 4; the exact condition by this library.
    """

    delta: jax.Array
    singular_values: jax.Array
    rank: jax.Array
    sufficient: jax.Array
    min_pair_sine: jax.Array
    identifiable: jax.Array


def checked_variance(name: str, variance: Any) -> jax.Array:
    """Variances `[environments, inputs]` > 0, in JAX's own float type."""
    check_rows(name, variance)
    check_above(name, variance, 0)
    check_finite(name, variance)
    return jnp.asarray(variance, float)


@one_by_one
def _singular_values(matrix: jax.Array) -> jax.Array:
    return of_finite(lambda a: jnp.linalg.svd(a, compute_uv=False), matrix)


@compiled
def _diversity(variance: jax.Array) -> Diversity:
    precision = 1 / variance
    delta = precision[1:] - precision[:1]
    m, dtype = delta.shape[1], delta.dtype
    values = _singular_values(delta) if len(delta) else jnp.zeros(0, dtype)
    most = jnp.max(values, initial=0.0)
    least = max(delta.shape) * jnp.finfo(dtype).eps * most
    rank = jnp.sum((values > least).astype(int))
    sine = jnp.min(_pair_sines(variance))
    differ = sine > jnp.sqrt(jnp.finfo(dtype).eps)
    return Diversity(delta, values, rank, rank == m, sine, differ)


@compiled
def _pair_sines(variance: jax.Array) -> jax.Array:
    """Sines between profiles, `[inputs, inputs]`; 1 of an input with itself."""
    unit = variance / jnp.max(variance, axis=0)[None]
    unit = unit / jnp.sqrt(jnp.sum(unit**2, axis=0))[None]
    m = unit.shape[1]
    off = unit[:, None] - unit[:, :, None] * (unit.T @ unit)[None]  # of j beside i
    sines = jnp.sqrt(jnp.sum(off**2, axis=0))
    return jnp.where(jnp.eye(m, dtype=bool), 1.0, sines)


def diversity(variance: Any) -> Diversity:
    """Whether environments are diverse enough, by both conditions.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.

    Returns:
        `Diversity`.

    Raises:
        ValueError: on another shape, or a variance that is not > 0.

    Example:
        >>> found = diversity(jnp.array([[1.0, 1.0], [2.0, 3.0]]))
        >>> int(found.rank), bool(found.sufficient)
        (1, False)

    Source: Rajendran et al. 2024, section 4; the exact condition by this library.
    """
    return _diversity(checked_variance("variance", variance))


def precision_rank(variance: Any) -> jax.Array:
    """Rank of the precisions minus those of environment 0: inputs where diverse.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.

    Returns:
        A whole number.

    Raises:
        ValueError: on another shape, or a variance that is not > 0.

    Example:
        >>> int(precision_rank(jnp.array([[1.0, 1.0], [2.0, 3.0], [1.0, 5.0]])))
        2

    Source: Rajendran et al. 2024, section 4.
    """
    return _diversity(checked_variance("variance", variance)).rank


def min_pair_sine(variance: Any) -> jax.Array:
    """Least sine of the angle between the profiles of two inputs over environments.

    Controls are identified exactly where it is above 0: inputs with proportional
    profiles may be turned into each other.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.

    Returns:
        A scalar in [0, 1]; 1 of a single input.

    Raises:
        ValueError: on another shape, or a variance that is not > 0.

    Example:
        >>> round(float(min_pair_sine(jnp.array([[1.0, 1.0], [1.0, 3.0]]))), 4)
        0.4472

    Source: this library; second-order ICA under several covariances.
    """
    return jnp.min(_pair_sines(checked_variance("variance", variance)))


def free_directions(
    w: Any, variance: Any, *, least_sine: float = 1e-3
) -> tuple[tuple[tuple[int, int], ...], np.ndarray]:
    """What environments leave open of an estimate: directions W may move in.

    Inputs i and j with proportional profiles, their angle's sine below `least_sine`,
    may be turned in the plane where both have equal variances: dW = Omega W with
    Omega_ij = s_i / s_j, Omega_ji = -s_j / s_i. It is the null space of the Fisher
    information about W.

    Args:
        w: W, `[inputs, inputs]`.
        variance: of the controls, `[environments, inputs]`, > 0.
        least_sine: below it two profiles count as proportional, in [0, 1].

    Returns:
        `(pairs, basis)`: the pairs (i, j), and `[pairs, inputs, inputs]`, each of
        Frobenius norm 1. Both are empty where the environments suffice.

    Raises:
        ValueError: on shapes that do not fit.

    Example:
        >>> free_directions(np.eye(2), np.array([[1.0, 4.0], [2.0, 8.0]]))[0]
        ((0, 1),)

    Source: this library.
    """
    variance = checked_variance("variance", variance)
    m = variance.shape[1]
    check_float("w", w)
    check_shape("w", w, (m, m))
    check_finite("w", w)
    check_scalar("least_sine", least_sine)
    check_unit_interval("least_sine", least_sine)
    w = np.asarray(w)
    scale = np.sqrt(np.asarray(variance).mean(0))
    near = np.asarray(_pair_sines(variance)) < least_sine
    pairs, basis = [], []
    for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True):
        move = np.zeros_like(w)
        move[i], move[j] = w[j] * scale[i] / scale[j], -w[i] * scale[j] / scale[i]
        pairs.append((int(i), int(j)))
        basis.append(move / np.linalg.norm(move))
    return tuple(pairs), np.stack(basis) if basis else np.zeros((0, m, m))
