"""Meanings of the scores that are a system's own. Imports no JAX.

Scores that systems share stand in `jidcl.report.legend`.
"""

_PICTURES = {"rows_of_set": "pictures of the set on disk"}

LEGENDS: dict[str, dict[str, str]] = {
    "content_style": {
        "change_condition": "condition number of the covariance of style's changes",
    },
    "anisotropic": {
        "lam_error": "mean |learned / true - 1| of Lambda, outputs assigned to latents",
        "lam_error_sorted": "the same with both in order",
        "lam_pearson": "correlation of learned and true Lambda",
        "decoder_loss": "mean squared error of the decoder that is g",
    },
    "diet": {
        "r2_linear": "R2 of a linear map, without intercept",
        "r2_rows_linear": "R2 of the cluster vectors by a map without intercept",
        "r2_rows": "R2 of the cluster vectors from the rows of W",
        "scale_error": "mean |singular values of outputs -> latents - 1 / kappa|",
        "scale_error_relative": "the same times kappa",
        "rows_scale_error": "mean |singular values of rows -> cluster vectors - 1|",
        "kappa_error": "|kappa read from the model / true - 1|",
        "tied_deviation": "how far beta M^T P is from kappa I",
        "row_collapse": "variance of W's rows within clusters, share of all",
    },
    "lejepa": {
        "r2_zh": "share of the outputs that an affine map of the latents explains",
        "r2_grid": "R2 on a grid over the plane",
        "orth_err": "||A^T A - I|| of the linear map A from latents to outputs",
        "orth_err_normalized": "the same over sqrt(n)",
        "procrustes_mse": "mean squared error left by the best orthogonal map",
        "approx_bound": "Theorem 3's bound of that error",
        "bound_held": "1 where the error is within the bound",
        "epsilon": "||Cov(y) - I||",
        "delta": "alignment beyond that of a linear map",
        "d_bound": "D = delta / (2 rho (1 - rho))",
        "l_h": "mean squared distance of the outputs of a pair",
        "trace_cov": "trace of the outputs' covariance",
        "alignment": "the loss's term of alignment",
        "alignment_limit": "Theorem 1's minimum of the alignment, a dimension",
        "positive": "the loss's term of positives",
        "negative": "the loss's term of negatives",
        "sigreg": "the loss's term SIGReg",
        "whitening": "the loss's term of whitening",
    },
    "rivals": {
        "effective_rank": "how many directions the outputs fill",
        "spread": "deviation of the outputs' directions, 0 when collapsed",
    },
    "scenes": _PICTURES,
    "causal3d": _PICTURES,
    "dislib": _PICTURES,
}
