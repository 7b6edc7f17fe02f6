"""Similarities of rows: matched, of all pairs, and what they are turned into first."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_features,
    check_rows,
    check_same_shape,
    check_type,
)
from jidcl.losses.similarity import Similarity, abs_power, against, in_widest
from jidcl.numerics import (
    at_least_float32,
    power_of_two,
    safe_root,
    unit,
)


def rowwise(similarity: Similarity, a: jax.Array, b: jax.Array) -> jax.Array:
    """s(a_i, b_i), `[..., m], [..., m] -> [...]`.

    Sums and results in float32 or wider, whatever the inputs are.

    Args:
        similarity: s.
        a: `[..., m]`.
        b: `[..., m]`.

    Returns:
        `[...]`, float32 or wider.

    Raises:
        ValueError: on arrays of different shapes.

    Example:
        >>> rowwise(Similarity("lp", p=1), jnp.zeros((1, 2)), jnp.ones((1, 2)))
        Array([-2.], dtype=float32)

    Source: Zimmermann et al. 2021 (the similarities).
    """
    check_type("similarity", similarity, Similarity)
    check_features("a", a)
    check_features("b", b, a.shape[-1])
    check_same_shape("b", b, "a", a)
    a, b = in_widest(a, b)
    if similarity.kind == "lp":
        return -_distance(similarity, a - b)
    if similarity.kind == "cosine":
        a, b = unit(a), unit(b)
    return jnp.sum(a * b, axis=-1)


def pairwise(similarity: Similarity, a: jax.Array, b: jax.Array) -> jax.Array:
    """s(a_i, b_k) for all pairs, `[rows, m], [cols, m] -> [rows, cols]`.

    Args:
        similarity: s.
        a: `[rows, m]`.
        b: `[cols, m]`.

    Returns:
        `[rows, cols]`, float32 or wider.

    Raises:
        ValueError: on wrong shapes.

    Example:
        >>> pairwise(Similarity("lp"), jnp.zeros((1, 2)), jnp.eye(2))
        Array([[-1., -1.]], dtype=float32)

    Source: Zimmermann et al. 2021 (the similarities).

    Notes:
        The p-norm forms subtract before they square, so no digits cancel in the value
        (the derivative for p = 2 takes products from the common centre: its error is
        relative to the spread of all rows), and are
        recomputed in the backward pass: nothing of size rows x cols x m is stored.
        Dot products take the similarity's precision; narrow inputs are multiplied
        as they are and summed in float32.
    """
    check_type("similarity", similarity, Similarity)
    check_rows("a", a, 0)
    check_rows("b", b, 0, width=a.shape[1])
    if similarity.precision == "bfloat16":
        similarity, a, b = as_multiplied(similarity, a, b)
    if not is_norm(similarity):
        return against(similarity, a, b.T)
    power, a, b = of_ordinary_size(a, b)
    return power * against(similarity, a, b.T)


def is_norm(similarity: Similarity) -> bool:
    """Whether s(k a, k b) = k s(a, b): sums of powers that are not of a's size."""
    return similarity.kind == "lp" and not similarity.power


def of_ordinary_size(
    *arrays: jax.Array, axis: str | None = None
) -> tuple[jax.Array, ...]:
    """A power of two k, and the arrays over it: their powers do not overflow.

    Args:
        *arrays: floating-point, of any shape.
        axis: mesh axis along which all devices take the same k, inside
            `jax.shard_map`.

    Returns:
        `(k, *arrays)`: k a scalar, the arrays in their widest dtype, float32 at least.

    Example:
        >>> power, a = of_ordinary_size(jnp.array([3e20]))
        >>> bool(0.5 < a[0] < 2), bool(power * a[0] == 3e20)
        (True, True)
    """
    dtype = at_least_float32(*(x.dtype for x in arrays))
    arrays = tuple(x.astype(dtype) for x in arrays)
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(x)), initial=0) for x in arrays]
    largest = functools.reduce(jnp.maximum, sizes)
    largest = largest if axis is None else jax.lax.pmax(largest, axis)
    power = power_of_two(largest, axis=None)
    return power, *(x * (1 / power) for x in arrays)


def as_multiplied(similarity: Similarity, a: jax.Array, b: jax.Array):
    """All pairs as simpler ones: a cosine as a dot product, rows in their precision.

    With `precision="bfloat16"`, float32 rows are rounded to it (they stay float32
    arrays), and minus a sum of squares becomes a dot product with six features more:
    products and their sums are those of matrix units.

    Args:
        similarity: s.
        a: `[rows, m]`.
        b: `[cols, m]`.

    Returns:
        `(similarity, a, b)` whose `against` is s of all pairs, to the precision.

    Example:
        >>> near, _, b = as_multiplied(
        ...     Similarity("lp", 2, precision="bfloat16"), jnp.ones((2, 4)), jnp.eye(4)
        ... )
        >>> near.kind, b.shape
        ('dot', (4, 10))

    Source: Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 3.1
        (errors of inner products).

    Notes:
        Errors with `"bfloat16"`, besides those of float32. Rounding to it errs by at
        most u = 2^-8 of a number. An entry of a dot product errs by at most
        (2 u + u^2) sum_d |a_d b_d|: 0.8 % of 1 for unit rows. Coordinate d of a
        difference errs by at most e_d = u (|a_d| + |b_d|), also where the difference is
        smaller: rows far from 0 should have their centre taken off first. So a sum of
        powers errs by at most p sum_d e_d (|a_d - b_d| + e_d)^(p - 1), and its root by
        the p-norm of e. Rounded rows are subtracted in float32: in bfloat16 every
        difference, power and sum would be rounded again, for the same arithmetic.

        A log-sum-exp errs by at most eps, the largest error of its entries over tau.
        Gradients pass the rounding unchanged. Each softmax weight is right to a factor
        within exp(+-2 eps), and rounded once more where a matrix unit multiplies it; it
        meets rounded rows (the slope of |d|^p at a difference that errs by e_d: at
        p = 1 the sign of differences below e_d is lost).
    """
    dtype = at_least_float32(a.dtype, b.dtype)
    if similarity.kind == "cosine":
        a, b = unit(a.astype(dtype)), unit(b.astype(dtype))
        similarity = dataclasses.replace(similarity, kind="dot")
    if in_bfloat16(similarity, dtype):
        a, b = rounded(a.astype(dtype)), rounded(b.astype(dtype))
        if (similarity.kind, similarity.p, similarity.power) == ("lp", 2, True):
            similarity = dataclasses.replace(similarity, kind="dot")
            a, b = _squares_as_products(a, b)
    return similarity, a, b


def in_bfloat16(similarity: Similarity, dtype) -> bool:
    """Whether pairs whose sums have that dtype meet as rows rounded to bfloat16."""
    return similarity.precision == "bfloat16" and dtype == jnp.float32


@jax.custom_jvp
def rounded(x: jax.Array) -> jax.Array:
    """x to the 8 digits of bfloat16, float32; derivatives pass unchanged."""
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


rounded.defjvp(lambda primals, tangents: (rounded(*primals), *tangents))


def _squares_as_products(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows whose dot products are 2 a . b - a . a - b . b, as narrow as a and b.

    A square norm is the sum of three numbers of 8 digits. What cancels are float32
    sums of exact products: an error far below that of the rounded rows.
    """

    def parts(x):
        norm = jnp.sum(x * x, axis=1, keepdims=True)
        first = rounded(norm)
        rest = jax.lax.stop_gradient(norm - first)
        second = rounded(rest)
        return jnp.concatenate([first, second, rounded(rest - second)], axis=1)

    own, other = parts(a), parts(b)
    ones = [jnp.where(x != x, x, 1) for x in (own, other)]
    return (
        jnp.concatenate([2 * a, ones[0], -own], axis=1),
        jnp.concatenate([b, -other, ones[1]], axis=1),
    )


def stretched(x: jax.Array, lam: jax.Array, p: float) -> jax.Array:
    """x lam^(1/p): between such arrays, sum |a - b|^p is sum lam |a - b|^p of x."""
    dtype = at_least_float32(x.dtype, lam.dtype)
    scale = jnp.broadcast_to(lam.astype(dtype) ** (1 / p), x.shape)
    return x.astype(dtype) * scale


def _distance(similarity: Similarity, d: jax.Array) -> jax.Array:
    """sum |d|^p over the last axis, or its root; gradient 0 at d = 0."""
    p = similarity.p
    if similarity.power:
        return jnp.sum(abs_power(d, p), axis=-1)
    power = power_of_two(d)
    total = jnp.sum(abs_power(d * (1 / power), p), axis=-1)
    return power[..., 0] * safe_root(total, p)
