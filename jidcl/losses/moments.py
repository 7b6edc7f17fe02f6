"""Objectives by moments of the batch: Barlow Twins and VICReg.

Both take projections z of two views, `[batch, m]`, in float32 or wider, and return
`(loss, metrics)`. With `axis`, a mesh axis inside `jax.shard_map`, rows are this
device's and the moments are those of the whole batch.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_choice,
    check_rows,
    check_same_shape,
    check_scalar,
    check_type,
)
from jidcl.losses.distributed import batch_mean, device_mean
from jidcl.numerics import at_least_float32, power_of_two
from jidcl.types import Metrics


def standardised(
    z: jax.Array, *, epsilon: float = 1e-5, axis: str | None = None
) -> jax.Array:
    """Batch normalisation without trained scale and offset, biased variance.

    (z - mean) / sqrt(variance + epsilon) over the batch.

    Args:
        z: `[batch, m]`.
        epsilon: added to the variances, >= 0.
        axis: mesh axis over which the rows are spread.

    Returns:
        `[batch, m]`.

    Example:
        >>> standardised(jnp.array([[1.0], [3.0]]), epsilon=0.0)
        Array([[-1.],
               [ 1.]], dtype=float32)

    Source: Zbontar et al. 2021, the normalisation in Barlow Twins.
    """
    check_rows("z", z)
    check_at_least("epsilon", epsilon, 0)
    check_scalar("epsilon", epsilon)
    z = z - batch_mean(z, axis)
    power = power_of_two(z, axis=0, least=epsilon**0.5)
    power = power if axis is None else jax.lax.pmax(power, axis)
    z = z * (1 / power)
    # Not over the power twice: a compiler takes its square, which may be 0.
    return z / jnp.sqrt(batch_mean(z * z, axis) + (epsilon**0.5 / power) ** 2)


def barlow(
    z: jax.Array,
    z_pos: jax.Array,
    *,
    lam: jax.Array | float = 5e-3,
    scale: float = 1.0,
    epsilon: float = 1e-5,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """Barlow Twins: scale [sum_i (C_ii - 1)^2 + lam sum_{i != j} C_ij^2].

    C is the cross-correlation of the views over the batch.

    Args:
        z: `[batch, m]`.
        z_pos: `[batch, m]`.
        lam: weight of the entries off the diagonal, >= 0.
        scale: of the whole loss.
        epsilon: added to the variances, so that C_ii stays a little below 1.
        axis: mesh axis over which the rows are spread.

    Returns:
        `(loss, metrics)`, metrics `diagonal` and `off_diagonal`, the two sums.

    Example:
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> loss, metrics = barlow(z, z)  # uncorrelated outputs, equal views
        >>> bool(loss < 1e-6)
        True

    Source: Zbontar et al. 2021, equations 1 and 2 (scale 1, lam 0.005).
    """
    _check_views(z, z_pos, axis)
    check_at_least("lam", lam, 0)
    check_scalar("lam", lam)
    check_scalar("scale", scale)
    z, z_pos = (
        standardised(view, epsilon=epsilon, axis=axis) for view in _wide(z, z_pos)
    )
    c = second_moments(z, z_pos, axis)
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
        views: `"mean"` averages the variance terms of the views (the published
            code), `"sum"` adds them (equation 6 of the paper).
        epsilon: added to the variances.

    Example:
        >>> VICRegWeights(covariance=0.0).variance
        25.0

    Source: Bardes et al. 2022 and published code.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    views: str = "mean"
    epsilon: float = 1e-4

    def __post_init__(self):
        check_choice("views", self.views, ("mean", "sum"))
        for name in ("invariance", "variance", "covariance", "epsilon"):
            check_at_least(name, getattr(self, name), 0)
            check_scalar(name, getattr(self, name))


def vicreg(
    z: jax.Array,
    z_pos: jax.Array,
    *,
    weights: VICRegWeights | None = None,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """VICReg: invariance, a hinge on every standard deviation, small covariances.

    inv = mean over entries of (z - z_pos)^2;
    var = mean over views of mean_d max(0, 1 - sqrt(Var_d + epsilon));
    cov = sum over views of (1 / m) sum_{i != j} Cov_ij^2; unbiased moments.

    Args:
        z: `[batch, m]`, batch >= 2.
        z_pos: `[batch, m]`.
        weights: see `VICRegWeights`; its `views="sum"` is the paper's sum over views
            in place of the mean in var.
        axis: mesh axis over which the rows are spread.

    Returns:
        `(loss, metrics)`, metrics `invariance`, `variance`, `covariance`, unweighted,
        sums over the views whatever `weights.views` is.

    Example:
        >>> z = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> float(vicreg(z, z)[0])  # equal views of variance 4 / 3, uncorrelated
        0.0

    Source: Bardes et al. 2022, equations 1 to 6 and published code.
    """
    _check_views(z, z_pos, axis)
    weights = VICRegWeights() if weights is None else weights
    check_type("weights", weights, VICRegWeights)
    z, z_pos = _wide(z, z_pos)
    apart = jnp.mean(batch_mean((z - z_pos) ** 2, axis))
    hinge, covariance = jnp.zeros((), z.dtype), jnp.zeros((), z.dtype)
    for view in (z, z_pos):
        cov = unbiased_covariance(view, axis)
        std = jnp.sqrt(jnp.diagonal(cov) + weights.epsilon)
        hinge += jnp.mean(jnp.maximum(1 - std, 0))
        covariance += _off_diagonal_squares(cov) / view.shape[1]
    share = 0.5 if weights.views == "mean" else 1.0
    loss = weights.invariance * apart + share * weights.variance * hinge
    loss += weights.covariance * covariance
    return loss, {"invariance": apart, "variance": hinge, "covariance": covariance}


def second_moments(a: jax.Array, b: jax.Array, axis: str | None = None) -> jax.Array:
    """Mean over the rows, of all devices along `axis`, of a_i b_j.

    Args:
        a: `[batch, m]`.
        b: `[batch, k]`.
        axis: mesh axis over which the rows are spread.

    Returns:
        `[m, k]`.

    Example:
        >>> float(second_moments(jnp.ones((2, 1)), jnp.array([[1.0], [2.0]]))[0, 0])
        1.5
    """
    total = jnp.matmul(a.T, b, precision=jax.lax.Precision.HIGHEST)
    return device_mean(total / a.shape[0], axis)


def unbiased_covariance(y: jax.Array, axis: str | None = None) -> jax.Array:
    """Covariance of the rows, divided by their number less one.

    Args:
        y: `[batch, m]`.
        axis: mesh axis over which the rows are spread.

    Returns:
        `[m, m]`.

    Example:
        >>> float(unbiased_covariance(jnp.array([[1.0], [3.0]]))[0, 0])
        2.0
    """
    rows = y.shape[0] * (1 if axis is None else jax.lax.axis_size(axis))
    y = y - batch_mean(y, axis)
    return second_moments(y, y, axis) * (rows / (rows - 1))


def _off_diagonal_squares(c: jax.Array) -> jax.Array:
    return jnp.sum(jnp.where(jnp.eye(c.shape[0], dtype=bool), 0, c) ** 2)


def _wide(z: jax.Array, z_pos: jax.Array) -> tuple[jax.Array, jax.Array]:
    dtype = at_least_float32(z.dtype, z_pos.dtype)
    return z.astype(dtype), z_pos.astype(dtype)


def _check_views(z, z_pos, axis: str | None) -> None:
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("z", z, -(-2 // devices))
    check_same_shape("z_pos", z_pos, "z", z)
