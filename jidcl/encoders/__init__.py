"""Encoders y = f(x) as pairs of pure functions over plain dicts."""

from jidcl.encoders.core import Encoder, from_linen, from_nnx
from jidcl.encoders.decoders import CNNDecoder, make_cnn_decoder
from jidcl.encoders.flows import make_inverse_coupling
from jidcl.encoders.heads import OUTPUTS, OutputSpace, rescale, softclip
from jidcl.encoders.images import CNN, ResNet, make_cnn, make_resnet
from jidcl.encoders.nets import MLP, PUBLISHED_WIDTHS, make_mlp
from jidcl.encoders.norm import BatchNorm, Running
from jidcl.encoders.recurrent import make_causal_linear, make_lstm
from jidcl.encoders.sequence import SequenceModel
from jidcl.encoders.transformer import make_transformer

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
    "SequenceModel",
    "from_linen",
    "from_nnx",
    "make_causal_linear",
    "make_cnn",
    "make_cnn_decoder",
    "make_inverse_coupling",
    "make_lstm",
    "make_mlp",
    "make_resnet",
    "make_transformer",
    "rescale",
    "softclip",
]
