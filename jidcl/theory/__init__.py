"""What theory allows: closed-form limits, finite-sample corrections, oracle floors."""

from jidcl.latents.vmf import vmf_entropy, vmf_log_normaliser, vmf_mean_cosine
from jidcl.theory.boxes import (
    box_energy,
    box_limit,
    box_log_mass,
    box_mean_energy,
    box_mismatched_limit,
    box_moment,
    box_self_weight,
    gennorm_moments,
)
from jidcl.theory.classification import (
    Floor,
    affine_solution,
    bayes_floor,
    class_log_posterior,
    index_log_posterior,
)
from jidcl.theory.exchangeable import (
    DecisionLaw,
    LinearPair,
    decision_law,
    environments_for_accuracy,
    environments_needed,
    fisher_power,
    linear_pair,
)
from jidcl.theory.limits import (
    best_gauss_coefficient,
    finite_negatives,
    gauss_limit,
    ou_alignment_limit,
    vmf_correction,
    vmf_limit,
    vmf_moment,
    vmf_self_weight,
)
from jidcl.theory.oracle import OracleMap, apply_oracle, best_scale, fit_oracle
from jidcl.theory.projected import (
    projected_normal_log_ratio,
    projected_normal_mean_cosine,
    projected_normal_tv,
)

__all__ = [
    "DecisionLaw",
    "LinearPair",
    "decision_law",
    "environments_for_accuracy",
    "environments_needed",
    "fisher_power",
    "linear_pair",
    "Floor",
    "OracleMap",
    "affine_solution",
    "apply_oracle",
    "bayes_floor",
    "best_gauss_coefficient",
    "best_scale",
    "box_energy",
    "box_limit",
    "box_log_mass",
    "box_mean_energy",
    "box_mismatched_limit",
    "box_moment",
    "box_self_weight",
    "class_log_posterior",
    "finite_negatives",
    "fit_oracle",
    "gauss_limit",
    "gennorm_moments",
    "index_log_posterior",
    "ou_alignment_limit",
    "projected_normal_log_ratio",
    "projected_normal_mean_cosine",
    "projected_normal_tv",
    "vmf_correction",
    "vmf_entropy",
    "vmf_limit",
    "vmf_log_normaliser",
    "vmf_mean_cosine",
    "vmf_moment",
    "vmf_self_weight",
]
