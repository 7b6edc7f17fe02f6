"""Kernel tests of (conditional) independence: KCI and HSIC.

`[..., samples, columns]` as in `independence`, in float64: the solve of the
conditional test has a condition number up to samples / EPSILON. Data sets go through
one after another, so memory holds the matrices of one of them.

The conditional test has four forms:

| form | its matrices | cost | p-value |
|---|---|---|---|
| exact | factors of z and y, or a solve | n^2, or n^3 | the definition |
| fourier | y and z by Fourier sums, exact to rounding | n^2 | the same to 1e-9 |
| truncated | eigenvectors above 1e-5 of the largest, as first published | n^3 | 2e-5 |
| low_rank | Nystroem features of `rank` rows | n rank^2 + n^2 rank | approximate |

The exact form takes the factors of `jidcl.metrics.gram.factor` for y and z of one
column each. They leave 1e-10 of a trace, which changes R by at most 1e-7 in norm. R is
solved for where they would leave more, in small samples, and where z has more columns.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaincc

from jidcl.checks import check_choice, check_count
from jidcl.metrics.columns import dot
from jidcl.metrics.gram import (
    REST,
    centred,
    factor,
    features,
    gram,
    median_distance,
    standard,
    waves,
)
from jidcl.metrics.independence import check_samples, in_float64
from jidcl.metrics.positive import inverse
from jidcl.numerics import one_by_one

FORMS = ("exact", "fourier", "truncated", "low_rank")
EPSILON = 1e-3  # ridge of the regression on z
CUT = 1e-5  # of the largest eigenvalue, in the truncated form
LEAST = 6  # samples
BLOCKS, ROWS = 4, 250  # of a symmetric product that is made by its lower blocks
RANK = 32  # a factor of one column has this many columns over the kernel's width
_WIDTHS = {"one": (0.8, 0.5, 0.3), "given": (1.2, 0.7, 0.4)}  # n < 200, < 1200, more

Block = Callable[[slice, slice], jax.Array]  # of a matrix, by its rows and columns


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
        a, b = (gram(standard(v), v.shape[-1] / scale) for v in (x, y))
        return _without_condition(centred(a), centred(b))

    return _each(one, x, y)


@in_float64
def _hsic(x: Any, y: Any) -> KernelTest:
    def one(x, y):
        n = len(x)
        grams = [gram(v, 2 / median_distance(v) ** 2) for v in (x, y)]
        statistic, mean, variance, *ranks = _without_condition(*map(centred, grams))
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
    def one(x, y, z):
        n, dz = z.shape
        x, y, z = map(standard, (x, y, z))
        gamma = 1 / (_width(n, "given") ** 2 * dz)
        both = jnp.concatenate([x, 0.5 * z], axis=-1)
        ranks = jnp.asarray(n), jnp.asarray(n)
        if form == "exact":
            return *_exact(both, y, z, gamma), *ranks
        if form == "low_rank":
            return *_in_blocks(n, *_low_rank((both, y, z), gamma, rank)), *ranks
        if form == "fourier":
            e, f = (waves(v[:, 0], gamma) for v in (y, z))
            return *_in_blocks(n, *_by_factors(both, e, f, gamma)), *ranks
        every = slice(None), slice(None)
        k1, k2 = (k(*every) for k in _solved(both, y, z, gamma))
        statistic = jnp.sum(k1 * k2)
        (k1, rank_x), (k2, rank_y) = _truncated(k1), _truncated(k2)
        product = k1 * k2
        trace, squares = jnp.trace(product), jnp.sum(product**2)
        return statistic, trace, 2 * squares, rank_x, rank_y

    return _each(one, x, y, z)


# K1 and K2 are functions of rows and columns: blocks are made where they are used.


def _in_blocks(n: int, k1: Block, k2: Block) -> tuple[Any, Any, Any]:
    """Sum and trace of P, the product of K1 and K2 entry by entry, and 2 sum P^2.

    P is symmetric: blocks above the diagonal count twice in place of being computed.
    """
    count = min(max(n // ROWS, 1), BLOCKS)
    cuts = [n * i // count for i in range(count + 1)]
    parts = [slice(*ends) for ends in itertools.pairwise(cuts)]
    total = trace = squared = jnp.zeros(())
    for i, j in itertools.combinations_with_replacement(range(count), 2):
        p = k1(parts[j], parts[i]) * k2(parts[j], parts[i])
        times = 1 if i == j else 2
        total, squared = total + times * jnp.sum(p), squared + times * jnp.sum(p**2)
        trace = trace + jnp.trace(p) if i == j else trace
    return total, trace, 2 * squared


def _exact(x: Any, y: Any, z: Any, gamma: Any) -> tuple[Any, Any, Any]:
    """By factors of single columns where they leave nothing, otherwise by a solve."""
    n = len(z)
    most = math.ceil(RANK / _width(n, "given"))

    def solved():
        return _in_blocks(n, *_solved(x, y, z, gamma))

    if y.shape[1] > 1 or 4 * most > n:
        return solved()
    e, rest = factor(y, gamma, most)
    if z.shape[1] > 1:

        def factored():
            return _in_blocks(n, *_half_factored(x, e, z, gamma))
    else:
        f, rest_z = factor(z, gamma, most)
        rest = jnp.maximum(rest, rest_z)

        def factored():
            return _in_blocks(n, *_by_factors(x, e, f, gamma))

    return jax.lax.cond(rest <= REST, factored, solved)


def _residual(z: Any, gamma: Any) -> jax.Array:
    """R, `[n, n]`."""
    return EPSILON * inverse(centred(gram(z, gamma)) + EPSILON * jnp.eye(len(z)))


def _between(left: jax.Array, right: jax.Array) -> Block:
    """The matrix left right^T."""
    return lambda rows, columns: dot(left[rows], right[columns].T)


def _solved(x: Any, y: Any, z: Any, gamma: Any) -> tuple[Block, Block]:
    r = _residual(z, gamma)
    kx, ky = (dot(r, centred(gram(v, gamma))) for v in (x, y))
    return _between(kx, r), _between(ky, r)


def _half_factored(x: Any, e: Any, z: Any, gamma: Any) -> tuple[Block, Block]:
    """With Ky = E E^T."""
    r = _residual(z, gamma)
    e = dot(r, e)
    return _between(dot(r, centred(gram(x, gamma))), r), _between(e, e)


def _by_factors(x: Any, e: Any, f: Any, gamma: Any) -> tuple[Block, Block]:
    """R K R = H K H - G F^T - F G^T with Kz = F F^T, and Ky = E E^T.

    R = I - F A F^T with A = (F^T F + e I)^-1, so G = (H K F - F A F^T K F / 2) A. With
    m the row means of K less half of their mean, H K H = K - m 1^T - 1 m^T.
    """
    k, one = gram(x, gamma), jnp.ones((len(x), 1), x.dtype)
    inner = inverse(dot(f.T, f) + EPSILON * jnp.eye(f.shape[1]))
    with_f = dot(k, jnp.concatenate([f, one], axis=1))
    kf = with_f[:, :-1] - jnp.mean(with_f[:, :-1], axis=0, keepdims=True)
    m = with_f[:, -1:] / len(x)
    m = m - jnp.mean(m) / 2
    g = dot(kf - dot(f, dot(inner, dot(f.T, kf))) / 2, inner)
    left = jnp.concatenate([g, m, f, one], axis=1)
    right = jnp.concatenate([f, one, g, m], axis=1)
    e = e - dot(f, dot(inner, dot(f.T, e)))
    take = _between(left, right)
    return lambda rows, columns: k[rows, columns] - take(rows, columns), _between(e, e)


def _low_rank(columns: Any, gamma: Any, rank: int) -> tuple[Block, Block]:
    d, e, f = features(columns, gamma, min(rank, len(columns[0])))
    inner = inverse(dot(f.T, f) + EPSILON * jnp.eye(f.shape[1]))
    both = jnp.concatenate([d, e], axis=1)
    both = both - dot(f, dot(inner, dot(f.T, both)))
    d, e = jnp.split(both, 2, axis=1)
    return _between(d, d), _between(e, e)


def _width(n: int, kind: str) -> float:
    small, middle, large = _WIDTHS[kind]
    return small if n < 200 else middle if n < 1200 else large


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
