"""Objectives: similarities, the contrastive family, supervised losses."""

from jidcl.losses.contrastive import (
    NegativePolicy,
    align_uniform,
    alignment,
    bits_above_chance,
    infonce,
    uniformity,
)
from jidcl.losses.similarity import Similarity, pairwise, rowwise
from jidcl.losses.supervised import mse, r2_loss

__all__ = [
    "NegativePolicy",
    "Similarity",
    "align_uniform",
    "alignment",
    "bits_above_chance",
    "infonce",
    "mse",
    "pairwise",
    "r2_loss",
    "rowwise",
    "uniformity",
]
