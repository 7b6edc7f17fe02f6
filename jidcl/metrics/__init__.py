"""Recovery scores, usable alone on NumPy or JAX arrays."""

from jidcl.metrics.blocks import (
    KernelRidge,
    determination,
    fit_kernel_ridge,
    fit_linear,
    linear_share,
    predict,
)
from jidcl.metrics.decoding import (
    balanced_logistic,
    legacy_levels,
    linear_decode_pearson,
    ordinal_levels,
    t_test,
)
from jidcl.metrics.linear import linear_map, row_collapse, scale_error, tied_kappa
from jidcl.metrics.linear_id import (
    LinearID,
    linear_id,
    plane_grid,
    procrustes_mse,
    total_r2,
)
from jidcl.metrics.recovery import (
    assign,
    bootstrap_interval,
    correlation_matrix,
    fit_affine,
    isometry_error,
    linear_pearson,
    mcc,
    procrustes_error,
    r2,
    read_back,
    rotation_null,
    shuffled,
)

__all__ = [
    "KernelRidge",
    "LinearID",
    "assign",
    "balanced_logistic",
    "bootstrap_interval",
    "correlation_matrix",
    "determination",
    "fit_affine",
    "fit_kernel_ridge",
    "fit_linear",
    "isometry_error",
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
    "t_test",
    "tied_kappa",
    "total_r2",
]
