"""Objectives: similarities, the contrastive family, supervised losses."""

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
    "align_maxent",
    "align_uniform",
    "alignment",
    "bits_above_chance",
    "infonce",
    "kernel_entropy",
    "mse",
    "pairwise",
    "r2_loss",
    "rowwise",
    "uniformity",
]
