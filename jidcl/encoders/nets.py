"""Network architectures, described with Flax NNX."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import check_at_least, check_choice
from jidcl.encoders.core import Encoder, from_nnx
from jidcl.encoders.heads import OutputSpace

PUBLISHED_WIDTHS = (10, 50, 50, 50, 50, 10)
INITS = ("he_normal", "fan_in_uniform")


class MLP(nnx.Module):
    """Affine layers with leaky ReLU after all but the last, then an output space.

    Args:
        d: width of the input.
        m: width of the output.
        hidden: widths of the hidden layers.
        slope: negative slope of the leaky ReLU.
        init: `"he_normal"` (zero bias) or `"fan_in_uniform"`, the published
            U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for kernels and biases, which starts
            with almost equal outputs and a plateau.
        output: an output space.
        rngs: NNX random streams.
    """

    def __init__(
        self,
        d: int,
        m: int,
        *,
        hidden: Sequence[int],
        slope: float = 0.01,
        init: str = "he_normal",
        output: str = "none",
        rngs: nnx.Rngs,
    ):
        check_choice("init", init, INITS)
        sizes = (d, *hidden, m)
        for size in sizes:
            check_at_least("layer width", size, 1)
        self.slope = slope
        self.layers = nnx.List(
            [
                _linear(fan_in, fan_out, init, rngs)
                for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True)
            ]
        )
        self.output = OutputSpace(output, m)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., d] -> [..., m]`."""
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x)
            x = jnp.where(x > 0, x, self.slope * x)
        return self.output(last(x))


def make_mlp(
    n: int,
    *,
    m: int | None = None,
    widths: Sequence[int] = PUBLISHED_WIDTHS,
    slope: float = 0.01,
    init: str = "he_normal",
    output: str = "none",
) -> Encoder:
    """The published MLP: hidden widths are multiples of n.

    Args:
        n: width of x and, unless `m` is given, of y.
        m: width of y.
        widths: hidden widths in units of n; the published ones by default.
        slope: negative slope.
        init: see `MLP`.
        output: see `OutputSpace`.

    Returns:
        The encoder; 854,210 parameters for n = 10.

    Raises:
        ValueError: on unknown names or widths < 1.

    Source: Zimmermann et al. 2021, appendix and published code.
    """
    hidden = tuple(width * n for width in widths)
    return from_nnx(
        lambda rngs: MLP(
            n,
            n if m is None else m,
            hidden=hidden,
            slope=slope,
            init=init,
            output=output,
            rngs=rngs,
        )
    )


def _linear(fan_in: int, fan_out: int, init: str, rngs: nnx.Rngs) -> nnx.Linear:
    if init == "he_normal":
        return nnx.Linear(
            fan_in,
            fan_out,
            kernel_init=nnx.initializers.he_normal(),
            rngs=rngs,
        )
    bound = fan_in**-0.5

    def bias_init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    kernel_init = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return nnx.Linear(
        fan_in, fan_out, kernel_init=kernel_init, bias_init=bias_init, rngs=rngs
    )
