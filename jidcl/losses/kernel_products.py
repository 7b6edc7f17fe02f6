"""Row log-sum-exps of dot products by GPU kernels that use the matrix units.

One program holds a block of rows ("own") and walks down tiles of the others: a product
of blocks, its exponentials, and backwards a second product that pulls the softmax
weights back. What leaves is a log-sum-exp a row and the gradients: nothing of size
rows x cols reaches memory. The gradients of a and b are one kernel with the roles
exchanged, so that no two programs write to one place and sums keep their order.

For float32 numbers the matrix units have TF32 alone: one product of it with
`Similarity(precision="fast")`, else three (the parts that TF32 drops are multiplied
too), whose error is that of float32. With `"bfloat16"` rows are held and multiplied in
it, as narrower numbers are where the precision is fast, and weights are rounded like
them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from jidcl.losses.blockwise import Settings
from jidcl.losses.rows import in_bfloat16
from jidcl.losses.tiles import Kernel, finite
from jidcl.numerics import share

WIDTHS = 16, 128  # features of rows that fit, filled up to a power of two
SIZES = Kernel(own=128, other=64, programs=264)
WARPS, STAGES = 8, 2


class _Plan(NamedTuple):
    """How a grid covers all pairs: (blocks of own, slices of the others)."""

    own: int
    other: int
    blocks: int
    slices: int
    tiles: int  # in a slice
    rows: tuple[int, int]  # of own and of the others, before they are filled up
    exclude_diagonal: bool
    fast: bool
    narrow: bool  # multiplied in bfloat16
    compiled: bool = True  # else interpreted, where a product has no algorithms

    @property
    def slice(self) -> int:
        """Rows of the others in a slice, filled up."""
        return self.tiles * self.other


def fits(settings: Settings, m: int, dtype) -> bool:
    """Whether these kernels are for such a similarity, width and dtype of the sums."""
    narrow = WIDTHS[0] <= m <= WIDTHS[1] and dtype == jnp.float32
    return settings.similarity.kind == "dot" and narrow


def forward(settings: Settings, a, b, scale) -> jax.Array:
    """log sum_k exp(scale a_i . b_k), `[rows]`."""
    plan = _plan(settings, a, b)
    own, other = _filled(plan, a, b)
    parts = _call(
        _forward_kernel,
        [own, other, scale[None]],
        plan,
        inputs=_specs(plan, own.shape[1]),
        outputs=[((plan.own,), ())],
    )[0]
    return jax.nn.logsumexp(parts, axis=0)[: a.shape[0]]


def pulled(settings: Settings, own, other, scale, lse, cotangent, *, rows_own: bool):
    """(gradient of own, of scale), from all pairs of own and others.

    `lse` and `cotangent` belong to own's rows, or to those of the others.
    """
    plan = _plan(settings, own, other)
    length = plan.blocks * plan.own if rows_own else plan.slices * plan.slice
    fill = length - lse.shape[0]
    lse = jnp.pad(lse, (0, fill), constant_values=jnp.inf)
    cotangent = jnp.pad(cotangent, (0, fill))
    arrays = _filled(plan, own, other)
    width = arrays[0].shape[1]
    row = pl.BlockSpec((plan.own,), lambda i, j: (i,))
    if not rows_own:
        row = pl.BlockSpec((plan.slice,), lambda i, j: (j,))
    bars, scale_bars = _call(
        functools.partial(_backward_kernel, rows_own),
        [*arrays, scale[None], lse, cotangent],
        plan,
        inputs=[*_specs(plan, width), row, row],
        outputs=[((plan.own, width), (0,)), ((plan.own,), ())],
    )
    bar = jnp.sum(bars, axis=0)[: own.shape[0], : own.shape[1]]
    return bar, jnp.sum(scale_bars)


def _plan(settings: Settings, own, other) -> _Plan:
    tile: Any = SIZES if settings.tile == Kernel() else settings.tile
    blocks, tiles = -(-own.shape[0] // tile.own), -(-other.shape[0] // tile.other)
    each = -(-tiles // min(max(tile.programs // blocks, 1), tiles))
    fast = settings.similarity.precision == "fast"
    return _Plan(
        tile.own,
        tile.other,
        blocks,
        -(-tiles // each),
        each,
        (own.shape[0], other.shape[0]),
        settings.exclude_diagonal,
        fast,
        in_bfloat16(settings.similarity, jnp.float32)
        or (fast and own.dtype == other.dtype == jnp.bfloat16),
    )


def _filled(plan: _Plan, own, other) -> list[jax.Array]:
    """Both filled up to whole blocks and to a power of two of features."""
    width = max(1 << (own.shape[1] - 1).bit_length(), WIDTHS[0])
    lengths = plan.blocks * plan.own, plan.slices * plan.slice
    return [
        jnp.pad(x, ((0, length - x.shape[0]), (0, width - x.shape[1]))).astype(
            jnp.bfloat16 if plan.narrow else jnp.float32
        )
        for x, length in zip((own, other), lengths, strict=True)
    ]


def _specs(plan: _Plan, width: int) -> list[pl.BlockSpec]:
    return [
        pl.BlockSpec((plan.own, width), lambda i, j: (i, 0)),
        pl.BlockSpec((plan.slice, width), lambda i, j: (j, 0)),
        pl.BlockSpec((1,), lambda i, j: (0,)),
    ]


def _forward_kernel(own_ref, other_ref, scale_ref, lse_ref, *, plan: _Plan):
    """Running maximum and sum of every row, down the tiles of a slice."""
    own, scale, place = own_ref[...], scale_ref[0], _place()

    def down(t, running):
        top, total = running
        logits = scale * _product(plan, own, other_ref[_down(plan, t), :].T)
        logits = _masked(plan, logits, place, t)
        new = jnp.maximum(top, jnp.max(logits, axis=1))
        base = finite(new)
        added = jnp.sum(share(logits, base[:, None]), axis=1)
        return new, total * jnp.exp(top - base) + added

    start = [jnp.full(plan.own, x, scale.dtype) for x in (-jnp.inf, 0)]
    top, total = jax.lax.fori_loop(0, plan.tiles, down, tuple(start))
    nothing = top == -jnp.inf
    lse = finite(top) + jnp.log(jnp.maximum(jnp.where(nothing, 1.0, total), 1.0))
    lse_ref[...] = jnp.where(nothing, -jnp.inf, lse)


def _backward_kernel(rows_own, own_ref, other_ref, scale_ref, *refs, plan: _Plan):
    """Softmax weights of every tile, pulled back to own by a second product."""
    lse_ref, cotangent_ref, bar_ref, scale_bar_ref = refs
    own, scale, place = own_ref[...], scale_ref[0], _place()

    def of_rows(ref, t):
        return ref[...][:, None] if rows_own else ref[_down(plan, t)][None]

    def down(t, bars):
        bar, scale_bar = bars
        other = other_ref[_down(plan, t), :]
        s = _product(plan, own, other.T)
        logits = _masked(plan, scale * s, place, t)
        weight = share(logits, of_rows(lse_ref, t)) * of_rows(cotangent_ref, t)
        scale_bar = scale_bar + jnp.sum(weight * s, axis=1)
        return bar + _product(plan, weight.astype(other.dtype), other), scale_bar

    start = jnp.zeros(own.shape, scale.dtype), jnp.zeros(plan.own, scale.dtype)
    bar, scale_bar = jax.lax.fori_loop(0, plan.tiles, down, start)
    bar_ref[...] = scale * bar
    scale_bar_ref[...] = scale_bar


def _product(plan: _Plan, x, y):
    precision = None
    if x.dtype == jnp.float32:
        one, three = "TF32_TF32_F32", "TF32_TF32_F32_X3"
        precision = jax.lax.DotAlgorithmPreset[one if plan.fast else three]
        precision = precision if plan.compiled else jax.lax.Precision.HIGHEST
    return jnp.dot(x, y, precision=precision, preferred_element_type=jnp.float32)


def _down(plan: _Plan, t):
    return pl.ds(t * plan.other, plan.other)


def _place():
    """(block of own, slice of the others); to be asked for outside of loops."""
    return pl.program_id(0), pl.program_id(1)


def _masked(plan: _Plan, logits, place, t):
    """-inf at pairs that fill up, and at the diagonal if it is excluded."""
    block, tile = place[0], place[1] * plan.tiles + t
    i = block * plan.own + jax.lax.broadcasted_iota(jnp.int32, logits.shape, 0)
    k = tile * plan.other + jax.lax.broadcasted_iota(jnp.int32, logits.shape, 1)
    kept = k < plan.rows[1]
    if plan.exclude_diagonal:
        kept = kept & (i != k)
    return jnp.where(kept, logits, -jnp.inf)


def _call(kernel, arrays, plan: _Plan, *, inputs, outputs) -> list[jax.Array]:
    """The kernel over its grid; every output has a part for each slice."""
    from jax.experimental.pallas import triton

    out_shape, out_specs = [], []
    for block, zeros in outputs:
        shape = plan.slices, plan.blocks * plan.own, *block[1:]
        # A type with everything that varies over devices inside `shard_map`.
        out_shape.append(
            jax.eval_shape(
                lambda *xs, s=shape: jnp.broadcast_to(
                    sum(x.ravel()[0].astype(jnp.float32) for x in xs), s
                ),
                *arrays,
            )
        )
        out_specs.append(pl.BlockSpec((None, *block), lambda i, j, z=zeros: (j, i, *z)))

    def call(*arrays, interpret: bool):
        return pl.pallas_call(
            functools.partial(kernel, plan=plan._replace(compiled=not interpret)),
            out_shape=out_shape,
            grid=(plan.blocks, plan.slices),
            in_specs=inputs,
            out_specs=out_specs,
            compiler_params=triton.CompilerParams(num_warps=WARPS, num_stages=STAGES),
            interpret=interpret,
        )(*arrays)

    return jax.lax.platform_dependent(
        *arrays,
        cuda=functools.partial(call, interpret=False),
        default=functools.partial(call, interpret=True),
    )
