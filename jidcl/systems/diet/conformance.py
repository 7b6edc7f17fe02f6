"""Reference vectors of cross-entropy: which public function each kind replays.

Every function takes the case's `params` and `inputs` (arrays in the precision of the
run, labels included) and returns the expected outputs by name.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jidcl import theory
from jidcl.encoders.norm import Running, batch_statistics, normalise, update_running
from jidcl.latents import (
    GeneralisedNormal,
    Laplace,
    Normal,
    Sphere,
    VonMisesFisher,
    affine_generator,
    class_of_index,
    diverse,
    index_counts,
    log_prob,
)
from jidcl.latents.vmf import vmf_envelope, vmf_proposal
from jidcl.losses import accuracy, class_logits, instance_cross_entropy
from jidcl.metrics import (
    balanced_logistic,
    linear_map,
    mcc,
    r2,
    row_collapse,
    scale_error,
    t_test,
)
from jidcl.mixing import mix, normalise_columns
from jidcl.mixing.dense import condition_number
from jidcl.numerics import unit
from jidcl.systems.contract import Erratum, on_host

Outputs = dict[str, Any]


def _integers(x: Any) -> jax.Array:
    return jnp.asarray(x).astype(jnp.int32)


def cross_entropy(params: Any, inputs: Any) -> Outputs:
    """Logits, loss and gradients; streamed and plain forms have to agree."""
    labels = _integers(inputs["labels"])
    settings = dict(
        normalize_features=params["normalize_features"],
        normalize_rows=params["normalize_weights"],
    )
    arrays = {
        "features": inputs["features"],
        "weights": inputs["weights"],
        "beta": jnp.asarray(params["beta"], inputs["features"].dtype),
    }
    if params["bias_used"]:
        arrays["bias"] = inputs["bias"]

    def loss(arrays, reduction="mean"):
        rest = {name: arrays[name] for name in ("beta", "bias") if name in arrays}
        return instance_cross_entropy(
            arrays["features"],
            arrays["weights"],
            labels,
            smoothing=params["label_smoothing"],
            reduction=reduction,
            tile=(2, 3),
            **rest,
            **settings,
        )

    value, grads = jax.value_and_grad(loss)(arrays)
    rest = {name: arrays[name] for name in ("beta", "bias") if name in arrays}
    logits = class_logits(arrays["features"], arrays["weights"], **rest, **settings)
    return {
        "logits": logits,
        "per_example": loss(arrays, "none"),
        "loss": value,
        "accuracy": accuracy(logits, labels),
        **{f"grad_{name}": grad for name, grad in grads.items()},
    }


def _vmf_density(params: Any, inputs: Any) -> Outputs:
    d, kappa = params["d"], params["kappa"]
    # Printed unit vectors are rounded; the density asks for points of the sphere.
    z, mu = inputs["z"], inputs["mu"]
    value = log_prob(VonMisesFisher(kappa), Sphere(d), unit(z), unit(mu)[None])
    excess = kappa * (z @ mu - unit(z) @ unit(mu))
    return {
        "log_normalizer": theory.vmf_log_normaliser(d, kappa),
        "mean_resultant_length": theory.vmf_mean_cosine(d, kappa),
        "log_density": value + excess,
    }


def _vmf_pieces(params: Any, inputs: Any) -> Outputs:
    d, mu = params["d"], inputs["mu"]
    draws, u = inputs["beta_draws"], inputs["uniform_draws"]
    kappa = jnp.asarray(params["kappa"], draws.dtype)
    envelope = vmf_envelope(d, kappa)
    below, accepted = vmf_proposal(d, kappa, draws, u)
    w = 1 - below
    normal = inputs["normal_draws"]
    tangent = unit(normal - jnp.sum(normal * mu, axis=1, keepdims=True) * mu)
    ratio = kappa * w + (d - 1) * jnp.log(1 - envelope.x0 * w) - envelope.c
    z = w[:, None] * mu + jnp.sqrt(1 - w**2)[:, None] * tangent
    pieces = {"w": w, "log_accept_ratio": ratio, "accept": accepted, "z": z}
    return {**envelope._asdict(), **pieces}


def bayes_oracle(params: Any, inputs: Any) -> Outputs:
    """The optimum of both objectives, and the affine solution that attains it."""
    kappa, instances = params["kappa"], params["n_indices"]
    v, z, index = inputs["cluster_vectors"], inputs["z"], _integers(inputs["index"])
    clusters, m = params["n_clusters"], inputs["mix_matrix"]
    label = class_of_index(index, clusters)
    log_p = functools.partial(theory.index_log_posterior, z, v, kappa)
    supervised = -log_p(label, instances=clusters)
    diet = -log_p(index, instances=instances)
    rows = theory.affine_solution(v, kappa, m, inputs["shift"])
    every = class_of_index(jnp.arange(instances), clusters)
    noisy = log_p(index, instances=instances, noise=params["label_noise"])
    return {
        "class_index": label,
        "index_counts_per_class": index_counts(instances, clusters),
        "log_posterior_uniform_classes": theory.class_log_posterior(z, v, kappa),
        "supervised_loss_per_example": supervised,
        "supervised_loss": jnp.mean(supervised),
        "diet_loss_per_example": diet,
        "diet_loss": jnp.mean(diet),
        "affine_solution_weights_per_class": rows,
        "affine_solution_loss": instance_cross_entropy(z @ m.T, rows[every], index),
        "noisy_index_posterior_of_given_index": jnp.exp(noisy),
    }


def _projected(params: Any, inputs: Any) -> Outputs:
    mean, scale, p = inputs["mean"], params["scale"], params["p"]
    u = inputs["uniform_centered"]
    laplace = -jnp.sign(u) * jnp.log1p(-2 * jnp.abs(u))
    general = inputs["sign"] * inputs["gamma"] ** (1 / p)
    normal = Normal(scale).scale * inputs["normal"]
    return {
        "unit_laplace": laplace,
        "normal_projected": unit(mean + normal),
        "laplace_projected": unit(mean + Laplace(scale).length * laplace),
        "generalized_normal_projected": unit(
            mean + GeneralisedNormal(scale, p).length * general
        ),
    }


def _mixing(params: Any, inputs: Any) -> Outputs:
    weights = normalise_columns(inputs["raw_weights"])
    kernels = jnp.swapaxes(weights, -1, -2)
    x = mix({"kernels": kernels}, inputs["z"], slope=params["negative_slope"])
    return {"weights": weights, "condition_numbers": condition_number(weights), "x": x}


def _linear_r2(params: Any, inputs: Any) -> Outputs:
    y, z = inputs["features"], inputs["targets"]
    split = r2(z, y, split=True)
    fitted = linear_map(y, z, split=True)
    return {
        "split_intercept": split.mean,
        "split_intercept_per_dim": split.per_dim,
        "split_no_intercept": r2(z, y, split=True, intercept=False).mean,
        "full_intercept": r2(z, y).mean,
        "coef_split_intercept": fitted.weights.T,
        "intercept": fitted.shift,
    }


def _singular_values(params: Any, inputs: Any) -> Outputs:
    latents = scale_error(inputs["features"], inputs["latents"], params["kappa"])
    clusters = scale_error(inputs["weight_rows"], inputs["cluster_vectors"], 1.0)
    return {
        "singular_values_latents": latents.singular_values,
        "mae_latents_vs_inv_kappa": latents.mean,
        "mae_latents_relative": latents.relative,
        "singular_values_clusters": clusters.singular_values,
        "mae_clusters_vs_one": clusters.mean,
    }


def _mcc(params: Any, inputs: Any) -> Outputs:
    pearson = mcc(inputs["z"], inputs["h"])
    spearman = mcc(inputs["z"], inputs["h"], spearman=True)
    return {
        "pearson_matrix": pearson.matrix,
        "assignment": pearson.columns,
        "mcc_pearson": pearson.mean,
        "assignment_spearman": spearman.columns,
        "mcc_spearman": spearman.mean,
    }


def _row_collapse(params: Any, inputs: Any) -> Outputs:
    clusters, w = params["n_clusters"], inputs["weights"]
    collapse = row_collapse(w, clusters)
    return {
        "class_of_index": class_of_index(jnp.arange(w.shape[0]), clusters),
        "class_means": collapse.means,
        "within_variance": collapse.within,
        "total_variance": collapse.total,
        "within_over_total": collapse.ratio,
    }


def _conditions(params: Any, inputs: Any) -> Outputs:
    def one(v):
        affine = affine_generator(v, rtol=params["rank_rtol"])
        diversity = diverse(v, rtol=params["rank_rtol"])
        return {
            "affine_rank": affine.rank,
            "affine_generator": affine.full,
            "affine_singular_values": affine.singular_values,
            "diversity_rank": diversity.rank,
            "diverse": diversity.full,
            "diversity_singular_values": diversity.singular_values,
        }

    return {"systems": [one(v) for v in inputs["systems"]]}


@on_host
def _balanced_logistic(params: Any, inputs: Any) -> Outputs:
    fit = balanced_logistic(
        inputs["x"], inputs["y"], train=params["n_train"], strength=params["C"]
    )
    test = t_test(inputs["accuracies"], alpha=params["alpha"], tests=params["n_tests"])
    return {
        "train_rows": fit.train_rows,
        "test_rows_within_test": fit.score_rows,
        "coef": fit.weights,
        "intercept": fit.bias,
        "train_accuracy": fit.train,
        "test_accuracy": fit.score,
        "t_statistic": test.statistic,
        "p_value": test.p_value,
        "bonferroni_alpha": test.alpha,
        "significant": test.significant,
    }


def _batch_norm(params: Any, inputs: Any) -> Outputs:
    x, eps, rate = inputs["x"], params["eps"], params["update_rate"]
    running = Running(inputs["running_mean"], inputs["running_var"])
    batch = batch_statistics(x)

    def layer(by):
        return inputs["scale"][None] * normalise(x, by, eps=eps) + inputs["bias"][None]

    move = functools.partial(update_running, running, batch, x.shape[0], rate=rate)
    return {
        "train_output": layer(batch),
        "eval_output": layer(running),
        "new_running_mean": move().mean,
        "new_running_var_biased": move(unbiased=False).var,
        "new_running_var_unbiased": move().var,
    }


CONFORMANCE = {
    "instance_cross_entropy": cross_entropy,
    "vmf_density": _vmf_density,
    "vmf_sampler_pieces": _vmf_pieces,
    "bayes_oracle": bayes_oracle,
    "projected_conditional": _projected,
    "mixing_mlp": _mixing,
    "linear_r2": _linear_r2,
    "singular_value_mae": _singular_values,
    "mcc": _mcc,
    "row_collapse": _row_collapse,
    "identifiability_conditions": _conditions,
    "balanced_logistic": _balanced_logistic,
    "batch_norm": _batch_norm,
}

ERRATA: list[Erratum] = []
