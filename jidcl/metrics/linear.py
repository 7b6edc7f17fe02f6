"""What linear identifiability looks like: the fitted map, its scale, tied heads.

Reizinger et al. 2024: features h = A z, and classifier rows that are an affine image of
the cluster vectors; rows of one class collapse to one point.
"""

from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_count,
    check_rows,
    check_same_rows,
    check_scalar,
)
from jidcl.metrics.columns import (
    affine_parts,
    dot,
    host_first,
    largest_of,
)
from jidcl.numerics import (
    of_finite,
)


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


@host_first
def linear_map(
    y: jax.Array,
    z: jax.Array,
    *,
    intercept: bool = True,
    split: bool = False,
    xp: ModuleType = jnp,
) -> LinearMap:
    """The least-squares map z ~ y @ weights + shift.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: fit the shift; otherwise it is 0.
        split: fit on the first half of the samples.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

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
    mean, std, z_mean, weights = affine_parts(y, z, intercept=intercept, xp=xp)
    # Not the predictions of a basis: beside a large mean these have no digits.
    shift = z_mean - dot(mean / std, weights, xp)
    return LinearMap(weights / std.T, shift[0])


@host_first
def scale_error(
    y: jax.Array, z: jax.Array, scale: jax.Array | float, *, xp: ModuleType = jnp
) -> ScaleError:
    """Singular values of the map z ~ y A, fitted without intercept on all samples.

    In case C3 (rows of W on the sphere) y = kappa O z, so the map from features to
    latents has singular values 1 / kappa, and that from rows to cluster vectors 1.

    Args:
        y: features or classifier rows, `[samples, m]`.
        z: latents or cluster vectors, `[samples, n]`.
        scale: kappa for latents, 1 for cluster vectors; > 0.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

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
    weights = linear_map(y, z, intercept=False, xp=xp).weights
    values = of_finite(lambda a: xp.linalg.svd(a, compute_uv=False), weights, xp)
    mean = xp.mean(xp.abs(values - 1 / scale))
    return ScaleError(mean, scale * mean, values)


@host_first
def row_collapse(w: jax.Array, clusters: int, *, xp: ModuleType = jnp) -> Collapse:
    """Variance of rows within their classes, row i belonging to class i mod clusters.

    Args:
        w: classifier rows, `[rows >= clusters, m]`.
        clusters: number of classes.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

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
    label = np.arange(w.shape[0]) % clusters
    counts = np.bincount(label, minlength=clusters).astype(w.dtype)
    centre = xp.mean(w, axis=0, keepdims=True)
    w = w - centre
    if xp is np:
        sums = np.zeros((clusters, w.shape[1]), w.dtype)
        np.add.at(sums, label, w)
    else:
        sums = jax.ops.segment_sum(w, label, clusters)
    means = sums / counts[:, None]
    size = largest_of(w, xp)  # the ratio depends on no scale
    within, total = (
        xp.mean(xp.sum((part / size) ** 2, axis=1)) for part in (w - means[label], w)
    )
    ratio = within / xp.where(total == 0, 1, total)
    return Collapse(ratio, within * size * size, total * size * size, centre + means)


@host_first
def tied_kappa(
    z: jax.Array,
    h: jax.Array,
    v: jax.Array,
    w: jax.Array,
    *,
    beta: jax.Array | float = 1.0,
    xp: ModuleType = jnp,
) -> TiedMaps:
    """kappa from a trained model: at the optimum beta M^T P = kappa I.

    M and P are the least-squares maps h ~ M z + b and w ~ P v + psi.

    Args:
        z: latents, `[samples, n]`.
        h: their features, `[samples, m]`.
        v: the cluster vector of every row of W, `[rows, n]`.
        w: classifier rows, `[rows, m]`.
        beta: inverse temperature of the model.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

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
    m, p = (linear_map(*pair, xp=xp).weights for pair in ((z, h), (v, w)))
    sizes = [largest_of(part, xp) for part in (m, p)]  # their product may overflow
    product = dot(m / sizes[0], (p / sizes[1]).T, xp)
    n = product.shape[0]
    kappa = xp.trace(product) / n
    off = product / kappa - xp.eye(n, dtype=product.dtype)
    kappa = beta * kappa * sizes[0] * sizes[1]
    return TiedMaps(kappa, xp.sqrt(xp.sum(off**2) / n))
