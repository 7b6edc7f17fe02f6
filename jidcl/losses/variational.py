"""Variational autoencoders: terms of the evidence lower bound, and SlowVAE."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_features,
    check_same_shape,
    check_scalar,
    check_type,
)
from jidcl.numerics import at_least_float32
from jidcl.types import Metrics


def gaussian_kl(mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """KL(N(mean, diag exp log_var) || N(0, I)), summed over the last axis, nats.

    -1/2 sum_k (1 + log_var_k - mean_k^2 - exp(log_var_k)).

    Args:
        mean: `[..., n]`.
        log_var: logarithms of the variances, `[..., n]`.

    Returns:
        `[...]`.

    Example:
        >>> float(gaussian_kl(jnp.array([2.0, 0.0]), jnp.zeros(2)))
        2.0

    Source: Kingma and Welling 2014, appendix B.
    """
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    # expm1 keeps the digits where the posterior is nearly the prior.
    return jnp.sum(mean**2 + jnp.expm1(log_var) - log_var, axis=-1) / 2


def bernoulli_nll(logits: jax.Array, x: jax.Array) -> jax.Array:
    """-log p(x) of Bernoulli variables, summed over the last axis, nats.

    sum_k log(1 + exp(logits_k)) - x_k logits_k, for x in [0, 1].

    Args:
        logits: `[..., d]`.
        x: `[..., d]`, in [0, 1].

    Returns:
        `[...]`.

    Example:
        >>> float(bernoulli_nll(jnp.zeros(2), jnp.ones(2)))  # 2 log 2
        1.38629...

    Source: Kingma and Welling 2014.
    """
    check_features("logits", logits)
    check_same_shape("x", x, "logits", logits)
    return jnp.sum(jax.nn.softplus(logits) - x * logits, axis=-1)


def laplace_cross_entropy(
    mean: jax.Array, log_var: jax.Array, *, rate: float
) -> jax.Array:
    """-E log p(u) of a Laplace law p for Gaussian u, summed over the last axis, nats.

    sum_k rate E|u_k| - log(rate / 2), u ~ N(mean, diag exp log_var), with
    E|u| = s sqrt(2 / pi) exp(-m^2 / (2 s^2)) + m erf(m / (s sqrt 2)).

    Args:
        mean: `[..., n]`.
        log_var: logarithms of the variances, `[..., n]`.
        rate: of the Laplace law, > 0; its scale is 1 / rate.

    Returns:
        `[...]`, in float32 or wider.

    Example:
        >>> far = laplace_cross_entropy(jnp.array([3.0]), jnp.array([-40.0]), rate=2.0)
        >>> float(far)  # 2 |3| - log 1
        6.0

    Source: Klindt et al. 2021, appendix: the cross-entropy with the Laplace prior of
    transitions.
    """
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    check_above("rate", rate, 0)
    check_scalar("rate", rate)
    wide = at_least_float32(mean.dtype, log_var.dtype)
    mean, log_var = mean.astype(wide), log_var.astype(wide)
    # Beyond these, E|u| is |m| in every digit; 0 / 0 is met nowhere.
    steep = jnp.exp(-jnp.maximum(log_var, -160) / 2) / math.sqrt(2)
    t = jnp.clip(mean * steep, -10, 10)
    folded = math.sqrt(2 / math.pi) * jnp.exp(log_var / 2 - t**2)
    folded += mean * jax.lax.erf(t)
    return jnp.sum(rate * folded - jnp.log(rate / 2), axis=-1)


@dataclasses.dataclass(frozen=True)
class SlowVAEWeights:
    """Weights of SlowVAE; the published ones by default.

    Attributes:
        prior: of the divergence from N(0, I), >= 0.
        slow: of the divergence from the Laplace law of transitions, >= 0.
        rate: of that Laplace law, > 0.

    Example:
        >>> SlowVAEWeights(slow=1.0).rate
        6.0

    Source: Klindt et al. 2021 and published code.
    """

    prior: float = 1.0
    slow: float = 10.0
    rate: float = 6.0

    def __post_init__(self):
        for name in ("prior", "slow"):
            check_at_least(name, getattr(self, name), 0)
            check_scalar(name, getattr(self, name))
        check_above("rate", self.rate, 0)
        check_scalar("rate", self.rate)


def slowvae(
    mean: jax.Array,
    log_var: jax.Array,
    logits: jax.Array,
    x: jax.Array,
    *,
    weights: SlowVAEWeights | None = None,
) -> tuple[jax.Array, Metrics]:
    """SlowVAE: a variational autoencoder of pairs with sparse transitions, nats.

    2 R + prior (KL to N(0, I)) + slow (C - H), means over the batch: R is the negative
    log-likelihood of an image, C the cross-entropy of both differences z_1 - z_0 and
    z_0 - z_1, each with the variance of its first member alone, under a Laplace law,
    and H the entropy of one posterior.

    Args:
        mean: of the posteriors of both images, `[batch, 2, n]`.
        log_var: logarithms of their variances, `[batch, 2, n]`.
        logits: of the decoder's Bernoulli variables, `[batch, 2, d]`.
        x: the images, `[batch, 2, d]`, in [0, 1].
        weights: see `SlowVAEWeights`.

    Returns:
        `(loss, metrics)`, metrics `reconstruction` (R), `prior`, `slow`, `entropy` (H),
        unweighted.

    Raises:
        ValueError: on other shapes.

    Example:
        >>> y, x = jnp.zeros((4, 2, 3)), jnp.ones((4, 2, 5))
        >>> loss, metrics = slowvae(y, y, 0 * x, x)
        >>> round(float(metrics["reconstruction"]), 4)  # 5 log 2
        3.4657

    Source: Klindt et al. 2021, equation 5 and published code.

    Notes:
        C has two directions and H is subtracted once, as published: the entropy weighs
        half of what it does in the divergence.
    """
    check_features("mean", mean)
    if mean.ndim != 3 or mean.shape[1] != 2:
        raise ValueError(f"mean must have shape [batch, 2, n], got {list(mean.shape)}")
    check_same_shape("log_var", log_var, "mean", mean)
    check_features("logits", logits)
    check_same_shape("x", x, "logits", logits)
    if logits.ndim != 3 or logits.shape[:2] != mean.shape[:2]:
        raise ValueError(
            f"logits must have shape [{mean.shape[0]}, 2, d], as mean has, got "
            f"{list(logits.shape)}"
        )
    weights = SlowVAEWeights() if weights is None else weights
    check_type("weights", weights, SlowVAEWeights)
    wide = at_least_float32(mean.dtype, log_var.dtype, logits.dtype)
    reconstruction = jnp.mean(bernoulli_nll(logits.astype(wide), x.astype(wide)))
    mean, log_var = mean.astype(wide), log_var.astype(wide)
    prior = jnp.mean(gaussian_kl(mean, log_var))
    entropy = jnp.mean(jnp.sum(log_var + math.log(2 * math.pi * math.e), axis=-1)) / 2
    change = mean - mean[:, ::-1]  # z_0 - z_1 with the variance of z_0, and the other
    crossed = laplace_cross_entropy(change, log_var, rate=weights.rate)
    slow = jnp.mean(jnp.sum(crossed, axis=1)) - entropy
    loss = 2 * reconstruction + weights.prior * prior + weights.slow * slow
    held = {"reconstruction": reconstruction, "prior": prior}
    return loss, {**held, "slow": slow, "entropy": entropy}
