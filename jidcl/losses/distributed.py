"""Sums over rows that are spread over devices, inside `jax.shard_map`.

Means, and row log-sum-exps over the columns of all devices. The latter have two forms
of the same value. `"ring"`: every device keeps its rows; the columns travel round the
ring of devices, sent on while they are computed with, and backwards their gradients
travel with them. No device ever holds more than two blocks of columns.
`"gathered"`: every device collects all columns first: one collective instead of many,
memory of all columns.
"""

import functools

import jax
import jax.numpy as jnp

from jidcl.checks import check_choice
from jidcl.losses.blockwise import Settings
from jidcl.losses.logsumexp import backward, forward, prepared, row_logsumexp
from jidcl.losses.similarity import Similarity
from jidcl.losses.tiles import Tile, check_tile
from jidcl.numerics import share, varying_zero

FORMS = ("ring", "gathered")


def sharded_logsumexp(
    similarity: Similarity,
    a: jax.Array,
    b: jax.Array,
    *,
    axis: str,
    form: str = "ring",
    tau: jax.Array | float = 1.0,
    exclude_diagonal: bool = False,
    tile: Tile = "auto",
) -> jax.Array:
    """log sum_k exp(s(a_i, b_k) / tau) over the columns k of all devices.

    Args:
        similarity: s.
        a: this device's rows, `[rows, m]`.
        b: this device's columns, `[cols, m]`.
        axis: the mesh axis that spreads both, manual in the surrounding `shard_map`.
        form: `"ring"` or `"gathered"`.
        tau: temperature > 0; a Python number has no gradient.
        exclude_diagonal: leave out the column with the number of the row.
        tile: see `jidcl.losses.logsumexp.row_logsumexp`.

    Returns:
        `[rows]`, float32 or wider; gradients reach the devices that hold the columns.

    Raises:
        ValueError: on an unknown form.
    """
    check_choice("form", form, FORMS)
    if form == "gathered":
        columns = jax.lax.all_gather(b, axis, tiled=True)
        # This device's columns first, so that row i meets its own at k = i.
        columns = jnp.roll(columns, -jax.lax.axis_index(axis) * b.shape[0], axis=0)
        return row_logsumexp(
            similarity,
            a,
            columns,
            tau=tau,
            exclude_diagonal=exclude_diagonal,
            tile=tile,
        )
    # A ring streams whatever the size: with one matrix in a tile where none is wanted.
    sizes = (a.shape[0], b.shape[0]) if tile is None else check_tile(tile)
    b = b + varying_zero(b.dtype, jax.lax.axis_index(axis))
    settings, a, b, scale = prepared(
        similarity, a, b, tau, exclude_diagonal, sizes, axis
    )
    return _ring(settings, axis, a, b, scale)


def device_mean(x: jax.Array, axis: str | None = None) -> jax.Array:
    """Mean over devices, the same on every device.

    Args:
        x: this device's, any shape.
        axis: the mesh axis; None: this device is alone.

    Returns:
        x's shape.

    Example:
        >>> float(device_mean(jnp.ones(())))
        1.0
    """
    return x if axis is None else jax.lax.pmean(x, axis)


def batch_mean(x: jax.Array, axis: str | None = None) -> jax.Array:
    """Mean over the leading axis, kept with size 1, of the rows of all devices.

    Args:
        x: this device's rows, `[rows, ...]`, as many on each.
        axis: the mesh axis that spreads them; None: these are all.

    Returns:
        `[1, ...]`, the same on every device.

    Example:
        >>> batch_mean(jnp.array([[1.0], [3.0]]))
        Array([[2.]], dtype=float32)
    """
    return device_mean(jnp.mean(x, axis=0, keepdims=True), axis)


def sum_of_exponentials(parts: jax.Array, axis: str) -> jax.Array:
    """log of the sum over devices of exp(parts), the same on every device.

    Args:
        parts: this device's, any shape.
        axis: the mesh axis.

    Returns:
        parts' shape.
    """
    top = jax.lax.pmax(jax.lax.stop_gradient(parts), axis)
    return top + jnp.log(jax.lax.psum(share(parts, top), axis))


def all_rows(x: jax.Array, axis: str | None = None) -> jax.Array:
    """The rows of all devices in order, the same on every device.

    Args:
        x: this device's rows, `[rows, ...]`, as many on each.
        axis: the mesh axis that spreads them; None: these are all.

    Returns:
        `[devices * rows, ...]`.

    Example:
        >>> all_rows(jnp.ones((2, 3))).shape
        (2, 3)
    """
    if axis is None:
        return x
    # A gathered array counts as different on each device; a sum does not.
    places = jnp.zeros((jax.lax.axis_size(axis), *x.shape), x.dtype)
    whole = jax.lax.psum(places.at[jax.lax.axis_index(axis)].set(x), axis)
    return whole.reshape(-1, *x.shape[1:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _ring(settings: Settings, axis: str, a, b, scale):
    return _ring_forward(settings, axis, a, b, scale)


def _ring_forward(settings: Settings, axis: str, a, b, scale):
    """The running log-sum-exp of every row, one block of columns after another."""
    hops = jax.lax.axis_size(axis) - 1
    held = _send(b, axis) if hops else b
    lse = forward(settings, a, b, scale)
    others = settings.without_diagonal()

    def hop(carry, _):
        lse, held = carry
        coming = _send(held, axis)  # before the block is used: they overlap
        return (jnp.logaddexp(lse, forward(others, a, held, scale)), coming), None

    if hops > 1:
        (lse, held), _ = jax.lax.scan(hop, (lse, held), length=hops - 1)
    return jnp.logaddexp(lse, forward(others, a, held, scale)) if hops else lse


def _ring_fwd(settings, axis, a, b, scale):
    lse = _ring_forward(settings, axis, a, b, scale)
    return lse, (a, b, scale, lse)


def _ring_bwd(settings, axis, residuals, cotangent):
    """A block's gradient gathers on its way round; its last hop brings it home."""
    a, b, scale, lse = residuals
    hops = jax.lax.axis_size(axis) - 1
    held = _send(b, axis) if hops else b
    a_bar, own_bar, scale_bar = backward(settings, a, b, scale, lse, cotangent)
    others = settings.without_diagonal()

    def visit(a_bar, bar, scale_bar, held):
        da, db, ds = backward(others, a, held, scale, lse, cotangent)
        return a_bar + da, _send(bar + db, axis), scale_bar + ds

    def hop(carry, _):
        a_bar, bar, scale_bar, held = carry
        coming = _send(held, axis)
        return (*visit(a_bar, bar, scale_bar, held), coming), None

    bar = jnp.zeros(b.shape, b.dtype) + varying_zero(b.dtype, b)
    if hops > 1:
        start = a_bar, bar, scale_bar, held
        (a_bar, bar, scale_bar, held), _ = jax.lax.scan(hop, start, length=hops - 1)
    if hops:
        a_bar, bar, scale_bar = visit(a_bar, bar, scale_bar, held)
    return a_bar, own_bar + bar, scale_bar


_ring.defvjp(_ring_fwd, _ring_bwd)


def _send(x: jax.Array, axis: str) -> jax.Array:
    """x of the device before, round the ring."""
    size = jax.lax.axis_size(axis)
    return jax.lax.ppermute(x, axis, [(i, (i + 1) % size) for i in range(size)])
