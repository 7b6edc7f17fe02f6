"""The other self-supervised objectives: what pulls two views together without collapse.

All take projections z of two views, `[batch, m]`, in float32 or wider, and return
`(loss, metrics)`. What keeps the outputs apart differs: negatives (`ntxent`, `moco`), a
predictor with a stopped gradient (`simsiam`, `byol`), balanced clusters (`swav`), or
moments (`barlow`, `vicreg`).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_features,
    check_rows,
    check_same_shape,
)
from jidcl.losses.contrastive import NegativePolicy, infonce
from jidcl.losses.similarity import Similarity, pairwise, rowwise
from jidcl.numerics import at_least_float32, log_softmax, power_of_two
from jidcl.types import Metrics

COSINE = Similarity("cosine")
TWO_VIEW = NegativePolicy(negatives="two_view", exclude_self=True, symmetric=True)
QUEUE = NegativePolicy(negatives="independent")


def ntxent(
    z: jax.Array, z_pos: jax.Array, *, tau: jax.Array | float = 0.2
) -> tuple[jax.Array, Metrics]:
    """NT-Xent: cosine InfoNCE of every view against all other views of the batch.

    Over the 2 batch rows of both views together, the mean of
    -log exp(s_ip / tau) / sum_{j != i} exp(s_ij / tau), p the partner of row i.

    Args:
        z: `[batch, m]`.
        z_pos: `[batch, m]`.
        tau: temperature > 0.

    Returns:
        `(loss, metrics)` of `infonce`; nats.

    Example:
        >>> z = jnp.eye(2)
        >>> round(float(ntxent(z, z, tau=1.0)[0]), 4)  # log(1 + 2 / e)
        0.5514

    Source: Chen et al. 2020, equation 1.

    Notes:
        negatives="two_view", include_positive=True, exclude_self=True, symmetric=True.
    """
    return infonce(z, z_pos, similarity=COSINE, tau=tau, policy=TWO_VIEW)


def moco(
    query: jax.Array,
    key: jax.Array,
    queue: jax.Array,
    *,
    tau: jax.Array | float = 0.2,
) -> tuple[jax.Array, Metrics]:
    """One direction of MoCo: the query's key against a queue of earlier keys.

    Mean of -log[e^{q.k/tau} / (e^{q.k/tau} + sum_m e^{q.r_m/tau})] for unit vectors.
    Neither keys nor queue have a gradient. The symmetric form is the mean of both
    directions, with a queue for each view.

    Args:
        query: outputs of the trained encoder, `[batch, m]`; normalised here.
        key: outputs of the averaged encoder on the other view, `[batch, m]`.
        queue: `[rows, m]`.
        tau: temperature > 0.

    Returns:
        `(loss, metrics)` of `infonce`; nats.

    Example:
        >>> q = jnp.eye(2)
        >>> loss, _ = moco(q, q, -q, tau=1.0)
        >>> round(float(loss), 4)  # log(1 + (1 + 1 / e) / e)
        0.4076

    Source: He et al. 2020, equation 1; Chen, Fan et al. 2020.
    """
    key, queue = jax.lax.stop_gradient((key, queue))
    return infonce(query, key, queue, similarity=COSINE, tau=tau, policy=QUEUE)


def simsiam(
    p: jax.Array, p_pos: jax.Array, z: jax.Array, z_pos: jax.Array
) -> tuple[jax.Array, Metrics]:
    """SimSiam: -[cos(p, sg z_pos) + cos(p_pos, sg z)] / 2, at least -1.

    Args:
        p: predictions from z, `[batch, m]`.
        p_pos: predictions from z_pos.
        z: projections; no gradient flows into them here.
        z_pos: projections of the other view.

    Returns:
        `(loss, metrics)`, metric `cosine`.

    Example:
        >>> p = jnp.eye(2)
        >>> float(simsiam(p, p, p, p)[0])
        -1.0

    Source: Chen and He 2021, equations 1 to 4.
    """
    cosine = _predicted_cosine(p, p_pos, z, z_pos)
    return -cosine, {"cosine": cosine}


def byol(
    p: jax.Array, p_pos: jax.Array, target: jax.Array, target_pos: jax.Array
) -> tuple[jax.Array, Metrics]:
    """BYOL: mean[2 - 2 cos(p, sg t_pos)] + mean[2 - 2 cos(p_pos, sg t)], in [0, 8].

    Args:
        p: predictions of the trained encoder, `[batch, m]`.
        p_pos: its predictions from the other view.
        target: projections of the averaged encoder; no gradient.
        target_pos: its projections of the other view.

    Returns:
        `(loss, metrics)`, metric `cosine`, the mean over both directions.

    Example:
        >>> p = jnp.eye(2)
        >>> float(byol(p, p, p, p)[0]), float(byol(p, p, -p, -p)[0])
        (0.0, 8.0)

    Source: Grill et al. 2020, equation 2.
    """
    cosine = _predicted_cosine(p, p_pos, target, target_pos)
    return 4 - 4 * cosine, {"cosine": cosine}


def _predicted_cosine(p, p_pos, target, target_pos):
    check_rows("p", p)
    for name, array in dict(p_pos=p_pos, z=target, z_pos=target_pos).items():
        check_same_shape(name, array, "p", p)
    target, target_pos = jax.lax.stop_gradient((target, target_pos))
    there, back = rowwise(COSINE, p, target_pos), rowwise(COSINE, p_pos, target)
    return (jnp.mean(there) + jnp.mean(back)) / 2


def sinkhorn_codes(
    scores: jax.Array, *, epsilon: float = 0.05, iterations: int = 3
) -> jax.Array:
    """Soft cluster assignments that use every cluster equally, without gradient.

    From exp(scores / epsilon), rounds of dividing each cluster by its mass and then
    each sample by its own, in logarithms.

    Args:
        scores: similarity to each cluster, `[batch, clusters]`.
        epsilon: entropy of the assignment, > 0.
        iterations: rounds, >= 1; they end on the samples, so rows sum to 1.

    Returns:
        `[batch, clusters]`.

    Example:
        >>> sinkhorn_codes(jnp.eye(2), iterations=1).round(3)
        Array([[1., 0.],
               [0., 1.]], dtype=float32)

    Source: Caron et al. 2020, section 3.1 and published code.
    """
    check_rows("scores", scores)
    check_above("epsilon", epsilon, 0)
    check_at_least("iterations", iterations, 1)
    log_q = jax.lax.stop_gradient(scores) / epsilon
    for _ in range(iterations):
        log_q = log_softmax(log_softmax(log_q, 0), 1)
    return jnp.exp(log_q)


def swav(
    z: jax.Array,
    z_pos: jax.Array,
    prototypes: jax.Array,
    *,
    tau: jax.Array | float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> tuple[jax.Array, Metrics]:
    """SwAV: each view predicts the balanced cluster code of the other.

    -(1/2) mean_b sum_k [q_bk log softmax(s_pos / tau)_bk + the same, views swapped],
    with cosines s to the prototypes and `sinkhorn_codes` q of each view.

    Args:
        z: `[batch, m]`.
        z_pos: `[batch, m]`.
        prototypes: `[clusters, m]`; used at unit length.
        tau: temperature > 0.
        epsilon: see `sinkhorn_codes`.
        iterations: see `sinkhorn_codes`.

    Returns:
        `(loss, metrics)`, metric `code_entropy`: nats of the mean code's entropy, at
        most log(clusters).

    Example:
        >>> z = jnp.eye(2)
        >>> loss, metrics = swav(z, z, jnp.eye(2))
        >>> round(float(metrics["code_entropy"]), 4)  # both clusters are used: log 2
        0.6931

    Source: Caron et al. 2020, equations 1 to 3 and published code.
    """
    _check_views(z, z_pos)
    check_features("prototypes", prototypes, z.shape[1])
    check_above("tau", tau, 0)
    scores = [pairwise(COSINE, view, prototypes) for view in (z, z_pos)]
    codes = [sinkhorn_codes(s, epsilon=epsilon, iterations=iterations) for s in scores]
    logs = [log_softmax(s / tau, 1) for s in scores]
    swapped = [
        jnp.mean(jnp.sum(code * log, axis=1))
        for code, log in zip(codes, logs[::-1], strict=True)
    ]
    used = jnp.mean(codes[0], axis=0)
    entropy = -jnp.sum(jax.scipy.special.xlogy(used, used))
    return -(swapped[0] + swapped[1]) / 2, {"code_entropy": entropy}


def standardised(z: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Batch normalisation without trained scale and offset, biased variance.

    (z - mean) / sqrt(variance + epsilon) over the batch.

    Args:
        z: `[batch, m]`.
        epsilon: added to the variances, >= 0.

    Returns:
        `[batch, m]`.

    Example:
        >>> standardised(jnp.array([[1.0], [3.0]]), epsilon=0.0)
        Array([[-1.],
               [ 1.]], dtype=float32)

    Source: Zbontar et al. 2021, the normalisation in Barlow Twins.
    """
    z = z - jnp.mean(z, axis=0, keepdims=True)
    power = power_of_two(z, axis=0, least=epsilon**0.5)
    z = z * (1 / power)
    variance = jnp.mean(z * z, axis=0, keepdims=True)
    return z / jnp.sqrt(variance + (epsilon**0.5 / power) ** 2)


def barlow(
    z: jax.Array,
    z_pos: jax.Array,
    *,
    lam: jax.Array | float = 5e-3,
    scale: float = 1.0,
    epsilon: float = 1e-5,
) -> tuple[jax.Array, Metrics]:
    """Barlow Twins: scale [sum_i (C_ii - 1)^2 + lam sum_{i != j} C_ij^2].

    C is the cross-correlation of the views over the batch.

    Args:
        z: `[batch, m]`.
        z_pos: `[batch, m]`.
        lam: weight of the entries off the diagonal, >= 0.
        scale: of the whole loss.
        epsilon: added to the variances, so that C_ii stays a little below 1.

    Returns:
        `(loss, metrics)`, metrics `diagonal` and `off_diagonal`, the two sums.

    Example:
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> loss, metrics = barlow(z, z)  # uncorrelated outputs, equal views
        >>> bool(loss < 1e-6)
        True

    Source: Zbontar et al. 2021, equations 1 and 2 (scale 1, lam 0.005).
    """
    _check_views(z, z_pos, rows=2)
    check_at_least("lam", lam, 0)
    z, z_pos = (standardised(view, epsilon=epsilon) for view in _wide(z, z_pos))
    c = jnp.matmul(z.T, z_pos, precision=jax.lax.Precision.HIGHEST) / z.shape[0]
    on = jnp.sum((jnp.diagonal(c) - 1) ** 2)
    off = _off_diagonal_squares(c)
    return scale * (on + lam * off), {"diagonal": on, "off_diagonal": off}


@dataclasses.dataclass(frozen=True)
class VICRegWeights:
    """Weights of VICReg; the published ones by default.

    Attributes:
        invariance: of the squared distance of the views.
        variance: of the hinge on standard deviations.
        covariance: of the squared covariances.
        views: `"sum"` adds the variance terms of the views (a widely used library),
            `"mean"` averages them (the published code).
        epsilon: added to the variances.

    Example:
        >>> VICRegWeights(covariance=0.0).variance
        25.0

    Source: Bardes et al. 2022 and published code.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    views: str = "sum"
    epsilon: float = 1e-4

    def __post_init__(self):
        check_choice("views", self.views, ("sum", "mean"))
        for name in ("invariance", "variance", "covariance", "epsilon"):
            check_at_least(name, getattr(self, name), 0)


def vicreg(
    z: jax.Array, z_pos: jax.Array, *, weights: VICRegWeights | None = None
) -> tuple[jax.Array, Metrics]:
    """VICReg: invariance, a hinge on every standard deviation, small covariances.

    inv = mean over entries of (z - z_pos)^2;
    var = sum over views of mean_d max(0, 1 - sqrt(Var_d + epsilon));
    cov = sum over views of (1 / m) sum_{i != j} Cov_ij^2; unbiased moments.

    Args:
        z: `[batch, m]`, batch >= 2.
        z_pos: `[batch, m]`.
        weights: see `VICRegWeights`.

    Returns:
        `(loss, metrics)`, metrics `invariance`, `variance`, `covariance`, unweighted,
        sums over the views whatever `weights.views` is.

    Example:
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> float(vicreg(z, z)[0])  # equal views of variance 4 / 3, uncorrelated
        0.0

    Source: Bardes et al. 2022, equations 1 to 6 and published code.
    """
    _check_views(z, z_pos, rows=2)
    weights = VICRegWeights() if weights is None else weights
    z, z_pos = _wide(z, z_pos)
    apart = jnp.mean((z - z_pos) ** 2)
    hinge, covariance = jnp.zeros((), z.dtype), jnp.zeros((), z.dtype)
    for view in (z, z_pos):
        centred = view - jnp.mean(view, axis=0, keepdims=True)
        cov = jnp.matmul(centred.T, centred, precision=jax.lax.Precision.HIGHEST)
        cov = cov / (view.shape[0] - 1)
        std = jnp.sqrt(jnp.diagonal(cov) + weights.epsilon)
        hinge += jnp.mean(jnp.maximum(1 - std, 0))
        covariance += _off_diagonal_squares(cov) / view.shape[1]
    share = 0.5 if weights.views == "mean" else 1.0
    loss = weights.invariance * apart + share * weights.variance * hinge
    loss += weights.covariance * covariance
    return loss, {"invariance": apart, "variance": hinge, "covariance": covariance}


def _off_diagonal_squares(c: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(jnp.eye(c.shape[0], dtype=bool), 0, c) ** 2)


def _wide(z: jax.Array, z_pos: jax.Array) -> tuple[jax.Array, jax.Array]:
    dtype = at_least_float32(z.dtype, z_pos.dtype)
    return z.astype(dtype), z_pos.astype(dtype)


def _check_views(z, z_pos, rows: int = 1) -> None:
    check_rows("z", z, rows)
    check_same_shape("z_pos", z_pos, "z", z)
