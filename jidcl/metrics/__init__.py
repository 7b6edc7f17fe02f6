"""Recovery scores, usable alone on NumPy or JAX arrays."""

from jidcl.metrics.blocks import (
    KernelRidge,
    determination,
    fit_kernel_ridge,
    fit_linear,
    linear_share,
    predict,
)
from jidcl.metrics.recovery import (
    assign,
    bootstrap_interval,
    correlation_matrix,
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
    "assign",
    "bootstrap_interval",
    "correlation_matrix",
    "determination",
    "fit_kernel_ridge",
    "fit_linear",
    "isometry_error",
    "linear_pearson",
    "linear_share",
    "mcc",
    "predict",
    "procrustes_error",
    "r2",
    "read_back",
    "rotation_null",
    "shuffled",
]
