"""Encoders of images: a small CNN and residual networks, described with Flax NNX."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import check_choice, check_count, check_whole
from jidcl.encoders.conv import conv
from jidcl.encoders.core import Encoder, from_nnx
from jidcl.encoders.heads import OutputSpace
from jidcl.encoders.norm import BatchNorm

STEMS = ("full", "small")
# Blocks a stage, and whether they are bottlenecks.
RESNETS = {18: ((2, 2, 2, 2), False), 50: ((3, 4, 6, 3), True)}
_CNN_WIDTHS = (32, 32, 64, 64)
HE = nnx.initializers.he_normal()
_HE_OUT = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


def cnn_widths(size: int, channels: int, narrow: int = 1) -> tuple[int, ...]:
    """Channels of the image, and after each convolution of `CNN` down to one pixel."""
    check_whole("size", size)
    check_choice("size", str(size), ("8", "16", "32", "64"))
    check_count("channels", channels)
    check_count("narrow", narrow, most=32)
    halvings = (int(size) // 4).bit_length() - 1
    widths = (*_CNN_WIDTHS[len(_CNN_WIDTHS) - halvings :], 256)
    return channels, *(width // narrow for width in widths)


class CNN(nnx.Module):
    """4 x 4 convolutions of stride 2 down to 4 x 4, one without padding, a linear map.

    Its last widths are 32, 32, 64, 64 (fewer for a smaller image), 256; ReLU after
    each; He-normal kernels, zero biases.

    Args:
        size: rows and columns of the image: 8, 16, 32 or 64.
        channels: of the image.
        m: width of the output; None: no last linear map, the 256 features themselves.
        output: an output space.
        output_size: where a learnable one starts.
        narrow: what all widths but m are divided by, rounded down; 1 to 32.
        dtype: of the computation; parameters stay float32.
        rngs: NNX random streams.

    Source: Zimmermann et al. 2021 (KITTI Masks), published code.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        m: int | None,
        *,
        output: str = "none",
        output_size: float = 1.0,
        narrow: int = 1,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ):
        widths = cnn_widths(size, channels, narrow)
        check_count("m", 1 if m is None else m)
        count = len(widths) - 2
        self.layers = nnx.List(
            [
                nnx.Conv(
                    *pair,
                    (4, 4),
                    strides=1 if i == count else 2,
                    padding=0 if i == count else 1,
                    kernel_init=HE,
                    conv_general_dilated=conv,
                    dtype=dtype,
                    rngs=rngs,
                )
                for i, pair in enumerate(zip(widths[:-1], widths[1:], strict=True))
            ]
        )
        self.bare = m is None
        if m is not None:
            self.last = nnx.Linear(widths[-1], m, kernel_init=HE, rngs=rngs)
        self.output = OutputSpace(output, m or widths[-1], output_size)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[batch, size, size, channels] -> [batch, m]`."""
        for layer in self.layers:
            x = jax.nn.relu(layer(x))
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)
        return self.output(x if self.bare else self.last(x))


class Block(nnx.Module):
    """Two 3 x 3 convolutions (or 1 x 1, 3 x 3, 1 x 1) beside a shortcut."""

    def __init__(
        self, d: int, width: int, stride: int, deep: bool, *, dtype, rngs: nnx.Rngs
    ):
        out = 4 * width if deep else width
        shapes = [(d, width, 3, stride), (width, width, 3, 1)]
        if deep:
            shapes = [(d, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        self.convs = nnx.List([_conv(*shape, dtype, rngs) for shape in shapes])
        self.norms = nnx.List([BatchNorm(shape[1]) for shape in shapes])
        self.skips = stride == 1 and d == out
        if not self.skips:
            self.shortcut = _conv(d, out, 1, stride, dtype, rngs)
            self.shortcut_norm = BatchNorm(out)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[batch, height, width, d] -> [batch, height / stride, ..., out]`."""
        y = x
        for i, (layer, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = _normed(norm, layer(y))
            if i < len(self.convs) - 1:
                y = jax.nn.relu(y)
        if not self.skips:
            x = _normed(self.shortcut_norm, self.shortcut(x))
        return jax.nn.relu(x + y)


class ResNet(nnx.Module):
    """A residual network, mean over the image, and an optional hidden layer.

    Args:
        depth: 18 or 50.
        m: width of the output; None: no last layer, the mean over the image itself (or
            the hidden layer).
        channels: of the image.
        stem: `"full"`: 7 x 7 of stride 2 and a pooling of stride 2, for images of 64
            and more; `"small"`: 3 x 3 of stride 1.
        hidden: width of a layer with leaky ReLU (slope 0.01) before the last; 0: none.
        width: of the first stage, 64 as published.
        output: an output space.
        output_size: where a learnable one starts.
        dtype: of the convolutions; parameters, statistics and the last layers stay
            float32.
        rngs: NNX random streams.

    Source: He et al. 2016; stride in the 3 x 3 of a bottleneck, He-normal (fan out)
    kernels without biases, as in the published code of Zimmermann et al. 2021.
    """

    def __init__(
        self,
        depth: int,
        m: int | None,
        *,
        channels: int = 3,
        stem: str = "full",
        hidden: int = 0,
        width: int = 64,
        output: str = "none",
        output_size: float = 1.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_whole("depth", depth)
        check_choice("depth", str(depth), [str(known) for known in RESNETS])
        check_choice("stem", stem, STEMS)
        for name, value in (("m", m), ("channels", channels), ("width", width)):
            check_count(name, 1 if value is None else value)
        check_count("hidden", hidden, 0)
        stages, deep = RESNETS[depth]
        self.full = stem == "full"
        kernel, stride = (7, 2) if self.full else (3, 1)
        self.stem = _conv(channels, width, kernel, stride, dtype, rngs)
        self.norm = BatchNorm(width)
        blocks, d = [], width
        for stage, count in enumerate(stages):
            inner = width * 2**stage
            for k in range(count):
                step = 2 if stage and k == 0 else 1
                blocks.append(Block(d, inner, step, deep, dtype=dtype, rngs=rngs))
                d = 4 * inner if deep else inner
        self.blocks = nnx.List(blocks)
        self.bare = m is None
        sizes = (d, *([hidden] if hidden else []), *([] if m is None else [m]))
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nnx.List([nnx.Linear(*pair, rngs=rngs) for pair in pairs])
        self.output = OutputSpace(output, sizes[-1], output_size)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[batch, height, width, channels] -> [batch, m]`."""
        x = jax.nn.relu(_normed(self.norm, self.stem(x)))
        if self.full:
            pads: Any = ((1, 1), (1, 1))  # annotated as str alone
            x = nnx.max_pool(x, (3, 3), (2, 2), pads)
        for block in self.blocks:
            x = block(x)
        x = jnp.mean(x.astype(jnp.float32), axis=(1, 2))
        layers = list(self.layers)
        last = [] if self.bare else [layers.pop()]
        for layer in layers:
            x = jax.nn.leaky_relu(layer(x), 0.01)
        for layer in last:
            x = layer(x)
        return self.output(x)


def make_cnn(size: int, channels: int, m: int | None, **settings: Any) -> Encoder:
    """`CNN` as pure functions; `settings` are its keyword arguments.

    Args:
        size: rows and columns of the pictures.
        channels: of the pictures.
        m: outputs, >= 1; None: without a last layer.
        **settings: keyword arguments of `CNN`.

    Returns:
        The encoder, of `[batch, size, size, channels]`.

    Example:
        >>> f = make_cnn(32, 3, 4)
        >>> params, state = jax.eval_shape(f.init, jax.random.key(0))
        >>> x = jnp.ones((2, 32, 32, 3))
        >>> jax.eval_shape(f.apply, params, state, x)[0].shape
        (2, 4)
    """
    return from_nnx(lambda rngs: CNN(size, channels, m, **settings, rngs=rngs))


def make_resnet(depth: int, m: int | None, **settings: Any) -> Encoder:
    """`ResNet` as pure functions; `settings` are its keyword arguments.

    In training it normalises by the batch it is given (all of it, also where jit
    spreads it over devices), in evaluation by running statistics.

    Args:
        depth: 18 or 50.
        m: outputs, >= 1; None: without a last layer.
        **settings: keyword arguments of `ResNet`.

    Returns:
        The encoder, of `[batch, height, width, channels]`.
    """
    return from_nnx(lambda rngs: ResNet(depth, m, **settings, rngs=rngs))


def _conv(d: int, m: int, kernel: int, stride: int, dtype, rngs: nnx.Rngs) -> nnx.Conv:
    return nnx.Conv(
        d,
        m,
        (kernel, kernel),
        strides=stride,
        padding=(kernel - 1) // 2,
        use_bias=False,
        kernel_init=_HE_OUT,
        conv_general_dilated=conv,
        dtype=dtype,
        rngs=rngs,
    )


def _normed(norm: BatchNorm, x: jax.Array) -> jax.Array:
    """Batch normalisation over batch and pixels, in float32."""
    flat = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    return norm(flat).reshape(x.shape).astype(x.dtype)
