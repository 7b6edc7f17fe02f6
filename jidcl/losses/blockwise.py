"""Row log-sum-exps of all pairs, streamed over tiles of the matrix.

What is stored are rows, columns and one tile: memory grows as the batch, not as its
square. The backward pass computes each tile again, turns it into softmax weights with
the saved log-sum-exps, and pulls them back through the similarity.

On a CPU a tile lies with the rows of a across: every sum runs over its first axis, so
that one vector register holds the sums of many rows.
"""

import functools

import jax
import jax.numpy as jnp

from jidcl.losses.settings import Settings, filled
from jidcl.losses.similarity import against, pulled_across
from jidcl.losses.tiles import Sizes, by_platform, cut_pairs, finite
from jidcl.numerics import at_least_one, share


def forward(settings: Settings, a, b, scale) -> jax.Array:
    """log sum_k exp(scale s(a_i, b_k)), `[rows]`; see `jidcl.losses.logsumexp.forward`.

    Args and Returns are the same; the tile is not a `Kernel`.
    """
    here = functools.partial(_forward_across, settings)
    other = functools.partial(_forward, settings)
    return by_platform(here, other, settings.tile, a, b, scale)


def backward(settings: Settings, a, b, scale, lse, cotangent):
    """(a_bar, b_bar, scale_bar); see `jidcl.losses.logsumexp.backward`.

    Args and Returns are the same; the tile is not a `Kernel`.
    """
    here = functools.partial(_backward_across, settings)
    other = functools.partial(_backward, settings)
    return by_platform(here, other, settings.tile, a, b, scale, lse, cotangent)


def backward_of_self(settings: Settings, a, scale, lse, cotangent):
    """(a_bar, scale_bar) where b is a; see `_backward_of_self_across`.

    Args and Returns are the same; `settings.tile` is not a `Kernel`.
    """

    def other(tile, a, *rest):
        here, there, scale_bar = _backward(settings, tile, a, a, *rest)
        return here + there, scale_bar

    here = functools.partial(_backward_of_self_across, settings)
    return by_platform(here, other, settings.tile, a, scale, lse, cotangent)


def _forward(settings: Settings, tile, a, b, scale):
    """Running maximum and sum of every row, over tiles of columns."""
    rows, columns = cut_pairs(tile, a, b)

    def over_columns(running, column):
        def over_rows(part):
            row, (top, total) = part
            s = against(settings.similarity, row[0], column[0])
            logits = _masked(settings, scale * s, row, column, b.shape[0])
            new = jnp.maximum(top, jax.lax.stop_gradient(jnp.max(logits, axis=1)))
            base = finite(new)
            added = jnp.sum(share(logits, base[:, None]), axis=1)
            return new, total * jnp.exp(top - base) + added

        return jax.lax.map(over_rows, (rows, running)), None

    shape = rows[0].shape[:2]
    empty = filled(-jnp.inf, shape, a, b, scale), filled(0, shape, a, b, scale)
    (top, total), _ = jax.lax.scan(over_columns, empty, columns)
    nothing = top == -jnp.inf  # its logarithm, and its derivatives, are not taken
    lse = finite(top) + jnp.log(at_least_one(jnp.where(nothing, 1.0, total)))
    return jnp.where(nothing, -jnp.inf, lse).reshape(-1)[: a.shape[0]]


def _backward(settings: Settings, tile, a, b, scale, lse, cotangent):
    """Gradients for a, b and scale, from the saved log-sum-exps."""
    rows, columns = cut_pairs(tile, a, b)
    shape = rows[0].shape[:2]
    lse, cotangent = _in_row_tiles(shape, lse, cotangent)
    wide = scale.dtype

    def over_columns(carry, column):
        def over_rows(carry, part):
            b_bar, scale_bar = carry
            row, lse, weight, a_bar = part
            pairs = functools.partial(against, settings.similarity)
            s, pull = jax.vjp(pairs, row[0].astype(wide), column[0].astype(wide))
            logits = _masked(settings, scale * s, row, column, b.shape[0])
            softmax = share(logits, lse[:, None]) * weight[:, None]
            if settings.scale_gradient:
                scale_bar = scale_bar + jnp.sum(softmax * s)
            here, there = pull(softmax * scale)
            return (b_bar + there, scale_bar), a_bar + here

        a_bar, scale_bar = carry
        start = filled(0, column[0].shape, a, b, scale), scale_bar
        parts = rows, lse, cotangent, a_bar
        (b_bar, scale_bar), a_bar = jax.lax.scan(over_rows, start, parts)
        return (a_bar, scale_bar), b_bar

    start = [filled(0, shape, a, b, scale) for shape in (rows[0].shape, ())]
    (a_bar, scale_bar), b_bar = jax.lax.scan(over_columns, tuple(start), columns)
    a_bar = a_bar.reshape(-1, a.shape[1])[: a.shape[0]]
    b_bar = jnp.swapaxes(b_bar, 1, 2).reshape(-1, b.shape[1])[: b.shape[0]]
    return a_bar.astype(a.dtype), b_bar.astype(b.dtype), scale_bar


def _in_row_tiles(shape: tuple[int, ...], lse, cotangent):
    """Both cut as the rows; those that fill up, or have no entry, weigh nothing."""
    fill = shape[0] * shape[1] - lse.shape[0]
    lse = jnp.where(lse == -jnp.inf, jnp.inf, lse)
    lse = jnp.pad(lse, (0, fill), constant_values=jnp.inf).reshape(shape)
    return lse, jnp.pad(cotangent, (0, fill)).reshape(shape)


def _masked(settings: Settings, logits, row, column, cols: int):
    """-inf at columns that fill up, and at the diagonal if it is excluded."""
    (_, i), (_, k) = row, column
    if settings.exclude_diagonal:
        logits = jnp.where(i[:, None] == k[None], -jnp.inf, logits)
    return jnp.where(k[None] < cols, logits, -jnp.inf)


# On a CPU -----------------------------------------------------------------------------


def _forward_across(settings: Settings, tile: Sizes, a, b, scale) -> jax.Array:
    """log sum_k exp(scale s(a_i, b_k)), `[rows]`; see `jidcl.losses.logsumexp.forward`.

    Args:
        settings: similarity and diagonal.
        tile: rows of a and rows of b in a tile, >= 1.
        a: `[rows, m]`.
        b: `[cols, m]`.
        scale: 1 / tau, a scalar.

    Returns:
        `[rows]` in scale's dtype.
    """
    others, rows = cut_pairs((tile[1], tile[0]), b, a)

    def over_rows(row):
        def over_others(running, other):
            top, total = running
            s = against(settings.similarity, other[0], row[0])
            logits = _masked_across(settings, scale * s, other, row, b.shape[0])
            new = jnp.maximum(top, jax.lax.stop_gradient(jnp.max(logits, axis=0)))
            base = finite(new)
            added = jnp.sum(share(logits, base[None]), axis=0)
            return (new, total * jnp.exp(top - base) + added), None

        shape = row[1].shape
        empty = filled(-jnp.inf, shape, a, b, scale), filled(0, shape, a, b, scale)
        return jax.lax.scan(over_others, empty, others)[0]

    top, total = jax.lax.map(over_rows, rows)
    nothing = top == -jnp.inf  # its logarithm, and its derivatives, are not taken
    lse = finite(top) + jnp.log(at_least_one(jnp.where(nothing, 1.0, total)))
    return jnp.where(nothing, -jnp.inf, lse).reshape(-1)[: a.shape[0]]


def _backward_across(settings: Settings, tile: Sizes, a, b, scale, lse, cotangent):
    """(a_bar, b_bar, scale_bar); see `jidcl.losses.logsumexp.backward`.

    Args and Returns are the same; `tile` as forwards.
    """
    wide = scale.dtype
    others, rows = cut_pairs((tile[1], tile[0]), b.astype(wide), a.astype(wide))
    shape = rows[1].shape
    lse, cotangent = _in_row_tiles(shape, lse, cotangent)

    def over_rows(carry, part):
        row, lse, weight = part

        def over_others(carry, part):
            a_bar, scale_bar = carry
            other, b_bar = part
            s, pull = pulled_across(settings.similarity, other[0], row[0])
            logits = _masked_across(settings, scale * s, other, row, b.shape[0])
            softmax = share(logits, lse[None]) * weight[None]
            if settings.scale_gradient:
                scale_bar = scale_bar + jnp.sum(softmax * s)
            there, here = pull(softmax * scale)
            return (a_bar + here, scale_bar), b_bar + there

        b_bar, scale_bar = carry
        start = filled(0, row[0].shape, a, b, scale), scale_bar
        (a_bar, scale_bar), b_bar = jax.lax.scan(over_others, start, (others, b_bar))
        return (b_bar, scale_bar), a_bar

    start = [filled(0, shape, a, b, scale) for shape in (others[0].shape, ())]
    parts = rows, lse, cotangent
    (b_bar, scale_bar), a_bar = jax.lax.scan(over_rows, tuple(start), parts)
    a_bar = jnp.swapaxes(a_bar, 1, 2).reshape(-1, a.shape[1])[: a.shape[0]]
    b_bar = b_bar.reshape(-1, b.shape[1])[: b.shape[0]]
    return a_bar.astype(a.dtype), b_bar.astype(b.dtype), scale_bar


def _backward_of_self_across(settings: Settings, tile: Sizes, a, scale, lse, cotangent):
    """(a_bar, scale_bar) where b is a, the similarity a p-norm, and no entry left out.

    s is symmetric: a row and its gradient meet every other row once, with the weights
    of both. s <= 0 = s(a_i, a_i), so that log-sum-exps are >= 0 and exp(scale s) serves
    both weights without a shift.

    Args:
        settings: similarity and diagonal.
        tile: as forwards.
        a: `[rows, m]`.
        scale: 1 / tau, a scalar.
        lse: log-sum-exps of the rows, `[rows]`.
        cotangent: of lse, `[rows]`.

    Returns:
        The gradients, in the dtypes of a and scale.
    """
    others, rows = cut_pairs(
        (tile[1], tile[0]), a.astype(scale.dtype), a.astype(scale.dtype)
    )
    share_of_row = cotangent * jnp.exp(-lse)

    def weights(cut):
        number = cut[1]
        fill = number.size - a.shape[0]
        return jnp.pad(share_of_row, (0, fill)).reshape(number.shape)

    def over_rows(scale_bar, part):
        row, own = part

        def over_others(carry, part):
            a_bar, scale_bar = carry
            other, theirs = part
            s, pull = pulled_across(settings.similarity, other[0], row[0])
            logits = _masked_across(settings, scale * s, other, row, a.shape[0])
            entries = jnp.exp(logits)
            if settings.scale_gradient:
                scale_bar = scale_bar + jnp.sum(entries * own[None] * s)
            both = own[None] + theirs[:, None]
            return (a_bar + pull(entries * both * scale)[1], scale_bar), None

        start = filled(0, row[0].shape, a, scale), scale_bar
        parts = others, weights(others)
        (a_bar, scale_bar), _ = jax.lax.scan(over_others, start, parts)
        return scale_bar, a_bar

    parts = rows, weights(rows)
    scale_bar, a_bar = jax.lax.scan(over_rows, filled(0, (), a, scale), parts)
    a_bar = jnp.swapaxes(a_bar, 1, 2).reshape(-1, a.shape[1])[: a.shape[0]]
    return a_bar.astype(a.dtype), scale_bar


def _masked_across(settings: Settings, logits, other, row, cols: int):
    """-inf at rows of b that fill up, and at the diagonal if it is excluded."""
    (there, k), (_, i) = other, row
    if settings.exclude_diagonal:
        logits = jnp.where(k[:, None] == i[None], -jnp.inf, logits)
    if cols % there.shape[0]:
        logits = jnp.where(k[:, None] < cols, logits, -jnp.inf)
    return logits
