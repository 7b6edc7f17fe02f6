"""Columns of any scale and rank: moments, correlations, least squares.

Every function takes `xp`, the namespace that computes: `jax.numpy`, or `numpy` for
arrays on the host, where nothing is compiled. Scores of float64 NumPy arrays are
computed there in any case (`host_first`): rounded to float32, columns far from 0 would
lose their digits.
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from jidcl.checks import check_rows, check_same_rows, is_traced
from jidcl.compiled import compiled
from jidcl.metrics.cholesky import by_cholesky
from jidcl.numerics import at_least_float32, safe_root, unit

P = ParamSpec("P")
R = TypeVar("R")


def on_host(*values: Any) -> bool:
    """Whether arrays are better off with NumPy: float64 ones, in a float32 world.

    Args:
        *values: arrays and any others.

    Returns:
        True where one is a float64 NumPy array, none is traced and 64-bit types are
        off.

    Example:
        >>> on_host(np.zeros(3)), on_host(jnp.zeros(3))
        (True, False)
    """
    if any(map(is_traced, values)) or jnp.result_type(float) == np.float64:
        return False
    arrays = (value for value in values if isinstance(value, np.ndarray))
    return any(array.dtype.kind == "f" and array.itemsize == 8 for array in arrays)


def host_first(function: Callable[P, R]) -> Callable[P, R]:
    """A score that is computed with NumPy in float64 where its arrays are `on_host`.

    Args:
        function: takes arrays, and the namespace `xp` by name.

    Returns:
        The function, which returns JAX arrays of float32 in that case. With a given
        `xp` it is as it was.

    Example:
        >>> far = host_first(lambda y, *, xp=jnp: xp.var(y))
        >>> float(far(1e8 + np.array([-1.0, 1.0])))
        1.0
    """

    @functools.wraps(function)
    def score(*args: P.args, **settings: P.kwargs) -> R:
        given = settings.get("xp", jnp)
        if given is not jnp or not on_host(*args, *settings.values()):
            return function(*args, **settings)
        call: Any = function
        named = {name: _held(value) for name, value in settings.items()}
        with np.errstate(all="ignore"):  # what is not finite shows in the result
            found = call(*map(_held, args), **named | {"xp": np})
        return cast(R, jax.tree.map(_narrow, found))

    return score


def _held(value: Any) -> Any:
    """An array of JAX as one of NumPy; those of bfloat16 in float32."""
    if not isinstance(value, jax.Array) or is_traced(value):
        return value
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value
    narrow = value.dtype == jnp.bfloat16
    return np.asarray(value.astype(jnp.float32) if narrow else value)


def _narrow(value: Any) -> Any:
    """A number or an array of NumPy as one of JAX."""
    if not isinstance(value, np.ndarray | np.generic):
        return value
    with np.errstate(over="ignore"):  # what float32 does not hold is infinite
        return jnp.asarray(value.astype(np.float32) if value.dtype == float else value)


def widened(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """In float32 or wider; on the host in float64.

    There, a column that is constant to its own rounding is made constant.
    """
    if xp is jnp:
        return x.astype(at_least_float32(x.dtype))
    x = np.asarray(x)  # type: ignore[assignment]
    if x.dtype == np.float64:  # `moments` sees what is constant
        return x
    wide: Any = x.astype(np.float64)
    noise = 2 * float(jnp.finfo(x.dtype).eps) * np.abs(wide).max(axis=0)
    mean, std = moments(wide, np)
    return np.where(std <= noise, mean, wide)  # type: ignore[return-value]


def rounded(x: Any, *, common: bool = False) -> jax.Array:
    """A JAX array; float64 NumPy columns are centred and scaled before rounding.

    For scores that depend on neither; where `common`, all columns have one scale.
    """
    narrow = jnp.result_type(float) != np.float64
    if narrow and isinstance(x, np.ndarray) and x.dtype == np.float64:
        x = x - x.mean(axis=0, keepdims=True)
        largest = np.abs(x).max(axis=None if common else 0)
        x = (x / np.where(largest > 0, largest, 1)).astype(np.float32)
    return jnp.asarray(x)


def both(
    z, y, xp: ModuleType = jnp, *, common: bool = False
) -> tuple[jax.Array, jax.Array]:
    """z and y as a score takes them, after their checks, in float32 or wider.

    Args:
        z: `[samples, n]`.
        y: `[samples, m]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.
        common: whether the columns of float64 NumPy arrays keep their relative scale.

    Returns:
        `(z, y)`.

    Raises:
        ValueError: on wrong shapes or different numbers of samples.
    """
    check_rows("z", z, 2)
    check_rows("y", y, 2)
    check_same_rows("z", z, "y", y)
    if xp is np:
        return widened(z, np), widened(y, np)
    z, y = rounded(z, common=common), rounded(y, common=common)
    dtype = at_least_float32(z.dtype, y.dtype)
    return z.astype(dtype), y.astype(dtype)


def fit_affine(
    y: jax.Array, z: jax.Array, *, intercept: bool = True, xp: ModuleType = jnp
) -> Callable[[jax.Array], jax.Array]:
    """Least squares z ~ W y + b for columns of any scale and any rank: the predictor.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: whether b is fitted, or 0.
        xp: `jax.numpy`, or `numpy` for arrays on the host.

    Returns:
        A function `[rows, m] -> [rows, n]`. Where y or z is a float64 NumPy array (and
        64-bit types are off), it returns such arrays, in the digits of z.

    Raises:
        ValueError: on wrong shapes or different numbers of samples.

    Example:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> round(float(fit_affine(y, 2 * y + 1)(jnp.array([[3.0]]))[0, 0]), 3)
        7.0

    Source: least squares by Gram-Schmidt orthogonalisation, each column twice.
    """
    check_rows("y", y)
    check_rows("z", z)
    check_same_rows("y", y, "z", z)
    if xp is jnp and on_host(y, z):
        xp, y, z = np, widened(_held(y), np), widened(_held(z), np)
    mean, std, z_mean, weights = affine_parts(y, z, intercept=intercept, xp=xp)

    def predict(y: jax.Array) -> jax.Array:
        here = jnp if is_traced(y) else xp
        parts = mean, std, z_mean, weights
        if here is not xp:
            parts = tuple(jnp.asarray(part, y.dtype) for part in parts)
        elif xp is np:
            y = np.asarray(_held(y), np.float64)  # type: ignore[assignment]
        return parts[2] + dot((y - parts[0]) / parts[1], parts[3], here)

    return predict


def affine_parts(
    y: jax.Array, z: jax.Array, *, intercept: bool = True, xp: ModuleType = jnp
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """`fit_affine` as numbers: z ~ z_mean + ((y - mean) / std) weights.

    Args:
        y: `[samples, m]`.
        z: `[samples, n]`.
        intercept: whether one is fitted; otherwise both means are 0.
        xp: `jax.numpy`, or `numpy` for arrays on the host.

    Returns:
        `(mean [1, m], std [1, m], z_mean [1, n], weights [m, n])`; std is infinite
        where a column of y is constant.

    Example:
        >>> y = jnp.array([[0.0], [2.0]])
        >>> [round(float(part[0, 0]), 3) for part in affine_parts(y, 3 * y)]
        [1.0, 1.0, 3.0, 3.0]

    Source: least squares by Gram-Schmidt orthogonalisation, each column twice.
    """
    mean, std = moments(y, xp)
    z_mean = xp.mean(z, axis=0, keepdims=True)
    if not intercept:
        largest = xp.max(xp.abs(y), axis=0, keepdims=True)
        mean, std, z_mean = 0 * mean, xp.where(largest > 0, largest, 1), 0 * z_mean
    q, t = _orthonormal((y - mean) / std, xp)
    return mean, std, z_mean, dot(t, dot(q.T, z - z_mean, xp), xp)


def moments(x: jax.Array, xp: ModuleType = jnp) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of each column, `[1, n]`; constant: infinity.

    Columns of any scale: squares neither overflow nor underflow.
    """
    quick = _quick_moments(x) if xp is np else None
    if quick is not None:
        return quick[:2]
    mean = xp.mean(x, axis=0, keepdims=True)
    mean = mean + xp.mean(x - mean, axis=0, keepdims=True)
    largest = xp.max(xp.abs(x - mean), axis=0, keepdims=True)
    relative = (x - mean) / xp.where(largest > 0, largest, 1)
    std = largest * _root(xp.mean(relative**2, axis=0, keepdims=True), xp)
    # Rounding leaves a constant column with a tiny, meaningless spread.
    noise = 2 * xp.finfo(x.dtype).eps * xp.max(xp.abs(x), axis=0, keepdims=True)
    return mean, xp.where(std <= noise, xp.inf, std)


def _quick_moments(x: Any) -> Any:
    """`moments`, and x - mean, in few passes over float64 rows of the host.

    None where a column might be constant, or its squares be no numbers.
    """
    if x.dtype != np.float64 or x.size == 0:
        return None
    # No product of matrices: copies of a column have to be equal to the last digit.
    mean = np.add.reduce(x, keepdims=True) / len(x)
    apart = x - mean
    rest = np.add.reduce(apart, keepdims=True) / len(x)
    with np.errstate(over="ignore", invalid="ignore"):  # None says so
        square = np.einsum("ij,ij->j", apart, apart)[None] / len(x)
        std = np.sqrt(square - rest**2)
    plain = (square > 1e-200) & (square < 1e200) & (std > 1e-14 * np.abs(mean))
    if not plain.all():
        return None
    if np.any(np.abs(rest) > 1e-15 * std):
        apart -= rest
    return mean + rest, std, apart


def standardised(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Columns of mean 0 and variance 1; 0 where constant."""
    quick = _quick_moments(x) if xp is np else None
    if quick is not None:
        return quick[2] / quick[1]
    mean, std = moments(x, xp)
    return (x - mean) / std


def unit_total(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Centred, with Frobenius norm 1; 0 where every column is constant."""
    mean, std = moments(x, xp)
    x = xp.where(xp.isinf(std), 0, x - mean)
    largest = xp.max(xp.abs(x))
    x = x / xp.where(largest > 0, largest, 1)
    norm = _root(xp.sum(x * x), xp)
    return x / xp.where(norm > 0, norm, 1)


def unit_rows(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """x / ||x|| of every row; 0 stays 0."""
    if xp is jnp:
        return unit(x)
    largest = np.abs(x).max(axis=-1, keepdims=True)
    x = x / np.where(largest > 0, largest, 1)
    norm = np.sqrt(np.sum(x * x, axis=-1, keepdims=True))
    return x / np.where(norm == 0, 1, norm)


def largest_of(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """The largest |x|, a scale that a score does not depend on; 1 where all are 0."""
    x = jax.lax.stop_gradient(x) if xp is jnp else x
    largest = xp.max(xp.abs(x))
    return xp.where(largest > 0, largest, 1)


def centred(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Columns minus their means."""
    return x - xp.mean(x, axis=0, keepdims=True)


def correlate(a: jax.Array, b: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Correlation of each column of a with that of b, `[n]`."""
    return xp.mean(standardised(a, xp) * standardised(b, xp), axis=0)


def _root(x: jax.Array, xp: ModuleType) -> jax.Array:
    """sqrt(x) for x >= 0; in JAX with derivative 0 at 0."""
    return safe_root(x, 2.0) if xp is jnp else xp.sqrt(x)


@compiled
def _orthonormal(y: jax.Array, xp: ModuleType) -> tuple[jax.Array, jax.Array]:
    """Q with orthonormal columns (or 0) spanning y, and T with Q = y T.

    Gram-Schmidt, twice for each column; a column that the earlier ones explain to
    rounding becomes 0. Plain products, so it maps over seeds on every device.
    """
    samples, m = y.shape
    smallest = 10 * m * xp.finfo(y.dtype).eps
    if xp is np:
        return _orthonormal_on_host(np.asarray(y), smallest)
    eye = xp.eye(m, dtype=y.dtype)

    def next_column(q, t, j):
        column, combination = y[:, j], eye[j]
        size = _root(xp.sum(column**2), xp)
        for _ in range(2):
            inside = dot(q.T, column, xp)
            column = column - dot(q, inside, xp)
            combination = combination - dot(t, inside, xp)
        rest = _root(xp.sum(column**2), xp)
        scale = xp.where(rest > smallest * size, rest, xp.inf)
        return column / scale, combination / scale

    def add(carry, j):
        q, t = carry
        column, combination = next_column(q, t, j)
        return (q.at[:, j].set(column), t.at[:, j].set(combination)), None

    q, t = xp.zeros((samples, m), y.dtype), xp.zeros((m, m), y.dtype)
    return jax.lax.scan(add, (q, t), jnp.arange(m))[0]


def _orthonormal_on_host(y: np.ndarray, smallest: float) -> Any:
    """`_orthonormal` by LAPACK: QR with pivots of columns of one length."""
    samples, m = y.shape
    q, t = np.zeros((samples, m)), np.zeros((m, m))
    if not np.isfinite(y).all():
        return q + np.nan, t + np.nan
    quick = by_cholesky(y)
    if quick is not None:
        return quick
    sizes = np.sqrt(np.sum(y**2, axis=0))
    sizes = np.where(sizes > 0, sizes, np.inf)
    found: Any = scipy.linalg.qr(y / sizes, mode="economic", pivoting=True)
    part, upper, order = found
    rank = int(np.sum(np.abs(np.diag(upper)) > smallest))
    inverse = scipy.linalg.solve_triangular(upper[:rank, :rank], np.eye(rank))
    q[:, :rank] = part[:, :rank]
    t[order[:rank], :rank] = inverse / sizes[order[:rank], None]
    return q, t


def dot(a: jax.Array, b: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Matrix product in full precision."""
    if xp is np:
        return np.matmul(a, b)  # type: ignore[return-value]
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def ranks(x: jax.Array, xp: ModuleType = jnp) -> jax.Array:
    """Average ranks of each column; a column with a NaN stays as it is."""

    def column(v):
        ordered = xp.sort(v)
        low = xp.searchsorted(ordered, v, side="left")
        high = xp.searchsorted(ordered, v, side="right")
        return xp.where(xp.isnan(v).any(), v, (low + high).astype(v.dtype) / 2)

    if xp is np:
        return np.stack([column(v) for v in x.T], axis=1)  # type: ignore[return-value]
    return jax.vmap(column, in_axes=1, out_axes=1)(x)
