"""Controls from outputs: maximum likelihood on sufficient statistics, and legacy.

z_t = (y_t, y_(t+1)) and u_t = V z_t with V = [V1, W]. In an environment e the controls
have known or unknown variances s_ej; means are taken away first. All that a fit needs
of the data are the covariances S_e of z, so it costs as much for any length.

| equation | function |
|---|---|
| log p(z) = sum_j log N(V_j z; 0, s_ej) + log abs det W | `log_likelihood` |
| H_j = sum_e pi_e S_e / s_ej | `precision_moments` |
| max over V1 and rows of W, others fixed | `row_updates` |
| s_ej = V_j S_e V_j^T, where variances are unknown | `row_updates` |
| the published objective, without log abs det W | `source_optimum`, `source_descent` |

Source: Rajendran et al. 2024; the row updates are those of Pham 2001 and Ono 2011.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import block_diag

from jidcl.checks import check_count
from jidcl.latents.small import inverse_small, solve_small, triangular
from jidcl.metrics import assign
from jidcl.numerics import one_by_one
from jidcl.systems.shared.wiring import of_least
from jidcl.types import Array

SWEEPS = 100  # of row updates; most fits need 10
STARTS = 4


class Moments(NamedTuple):
    """What a fit needs of the data, for each environment.

    Attributes:
        mean: of z, `[environments, z]`.
        covariance: of z, `[environments, z, z]`.
        weights: shares of all samples, `[environments]`.
    """

    mean: Array
    covariance: Array
    weights: Array


class Estimate(NamedTuple):
    """A fit.

    Attributes:
        v: V, `[inputs, z]`; its last columns are W.
        variance: of the estimated controls, `[environments, inputs]`; the known ones,
            where they are known.
        log_likelihood: mean over samples, nats.
    """

    v: Array
    variance: Array
    log_likelihood: Array


def pair_rows(outputs: Array, controls: Array | None = None, *, stride: int = 2):
    """z_t = (y_t, y_(t+1)), and u_t beside it, in every environment.

    Args:
        outputs: `[environments, time, outputs]`; time is even with stride 2.
        controls: `[environments, time, inputs]`.
        stride: 2: windows that do not overlap; 1: all of them.

    Returns:
        `[environments, pairs, 2 outputs (+ inputs)]`.

    Raises:
        ValueError: on an odd time with stride 2.
    """
    check_count("stride", stride)
    time = outputs.shape[1]
    if stride == 2 and time % 2:
        raise ValueError(f"time must be even with stride 2, got {time}")
    parts = [outputs[:, :-1:stride], outputs[:, 1::stride]]
    if controls is not None:
        parts.append(controls[:, :-1:stride])
    return jnp.concatenate(parts, axis=-1)


def moments_of(rows: Array) -> Moments:
    """Means and covariances of `pair_rows`, environments of one length."""
    mean = jnp.mean(rows, axis=1)
    left = rows - mean[:, None]
    count = rows.shape[0]
    covariance = jnp.einsum("eti,etj->eij", left, left) / rows.shape[1]
    return Moments(mean, covariance, jnp.full(count, 1 / count, rows.dtype))


class White(NamedTuple):
    """Pairs in coordinates in which their pooled covariance is I.

    Where outputs nearly follow from each other, the covariance of z loses what its
    small directions say. Here L comes from the rows themselves. A fit V' of moments of
    `rows` is V = V' L^-1.

    Attributes:
        rows: L^-1 z, and u where it is there, `[environments, pairs, z (+ inputs)]`.
        root: L, lower triangular, `[z, z]`.
        inverse: L^-1.
    """

    rows: Array
    root: Array
    inverse: Array


def whitened(rows: Array, width: int) -> White:
    """`White` of `pair_rows`, whose first `width` columns are z."""
    z = rows[..., :width]
    left = (z - jnp.mean(z, axis=1, keepdims=True)).reshape(-1, width)
    root = triangular(left.T) / jnp.sqrt(jnp.asarray(len(left), rows.dtype))
    inverse = inverse_small(root)
    new = jnp.concatenate([z @ inverse.T, rows[..., width:]], axis=-1)
    return White(new, root, inverse)


def mapped(moments: Moments, matrix: Array) -> Moments:
    """Moments of matrix z."""
    covariance = matrix[None] @ moments.covariance @ matrix.T[None]
    return Moments(moments.mean @ matrix.T, covariance, moments.weights)


def parameters_of(v: Array) -> tuple[Array, Array]:
    """G and M of V = (-M^-1 G, M^-1), as many inputs as outputs."""
    m = inverse_small(v[:, -len(v) :])
    return -m @ v[:, : len(v)], m


def precision_moments(moments: Moments, variance: Array) -> Array:
    """H_j = sum_e pi_e S_e / s_ej, `[inputs, z, z]`."""
    scale = moments.weights[:, None] / variance
    return jnp.einsum("ej,ekl->jkl", scale, moments.covariance)


def log_likelihood(moments: Moments, v: Array, variance: Array) -> Array:
    """Mean log-likelihood of centred pairs given the first output of each, nats."""
    m = len(v)
    each = jnp.log(2 * jnp.pi * variance) + spread(moments, v) / variance
    own = jnp.sum(moments.weights[:, None] * each)
    return solve_small(v[:, -m:], jnp.eye(m, dtype=v.dtype))[1] - own / 2


def _eliminated(h: Array, m: int) -> tuple[Array, Array]:
    """K_j and the map from W_j to V1_j: V1_j = -W_j H21 H11^-1."""
    p = h.shape[-1] - m
    back = solve_small(h[:p, :p], h[:p, p:])[0].T
    return h[p:, p:] - back @ h[:p, p:], back


def spread(moments: Moments, v: Array) -> Array:
    """Variances V_j S_e V_j^T of estimated controls, `[environments, inputs]`."""
    return jnp.einsum("jk,ekl,jl->ej", v, moments.covariance, v)


def row_updates(
    moments: Moments, w: Array, variance: Array, blind: Array, *, sweeps: int = SWEEPS
) -> Estimate:
    """Climbs the likelihood from one start, a row of W after another.

    W_j <- (W K_j)^-1 e_j, scaled to W_j K_j W_j^T = 1: the maximum over row j, others
    fixed. With unknown variances K_j is made anew of the last ones, a bound of the
    likelihood that touches it.

    Args:
        moments: of pairs.
        w: first W, `[inputs, inputs]`.
        variance: of the controls.
        blind: a flag: take them for unknown, and for a first guess.
        sweeps: over all rows.

    Returns:
        `Estimate`.
    """
    m = len(w)

    def schur(found):
        return jax.vmap(partial(_eliminated, m=m))(precision_moments(moments, found))

    def whole(w, back):
        return jnp.concatenate([-jnp.einsum("jk,jkl->jl", w, back), w], axis=1)

    def sweep(_, held):
        v, found = held
        k, back = schur(found)

        def update(j, w):
            unit = (jnp.arange(m) == j).astype(w.dtype)[:, None]
            row = solve_small(w @ k[j], unit)[0][:, 0]
            return w.at[j].set(row / jnp.sqrt(row @ k[j] @ row))

        v = whole(jax.lax.fori_loop(0, m, update, v[:, -m:]), back)
        return v, jnp.where(blind, spread(moments, v), variance)

    p = moments.mean.shape[1] - m
    start = jnp.concatenate([jnp.zeros((m, p), w.dtype), w], axis=1)
    v, found = jax.lax.fori_loop(0, sweeps, sweep, (start, variance))
    return Estimate(v, found, log_likelihood(moments, v, found))


def fit(
    key: Array,
    moments: Moments,
    inputs: int,
    variance: Array | None = None,
    *,
    starts: int = STARTS,
    sweeps: int = SWEEPS,
) -> Estimate:
    """The best of several starts by likelihood.

    Known variances name the controls, so a start may give rows to the wrong names. One
    start therefore runs without them first, and its rows are named by the likelihood.

    Args:
        key: of the random starts.
        moments: of pairs.
        inputs: how many controls.
        variance: known variances, `[environments, inputs]`, or None.
        starts: random ones.
        sweeps: see `row_updates`; with known variances twice as many.

    Returns:
        `Estimate`.
    """
    dtype = moments.covariance.dtype
    first = jax.random.normal(key, (starts, inputs, inputs), dtype)
    ones = jnp.ones((len(moments.weights), inputs), dtype)
    known = ones if variance is None else variance
    blind = jnp.arange(starts) < (starts if variance is None else 1)
    climb = jax.vmap(
        lambda w, blind: row_updates(
            moments, w, jnp.where(blind, ones, known), blind, sweeps=sweeps
        )
    )

    def stage(held, _):
        w, blind = held
        found = climb(w, blind)
        w = found.v[:, :, -inputs:]
        named = w[0][_named(moments.weights, found.variance[0], known)]
        w = w.at[0].set(jnp.where(blind[0], named, w[0]))
        return (w, jnp.zeros_like(blind)), found

    stages = 1 if variance is None else 2
    _, found = jax.lax.scan(stage, (first, blind), length=stages)
    last = jax.tree.map(lambda x: x[-1], found)
    return of_least(-last.log_likelihood, last)


def _named(weights: Array, found: Array, known: Array) -> Array:
    """The estimated control of each known profile: most likely, up to scale."""
    ratio = jnp.einsum("e,ei,ej->ji", weights, found, 1 / known)
    return assign(-jnp.log(ratio))[0]


# The published objective -------------------------------------------------------------


def source_statistics(
    moments: Moments, environments: Any
) -> tuple[Array, Array, Array]:
    """H_j, b_j and the constant of the objective without log |det W|.

    H_j = sum_e pi_e E_e[z z^T] / s_ej, b_j = sum_e pi_e mu_ej E_e[z] / s_ej; the
    objective is const - 1/2 sum_j (V_j H_j V_j^T - 2 b_j V_j^T).

    Args:
        moments: of pairs.
        environments: means and variances of the controls.

    Returns:
        `(h [inputs, z, z], b [inputs, z], const)`.
    """
    mean, variance = environments
    share, z = moments.weights[:, None], moments.mean
    second = moments.covariance + z[:, :, None] * z[:, None]
    h = precision_moments(moments._replace(covariance=second), variance)
    b = jnp.einsum("ej,ek->jk", share * mean / variance, z)
    const = share * (jnp.log(2 * jnp.pi * variance) + mean**2 / variance)
    return h, b, -0.5 * jnp.sum(const)


def source_objective(v: Array, h: Array, b: Array, const: Array) -> Array:
    """The objective without log |det W|, of `source_statistics`, nats."""
    square = jnp.einsum("jk,jkl,jl->", v, h, v)
    return const - 0.5 * (square - 2 * jnp.sum(b * v))


def source_optimum(h: Array, b: Array) -> Array:
    """V_j = H_j^-1 b_j: zero where all means are."""
    return jax.vmap(lambda h, b: solve_small(h, b[:, None])[0][:, 0])(h, b)


class Descent(NamedTuple):
    """Gradient ascent on the objective without log |det W|, means of zero.

    Attributes:
        v: after the last step, its rows of norm 1: the direction they shrink in.
        norms: of V at every tenth of the steps, `[11]`.
    """

    v: Array
    norms: Array


def source_descent(key: Array, h: Array, *, steps: int = 2000) -> Descent:
    """V_j <- V_j - V_j H_j / trace: rows shrink towards the least eigenvector of H_j.

    The step of a row is one over the trace of its H_j, so that nothing overshoots.

    Args:
        key: of the start, of orthogonal rows.
        h: H_j, `[inputs, z, z]`.
        steps: of the ascent, a multiple of 10.

    Returns:
        `Descent`.
    """
    m, width = h.shape[:2]
    square = jax.random.normal(key, (width, width), h.dtype)
    v = one_by_one(lambda a: jnp.linalg.qr(a)[0])(square)[:m]
    h = h / jnp.trace(h, axis1=1, axis2=2)[:, None, None]

    def step(_, held):
        unit, log = held
        unit = unit - jnp.einsum("jk,jkl->jl", unit, h)
        size = jnp.sqrt(jnp.sum(unit**2, axis=1))
        return unit / size[:, None], log + jnp.log(size)

    def tenth(held, _):
        held = jax.lax.fori_loop(0, steps // 10, step, held)
        return held, jnp.sqrt(jnp.sum(jnp.exp(2 * held[1])))

    start = v, jnp.zeros(m, h.dtype)
    (v, _), norms = jax.lax.scan(tenth, start, length=10)
    first = jnp.sqrt(jnp.asarray(m, h.dtype))
    return Descent(v, jnp.concatenate([first[None], norms]))


# An input that is fewer than the outputs ---------------------------------------------


def innovations(moments: Moments) -> tuple[Array, Array]:
    """The regression of y_(t+1) on y_t over all environments, and what it leaves.

    Args:
        moments: of pairs of p outputs.

    Returns:
        `(g [p, p], residual covariance [p, p])`.
    """
    pooled = jnp.einsum("e,ekl->kl", moments.weights, moments.covariance)
    p = pooled.shape[0] // 2
    k, back = _eliminated(pooled, p)
    return back, (k + k.T) / 2


def leading_directions(covariance: Array, inputs: int) -> Array:
    """The principal directions of innovations, `[inputs, p]`: the range of M."""
    _, vectors = one_by_one(lambda a: jnp.linalg.eigh(a))(covariance)
    return vectors[:, ::-1][:, :inputs].T


def projected(moments: Moments, directions: Array) -> Moments:
    """Moments of (y_t, P y_(t+1)), for fewer inputs than outputs."""
    held = jnp.eye(directions.shape[1], dtype=directions.dtype)
    return mapped(moments, block_diag(held, directions))
