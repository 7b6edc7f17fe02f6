"""Encoders y = f(x) as pairs of pure functions over plain dicts."""

from jidcl.encoders.core import Encoder, from_linen, from_nnx
from jidcl.encoders.heads import OUTPUTS, OutputSpace, rescale, softclip
from jidcl.encoders.nets import MLP, PUBLISHED_WIDTHS, make_mlp

__all__ = [
    "MLP",
    "OUTPUTS",
    "PUBLISHED_WIDTHS",
    "Encoder",
    "OutputSpace",
    "from_linen",
    "from_nnx",
    "make_mlp",
    "rescale",
    "softclip",
]
