"""Reference vectors of content/style isolation: which function each kind replays.

Every function takes the case's `params` and `inputs` (arrays in the precision of the
run) and returns the expected outputs by name.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.encoders import MLP, from_nnx
from jidcl.latents import BlockLaw, block_latents, changed_pair
from jidcl.losses import NegativePolicy, Similarity, align_maxent, infonce
from jidcl.metrics import determination, fit_kernel_ridge, fit_linear, predict, r2
from jidcl.mixing import mix, normalise_columns
from jidcl.mixing.dense import condition_number
from jidcl.systems.contract import Erratum

Outputs = dict[str, Any]


def lp_infonce(params: Any, inputs: Any) -> Outputs:
    """The three-batch InfoNCE with p-norm distances, and its gradients."""
    p, tau = params["p"], params["tau"]
    if p % 2 and params["pow"]:
        return _signed_infonce(p, tau, inputs)
    policy = NegativePolicy(
        negatives="independent",
        include_positive=params["simclr_denominator"],
        log_mean=not params["simclr_compatibility_mode"],
        alpha=params["alpha"],
    )
    similarity = Similarity("lp", p, params["pow"])

    def loss(arrays, reduction="mean"):
        ys = (arrays[name] for name in ("z1", "z2", "z3"))
        return infonce(
            *ys, similarity=similarity, tau=tau, policy=policy, reduction=reduction
        )

    (value, metrics), grad = jax.value_and_grad(loss, has_aux=True)(inputs)
    return {
        "loss": value,
        "per_item": loss(inputs, "none")[0],
        "pos_mean": metrics["positive"],
        "neg_mean": metrics["negative"],
        "grad": grad,
    }


def _signed_infonce(p: float, tau: float, inputs: Any) -> Outputs:
    """The published sum of d^p without an absolute value, which for odd p has a sign.

    No distance, and unbounded below: nothing trains on it, so no loss offers it.
    """
    y, y_pos, y_neg = (inputs[name] for name in ("z1", "z2", "z3"))
    positive = jnp.sum((y - y_pos) ** p, axis=-1) / tau
    pairs = jnp.sum((y[:, None] - y_neg[None]) ** p, axis=-1) / tau
    entries = jnp.concatenate([-pairs, -positive[:, None]], axis=1)
    negative = jax.nn.logsumexp(entries, axis=1) - np.log(entries.shape[1])
    return {
        "loss": jnp.mean(positive + negative),
        "per_item": positive + negative,
        "pos_mean": jnp.mean(positive),
        "neg_mean": jnp.mean(negative),
    }


def _align_maxent(params: Any, inputs: Any) -> Outputs:
    def loss(arrays):
        return align_maxent(
            arrays["z1"], arrays["z2"], variance=params["kernel_variance"]
        )

    (value, metrics), grad = jax.value_and_grad(loss, has_aux=True)(inputs)
    return {"loss": value, "grad": grad, **metrics}


def _linear_split(params: Any, inputs: Any) -> Outputs:
    targets = ("content", "style")
    return {name: r2(inputs[name], inputs["h"], split=True).mean for name in targets}


def _kernel_ridge(params: Any, inputs: Any) -> Outputs:
    """The cross-validated fit, the linear one, and one at fixed settings."""
    rows, given = params["n_train"], _fixed_settings(params)
    z, y = inputs["target"], inputs["h"]
    fit = fit_kernel_ridge(
        z[:rows],
        y[:rows],
        alphas=params["alphas"],
        gammas=params["gammas"],
        folds=params["folds"],
    )
    linear = fit_linear(z[:rows], y[:rows])(y[rows:])
    fixed = fit_kernel_ridge(z[:rows], y[:rows], **given)
    z_hat = predict(fixed, y[rows:])
    return {
        "cv_mean_score_alpha_by_gamma": fit.scores[0],
        "best_alpha": fit.alpha[0],
        "best_gamma": fit.gamma[0],
        "r2_nonlinear": jnp.mean(determination(z[rows:], predict(fit, y[rows:]))),
        "r2_linear": jnp.mean(determination(z[rows:], linear)),
        "fixed_alpha": fixed.alpha[0],
        "fixed_gamma": fixed.gamma[0],
        "fixed_prediction_standardised": (z_hat - fixed.z_mean) / fixed.z_std,
    }


def _fixed_settings(params: Any) -> dict[str, Any]:
    """The file names the fixed pair among its outputs: the second of each grid."""
    return {"alphas": params["alphas"][1:2], "gammas": params["gammas"][1:2]}


def _latents(params: Any, inputs: Any) -> Outputs:
    names = ("Sigma_c", "Sigma_s", "Sigma_a")
    content, style, change = (jnp.linalg.cholesky(inputs[name]) for name in names)
    law = BlockLaw(content, style, change, inputs["B"], inputs["a"])
    blocks = block_latents(law, inputs["eps_c"], inputs["eps_s"])
    z = jnp.concatenate(blocks, axis=-1)
    pair = changed_pair(law, z, inputs["eps_change"], inputs["mask"])
    return {"z": pair.z, "z_tilde": pair.z_pos}


def _mixing(params: Any, inputs: Any) -> Outputs:
    weights = normalise_columns(inputs["raw"])
    kernels = jnp.swapaxes(weights, -1, -2)
    x = mix({"kernels": kernels}, inputs["z"], slope=params["slope"])
    return {"weights": weights, "cond": condition_number(kernels), "x": x}


def _encoder(params: Any, inputs: Any) -> Outputs:
    """The published encoder's forward pass."""
    weights, biases = inputs["W"], inputs["b"]
    d, m = weights[0].shape[1], weights[-1].shape[0]
    encoder = from_nnx(lambda rngs: MLP(d, m, hidden=params["hidden"], rngs=rngs))
    layers = {
        str(i): {"kernel": w.T, "bias": b}
        for i, (w, b) in enumerate(zip(weights, biases, strict=True))
    }
    return {"y": encoder.apply({"layers": layers}, {}, inputs["x"])[0]}


CONFORMANCE = {
    "lp_infonce": lp_infonce,
    "def_align_maxent": _align_maxent,
    "r2_linear_split": _linear_split,
    "r2_kernel_ridge": _kernel_ridge,
    "latents": _latents,
    "mixing": _mixing,
    "encoder": _encoder,
}

ERRATA: list[Erratum] = []
