"""Mixing x = g(z)."""

from jidcl.mixing.dense import (
    init_invertible_mlp,
    init_linear,
    init_orthogonal,
    mix,
    normalise_columns,
    unmix,
)
from jidcl.mixing.flows import (
    autoregress,
    couple,
    init_autoregressive,
    init_coupling,
    unautoregress,
    uncouple,
)
from jidcl.mixing.maps import (
    PLANE_MAPS,
    PlaneMap,
    angled,
    init_moebius,
    moebius,
    moebius_jacobian,
    unit_determinant,
    unmoebius,
)

__all__ = [
    "PLANE_MAPS",
    "PlaneMap",
    "angled",
    "autoregress",
    "couple",
    "init_autoregressive",
    "init_coupling",
    "init_invertible_mlp",
    "init_linear",
    "init_moebius",
    "init_orthogonal",
    "mix",
    "moebius",
    "moebius_jacobian",
    "normalise_columns",
    "unautoregress",
    "uncouple",
    "unit_determinant",
    "unmix",
    "unmoebius",
]
