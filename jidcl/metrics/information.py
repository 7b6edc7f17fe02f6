"""Scores by mutual information: MIG, and InfoM and InfoC with nearest neighbours.

Factors are split into bins of equal width, unless they are discrete: then their values
are the classes. In nats throughout.

Source: Chen et al. 2018 (MIG); Ross 2014 (neighbours); Hsu et al. 2023 (InfoMEC).
"""

from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma
from scipy.special import digamma as digamma_on_host

from jidcl.checks import (
    check_at_least,
    check_count,
    check_finite,
    check_float,
    check_rows,
    check_shape,
)
from jidcl.compiled import compiled
from jidcl.metrics.columns import both, host_first, standardised


class Mig(NamedTuple):
    """Mutual information gap, and what it was read from.

    Attributes:
        score: mean of `per_factor` over factors that vary.
        per_factor: (largest - second largest information) / entropy, `[d]`.
        information: of factor i and code j, `[d, m]`, nats.
        entropy: of the binned factors, `[d]`, nats.
    """

    score: jax.Array
    per_factor: jax.Array
    information: jax.Array
    entropy: jax.Array


@host_first
def mig(z: jax.Array, y: jax.Array, *, bins: int = 20, xp: ModuleType = jnp) -> Mig:
    """Mutual information gap of binned factors and codes.

    mean_i (I_1 - I_2) / H(z_i), I_1 and I_2 the two largest plug-in informations of
    factor i with a code, over bins of equal width from least to largest value.

    Args:
        z: factors, `[samples, d]`. With at most `bins` equally spaced levels a discrete
            factor keeps its levels.
        y: codes, `[samples, m]`.
        bins: number of bins.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `Mig`. One code: 0.

    Raises:
        ValueError: on wrong shapes, values that are not finite, or fewer than 2 bins.

    Example:
        >>> z = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> round(float(mig(z, z, bins=2).score), 4)
        1.0

    Source: Chen et al. 2018, with bins as Joshi et al. 2026.

    Notes:
        It is 1 for one code a factor in the limit of many rows, and not before: two
        independent columns have an information of about (bins - 1)^2 / (2 samples), so
        perfect codes score about 0.74 with 200 rows and 20 bins, 0.94 with 1000. It
        takes a factor that two codes share for entanglement.
    """
    check_count("bins", bins, 2)
    held = both(z, y, xp)
    check_finite("z", z)
    check_finite("y", y)
    return _mig(*held, bins=int(bins), xp=xp)


@compiled
def _mig(z, y, *, bins: int, xp: ModuleType) -> Mig:
    samples = z.shape[0]
    hot_z, hot_y = (_one_hot(binned(x, bins, xp), bins, x.dtype, xp) for x in (z, y))
    d, m = z.shape[1], y.shape[1]
    flat = [hot.reshape(samples, -1) for hot in (hot_z, hot_y)]
    joint = (flat[0].T @ flat[1]).reshape(d, bins, m, bins) / samples
    p_z, p_y = xp.mean(hot_z, axis=0), xp.mean(hot_y, axis=0)
    own = p_z[:, :, None, None] * p_y[None, None]
    ratio = xp.where(joint > 0, joint, 1) / xp.where(joint > 0, own, 1)
    information = xp.sum(joint * xp.log(ratio), axis=(1, 3))
    entropy = -xp.sum(p_z * xp.log(xp.where(p_z > 0, p_z, 1)), axis=1)
    varies = entropy > 4 * xp.finfo(z.dtype).eps
    if m == 1:
        gap = xp.zeros(d, z.dtype)
    else:
        ordered = xp.sort(information, axis=1)
        gap = ordered[:, -1] - ordered[:, -2]
    per_factor = xp.where(varies, gap / xp.where(varies, entropy, 1), 0)
    count = xp.maximum(xp.sum(varies.astype(z.dtype)), 1)
    score = xp.sum(per_factor) / count
    broken = xp.isnan(z).any() | xp.isnan(y).any()
    return Mig(xp.where(broken, xp.nan, score), per_factor, information, entropy)


def binned(x, bins: int, xp: ModuleType):
    """Labels 0 .. bins - 1 of each column, by bins of equal width over its range."""
    low = xp.min(x, axis=0, keepdims=True)
    width = xp.max(x, axis=0, keepdims=True) - low
    steps = xp.arange(1, bins, dtype=x.dtype) / bins
    edges = low[None] + width[None] * steps[:, None, None]  # inner left edges
    label = xp.sum(x[None] >= edges, axis=0)
    return xp.where(width > 0, label, 0)


def _one_hot(label, classes: int, dtype, xp: ModuleType):
    return (label[..., None] == xp.arange(classes)[None, None]).astype(dtype)


@host_first
def mi_knn(
    x: jax.Array, label: jax.Array, *, neighbours: int = 3, xp: ModuleType = jnp
) -> jax.Array:
    """Mutual information of a continuous column and classes, by nearest neighbours.

    psi(N) + mean psi(k_t) - mean psi(n_c) - mean psi(m_t): k_t = min(k, n_c - 1) for a
    row of a class of n_c, and m_t rows (itself counted) nearer than its k_t-th
    neighbour of its own class.

    Args:
        x: `[samples]`.
        label: the class of each row, any numbers, `[samples]`.
        neighbours: k.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, in nats; may be negative. Classes of one row are left out.

    Raises:
        ValueError: on other shapes, or values that are not finite.

    Example:
        >>> x = jnp.array([0.0, 0.1, 0.2, 5.0, 5.1, 5.2])
        >>> label = jnp.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
        >>> round(float(mi_knn(x, label, neighbours=2)), 2) > 0.6
        True

    Source: Ross 2014.

    Notes:
        For independent columns it is 0 on average. It wants more rows in every class
        than `neighbours`.
    """
    for name, array in (("x", x), ("label", label)):
        check_float(name, array)
        check_finite(name, array)
    check_rows("x", x[:, None] if getattr(x, "ndim", 0) == 1 else x, 2)
    check_shape("x", x, (x.size,))
    check_shape("label", label, x.shape)
    check_count("neighbours", neighbours)
    x = xp.asarray(x)
    label = xp.asarray(label)
    return _mi_knn(x - xp.mean(x), label, neighbours=int(neighbours), xp=xp)


@compiled
def _mi_knn(x, label, *, neighbours: int, xp: ModuleType):
    """Neighbours on a line lie in a window of neighbours + 1 of the sorted class."""
    samples, psi = x.shape[0], digamma_on_host if xp is np else digamma
    order = xp.lexsort((x, label))
    x, label = x[order], label[order]
    place = xp.arange(samples)
    first = xp.searchsorted(label, label, side="left").astype(place.dtype)
    last = xp.searchsorted(label, label, side="right").astype(place.dtype)
    size = last - first
    counted = size > 1
    k = xp.minimum(neighbours, size - 1)
    radius = xp.full(samples, xp.inf, x.dtype)
    for below in range(neighbours + 1):  # of them below, k - below above
        low, high = place - below, place + k - below
        inside = (low >= first) & (high < last) & (below <= k)
        low, high = (xp.clip(i, 0, samples - 1) for i in (low, high))
        reach = xp.maximum(x - x[low], x[high] - x)
        radius = xp.where(inside, xp.minimum(radius, reach), radius)
    ordered = xp.sort(xp.where(counted, x, xp.inf))
    # Strictly nearer. Differences are taken as above, so that ties stay ties.
    near = _strictly_nearer(ordered, x, radius, xp)
    share = counted.astype(x.dtype)
    total = xp.sum(share)
    parts = psi(xp.maximum(k, 1).astype(x.dtype)) - psi(size.astype(x.dtype))
    parts = parts - psi(xp.maximum(near, 1).astype(x.dtype))
    found = psi(xp.maximum(total, 1)) + xp.sum(share * parts) / xp.maximum(total, 1)
    return xp.where(total > 0, found, xp.zeros_like(found))


def _strictly_nearer(ordered, x, radius, xp: ModuleType):
    """How many of the sorted numbers lie less than a radius from each x."""
    low = xp.searchsorted(ordered, x - radius, side="left")
    high = xp.searchsorted(ordered, x + radius, side="right")
    top = ordered.shape[0] - 1
    for _ in range(2):  # rounding of x - radius moves an edge by a tie or two
        at = xp.clip(low, 0, top)
        low = xp.where((low <= top) & (x - ordered[at] >= radius), low + 1, low)
        at = xp.clip(high - 1, 0, top)
        high = xp.where((high > 0) & (ordered[at] - x >= radius), high - 1, high)
        at = xp.clip(low - 1, 0, top)
        low = xp.where((low > 0) & (x - ordered[at] < radius), low - 1, low)
        at = xp.clip(high, 0, top)
        high = xp.where((high <= top) & (ordered[at] - x < radius), high + 1, high)
    return high - low


class ModularityCompactness(NamedTuple):
    """Scores of a matrix of normalised informations.

    Attributes:
        modularity: 1 where every active code informs of one factor.
        compactness: 1 where every factor is in one active code.
    """

    modularity: jax.Array
    compactness: jax.Array


@host_first
def modularity_compactness(
    information: jax.Array, active: jax.Array | None = None, *, xp: ModuleType = jnp
) -> ModularityCompactness:
    """InfoM and InfoC of a matrix of normalised informations.

    InfoM = (mean_j max_i N_ij / sum_i N_ij - 1 / d) / (1 - 1 / d) over active codes of
    positive sum; InfoC the same over factors, with the number of active codes.

    Args:
        information: N in [0, 1], `[d, m]`.
        active: which codes count, 1 or 0, `[m]`; all when None.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `ModularityCompactness`. One factor, or one active code: 1; else 0 where there
        is no information at all.

    Raises:
        ValueError: on another shape, or entries that are negative or not finite.

    Example:
        >>> round(float(modularity_compactness(jnp.eye(3)).modularity), 4)
        1.0

    Source: Hsu et al. 2023.
    """
    check_rows("information", information)
    check_at_least("information", information, 0)
    check_finite("information", information)
    information = xp.asarray(information)
    if active is None:
        active = xp.ones(information.shape[1], information.dtype)
    check_float("active", active)
    check_finite("active", active)
    check_shape("active", active, information.shape[1:])
    on = xp.asarray(active).astype(information.dtype) > 0
    return _modularity_compactness(information, on, xp=xp)


@compiled
def _modularity_compactness(n, on, *, xp: ModuleType) -> ModularityCompactness:
    d = n.shape[0]
    top = xp.max(n)
    n = xp.where(on[None], n / xp.where(top > 0, top, 1), 0)

    def mean_share(x, classes):
        total = xp.sum(x, axis=0)
        counts = total > 0
        share = xp.max(x, axis=0) / xp.where(counts, total, 1)
        mean = xp.sum(xp.where(counts, share, 0)) / xp.maximum(
            xp.sum(counts.astype(n.dtype)), 1
        )
        least = 1 / xp.maximum(classes, 2)
        found = xp.where(counts.any(), (mean - least) / (1 - least), 0)
        return xp.where(classes > 1, found, xp.ones_like(mean))

    codes = xp.sum(on.astype(n.dtype))
    return ModularityCompactness(
        mean_share(n, xp.asarray(float(d), dtype=n.dtype)), mean_share(n.T, codes)
    )


class InfoMec(NamedTuple):
    """InfoM and InfoC of a representation, and what they were read from.

    Attributes:
        modularity: see `ModularityCompactness`.
        compactness: see `ModularityCompactness`.
        information: normalised, of factor i and code j, `[d, m]`.
        active: codes whose range is above a twentieth of the largest, `[m]`.
    """

    modularity: jax.Array
    compactness: jax.Array
    information: jax.Array
    active: jax.Array


@host_first
def info_mc(
    z: jax.Array,
    y: jax.Array,
    *,
    bins: int = 20,
    neighbours: int = 10,
    same_units: bool = False,
    xp: ModuleType = jnp,
) -> InfoMec:
    """InfoM and InfoC: informations by nearest neighbours of standardised codes.

    N_ij = clip(I(z_i; y_j) / H(z_i), 0, 1), factors in bins of equal width.

    Args:
        z: factors, `[samples, d]`; a discrete one with at most `bins` equally spaced
            levels keeps its levels.
        y: codes, `[samples, m]`.
        bins: of each factor.
        neighbours: of the estimate.
        same_units: leave out codes whose range is at most a twentieth of the largest,
            as published; otherwise all codes that vary count.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `InfoMec`.

    Raises:
        ValueError: on wrong shapes or values that are not finite.
        TypeError: on a `same_units` that is no bool.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (300, 2))
        >>> bool(info_mc(z, z, bins=8).modularity > 0.8)
        True

    Source: Hsu et al. 2023; Ross 2014.

    Notes:
        It is 1 for one code a factor, whatever the map, in the limit of many rows. By
        chance it is far from 0: informations of noise share unevenly, so independent
        codes score 0.35 to 0.95 with 200 rows and 5 factors. Correlated factors lower
        it though no code is entangled. It wants more rows in every bin than
        `neighbours`.
    """
    check_count("bins", bins, 2)
    check_count("neighbours", neighbours)
    held = both(z, y, xp)
    check_finite("z", z)
    check_finite("y", y)
    if not isinstance(same_units, bool):
        raise TypeError(f"same_units must be a bool, got {same_units!r}")
    given = jnp.asarray(y) if xp is jnp else np.asarray(y, np.float64)
    spread = xp.max(given, axis=0) - xp.min(given, axis=0)
    own = int(bins), int(neighbours), same_units
    return _info_mc(*held, spread, *own, xp=xp)


@compiled
def _info_mc(
    z, y, spread, bins: int, neighbours: int, same_units: bool, *, xp: ModuleType
) -> InfoMec:
    bin_of, codes = binned(z, bins, xp), standardised(y, xp)
    share = xp.mean(_one_hot(bin_of, bins, z.dtype, xp), axis=0)
    label = bin_of.astype(z.dtype)
    entropy = -xp.sum(share * xp.log(xp.where(share > 0, share, 1)), axis=1)

    def one(i, j):
        return _mi_knn(codes[:, j], label[:, i], neighbours=neighbours, xp=xp)

    d, m = z.shape[1], y.shape[1]
    pairs = [np.repeat(np.arange(d), m), np.tile(np.arange(m), d)]
    if xp is np:
        found = np.asarray([one(i, j) for i, j in zip(*pairs, strict=True)])
    else:
        found = jax.lax.map(lambda ij: one(*ij), tuple(map(jnp.asarray, pairs)))
    found = found.reshape(d, m) / xp.where(entropy > 0, entropy, xp.inf)[:, None]
    active = spread > (xp.max(spread) / 20 if same_units else 0)
    information = xp.clip(found, 0, 1)
    scores = _modularity_compactness(information, active, xp=xp)
    return InfoMec(*scores, information, active)
