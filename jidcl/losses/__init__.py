"""Objectives: similarities, the contrastive family, supervised losses."""

from jidcl.losses.classification import (
    accuracy,
    class_logits,
    instance_cross_entropy,
)
from jidcl.losses.contrastive import (
    NegativePolicy,
    align_uniform,
    alignment,
    bits_above_chance,
    infonce,
    uniformity,
)
from jidcl.losses.entropy import align_maxent, kernel_entropy
from jidcl.losses.similarity import Similarity, pairwise, rowwise
from jidcl.losses.supervised import mse, r2_loss

__all__ = [
    "NegativePolicy",
    "Similarity",
    "accuracy",
    "align_maxent",
    "align_uniform",
    "alignment",
    "bits_above_chance",
    "class_logits",
    "infonce",
    "instance_cross_entropy",
    "kernel_entropy",
    "mse",
    "pairwise",
    "r2_loss",
    "rowwise",
    "uniformity",
]
