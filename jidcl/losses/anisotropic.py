"""AnInfoNCE: InfoNCE with a learned precision for each coordinate of the outputs."""

import functools
import math

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_features,
    check_float,
    check_rows,
    check_same_shape,
    check_scalar,
    check_shape,
)
from jidcl.losses.contrastive import REDUCTIONS, reduce_rows
from jidcl.losses.distributed import sharded_logsumexp
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.rows import rowwise, stretched
from jidcl.losses.similarity import Similarity
from jidcl.losses.tiles import Tile
from jidcl.numerics import (
    at_least_float32,
    positive_or_nan,
    share,
    unit,
)
from jidcl.types import Metrics

CROSS = ("symmetric", "reference")
_SQUARES = Similarity("lp", 2.0)


def to_lam(raw: jax.Array) -> jax.Array:
    """Lambda = softplus(r) > 0, of any shape.

    Args:
        raw: numbers r, of any shape.

    Returns:
        Numbers > 0 of the same shape.

    Example:
        >>> to_lam(from_lam(jnp.array([0.5, 25.0]))).round(4)
        Array([ 0.5, 25. ], dtype=float32)

    Source: Rusak et al. 2024, published code.
    """
    check_float("raw", raw)
    # The root of 0, or of a number that is rounded to 0 when halved, has no derivative.
    return jnp.maximum(jax.nn.softplus(raw), 4 * float(jnp.finfo(raw.dtype).tiny))


def from_lam(lam: jax.Array) -> jax.Array:
    """r = log(exp(Lambda) - 1), the inverse of `to_lam`, without overflow.

    Args:
        lam: Lambda > 0, of any shape.

    Returns:
        Numbers of the same shape.

    Raises:
        ValueError: on a concrete Lambda <= 0.

    Example:
        >>> from_lam(jnp.array([0.5, 25.0])).round(4)
        Array([-0.4328, 25.    ], dtype=float32)

    Source: Rusak et al. 2024, published code.
    """
    check_float("lam", lam)
    check_above("lam", lam, 0)
    return lam + jnp.log(-jnp.expm1(-lam))


def aninfonce(
    y: jax.Array,
    y_pos: jax.Array,
    lam: jax.Array,
    *,
    cross: str = "symmetric",
    beta: float = 0.0,
    tau_plus: float = 0.0,
    reduction: str = "mean",
    tile: Tile = "auto",
    axis: str | None = None,
    form: str = "ring",
) -> tuple[jax.Array, Metrics]:
    r"""AnInfoNCE of anchors a and positives b, projected on the unit sphere.

    s(a, b) = -1/2 sum_k lam_k (a_k - b_k)^2. The row of a_i compares s(a_i, b_i) with
    itself and {s(a_i, a_j), s(a_i, b_j) : j != i}; the row of b_i with itself and
    {s(b_i, b_j), s(b_i, a_j) : j != i}. The loss is the mean over the 2 B rows of
    -s(a_i, b_i) + logsumexp.

    With beta or tau_plus, hard negatives: of the M = 2 (B - 1) negatives s_m,
    E = sum_m exp((1 + beta) s_m) / sum_m exp(beta s_m),
    G = max((E - tau_plus e^{s+}) / (1 - tau_plus), exp(-2 max lam)), and a row is
    -s+ + log(e^{s+} + M G); the bound has no gradient.

    Args:
        y: outputs of the anchors, `[batch, m]`, batch >= 2; normalised here.
        y_pos: outputs of the positives, `[batch, m]`.
        lam: precisions > 0, `[m]`; no temperature besides it. Where a traced one is
            not, the loss is NaN.
        cross: `"symmetric"`; or `"reference"`, the published code, whose rows of b_i
            take {s(a_i, b_j) : j != i} for the second set.
        beta: concentration on hard negatives, >= 0 (0: none).
        tau_plus: assumed share of positives among the negatives, in [0, 1).
        reduction: `"mean"` or `"sum"` over the 2 B rows, or `"none"`: rows of a, then
            rows of b.
        tile: see `jidcl.losses.logsumexp.row_logsumexp`; nothing of the size of all
            pairs times m is stored.
        axis: mesh axis over which all rows are spread, as for
            `jidcl.losses.contrastive.infonce`.
        form: with `axis`, `"ring"` or `"gathered"`.

    Returns:
        `(loss, metrics)`, metrics `positive` (mean of -s+) and `negative` (mean of the
        logarithms); nats.

    Raises:
        ValueError: on wrong shapes, numbers out of range, or hard negatives with the
            reference form, which does not define them.

    Example:
        >>> y = jnp.eye(2)
        >>> loss, _ = aninfonce(y, y, jnp.ones(2))
        >>> round(float(loss), 4)  # log(1 + 2 / e)
        0.5514

    Source: Rusak et al. 2024, published code (plain forms); Robinson et al. 2021 (hard
        negatives).

    Notes:
        The symmetric form has negatives="two_view", include_positive=True,
        exclude_self=True, symmetric=True: it is `infonce` of unit vectors with that
        policy, the p = 2 similarity and weights lam / 2. lam = 1 / tau everywhere is
        NT-Xent at temperature tau. A constant encoder has the loss log(2 B - 1).
    """
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("y", y, -(-2 // devices))
    check_rows("y_pos", y_pos)
    check_same_shape("y_pos", y_pos, "y", y)
    check_choice("form", form, ("ring", "gathered"))
    check_float("lam", lam)
    check_shape("lam", lam, y.shape[1:])
    check_above("lam", lam, 0)
    check_choice("cross", cross, CROSS)
    check_choice("reduction", reduction, REDUCTIONS)
    check_at_least("beta", beta, 0)
    check_scalar("beta", beta)
    check_scalar("tau_plus", tau_plus)
    if not 0 <= tau_plus < 1:
        raise ValueError(f"tau_plus must be in [0, 1), got {tau_plus!r}")
    hard = beta > 0 or tau_plus > 0
    if hard and cross == "reference":
        raise ValueError(
            "hard negatives need cross='symmetric', got cross='reference' with "
            f"beta={beta:g} and tau_plus={tau_plus:g}"
        )
    wide = at_least_float32(y.dtype, y_pos.dtype, lam.dtype)
    lam = positive_or_nan(lam.astype(wide))
    a, b = (stretched(unit(x.astype(wide)), lam / 2, 2.0) for x in (y, y_pos))
    positive = rowwise(_SQUARES, a, b)
    logsumexp = row_logsumexp
    if axis is not None:
        logsumexp = functools.partial(sharded_logsumexp, axis=axis, form=form)
    over = functools.partial(logsumexp, _SQUARES, tile=tile)
    if hard:
        entries = 2 * (devices * y.shape[0] - 1)
        rows = functools.partial(
            _hard_negatives, over, entries, positive, lam, beta, tau_plus
        )
        negative = jnp.concatenate([rows(a, b), rows(b, a)])
    elif cross == "symmetric":
        views = jnp.concatenate([a, b])
        negative = over(views, views, exclude_diagonal=True)
    else:
        forth = over(a, b)
        own = [over(x, x, exclude_diagonal=True) for x in (a, b)]
        negative = jnp.logaddexp(jnp.concatenate(own), jnp.tile(forth, 2))
    both = jnp.concatenate([positive, positive])
    per_row = negative - both
    metrics = {"positive": -positive, "negative": negative}
    metrics = {name: reduce_rows(rows, "mean", axis) for name, rows in metrics.items()}
    return reduce_rows(per_row, reduction, axis), metrics


def _hard_negatives(over, count: int, positive, lam, beta: float, tau_plus, a, b):
    """log(e^{s+} + M G) of the rows of a, `[batch]`, M = count."""

    def negatives(power: float):
        if power == 0:
            return jnp.full_like(positive, math.log(count))
        parts = (over(a, x, exclude_diagonal=True, tau=1 / power) for x in (a, b))
        return jnp.logaddexp(*parts)

    log_e = negatives(1 + beta) - negatives(beta)
    top = jax.lax.stop_gradient(jnp.maximum(log_e, positive))
    rest = share(log_e, top) - tau_plus * share(positive, top)
    least = jnp.exp(jax.lax.stop_gradient(-2 * jnp.max(lam)) - top)
    least = jnp.maximum(least, jnp.finfo(top.dtype).tiny)
    log_g = jnp.log(jnp.maximum(rest / (1 - tau_plus), least)) + top
    return jnp.logaddexp(positive, math.log(count) + log_g)


def aninfonce_ensemble(
    y: jax.Array,
    y_pos: jax.Array,
    lam: jax.Array,
    weights: jax.Array,
    *,
    cross: str = "symmetric",
    beta: float = 0.0,
    tau_plus: float = 0.0,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """sum_k w_k AnInfoNCE of the pairs and precisions of pair distribution k.

    Args:
        y: `[K, batch, m]`, the same encoder on the anchors of each distribution.
        y_pos: `[K, batch, m]`.
        lam: `[K, m]`.
        weights: w, `[K]`, >= 0 with sum 1.
        cross: see `aninfonce`, like the rest.
        beta: concentration on hard negatives.
        tau_plus: share of positives among the negatives.
        axis: mesh axis over which the rows of every distribution are spread.

    Returns:
        `(loss, metrics)`, metrics `components` `[K]`.

    Raises:
        ValueError: on shapes of another number of distributions, or what `aninfonce`
            refuses.

    Example:
        >>> y = jnp.stack([jnp.eye(2), jnp.eye(2)])
        >>> weights = jnp.full(2, 0.5)
        >>> loss, metrics = aninfonce_ensemble(y, y, jnp.ones((2, 2)), weights)
        >>> round(float(loss), 4), metrics["components"].shape
        (0.5514, (2,))

    Source: Rusak et al. 2024, published code.
    """
    check_features("y", y)
    if y.ndim != 3:
        raise ValueError(f"y must have shape [K, batch, m], got {list(y.shape)}")
    check_same_shape("y_pos", y_pos, "y", y)
    for name, array, shape in (
        ("lam", lam, (y.shape[0], y.shape[2])),
        ("weights", weights, y.shape[:1]),
    ):
        check_float(name, array)
        check_shape(name, array, shape)
    check_above("lam", lam, 0)
    check_at_least("weights", weights, 0)
    own = dict(cross=cross, beta=beta, tau_plus=tau_plus, axis=axis)
    one = functools.partial(aninfonce, **own)
    losses, _ = jax.vmap(one)(y, y_pos, lam)
    return jnp.sum(weights.astype(losses.dtype) * losses), {"components": losses}
