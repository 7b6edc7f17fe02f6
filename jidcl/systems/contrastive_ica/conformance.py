"""Reference vectors of contrastive ICA: which public function each kind replays.

Every function takes the case's `params` and `inputs` (arrays in the precision of the
run) and returns the expected outputs by name.
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from jidcl import theory
from jidcl.encoders import MLP, from_nnx, rescale, softclip
from jidcl.latents.vmf import vmf_envelope, vmf_proposal
from jidcl.losses import (
    NegativePolicy,
    Similarity,
    SlowVAEWeights,
    alignment,
    infonce,
    laplace_cross_entropy,
    mse,
    r2_loss,
    slowvae,
    uniformity,
)
from jidcl.metrics import assign, linear_pearson, mcc, r2
from jidcl.mixing import mix, normalise_columns
from jidcl.mixing.dense import condition_number
from jidcl.numerics import log_sphere_area
from jidcl.systems.contract import Erratum, on_host

Outputs = dict[str, Any]


def lp_simclr(params: Any, inputs: Any) -> Outputs:
    """The p-norm loss with its published composition, and its gradients."""
    similarity = Similarity("lp", params["p"], params["pow"])
    policy = NegativePolicy(
        negatives="in_batch" if params["z3_is_rolled_z1"] else "independent",
        include_positive=params["compat"],
        log_mean=not params["compat"],
        alpha=params["alpha"],
    )
    return _contrastive(similarity, policy, params["tau"], inputs)


def simclr(params: Any, inputs: Any) -> Outputs:
    """The dot-product or cosine loss."""
    policy = NegativePolicy(
        negatives="in_batch" if params["z3_is_rolled_z1"] else "independent",
        alpha=params["alpha"],
    )
    similarity = Similarity("cosine" if params["normalize"] else "dot")
    return _contrastive(similarity, policy, params["tau"], inputs)


def _contrastive(similarity, policy, tau, inputs) -> Outputs:
    names = sorted(inputs)

    def loss(arrays, reduction="mean"):
        return infonce(
            *arrays, similarity=similarity, tau=tau, policy=policy, reduction=reduction
        )

    arrays = [inputs[name] for name in names]
    (value, metrics), grads = jax.value_and_grad(loss, has_aux=True)(arrays)
    return {
        "mean": value,
        "per_item": loss(arrays, "none")[0],
        "pos_mean": metrics["positive"],
        "neg_mean": metrics["negative"],
        **{f"grad_{name}": grad for name, grad in zip(names, grads, strict=True)},
    }


def _uniformity(params: Any, inputs: Any) -> Outputs:
    y, y_neg, p = inputs["z1"], inputs["z3"], params["p"]
    rows = uniformity(y, y_neg, p=p, reduction="none")
    return {"mean": uniformity(y, y_neg, p=p), "per_item": rows}


def _alignment(params: Any, inputs: Any) -> Outputs:
    y, y_pos, p = inputs["z1"], inputs["z2"], params["p"]
    rows = alignment(y, y_pos, p=p, reduction="none")
    return {"mean": alignment(y, y_pos, p=p), "per_item": rows}


def _r2_loss(params: Any, inputs: Any) -> Outputs:
    value = r2_loss(
        inputs["y_pred"],
        inputs["y"],
        reduction=params["reduction"],
        # The published sign: its loss is minus ours.
        negative=params["mode"] == "negative_r2",
    )
    return {"value": value}


def _rescale(params: Any, inputs: Any) -> Outputs:
    at_most = params["mode"] == "leq"
    return {"y": rescale(inputs["x"], params["r"], at_most=at_most)}


def _softclip(params: Any, inputs: Any) -> Outputs:
    bound = jnp.asarray(params["bound"], inputs["x"].dtype)
    return {"y": softclip(inputs["x"], bound)}


def _mixing(params: Any, inputs: Any) -> Outputs:
    kernels = jnp.swapaxes(inputs["weights"], -1, -2)
    x = mix({"kernels": kernels}, inputs["z"], slope=params["slope"])
    return {"x": x, "cond": condition_number(kernels)}


def _normalise(params: Any, inputs: Any) -> Outputs:
    normal = normalise_columns(inputs["A"])
    return {"W": normal, "cond": condition_number(normal)}


def _mlp(weights, slope: float, output: str):
    """The encoder with the given `[out, in]` weights: `(encoder, parameters)`."""
    sizes = [weights[0].shape[1], *(w.shape[0] for w in weights)]
    output = {"fixed_sphere": "sphere"}.get(output, output)
    return from_nnx(
        lambda rngs: MLP(
            sizes[0],
            sizes[-1],
            hidden=sizes[1:-1],
            slope=slope,
            init="he_normal",
            output=output,
            rngs=rngs,
        )
    )


def _mlp_params(weights, biases, output: str) -> Any:
    layers = {
        str(i): {"kernel": w.T, "bias": b}
        for i, (w, b) in enumerate(zip(weights, biases, strict=True))
    }
    params: dict[str, Any] = {"layers": layers}
    if output == "learnable_box":
        params["output"] = {"bound": jnp.ones_like(biases[-1])}
    return params


def encoder_mlp(params: Any, inputs: Any) -> Outputs:
    """The published encoder's forward pass."""
    output = params["output_normalization"]
    encoder = _mlp(inputs["weights"], params["slope"], output)
    values = _mlp_params(inputs["weights"], inputs["biases"], output)
    return {"y": encoder.apply(values, {}, inputs["x"])[0]}


@on_host
def adam_trajectory(params: Any, inputs: Any) -> Outputs:
    """Three training steps of the published loop: losses and final weights."""
    output = params["output_normalization"]
    encoder = _mlp(inputs["weights"], params["slope_encoder"], output)
    values: Any = _mlp_params(inputs["weights"], inputs["biases"], output)
    g = {"kernels": jnp.swapaxes(inputs["mixing"], -1, -2)}
    p = params["p"]
    similarity = Similarity("dot") if p == 0 else Similarity("lp", max(p, 1))

    def loss(values, z, z_pos):
        y, y_pos = (
            encoder.apply(values, {}, mix(g, part, slope=params["slope_mixing"]))[0]
            for part in (z, z_pos)
        )
        if p == -1:
            return mse(y, z)
        return infonce(y, y_pos, similarity=similarity, tau=params["tau"])[0]

    optimiser = optax.adam(params["lr"])
    state, losses = optimiser.init(values), []
    for z, z_pos in zip(inputs["z"], inputs["z_tilde"], strict=True):
        value, grads = jax.value_and_grad(loss)(values, z, z_pos)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(grads, state, values)
        values = cast(Any, optax.apply_updates(values, updates))
        losses.append(value)
    layers = [values["layers"][str(i)] for i in range(len(inputs["weights"]))]
    outputs: Outputs = {
        "losses": jnp.stack(losses),
        "final_weights": [layer["kernel"].T for layer in layers],
        "final_biases": [layer["bias"] for layer in layers],
    }
    if output == "learnable_box":
        outputs["final_box_bound"] = values["output"]["bound"]
    return outputs


def linear_r2(params: Any, inputs: Any) -> Outputs:
    """R2 of the least-squares read-out."""
    score = r2(inputs["z"], inputs["hz"], split=params["train_test_split"])
    return {
        "r2": score.mean,
        "adjusted_r2": score.adjusted,
        "per_dim": score.per_dim,
    }


def _linear_pearson(params: Any, inputs: Any) -> Outputs:
    return {"value": linear_pearson(inputs["z"], inputs["hz"])}


def _mcc(params: Any, inputs: Any) -> Outputs:
    score = mcc(inputs["z"], inputs["hz"], spearman=params["mode"] == "spearman")
    return {
        "mcc": score.mean,
        "assignment": score.columns,
        "signed_corr_matrix": score.matrix,
        "naive_diag_mean": jnp.mean(jnp.abs(jnp.diagonal(score.matrix))),
    }


def _kitti_mcc(params: Any, inputs: Any) -> Outputs:
    """MCC as published: factors are filled up with noise to as many as codes."""
    factors, codes = inputs["factors"], inputs["codes"]
    filled = jnp.concatenate([factors, inputs["noise_rows"]])
    spearman = params["mode"] == "spearman"
    score = mcc(filled.T, codes.T, spearman=spearman)
    return {
        "mcc": jnp.mean(score.per_dim[: len(factors)]),
        "assignment": score.columns,
        "mcc_rectangular": mcc(factors.T, codes.T, spearman=spearman).mean,
    }


def _slowvae(params: Any, inputs: Any) -> Outputs:
    mean, log_var = (
        jnp.stack([inputs[f"{name}0"], inputs[f"{name}1"]], axis=1)
        for name in ("mu", "logvar")
    )
    logits, x = (inputs[name].reshape(len(mean), 2, -1) for name in ("x_logits", "x"))
    weights = SlowVAEWeights(params["beta"], params["gamma"], params["rate_prior"])
    total, terms = slowvae(mean, log_var, logits, x, weights=weights)
    # Of each coordinate alone: the last axis is summed over.
    change = (inputs["mu0"] - inputs["mu1"])[..., None]
    forward = laplace_cross_entropy(
        change, inputs["logvar0"][..., None], rate=weights.rate
    )
    return {
        "normal_entropy": terms["entropy"],
        "cross_ent_normal": terms["prior"] + terms["entropy"],
        "cross_ent_laplace": terms["slow"] + terms["entropy"],
        "cross_ent_laplace_elementwise_0given1": forward,
        "recon": terms["reconstruction"],
        "kl_normal": terms["prior"],
        "kl_laplace": terms["slow"],
        "total": total,
    }


def _assignment_max(params: Any, inputs: Any) -> Outputs:
    columns, total = assign(inputs["score"])
    return {"columns": columns, "total": total}


def _vmf_theory(params: Any, inputs: Any) -> Outputs:
    n, kappa = params["n"], params["kappa"]
    return {
        "log_normaliser": theory.vmf_log_normaliser(n, kappa),
        "log_sphere_area": log_sphere_area(n),
        "mean_resultant": theory.vmf_mean_cosine(n, kappa),
        "entropy": theory.vmf_entropy(n, kappa),
        "limit_matched": theory.vmf_limit(n, kappa),
        "R": theory.vmf_moment(n, kappa),
        "limit_model_kappa_1": theory.vmf_limit(n, kappa, model_kappa=1.0),
        "limit_model_kappa_half": theory.vmf_limit(n, kappa, model_kappa=kappa / 2),
    }


@on_host
def _box_theory(params: Any, inputs: Any) -> Outputs:
    box = [params[name] for name in ("low", "high", "lam", "beta")]
    n, low, high = params["n"], params["low"], params["high"]
    limit = theory.box_limit(n, *box)
    # The tables list pairs [z, value]; z is an input.
    points = [z for z, _ in params["_points"]]
    return {
        "limit_matched": limit,
        "min_cross_entropy": limit + n * float(jnp.log(high - low)),
        "R": theory.box_moment(n, *box),
        "log_Z_per_dim_at": [[z, theory.box_log_mass(z, *box)] for z in points],
        "mean_pos_energy_at": [[z, theory.box_energy(z, *box)] for z in points],
    }


def _box_mismatch(params: Any, inputs: Any) -> Outputs:
    names = ("n", "low", "high", "lam", "beta", "score_coeff", "score_p")
    return {"limit": theory.box_mismatched_limit(*(params[name] for name in names))}


def _gauss_theory(params: Any, inputs: Any) -> Outputs:
    names = ("n", "marginal_std", "cond_std", "score_coeff")
    return {"limit": theory.gauss_limit(*(params[name] for name in names))}


def _projected_normal(params: Any, inputs: Any) -> Outputs:
    n, sigma = params["n"], params["sigma"]
    return {
        "tv_to_uniform": theory.projected_normal_tv(n, sigma),
        "mean_cos": theory.projected_normal_mean_cosine(n, sigma),
        "log_density_ratio_at": [
            [t, theory.projected_normal_log_ratio(n, sigma, t)]
            for t, _ in params["_points"]
        ],
    }


def _gennorm_moments(params: Any, inputs: Any) -> Outputs:
    return theory.gennorm_moments(params["lam"], params["beta"])


def _vmf_proposal(params: Any, inputs: Any) -> Outputs:
    draws, u = inputs["beta_draws"], inputs["u"]
    kappa = jnp.asarray(params["kappa"], draws.dtype)
    envelope = vmf_envelope(params["n"], kappa)
    below, accepted = vmf_proposal(params["n"], kappa, draws, u)
    return {**envelope._asdict(), "w": 1 - below, "accept": accepted}


CONFORMANCE = {
    "lp_simclr": lp_simclr,
    "simclr": simclr,
    "uniformity": _uniformity,
    "alignment": _alignment,
    "r2_loss": _r2_loss,
    "rescale": _rescale,
    "softclip": _softclip,
    "mixing": _mixing,
    "l2_normalize_columns": _normalise,
    "encoder_mlp": encoder_mlp,
    "adam_trajectory": adam_trajectory,
    "linear_r2": linear_r2,
    "linear_pearson": _linear_pearson,
    "mcc": _mcc,
    "kitti_mcc": _kitti_mcc,
    "slowvae": _slowvae,
    "assignment_max": _assignment_max,
    "vmf_theory": _vmf_theory,
    "box_theory": _box_theory,
    "box_theory_mismatch": _box_mismatch,
    "gauss_theory": _gauss_theory,
    "projected_normal": _projected_normal,
    "gennorm_moments": _gennorm_moments,
    "vmf_proposal": _vmf_proposal,
}

ERRATA = [
    Erratum(
        kind="projected_normal",
        output="tv_to_uniform",
        printed=0.380553402929,
        correct=0.380571656740,
        reason="quadrature error 1.8e-5 at the kink; exact by root finding",
    )
]
