"""A convolution whose gradients are fast on every platform, also inside loops.

XLA's CPU back end has a fast kernel for convolutions in one layout and brings others
into it, but only outside loops: in a `lax.scan` of training steps the gradient of a
kernel takes some 60 times as long. Here gradients are written in that layout.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jidcl.types import Array

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(
    x: Array, kernel: Array, strides: Sequence[int], pads: Any, **others: Any
) -> Array:
    """`[batch, h, w, d]` with `[k, k, d, m]` to `[batch, h', w', m]`.

    A `conv_general_dilated` for `flax.nnx.Conv` without dilation and groups. It has
    first and second reverse-mode derivatives; forward mode is refused, but for a kernel
    as large as the image, which is a matrix product.

    Args:
        x: images.
        kernel: shared weights.
        strides: rows and columns between two outputs.
        pads: zeros before and after the rows, and the columns.
        others: further arguments, of which none may ask for anything.

    Raises:
        ValueError: on dilation, groups or a precision.
    """
    plain = (None, 1, (1, 1))
    for name, value in others.items():
        if name != "dimension_numbers" and value not in plain:
            raise ValueError(f"{name} must be left out, got {value}")
    before_after = tuple((int(low), int(high)) for low, high in pads)
    if x.shape[1:] == kernel.shape[:3] and not any(map(any, before_after)):
        # One output: a product. As a convolution that differs over a mesh axis (seeds)
        # XLA's partitioner gets it wrong, silently.
        return jnp.einsum("bhwd,hwdm->bm", x, kernel)[:, None, None]
    return _conv(x, kernel, tuple(strides), before_after)


def _plain(x, kernel, strides, pads, **dilation) -> Array:
    return lax.conv_general_dilated(
        x, kernel, strides, pads, dimension_numbers=_LAYOUT, **dilation
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x, kernel, strides, pads):
    return _plain(x, kernel, strides, pads)


def _forward(x, kernel, strides, pads):
    return _plain(x, kernel, strides, pads), (x, kernel)


def _backward(strides, pads, held, dy):
    def one_layout(x, kernel, dy):
        to_x = _to_input(kernel, dy, x.shape, strides, pads)
        return to_x, _to_kernel(x, dy, kernel.shape, strides, pads)

    def as_compiled(x, kernel, dy):
        return jax.vjp(lambda x, k: _plain(x, k, strides, pads), x, kernel)[1](dy)

    return lax.platform_dependent(*held, dy, cpu=one_layout, default=as_compiled)


def _to_input(kernel, dy, shape, strides, pads) -> Array:
    """dL/dx: dy spread out by the strides, with the kernel turned by half a turn."""
    back = []
    for axis, (low, _) in enumerate(pads):
        size, step = kernel.shape[axis], strides[axis]
        covered = (dy.shape[axis + 1] - 1) * step + 1
        low = size - 1 - low
        back.append((low, shape[axis + 1] + size - 1 - covered - low))
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    return _plain(dy, turned, (1, 1), tuple(back), lhs_dilation=strides)


def _to_kernel(x, dy, shape, strides, pads) -> Array:
    """dL/dkernel: the images with dy, channels in the place of the batch."""
    reach = []
    for axis, (low, _) in enumerate(pads):
        touched = (dy.shape[axis + 1] - 1) * strides[axis] + shape[axis]
        reach.append((low, touched - x.shape[axis + 1] - low))
    channels, weights = jnp.transpose(x, (3, 1, 2, 0)), jnp.transpose(dy, (1, 2, 0, 3))
    out = _plain(channels, weights, (1, 1), tuple(reach), rhs_dilation=strides)
    return jnp.transpose(out, (1, 2, 0, 3))


_conv.defvjp(_forward, _backward)


def conv_transpose(
    y: Array, kernel: Array, size: tuple[int, int], stride: int, pad: int
) -> Array:
    """The transpose of `conv` in x: `[batch, h, w, m]` to `[batch, *size, d]`.

    Args:
        y: images.
        kernel: of the convolution, `[k, k, d, m]`.
        size: rows and columns of the result, which the convolution maps to those of y.
        stride: of the convolution.
        pad: zeros that it puts around.
    """
    if y.shape[1:3] == (1, 1) and not pad and kernel.shape[:2] == size:
        return jnp.einsum("bm,hwdm->bhwd", y[:, 0, 0], kernel)
    return _spread(y, kernel, size, (stride, stride), ((pad, pad), (pad, pad)))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _spread(y, kernel, size, strides, pads):
    return _to_input(kernel, y, (len(y), *size), strides, pads)


def _spread_forward(y, kernel, size, strides, pads):
    return _spread(y, kernel, size, strides, pads), (y, kernel)


def _spread_backward(size, strides, pads, held, dx):
    y, kernel = held
    to_y = _plain(dx, kernel, strides, pads)
    return to_y, _to_kernel(dx, y, kernel.shape, strides, pads)


_spread.defvjp(_spread_forward, _spread_backward)
