"""Recovery scores, usable alone on NumPy or JAX arrays."""

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
    "assign",
    "bootstrap_interval",
    "correlation_matrix",
    "isometry_error",
    "linear_pearson",
    "mcc",
    "procrustes_error",
    "r2",
    "read_back",
    "rotation_null",
    "shuffled",
]
