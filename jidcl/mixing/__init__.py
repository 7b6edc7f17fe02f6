"""Mixing x = g(z)."""

from jidcl.mixing.dense import (
    init_invertible_mlp,
    init_linear,
    init_orthogonal,
    mix,
    normalise_columns,
    unmix,
)

__all__ = [
    "init_invertible_mlp",
    "init_linear",
    "init_orthogonal",
    "mix",
    "normalise_columns",
    "unmix",
]
