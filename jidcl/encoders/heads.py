"""Output spaces of an encoder: none, sphere, box; fixed or learnable."""

import jax
import jax.numpy as jnp
from flax import nnx

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_features,
    check_real,
    check_scalar,
    check_shape,
)
from jidcl.numerics import (
    unit,
    within,
)

OUTPUTS = ("none", "sphere", "learnable_sphere", "box", "learnable_box")


def rescale(x: jax.Array, r: jax.Array | float = 1.0, *, at_most: bool = False):
    """r x / ||x||, or x min(1, r / ||x||) with `at_most` (the ball of radius r).

    Args:
        x: `[..., m]`.
        r: radius, > 0.
        at_most: leave what lies inside the ball.

    Returns:
        `[..., m]`; x = 0 stays 0, with the gradient of r x. There is no epsilon:
        numbers of any size are rescaled.
    """
    check_features("x", x)
    check_above("r", r, 0)
    check_scalar("r", r)
    if at_most:
        return within(x, r)
    return r * unit(x)


def softclip(x: jax.Array, bound: jax.Array | float = 1.0) -> jax.Array:
    """sigmoid(x) * bound: the open box (0, bound).

    Args:
        x: `[..., m]`.
        bound: b > 0, a scalar or `[m]`.

    Returns:
        `[..., m]`.
    """
    check_features("x", x)
    check_real("bound", bound)
    check_above("bound", bound, 0)
    if jnp.ndim(bound):
        check_shape("bound", bound, x.shape[-1:])
        bound = jnp.expand_dims(bound, tuple(range(x.ndim - 1)))
    return jax.nn.sigmoid(x) * bound


class OutputSpace(nnx.Module):
    """Last layer of an encoder: maps R^m into the model's output space.

    `none`: y = x; `sphere` and `learnable_sphere`: y = r x / ||x|| (0 at 0), r = 1 or
    trained from `size`; `box` and `learnable_box`: y_i = sigmoid(x_i) b_i, b = 1 or
    trained from `size` (published: 1).

    Args:
        kind: one of `OUTPUTS`.
        m: width of the output, >= 1.
        size: where a learnable radius or bound starts, > 0.

    Source: Zimmermann et al. 2021, published code.
    """

    def __init__(self, kind: str, m: int, size: float = 1.0):
        check_choice("output", kind, OUTPUTS)
        check_above("output_size", size, 0)
        check_scalar("output_size", size)
        check_count("m", m)
        self.kind = kind
        if kind == "learnable_sphere":
            self.radius = nnx.Param(jnp.full((), size))
        elif kind == "learnable_box":
            self.bound = nnx.Param(jnp.full((m,), size))

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., m] -> [..., m]`."""
        match self.kind:
            case "sphere":
                return rescale(x)
            case "learnable_sphere":
                return rescale(x, self.radius[...])
            case "box":
                return softclip(x)
            case "learnable_box":
                return softclip(x, self.bound[...])
        return x
