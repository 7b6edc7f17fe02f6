"""Row log-sum-exps of all pairs by GPU kernels, forwards and backwards.

One program holds some rows ("own"), one to a lane, and walks down tiles of the others,
so every sum over them stays within a lane. Nothing of size rows x cols reaches memory:
forwards what leaves is a log-sum-exp a row, backwards each tile is computed again from
these. The gradients of a and b are the same kernel with the roles exchanged.

Dot products of 16 to 128 features go to `jidcl.losses.kernel_products`. Else sums over
features are written out, in float32 or wider: nothing is rounded to TF32, and no matrix
unit is used. Backwards, each block of 16 features is a program of its own
that computes its tiles from all features: for m of them the work grows as m (1 + m/16),
so these kernels are for few. Where the rows are too few to fill a device, several
programs share the others, and their results are added up outside.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from jidcl.losses import blockwise, kernel_products
from jidcl.losses.rows import in_bfloat16
from jidcl.losses.similarity import Similarity, abs_power, signed_power
from jidcl.losses.tiles import finite
from jidcl.numerics import safe_root, share

FEATURES = 16  # written out in one block


@dataclasses.dataclass(frozen=True)
class _Plan:
    """How a grid covers all pairs: (blocks of own, slices of others, feature blocks).

    Attributes:
        similarity: s.
        exclude_diagonal: pair k = i is left out.
        rows: of own and of the others, before they are filled up.
        own: rows that a program holds.
        other: rows of the others in a tile.
        blocks: programs along own.
        slices: programs that share the others.
        tiles: tiles in a slice.
        chunks: blocks of features.
        features: features in a block.
        dtype: of all sums.
    """

    similarity: Similarity
    exclude_diagonal: bool
    rows: tuple[int, int]
    own: int
    other: int
    blocks: int
    slices: int
    tiles: int
    chunks: int
    features: int
    dtype: Any

    @property
    def owns(self) -> int:
        """Rows of own, filled up."""
        return self.blocks * self.own

    @property
    def others(self) -> int:
        """Rows of the others, filled up."""
        return self.slices * self.tiles * self.other


def _plan(settings, own: jax.Array, other: jax.Array, dtype, *, backwards) -> _Plan:
    tile = settings.tile
    chunks = -(-own.shape[1] // FEATURES)
    blocks = -(-own.shape[0] // tile.own)
    tiles = -(-other.shape[0] // tile.other)
    sharing = tile.programs // (blocks * (chunks if backwards else 1))
    each = -(-tiles // min(max(sharing, 1), tiles))
    return _Plan(
        settings.similarity,
        settings.exclude_diagonal,
        (own.shape[0], other.shape[0]),
        tile.own,
        tile.other,
        blocks,
        -(-tiles // each),
        each,
        chunks,
        -(-own.shape[1] // chunks),
        dtype,
    )


def _derivatives_of(streamed):
    """Derivatives of a kernel are those of the streamed form of the same value."""

    def decorate(kernel):
        kernel = jax.custom_jvp(kernel, nondiff_argnums=(0,))

        @kernel.defjvp
        def _(settings, primals, tangents):
            plain = functools.partial(streamed, settings.in_tiles())
            return kernel(settings, *primals), jax.jvp(plain, primals, tangents)[1]

        return kernel

    return decorate


@_derivatives_of(blockwise.forward)
def forward(settings, a: jax.Array, b: jax.Array, scale: jax.Array) -> jax.Array:
    """log sum_k exp(scale s(a_i, b_k)), `[rows]`."""
    if kernel_products.fits(settings, a.shape[1], scale.dtype):
        return kernel_products.forward(settings, a, b, scale)
    plan = _plan(settings, a, b, scale.dtype, backwards=False)
    features = plan.chunks * plan.features
    parts = _call(
        functools.partial(_forward_kernel, plan),
        _prepared(plan, a, b, scale),
        grid=(plan.blocks, plan.slices),
        inputs=[
            pl.BlockSpec((features, plan.own), lambda i, j: (0, i)),
            pl.BlockSpec((features, plan.tiles * plan.other), lambda i, j: (0, j)),
            pl.BlockSpec((1,), lambda i, j: (0,)),
        ],
        output=pl.BlockSpec((None, plan.own), lambda i, j: (j, i)),
        shape=(plan.slices, plan.owns),
    )
    return jax.nn.logsumexp(parts, axis=0)[: a.shape[0]]


@_derivatives_of(blockwise.backward)
def backward(settings, a, b, scale, lse, cotangent):
    """(a_bar, b_bar, scale_bar), from log-sum-exps over these or more columns."""
    # Rows without entries weigh nothing, like those that fill up.
    lse = jnp.where(lse == -jnp.inf, jnp.inf, lse)
    args = scale, lse, cotangent
    products = kernel_products.fits(settings, a.shape[1], scale.dtype)
    pulled = kernel_products.pulled if products else _pulled
    a_bar, scale_bar = pulled(settings, a, b, *args, rows_own=True)
    b_bar, _ = pulled(settings, b, a, *args, rows_own=False)
    if not settings.scale_gradient:
        scale_bar = jnp.zeros_like(scale_bar)
    return a_bar.astype(a.dtype), b_bar.astype(b.dtype), scale_bar


def _pulled(settings, own, other, scale, lse, cotangent, *, rows_own: bool):
    """(gradient of own, of scale), from all pairs of own and others."""
    plan = _plan(settings, own, other, scale.dtype, backwards=True)
    fill = (plan.owns if rows_own else plan.others) - lse.shape[0]
    lse = jnp.pad(lse, (0, fill), constant_values=jnp.inf)
    cotangent = jnp.pad(cotangent, (0, fill))
    own_spec = pl.BlockSpec((plan.own,), lambda i, j, c: (i,))
    other_spec = pl.BlockSpec((plan.tiles * plan.other,), lambda i, j, c: (j,))
    row_spec = own_spec if rows_own else other_spec
    features, outputs = plan.chunks * plan.features, plan.features + 1
    parts = _call(
        functools.partial(_backward_kernel, plan, rows_own),
        [*_prepared(plan, own, other, scale), lse, cotangent],
        grid=(plan.blocks, plan.slices, plan.chunks),
        inputs=[
            pl.BlockSpec((features, plan.own), lambda i, j, c: (0, i)),
            pl.BlockSpec((features, plan.tiles * plan.other), lambda i, j, c: (0, j)),
            pl.BlockSpec((1,), lambda i, j, c: (0,)),
            row_spec,
            row_spec,
        ],
        output=pl.BlockSpec(
            (None, None, outputs, plan.own), lambda i, j, c: (j, c, 0, i)
        ),
        shape=(plan.slices, plan.chunks, outputs, plan.owns),
    )
    total = jnp.sum(parts, axis=0)
    bar = total[:, :-1].reshape(features, -1)[: own.shape[1], : own.shape[0]]
    return bar.T, jnp.sum(total[0, -1])


def _forward_kernel(plan, own_ref, other_ref, scale_ref, lse_ref):
    """Running maximum and sum of every row, down the tiles of a slice."""
    scale, place = scale_ref[0], (pl.program_id(0), pl.program_id(1))

    def down(t, running):
        top, total = running
        s = _similarities(plan, own_ref, other_ref, t)[0]
        logits = _masked(plan, scale * s, place, t)
        new = jnp.maximum(top, jnp.max(logits, axis=0))
        base = finite(new)
        added = jnp.sum(share(logits, base[None]), axis=0)
        return new, total * jnp.exp(top - base) + added

    start = [jnp.full(plan.own, x, scale.dtype) for x in (-jnp.inf, 0)]
    top, total = jax.lax.fori_loop(0, plan.tiles, down, tuple(start))
    nothing = top == -jnp.inf
    lse = finite(top) + jnp.log(jnp.maximum(jnp.where(nothing, 1.0, total), 1.0))
    lse_ref[:] = jnp.where(nothing, -jnp.inf, lse)


def _backward_kernel(plan, rows_own, own_ref, other_ref, scale_ref, *refs):
    """Softmax weights of every tile, pulled back to one block of own's features."""
    lse_ref, cotangent_ref, bar_ref = refs
    scale, place = scale_ref[0], (pl.program_id(0), pl.program_id(1))
    first = pl.program_id(2) * plan.features

    def of_rows(ref, t):
        return ref[:][None] if rows_own else ref[_down(plan, t)][:, None]

    def down(t, bars):
        s, slope = _similarities(plan, own_ref, other_ref, t)
        logits = _masked(plan, scale * s, place, t)
        weight = share(logits, of_rows(lse_ref, t)) * of_rows(cotangent_ref, t)
        *bars, scale_bar = bars
        if rows_own:
            scale_bar = scale_bar + jnp.sum(weight * s, axis=0)
        weight = weight * (scale * slope)
        for d in range(plan.features):
            x, y = _feature(plan, own_ref, other_ref, first + d, t)
            pulled = jnp.sum(weight * _slope(plan.similarity, x, y), axis=0)
            bars[d] = bars[d] + pulled
        return *bars, scale_bar

    start = [jnp.zeros(plan.own, scale.dtype) for _ in range(plan.features + 1)]
    bars = jax.lax.fori_loop(0, plan.tiles, down, tuple(start))
    for d, bar in enumerate(bars):
        bar_ref[d, :] = bar


def _similarities(plan: _Plan, own_ref, other_ref, t):
    """(s of a tile, `[other, own]`; its derivative by the sum of terms, times p)."""

    def add(chunk, total):
        for d in range(plan.features):
            feature = chunk * plan.features + d
            total = total + _term(
                plan.similarity, *_feature(plan, own_ref, other_ref, feature, t)
            )
        return total

    total = jnp.zeros((plan.other, plan.own), plan.dtype)
    total = jax.lax.fori_loop(0, plan.chunks, add, total)
    p = plan.similarity.p
    if plan.similarity.kind == "dot":
        return total, 1.0
    if plan.similarity.power:
        return -total, -p
    root = safe_root(total, p)
    return -root, -root / jnp.where(total > 0, total, 1.0)


def _term(similarity: Similarity, x, y):
    """What a feature adds to the sum, from own and other value."""
    return x * y if similarity.kind == "dot" else abs_power(x - y, similarity.p)


def _slope(similarity: Similarity, x, y):
    """Derivative of that by own value, without the factor p."""
    return y if similarity.kind == "dot" else signed_power(x - y, similarity.p - 1)


def _feature(plan: _Plan, own_ref, other_ref, feature, t):
    """One feature of own, `[1, own]`, and of a tile of others, `[other, 1]`."""
    x, y = own_ref[feature, :][None], other_ref[feature, _down(plan, t)][:, None]
    return x.astype(plan.dtype), y.astype(plan.dtype)


def _down(plan: _Plan, t):
    return pl.ds(t * plan.other, plan.other)


def _masked(plan: _Plan, logits, place, t):
    """-inf at pairs that fill up, and at the diagonal if it is excluded."""
    shape = plan.other, plan.own
    block, slice_ = place
    tile = slice_ * plan.tiles + t
    k = tile * plan.other + jax.lax.broadcasted_iota(jnp.int32, shape, 0)
    i = block * plan.own + jax.lax.broadcasted_iota(jnp.int32, shape, 1)
    kept = (i < plan.rows[0]) & (k < plan.rows[1])
    if plan.exclude_diagonal:
        kept = kept & (i != k)
    return jnp.where(kept, logits, -jnp.inf)


def _prepared(plan: _Plan, own, other, scale) -> list[jax.Array]:
    """Both with features first, filled up to whole blocks, and scale.

    They are as wide as it, or what bfloat16 holds of them already.
    """
    features = plan.chunks * plan.features
    narrow = in_bfloat16(plan.similarity, scale.dtype)
    dtype = jnp.bfloat16 if narrow else scale.dtype
    filled = (
        jnp.pad(x.T, ((0, features - x.shape[1]), (0, length - x.shape[0])))
        for x, length in ((own, plan.owns), (other, plan.others))
    )
    return [*(x.astype(dtype) for x in filled), scale[None]]


def _call(kernel, arrays, *, grid, inputs, output, shape) -> jax.Array:
    """The kernel over its grid: compiled for CUDA, interpreted elsewhere."""
    from jax.experimental.pallas import triton

    # A type with everything that varies over devices inside `shard_map`.
    out = jax.eval_shape(
        lambda x, _, scale, *rest: jnp.broadcast_to(x[0, 0].astype(scale.dtype), shape),
        *arrays,
    )

    def call(*arrays, interpret: bool):
        return pl.pallas_call(
            kernel,
            out_shape=out,
            grid=grid,
            in_specs=inputs,
            out_specs=output,
            # A warp a program: a sum over the others crosses no lane.
            compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
            interpret=interpret,
        )(*arrays)

    return jax.lax.platform_dependent(
        *arrays,
        cuda=functools.partial(call, interpret=False),
        default=functools.partial(call, interpret=True),
    )
