"""Row log-sum-exps of all pairs: as one matrix, or streamed over tiles of it.

The streamed form stores rows, columns and one tile: memory grows as the batch, not as
its square. Backwards it computes each tile again, turns it into softmax weights with
the saved log-sum-exps, and pulls them back through the similarity.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_at_least, check_features, check_whole
from jidcl.losses.similarity import UNROLLED, Similarity, against, pairwise
from jidcl.numerics import at_least_float32, unit, varying_zero


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Pallas kernels for CUDA, `jidcl.losses.kernel`; interpreted elsewhere, slowly.

    Attributes:
        own: rows that a program holds, a power of two.
        other: rows of a tile that it meets at once, a power of two.
        programs: columns are shared among programs until there are about as many.
    """

    own: int = 32
    other: int = 16
    programs: int = 2048

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            check_whole(name, value)
            check_at_least(name, value, 1)
            if name != "programs" and value & (value - 1):
                raise ValueError(f"{name} must be a power of two, got {value}")


Sizes = tuple[int, int]
Tile = str | None | int | Sizes | Kernel

CPU_TILE = 256, 1024
ACCELERATOR_TILE = 2048, 8192
# Pulled back through a p-norm, a tile is stored once a feature: two of these, side by
# side, stay in the caches of two cores.
CPU_PULL_TILE = 64, 512


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is static in a streamed log-sum-exp.

    Attributes:
        similarity: s.
        exclude_diagonal: entry k = i is left out.
        tile: rows and columns, or kernels; chosen by platform when None.
        scale_gradient: the gradient for the scale is wanted.
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


def row_logsumexp(
    similarity: Similarity,
    a: jax.Array,
    b: jax.Array,
    *,
    tau: jax.Array | float = 1.0,
    exclude_diagonal: bool = False,
    tile: Tile = "auto",
) -> jax.Array:
    """log sum_k exp(s(a_i, b_k) / tau) for every row i.

    Args:
        similarity: s.
        a: `[rows, m]`.
        b: `[cols, m]`.
        tau: temperature > 0; a Python number has no gradient.
        exclude_diagonal: leave out k = i; -inf where nothing is left.
        tile: `"auto"`: one matrix while it is small, else tiles for the platform;
            None: one matrix; an integer, or (rows, columns): tiles of that size;
            `"kernel"`, or a `Kernel`: Pallas kernels for CUDA. `"auto"` does not choose
            them: they were faster on an H100, but nobody has compared their gradients
            there (`pytest -m gpu`); interpreted, they are tested everywhere.

    Returns:
        `[rows]`, float32 or wider.

    Raises:
        ValueError: on a tile < 1.
        TypeError: on a tile that is not whole.

    Notes:
        The gradient of the streamed form is written by hand: reverse mode, and any mode
        over it; forward mode first is refused by JAX (take tile=None).
    """
    sizes = check_tile(tile)
    if sizes is None or (
        sizes == "auto" and a.shape[0] * b.shape[0] <= CPU_TILE[0] ** 2
    ):
        logits = pairwise(similarity, a, b) / tau
        if exclude_diagonal:
            logits = jnp.where(_diagonal(*logits.shape), -jnp.inf, logits)
        return jax.nn.logsumexp(logits, axis=1)
    settings, a, b, scale = prepared(similarity, a, b, tau, exclude_diagonal, sizes)
    return _streamed(settings, a, b, scale)


def prepared(similarity: Similarity, a, b, tau, exclude_diagonal: bool, sizes: Any):
    """(settings, a, b, scale) of a streamed form: the cosine is a dot of unit rows."""
    check_features("a", a)
    check_features("b", b, a.shape[-1])
    wide = at_least_float32(a.dtype, b.dtype)
    if similarity.kind == "cosine":
        a, b = unit(a.astype(wide)), unit(b.astype(wide))
        similarity = dataclasses.replace(similarity, kind="dot")
    learned = not isinstance(tau, int | float)
    sizes = None if sizes == "auto" else sizes
    settings = Settings(similarity, exclude_diagonal, sizes, learned)
    scale = 1 / jnp.asarray(tau, wide)
    # Inside shard_map, what varies over devices is part of a type; here all agree.
    arrays = a, b, scale
    return settings, *(x + varying_zero(x.dtype, *arrays) for x in arrays)


def check_tile(tile: Any) -> Any:
    """`"auto"`, None, a `Kernel`, or a pair of whole numbers >= 1."""
    if isinstance(tile, str) and tile in ("auto", "kernel"):
        return tile if tile == "auto" else Kernel()
    if tile is None or isinstance(tile, Kernel):
        return tile
    sizes = tile if isinstance(tile, tuple) else (tile, tile)
    if len(sizes) != 2:
        raise ValueError(
            f"tile must be 'auto', 'kernel', None, one number or two, got {tile}"
        )
    for size in sizes:
        check_whole("tile", size)
        check_at_least("tile", size, 1)
    return sizes


def _diagonal(rows: int, cols: int) -> jax.Array:
    return jnp.arange(rows)[:, None] == jnp.arange(cols)[None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _streamed(settings: Settings, a: jax.Array, b: jax.Array, scale: jax.Array):
    """log sum_k exp(scale s(a_i, b_k)), `[rows]`."""
    return forward(settings, a, b, scale)


def _streamed_fwd(settings, a, b, scale):
    lse = forward(settings, a, b, scale)
    return lse, (a, b, scale, lse)


def _streamed_bwd(settings, residuals, cotangent):
    a, b, scale, lse = residuals
    return backward(settings, a, b, scale, lse, cotangent)


_streamed.defvjp(_streamed_fwd, _streamed_bwd)


def forward(settings: Settings, a, b, scale) -> jax.Array:
    """The streamed log-sum-exps, `[rows]`, with derivatives as they stand."""
    if isinstance(settings.tile, Kernel):
        return _kernels().forward(settings, a, b, scale)
    return _by_platform(_forward, settings, a, b, scale)


def backward(settings: Settings, a, b, scale, lse, cotangent):
    """(a_bar, b_bar, scale_bar), from log-sum-exps over these or more columns."""
    if isinstance(settings.tile, Kernel):
        return _kernels().backward(settings, a, b, scale, lse, cotangent)
    kind, p = settings.similarity.kind, settings.similarity.p
    narrow = kind == "lp" and p != 2 and a.shape[1] <= UNROLLED
    tile = CPU_PULL_TILE if narrow else CPU_TILE
    return _by_platform(_backward, settings, a, b, scale, lse, cotangent, cpu=tile)


def _kernels() -> Any:
    """The module of kernels: only who asks for them waits for Pallas."""
    from jidcl.losses import kernel

    return kernel


def _by_platform(function, settings: Settings, *args, cpu: Sizes = CPU_TILE):
    """function(settings, tile, *args) with the tile that was asked for, or fits."""
    if settings.tile is not None:
        return function(settings, settings.tile, *args)
    here = functools.partial(function, settings, cpu)
    other = functools.partial(function, settings, ACCELERATOR_TILE)
    return jax.lax.platform_dependent(*args, cpu=here, default=other)


def _forward(settings: Settings, tile, a, b, scale):
    """Running maximum and sum of every row, over tiles of columns."""
    rows, columns = _tiles(tile, a, b)

    def over_columns(running, column):
        def over_rows(part):
            row, (top, total) = part
            s = against(settings.similarity, row[0], column[0])
            logits = _masked(settings, scale * s, row, column, b.shape[0])
            new = jnp.maximum(top, jax.lax.stop_gradient(jnp.max(logits, axis=1)))
            base = _finite(new)
            added = jnp.sum(_share(logits, base), axis=1)
            return new, total * jnp.exp(top - base) + added

        return jax.lax.map(over_rows, (rows, running)), None

    shape = rows[0].shape[:2]
    empty = _filled(-jnp.inf, shape, a, b, scale), _filled(0, shape, a, b, scale)
    (top, total), _ = jax.lax.scan(over_columns, empty, columns)
    nothing = total == 0  # its logarithm, and its derivatives, are not taken
    lse = _finite(top) + jnp.log(jnp.where(nothing, 1.0, total))
    return jnp.where(nothing, -jnp.inf, lse).reshape(-1)[: a.shape[0]]


def _backward(settings: Settings, tile, a, b, scale, lse, cotangent):
    """Gradients for a, b and scale, from the saved log-sum-exps."""
    rows, columns = _tiles(tile, a, b)
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


def _tiles(tile, a, b):
    """((row tiles, their numbers), (column tiles with features first, numbers)).

    The outer loop goes over the columns: what it slices is stored once for the inner
    loop. (Sliced inside the pairwise pass, it would not be vectorised.)
    """

    def cut(array, size):
        count = -(-array.shape[0] // size)
        size = -(-array.shape[0] // count)  # as even as it goes
        filled = jnp.pad(array, ((0, count * size - array.shape[0]), (0, 0)))
        number = jnp.arange(count * size).reshape(count, size)
        return filled.reshape(count, size, -1), number

    (rows, row_number), (columns, column_number) = cut(a, tile[0]), cut(b, tile[1])
    return (rows, row_number), (jnp.swapaxes(columns, 1, 2), column_number)


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


def _finite(top):
    """The maximum to subtract: 0 for a row without entries, whose sum stays 0."""
    return jnp.where(top == -jnp.inf, 0.0, top)


def _filled(value: float, shape, *like: jax.Array) -> jax.Array:
    """A constant in the last one's dtype, varying over the mesh axes that any does."""
    return jnp.full(shape, value, like[-1].dtype) + varying_zero(like[-1].dtype, *like)
