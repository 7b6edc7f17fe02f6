"""Wiring of the IMA-VAE: sources, mixing, networks, and its bound.

Where its equations live: mixings in `jidcl.mixing`, pictures in `sprites`, the ELBO in
`jidcl.losses.elbo`, closed forms and the best posterior in
`jidcl.theory.variational`, scores of Jacobians in `jidcl.metrics.jacobian`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder, make_mlp
from jidcl.losses import (
    LatentPrior,
    annealed_precision,
    decoder_variance,
    gaussian_elbo,
    gaussian_kl,
    sampled_kl,
)
from jidcl.mixing import (
    angled,
    autoregress,
    init_autoregressive,
    init_moebius,
    init_orthogonal,
    mix,
    moebius,
    unit_determinant,
)
from jidcl.systems.ima_vae.presets import CONFORMAL, ImaVae
from jidcl.systems.ima_vae.sprites import (
    draw_beta,
    freeze_sprites,
    observe_sprites,
    sprite_networks,
)
from jidcl.types import Array, Metrics, Params

EDGE = 1e-6  # of the unit interval, which quantiles stay away from


class Networks(NamedTuple):
    """The encoder and the decoder of a configuration, without state."""

    encoder: Encoder
    decoder: Encoder


def build_networks(config: ImaVae) -> Networks:
    """Encoder `[batch, D] -> [batch, 2 n]` and decoder `[batch, n] -> [batch, D]`.

    D is n, and of pictures the number of their values.
    """
    if config.pictures:
        return Networks(*sprite_networks(config))
    n, widths, slope, init = config.n, config.widths, config.slope, config.init
    encoder = make_mlp(n, m=2 * n, widths=widths, slope=slope, init=init)
    return Networks(encoder, make_mlp(n, widths=widths, slope=slope, init=init))


# Data --------------------------------------------------------------------------------


def freeze(config: ImaVae, key: Array) -> Params:
    """The weights of a mixing."""
    n, layers = config.n, config.mixing_layers
    of_linear = jax.random.fold_in(key, 0)
    if config.mixing_seed >= 0:
        key = jax.random.key(config.mixing_seed)
    if config.pictures:
        return freeze_sprites(config, key)
    if config.mixing in CONFORMAL:
        g = init_moebius(jax.random.fold_in(key, 1), n)
        if config.mixing == "distorted":
            g["linear"] = unit_determinant(jax.random.uniform(of_linear, (n, n)))
        if config.mixing == "angled":
            g["linear"] = angled(config.cosine)
        return g
    if config.mixing == "flow":
        return init_autoregressive(key, n, layers=layers)
    eye = jnp.eye(n)[None]
    if config.mixing == "triangular":  # of determinant 1
        drawn = jax.random.normal(jax.random.fold_in(key, 1), (layers, n, n)) / n**0.5
        kernels = jnp.triu(drawn, 1) + eye
    else:
        kernels = init_orthogonal(key, n, layers=layers)["kernels"]
    # The activation comes before the first matrix.
    return {"kernels": jnp.concatenate([eye, kernels])}


def observe(config: ImaVae, g: Params, source: Array) -> Array:
    """x of sources, `[batch, n] -> [batch, D]`."""
    if config.pictures:
        return observe_sprites(config, g, source)
    if config.mixing in CONFORMAL:
        return moebius(g, source)
    if config.mixing == "flow":
        return autoregress(g, source)
    return mix(g, source, slope=0.2, activation="smooth_leaky_relu")


def draw_sources(config: ImaVae, g: Params, key: Array, batch: int) -> Array:
    """Independent sources, `[batch, n]`; laws of factors belong to the mixing."""
    shape = batch, config.n
    if config.source == "beta":
        return jnp.clip(draw_beta(key, g["shapes"], batch), EDGE, 1 - EDGE)
    if config.source == "gaussian":
        return jax.random.normal(key, shape)
    return jax.random.uniform(key, shape, minval=-0.5, maxval=0.5)


def to_sources(config: ImaVae, z: Array) -> Array:
    """The sources that latents of the prior stand for, one by one: the true decoder's.

    Quantile of the source after the distribution function of the prior; a function of
    each latent alone, which leaves columns orthogonal.
    """
    if config.prior == config.source != "uniform":
        return z
    share = jnp.clip(prior_cdf(config, z), EDGE, 1 - EDGE)
    if config.source == "gaussian":
        return jax.scipy.special.ndtri(share)
    return share - 0.5


def prior_cdf(config: ImaVae, z: Array) -> Array:
    """Distribution function of the prior; a beta prior is in (0, 1) as it is."""
    if config.prior in ("uniform", "beta"):
        return z
    if config.prior == "gaussian":
        return jax.scipy.special.ndtr(z)
    tail = 0.5 * jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, tail, 1 - tail)


def true_code(config: ImaVae, source: Array) -> Array:
    """The encoder's s that stands for true sources."""
    if config.prior == config.source == "gaussian":
        return source
    share = source if config.source == "beta" else source + 0.5
    if config.source == "gaussian":
        share = jax.scipy.special.ndtr(source)
    share = jnp.clip(share, EDGE, 1 - EDGE)
    if config.prior in ("uniform", "beta"):
        return jnp.log(share) - jnp.log1p(-share)
    if config.prior == "gaussian":
        return jax.scipy.special.ndtri(share)
    away = share - 0.5
    return -jnp.sign(away) * jnp.log1p(-2 * jnp.abs(away))


# The model ---------------------------------------------------------------------------


def init(config: ImaVae, nets: Networks, key: Array) -> tuple[Params, Any]:
    """Parameters of both networks, and the step where gamma2 is annealed."""
    of_encoder, of_decoder = jax.random.split(key)
    params = {"f": nets.encoder.init(of_encoder)[0]}
    if config.decoder == "learned":
        params["g"] = nets.decoder.init(of_decoder)[0]
    if config.variance == "learned":
        params["log_gamma2"] = jnp.log(jnp.asarray(config.gamma2, jnp.float32))
    if config.prior == "beta":
        params["log_shapes"] = jnp.zeros((2, config.n))
    return params, {"t": jnp.zeros((), jnp.int32)} if config.anneal_share else {}


def prior_of(config: ImaVae, params: Params) -> LatentPrior:
    """The prior of the latents; the shapes of a beta prior are learned.

    They are 2 + exp(w). Published are 2 + |output of a network|, whose input is
    constant.
    """
    if config.prior != "beta":
        return LatentPrior(config.prior)
    return LatentPrior("beta", *(2 + jnp.exp(params["log_shapes"])))


def draw_latents(config: ImaVae, params: Params, g: Params, key: Array, batch: int):
    """Latents of the prior, `[batch, n]`."""
    prior = prior_of(config, params)
    if config.prior == "beta":
        drawn = draw_beta(key, jnp.stack([prior.alpha, prior.beta]), batch)
        return jnp.clip(drawn, EDGE, 1 - EDGE)
    # Those of new sources.
    return prior.latents(true_code(config, draw_sources(config, g, key, batch)))


def encode(config: ImaVae, nets: Networks, params: Params, x: Array):
    """Mean and log-variance of the posterior of s, `[batch, n]` each."""
    y = nets.encoder.apply(params["f"], {}, x)[0]
    return y[:, : config.n], y[:, config.n :]


def decode(config: ImaVae, nets: Networks, params: Params, g: Params, z: Array):
    """The decoder's mean at latents, `[batch, n] -> [batch, D]`."""
    if config.decoder == "true":
        return observe(config, g, to_sources(config, z))
    return nets.decoder.apply(params["g"], {}, z)[0]


def precision(config: ImaVae, params: Params, state: Any, x: Array, x_rec: Array):
    """gamma2 of a step; the closed form is a constant to the gradient."""
    if config.variance == "learned":
        return jnp.exp(params["log_gamma2"])
    if config.variance == "closed_form":
        return 1 / jax.lax.stop_gradient(decoder_variance(x, x_rec))
    if config.anneal_share and state:
        return annealed_precision(
            state["t"],
            steps=config.steps,
            start=config.anneal_from,
            end=config.gamma2,
            share=config.anneal_share,
        )
    return jnp.asarray(config.gamma2, jnp.float32)


def negative_elbo(
    config: ImaVae, nets: Networks, params: Params, state: Any, g: Params, x, noise
) -> tuple[Array, Metrics]:
    """-ELBO of each row by one sample, `[batch]`; the KL and gamma2.

    The noise is `[batch, n]`.
    """
    prior = prior_of(config, params)
    mean, log_var = encode(config, nets, params, x)
    kl, drawn = sampled_kl(mean, log_var, noise, prior=prior)
    if config.kl == "analytic":
        kl = gaussian_kl(mean, log_var)
    x_rec = decode(config, nets, params, g, drawn["z"])
    gamma2 = precision(config, params, state, x, x_rec)
    return -gaussian_elbo(x, x_rec, kl, gamma2=gamma2), {"kl": kl, "gamma2": gamma2}
