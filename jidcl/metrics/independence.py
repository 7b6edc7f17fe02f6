"""Tests of (conditional) independence: G-test, Fisher's z, Chatterjee's xi.

Kernel tests are in `kernel_independence`. Every test takes `[..., samples, columns]`:
leading axes are data sets, tested in one program. All of them compute in float64,
also where 64-bit types are off; an argument that is traced needs them on.

Assumptions, and what each test is blind to, are in `ASSUMPTIONS`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.scipy.special import erfc

from jidcl.checks import (
    check_count,
    check_finite,
    check_float,
    check_integers,
    check_memory,
    check_within,
    is_traced,
)
from jidcl.compiled import compiled
from jidcl.numerics import unit

P = ParamSpec("P")
R = TypeVar("R")

ASSUMPTIONS = {
    "kci": "i.i.d. rows, a smooth regression on z; weak for several columns of z, and "
    "under 100 rows",
    "hsic": "i.i.d. rows, no condition; its gamma null is approximate under 50 rows",
    "fisher_z": "i.i.d. normal rows; blind to dependence without correlation",
    "g_test": "i.i.d. rows of categories; conservative where cells are empty",
    "xi": "i.i.d. rows of continuous y, no condition; weak against smooth dependence",
}


class PValue(NamedTuple):
    """A test's statistic and p-value, `[...]` each.

    Attributes:
        statistic: large in size where there is dependence.
        p: probability of such a statistic under independence.

    Example:
        >>> PValue(1.0, 0.5).p
        0.5

    Source: this library.
    """

    statistic: jax.Array
    p: jax.Array


def in_float64(function: Callable[P, R]) -> Callable[P, R]:
    """A test of arrays as one compiled program in float64.

    Args:
        function: of arrays, and settings by name.

    Returns:
        A function of the same signature. It returns arrays of the default dtype, or
        float64 ones where it is traced.

    Raises:
        TypeError: where it is traced with 64-bit types off.
    """
    once = compiled(function)

    @functools.wraps(function)
    def test(*args: P.args, **settings: P.kwargs) -> R:
        if any(map(is_traced, (*args, *settings.values()))):
            if jnp.result_type(float) != np.float64:
                raise TypeError(
                    "independence tests need float64 where they are traced: trace and "
                    "call in jax.enable_x64(True)"
                )
            return function(*args, **settings)
        held: Any = [None if a is None else np.asarray(a) for a in args]
        with jax.enable_x64(True):
            found = jax.tree.map(np.asarray, once(*held, **settings))
        return jax.tree.map(jnp.asarray, found)

    return test


def check_samples(
    least: int, optional: tuple[str, ...] = (), **arrays: Any
) -> tuple[int, ...]:
    """Raise unless arrays are `[..., samples, columns]`, finite and not constant.

    Args:
        least: samples that the test needs.
        optional: names that may be None.
        arrays: by name, the first gives the shape before the columns.

    Returns:
        That shape, `[..., samples]`.

    Raises:
        ValueError: on other shapes, too few samples, NaN, or a constant column.
        TypeError: on another dtype.
    """
    names = [name for name in arrays if not (name in optional and arrays[name] is None)]
    first = names[0]
    for name in names:
        array = arrays[name]
        check_float(name, array)
        if array.ndim < 2 or array.shape[-1] < 1:
            raise ValueError(
                f"{name} must have shape [..., samples, columns >= 1], got "
                f"{list(array.shape)}"
            )
        if array.shape[:-1] != arrays[first].shape[:-1]:
            raise ValueError(
                f"{name} must have the samples of {first} "
                f"{list(arrays[first].shape[:-1])}, got {list(array.shape[:-1])}"
            )
        if array.shape[-2] < least:
            raise ValueError(
                f"{name} must have at least {least} samples for this test, got "
                f"{array.shape[-2]}"
            )
        check_finite(name, array)
        _check_varies(name, array)
    return arrays[first].shape[:-1]


def _check_varies(name: str, array: Any) -> None:
    if is_traced(array) or not array.size:
        return
    flat = np.argwhere(np.ptp(np.asarray(array, np.float64), axis=-2) == 0)
    if len(flat):
        raise ValueError(f"{name} must vary, but its column {flat[0][-1]} is constant")


# Categories ---------------------------------------------------------------------------


def g_test(
    x: jax.Array, y: jax.Array, z: jax.Array | None = None, *, levels: int = 2
) -> PValue:
    """G-test of categories, x independent of y given every column of z.

    G = 2 sum O log(O / E) over cells of (x, y, z), E = row * column / total within
    each value of z; an empty cell adds 0. Upper tail of chi-square with
    (levels - 1)^2 levels^k degrees of freedom, none taken off for empty cells.

    Args:
        x: integers from 0, `[..., samples]`.
        y: of the same shape.
        z: `[..., samples, k]`; None: no condition.
        levels: number of categories of every variable, >= 2.

    Returns:
        `PValue`, `[...]`.

    Raises:
        ValueError: on other shapes, a category that is not below `levels`, or so many
            cells that they do not fit in memory.
        TypeError: on an array that does not hold integers.

    Example:
        >>> x = jnp.array([0, 0, 0, 1, 1, 1] * 10)
        >>> bool(g_test(x, x).p < 1e-6)
        True

    Source: Guo, Toth, Schoelkopf, Huszar 2023, multivariate experiment.
    """
    check_count("levels", levels, 2)
    check_integers("x", x)
    named = {"y": y} if z is None else {"y": y, "z": z}
    if x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"x must have shape [..., samples >= 1], got {list(x.shape)}")
    for name, array in named.items():
        check_integers(name, array)
        shape = array.shape[:-1] if name == "z" else array.shape
        if shape != x.shape:
            raise ValueError(
                f"{name} must have the samples of x {list(x.shape)}, got "
                f"{list(array.shape)}"
            )
    for name, array in {"x": x, **named}.items():
        check_within(name, array, levels, f" for {levels} levels")
    k = 0 if z is None else z.shape[-1]
    cells = levels ** (k + 2) * math.prod(x.shape[:-1])
    check_memory("levels", levels, cells, width=8)
    return _g_test(x, y, z, levels=levels)


@in_float64
def _g_test(x: Any, y: Any, z: Any, *, levels: int) -> PValue:
    k = 0 if z is None else z.shape[-1]
    code = x.astype(int) * levels + y.astype(int)
    for j in range(k):  # the first column of z is the most significant
        code = code + levels ** (k + 1 - j) * z[..., j].astype(int)  # type: ignore
    flat = code.reshape(-1, code.shape[-1])
    counts = jax.vmap(lambda c: jnp.bincount(c, length=levels ** (k + 2)))(flat)
    shape = (*code.shape[:-1], levels**k, levels, levels)
    return g_of_counts(jnp.asarray(counts, float).reshape(shape))


def g_of_counts(counts: jax.Array) -> PValue:
    """The G-test of a table of counts.

    Args:
        counts: `[..., cells of z, levels of x, levels of y]`.

    Returns:
        `PValue`, `[...]`, in the dtype of the counts.

    Example:
        >>> float(g_of_counts(jnp.full((1, 2, 2), 5.0)).p)
        1.0

    Source: the likelihood-ratio test of a contingency table.
    """
    rows = jnp.sum(counts, axis=-1, keepdims=True)
    columns = jnp.sum(counts, axis=-2, keepdims=True)
    total = jnp.sum(rows, axis=-2, keepdims=True)
    held = counts > 0
    odds = counts * total / jnp.where(held, rows * columns, 1)
    terms = counts * jnp.log(jnp.where(held, odds, 1))
    statistic = jnp.maximum(2 * jnp.sum(terms, axis=(-1, -2, -3)), 0)
    df = counts.shape[-3] * (counts.shape[-2] - 1) * (counts.shape[-1] - 1)
    return PValue(statistic, _chi_square_tail(statistic, df))


def _chi_square_tail(statistic: jax.Array, df: int) -> jax.Array:
    """Upper tail for whole degrees of freedom, as a sum over every other one."""
    half, odd = statistic / 2, df % 2
    first = erfc(jnp.sqrt(half)) if odd else jnp.zeros_like(half)
    powers = np.arange(df // 2) + odd / 2
    powers = powers.reshape(*[1] * half.ndim, -1)
    logs = jnp.log(jnp.maximum(half, 1e-300))[..., None] * powers
    terms = jnp.exp(logs - half[..., None] - scipy.special.gammaln(powers + 1))
    return jnp.minimum(first + jnp.sum(terms, axis=-1), 1)


# Correlation --------------------------------------------------------------------------


def fisher_z(x: jax.Array, y: jax.Array, z: jax.Array | None = None) -> PValue:
    """Fisher's z: partial correlation of x and y given the columns of z.

    statistic = sqrt(samples - k - 3) atanh(r), two-sided normal tail.

    Args:
        x: `[..., samples, 1]`.
        y: of the same shape.
        z: `[..., samples, k]`; None: no condition.

    Returns:
        `PValue`, `[...]`; the sign is that of the correlation.

    Raises:
        ValueError: on other shapes, fewer than k + 4 samples, NaN or a constant
            column.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (100, 1))
        >>> bool(fisher_z(x, x + 1e-3 * x**2).p < 1e-6)
        True

    Source: Fisher 1924.
    """
    for name, array in (("x", x), ("y", y)):
        _check_single(name, array)
    if z is not None:
        check_float("z", z)
    k = 0 if z is None else (1, *np.shape(z))[-1]
    check_samples(k + 4, ("z",), x=x, y=y, z=z)
    return _fisher_z(x, y, z)


def _check_single(name: str, array: Any) -> None:
    check_float(name, array)
    if array.ndim < 2 or array.shape[-1] != 1:
        raise ValueError(
            f"{name} must have shape [..., samples, 1], got {list(array.shape)}"
        )


@in_float64
def _fisher_z(x: Any, y: Any, z: Any) -> PValue:
    x, y = jnp.asarray(x, float), jnp.asarray(y, float)
    z = None if z is None else jnp.asarray(z, float)
    columns = [x[..., 0], y[..., 0]]
    given = [] if z is None else [z[..., j] for j in range(z.shape[-1])]
    left = x.shape[-2] - len(given) - 3
    columns = [_rest(column, ()) for column in columns]
    basis: list[Any] = []
    for column in given:
        basis.append(unit(_rest(_rest(column, basis), basis)))
    a, b = (unit(_rest(_rest(column, basis), basis)) for column in columns)
    r = jnp.clip(jnp.sum(a * b, axis=-1), -1, 1)
    # |r| = 1 to rounding is the largest that float64 tells from 1.
    statistic = math.sqrt(left) * jnp.arctanh(r * (1 - 2.0**-52))
    return PValue(statistic, erfc(jnp.abs(statistic) / math.sqrt(2.0)))


def _rest(column: jax.Array, basis: Any) -> jax.Array:
    """Centred, and minus what orthonormal columns explain."""
    column = column - jnp.mean(column, axis=-1, keepdims=True)
    for other in basis:
        column = column - other * jnp.sum(other * column, axis=-1, keepdims=True)
    return column


# Ranks --------------------------------------------------------------------------------


def chatterjee_xi(x: jax.Array, y: jax.Array) -> PValue:
    """Chatterjee's xi: how far y is a function of x; 0 where they are independent.

    xi = 1 - n sum |r_{i+1} - r_i| / (2 sum l_i (n - l_i)) in the order of x, r_i
    counts y <= y_i, l_i counts y >= y_i; without ties 1 - 3 sum |...| / (n^2 - 1).
    p is the upper tail of a normal law of variance 2 / (5 n), for continuous y.

    Args:
        x: `[..., samples, 1]`.
        y: of the same shape.

    Returns:
        `PValue`, `[...]`.

    Raises:
        ValueError: on other shapes, fewer than 3 samples, NaN or a constant column.

    Example:
        >>> x = jnp.linspace(-1.0, 1.0, 50)[:, None]
        >>> bool(chatterjee_xi(x, x**2).p < 1e-6)
        True

    Source: Chatterjee 2021, A New Coefficient of Correlation.
    """
    for name, array in (("x", x), ("y", y)):
        _check_single(name, array)
    check_samples(3, x=x, y=y)
    return _xi(x, y)


@in_float64
def _xi(x: Any, y: Any) -> PValue:
    def one(x, y):
        n, y = len(x), y[jnp.argsort(x)]
        ordered = jnp.sort(y)
        r = jnp.searchsorted(ordered, y, side="right")
        above = n - jnp.searchsorted(ordered, y, side="left")
        steps = jnp.sum(jnp.abs(jnp.diff(r)))
        spread = 2 * jnp.sum(above * (n - above))
        xi = 1 - n * steps / jnp.where(spread > 0, spread, 1)
        return xi, erfc(xi * np.sqrt(n / 0.8)) / 2

    x, y = jnp.asarray(x[..., 0], float), jnp.asarray(y[..., 0], float)
    flat = [a.reshape(-1, a.shape[-1]) for a in (x, y)]
    found = jax.vmap(one)(*flat)
    return PValue(*(a.reshape(x.shape[:-1]) for a in found))
