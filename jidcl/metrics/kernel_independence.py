"""Kernel tests of (conditional) independence: KCI and HSIC.

`[..., samples, columns]` as in `independence`, in float64: the solve of the
conditional test has a condition number up to samples / EPSILON. Data sets go through
one after another, so memory holds the matrices of one of them.

The conditional test has four forms:

| form | its matrices | cost | p-value |
|---|---|---|---|
| exact | one Cholesky solve | n^3 | the definition |
| fourier | y and z by Fourier sums, exact to rounding | n^2 | the same to 1e-9 |
| truncated | eigenvectors above 1e-5 of the largest, as first published | n^3 | 2e-5 |
| low_rank | Nystroem features of `rank` rows | n rank^2 + n^2 rank | approximate |
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaincc

from jidcl.checks import check_choice, check_count
from jidcl.metrics.columns import dot
from jidcl.metrics.independence import check_samples, in_float64
from jidcl.metrics.positive import cholesky, inverse
from jidcl.numerics import one_by_one

FORMS = ("exact", "fourier", "truncated", "low_rank")
EPSILON = 1e-3  # ridge of the regression on z
CUT = 1e-5  # of the largest eigenvalue, in the truncated form
LEAST = 6  # samples
BLOCKS = 4  # of rows, where a symmetric product is made by its lower blocks
FREQUENCIES = 64  # of a Fourier sum; twice as many columns
_REACH = 8.5  # standard deviations beyond which a normal density is 0 to rounding
_WIDTHS = {"one": (0.8, 0.5, 0.3), "given": (1.2, 0.7, 0.4)}  # n < 200, < 1200, more


class KernelTest(NamedTuple):
    """A kernel test with the moments of its gamma null, `[...]` each.

    Attributes:
        statistic: sum of the product of two centred Gram matrices.
        p: upper tail of the gamma law of those moments.
        mean: of the statistic under independence.
        variance: of the statistic under independence.
        rank_x: eigenvectors of the x matrix that the null uses; samples where all.
        rank_y: the same of y.

    Example:
        >>> KernelTest(1.0, 0.5, 1.0, 1.0, 9, 9).p
        0.5

    Source: Zhang, Peters, Janzing, Schoelkopf 2011.
    """

    statistic: jax.Array
    p: jax.Array
    mean: jax.Array
    variance: jax.Array
    rank_x: jax.Array
    rank_y: jax.Array


def kci_unconditional(x: jax.Array, y: jax.Array) -> KernelTest:
    """KCI without a condition: x independent of y.

    Columns are standardised, Gram matrices exp(-d^2 gamma / 2) centred, gamma =
    columns / w^2 with w = 0.8, 0.5, 0.3 for n < 200, < 1200 and from there.
    V = sum Kx Ky; the null has mean tr Kx tr Ky / n and variance
    2 |Kx|^2 |Ky|^2 / n^2.

    Args:
        x: `[..., samples, columns]`.
        y: `[..., samples, columns]`.

    Returns:
        `KernelTest`, `[...]`.

    Raises:
        ValueError: on other shapes, fewer than 6 samples, NaN or a constant column.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (80, 1))
        >>> bool(kci_unconditional(x, x**2).p < 1e-3)
        True

    Source: Zhang, Peters, Janzing, Schoelkopf 2011, with the empirical widths of
    causal-learn.
    """
    check_samples(LEAST, x=x, y=y)
    return _unconditional(x, y)


def kci_conditional(
    x: jax.Array, y: jax.Array, z: jax.Array, *, form: str = "exact", rank: int = 64
) -> KernelTest:
    """KCI: x independent of y given z. Exchanging x and y changes p in its digits.

    Columns are standardised; gamma = 1 / (w^2 columns of z) for all kernels, w = 1.2,
    0.7, 0.4 for n < 200, < 1200 and from there. R = e (Kz + e I)^-1, e = 1e-3;
    K1 = R K[x, z / 2] R, K2 = R Ky R, V = sum K1 K2. With P = K1 K2 entry by entry the
    null has mean tr P and variance 2 sum P^2.

    Args:
        x: `[..., samples, columns]`; z is joined to it, not to y.
        y: `[..., samples, columns]`.
        z: `[..., samples, columns]`.
        form: one of `FORMS`, see the module; "fourier" needs y and z of one column.
        rank: rows that "low_rank" takes its features from, at most `samples`.

    Returns:
        `KernelTest`, `[...]`.

    Raises:
        ValueError: on other shapes, fewer than 6 samples, NaN, a constant column or an
            unknown form.

    Example:
        >>> z, u = jax.random.normal(jax.random.key(0), (2, 80, 1))
        >>> bool(kci_conditional(z + u, z - u, z).p < 1e-3)
        True

    Source: Zhang, Peters, Janzing, Schoelkopf 2011, with the empirical widths of
    causal-learn.
    """
    check_choice("form", form, FORMS)
    check_count("rank", rank)
    check_samples(LEAST, x=x, y=y, z=z)
    if form == "fourier":
        for name, array in (("y", y), ("z", z)):
            if array.shape[-1] != 1:
                raise ValueError(
                    f"{name} must have one column for form 'fourier', got "
                    f"{array.shape[-1]}"
                )
    return _conditional(x, y, z, form=form, rank=rank)


def hsic(x: jax.Array, y: jax.Array) -> KernelTest:
    """HSIC, tr(K H L H) / n^2, of Gaussian kernels exp(-d^2 / l^2).

    l is the lower median of the distances of all pairs of rows. The null is the gamma
    law of `kci_unconditional`, for these kernels.

    Args:
        x: `[..., samples, columns]`.
        y: `[..., samples, columns]`.

    Returns:
        `KernelTest`, `[...]`.

    Raises:
        ValueError: on other shapes, fewer than 6 samples, NaN or a constant column.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (80, 1))
        >>> bool(hsic(x, x**2).p < 1e-3)
        True

    Source: Gretton, Bousquet, Smola, Schoelkopf 2005.
    """
    check_samples(LEAST, x=x, y=y)
    return _hsic(x, y)


# Each form for one data set -----------------------------------------------------------


def _each(one: Any, *arrays: Any) -> KernelTest:
    """`one` of each data set, one after another; the tail of all of them at once."""
    lead = arrays[0].shape[:-2]
    flat = [jnp.asarray(a, float).reshape(-1, *a.shape[-2:]) for a in arrays]
    found = jax.lax.map(lambda held: one(*held), tuple(flat))
    return _result(*(jnp.reshape(a, lead) for a in found))


@in_float64
def _unconditional(x: Any, y: Any) -> KernelTest:
    def one(x, y):
        scale = _width(len(x), "one") ** 2
        a, b = (_gram(_standard(v), v.shape[-1] / scale) for v in (x, y))
        return _without_condition(_centred(a), _centred(b))

    return _each(one, x, y)


@in_float64
def _hsic(x: Any, y: Any) -> KernelTest:
    def one(x, y):
        n = len(x)
        grams = [_gram(v, 2 / median_distance(v) ** 2) for v in (x, y)]
        statistic, mean, variance, *ranks = _without_condition(*map(_centred, grams))
        return statistic / n**2, mean / n**2, variance / n**4, *ranks

    return _each(one, x, y)


def _without_condition(a: jax.Array, b: jax.Array) -> tuple[Any, ...]:
    """Statistic, mean and variance under independence, and the ranks."""
    n = len(a)
    mean = jnp.trace(a) * jnp.trace(b) / n
    variance = 2 * jnp.sum(a * a) * jnp.sum(b * b) / n**2
    return jnp.sum(a * b), mean, variance, jnp.asarray(n), jnp.asarray(n)


@in_float64
def _conditional(x: Any, y: Any, z: Any, *, form: str, rank: int) -> KernelTest:
    find = {"fourier": _fourier, "low_rank": _low_rank}.get(form, _solved)

    def one(x, y, z):
        n, dz = z.shape
        x, y, z = map(_standard, (x, y, z))
        gamma = 1 / (_width(n, "given") ** 2 * dz)
        both = jnp.concatenate([x, 0.5 * z], axis=-1)
        ranks = jnp.asarray(n), jnp.asarray(n)
        if form == "exact":
            return *_in_blocks(*_half_solved(both, y, z, gamma)), *ranks
        k1, k2 = find(both, y, z, gamma, rank)
        statistic = jnp.sum(k1 * k2)
        if form == "truncated":
            (k1, rank_x), (k2, rank_y) = _truncated(k1), _truncated(k2)
            ranks = rank_x, rank_y
        product = k1 * k2
        return statistic, jnp.trace(product), 2 * jnp.sum(product**2), *ranks

    return _each(one, x, y, z)


def _half_solved(x: Any, y: Any, z: Any, gamma: Any) -> tuple[Any, Any, Any]:
    """R Kx, R Ky and R."""
    r = EPSILON * inverse(_centred(_gram(z, gamma)) + EPSILON * jnp.eye(len(z)))
    kx, ky = (_centred(_gram(v, gamma)) for v in (x, y))
    return dot(r, kx), dot(r, ky), r


def _solved(x: Any, y: Any, z: Any, gamma: Any, rank: int) -> tuple[Any, Any]:
    left, right, r = _half_solved(x, y, z, gamma)
    return dot(left, r), dot(right, r)


def _in_blocks(a: Any, b: Any, r: Any) -> tuple[Any, Any, Any]:
    """Sum and trace of P, the product of a r and b r entry by entry, and 2 sum P^2.

    P is symmetric: blocks above the diagonal count twice in place of being computed.
    """
    cuts = [len(r) * i // BLOCKS for i in range(BLOCKS + 1)]
    parts = [slice(*ends) for ends in itertools.pairwise(cuts)]
    total = trace = squares = jnp.zeros(())
    for i, j in itertools.combinations_with_replacement(range(BLOCKS), 2):
        p = dot(a[parts[j]], r[:, parts[i]]) * dot(b[parts[j]], r[:, parts[i]])
        count = 1 if i == j else 2
        total, squares = total + count * jnp.sum(p), squares + count * jnp.sum(p**2)
        trace = trace + jnp.trace(p) if i == j else trace
    return total, trace, 2 * squares


def _fourier(x: Any, y: Any, z: Any, gamma: Any, rank: int) -> tuple[Any, Any]:
    """R K R = K - G F^T - F G^T with Kz = F F^T, and Ky = E E^T."""
    e, f = (_waves(v[:, 0], gamma) for v in (y, z))
    inner = inverse(dot(f.T, f) + EPSILON * jnp.eye(f.shape[1]))
    k = _centred(_gram(x, gamma))
    kf = dot(k, f)
    g = dot(kf, inner)
    g = g - dot(f, dot(inner, dot(dot(f.T, kf), inner))) / 2
    half = dot(g, f.T)
    e = e - dot(f, dot(inner, dot(f.T, e)))
    return k - half - half.T, dot(e, e.T)


def _low_rank(x: Any, y: Any, z: Any, gamma: Any, rank: int) -> tuple[Any, Any]:
    d, e, f = _features((x, y, z), gamma, min(rank, len(z)))
    inner = inverse(dot(f.T, f) + EPSILON * jnp.eye(f.shape[1]))
    both = jnp.concatenate([d, e], axis=1)
    both = both - dot(f, dot(inner, dot(f.T, both)))
    d, e = jnp.split(both, 2, axis=1)
    return dot(d, d.T), dot(e, e.T)


# Kernels ------------------------------------------------------------------------------


def _width(n: int, kind: str) -> float:
    small, middle, large = _WIDTHS[kind]
    return small if n < 200 else middle if n < 1200 else large


def _standard(x: jax.Array) -> jax.Array:
    """Mean 0 and variance 1 (divisor n - 1); 0 where constant."""
    x = x - jnp.mean(x, axis=0, keepdims=True)
    std = jnp.sqrt(jnp.sum(x**2, axis=0, keepdims=True) / (len(x) - 1))
    return x / jnp.where(std > 0, std, 1)


def _gram(x: jax.Array, gamma: Any) -> jax.Array:
    return jnp.exp(-0.5 * gamma * _squares(x, x))


def _squares(a: jax.Array, b: jax.Array) -> jax.Array:
    """Squared distances of rows: differences, so none is negative."""
    pairs = ((a[:, None, j] - b[None, :, j]) ** 2 for j in range(a.shape[1]))
    return sum(pairs)  # type: ignore[return-value]


def _centred(k: jax.Array) -> jax.Array:
    means = jnp.mean(k, axis=0)
    return k - means[None, :] - means[:, None] + jnp.mean(means)


def median_distance(x: jax.Array) -> jax.Array:
    """Lower median of the distances of different rows; 1 where it is 0.

    Args:
        x: `[samples >= 2, columns]`.

    Returns:
        A scalar.

    Example:
        >>> float(median_distance(jnp.array([[0.0], [1.0], [3.0]])))
        2.0

    Source: Gretton, Bousquet, Smola, Schoelkopf 2005, the usual width of `hsic`.
    """
    upper = np.triu_indices(len(x), 1)
    found = jnp.sort(jnp.sqrt(_squares(x, x)[upper]))[(len(upper[0]) - 1) // 2]
    return jnp.where(found > 0, found, 1)


def _waves(x: jax.Array, gamma: Any) -> jax.Array:
    """Centred F, `[n, 2 FREQUENCIES]`, with F F^T the centred Gram matrix of numbers.

    exp(-t^2 / 2) is the trapezoid sum of cos(w t) under a normal density: its images
    lie 2 pi / step away, beyond what any two of these numbers differ by.
    """
    x = x * jnp.sqrt(gamma)
    step = 2 * np.pi / (jnp.max(x) - jnp.min(x) + _REACH)
    w = step * jnp.arange(1.0, FREQUENCIES + 1)[None, :]
    weight = jnp.sqrt(2 * step / np.sqrt(2 * np.pi) * jnp.exp(-(w**2) / 2))
    angle = x[:, None] * w
    f = jnp.concatenate([jnp.cos(angle) * weight, jnp.sin(angle) * weight], axis=1)
    return f - jnp.mean(f, axis=0, keepdims=True)


def _features(columns: Any, gamma: Any, rank: int) -> list[jax.Array]:
    """Centred Nystroem features of evenly spaced rows, of several variables."""
    rows = np.linspace(0, len(columns[0]) - 1, rank).round().astype(int)
    inner = jnp.stack([_gram(v[rows], gamma) for v in columns])
    roots = jax.vmap(cholesky)(inner + 1e-8 * jnp.eye(rank)[None])[1]
    found = []
    for v, root in zip(columns, roots, strict=True):
        f = dot(jnp.exp(-0.5 * gamma * _squares(v, v[rows])), root.T)
        found.append(f - jnp.mean(f, axis=0, keepdims=True))
    return found


@one_by_one
def _truncated(k: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A matrix without its small eigenvalues, and how many are left."""
    values, vectors = jnp.linalg.eigh((k + k.T) / 2)
    held = values > CUT * values[-1]
    scaled = vectors * jnp.where(held, values, 0)[None, :]
    return jnp.matmul(scaled, vectors.T), jnp.sum(held)


def _result(
    statistic: Any, mean: Any, variance: Any, rank_x: Any, rank_y: Any
) -> KernelTest:
    """With the gamma tail; p = 1 where nothing varies, as in a constant column."""
    flat = ~(variance > 0)
    variance_, mean_ = jnp.where(flat, 1, variance), jnp.where(flat, 1, mean)
    shape, scale = mean_**2 / variance_, variance_ / mean_
    p = gammaincc(shape, jnp.maximum(statistic, 0) / scale)
    nan = jnp.isnan(variance)
    p = jnp.where(nan, jnp.nan, jnp.where(flat, 1.0, p))
    count = [jnp.asarray(rank, float) for rank in (rank_x, rank_y)]
    return KernelTest(statistic, p, mean, variance, *count)
