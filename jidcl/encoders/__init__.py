"""Encoders y = f(x) as pairs of pure functions over plain dicts."""

from jidcl.encoders.core import Encoder, from_linen, from_nnx
from jidcl.encoders.decoders import CNNDecoder, make_cnn_decoder
from jidcl.encoders.flows import make_inverse_coupling
from jidcl.encoders.heads import OUTPUTS, OutputSpace, rescale, softclip
from jidcl.encoders.images import CNN, ResNet, make_cnn, make_resnet
from jidcl.encoders.nets import MLP, PUBLISHED_WIDTHS, make_mlp
from jidcl.encoders.norm import BatchNorm, Running

__all__ = [
    "CNN",
    "CNNDecoder",
    "MLP",
    "OUTPUTS",
    "PUBLISHED_WIDTHS",
    "BatchNorm",
    "Encoder",
    "OutputSpace",
    "ResNet",
    "Running",
    "from_linen",
    "from_nnx",
    "make_cnn",
    "make_cnn_decoder",
    "make_inverse_coupling",
    "make_mlp",
    "make_resnet",
    "rescale",
    "softclip",
]
