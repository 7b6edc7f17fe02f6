"""Disentanglement, completeness, informativeness: scores of an importance matrix.

`dci_scores` takes the importances of any regression. `dci_lasso` makes them by a
deterministic lasso, in JAX; `jidcl.metrics.trees` by boosted trees.

Source: Eastwood and Williams 2018; forms of Joshi et al. 2026.
"""

from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_at_least,
    check_count,
    check_finite,
    check_rows,
    check_scalar,
)
from jidcl.compiled import compiled
from jidcl.metrics.blocks import determination
from jidcl.metrics.columns import both, dot, host_first, moments
from jidcl.numerics import at_least_float32


class DciScores(NamedTuple):
    """Scores of an importance matrix.

    Attributes:
        disentanglement: mean of `per_code`, weighted: 1 where each code serves one
            factor.
        completeness: mean of `per_factor`, weighted: 1 where each factor is served by
            one code.
        per_code: 1 - entropy of a code's importances over ln d, `[m]`.
        per_factor: 1 - entropy of a factor's importances over ln m, `[d]`.
        code_weight: shares of all importance, `[m]`.
        factor_weight: shares of all importance, `[d]`.
    """

    disentanglement: jax.Array
    completeness: jax.Array
    per_code: jax.Array
    per_factor: jax.Array
    code_weight: jax.Array
    factor_weight: jax.Array


@host_first
def dci_scores(importance: jax.Array, *, xp: ModuleType = jnp) -> DciScores:
    """Disentanglement and completeness of an importance matrix.

    D_j = 1 - H(R_j / sum_i R_ji) / ln d, C_i = 1 - H(R_i / sum_j R_ji) / ln m.

    Args:
        importance: R >= 0, `[m, d]`: of code j for factor i.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `DciScores`. One factor: disentanglement 1; one code: completeness 1.

    Raises:
        ValueError: on another shape, or negative or not finite importances.

    Example:
        >>> round(float(dci_scores(jnp.eye(3)).disentanglement), 4)
        1.0

    Source: Eastwood and Williams 2018, with weights as Joshi et al. 2026.

    Notes:
        1e-10 of the largest entry is added to every entry before the entropies. Factors
        that are functions of one another lower disentanglement though no code is
        entangled. A factor that no code has spreads its importances by chance.
    """
    check_rows("importance", importance)
    check_at_least("importance", importance, 0)
    check_finite("importance", importance)
    importance = xp.asarray(importance)
    if xp is jnp:
        importance = importance.astype(at_least_float32(importance.dtype))
    return _dci_scores(importance, xp=xp)


@compiled
def _dci_scores(r: jax.Array, *, xp: ModuleType) -> DciScores:
    top = xp.max(r)
    held = r / xp.where(top > 0, top, 1)  # scores have no scale
    m, d = r.shape
    total = xp.maximum(xp.sum(held), xp.finfo(r.dtype).tiny)
    smooth = held + 1e-10

    def one_minus_entropy(x, axis: int, classes: int):
        if classes == 1:
            return xp.ones(x.shape[1 - axis], x.dtype)
        share = x / xp.sum(x, axis=axis, keepdims=True)
        entropy = -xp.sum(share * xp.log(share), axis=axis)
        return 1 - entropy / float(np.log(classes))

    per_code = one_minus_entropy(smooth, 1, d)
    per_factor = one_minus_entropy(smooth, 0, m)
    weights = [xp.sum(held, axis=axis) / total for axis in (1, 0)]
    return DciScores(
        xp.sum(weights[0] * per_code),
        xp.sum(weights[1] * per_factor),
        per_code,
        per_factor,
        *weights,
    )


class Dci(NamedTuple):
    """DCI of a representation.

    Attributes:
        disentanglement: see `DciScores`.
        completeness: see `DciScores`.
        informativeness: mean held-out R2 of the factors, clipped to [0, 1].
        r2: held-out R2 of each factor, unclipped, `[d]`.
        importance: of each code for each factor, `[m, d]`.
        in_sample: mean R2 on the training rows, clipped: far above `informativeness`
            where the regression is overfitted.
    """

    disentanglement: jax.Array
    completeness: jax.Array
    informativeness: jax.Array
    r2: jax.Array
    importance: jax.Array
    in_sample: jax.Array


def dci_lasso(
    z: jax.Array,
    y: jax.Array,
    *,
    alpha: float = 0.01,
    train: int | None = None,
    rounds: int = 500,
) -> Dci:
    """DCI with |weights| of a lasso as importances: deterministic, in JAX.

    Column i of W minimises |z_i - Y w|^2 / (2 n) + alpha |w|_1, codes and factors
    standardised by the training rows, by coordinate descent on the Gram matrix.

    Args:
        z: factors, `[samples, d]`.
        y: codes, `[samples, m]`.
        alpha: weight of the penalty, > 0, in units of standardised columns.
        train: the first rows, fitted; the others are scored. None: four fifths.
        rounds: over all coordinates at most; it ends where none moves any more.

    Returns:
        `Dci`; `importance` holds |W|.

    Raises:
        ValueError: on wrong shapes, values that are not finite, or alpha <= 0.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (200, 3))
        >>> round(float(dci_lasso(z, -z[:, ::-1]).disentanglement), 3)
        1.0

    Source: Eastwood and Williams 2018.

    Notes:
        It is 1 for codes that are scaled factors. It sees linear dependence alone: a
        code that is an even function of a factor has no importance. Correlated factors
        lower it though no code is entangled. It wants some ten rows for each code.
        Works under `jit` and `vmap`, so many representations are one program.
    """
    held_z, held_y = both(z, y, jnp)
    check_rows("z", z, 10 if train is None else 5)
    check_finite("z", z)
    check_finite("y", y)
    check_above("alpha", alpha, 0)
    check_scalar("alpha", alpha)
    check_count("rounds", rounds)
    samples = z.shape[0]
    if train is not None:
        check_count("train", train, 2, samples - 2)
    fitted = int(train) if train is not None else samples - samples // 5
    return _dci_lasso(held_z, held_y, alpha, train=fitted, rounds=int(rounds))


@compiled
def _dci_lasso(z, y, alpha, *, train: int, rounds: int) -> Dci:
    w = lasso_weights(z, y, alpha, train=train, rounds=rounds)
    parts = zip(_by_training(z, train), _by_training(y, train), strict=True)
    fitted, r2 = (determination(rows, dot(codes, w)) for rows, codes in parts)
    scores = _dci_scores(jnp.abs(w), xp=jnp)
    informed, in_sample = (jnp.clip(jnp.mean(x), 0, 1) for x in (r2, fitted))
    both_scores = scores.disentanglement, scores.completeness
    return Dci(*both_scores, informed, r2, jnp.abs(w), in_sample)


def lasso_weights(z, y, alpha, *, train: int, rounds: int = 500) -> jax.Array:
    """W of `dci_lasso`, `[m, d]`, its signs kept."""
    z, y = (_by_training(x, train)[0] for x in (z, y))
    gram, cross = (dot(y.T, x) / train for x in (y, z))  # [m, m], [m, d]
    size = jnp.diag(gram)

    def update(j, w):
        rest = cross[j] - gram[j] @ w + size[j] * w[j]
        shrunk = jnp.sign(rest) * jnp.maximum(jnp.abs(rest) - alpha, 0)
        return w.at[j].set(
            jnp.where(size[j] > 0, shrunk / jnp.maximum(size[j], 1e-6), 0)
        )

    def sweep(held):
        i, w, _ = held
        new = jax.lax.fori_loop(0, y.shape[1], update, w)
        return i + 1, new, jnp.max(jnp.abs(new - w))

    def moves(held):
        return (held[0] < rounds) & (held[2] > 4 * jnp.finfo(cross.dtype).eps)

    start = 0, jnp.zeros_like(cross), jnp.asarray(jnp.inf, cross.dtype)
    return jax.lax.while_loop(moves, sweep, start)[1]


def _by_training(x: Any, train: int) -> tuple[jax.Array, jax.Array]:
    """Training and other rows, both standardised by the training rows."""
    mean, std = moments(x[:train])
    return (x[:train] - mean) / std, (x[train:] - mean) / std
