"""Objectives: similarities, the contrastive family, supervised losses."""

from jidcl.losses.anisotropic import aninfonce, aninfonce_ensemble, from_lam, to_lam
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
from jidcl.losses.sketch import (
    draw_directions,
    gauss_infonce,
    lejepa,
    sigreg,
    view_alignment,
    whitened_alignment,
    whitening,
)
from jidcl.losses.supervised import mse, r2_loss

__all__ = [
    "NegativePolicy",
    "Similarity",
    "accuracy",
    "align_maxent",
    "align_uniform",
    "alignment",
    "aninfonce",
    "aninfonce_ensemble",
    "bits_above_chance",
    "class_logits",
    "draw_directions",
    "gauss_infonce",
    "from_lam",
    "infonce",
    "instance_cross_entropy",
    "kernel_entropy",
    "lejepa",
    "mse",
    "pairwise",
    "r2_loss",
    "rowwise",
    "sigreg",
    "to_lam",
    "uniformity",
    "view_alignment",
    "whitened_alignment",
    "whitening",
]
