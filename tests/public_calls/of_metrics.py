"""A valid call of every public score."""

import dataclasses

import jax
import numpy as np

from jidcl import metrics
from public_calls.arguments import (
    KEY,
    NUMBERS,
    TAU,
    Argument,
    call,
    entropy_of,
    entropy_on_host,
    equal_blocks,
    fitted,
    floats,
    given,
    integers,
    kernel_ridge,
    number,
    on_host,
    positive,
    sequence,
    text,
    thing,
    whole,
)

# Any number of columns; then those that have to fit to others.
Z, Y = floats(40, 2, free=(1,)), floats(40, 3, seed=2, free=(1,))


LATENTS_OF, OUTPUTS_OF = floats(40, 2), floats(40, 3, seed=2)


SAME = floats(40, 2, seed=4)


TRAIN = dataclasses.replace(whole(30, 2, 38), free=("none",))


METRICS = {
    "amari_distance": call(
        metrics.amari_distance,
        w=floats(4, 3, 3, free=("rank",)),
        a=floats(4, 3, 3, seed=1, free=("rank",)),
    ),
    "c_ima_of_mean_jacobian": call(
        metrics.c_ima_of_mean_jacobian, j=floats(4, 5, 3, free=(0, 1, 2))
    ),
    "column_norm_variance": call(
        metrics.column_norm_variance, j=floats(4, 5, 3, free=(0, 1, "rank", "wider"))
    ),
    "conformal_contrast": call(
        metrics.conformal_contrast, j=floats(4, 3, 3, free=(0, 1, 2, "rank"))
    ),
    "global_c_ima": call(metrics.global_c_ima, j=floats(4, 5, 3, free=(0, 1, 2))),
    "jacobians": call(
        metrics.jacobians,
        f=thing(jax.numpy.tanh),
        z=floats(4, 3, free=(0, 1, "infinite")),
    ),
    "local_c_ima": call(metrics.local_c_ima, j=floats(4, 5, 3, free=(0, 1, 2, "rank"))),
    "assign": call(metrics.assign, score=floats(2, 3, free=(0, 1, "infinite"))),
    "balanced_logistic": call(
        metrics.balanced_logistic,
        y=Y,
        t=Argument("labels", np.float32([0, 1] * 20), free=("bool",)),
        train=whole(20, 2),
        strength=TAU,
        rounds=whole(40),
        host=True,
    ),
    "block_r2": call(
        metrics.block_r2,
        z=LATENTS_OF,
        y=floats(40, 2, seed=3),
        lam_hat=positive(2),
        blocks=sequence([[0], [1]]),
    ),
    "bootstrap_interval": call(
        metrics.bootstrap_interval,
        key=KEY,
        score=thing(entropy_of),
        z=Z,
        y=Y,
        level=number(0.9, above=0, high=1 - 1e-9),
        resamples=whole(4, 2),
        random=True,
    ),
    "correlation_matrix": call(metrics.correlation_matrix, z=Z, y=Y),
    "decode_factors": call(
        metrics.decode_factors,
        y=OUTPUTS_OF,
        t=LATENTS_OF,
        y_score=floats(20, 3, seed=7),
        t_score=floats(20, 2, seed=8),
        ridge=number(0.1, 0),
    ),
    "compare": call(
        metrics.compare,
        a=Z,
        b=Y,
        permutations=whole(3),
        seed=whole(0, 0),
        host=True,
    ),
    "fold_rows": call(
        metrics.fold_rows,
        samples=whole(30, 6),
        folds=whole(3, 2, 10),
        seed=whole(0, 0),
        host=True,
    ),
    "held_out_mcc": call(
        metrics.held_out_mcc,
        z=floats(40, 2, free=(0, 1)),
        y=floats(40, 3, seed=2, free=(0, 1)),
        folds=thing([np.arange(20), np.arange(20, 40)]),
    ),
    "held_out_r2": call(
        metrics.held_out_r2,
        z=floats(40, 2, free=(0, 1)),
        y=floats(40, 3, seed=2, free=(0, 1)),
        folds=thing([np.arange(20), np.arange(20, 40)]),
    ),
    "permutation_test": call(
        metrics.permutation_test,
        score=thing(entropy_on_host),
        z=Z,
        y=Y,
        permutations=whole(4),
        seed=whole(0, 0),
        host=True,
    ),
    "dci_lasso": call(
        metrics.dci_lasso,
        z=Z,
        y=Y,
        alpha=number(0.1, above=0),
        train=TRAIN,
        rounds=whole(4),
    ),
    "dci_scores": call(metrics.dci_scores, importance=positive(4, 3, free=(0, 1))),
    "dci_trees": call(
        metrics.dci_trees,
        z=Z,
        y=Y,
        train=TRAIN,
        trees=whole(2),
        depth=whole(2),
        rate=number(0.1, above=0),
        leaf=whole(1),
        host=True,
    ),
    "info_e": call(
        metrics.info_e,
        z=Z,
        y=Y,
        bins=whole(3, 2),
        strength=number(1.0, above=0),
        balanced=thing(True, free=("list",)),
        host=True,
    ),
    "info_mc": call(
        metrics.info_mc,
        z=Z,
        y=Y,
        bins=whole(3, 2),
        neighbours=whole(2),
        same_units=thing(False),
    ),
    "mi_knn": call(
        metrics.mi_knn,
        x=floats(12),
        label=given([0, 1, 2, 1] * 3),
        neighbours=whole(2),
    ),
    "mig": call(
        metrics.mig,
        z=Z,
        y=Y,
        bins=whole(3, 2),
    ),
    "modularity_compactness": call(
        metrics.modularity_compactness,
        information=positive(3, 4, free=(0,)),
        active=given([1, 0, 1, 1], free=("none",)),
    ),
    "pcm_linear": call(
        metrics.pcm_linear,
        y=floats(40, 3, free=(1,)),
        z=floats(40, 2, seed=2, free=(1,)),
        splits=thing([(np.arange(20), np.arange(20, 40))], free=("none",)),
        seed=whole(0, 0),
        host=True,
    ),
    "rdc": call(
        metrics.rdc,
        z=Z,
        y=Y,
        features=whole(4),
        scale=number(0.5, above=0),
        cutoff=number(1e-4, 0, 1),
        seed=whole(0, 0),
        host=True,
    ),
    "report": call(
        metrics.report,
        z=floats(40, 2, free=(1, "integers", "bool", "rank down", "list")),
        y=floats(40, 3, seed=2, free=(1, "integers", "bool", "rank down", "list")),
        permutations=whole(1),
        most_rows=whole(100, 30),
        seed=whole(0, 0),
        host=True,
    ),
    "tmex": call(
        metrics.tmex,
        z=Z,
        y=Y,
        splits=thing([(np.arange(20), np.arange(20, 40))], free=("none",)),
        alpha=number(0.05, above=0, high=1 - 1e-12),
        seed=whole(0, 0),
        standardise=thing(True),
        host=True,
    ),
    "tmex_scores": call(
        metrics.tmex_scores,
        matrix=given([[1, 0], [1, 1], [0, 0]], free=(0, 1)),
        host=True,
    ),
    "determination": call(metrics.determination, z=LATENTS_OF, z_hat=SAME),
    "effective_rank": call(metrics.effective_rank, y=floats(40, 3, free=(0, 1))),
    "equal_blocks": call(
        equal_blocks,
        {"first": "lams", "second": "lams"},
        first=sequence((2.0, 1.0), free=("halves",)),
        second=sequence((3.0, 1.0), free=("halves",)),
        host=True,
    ),
    "feature_variance": call(metrics.feature_variance, y=floats(40, 3, free=(0, 1))),
    "fit_affine": call(fitted(metrics.fit_affine, "y"), y=Y, z=Z),
    "fit_classes": call(
        fitted(metrics.fit_classes, "y"),
        y=Y,
        label=integers([0, 1, 2, 1] * 10),
        classes=whole(3, 2),
        strength=TAU,
        rounds=whole(3),
    ),
    "fit_kernel_ridge": call(
        metrics.fit_kernel_ridge,
        z=Z,
        y=Y,
        alphas=sequence((1.0, 0.1), free=("halves", "longer")),
        gammas=sequence((0.1, 1.0), free=("halves", "longer")),
        folds=whole(2, 2),
    ),
    "fit_linear": call(fitted(metrics.fit_linear, "y"), z=Z, y=Y),
    "isometry_error": call(
        metrics.isometry_error, similarity_z=floats(8), similarity_y=floats(8, seed=1)
    ),
    "lambda_recovery": call(
        metrics.lambda_recovery,
        {"lam_hat": "learned lam"},
        lam=positive(2),
        lam_hat=positive(3, free=(0,)),
        columns=integers([2, 0]),
    ),
    "legacy_levels": call(
        metrics.legacy_levels,
        values=given([0, 0.5, 1.0], free=(0, "width", "integers", "bool")),
        host=True,
    ),
    "linear_decode_pearson": call(
        metrics.linear_decode_pearson,
        y=OUTPUTS_OF,
        t=floats(40),
        y_score=floats(20, 3, seed=7),
        t_score=floats(20, seed=8),
    ),
    "chatterjee_xi": call(
        metrics.chatterjee_xi, x=floats(12, 1), y=floats(12, 1, seed=1), host=True
    ),
    "fisher_z": call(
        metrics.fisher_z,
        x=floats(12, 1),
        y=floats(12, 1, seed=1),
        z=floats(12, 2, seed=2, free=(1, "none")),
        host=True,
    ),
    "g_test": call(
        metrics.g_test,
        {"levels": "levels"},
        x=integers([0, 1, 1, 0] * 3),
        y=integers([0, 1, 0, 1] * 3),
        levels=whole(2, 2),
        host=True,
    ),
    "hsic": call(
        metrics.hsic,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        host=True,
    ),
    "kci_conditional": call(
        metrics.kci_conditional,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        z=floats(12, 2, seed=2, free=(1,)),
        form=text("exact"),
        host=True,
    ),
    "kci_unconditional": call(
        metrics.kci_unconditional,
        x=floats(12, 1, free=(1,)),
        y=floats(12, 2, seed=1, free=(1,)),
        host=True,
    ),
    "normalised_shd": call(
        metrics.normalised_shd,
        found=thing(np.eye(3)),
        truth=thing(np.ones((3, 3))),
        host=True,
    ),
    "linear_id": call(
        metrics.linear_id,
        z=LATENTS_OF,
        h=SAME,
        h_pos=floats(40, 2, seed=9),
        rho=number(0.5, high=1 - 1e-9, above=0),
    ),
    "linear_map": call(metrics.linear_map, y=Y, z=Z),
    "linear_pearson": call(metrics.linear_pearson, z=Z, y=Y),
    "linear_share": call(
        metrics.linear_share,
        effect=floats(2, 3),
        cause=given(np.eye(3)),
        noise=given(np.eye(2)),
    ),
    "mcc": call(metrics.mcc, z=Z, y=Y),
    "ordinal_levels": call(
        metrics.ordinal_levels,
        values=given([0.2, 0.5, 0.2], free=(0, "width", "infinite", *NUMBERS)),
        host=True,
    ),
    "plane_grid": call(
        metrics.plane_grid, points=whole(3, 2), span=number(1.0, above=0)
    ),
    "predict": call(
        metrics.predict, fit=thing(kernel_ridge()), y=floats(5, 1, free=(0,))
    ),
    "procrustes_error": call(metrics.procrustes_error, z=LATENTS_OF, y=SAME),
    "procrustes_mse": call(metrics.procrustes_mse, z=LATENTS_OF, h=SAME),
    "r2": call(metrics.r2, z=Z, y=Y),
    "read_back": call(metrics.read_back, z=Z, y=Y),
    "rotation_null": call(
        metrics.rotation_null,
        key=KEY,
        z=floats(40, 2, free=(0,)),
        draws=whole(3),
        blocks=sequence([[0], [1]], free=("none",)),
        random=True,
    ),
    "row_collapse": call(
        metrics.row_collapse, w=floats(6, 3, free=(0, 1)), clusters=whole(2)
    ),
    "scale_error": call(metrics.scale_error, y=Y, z=Z, scale=number(2.0, above=0)),
    "shuffled": call(
        metrics.shuffled,
        key=KEY,
        y=floats(8, 3, free=("rank", 0, 1, "complex", *NUMBERS)),
        random=True,
    ),
    "spread": call(metrics.spread, y=floats(40, 3, free=(0, 1))),
    "t_test": call(
        metrics.t_test,
        values=floats(6, free=(0, "width")),
        mean=number(0.5),
        alpha=number(0.05, high=1 - 1e-9, above=0),
        tests=whole(2),
    ),
    "tied_kappa": call(
        metrics.tied_kappa,
        z=LATENTS_OF,
        h=OUTPUTS_OF,
        v=floats(6, 2, seed=11),
        w=floats(6, 3, seed=12),
        beta=number(1.0),
    ),
    "total_r2": call(metrics.total_r2, a=Y, b=Z),
}


# The forms on the host, in float64.
METRICS |= {
    f"{name}[numpy]": dataclasses.replace(
        METRICS[name], function=on_host(METRICS[name].function), host=True
    )
    for name in (
        "assign", "block_r2", "correlation_matrix", "lambda_recovery", "mcc",
        "procrustes_error", "r2", "read_back",
    )
}  # fmt: skip
