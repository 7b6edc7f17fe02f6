"""What the scores of a record mean, a line each. Imports no JAX."""

_SCORES = {
    "recovery": {
        "r2": "share of the latents (rivals: the shared) an affine map of y explains",
        "mcc": "mean |correlation| of latents with the outputs assigned to them",
        "procrustes": "share of the latents left by the best rotation and scale",
        "isometry_error": "mean |s(z, z+) - s(y, y+) / tau| of pairs, nats",
        "content": "share of the content found in the outputs",
        "style": "share of the style found in the outputs",
        "style_oracle": "what the true content itself says of style",
        "style_excess": "style found beyond what the true content says of it",
        "fixed_style": "share found of style that never changes: content, in theory",
        "class": "share of new pictures classed rightly from the outputs",
        "accuracy": "share of new draws classed rightly by the trained head",
        "block_r2": "R2 of a block of equal Lambda from its outputs",
        "head_r2": "R2 behind the projection head",
        "head_mcc": "MCC behind the projection head",
    },
    "losses": {
        "loss": "the objective on new draws",
        "floor": "the least it can be: of the true latents, or in the limit",
        "gap": "loss minus that of the true latents, same draws; small: closed",
        "gap_se": "its standard error over batches",
        "chance": "the objective of an encoder that ignores the pairs",
        "oracle_loss": "the objective of the true latents, on the same draws",
        "oracle_scale": "the scale at which it is least",
        "linear_loss": "the objective of the best affine map of the observations",
        "own_loss": "the objective before outputs are brought to unit spread",
        "train_floor": "the floor at the training batch, beside curves",
        "diverged": "1 where a run ended in numbers that are not finite",
    },
    "nulls": {
        "mcc_rotation_low": "MCC of latents turned at random, 0.5 % quantile",
        "mcc_rotation_high": "MCC of latents turned at random, 99.5 % quantile",
    },
    "of some systems": {
        "effective_rank": "how many directions the outputs fill",
        "spread": "deviation of the outputs' directions, 0 when collapsed",
        "lam_error": "mean |learned / true - 1| of Lambda, outputs assigned to latents",
        "lam_error_sorted": "the same with both in order",
        "lam_pearson": "correlation of learned and true Lambda",
        "r2_linear": "R2 of a linear map, without intercept",
        "r2_rows_linear": "R2 of the cluster vectors by a map without intercept",
        "r2_rows": "R2 of the cluster vectors from the rows of W",
        "scale_error": "mean |singular values of outputs -> latents - 1 / kappa|",
        "scale_error_relative": "the same times kappa",
        "rows_scale_error": "mean |singular values of rows -> cluster vectors - 1|",
        "kappa_error": "|kappa read from the model / true - 1|",
        "tied_deviation": "how far beta M^T P is from kappa I",
        "row_collapse": "variance of W's rows within clusters, share of all",
        "change_condition": "condition number of the covariance of style's changes",
        "decoder_loss": "mean squared error of the decoder that is g",
        "rows_of_set": "pictures of the set on disk",
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
}
# What a name may end in, taken off from the right.
_ENDINGS = {
    "_identity": "from the observations instead (null)",
    "_shuffled": "with rows in another order (null)",
    "_truth": "of the true latents",
    "_sampled": "from samples",
    "_intercept": "by a read-out with intercept",
    "_linear": "by a linear read-out",
    "_krr": "by kernel ridge regression",
    "_spearman": "of ranks",
}


def meaning(name: str) -> str:
    """One line on a score; a name without one is a factor, read from the outputs.

    Example:
        >>> meaning("mcc_shuffled").removeprefix(meaning("mcc"))
        '; with rows in another order (null)'
    """
    for group in _SCORES.values():
        if name in group:
            return group[name]
    for ending, text in _ENDINGS.items():
        base = name.removesuffix(ending)
        if base != name:
            return f"{meaning(base)}; {text}"
    return f"the factor {name}, read from the outputs"


def legend() -> str:
    """All names and meanings, for the terminal."""
    lines = []
    for title, group in _SCORES.items():
        lines += [title, *(f"  {name:<22} {text}" for name, text in group.items()), ""]
    lines += ["endings", *(f"  {end:<22} {text}" for end, text in _ENDINGS.items()), ""]
    return "\n".join(lines) + "Other names are factors, read from the outputs."
