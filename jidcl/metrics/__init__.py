"""Recovery scores, usable alone on NumPy or JAX arrays."""

from jidcl.metrics.anisotropy import (
    LambdaRecovery,
    block_r2,
    equal_blocks,
    lambda_recovery,
)
from jidcl.metrics.blocks import (
    KernelRidge,
    determination,
    fit_kernel_ridge,
    fit_linear,
    linear_share,
    predict,
)
from jidcl.metrics.bootstrap import bootstrap_interval
from jidcl.metrics.collapse import effective_rank, feature_variance, spread
from jidcl.metrics.columns import fit_affine
from jidcl.metrics.dci import dci_lasso, dci_scores
from jidcl.metrics.decoding import (
    decode_factors,
    legacy_levels,
    linear_decode_pearson,
    ordinal_levels,
    t_test,
)
from jidcl.metrics.explicitness import info_e
from jidcl.metrics.graphs import normalised_shd
from jidcl.metrics.independence import (
    PValue,
    chatterjee_xi,
    fisher_z,
    g_test,
)
from jidcl.metrics.information import (
    info_mc,
    mi_knn,
    mig,
    modularity_compactness,
)
from jidcl.metrics.jacobian import (
    amari_distance,
    c_ima_of_mean_jacobian,
    column_norm_variance,
    conformal_contrast,
    global_c_ima,
    jacobians,
    local_c_ima,
)
from jidcl.metrics.kernel_independence import (
    KernelTest,
    hsic,
    kci_conditional,
    kci_unconditional,
)
from jidcl.metrics.linear import linear_map, row_collapse, scale_error, tied_kappa
from jidcl.metrics.linear_id import (
    LinearID,
    linear_id,
    plane_grid,
    procrustes_mse,
    total_r2,
)
from jidcl.metrics.logistic import balanced_logistic, fit_classes
from jidcl.metrics.matching import (
    assign,
    correlation_matrix,
    fold_rows,
    held_out_mcc,
    mcc,
)
from jidcl.metrics.nulls import rotation_null, shuffled
from jidcl.metrics.permutation import PermutationTest, permutation_test
from jidcl.metrics.rdc import rdc
from jidcl.metrics.recovery import (
    held_out_r2,
    isometry_error,
    linear_pearson,
    procrustes_error,
    r2,
    read_back,
)
from jidcl.metrics.report import Report, report
from jidcl.metrics.similarity import Similarity, compare
from jidcl.metrics.tmex import (
    pcm_linear,
    tmex,
    tmex_scores,
)
from jidcl.metrics.trees import dci_trees

__all__ = [
    "Report",
    "report",
    "dci_trees",
    "info_e",
    "pcm_linear",
    "rdc",
    "tmex",
    "tmex_scores",
    "dci_lasso",
    "dci_scores",
    "info_mc",
    "mi_knn",
    "mig",
    "modularity_compactness",
    "PermutationTest",
    "Similarity",
    "compare",
    "permutation_test",
    "amari_distance",
    "c_ima_of_mean_jacobian",
    "column_norm_variance",
    "conformal_contrast",
    "global_c_ima",
    "jacobians",
    "local_c_ima",
    "normalised_shd",
    "PValue",
    "chatterjee_xi",
    "fisher_z",
    "g_test",
    "KernelTest",
    "hsic",
    "kci_conditional",
    "kci_unconditional",
    "fit_classes",
    "KernelRidge",
    "LambdaRecovery",
    "LinearID",
    "assign",
    "balanced_logistic",
    "block_r2",
    "bootstrap_interval",
    "correlation_matrix",
    "decode_factors",
    "determination",
    "effective_rank",
    "equal_blocks",
    "feature_variance",
    "fold_rows",
    "held_out_mcc",
    "held_out_r2",
    "fit_affine",
    "fit_kernel_ridge",
    "fit_linear",
    "isometry_error",
    "lambda_recovery",
    "legacy_levels",
    "linear_decode_pearson",
    "linear_id",
    "linear_map",
    "linear_pearson",
    "linear_share",
    "mcc",
    "ordinal_levels",
    "plane_grid",
    "predict",
    "procrustes_error",
    "procrustes_mse",
    "r2",
    "read_back",
    "rotation_null",
    "row_collapse",
    "scale_error",
    "shuffled",
    "spread",
    "t_test",
    "tied_kappa",
    "total_r2",
]
