"""Reference vectors of AnInfoNCE: which public function each kind replays."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.encoders import MLP, from_nnx
from jidcl.latents.anisotropic import shell_step
from jidcl.losses import (
    NegativePolicy,
    Similarity,
    align_uniform,
    aninfonce,
    aninfonce_ensemble,
    infonce,
    to_lam,
)
from jidcl.metrics import assign, lambda_recovery, mcc, r2
from jidcl.numerics import unit
from jidcl.systems.contract import Erratum, on_host

Outputs = dict[str, Any]


def _with_gradients(loss, inputs) -> Outputs:
    """Loss, metrics and gradients of `loss(inputs) -> (scalar, metrics)`."""
    (value, metrics), grads = jax.value_and_grad(loss, has_aux=True)(inputs)
    return {"loss": value, "grad": grads, **metrics}


def _aninfonce(cross: str, params: Any, inputs: Any) -> Outputs:
    hard = {name: params[name] for name in ("beta", "tau_plus") if name in params}
    run = partial(aninfonce, cross=cross, **hard)

    def loss(inputs, reduction="mean"):
        lam = to_lam(inputs["raw_lambda"])
        return run(inputs["z1"], inputs["z2"], lam, reduction=reduction)

    got = _with_gradients(loss, inputs)
    return got | {
        "per_item": loss(inputs, "none")[0],
        "pos_mean": got["positive"],
        "neg_mean": got["negative"],
        "lam": to_lam(inputs["raw_lambda"]),
    }


def _ensemble(params: Any, inputs: Any) -> Outputs:
    weights = jnp.asarray(params["weights"], inputs["z1"].dtype)

    def loss(inputs):
        lam = to_lam(inputs["raw_lambda"])
        args = inputs["z1"], inputs["z2"], lam, weights
        return aninfonce_ensemble(*args, cross="reference")

    return _with_gradients(loss, inputs)


def _infonce(params: Any, inputs: Any) -> Outputs:
    lp = "p" in params
    similarity = Similarity("lp", params["p"], params["pow"]) if lp else Similarity()
    positive = params.get("simclr_compatibility_mode", True)
    policy = NegativePolicy(
        negatives="independent" if lp else "in_batch",
        include_positive=positive,
        log_mean=not positive,
        alpha=params["alpha"],
    )
    run = partial(infonce, similarity=similarity, policy=policy, tau=params["tau"])

    def loss(inputs, reduction="mean"):
        arrays = [inputs[name] for name in sorted(inputs)]
        if params.get("normalize", False):
            arrays = [unit(array) for array in arrays]
        return run(*arrays, reduction=reduction)

    got = _with_gradients(loss, inputs)
    return got | {
        "per_item": loss(inputs, "none")[0],
        "pos_mean": got["positive"],
        "neg_mean": got["negative"],
    }


def _align_uniform(params: Any, inputs: Any) -> Outputs:
    def loss(inputs):
        return align_uniform(*(inputs[f"z{i}"] for i in (1, 2, 3)), p=params["p"])

    return _with_gradients(loss, inputs)


@on_host
def _sphere_conditional(params: Any, inputs: Any) -> Outputs:
    step = partial(shell_step, inputs["mean"][None], inputs["lam"])
    value, accepted = step(inputs["eps"], shell=params["threshold"])
    first, some = jnp.argmax(accepted, axis=0), jnp.any(accepted, axis=0)
    taken = jnp.take_along_axis(value, first[None, :, None], axis=0)[0]
    rows = [row.tolist() if ok else None for row, ok in zip(taken, some, strict=True)]
    return {"accepted_round": jnp.where(some, first + 1, 0), "value": rows}


def _r2_mcc(params: Any, inputs: Any) -> Outputs:
    z, h = inputs["z"], inputs["h"]
    score = mcc(z, h)
    return {
        "r2": r2(z, h).mean,
        "mcc_pearson": score.mean,
        "mcc_spearman": mcc(z, h, spearman=True).mean,
        "corr": score.matrix,
        "assignment": score.columns,
    }


def _per_latent_r2(params: Any, inputs: Any) -> Outputs:
    score = r2(inputs["z"], inputs["h"])
    return {"r2": score.per_dim, "mean": score.mean}


def _lambda_recovery(params: Any, inputs: Any) -> Outputs:
    columns, _ = assign(inputs["abs_corr"])
    got = lambda_recovery(inputs["true_lam"], inputs["learned_lam"], columns)
    return {
        "assignment": columns,
        "aligned": got.aligned,
        "mean_rel_err": got.error,
        "pearson": got.pearson,
        "sorted_mean_rel_err": got.sorted_error,
    }


def _encoder_sphere(params: Any, inputs: Any) -> Outputs:
    weights, biases = inputs["W"], inputs["b"]
    sizes = [weights[0].shape[1], *(w.shape[0] for w in weights)]
    encoder = from_nnx(
        lambda rngs: MLP(
            sizes[0], sizes[-1], hidden=sizes[1:-1], output="sphere", rngs=rngs
        )
    )
    layers = {
        str(i): {"kernel": w.T, "bias": b}
        for i, (w, b) in enumerate(zip(weights, biases, strict=True))
    }
    return {"y": encoder.apply({"layers": layers}, {}, inputs["x"])[0]}


CONFORMANCE = {
    "aninfonce": partial(_aninfonce, "reference"),
    "def_aninfonce_symmetric": partial(_aninfonce, "symmetric"),
    "def_hard_negative": partial(_aninfonce, "symmetric"),
    "def_ensemble": _ensemble,
    "infonce_roll": _infonce,
    "lp_infonce_abs": _infonce,
    "align_uniform": _align_uniform,
    "sphere_conditional": _sphere_conditional,
    "r2_mcc": _r2_mcc,
    "per_latent_r2": _per_latent_r2,
    "def_lambda_recovery": _lambda_recovery,
    "encoder_sphere": _encoder_sphere,
}

ERRATA: list[Erratum] = []
