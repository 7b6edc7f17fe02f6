"""Dense mixings: linear, orthogonal, and the invertible MLP of the field.

Parameters are one dict `{"kernels": [layers, n, n], "cond": [layers]}` with
`x = z @ kernel` in each layer and a leaky ReLU between layers, so one layer is a linear
mixing, and one whose first kernel is the identity begins with the activation. `cond` is
the 2-norm condition number of each layer, recorded with the run.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_features,
    check_key,
    check_rows,
    check_scalar,
    check_shape,
    check_unit_interval,
)
from jidcl.compiled import compiled
from jidcl.numerics import safe_norm
from jidcl.types import Params

ACTIVATIONS = ("leaky_relu", "relu", "elu", "softplus", "smooth_leaky_relu")
SLOPE = 0.2
_CHUNK = 1000


def init_invertible_mlp(
    key: jax.Array, n: int, *, layers: int = 3, draws: int = 25_000
) -> Params:
    """Weights of an invertible MLP, each layer the best conditioned of many draws.

    Every draw has entries U(-1, 1) and unit L2 norm for each input coordinate; of
    `draws` such matrices a layer keeps the one with the smallest condition number.

    Args:
        key: a typed key.
        n: width of z and x.
        layers: number of linear layers.
        draws: matrices tried for each layer.

    Returns:
        `{"kernels": [layers, n, n], "cond": [layers]}`.

    Raises:
        ValueError: if n, layers or draws < 1.

    Example:
        >>> g = init_invertible_mlp(jax.random.key(0), 3, draws=100)
        >>> mix(g, jnp.ones((5, 3))).shape
        (5, 3)

    Source: Zimmermann et al. 2021, published code (there a threshold, the best of
        25,000, and then a search of unbounded length; here the best itself).

    Notes:
        The published layer is `x W^T` with unit columns of W; `kernel = W^T` here,
        whose rows have unit norm.
    """
    check_key("key", key)
    check_count("n", n)
    check_count("layers", layers)
    check_count("draws", draws)
    return _best_conditioned(key, n, layers, draws)


@compiled
def _best_conditioned(key: jax.Array, n: int, layers: int, draws: int) -> Params:
    chunk = min(_CHUNK, draws)

    def keep_best(best, key):
        raw = jax.random.uniform(key, (chunk, n, n), minval=-1.0, maxval=1.0)
        kernels = jnp.swapaxes(normalise_columns(raw), -1, -2)
        values = jnp.linalg.eigvalsh(kernels @ jnp.swapaxes(kernels, -1, -2))
        squared = values[:, -1] / jnp.maximum(values[:, 0], 1e-12)
        index = jnp.argmin(squared)
        better = squared[index] < best[0]
        kernel = jnp.where(better, kernels[index], best[1])
        return jnp.minimum(squared[index], best[0]), kernel

    def layer(index):
        own = jax.random.fold_in(key, index)

        def body(best, number):
            return keep_best(best, jax.random.fold_in(own, number)), None

        start = (jnp.inf, jnp.zeros((n, n)))
        return jax.lax.scan(body, start, jnp.arange(-(-draws // chunk)))[0][1]

    kernels = jax.lax.map(layer, jnp.arange(layers))
    return _params(kernels)


def init_linear(key: jax.Array, n: int, *, draws: int = 25_000) -> Params:
    """One well-conditioned linear layer.

    `init_invertible_mlp` with `layers=1`.

    Args:
        key: a typed key.
        n: width of z and x, >= 1.
        draws: matrices tried, >= 1.

    Returns:
        `{"kernels": [1, n, n], "cond": [1]}`.

    Example:
        >>> init_linear(jax.random.key(0), 3, draws=100)["kernels"].shape
        (1, 3, 3)

    Source: Zimmermann et al. 2021, published code.
    """
    return init_invertible_mlp(key, n, layers=1, draws=draws)


def init_orthogonal(key: jax.Array, n: int, *, layers: int = 1) -> Params:
    """Haar-distributed orthogonal layers, whose condition number is 1.

    Args:
        key: a typed key.
        n: width of z and x, >= 1.
        layers: number of layers, >= 1.

    Returns:
        `{"kernels": [layers, n, n], "cond": [layers]}`.

    Example:
        >>> kernel = init_orthogonal(jax.random.key(0), 3)["kernels"][0]
        >>> bool(jnp.allclose(kernel @ kernel.T, jnp.eye(3), atol=1e-5))
        True

    Source: this library.
    """
    check_key("key", key)
    check_count("n", n)
    check_count("layers", layers)
    return _params(jax.random.orthogonal(key, n, (layers,)))


def normalise_columns(a: jax.Array) -> jax.Array:
    """Divide each column of `a [..., n, n]` by its L2 norm.

    Args:
        a: `[..., n, n]`, no column 0.

    Returns:
        `[..., n, n]`.

    Raises:
        ValueError: on matrices that are not square.

    Example:
        >>> normalise_columns(jnp.array([[3.0, 0.0], [4.0, 2.0]]))
        Array([[0.6, 0. ],
               [0.8, 1. ]], dtype=float32)

    Source: Zimmermann et al. 2021, published code.
    """
    check_features("a", a)
    if a.ndim < 2 or a.shape[-2] != a.shape[-1]:
        raise ValueError(f"a must have shape [..., n, n], got {list(a.shape)}")
    lengths = safe_norm(jnp.swapaxes(a, -1, -2), keepdims=True)
    return a / jnp.swapaxes(lengths, -1, -2)


def mix(
    params: Params, z: jax.Array, *, slope: float = SLOPE, activation="leaky_relu"
) -> jax.Array:
    """x = g(z): linear layers with an activation after all but the last.

    Args:
        params: from one of the `init_*` functions.
        z: `[..., n]`.
        slope: negative slope of the (smooth) leaky ReLU, in (0, 1].
        activation: one of `ACTIVATIONS`; only the leaky ones are bijective on R^n.

    Returns:
        `[..., n]`.

    Raises:
        ValueError: on wrong shapes or an unknown activation.

    Example:
        >>> g = init_orthogonal(jax.random.key(0), 3, layers=2)
        >>> mix(g, jnp.ones((5, 3))).shape
        (5, 3)

    Source: Zimmermann et al. 2021, published code.
    """
    kernels = _kernels(params)
    check_features("z", z, kernels.shape[-1])
    _check_slope(slope)
    check_choice("activation", activation, ACTIVATIONS)
    layers = kernels.shape[0]
    for i in range(layers):
        z = z @ kernels[i]
        if i < layers - 1:
            z = _activate(z, slope, activation)
    return z


def unmix(
    params: Params, x: jax.Array, *, slope: float = SLOPE, activation="leaky_relu"
) -> jax.Array:
    """z = g^{-1}(x) of a leaky-ReLU mixing, by solving layer by layer.

    A smooth leaky ReLU is inverted by Newton's method, to rounding.

    Args:
        params: from one of the `init_*` functions.
        x: `[batch, n]`.
        slope: the slope given to `mix`.
        activation: leaky_relu or smooth_leaky_relu, as given to `mix`.

    Returns:
        `[batch, n]`.

    Raises:
        ValueError: on wrong shapes, or an activation that has no inverse.

    Example:
        >>> g = init_orthogonal(jax.random.key(0), 3, layers=2)
        >>> z = jnp.array([[1.0, -2.0, 0.5]])
        >>> bool(jnp.allclose(unmix(g, mix(g, z)), z, atol=1e-5))
        True

    Source: this library.
    """
    kernels = _kernels(params)
    check_rows("x", x, width=kernels.shape[-1])
    _check_slope(slope)
    check_choice("activation", activation, ("leaky_relu", "smooth_leaky_relu"))
    for i in reversed(range(kernels.shape[0])):
        x = jnp.linalg.solve(kernels[i].T, x.T).T
        if i:
            x = jnp.where(x > 0, x, x / slope)
            if activation == "smooth_leaky_relu":
                x = _to_smooth(x, slope)
    return x


@compiled
def _to_smooth(h: jax.Array, slope: float) -> jax.Array:
    """Where the smooth leaky ReLU has the value that the plain one has at h.

    It is convex and lies above the plain one: from h on the right Newton's steps fall
    to the root. Where the slope is tiny each goes 1 to the left.
    """
    value = _activate(h, slope, "leaky_relu")

    def newton(_, h):
        rate = slope + (1 - slope) * jax.nn.sigmoid(h)
        return h - (_activate(h, slope, "smooth_leaky_relu") - value) / rate

    return jax.lax.fori_loop(0, 40, newton, h)


def _kernels(params: Params) -> jax.Array:
    """The layers of a mixing, `[layers, n, n]`."""
    if not isinstance(params, Mapping) or "kernels" not in params:
        raise TypeError(f"params must be a dict with 'kernels', got {params!r}")
    kernels = params["kernels"]
    check_features("kernels of params", kernels)
    layers, n = kernels.shape[0], kernels.shape[-1]
    check_shape("kernels of params", kernels, (layers, n, n))
    return kernels


def _check_slope(slope: float) -> None:
    check_unit_interval("slope", slope)
    check_above("slope", slope, 0)
    check_scalar("slope", slope)


def condition_number(kernel: jax.Array) -> jax.Array:
    """Ratio of the largest to the smallest singular value, `[..., n, n] -> [...]`."""
    values = jnp.linalg.svd(kernel, compute_uv=False)
    return values[..., 0] / values[..., -1]


def _params(kernels: jax.Array) -> Params:
    return {"kernels": kernels, "cond": condition_number(kernels)}


def _activate(x: jax.Array, slope: float, activation: str) -> jax.Array:
    match activation:
        case "leaky_relu":
            return jnp.where(x > 0, x, slope * x)
        case "smooth_leaky_relu":
            return slope * x + (1 - slope) * jax.nn.softplus(x)
        case _:
            return getattr(jax.nn, activation)(x)
