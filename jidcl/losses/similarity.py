"""Similarities s(a, b) between representations: dot, cosine, minus a p-norm."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_choice,
    check_finite,
)
from jidcl.compiled import compiled
from jidcl.numerics import (
    PRODUCTS,
    at_least_float32,
    safe_root,
    unit,
    varying_zero,
)

SIMILARITIES = ("dot", "cosine", "lp")


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Which similarity a contrastive loss uses; the model's q_h ~ exp(s / tau).

    Attributes:
        kind: `"dot"` (von Mises-Fisher for unit vectors), `"cosine"`, or `"lp"`.
        p: exponent of `"lp"`, >= 1 (1 Laplace, 2 normal, 3 generalised normal).
        power: for `"lp"`, -sum |a - b|^p when True, its p-th root when False.
        precision: of products of float32 numbers: `"float32"`; `"fast"`: what holds
            where the loss is traced, by default the platform's own (TF32 on NVIDIA, and
            always in kernels); or `"bfloat16"`: all pairs meet as rows rounded to it,
            summed in float32, with the error that `as_multiplied` states.

    Raises:
        ValueError: on an unknown choice, or p < 1.
        TypeError: on a p that is an array of JAX.

    Example:
        >>> Similarity("lp", p=1)
        Similarity(kind='lp', p=1, power=True, precision='float32')

    Source: Zimmermann et al. 2021 (the sphere: dot; convex bodies: p-norms).
    """

    kind: str = "dot"
    p: float = 2.0
    power: bool = True
    precision: str = "float32"

    def __post_init__(self):
        check_choice("similarity", self.kind, SIMILARITIES)
        check_choice("precision", self.precision, PRODUCTS)
        check_at_least("p", self.p, 1)
        if isinstance(self.p, jax.Array):  # a setting of programs, so it is hashed
            raise TypeError(f"p must be a number of Python, got {self.p!r}")
        check_finite("p", self.p)


DOT = Similarity()
AT_ONCE, UNROLLED = 8, 16  # rows of a gradient, features of a sum


def against(similarity: Similarity, a: jax.Array, b: jax.Array) -> jax.Array:
    """`pairwise` with the features of b first, `[rows, m], [m, cols]`: cheap tiles."""
    if similarity.kind == "lp":
        a, b = in_widest(a, b)
        total = _squares(a, b) if similarity.p == 2 else _powers(similarity.p, a, b)
        return -(total if similarity.power else safe_root(total, similarity.p))
    dtype = at_least_float32(a.dtype, b.dtype)
    if similarity.kind == "cosine":
        a, b = in_widest(a, b)
        a, b = unit(a), unit(b.T).T
    elif a.dtype != b.dtype:
        a, b = in_widest(a, b)
    return _matmul(a, b, dtype, similarity.precision)


def pulled_across(similarity: Similarity, b: jax.Array, a: jax.Array):
    """`against(similarity, b, a)` and its pullback, `[cols, m], [m, rows]`, for a CPU.

    The pullback of a p-norm other than p = 2 keeps the sums of many rows in registers
    and stores nothing of size cols x rows x m.

    Args:
        similarity: s.
        b: `[cols, m]`.
        a: `[m, rows]`, of the same dtype.

    Returns:
        `(s, pull)`: s `[cols, rows]`; pull maps its cotangent to those of b and a.
    """
    p = similarity.p
    if similarity.kind != "lp" or p == 2:
        return jax.vjp(functools.partial(against, similarity), b, a)

    def value(total):
        return -(total if similarity.power else safe_root(total, p))

    s, pull_value = jax.vjp(value, _powers(p, b, a))

    def pull(cotangent):
        (weights,) = pull_value(cotangent)
        there = _pulled_rows(p, b.T, a.T, weights.T)
        return there.T, _pulled_rows(p, a, b, weights)

    return s, pull


@jax.custom_jvp
def _squares(a: jax.Array, b: jax.Array) -> jax.Array:
    """`_powers` for p = 2; its derivative takes matrix products."""
    return _powers(2.0, a, b)


@_squares.defjvp
def _squares_jvp(primals, tangents):
    a, b = primals
    a_dot, b_dot = tangents
    # d sum (a - b)^2 = 2 (a - b) . (a_dot - b_dot); a shift of both changes nothing,
    # and from their common centre the products lose the fewest digits.
    centre = jax.lax.stop_gradient(jnp.mean(b, axis=1))
    a, b = a - centre[None], b - centre[:, None]
    own = jnp.sum(a * a_dot, axis=1)[:, None] + jnp.sum(b * b_dot, axis=0)[None]
    cross = _matmul(a, b_dot, a.dtype) + _matmul(a_dot, b, a.dtype)
    return _squares(*primals), 2 * (own - cross)


def _pulled_rows(p: float, a: jax.Array, b: jax.Array, weights: jax.Array):
    """sum_k weights_ki d |a_di - b_kd|^p / d a_di, `[m, rows]`.

    A few rows of b at once, a block of features at a time: the sums, the weights and
    the block stay in the nearest cache.
    """
    m, rows = a.shape
    width = min(m, UNROLLED)
    blocks, turns = -(-m // width), -(-b.shape[0] // AT_ONCE)
    more = turns * AT_ONCE - b.shape[0]
    a = jnp.pad(a, ((0, blocks * width - m), (0, 0))).reshape(blocks, width, rows)
    b = jnp.pad(b, ((0, more), (0, blocks * width - m)))
    b = b.reshape(turns, AT_ONCE, blocks, width).transpose(2, 0, 1, 3)
    weights = jnp.pad(weights, ((0, more), (0, 0))).reshape(turns, AT_ONCE, rows)

    def of_block(block):
        own, others = block

        def add(total, part):
            other, weight = part
            for k in range(AT_ONCE):
                d = own - other[k][:, None]
                total = total + _weighted_slope(p, d, weight[k][None])
            return total, None

        start = jnp.zeros_like(own) + varying_zero(own.dtype, own, others, weights)
        return jax.lax.scan(add, start, (others, weights))[0]

    return p * jax.lax.map(of_block, (a, b)).reshape(blocks * width, rows)[:m]


def _weighted_slope(p: float, d: jax.Array, weight: jax.Array) -> jax.Array:
    """weight sign(d) |d|^(p - 1), by choices: products of signs are not vectorised."""
    signed = jnp.where(d > 0, weight, -weight)
    if p == 1:
        return jnp.where(d == 0, 0.0, signed)
    return signed * (d * d if p == 3 else _real_power(jnp.abs(d), p - 1))


@compiled
def _powers(p: float, a: jax.Array, b: jax.Array) -> jax.Array:
    """sum_d |a_id - b_dk|^p, `[rows, cols]`.

    A sum over features, written out block by block, so that it is one pass over the
    result. Blocks travel in the carry: sliced inside the pass, they would keep the
    compiler from vectorising it.
    """
    blocks = -(-a.shape[1] // UNROLLED)
    fill = blocks * UNROLLED - a.shape[1] if blocks > 1 else 0
    total = jnp.zeros((a.shape[0], b.shape[1]), a.dtype) + varying_zero(a.dtype, a, b)
    if blocks < 2:
        return _block_sum(p, total, a, b)
    a, b = jnp.pad(a, ((0, 0), (0, fill))), jnp.pad(b, ((0, fill), (0, 0)))

    def add(carry, _):
        total, a, b = carry
        total = _block_sum(p, total, a[:, :UNROLLED], b[:UNROLLED])
        return (total, jnp.roll(a, -UNROLLED, 1), jnp.roll(b, -UNROLLED, 0)), None

    return jax.lax.scan(add, (total, a, b), length=blocks)[0][0]


@functools.partial(jax.checkpoint, static_argnums=0)
def _block_sum(p: float, total: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    for k in range(a.shape[1]):
        total = total + abs_power(a[:, k, None] - b[k][None], p)
    return total


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def abs_power(d: jax.Array, p: float) -> jax.Array:
    """|d|^p, by products for p = 1, 2, 3; gradient 0 at d = 0 for every p >= 1."""
    if p == 2:
        return d * d
    size = jnp.abs(d)
    if p == 1:
        return size
    return size * d * d if p == 3 else _real_power(size, p)


@abs_power.defjvp
def _abs_power_jvp(p, primals, tangents):
    (d,), (d_dot,) = primals, tangents
    return abs_power(d, p), p * signed_power(d, p - 1) * d_dot


def signed_power(d: jax.Array, p: float) -> jax.Array:
    """sign(d) |d|^p for p >= 0, 0 at d = 0; every derivative finite there."""
    if p in (0, 1, 2):
        return [jnp.sign(d), d, d * jnp.abs(d)][int(p)]
    return jnp.sign(d) * _real_power(jnp.abs(d), p)


def _real_power(size: jax.Array, p: float) -> jax.Array:
    """size^p for p > 0: exp(p log size) is vectorised, a power is not."""
    if p == 0.5:
        return safe_root(size, 2)
    other = size != 0
    log = jnp.log(jnp.where(other, size, 1.0))
    return jnp.where(other, jnp.exp(p * log), 0.0)


def _matmul(a: jax.Array, b: jax.Array, dtype, precision="float32") -> jax.Array:
    exact = jax.lax.Precision.HIGHEST if precision == "float32" else None
    if precision == "bfloat16" and dtype == jnp.float32:
        exact = jax.lax.DotAlgorithmPreset.BF16_BF16_F32
    return jnp.matmul(a, b, precision=exact, preferred_element_type=dtype)


def in_widest(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both in their widest dtype, float32 at least."""
    dtype = at_least_float32(a.dtype, b.dtype)
    return jnp.asarray(a, dtype), jnp.asarray(b, dtype)
