"""Row log-sum-exps of all pairs: as one matrix, streamed over tiles, or by kernels."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_features,
    check_memory,
    is_traced,
)
from jidcl.compiled import (
    compiled,
)
from jidcl.losses import blockwise
from jidcl.losses.blockwise import Settings
from jidcl.losses.kernel_choice import kernel_is_chosen
from jidcl.losses.rows import (
    as_multiplied,
    is_norm,
    of_ordinary_size,
    pairwise,
)
from jidcl.losses.similarity import Similarity
from jidcl.losses.tiles import SMALL, Kernel, Tile, check_tile
from jidcl.numerics import at_least_float32, logsumexp, varying_zero


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
        a: `[rows, m]`, m >= 1.
        b: `[cols, m]`.
        tau: temperature > 0; a Python number has no gradient.
        exclude_diagonal: leave out k = i; -inf where nothing is left.
        tile: `"auto"`: one matrix while it is small, else tiles for the platform;
            None: one matrix; an integer, or (rows, columns): tiles of that size;
            `"kernel"`, or a `Kernel`: Pallas kernels for CUDA. `"auto"` chooses them
            where they were measured, see `jidcl.losses.kernel_choice`: nowhere yet.

    Returns:
        `[rows]`, float32 or wider, in nats.

    Raises:
        ValueError: on a tile < 1, or arrays of different widths.
        TypeError: on a tile that is not whole, or arrays that are not floating-point.

    Example:
        >>> a = jnp.zeros((2, 3))
        >>> row_logsumexp(Similarity(), a, a, tile=1)  # log(2)
        Array([0.6931..., 0.6931...], dtype=float32)

    Source: Milakov and Gimelshein 2018, algorithm 3 (the running maximum and sum of the
        streamed form); Zimmermann et al. 2021, equation 1 (where the sums stand).

    Notes:
        The gradient of the streamed form is written by hand: reverse mode, and any mode
        over it; forward mode first is refused by JAX (take tile=None).
    """
    sizes = check_tile(tile)
    if sizes is None or (sizes == "auto" and a.shape[0] * b.shape[0] <= SMALL):
        if not is_traced(a):
            check_memory(
                "rows of one matrix (tile)", len(a), 2 * a.shape[0] * b.shape[0]
            )
        s = pairwise(similarity, a, b)
        kept = ~_diagonal(*s.shape) if exclude_diagonal else None
        return logsumexp(s, 1, tau=tau, kept=kept)
    of_self = a is b and similarity.kind == "lp" and not exclude_diagonal
    of_self = of_self and similarity.precision != "bfloat16"  # may become a product
    settings, a, b, scale = prepared(similarity, a, b, tau, exclude_diagonal, sizes)
    if of_self and not isinstance(sizes, Kernel):
        return _stream_self(settings, a, scale)
    return _stream(settings, a, b, scale)


def prepared(
    similarity: Similarity,
    a,
    b,
    tau,
    exclude_diagonal: bool,
    sizes: Any,
    axis: str | None = None,
):
    """What a streamed form takes, with pairs as `as_multiplied` has them.

    Args:
        similarity: s.
        a: `[rows, m]`.
        b: `[cols, m]`.
        tau: temperature > 0; a Python number has no gradient.
        exclude_diagonal: entry k = i is left out.
        sizes: see `jidcl.losses.tiles.check_tile`; not None.
        axis: mesh axis that spreads the columns, for which b is only a part of them.

    Returns:
        `(settings, a, b, scale)`, with scale = 1 / tau in float32 or wider; where s is
        a norm, a and b over a power of two and scale times it.

    Raises:
        ValueError: on arrays of different widths.
        TypeError: on arrays that are not floating-point.

    Example:
        >>> a = jnp.ones((2, 4))
        >>> settings, a, b, scale = prepared(Similarity("cosine"), a, a, 0.5, False, 1)
        >>> settings.similarity.kind, a[0, 0].item(), scale.item()
        ('dot', 0.5, 2.0)
    """
    check_features("a", a)
    check_features("b", b, a.shape[-1])
    wide = at_least_float32(a.dtype, b.dtype)
    similarity, a, b = as_multiplied(similarity, a, b)
    learned = not isinstance(tau, int | float)
    sizes = None if sizes == "auto" else sizes
    settings = Settings(similarity, exclude_diagonal, sizes, learned)
    scale = 1 / jnp.asarray(tau, wide)
    if is_norm(similarity):
        power, a, b = of_ordinary_size(a, b, axis=axis)
        scale = scale * power
    # Inside shard_map, what varies over devices is part of a type; here all agree.
    arrays = a, b, scale
    return settings, *(x + varying_zero(x.dtype, *arrays) for x in arrays)


def forward(settings: Settings, a, b, scale) -> jax.Array:
    """log sum_k exp(scale s(a_i, b_k)), in tiles or kernels, derivatives as they stand.

    Args:
        settings: similarity, diagonal and tile.
        a: `[rows, m]`.
        b: `[cols, m]`.
        scale: 1 / tau, a scalar.

    Returns:
        `[rows]` in scale's dtype.

    Example:
        >>> settings = Settings(Similarity(), False, (1, 1), False)
        >>> a, b = jnp.zeros((2, 3)), jnp.zeros((4, 3))
        >>> forward(settings, a, b, jnp.asarray(1.0))  # log(4)
        Array([1.386..., 1.386...], dtype=float32)
    """
    return _by_form("forward", settings, a, b, scale)


def backward(settings: Settings, a, b, scale, lse, cotangent):
    """The gradients of `forward`, from log-sum-exps over these or more columns.

    Args:
        settings: as forwards.
        a: `[rows, m]`.
        b: `[cols, m]`.
        scale: 1 / tau, a scalar.
        lse: log-sum-exps of the rows, `[rows]`, over the columns of b and any others.
        cotangent: of lse, `[rows]`.

    Returns:
        `(a_bar, b_bar, scale_bar)` with the shapes and dtypes of a, b and scale;
        scale_bar is 0 unless `settings.scale_gradient`.

    Example:
        >>> settings = Settings(Similarity(), False, (1, 1), False)
        >>> a, scale = jnp.ones((2, 3)), jnp.asarray(1.0)
        >>> lse = forward(settings, a, a, scale)
        >>> a_bar, _, _ = backward(settings, a, a, scale, lse, jnp.ones(2))
        >>> a_bar[0].round(4).tolist()  # the mean of the columns
        [1.0, 1.0, 1.0]
    """
    return _by_form("backward", settings, a, b, scale, lse, cotangent)


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
_stream = compiled(_streamed)


def _by_form(name: str, settings: Settings, a, b, scale, *rest) -> Any:
    """A function of the tiles, or of the kernels where they are wanted or chosen."""
    tiles = functools.partial(getattr(blockwise, name), settings)
    if isinstance(settings.tile, Kernel):
        return getattr(_kernels(), name)(settings, a, b, scale, *rest)
    sizes = a.shape[0], b.shape[0], a.shape[1]
    chosen = settings.tile is None and kernel_is_chosen(settings.similarity, *sizes)
    if not chosen or {x.dtype for x in (a, b, scale)} != {jnp.dtype("float32")}:
        return tiles(a, b, scale, *rest)
    kernels = dataclasses.replace(settings, tile=Kernel())
    kernel = functools.partial(getattr(_kernels(), name), kernels)
    return jax.lax.platform_dependent(a, b, scale, *rest, cuda=kernel, default=tiles)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _streamed_self(settings: Settings, a: jax.Array, scale: jax.Array):
    """log sum_k exp(scale s(a_i, a_k)), `[rows]`, for a p-norm."""
    return forward(settings, a, a, scale)


def _streamed_self_fwd(settings, a, scale):
    lse = forward(settings, a, a, scale)
    return lse, (a, scale, lse)


def _streamed_self_bwd(settings, residuals, cotangent):
    a, scale, lse = residuals
    return blockwise.backward_of_self(settings, a, scale, lse, cotangent)


_streamed_self.defvjp(_streamed_self_fwd, _streamed_self_bwd)
_stream_self = compiled(_streamed_self)


def _kernels() -> Any:
    """The module of kernels: only who asks for them waits for Pallas."""
    from jidcl.losses import kernel

    return kernel


def _diagonal(rows: int, cols: int) -> jax.Array:
    return jnp.arange(rows)[:, None] == jnp.arange(cols)[None]
