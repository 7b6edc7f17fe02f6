"""Powers of differences and their sums over features, for p-norms of all pairs."""

import functools

import jax
import jax.numpy as jnp

from jidcl.compiled import compiled
from jidcl.numerics import safe_root, varying_zero

AT_ONCE, UNROLLED = 8, 16  # rows of a gradient, features of a sum


def pulled_rows(p: float, a: jax.Array, b: jax.Array, weights: jax.Array):
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
def sums_of_powers(p: float, a: jax.Array, b: jax.Array) -> jax.Array:
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
