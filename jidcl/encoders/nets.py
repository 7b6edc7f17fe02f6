"""Network architectures, described with Flax NNX."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import check_choice, check_count, check_scalar, is_traced
from jidcl.encoders.core import Encoder, from_nnx
from jidcl.encoders.heads import OutputSpace
from jidcl.encoders.norm import BatchNorm

PUBLISHED_WIDTHS = (10, 50, 50, 50, 50, 10)
ACTIVATIONS = ("leaky_relu", "gelu")
INITS = ("looks_linear", "he_normal", "fan_in_uniform", "xavier_uniform")


class MLP(nnx.Module):
    """Affine layers, an activation after all but the last, then an output space.

    Args:
        d: width of the input.
        m: width of the output; None: no last layer, the activations of the hidden one
            before it (not with `"looks_linear"`).
        hidden: widths of the hidden layers.
        slope: negative slope of the leaky ReLU.
        activation: `"leaky_relu"`, or `"gelu"` in its exact form, x Phi(x).
        init: `"looks_linear"` (Balduzzi et al. 2017): mirrored hidden units, so that
            the network starts as one orthogonal linear map (even hidden widths); on
            the sphere it starts without a fold, which training cannot undo.
            `"he_normal"` (zero bias). `"fan_in_uniform"`: the published
            U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for kernels and biases, which starts
            with almost equal outputs and a plateau. `"xavier_uniform"`: the same
            biases, and kernels U(-a, a) with a^2 = 6 / (fan_in + fan_out).
        output: an output space.
        output_size: where a learnable one starts.
        batch_norm: batch normalisation between each hidden affine layer and its
            activation; the input is `[batch, d]` then.
        rngs: NNX random streams.

    Raises:
        ValueError: on an unknown choice, or `"looks_linear"` without a last layer or
            with odd hidden widths.
    """

    def __init__(
        self,
        d: int,
        m: int | None,
        *,
        hidden: Sequence[int],
        slope: float = 0.01,
        activation: str = "leaky_relu",
        init: str = "he_normal",
        output: str = "none",
        output_size: float = 1.0,
        batch_norm: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("init", init, INITS)
        check_choice("activation", activation, ACTIVATIONS)
        sizes = (d, *hidden, *([] if m is None else [m]))
        for size in sizes:
            check_count("layer width", size)
        if m is None and init == "looks_linear":
            raise ValueError("looks_linear needs a last layer, got m=None")
        self.slope, self.activation, self.bare = slope, activation, m is None
        shapes = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.layers = nnx.List([_linear(*shape, init, rngs) for shape in shapes])
        if init == "looks_linear":
            # gelu(u) - gelu(-u) = u, as a leaky ReLU of slope 0.
            odd_part = slope if activation == "leaky_relu" else 0.0
            kernels = looks_linear_kernels(rngs.params(), sizes, odd_part)
            for layer, kernel in zip(self.layers, kernels, strict=True):
                layer.kernel[...] = kernel
        self.output = OutputSpace(output, sizes[-1], output_size)
        if batch_norm:
            self.norms = nnx.List([BatchNorm(width) for width in hidden])
        self.batch_norm = batch_norm

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., d] -> [..., m]`."""
        layers = list(self.layers)
        last = [] if self.bare else [layers.pop()]
        for i, layer in enumerate(layers):
            x = layer(x)
            if self.batch_norm:
                x = self.norms[i](x)
            if self.activation == "gelu":
                x = jax.nn.gelu(x, approximate=False)
            else:
                x = jnp.where(x > 0, x, self.slope * x)
        for layer in last:
            x = layer(x)
        return self.output(x)


def make_mlp(
    n: int,
    *,
    d: int | None = None,
    m: int | None = None,
    widths: Sequence[int] = PUBLISHED_WIDTHS,
    slope: float = 0.01,
    activation: str = "leaky_relu",
    init: str = "he_normal",
    output: str = "none",
    output_size: float = 1.0,
    batch_norm: bool = False,
) -> Encoder:
    """The published MLP: hidden widths are multiples of n.

    Args:
        n: what the hidden widths are multiples of.
        d: width of x; n when None.
        m: width of y; n when None.
        widths: hidden widths in units of n; the published ones by default.
        slope: negative slope.
        activation: see `MLP`.
        init: see `MLP`.
        output: see `OutputSpace`.
        output_size: where a learnable output space starts.
        batch_norm: see `MLP`; the running statistics are the encoder's state.

    Returns:
        The encoder; 854,210 parameters for n = 10.

    Raises:
        ValueError: on unknown names, no width, or widths < 1.
        TypeError: on numbers that are not whole, or widths that are no sequence.

    Source: Zimmermann et al. 2021, appendix and published code.
    """
    check_count("n", n)
    for name, value in (("d", d), ("m", m)):
        check_count(name, 1 if value is None else value)
    if isinstance(widths, str) or not hasattr(widths, "__len__"):
        raise TypeError(f"widths must be a sequence of integers, got {widths!r}")
    check_count("number of widths", len(widths))
    for width in widths:
        check_count("every one of widths", width)
    check_scalar("slope", slope)
    slope = slope if is_traced(slope) else float(slope)
    sizes = n if d is None else d, n if m is None else m
    hidden = tuple(width * n for width in widths)
    fixed = isinstance(slope, float) and isinstance(output_size, int | float)
    made = _mlp if fixed else _mlp.__wrapped__
    return made(
        *sizes, hidden, slope, activation, init, output, output_size, batch_norm
    )


@functools.lru_cache(maxsize=64, typed=True)
def _mlp(
    d: int,
    m: int,
    hidden: tuple[int, ...],
    slope: Any,
    activation: str,
    init: str,
    output: str,
    output_size: Any,
    batch_norm: bool,
) -> Encoder:
    """`from_nnx` of an `MLP`; a run asks for the same one many times."""
    return from_nnx(
        lambda rngs: MLP(
            d,
            m,
            hidden=hidden,
            slope=slope,
            activation=activation,
            init=init,
            output=output,
            output_size=output_size,
            batch_norm=batch_norm,
            rngs=rngs,
        )
    )


def looks_linear_kernels(
    key: jax.Array, sizes: Sequence[int], slope: float
) -> list[jax.Array]:
    """Kernels of a leaky-ReLU network that is one linear map at the start.

    Hidden units come in pairs (u, -u), and phi(u) - phi(-u) = (1 + slope) u carries u
    on. The last layer makes the map of all layers (semi-)orthogonal.

    Args:
        key: a typed key.
        sizes: widths `(d, hidden..., m)`, hidden ones even.
        slope: negative slope.

    Returns:
        One `[fan_in, fan_out]` kernel for each layer.

    Raises:
        ValueError: on odd hidden widths.
    """
    odd = [size for size in sizes[1:-1] if size % 2]
    if odd:
        raise ValueError(f"looks_linear needs even hidden widths, got {odd}")
    d, *hidden, m = sizes

    # One seed after another under vmap: batched LAPACK calls that do not depend on
    # each other wait for each other's threads on a CPU of few cores, for ever.
    @jax.custom_batching.sequential_vmap
    def draw(keys):
        carried, kernels = jnp.eye(d), []
        for k, width in zip(keys[:-1], hidden, strict=True):
            core = _semi_orthogonal(k, carried.shape[1], width // 2)
            carried = carried @ core
            kernels.append(_mirror(core, slope, rows=bool(kernels)))
        last = jnp.linalg.pinv(carried) @ _semi_orthogonal(keys[-1], d, m)
        return [*kernels, _mirror(last, slope, rows=bool(hidden), columns=False)]

    return draw(jax.random.split(key, len(hidden) + 1))


def _mirror(core: jax.Array, slope: float, *, rows: bool, columns: bool = True):
    """Act on pairs (phi(u), phi(-u)) if `rows`; feed pairs (v, -v) if `columns`."""
    if rows:
        core = jnp.concatenate([core, -core], axis=0) / (1 + slope)
    return jnp.concatenate([core, -core], axis=1) if columns else core


def _semi_orthogonal(key: jax.Array, rows: int, columns: int) -> jax.Array:
    return jax.random.orthogonal(key, max(rows, columns))[:rows, :columns]


def _linear(fan_in: int, fan_out: int, init: str, rngs: nnx.Rngs) -> nnx.Linear:
    if init not in ("fan_in_uniform", "xavier_uniform"):
        he_normal = nnx.initializers.he_normal()
        return nnx.Linear(fan_in, fan_out, kernel_init=he_normal, rngs=rngs)
    bound = fan_in**-0.5

    def bias_init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    kernel_init = nnx.initializers.xavier_uniform()
    if init == "fan_in_uniform":
        kernel_init = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return nnx.Linear(
        fan_in, fan_out, kernel_init=kernel_init, bias_init=bias_init, rngs=rngs
    )
