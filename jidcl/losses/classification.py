"""Softmax cross-entropy over classifier rows: instance discrimination and classes.

logit_k(x) = beta <w_k, f(x)> + b_k, with K rows of W: one for each class (supervised),
or one for each instance (DIET, parametric instance discrimination). K may be large, so
the loss takes three forms of equal value and gradient: one matrix of logits, streamed
over tiles of rows of W, and rows of W spread over devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_choice,
    check_float,
    check_integers,
    check_rows,
    check_scalar,
    check_shape,
    check_unit_interval,
    check_within,
)
from jidcl.losses.distributed import sum_of_exponentials
from jidcl.losses.logsumexp import row_logsumexp
from jidcl.losses.rows import pairwise
from jidcl.losses.similarity import DOT
from jidcl.losses.tiles import Tile
from jidcl.numerics import at_least_float32, unit


class Prepared(NamedTuple):
    """Features and rows whose plain dot products are the logits."""

    features: jax.Array
    w: jax.Array


def class_logits(
    features: jax.Array,
    w: jax.Array,
    *,
    beta: jax.Array | float = 1.0,
    bias: jax.Array | None = None,
    normalize_features: bool = False,
    normalize_rows: bool = False,
) -> jax.Array:
    """beta <w_k, f_i> + b_k for all pairs.

    Args:
        features: f(x), `[batch, m]`.
        w: classifier rows, `[classes, m]`.
        beta: inverse temperature, a scalar.
        bias: `[classes]`; none when None.
        normalize_features: divide every feature vector by its norm.
        normalize_rows: divide every row of W by its norm.

    Returns:
        `[batch, classes]`, float32 or wider.

    Example:
        >>> class_logits(jnp.ones((1, 2)), jnp.eye(2), beta=2.0, bias=jnp.ones(2))
        Array([[3., 3.]], dtype=float32)

    Source: Reizinger et al. 2024, equation 1.
    """
    parts = _prepare(features, w, beta, bias, normalize_features, normalize_rows)
    return pairwise(DOT, *parts)


def instance_cross_entropy(
    features: jax.Array,
    w: jax.Array,
    labels: jax.Array,
    *,
    beta: jax.Array | float = 1.0,
    bias: jax.Array | None = None,
    normalize_features: bool = False,
    normalize_rows: bool = False,
    smoothing: float = 0.0,
    reduction: str = "mean",
    tile: Tile = "auto",
    axis: str | None = None,
) -> jax.Array:
    """Mean over rows of -log softmax(logits)_label, nats.

    With smoothing eps the target is (1 - eps) onehot + eps / K:
    log sum_k exp(l_k) - (1 - eps) l_label - eps mean_k l_k.

    Args:
        features: f(x), `[batch, m]`.
        w: classifier rows, `[classes, m]`; with `axis`, those of this device.
        labels: numbers of rows of (the whole) W, integers `[batch]`.
        beta: inverse temperature, a scalar.
        bias: `[classes]`, or as many as `w` has rows here.
        normalize_features: divide every feature vector by its norm.
        normalize_rows: divide every row of W by its norm; the gradient passes through.
        smoothing: eps in [0, 1].
        reduction: `"mean"`, `"sum"`, or `"none"` for `[batch]`.
        tile: see `jidcl.losses.logsumexp.row_logsumexp`. Streamed, no
            `[batch, classes]` array is stored, forwards or backwards.
        axis: mesh axis over which the rows of W are spread, inside `jax.shard_map`.
            Features and labels agree along it; so does the result.

    Returns:
        A scalar, or `[batch]`; float32 or wider.

    Raises:
        ValueError: on wrong shapes, or concrete labels that number no row of W.
        TypeError: on labels that are not integers.

    Example:
        >>> w = jnp.eye(3)
        >>> float(instance_cross_entropy(0 * w, w, jnp.arange(3)))  # log 3
        1.098612...

    Source: Reizinger et al. 2024, equation 1; Ibrahim et al. 2024 (DIET).

    Notes:
        A traced label that numbers no row makes the loss NaN, never a wrong number.
    """
    check_choice("reduction", reduction, ("mean", "sum", "none"))
    check_unit_interval("smoothing", smoothing)
    check_scalar("smoothing", smoothing)
    parts = _prepare(features, w, beta, bias, normalize_features, normalize_rows)
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    classes = devices * w.shape[0]
    check_integers("labels", labels, features.shape[:1])
    check_within("labels", labels, classes, f" for {classes} rows of w")
    labels = jnp.asarray(labels).astype(jnp.int32)
    denominator = row_logsumexp(DOT, *parts, tile=tile)
    target = _target_logit(parts, labels, axis)
    if axis is not None:
        denominator = sum_of_exponentials(denominator, axis)
    loss = denominator - (1 - smoothing) * target
    if smoothing:
        mean_row = jnp.sum(parts.w, axis=0) / classes
        if axis is not None:
            mean_row = jax.lax.psum(mean_row, axis)
        loss = loss - smoothing * jnp.sum(parts.features * mean_row[None], axis=1)
    valid = (labels >= 0) & (labels < classes)
    loss = jnp.where(valid, loss, jnp.nan)
    return loss if reduction == "none" else getattr(jnp, reduction)(loss)


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of rows whose largest logit is the label's.

    Args:
        logits: `[batch, classes]`.
        labels: integers in [0, classes), `[batch]`.

    Returns:
        A scalar in [0, 1]; NaN where a logit is.

    Raises:
        ValueError: on wrong shapes, or concrete labels that are no class.
        TypeError: on labels that are not integers.

    Example:
        >>> float(accuracy(jnp.eye(4), jnp.array([0, 1, 2, 0])))
        0.75

    Source: the definition.
    """
    check_rows("logits", logits)
    check_integers("labels", labels, logits.shape[:1])
    check_within("labels", labels, logits.shape[1])
    best = jnp.argmax(logits, axis=1).astype(labels.dtype)
    right = jnp.mean(best == labels, dtype=logits.dtype)
    return jnp.where(jnp.isnan(logits).any(), jnp.nan, right)


def _prepare(features, w, beta, bias, normalize_features, normalize_rows) -> Prepared:
    check_rows("features", features)
    check_rows("w", w, width=features.shape[1])
    check_scalar("beta", beta)
    dtype = at_least_float32(features.dtype, w.dtype)
    features, w = jnp.asarray(features, dtype), jnp.asarray(w, dtype)
    features = unit(features) if normalize_features else features
    w = unit(w) if normalize_rows else w
    features = jnp.asarray(beta, dtype) * features
    if bias is None:
        return Prepared(features, w)
    check_float("bias", bias)
    check_shape("bias", bias, w.shape[:1])
    # A bias is the weight of one more feature that is always 1.
    ones = jnp.ones_like(features[:, :1])
    wider = jnp.concatenate([w, bias[:, None].astype(dtype)], axis=1)
    return Prepared(jnp.concatenate([features, ones], axis=1), wider)


def _target_logit(parts: Prepared, labels: jax.Array, axis: str | None) -> jax.Array:
    """The logit of the label, from the device that holds its row."""
    if axis is not None:
        labels = labels - jax.lax.axis_index(axis) * parts.w.shape[0]
    own = (labels >= 0) & (labels < parts.w.shape[0])
    rows = parts.w[jnp.where(own, labels, 0)]
    logit = jnp.sum(parts.features * rows, axis=1)
    if axis is None:
        return logit
    return jax.lax.psum(jnp.where(own, logit, 0), axis)
