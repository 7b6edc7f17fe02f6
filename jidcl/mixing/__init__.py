"""Mixing x = g(z)."""

from jidcl.mixing.dense import (
    init_invertible_mlp,
    init_linear,
    init_orthogonal,
    mix,
    normalise_columns,
    unmix,
)
from jidcl.mixing.flows import couple, init_coupling, uncouple
from jidcl.mixing.maps import PLANE_MAPS, PlaneMap

__all__ = [
    "PLANE_MAPS",
    "PlaneMap",
    "couple",
    "init_coupling",
    "init_invertible_mlp",
    "init_linear",
    "init_orthogonal",
    "mix",
    "normalise_columns",
    "uncouple",
    "unmix",
]
