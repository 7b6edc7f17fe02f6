"""The other self-supervised objectives: what pulls two views together without collapse.

All take projections z of two views, `[batch, m]`, in float32 or wider, and return
`(loss, metrics)`. What keeps the outputs apart differs: negatives (`ntxent`, `moco`), a
predictor with a stopped gradient (`simsiam`, `byol`) or balanced clusters (`swav`).
Those by moments are in `moments.py`. With `axis`, a mesh axis inside `jax.shard_map`,
rows are this device's and every value is that of the whole batch.
"""

import functools

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_count,
    check_rows,
    check_same_shape,
    check_scalar,
)
from jidcl.losses.contrastive import NegativePolicy, infonce, reduce_rows
from jidcl.losses.distributed import batch_mean, sum_of_exponentials
from jidcl.losses.rows import pairwise, rowwise
from jidcl.losses.similarity import Similarity
from jidcl.numerics import (
    log_softmax,
    logsumexp,
    positive_or_nan,
)
from jidcl.types import Metrics

COSINE = Similarity("cosine")
MOST_ROUNDS = 1000  # of Sinkhorn: each is traced
TWO_VIEW = NegativePolicy(negatives="two_view", exclude_self=True, symmetric=True)
QUEUE = NegativePolicy(negatives="independent")


def ntxent(
    z: jax.Array,
    z_pos: jax.Array,
    *,
    tau: jax.Array | float = 0.2,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """NT-Xent: cosine InfoNCE of every view against all other views of the batch.

    Over the 2 batch rows of both views together, the mean of
    -log exp(s_ip / tau) / sum_{j != i} exp(s_ij / tau), p the partner of row i.

    Args:
        z: `[batch, m]`.
        z_pos: `[batch, m]`.
        tau: temperature > 0.
        axis: mesh axis over which the rows are spread; the others of a row are those
            of all devices.

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
    _check_views(z, z_pos, axis)
    return infonce(z, z_pos, similarity=COSINE, tau=tau, policy=TWO_VIEW, axis=axis)


def moco(
    query: jax.Array,
    key: jax.Array,
    queue: jax.Array,
    *,
    tau: jax.Array | float = 0.2,
    axis: str | None = None,
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
        axis: mesh axis over which queries and keys are spread; every device has the
            whole queue.

    Returns:
        `(loss, metrics)` of `infonce`; nats.

    Example:
        >>> q = jnp.eye(2)
        >>> loss, _ = moco(q, q, -q, tau=1.0)
        >>> round(float(loss), 4)  # log(1 + (1 + 1 / e) / e)
        0.4076

    Source: He et al. 2020, equation 1; Chen, Fan et al. 2020.
    """
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("query", query, -(-2 // devices))
    check_same_shape("key", key, "query", query)
    check_rows("queue", queue, width=query.shape[1])
    key, queue = jax.lax.stop_gradient((key, queue))
    found = infonce(query, key, queue, similarity=COSINE, tau=tau, policy=QUEUE)
    return jax.tree.map(lambda mean: reduce_rows(mean, "mean", axis), found)


def simsiam(
    p: jax.Array,
    p_pos: jax.Array,
    z: jax.Array,
    z_pos: jax.Array,
    *,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """SimSiam: -[cos(p, sg z_pos) + cos(p_pos, sg z)] / 2, at least -1.

    Args:
        p: predictions from z, `[batch, m]`.
        p_pos: predictions from z_pos.
        z: projections; no gradient flows into them here.
        z_pos: projections of the other view.
        axis: mesh axis over which the rows are spread.

    Returns:
        `(loss, metrics)`, metric `cosine`.

    Example:
        >>> p = jnp.eye(2)
        >>> float(simsiam(p, p, p, p)[0])
        -1.0

    Source: Chen and He 2021, equations 1 to 4.
    """
    cosine = _predicted_cosine(p, p_pos, axis, z=z, z_pos=z_pos)
    return -cosine, {"cosine": cosine}


def byol(
    p: jax.Array,
    p_pos: jax.Array,
    target: jax.Array,
    target_pos: jax.Array,
    *,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """BYOL: mean[2 - 2 cos(p, sg t_pos)] + mean[2 - 2 cos(p_pos, sg t)], in [0, 8].

    Args:
        p: predictions of the trained encoder, `[batch, m]`.
        p_pos: its predictions from the other view.
        target: projections of the averaged encoder; no gradient.
        target_pos: its projections of the other view.
        axis: mesh axis over which the rows are spread.

    Returns:
        `(loss, metrics)`, metric `cosine`, the mean over both directions.

    Example:
        >>> p = jnp.eye(2)
        >>> float(byol(p, p, p, p)[0]), float(byol(p, p, -p, -p)[0])
        (0.0, 8.0)

    Source: Grill et al. 2020, equation 2.
    """
    cosine = _predicted_cosine(p, p_pos, axis, target=target, target_pos=target_pos)
    return 4 - 4 * cosine, {"cosine": cosine}


def _predicted_cosine(p, p_pos, axis, **targets):
    check_rows("p", p)
    for name, array in dict(p_pos=p_pos, **targets).items():
        check_same_shape(name, array, "p", p)
    target, target_pos = jax.lax.stop_gradient(tuple(targets.values()))
    there, back = rowwise(COSINE, p, target_pos), rowwise(COSINE, p_pos, target)
    return reduce_rows(there + back, "mean", axis) / 2


def sinkhorn_codes(
    scores: jax.Array,
    *,
    epsilon: float = 0.05,
    iterations: int = 3,
    axis: str | None = None,
) -> jax.Array:
    """Soft cluster assignments that use every cluster equally, without gradient.

    From exp(scores / epsilon), rounds of dividing each cluster by its mass and then
    each sample by its own, in logarithms.

    Args:
        scores: similarity to each cluster, `[batch, clusters]`.
        epsilon: entropy of the assignment, > 0.
        iterations: rounds, 1 to 1,000; they end on the samples, so rows sum to 1.
        axis: mesh axis over which the samples are spread.

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
    check_scalar("epsilon", epsilon)
    check_count("iterations", iterations, most=MOST_ROUNDS)
    log_q = jax.lax.stop_gradient(scores) / epsilon
    for _ in range(iterations):
        if axis is None:
            log_q = log_softmax(log_q, 0)
        else:
            mass = logsumexp(log_q, 0)[None]
            log_q = log_q - sum_of_exponentials(mass, axis)
        log_q = log_softmax(log_q, 1)
    return jnp.exp(log_q)


def swav(
    z: jax.Array,
    z_pos: jax.Array,
    prototypes: jax.Array,
    *,
    tau: jax.Array | float = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
    axis: str | None = None,
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
        axis: mesh axis over which the rows are spread; clusters are balanced over the
            whole batch.

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
    _check_views(z, z_pos, rows=1)
    check_rows("prototypes", prototypes, width=z.shape[1])
    check_above("tau", tau, 0)
    check_scalar("tau", tau)
    scores = [pairwise(COSINE, view, prototypes) for view in (z, z_pos)]
    balanced = functools.partial(
        sinkhorn_codes, epsilon=epsilon, iterations=iterations, axis=axis
    )
    codes = [balanced(s) for s in scores]
    tau = positive_or_nan(tau)
    logs = [log_softmax(s / tau, 1) for s in scores]
    swapped = [
        reduce_rows(jnp.sum(code * log, axis=1), "mean", axis)
        for code, log in zip(codes, logs[::-1], strict=True)
    ]
    used = batch_mean(codes[0], axis)
    entropy = -jnp.sum(jax.scipy.special.xlogy(used, used))
    return -(swapped[0] + swapped[1]) / 2, {"code_entropy": entropy}


def _check_views(z, z_pos, axis: str | None = None, rows: int = 2) -> None:
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("z", z, -(-rows // devices))
    check_same_shape("z_pos", z_pos, "z", z)
