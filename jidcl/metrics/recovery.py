"""How much of z a representation y holds: R2, Procrustes, isometry error.

Every function takes plain NumPy or JAX arrays `[samples, dimensions]`, and works under
`jit` and `vmap`. With `xp=numpy` the same formulas run in float64 on the host, where
nothing is compiled: the quick way for arrays that are there already. A NaN anywhere in
a column makes the scores that use it NaN. State with a score on which samples it was
fitted.
"""

import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_count, check_partition, check_same_shape
from jidcl.compiled import (
    compiled,
)
from jidcl.metrics.columns import (
    both,
    centred,
    correlate,
    dot,
    fit_affine,
    host_first,
    moments,
    on_host,
    standardised,
    unit_total,
)
from jidcl.metrics.cross_fit import Reading
from jidcl.numerics import of_finite


class R2(NamedTuple):
    """Coefficient of determination: mean, adjusted mean, and per latent `[n]`."""

    mean: jax.Array
    adjusted: jax.Array
    per_dim: jax.Array


@host_first
def r2(
    z: jax.Array,
    y: jax.Array,
    *,
    split: bool = False,
    intercept: bool = True,
    xp: ModuleType = jnp,
) -> R2:
    """R2 of the least-squares fit z ~ W y + b: identifiability up to affine maps.

    1 - SS_res / SS_tot for each latent (SS_tot around the scored samples' own mean),
    then the unweighted mean. A constant latent scores 0.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        split: fit on the first half, score on the second; otherwise both on all
            samples, where pure noise scores about m / samples.
        intercept: fit b; otherwise b = 0, and SS_tot is around the mean still.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `R2(mean, adjusted, per_dim)`; adjusted: 1 - (1 - R2)(s - 1)/(s - n - 1) with
        s scored samples.

    Raises:
        ValueError: on wrong shapes or different numbers of samples.
        TypeError: on dtypes that are not floating-point.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> round(float(r2(z, 3 * z + 1).mean), 4)
        1.0

    Source: Zimmermann et al. 2021, section 5.
    """
    z, y = both(z, y, xp)
    samples = z.shape[0]
    if samples <= y.shape[1] * (2 if split else 1):
        warnings.warn(
            f"R2 from {samples} samples of {y.shape[1]} dimensions is not a score",
            stacklevel=2,
        )
    return _r2(z, y, split=split, intercept=intercept, xp=xp)


@compiled
def _r2(z, y, *, split: bool, intercept: bool, xp: ModuleType) -> R2:
    half = z.shape[0] // 2
    z = standardised(z, xp) if intercept else z / moments(z, xp)[1]
    z_fit, y_fit = (z[:half], y[:half]) if split else (z, y)
    z_score, y_score = (z[half:], y[half:]) if split else (z, y)
    predicted = fit_affine(y_fit, z_fit, intercept=intercept, xp=xp)(y_score)
    left, varies = z_score - predicted, xp.isfinite(moments(z_score, xp)[1][0])
    total = xp.sum(centred(z_score, xp) ** 2, axis=0)
    missed = xp.sum(left**2, axis=0) / xp.where(varies, total, 1)
    # A constant latent scores 0; where a sum is NaN, so is the score.
    per_dim = xp.where(varies | xp.isnan(missed), 1 - missed, 0)
    mean = xp.mean(per_dim)
    scored = z_score.shape[0]
    adjusted = 1 - (1 - mean) * (scored - 1) / max(scored - z.shape[1] - 1, 1)
    return R2(mean, adjusted, per_dim)


@host_first
def held_out_r2(
    z: jax.Array, y: jax.Array, folds: Sequence[Any], *, xp: ModuleType = jnp
) -> jax.Array:
    """R2 of each latent on rows that its affine read-out from y was not fitted on.

    1 - SS_res / SS_tot, each row predicted by the fit to all other folds; SS_tot around
    the mean of all rows. A constant latent scores 0.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        folds: rows of each fold: a partition of all, as `jidcl.metrics.fold_rows`
            draws one.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[n]`.

    Raises:
        ValueError: on wrong shapes, or folds that are no partition into two or more.
        TypeError: on dtypes that are not floating-point.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> folds = np.array_split(np.arange(50), 5)
        >>> held_out_r2(z, 3 * z + 1, folds).round(4).tolist()
        [1.0, 1.0]
        >>> y = jax.random.normal(jax.random.key(1), (50, 30))
        >>> bool(r2(z, y).mean > 0.5), bool(held_out_r2(z, y, folds).mean() < 0)
        (True, True)

    Source: this library.

    Notes:
        Independent outputs score below 0. With as many outputs as the other folds have
        rows, exact read-outs score low as well: nothing can be told.
    """
    z, y = both(z, y, xp)
    check_partition("folds", folds, z.shape[0])
    check_count("number of folds", len(folds), 2)
    if xp is np:
        nan: Any = np.full(z.shape[1], np.nan)
        whole = np.isfinite(y).all() and np.isfinite(z).all()
        order = np.arange(len(z))
        return Reading(z, y, folds).z_from_y(order) if whole else nan  # type: ignore
    mean, std = moments(z, xp)
    z, left = (z - mean) / std, []
    for rows in folds:
        test = np.asarray(rows)
        train = np.setdiff1d(np.arange(z.shape[0]), test)
        predicted = fit_affine(y[train], z[train], xp=xp)(y[test])
        left.append(xp.sum((z[test] - predicted) ** 2, axis=0))
    varies = xp.isfinite(std[0])
    missed = xp.sum(xp.stack(left), axis=0) / xp.where(varies, z.shape[0], 1)
    return xp.where(varies | xp.isnan(missed), 1 - missed, 0)


@host_first
def linear_pearson(z: jax.Array, y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """Mean |Pearson correlation| of each latent with its own in-sample linear fit.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar in [0, 1].

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> round(float(linear_pearson(z, 3 * z + 1)), 4)
        1.0

    Source: this library; the root of an in-sample R2 for each latent.
    """
    z, y = both(z, y, xp)
    predicted = fit_affine(y, z, xp=xp)(y)
    return xp.mean(xp.abs(correlate(z, predicted, xp)))


@host_first
def procrustes_error(z: jax.Array, y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """Residual of the best similarity map, min ||c y Q + b - z||^2 / ||z - mean||^2.

    0 when y is z rotated or reflected, scaled and shifted; 1 when unrelated.

    Args:
        z: `[samples, n]`.
        y: `[samples, n]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: on different shapes.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> round(float(procrustes_error(z, 2 - 3 * z[:, ::-1])), 4)
        0.0

    Source: Schoenemann and Carroll 1970 (the best similarity map).
    """
    z, y = both(z, y, xp, common=True)
    if z.shape != y.shape:
        raise ValueError(f"y must have shape {list(z.shape)}, got {list(y.shape)}")
    product = dot(unit_total(z, xp).T, unit_total(y, xp), xp)
    roots = of_finite(lambda a: xp.linalg.svd(a, compute_uv=False), product, xp)
    explained = xp.sum(roots) ** 2
    return xp.maximum(1 - explained, 0)


@host_first
def isometry_error(
    similarity_z: jax.Array, similarity_y: jax.Array, *, xp: ModuleType = jnp
) -> jax.Array:
    """Mean |s_z - s_y| of matched pairs: the proofs' intermediate step.

    On the sphere s_z = kappa z.z_pos and s_y = y.y_pos / tau; on a convex body the
    negative p-norms. It is 0 for every minimiser of the matched cross-entropy.

    Args:
        similarity_z: `[pairs]`, similarity of the latents over its own temperature.
        similarity_y: `[pairs]`, similarity of their representations over tau.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, in nats.

    Raises:
        ValueError: on different shapes.

    Example:
        >>> float(isometry_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])))
        0.5

    Source: Zimmermann et al. 2021, propositions 1 and 2.
    """
    check_same_shape("similarity_y", similarity_y, "similarity_z", similarity_z)
    return xp.mean(xp.abs(similarity_z - similarity_y))


def read_back(z: jax.Array, y: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """The in-sample affine read-out of z from y, for figures.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        z_hat, `[samples, n]`; a NumPy array where z or y is a float64 one.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> bool(jnp.allclose(read_back(z, 3 * z + 1), z, atol=1e-4))
        True

    Source: least squares.
    """
    if xp is jnp and on_host(z, y):
        xp = np
    _, scaled = both(z, y, xp)
    held: Any = xp.asarray(z, scaled.dtype)
    return fit_affine(scaled, held, xp=xp)(scaled)
