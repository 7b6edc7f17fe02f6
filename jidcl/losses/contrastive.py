"""The InfoNCE family, with every denominator of the literature as an explicit choice.

The denominators are row log-sum-exps over a pool of negatives; how these are computed
(one matrix of logits, or streamed tiles of it) is `jidcl.losses.logsumexp`.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_float,
    check_real,
    check_rows,
    check_same_shape,
    check_scalar,
    check_shape,
    check_type,
    check_unit_interval,
)
from jidcl.losses.distributed import FORMS, sharded_logsumexp
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.rows import rowwise, stretched
from jidcl.losses.similarity import DOT, Similarity
from jidcl.losses.tiles import Tile, check_tile
from jidcl.numerics import at_least_float32, positive_or_nan
from jidcl.types import Metrics

NEGATIVES = ("in_batch", "independent", "two_view")
REDUCTIONS = ("mean", "none", "sum")


@dataclasses.dataclass(frozen=True)
class NegativePolicy:
    """What the denominator contains. The defaults are the published contrastive ICA.

    Attributes:
        negatives: `"in_batch"`: the anchors of the batch; `"independent"`: rows given
            as `y_neg`; `"two_view"`: anchors and positives of the batch together
            (NT-Xent, CLIP-like when `compare` differs).
        include_positive: whether the positive pair is an entry (one more, or, with
            `"two_view"`, one that is in the pool already).
        exclude_self: whether entry k = i of the batch is left out. Against the
            anchor that is the pair (y_i, y_i); with `compare="positive"` it is the
            positive pair itself.
        compare: the negatives are compared with the `"anchor"` or the `"positive"`.
        log_mean: log-mean-exp instead of log-sum-exp over the entries.
        alpha: the loss is 2 (alpha P + (1 - alpha) N); 0.5 gives P + N = InfoNCE.
        symmetric: average with the other direction (anchors and positives swapped).

    Raises:
        ValueError: on an unknown choice, alpha outside of [0, 1], or `exclude_self` or
            `symmetric` with independent negatives.

    Example:
        >>> NegativePolicy(negatives="two_view", exclude_self=True).entries(8)
        15

    Source: Zimmermann et al. 2021, published code (the defaults); Chen et al. 2020
        (two_view); Wang and Isola 2020 (log_mean).
    """

    negatives: str = "in_batch"
    include_positive: bool = True
    exclude_self: bool = False
    compare: str = "anchor"
    log_mean: bool = False
    alpha: float = 0.5
    symmetric: bool = False

    def __post_init__(self):
        check_choice("negatives", self.negatives, NEGATIVES)
        check_choice("compare", self.compare, ("anchor", "positive"))
        check_unit_interval("alpha", self.alpha)
        check_scalar("alpha", self.alpha)
        if self.negatives == "independent" and (self.exclude_self or self.symmetric):
            raise ValueError(
                "exclude_self and symmetric need negatives from the batch, got "
                "negatives='independent'"
            )

    def entries(self, batch: int, cols: int | None = None) -> int:
        """Number of entries in one row's denominator."""
        pool = {"in_batch": batch, "two_view": 2 * batch}.get(self.negatives, cols)
        if pool is None:
            raise ValueError("cols must be given for independent negatives, got None")
        positive = int(self.include_positive) - int(self.negatives == "two_view")
        return pool - int(self.exclude_self) + positive


PUBLISHED_POLICY = NegativePolicy()


def infonce(
    y: jax.Array,
    y_pos: jax.Array,
    y_neg: jax.Array | None = None,
    *,
    similarity: Similarity = DOT,
    tau: jax.Array | float = 1.0,
    lam: jax.Array | None = None,
    policy: NegativePolicy = PUBLISHED_POLICY,
    reduction: str = "mean",
    tile: Tile = "auto",
    axis: str | None = None,
    form: str = "ring",
) -> tuple[jax.Array, Metrics]:
    r"""Contrastive loss of anchors, positives and negatives.

    loss_i = 2 (alpha P_i + (1 - alpha) N_i), P_i = -s(y_i, y_pos_i) / tau,
    N_i = log sum_k exp(s(a_i, y_neg_k) / tau) over the entries that `policy` names,
    a_i the anchor or the positive.

    Args:
        y: anchors f(x), `[batch, m]`, batch >= 2.
        y_pos: positives, `[batch, m]`.
        y_neg: negatives `[cols, m]`, for `policy.negatives == "independent"` only.
        similarity: s.
        tau: temperature > 0; where a traced one is not, the loss is NaN.
        lam: weights > 0 of the coordinates, `[m]`, for a p-norm similarity:
            s(a, b) = -sum_d lam_d |a_d - b_d|^p. Its gradient, like tau's, is right
            when it is learned.
        policy: what the denominator contains; read it before comparing losses.
        reduction: `"mean"` over rows, `"sum"`, or `"none"`.
        tile: how the matrix of logits is computed, see `row_logsumexp`: `"auto"` by
            size and platform, None as one matrix, the size of its tiles, or
            `"kernel"` for CUDA.
        axis: mesh axis over which all rows are spread, inside `jax.shard_map`: the
            negatives, means and sums are those of the whole batch.
        form: with `axis`, how rows meet the negatives of other devices: `"ring"`
            (memory of this device's) or `"gathered"` (of all).

    Returns:
        `(loss, metrics)`, metrics `positive` (mean P) and `negative` (mean N). The
        loss is in nats; accumulation in float32 or wider.

    Raises:
        ValueError: on wrong shapes, tau <= 0, batch < 2, an unknown reduction, or
            `y_neg` given or missing against the policy.
        TypeError: on dtypes that are not floating-point, or a policy or similarity of
            another type.

    Example:
        >>> y = jnp.eye(2)
        >>> loss, metrics = infonce(y, y)
        >>> round(float(loss), 4)  # log(2 e + 1) - 1: self pair and positive count
        0.862

    Source: Zimmermann et al. 2021, equation 1 and published code; Chen et al. 2020
        (two_view); Wang and Isola 2020 (log_mean).

    Notes:
        The default counts the anchor itself among its negatives (distance 0), as the
        published code does. Without it the objective is another one: see
        `jidcl.theory`.
    """
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    _check_rows(y, y_pos, y_neg, policy, devices)
    _check_settings(y.shape[1], similarity, tau, lam, reduction, tile)
    check_choice("form", form, FORMS)
    if not isinstance(tau, int | float):
        tau = jnp.asarray(tau).astype(at_least_float32(y.dtype))
        tau = positive_or_nan(tau)
    if lam is not None:
        sure = positive_or_nan(lam)
        y, y_pos = (stretched(x, sure, similarity.p) for x in (y, y_pos))
        y_neg = None if y_neg is None else stretched(y_neg, sure, similarity.p)
    logsumexp = row_logsumexp
    if axis is not None:
        logsumexp = functools.partial(sharded_logsumexp, axis=axis, form=form)
    over = functools.partial(logsumexp, similarity, tau=tau, tile=tile)
    positive, negative = _one_direction(y, y_pos, y_neg, similarity, tau, policy, over)
    if policy.symmetric:
        other = _one_direction(y_pos, y, y_neg, similarity, tau, policy, over)
        positive = (positive + other[0]) / 2
        negative = (negative + other[1]) / 2
    if policy.log_mean:
        cols = None if y_neg is None else devices * y_neg.shape[0]
        negative -= math.log(policy.entries(devices * y.shape[0], cols))
    per_row = 2 * (policy.alpha * positive + (1 - policy.alpha) * negative)
    metrics = {"positive": positive, "negative": negative}
    metrics = {name: reduce_rows(rows, "mean", axis) for name, rows in metrics.items()}
    return reduce_rows(per_row, reduction, axis), metrics


def _one_direction(y, y_pos, y_neg, similarity, tau, policy, over):
    """(P_i, N_i) of the rows of y, each `[batch]`; `over` takes log-sum-exps."""
    pos = rowwise(similarity, y, y_pos) / tau
    anchor = y if policy.compare == "anchor" else y_pos
    pools = {"in_batch": [y], "two_view": [y, y_pos]}.get(policy.negatives, [y_neg])
    own = 0 if policy.compare == "anchor" else len(pools) - 1
    two_view = policy.negatives == "two_view"
    left_out = [two_view and not policy.include_positive for _ in pools]
    left_out[own] = policy.exclude_self
    parts = [
        over(anchor, pool, exclude_diagonal=out)
        for pool, out in zip(pools, left_out, strict=True)
    ]
    if policy.include_positive and not two_view:
        parts.append(pos)
    return -pos, functools.reduce(jnp.logaddexp, parts)


def _check_rows(y, y_pos, y_neg, policy, devices: int):
    check_type("policy", policy, NegativePolicy)
    check_rows("y", y, -(-2 // devices))
    check_rows("y_pos", y_pos)
    check_same_shape("y_pos", y_pos, "y", y)
    if (y_neg is None) == (policy.negatives == "independent"):
        raise ValueError(
            f"y_neg must be given exactly when negatives='independent', got "
            f"negatives={policy.negatives!r} and "
            f"y_neg={'None' if y_neg is None else 'an array'}"
        )
    if y_neg is not None:
        check_rows("y_neg", y_neg, width=y.shape[1])


def _check_settings(m: int, similarity, tau, lam, reduction, tile):
    check_above("tau", tau, 0)
    check_scalar("tau", tau)
    check_type("similarity", similarity, Similarity)
    if lam is not None:
        check_choice("similarity with lam", similarity.kind, ("lp",))
        check_float("lam", lam)
        check_shape("lam", lam, (m,))
        check_above("lam", lam, 0)
    check_choice("reduction", reduction, REDUCTIONS)
    check_tile(tile)


def alignment(y: jax.Array, y_pos: jax.Array, *, p: float = 2.0, reduction="mean"):
    """Mean over rows of sum_d |y_d - y_pos_d|^p.

    Args:
        y: anchors f(x), `[batch, m]`.
        y_pos: positives, `[batch, m]`.
        p: exponent, >= 1.
        reduction: `"mean"`, `"sum"` or `"none"` over the rows.

    Returns:
        A scalar, or `[batch]` for `"none"`.

    Example:
        >>> float(alignment(jnp.zeros((3, 2)), jnp.ones((3, 2))))
        2.0

    Source: Wang and Isola 2020.
    """
    check_rows("y", y)
    check_same_shape("y_pos", y_pos, "y", y)
    check_choice("reduction", reduction, REDUCTIONS)
    return reduce_rows(-rowwise(Similarity("lp", p), y, y_pos), reduction)


def uniformity(y: jax.Array, y_neg: jax.Array, *, p: float = 2.0, reduction="mean"):
    """Mean over rows of y_neg of log mean_i exp(-sum_d |y_neg_d - y_i,d|^p).

    Args:
        y: `[batch, m]`, averaged over inside the logarithm.
        y_neg: `[rows, m]`.
        p: exponent.
        reduction: `"mean"`, `"sum"` or `"none"` over the rows of y_neg.

    Returns:
        Nats; lower is more uniform.

    Example:
        >>> float(uniformity(jnp.zeros((3, 2)), jnp.zeros((4, 2))))
        0.0

    Source: Wang and Isola 2020; Zimmermann et al. 2021, published code (rows index
        the negatives).
    """
    check_rows("y", y)
    check_rows("y_neg", y_neg, width=y.shape[1])
    check_choice("reduction", reduction, REDUCTIONS)
    rows = row_logsumexp(Similarity("lp", p), y_neg, y)
    return reduce_rows(rows - math.log(y.shape[0]), reduction)


def align_uniform(
    y: jax.Array,
    y_pos: jax.Array,
    y_neg: jax.Array,
    *,
    p: float = 2.0,
    alpha: float = 0.5,
) -> tuple[jax.Array, Metrics]:
    """(1 - alpha) alignment + alpha uniformity.

    Args:
        y: anchors f(x), `[batch, m]`.
        y_pos: positives, `[batch, m]`.
        y_neg: negatives, `[rows, m]`.
        p: exponent of both terms, >= 1.
        alpha: weight of the uniformity, in [0, 1].

    Returns:
        `(loss, metrics)`, metrics `alignment` and `uniformity`.

    Example:
        >>> y = jnp.eye(2)
        >>> loss, metrics = align_uniform(y, y, y)
        >>> float(metrics["alignment"]), bool(metrics["uniformity"] < 0)
        (0.0, True)

    Source: Wang and Isola 2020.
    """
    check_unit_interval("alpha", alpha)
    check_scalar("alpha", alpha)
    align, uniform = alignment(y, y_pos, p=p), uniformity(y, y_neg, p=p)
    loss = (1 - alpha) * align + alpha * uniform
    return loss, {"alignment": align, "uniformity": uniform}


def bits_above_chance(loss: jax.Array, entries: int) -> jax.Array:
    """(log(entries) - loss) / log 2: 0 for a constant encoder.

    Args:
        loss: InfoNCE, nats, of any shape.
        entries: entries of a row's denominator, see `NegativePolicy.entries`.

    Returns:
        Bits, of the same shape.

    Example:
        >>> round(float(bits_above_chance(jnp.zeros(()), 8)), 4)
        3.0

    Source: the definition of a bit.
    """
    check_real("loss", loss)
    check_count("entries", entries)
    return (math.log(entries) - loss) / math.log(2)


def reduce_rows(rows: jax.Array, reduction: str, axis: str | None = None) -> jax.Array:
    """Mean or sum of all rows, also of those of other devices along `axis`."""
    if reduction == "none":
        return rows
    value = getattr(jnp, reduction)(rows)
    if axis is None:
        return value
    return {"mean": jax.lax.pmean, "sum": jax.lax.psum}[reduction](value, axis)
