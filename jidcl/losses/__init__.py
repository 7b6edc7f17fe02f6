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
from jidcl.losses.moments import VICRegWeights, barlow, standardised, vicreg
from jidcl.losses.regularised import (
    byol,
    moco,
    ntxent,
    simsiam,
    sinkhorn_codes,
    swav,
)
from jidcl.losses.rows import pairwise, rowwise
from jidcl.losses.similarity import Similarity
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
from jidcl.losses.targets import ema_schedule, ema_update, init_queue, push
from jidcl.losses.variational import (
    SlowVAEWeights,
    bernoulli_nll,
    gaussian_kl,
    laplace_cross_entropy,
    slowvae,
)

__all__ = [
    "NegativePolicy",
    "Similarity",
    "SlowVAEWeights",
    "VICRegWeights",
    "accuracy",
    "align_maxent",
    "align_uniform",
    "alignment",
    "aninfonce",
    "aninfonce_ensemble",
    "barlow",
    "bernoulli_nll",
    "bits_above_chance",
    "byol",
    "class_logits",
    "draw_directions",
    "ema_schedule",
    "ema_update",
    "from_lam",
    "gauss_infonce",
    "gaussian_kl",
    "infonce",
    "init_queue",
    "instance_cross_entropy",
    "kernel_entropy",
    "laplace_cross_entropy",
    "lejepa",
    "moco",
    "mse",
    "ntxent",
    "pairwise",
    "push",
    "r2_loss",
    "rowwise",
    "sigreg",
    "simsiam",
    "sinkhorn_codes",
    "slowvae",
    "standardised",
    "swav",
    "to_lam",
    "uniformity",
    "vicreg",
    "view_alignment",
    "whitened_alignment",
    "whitening",
]
