"""Decoders of images: from latents back to the values of pixels."""

import jax
from flax import nnx

from jidcl.checks import check_count
from jidcl.encoders.conv import conv_transpose
from jidcl.encoders.core import Encoder, from_nnx
from jidcl.encoders.images import HE, cnn_widths


class CNNDecoder(nnx.Module):
    """`CNN` backwards: a linear map to 256, then transposed 4 x 4 convolutions.

    Widths 256, 64, 64, 32, 32 (fewer for a smaller image); ReLU after each layer but
    the last, whose outputs are logits.

    Args:
        size: rows and columns of the image: 8, 16, 32 or 64.
        channels: of the image.
        n: latents.
        narrow: as of `CNN`.
        rngs: NNX random streams.

    Source: Klindt et al. 2021 (SlowVAE), published code: a He-normal kernel and a zero
    bias of the linear map, the usual start of PyTorch for the others.
    """

    def __init__(
        self, size: int, channels: int, n: int, *, narrow: int = 1, rngs: nnx.Rngs
    ):
        widths = cnn_widths(size, channels, narrow)[::-1]
        check_count("n", n)
        self.first = nnx.Linear(n, widths[0], kernel_init=HE, rngs=rngs)
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.layers = nnx.List([_Spread(*pair, rngs=rngs) for pair in pairs])

    def __call__(self, z: jax.Array) -> jax.Array:
        """`[batch, n] -> [batch, size, size, channels]`, logits."""
        x = self.first(z)[:, None, None]
        for layer in self.layers:
            x = layer(jax.nn.relu(x))
        return x


class _Spread(nnx.Module):
    """A transposed 4 x 4 convolution: to 4 x 4 of one pixel, else to twice the size."""

    def __init__(self, d: int, m: int, *, rngs: nnx.Rngs):
        bound = (16 * m) ** -0.5
        draw = rngs.params
        shape = (4, 4, m, d)
        self.kernel = nnx.Param(
            jax.random.uniform(draw(), shape, minval=-bound, maxval=bound)
        )
        self.bias = nnx.Param(
            jax.random.uniform(draw(), (m,), minval=-bound, maxval=bound)
        )

    def __call__(self, y: jax.Array) -> jax.Array:
        """`[batch, h, h, d] -> [batch, 2 h, 2 h, m]`, or `[batch, 4, 4, m]`."""
        one = y.shape[1] == 1
        size, stride, pad = (4, 1, 0) if one else (2 * y.shape[1], 2, 1)
        out = conv_transpose(y, self.kernel[...], (size, size), stride, pad)
        return out + self.bias[...][None, None, None]


def make_cnn_decoder(size: int, channels: int, n: int, *, narrow: int = 1) -> Encoder:
    """`CNNDecoder` as pure functions.

    Args:
        size: rows and columns of the pictures: 8, 16, 32 or 64.
        channels: of the pictures.
        n: latents, >= 1.
        narrow: what the widths between are divided by, 1 to 32.

    Returns:
        `init` and `apply`, of `[batch, n]`; logits `[batch, size, size, channels]`.

    Example:
        >>> g = make_cnn_decoder(16, 1, 3)
        >>> params, state = jax.eval_shape(g.init, jax.random.key(0))
        >>> z = jax.numpy.ones((2, 3))
        >>> jax.eval_shape(g.apply, params, state, z)[0].shape
        (2, 16, 16, 1)
    """
    return from_nnx(
        lambda rngs: CNNDecoder(size, channels, n, narrow=narrow, rngs=rngs)
    )
