"""Scores, losses and nulls of the IMA-VAE.

The device draws, encodes, takes derivatives and computes losses; scores of the rows
follow on the host.
"""

import math
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.losses import LatentPrior, gaussian_elbo, gaussian_nll, sampled_kl
from jidcl.metrics import (
    amari_distance,
    c_ima_of_mean_jacobian,
    global_c_ima,
    jacobians,
    mcc,
    read_back,
    shuffled,
)
from jidcl.numerics import generators
from jidcl.systems.ima_vae.presets import ImaVae
from jidcl.systems.ima_vae.process import (
    Networks,
    decode,
    draw_latents,
    draw_sources,
    encode,
    negative_elbo,
    observe,
    prior_cdf,
    prior_of,
    to_sources,
    true_code,
)
from jidcl.systems.shared.cross_fitted import cross_fitted, cross_fitted_means
from jidcl.systems.shared.pictures import coarse
from jidcl.systems.shared.wiring import errors_of, mean_of, over_batches
from jidcl.theory import best_posterior, small_noise_variance
from jidcl.types import Array, Evaluation, Losses, OnHost, Params

# Rows of a batch whose best posterior is found; of pictures, whose Jacobians are.
COMPARED = 128
DRAWS = 16  # samples of each posterior
NODES = {2: 7, 3: 5, 4: 4}  # of the quadrature, by dimension; beyond: 3
NEWTON = 30


def probe(config: ImaVae, nets: Networks, params, state, g: Params, key) -> OnHost:
    """MCC of new rows, of means and of samples, for the curve of a run."""
    k_source, k_noise = jax.random.split(key)
    source = draw_sources(config, g, k_source, min(config.eval_batch, 4096))
    mean, log_var = encode(config, nets, params, observe(config, g, source))
    noise = jnp.exp(log_var / 2) * jax.random.normal(k_noise, mean.shape)
    to_latents = prior_of(config, params).latents
    return OnHost((source, to_latents(mean), to_latents(mean + noise)), _mcc_of_rows)


def _mcc_of_rows(arrays, xp: ModuleType):
    z, y, sampled = arrays
    few = cross_fitted_means(z, y, ("mcc",), xp=xp)
    few |= _of_samples(cross_fitted_means(z, sampled, ("mcc",), xp=xp))
    held = {"mcc": mcc(z, y, xp=xp).mean, "mcc_sampled": mcc(z, sampled, xp=xp).mean}
    return held | few


def _of_samples(scores):
    """Cross-fitted scores, under the names of those of samples."""
    return {name.replace("mcc", "mcc_sampled"): held for name, held in scores.items()}


def evaluate(config: ImaVae, nets: Networks, params, state, g: Params, key) -> OnHost:
    """Scores, loss and reference over `eval_batches` new batches, and the nulls.

    Args:
        config: settings of the run.
        nets: encoder and decoder.
        params: of both.
        state: of the run.
        g: weights of the mixing.
        key: a typed key.

    Returns:
        An `Evaluation`, to be finished on the host. `reference` is the loss of the true
        decoder with the best diagonal posterior of each row (of pictures with the one
        of small noise), `chance` that of a collapsed posterior, `limit` the entropy of
        the data; pictures have none.
    """
    null_key, key = jax.random.split(key)
    score = partial(_batch, config, nets, params, g)
    arrays = over_batches(score, key, config.eval_batches)
    arrays["key"] = jax.random.key_data(null_key)
    entropy = None if config.pictures else 0.0
    if config.source == "gaussian":
        entropy = config.n / 2 * math.log(2 * math.pi * math.e)
    finish = partial(_finish, cdf=config.prior != config.source, entropy=entropy)
    return OnHost(arrays, finish)


def _batch(config: ImaVae, nets: Networks, params, g: Params, key) -> Any:
    """Rows, derivatives and losses of one batch."""
    k_source, k_noise, k_prior, k_draws = jax.random.split(key, 4)
    prior, size = prior_of(config, params), config.size
    source = draw_sources(config, g, k_source, config.eval_batch)
    x = observe(config, g, source)
    mean, log_var = encode(config, nets, params, x)
    noise = jax.random.normal(k_noise, mean.shape)
    y, sampled = (prior.latents(s) for s in (mean, mean + jnp.exp(log_var / 2) * noise))

    def f(z):
        return decode(config, nets, params, g, z)

    def to_latents(x):
        return prior.latents(encode(config, nets, params, x)[0])

    z = draw_latents(config, params, g, k_prior, config.eval_batch)
    some = slice(min(COMPARED, config.eval_batch))
    held = some if config.pictures else slice(None)
    derived = partial(jacobians, forward=not config.pictures)
    of_prior, of_means = jnp.split(derived(f, jnp.concatenate([z[held], y[held]])), 2)
    at = mean[held]
    slope = jax.jvp(prior.latents, (at,), (jnp.ones_like(at),))[1]
    of_means = of_means * slope[:, None]  # the posterior is one of s
    of_losses = _losses(config, nets, params, g, x[some], source[some], k_draws)
    gamma2 = of_losses.pop("gamma2")
    predicted = small_noise_variance(of_means, gamma2, _curvature(prior, at))
    seen = coarse(x.reshape(-1, size, size, 3)) if config.pictures else x
    return {
        "rows": {
            "z": source,
            "y": y,
            "sampled": sampled,
            "share": prior_cdf(config, y),
            "x": seen,
            "j": of_prior,
            "j_mixing": jacobians(lambda z: observe(config, g, z), source[held]),
            "j_read": derived(
                lambda z: to_latents(observe(config, g, z)), source[held]
            ),
        },
        "means": {
            "mse_x": jnp.mean((f(y) - x) ** 2),
            "mse_z": jnp.mean((to_latents(f(z)) - z) ** 2),
            "variance_ratio": jnp.mean(jnp.exp(log_var[held])) / jnp.mean(predicted),
            "kl": of_losses.pop("kl"),
            "gamma2": gamma2,
        },
        "losses": of_losses,
    }


def _curvature(prior: LatentPrior, s: Array) -> Array:
    """-(log p)'' of each coordinate of s."""
    slope = jax.grad(lambda s: jnp.sum(prior.log_density(s)))
    return -jax.jvp(slope, (s,), (jnp.ones_like(s),))[1]


def _losses(config: ImaVae, nets, params, g, x, source, key) -> Any:
    """-ELBO of the model, of the true decoder at its best, of a collapsed posterior."""
    noise = jax.random.normal(key, (DRAWS, len(x), config.n))
    ended = {}  # gamma2 is at its end
    own = partial(negative_elbo, config, nets, params, ended, g, x)
    loss, terms = jax.tree.map(jnp.mean, jax.vmap(own)(noise))
    gamma2 = terms["gamma2"]
    constant = jnp.broadcast_to(jnp.mean(x, axis=0, keepdims=True), x.shape)
    return {
        "loss": loss,
        "reference": _reference(config, g, x, source, gamma2, noise),
        "chance": jnp.mean(gaussian_nll(x, constant, gamma2=gamma2)),
        **terms,
    }


def _reference(config: ImaVae, g: Params, x, source, gamma2, noise) -> Array:
    """-ELBO of the true decoder and prior; see `evaluate`."""
    pictures = config.pictures
    prior = LatentPrior(config.prior, *(g["shapes"] if pictures else ()))

    def true_decoder(z):
        return observe(config, g, to_sources(config, z))

    s = true_code(config, source)
    j = jacobians(lambda s: true_decoder(prior.latents(s)), s)
    start = jnp.log(small_noise_variance(j, gamma2, _curvature(prior, s) + 1e-3))

    def best(x, s, log_var):
        return best_posterior(
            true_decoder, x, s, log_var, gamma2=gamma2, prior=prior,
            nodes=NODES.get(config.n, 3), steps=NEWTON,
        ).elbo  # fmt: skip

    def sampled(noise):
        kl, drawn = sampled_kl(s, start, noise, prior=prior)
        return gaussian_elbo(x, true_decoder(drawn["z"]), kl, gamma2=gamma2)

    if pictures:
        return -jnp.mean(jax.lax.map(sampled, noise))
    return -jnp.mean(jax.vmap(best)(x, s, start))


def _finish(
    arrays: dict[str, Any], xp: ModuleType, *, cdf: bool, entropy: float | None
) -> Evaluation:
    """Scores and nulls of each batch's rows, averaged; the losses of all batches."""
    rows, losses = arrays["rows"], arrays["losses"]
    batches = len(rows["z"])
    each, nulls = [], []
    for i, own in enumerate(generators(arrays["key"], batches, xp)):
        held = {name: part[i] for name, part in rows.items()}
        found, null = _scores(held, own, cdf, xp)
        each.append(found | {k: v[i] for k, v in arrays["means"].items()})
        nulls.append(null)
    scores, errors = mean_of(each, xp), errors_of(each, xp)
    limit = None
    if entropy is not None:
        # The determinant by what the contrast takes off the lengths of the columns.
        lengths = xp.sum(rows["j_mixing"] ** 2, axis=-2)
        log_det = xp.mean(xp.sum(xp.log(lengths), axis=-1)) / 2
        limit = entropy + log_det - scores["c_ima_mixing"]
        scores["elbo_gap"] = xp.mean(losses["loss"]) - limit
    z, y = (rows[name][0][:1000] for name in ("z", "y"))
    return Evaluation(
        scores=scores,
        losses=Losses(losses["loss"], losses["reference"], losses["chance"], limit),
        nulls=mean_of(nulls, xp),
        samples={
            "z": z,
            "y": y,
            "z_hat": read_back(z, y, xp=xp),
            "matrix": mcc(z, y, xp=xp).matrix,
        },
        errors=errors,
    )


def _scores(rows: dict[str, Any], key, cdf: bool, xp: ModuleType):
    """(scores, nulls) of one batch."""
    z, y = rows["z"], rows["y"]
    found = mcc(z, y, xp=xp)
    mixing, read = rows["j_mixing"], rows["j_read"]
    eye = xp.broadcast_to(xp.eye(read.shape[-1], dtype=read.dtype), read.shape)
    scores = {
        "mcc": found.mean,
        "mcc_per_dim": found.per_dim,
        "mcc_sampled": mcc(z, rows["sampled"], xp=xp).mean,
        "c_ima": global_c_ima(rows["j"], xp=xp),
        "c_ima_mean_jacobian": c_ima_of_mean_jacobian(rows["j"], xp=xp),
        "c_ima_mixing": global_c_ima(mixing, xp=xp),
        "amari": amari_distance(eye, read, xp=xp),
    }
    if cdf:
        scores["mcc_cdf"] = mcc(z, rows["share"], xp=xp).mean
    mixed = shuffled(key, y, xp=xp)
    own = {
        "shuffled": mcc(z, mixed, xp=xp).mean,
        "identity": mcc(z, rows["x"], xp=xp).mean,
    }
    # Rows in another order say as little, of means or of samples.
    nulls = {"mcc": own, "mcc_sampled": own}
    read = {"shuffled": mixed, "identity": rows["x"]}
    few, by_chance = cross_fitted(z, y, read, ("mcc",), xp=xp)
    drawn, of_drawn = cross_fitted(z, rows["sampled"], read, ("mcc",), xp=xp)
    few, by_chance = few | _of_samples(drawn), by_chance | _of_samples(of_drawn)
    return scores | few, nulls | by_chance
