"""How much of z a representation y holds: R2, MCC, Procrustes, isometry error.

Every function takes plain NumPy or JAX arrays `[samples, dimensions]`, and works under
`jit` and `vmap`. A NaN anywhere in a column makes the scores that use it NaN. State
with a score on which samples it was fitted.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax.assignment

from jidcl.checks import check_at_least, check_rows
from jidcl.numerics import at_least_float32, safe_norm, safe_root


class R2(NamedTuple):
    """Coefficient of determination: mean, adjusted mean, and per latent `[n]`."""

    mean: jax.Array
    adjusted: jax.Array
    per_dim: jax.Array


class Mcc(NamedTuple):
    """Mean correlation coefficient and what it was read from.

    Attributes:
        mean: mean |correlation| over the latents.
        per_dim: |correlation| of each latent with its assigned output, `[n]`.
        columns: the output assigned to each latent, `[n]`.
        matrix: signed correlations, `[n, m]`.
    """

    mean: jax.Array
    per_dim: jax.Array
    columns: jax.Array
    matrix: jax.Array


def r2(
    z: jax.Array, y: jax.Array, *, split: bool = False, intercept: bool = True
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
    z, y = _both(z, y)
    samples = z.shape[0]
    if samples <= y.shape[1] * (2 if split else 1):
        warnings.warn(
            f"R2 from {samples} samples of {y.shape[1]} dimensions is not a score",
            stacklevel=2,
        )
    half = samples // 2
    z = _standardised(z) if intercept else z / _moments(z)[1]
    z_fit, y_fit = (z[:half], y[:half]) if split else (z, y)
    z_score, y_score = (z[half:], y[half:]) if split else (z, y)
    predicted = fit_affine(y_fit, z_fit, intercept=intercept)(y_score)
    left, varies = z_score - predicted, jnp.isfinite(_moments(z_score)[1][0])
    total = jnp.sum(_centred(z_score) ** 2, axis=0)
    missed = jnp.sum(left**2, axis=0) / jnp.where(varies, total, 1)
    # A constant latent scores 0; where a sum is NaN, so is the score.
    per_dim = jnp.where(varies | jnp.isnan(missed), 1 - missed, 0)
    mean = jnp.mean(per_dim)
    scored = z_score.shape[0]
    adjusted = 1 - (1 - mean) * (scored - 1) / max(scored - z.shape[1] - 1, 1)
    return R2(mean, adjusted, per_dim)


def linear_pearson(z: jax.Array, y: jax.Array) -> jax.Array:
    """Mean |Pearson correlation| of each latent with its own in-sample linear fit."""
    z, y = _both(z, y)
    predicted = fit_affine(y, z)(y)
    return jnp.mean(jnp.abs(_correlate_columns(z, predicted)))


def mcc(z: jax.Array, y: jax.Array, *, spearman: bool = False) -> Mcc:
    """Mean correlation coefficient: identifiability up to permutation and rescaling.

    max over assignments pi of mean_j |corr(z_j, y_pi(j))|.

    Args:
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`, m >= n.
        spearman: rank correlation (average ranks for ties) instead of Pearson.

    Returns:
        `Mcc(mean, per_dim, columns, matrix)`. A constant column correlates 0.

    Raises:
        ValueError: on wrong shapes, or m < n.

    Example:
        >>> z = jax.random.uniform(jax.random.key(0), (100, 3))
        >>> float(mcc(z, -2 * z[:, ::-1]).mean.round(5))
        1.0

    Notes:
        The assignment maximises the sum of absolute correlations, inside jit
        (`optax.assignment.hungarian_algorithm`). No split: nothing is fitted.
    """
    z, y = _both(z, y)
    check_at_least("number of outputs (columns of y)", y.shape[1], z.shape[1])
    matrix = correlation_matrix(z, y, spearman=spearman)
    score = jnp.abs(matrix)
    columns, _ = assign(score)
    per_dim = jnp.take_along_axis(score, columns[:, None], axis=1)[:, 0]
    per_dim = jnp.where(jnp.isnan(score).any(), jnp.nan, per_dim)
    return Mcc(jnp.mean(per_dim), per_dim, columns, matrix)


def correlation_matrix(z: jax.Array, y: jax.Array, *, spearman: bool = False):
    """Correlations of every column of z with every column of y, `[n, m]`."""
    z, y = _both(z, y)
    if spearman:
        z, y = _ranks(z), _ranks(y)
    z, y = _standardised(z), _standardised(y)
    return _dot(z.T, y) / z.shape[0]


def assign(score: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Assignment of rows to distinct columns with the largest total score.

    Args:
        score: `[n, m]`, m >= n.

    Returns:
        `(columns [n], total [])`.
    """
    rows, columns = optax.assignment.hungarian_algorithm(-score)
    columns = columns[jnp.argsort(rows)]
    total = jnp.sum(jnp.take_along_axis(score, columns[:, None], axis=1))
    return columns, total


def procrustes_error(z: jax.Array, y: jax.Array) -> jax.Array:
    """Residual of the best similarity map, min ||c y Q + b - z||^2 / ||z - mean||^2.

    0 when y is z rotated or reflected, scaled and shifted; 1 when unrelated.

    Args:
        z: `[samples, n]`.
        y: `[samples, n]`.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: on different shapes.
    """
    z, y = _both(z, y, common=True)
    if z.shape != y.shape:
        raise ValueError(f"y must have shape {list(z.shape)}, got {list(y.shape)}")
    product = _dot(_unit_total(z).T, _unit_total(y))
    explained = jnp.sum(jnp.linalg.svd(product, compute_uv=False)) ** 2
    return jnp.maximum(1 - explained, 0)


def isometry_error(similarity_z: jax.Array, similarity_y: jax.Array) -> jax.Array:
    """Mean |s_z - s_y| of matched pairs: the proofs' intermediate step.

    On the sphere s_z = kappa z.z_pos and s_y = y.y_pos / tau; on a convex body the
    negative p-norms. It is 0 for every minimiser of the matched cross-entropy.

    Args:
        similarity_z: `[pairs]`, similarity of the latents over its own temperature.
        similarity_y: `[pairs]`, similarity of their representations over tau.

    Returns:
        A scalar, in nats.

    Source: Zimmermann et al. 2021, propositions 1 and 2.
    """
    return jnp.mean(jnp.abs(similarity_z - similarity_y))


def read_back(z: jax.Array, y: jax.Array) -> jax.Array:
    """z_hat: the in-sample affine read-out of z from y, `[samples, n]` (plots)."""
    _, scaled = _both(z, y)
    z = jnp.asarray(z, scaled.dtype)
    return fit_affine(scaled, z)(scaled)


def bootstrap_interval(
    key: jax.Array,
    score: Callable[[jax.Array, jax.Array], jax.Array],
    z: jax.Array,
    y: jax.Array,
    *,
    level: float = 0.95,
    resamples: int = 200,
) -> tuple[jax.Array, jax.Array]:
    """Percentile bootstrap interval of a score over resampled pairs of rows.

    Args:
        key: a typed key.
        score: `(z, y) -> scalar`, for example `lambda z, y: mcc(z, y).mean`.
        z: `[samples, n]`.
        y: `[samples, m]`.
        level: coverage in (0, 1).
        resamples: number of resamples, >= 2, run one after another on the device.

    Returns:
        `(low, high)`.

    Raises:
        ValueError: on a level outside of (0, 1) or fewer than two resamples.
    """
    z, y = _both(z, y)
    check_at_least("resamples", resamples, 2)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")

    def one(key):
        rows = jax.random.randint(key, (z.shape[0],), 0, z.shape[0])
        return score(z[rows], y[rows])

    scores = jax.lax.map(one, jax.random.split(key, resamples))
    tail = (1 - level) / 2
    return jnp.quantile(scores, tail), jnp.quantile(scores, 1 - tail)


def _both(z, y, *, common: bool = False) -> tuple[jax.Array, jax.Array]:
    check_rows("z", z, 2)
    check_rows("y", y, 2)
    if z.shape[0] != y.shape[0]:
        raise ValueError(
            f"z and y must have the same number of rows, got {z.shape[0]} and "
            f"{y.shape[0]}"
        )
    z, y = _rounded(z, common), _rounded(y, common)
    dtype = at_least_float32(z.dtype, y.dtype)
    return z.astype(dtype), y.astype(dtype)


def _rounded(x, common: bool) -> jax.Array:
    """A JAX array; float64 NumPy columns are centred and scaled before rounding.

    No score depends on either, and in float32 a large offset would leave no digits.
    """
    narrow = jnp.result_type(float) != np.float64
    if narrow and isinstance(x, np.ndarray) and x.dtype == np.float64:
        x = x - x.mean(axis=0, keepdims=True)
        largest = np.abs(x).max(axis=None if common else 0)
        x = (x / np.where(largest > 0, largest, 1)).astype(np.float32)
    return jnp.asarray(x)


def _centred(x: jax.Array) -> jax.Array:
    return x - jnp.mean(x, axis=0, keepdims=True)


def _moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each column, `[1, n]`; constant: infinity.

    Columns of any scale: squares neither overflow nor underflow.
    """
    mean = jnp.mean(x, axis=0, keepdims=True)
    mean = mean + jnp.mean(x - mean, axis=0, keepdims=True)
    largest = jnp.max(jnp.abs(x - mean), axis=0, keepdims=True)
    relative = (x - mean) / jnp.where(largest > 0, largest, 1)
    std = largest * safe_root(jnp.mean(relative**2, axis=0, keepdims=True), 2.0)
    # Rounding leaves a constant column with a tiny, meaningless spread.
    noise = 2 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, keepdims=True)
    return mean, jnp.where(std <= noise, jnp.inf, std)


def _standardised(x: jax.Array) -> jax.Array:
    """Columns of mean 0 and variance 1; 0 where constant."""
    mean, std = _moments(x)
    return (x - mean) / std


def _unit_total(x: jax.Array) -> jax.Array:
    """Centred, with Frobenius norm 1; 0 where every column is constant."""
    mean, std = _moments(x)
    x = jnp.where(jnp.isinf(std), 0, x - mean)
    largest = jnp.max(jnp.abs(x))
    x = x / jnp.where(largest > 0, largest, 1)
    norm = safe_norm(x.reshape(-1))
    return x / jnp.where(norm > 0, norm, 1)


def _correlate_columns(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.mean(_standardised(a) * _standardised(b), axis=0)


def fit_affine(
    y: jax.Array, z: jax.Array, *, intercept: bool = True
) -> Callable[[jax.Array], jax.Array]:
    """Least squares z ~ W y + b for columns of any scale and any rank: the predictor.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: whether b is fitted, or 0.

    Returns:
        A function `[rows, m] -> [rows, n]`.
    """
    mean, std = _moments(y)
    z_mean = jnp.mean(z, axis=0, keepdims=True)
    if not intercept:
        largest = jnp.max(jnp.abs(y), axis=0, keepdims=True)
        mean, std, z_mean = 0 * mean, jnp.where(largest > 0, largest, 1), 0 * z_mean
    q, t = _orthonormal((y - mean) / std)
    weights = _dot(t, _dot(q.T, z - z_mean))
    return lambda y: z_mean + _dot((y - mean) / std, weights)


def _orthonormal(y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Q with orthonormal columns (or 0) spanning y, and T with Q = y T.

    Gram-Schmidt, twice for each column; a column that the earlier ones explain to
    rounding becomes 0. Plain products, so it maps over seeds on every device.
    """
    samples, m = y.shape
    smallest = 10 * m * jnp.finfo(y.dtype).eps

    def add(carry, j):
        q, t = carry
        column, combination = y[:, j], jax.nn.one_hot(j, m, dtype=y.dtype)
        size = safe_norm(column)
        for _ in range(2):
            inside = _dot(q.T, column)
            column = column - _dot(q, inside)
            combination = combination - _dot(t, inside)
        rest = safe_norm(column)
        scale = jnp.where(rest > smallest * size, rest, jnp.inf)
        q, t = q.at[:, j].set(column / scale), t.at[:, j].set(combination / scale)
        return (q, t), None

    start = (jnp.zeros((samples, m), y.dtype), jnp.zeros((m, m), y.dtype))
    return jax.lax.scan(add, start, jnp.arange(m))[0]


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _ranks(x: jax.Array) -> jax.Array:
    """Average ranks of each column."""

    def column(v):
        ordered = jnp.sort(v)
        low = jnp.searchsorted(ordered, v, side="left")
        high = jnp.searchsorted(ordered, v, side="right")
        return jnp.where(jnp.isnan(v).any(), v, (low + high).astype(v.dtype) / 2)

    return jax.vmap(column, in_axes=1, out_axes=1)(x)
