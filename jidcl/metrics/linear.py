"""What linear identifiability looks like: the fitted map, its scale, tied heads.

Reizinger et al. 2024: features h = A z, and classifier rows that are an affine image of
the cluster vectors; rows of one class collapse to one point.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_count,
    check_rows,
    check_same_rows,
    check_scalar,
)
from jidcl.metrics.columns import fit_affine


class LinearMap(NamedTuple):
    """y -> y @ weights + shift; weights `[m, n]`, shift `[n]`."""

    weights: jax.Array
    shift: jax.Array


class ScaleError(NamedTuple):
    """How far the singular values of a map are from 1 / scale.

    Attributes:
        mean: mean_k |s_k - 1 / scale|, the published number.
        relative: mean_k |scale s_k - 1|.
        singular_values: largest first, `[min(m, n)]`.
    """

    mean: jax.Array
    relative: jax.Array
    singular_values: jax.Array


class Collapse(NamedTuple):
    """Variances of classifier rows, sums over features of mean squared deviations.

    Attributes:
        ratio: within / total; 0 when the rows of a class are equal.
        within: around the mean of the class.
        total: around the mean of all rows.
        means: mean row of each class, `[clusters, m]`.
    """

    ratio: jax.Array
    within: jax.Array
    total: jax.Array
    means: jax.Array


class TiedMaps(NamedTuple):
    """Head and feature maps of one model.

    Attributes:
        kappa: tr(M^T P) / n, an estimate of the concentration.
        deviation: ||M^T P / kappa - I||_F / sqrt(n); 0 when the maps are tied.
    """

    kappa: jax.Array
    deviation: jax.Array


def linear_map(
    y: jax.Array, z: jax.Array, *, intercept: bool = True, split: bool = False
) -> LinearMap:
    """The least-squares map z ~ y @ weights + shift.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: fit the shift; otherwise it is 0.
        split: fit on the first half of the samples.

    Returns:
        The weights and the shift.

    Example:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> fit = linear_map(y, 2 * y + 1)
        >>> round(float(fit.weights[0, 0]), 3), round(float(fit.shift[0]), 3)
        (2.0, 1.0)

    Source: Reizinger et al. 2024, published code.
    """
    check_rows("y", y, 2)
    check_rows("z", z, 2)
    check_same_rows("y", y, "z", z)
    if split:
        y, z = y[: len(y) // 2], z[: len(z) // 2]
    predict = fit_affine(y, z, intercept=intercept)
    basis = jnp.eye(y.shape[1], dtype=y.dtype)
    shift = predict(0 * basis[:1])
    return LinearMap(predict(basis) - shift, shift[0])


def scale_error(y: jax.Array, z: jax.Array, scale: jax.Array | float) -> ScaleError:
    """Singular values of the map z ~ y A, fitted without intercept on all samples.

    In case C3 (rows of W on the sphere) y = kappa O z, so the map from features to
    latents has singular values 1 / kappa, and that from rows to cluster vectors 1.

    Args:
        y: features or classifier rows, `[samples, m]`.
        z: latents or cluster vectors, `[samples, n]`.
        scale: kappa for latents, 1 for cluster vectors; > 0.

    Returns:
        `ScaleError`. Mind the unit: at kappa = 10 a mean of 0.01 is an error of 10 %.

    Example:
        >>> z = jnp.eye(3)
        >>> round(float(scale_error(4.0 * z, z, 4.0).mean), 5)
        0.0

    Source: Reizinger et al. 2024, Table 2, published code.
    """
    check_above("scale", scale, 0)
    check_scalar("scale", scale)
    weights = linear_map(y, z, intercept=False).weights
    values = jnp.linalg.svd(weights, compute_uv=False)
    mean = jnp.mean(jnp.abs(values - 1 / scale))
    return ScaleError(mean, scale * mean, values)


def row_collapse(w: jax.Array, clusters: int) -> Collapse:
    """Variance of rows within their classes, row i belonging to class i mod clusters.

    Args:
        w: classifier rows, `[rows >= clusters, m]`.
        clusters: number of classes.

    Returns:
        The variances and their ratio.

    Raises:
        ValueError: when a class would be empty.

    Example:
        >>> w = jnp.array([[1.0], [-1.0], [1.0], [-1.0]])
        >>> float(row_collapse(w, 2).ratio)
        0.0

    Source: Reizinger et al. 2024.
    """
    check_count("clusters", clusters)
    check_rows("w", w, clusters)
    label = jnp.arange(w.shape[0]) % clusters
    ones = jnp.ones_like(w[:, 0])
    counts = jax.ops.segment_sum(ones, label, clusters)
    means = jax.ops.segment_sum(w, label, clusters) / counts[:, None]
    within = jnp.mean(jnp.sum((w - means[label]) ** 2, axis=1))
    centre = jnp.mean(w, axis=0, keepdims=True)
    total = jnp.mean(jnp.sum((w - centre) ** 2, axis=1))
    ratio = within / jnp.where(total > 0, total, 1)
    return Collapse(ratio, within, total, means)


def tied_kappa(
    z: jax.Array,
    h: jax.Array,
    v: jax.Array,
    w: jax.Array,
    *,
    beta: jax.Array | float = 1.0,
) -> TiedMaps:
    """kappa from a trained model: at the optimum beta M^T P = kappa I.

    M and P are the least-squares maps h ~ M z + b and w ~ P v + psi.

    Args:
        z: latents, `[samples, n]`.
        h: their features, `[samples, m]`.
        v: the cluster vector of every row of W, `[rows, n]`.
        w: classifier rows, `[rows, m]`.
        beta: inverse temperature of the model.

    Returns:
        `TiedMaps`.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> maps = tied_kappa(z, z, z, 8.0 * z)  # features z, rows kappa v
        >>> round(float(maps.kappa), 3)
        8.0

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """
    for name, array in (("z", z), ("h", h), ("v", v), ("w", w)):
        check_rows(name, array, 2)
    check_same_rows("z", z, "h", h)
    check_same_rows("v", v, "w", w)
    check_rows("v", v, width=z.shape[1])
    check_rows("w", w, width=h.shape[1])
    check_scalar("beta", beta)
    maps = linear_map(z, h).weights, linear_map(v, w).weights
    product = beta * maps[0] @ maps[1].T
    n = product.shape[0]
    kappa = jnp.trace(product) / n
    off = product / kappa - jnp.eye(n, dtype=product.dtype)
    return TiedMaps(kappa, jnp.sqrt(jnp.sum(off**2) / n))
