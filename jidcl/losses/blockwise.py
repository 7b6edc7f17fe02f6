"""Row log-sum-exps of all pairs, streamed over tiles of the matrix.

What is stored are rows, columns and one tile: memory grows as the batch, not as its
square. The backward pass computes each tile again, turns it into softmax weights with
the saved log-sum-exps, and pulls them back through the similarity.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jidcl.losses.similarity import UNROLLED, Similarity, against
from jidcl.losses.tiles import (
    CPU_PULL_TILE,
    CPU_TILE,
    Kernel,
    Sizes,
    by_platform,
    cut_pairs,
    finite,
)
from jidcl.numerics import varying_zero


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is static in a streamed log-sum-exp.

    Attributes:
        similarity: s.
        exclude_diagonal: entry k = i is left out.
        tile: rows and columns, or kernels; chosen by platform when None.
        scale_gradient: the gradient for the scale is wanted.

    Example:
        >>> Settings(Similarity(), True, (8, 8), False).without_diagonal().tile
        (8, 8)
    """

    similarity: Similarity
    exclude_diagonal: bool
    tile: Sizes | Kernel | None
    scale_gradient: bool

    def without_diagonal(self) -> "Settings":
        """The same for columns that hold no row's own entry."""
        return dataclasses.replace(self, exclude_diagonal=False)

    def in_tiles(self) -> "Settings":
        """The same in tiles that fit the platform."""
        return dataclasses.replace(self, tile=None)


def forward(settings: Settings, a, b, scale) -> jax.Array:
    """log sum_k exp(scale s(a_i, b_k)), `[rows]`; see `jidcl.losses.logsumexp.forward`.

    Args and Returns are the same; the tile is not a `Kernel`.
    """
    stream = functools.partial(_forward, settings)
    return by_platform(stream, settings.tile, a, b, scale)


def backward(settings: Settings, a, b, scale, lse, cotangent):
    """(a_bar, b_bar, scale_bar); see `jidcl.losses.logsumexp.backward`.

    Args and Returns are the same; the tile is not a `Kernel`.
    """
    kind, p = settings.similarity.kind, settings.similarity.p
    narrow = kind == "lp" and p != 2 and a.shape[1] <= UNROLLED
    tile = CPU_PULL_TILE if narrow else CPU_TILE
    pull = functools.partial(_backward, settings)
    return by_platform(pull, settings.tile, a, b, scale, lse, cotangent, cpu=tile)


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
            added = jnp.sum(_share(logits, base), axis=1)
            return new, total * jnp.exp(top - base) + added

        return jax.lax.map(over_rows, (rows, running)), None

    shape = rows[0].shape[:2]
    empty = _filled(-jnp.inf, shape, a, b, scale), _filled(0, shape, a, b, scale)
    (top, total), _ = jax.lax.scan(over_columns, empty, columns)
    nothing = total == 0  # its logarithm, and its derivatives, are not taken
    lse = finite(top) + jnp.log(jnp.where(nothing, 1.0, total))
    return jnp.where(nothing, -jnp.inf, lse).reshape(-1)[: a.shape[0]]


def _backward(settings: Settings, tile, a, b, scale, lse, cotangent):
    """Gradients for a, b and scale, from the saved log-sum-exps."""
    rows, columns = cut_pairs(tile, a, b)
    own = settings.tile is None  # nobody asked for this one
    shape = rows[0].shape[:2]
    fill = shape[0] * shape[1] - a.shape[0]
    # Rows that fill up, and rows without entries, weigh nothing.
    lse = jnp.where(lse == -jnp.inf, jnp.inf, lse)
    lse = jnp.pad(lse, (0, fill), constant_values=jnp.inf).reshape(shape)
    cotangent = jnp.pad(cotangent, (0, fill)).reshape(shape)
    wide = scale.dtype

    def over_columns(carry, column):
        def over_rows(carry, part):
            b_bar, scale_bar = carry
            row, lse, weight, a_bar = part
            pairs = functools.partial(against, settings.similarity)
            s, pull = jax.vjp(pairs, row[0].astype(wide), column[0].astype(wide))
            logits = _masked(settings, scale * s, row, column, b.shape[0])
            softmax = _share(logits, lse) * weight[:, None]
            if settings.scale_gradient:
                scale_bar = scale_bar + jnp.sum(softmax * s)
            here, there = pull(softmax * scale)
            return (b_bar + there, scale_bar), a_bar + here

        a_bar, scale_bar = carry
        start = _filled(0, column[0].shape, a, b, scale), scale_bar
        parts = rows, lse, cotangent, a_bar
        (b_bar, scale_bar), a_bar = jax.lax.scan(
            over_rows, start, parts, unroll=2 if own and tile == CPU_PULL_TILE else 1
        )
        return (a_bar, scale_bar), b_bar

    start = [_filled(0, shape, a, b, scale) for shape in (rows[0].shape, ())]
    (a_bar, scale_bar), b_bar = jax.lax.scan(over_columns, tuple(start), columns)
    a_bar = a_bar.reshape(-1, a.shape[1])[: a.shape[0]]
    b_bar = jnp.swapaxes(b_bar, 1, 2).reshape(-1, b.shape[1])[: b.shape[0]]
    return a_bar.astype(a.dtype), b_bar.astype(b.dtype), scale_bar


def _masked(settings: Settings, logits, row, column, cols: int):
    """-inf at columns that fill up, and at the diagonal if it is excluded."""
    (_, i), (_, k) = row, column
    if settings.exclude_diagonal:
        logits = jnp.where(i[:, None] == k[None], -jnp.inf, logits)
    return jnp.where(k[None] < cols, logits, -jnp.inf)


def _share(logits, most):
    """exp(logits - most) for logits of at most `most`, and at most 1.

    A compiler may compute the logits anew here, and round them otherwise: at 1e9 a last
    digit is worth more than exp can hold.
    """
    return jnp.exp(_not_above_zero(logits - most[:, None]))


@jax.custom_jvp
def _not_above_zero(x):
    return jnp.minimum(x, 0.0)


# What is above is rounding: the derivative is that of x, also at 0.
_not_above_zero.defjvp(lambda primals, tangents: (_not_above_zero(*primals), *tangents))


def _filled(value: float, shape, *like: jax.Array) -> jax.Array:
    """A constant in the last one's dtype, varying over the mesh axes that any does."""
    return jnp.full(shape, value, like[-1].dtype) + varying_zero(like[-1].dtype, *like)
