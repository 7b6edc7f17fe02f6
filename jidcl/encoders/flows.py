"""Encoders of coupling layers: the inverse of a coupling mixing, weights free."""

import jax

from jidcl.checks import check_above, check_count, check_scalar
from jidcl.encoders.core import Encoder
from jidcl.mixing.flows import check_even, uncouple


def make_inverse_coupling(n: int, *, layers: int = 4, scale: float = 1.0) -> Encoder:
    """The encoder that matches `jidcl.mixing.flows.couple`: `uncouple`, trained.

    Kernels start as scale N(0, 2/n), the inverse of their fan-in. It preserves volume,
    so it cannot collapse.

    Args:
        n: width of x and y, even.
        layers: coupling layers.
        scale: of the kernels at the start, > 0. 1 as published; near 0 it starts near
            the identity, and fewer runs end in a local minimum.

    Returns:
        The encoder, of `[..., n]`.

    Raises:
        ValueError: on an odd n, or n or layers out of range.

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    check_even(n)
    check_count("layers", layers)
    check_above("scale", scale, 0)
    check_scalar("scale", scale)
    half = n // 2

    def init(key):
        kernels = jax.random.normal(key, (layers, half, half))
        return {"kernels": scale * half**-0.5 * kernels}, {}

    def apply(params, state, x, train=False):
        return uncouple(params, x), state

    return Encoder(init, apply)
