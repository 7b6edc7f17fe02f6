"""The evidence lower bound (ELBO) under four priors and a Gaussian decoder."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_features,
    check_same_shape,
    check_single,
    check_type,
    check_unit_interval,
    is_traced,
)
from jidcl.types import Array, Metrics

PRIORS = ("gaussian", "laplace", "uniform", "beta")


@dataclasses.dataclass(frozen=True)
class LatentPrior:
    """The law p_0 of each latent of a variational autoencoder.

    The encoder's Gaussian is on s. Of the first two laws z = s; of the others, which
    live on (0, 1), z = sigmoid(s).

    Attributes:
        kind: gaussian, N(0, 1); laplace, of scale 1; uniform on (0, 1); or beta.
        alpha: first shape of beta, > 0; a number, or an array that broadcasts against
            z: one of each latent.
        beta: second shape of beta, > 0, the same.

    Raises:
        ValueError: on an unknown kind, or shapes that are not > 0.

    Example:
        >>> LatentPrior("uniform").latents(jnp.zeros(2))
        Array([0.5, 0.5], dtype=float32)

    Source: Reizinger et al. 2022, published code.
    """

    kind: str = "gaussian"
    alpha: Any = 3.0
    beta: Any = 11.0

    def __post_init__(self):
        check_choice("kind", self.kind, PRIORS)
        for name in ("alpha", "beta"):
            check_above(name, getattr(self, name), 0)

    @property
    def squashed(self) -> bool:
        """Whether z = sigmoid(s)."""
        return self.kind in ("uniform", "beta")

    def latents(self, s: Array) -> Array:
        """z of the encoder's s, of any shape."""
        return jax.nn.sigmoid(s) if self.squashed else s

    def log_prob(self, z: Array) -> Array:
        """log p_0(z), summed over the last axis, `[..., n] -> [...]`.

        Raises:
            ValueError: on concrete z outside of the prior's support; traced ones there
                have minus infinity.
        """
        check_features("z", z)
        if not self.squashed:
            return self.log_density(z)
        z = jnp.asarray(z)
        inside = (z >= 0) & (z <= 1) | jnp.isnan(z)
        if not is_traced(inside) and not bool(inside.all()):
            raise ValueError(
                f"z must lie in [0, 1], the support of a {self.kind} prior, got "
                f"{float(z.min())} to {float(z.max())}"
            )
        each = jnp.zeros_like(z)
        if self.kind == "beta":
            alpha, beta, log_beta = self._shapes(z)
            each = (alpha - 1) * jnp.log(z) + (beta - 1) * jnp.log1p(-z) - log_beta
        return jnp.sum(jnp.where(inside, each, -jnp.inf) + 0 * z, axis=-1)

    def log_density(self, s: Array) -> Array:
        """Log-density of s, summed over the last axis, `[..., n] -> [...]`.

        Of the priors on (0, 1) it is log p_0(sigmoid(s)) + log sigmoid'(s), from
        log-sigmoids: no s is too large for it.
        """
        check_features("s", s)
        if self.kind == "gaussian":
            return -jnp.sum(s**2 + math.log(2 * math.pi), axis=-1) / 2
        if self.kind == "laplace":
            return -jnp.sum(jnp.abs(s) + math.log(2), axis=-1)
        return self._log_law(s) - jnp.sum(_log_slope(s), axis=-1)

    def _log_law(self, s: Array) -> Array:
        """log p_0(sigmoid(s)) of a squashed prior."""
        if self.kind == "uniform":
            return jnp.sum(0 * s, axis=-1)
        alpha, beta, log_beta = self._shapes(s)
        below, above = jax.nn.softplus(-s), jax.nn.softplus(s)
        return -jnp.sum((alpha - 1) * below + (beta - 1) * above + log_beta, axis=-1)

    def _shapes(self, like: Array) -> list[Array]:
        """alpha, beta and log B(alpha, beta) of beta, in the shape of `like`."""
        # `betaln` of JAX is exact to 1e-6 only.
        log_gamma = jax.scipy.special.gammaln
        alpha, beta = (jnp.asarray(v, like.dtype) for v in (self.alpha, self.beta))
        log_beta = log_gamma(alpha) + log_gamma(beta) - log_gamma(alpha + beta)
        return [jnp.broadcast_to(v, like.shape) for v in (alpha, beta, log_beta)]


def sampled_kl(
    mean: Array,
    log_var: Array,
    noise: Array,
    *,
    prior: LatentPrior,
    guard: float = 0.0,
) -> tuple[Array, Metrics]:
    """log q(z) - log p_0(z) at z of s = mean + exp(log_var / 2) noise, nats.

    Its mean over normal noise is KL(q || p_0).

    Args:
        mean: of the encoder's Gaussian, `[..., n]`.
        log_var: logarithms of its variances, `[..., n]`.
        noise: standard normal, `[..., n]`.
        prior: p_0.
        guard: added to z (1 - z) in the logarithm of a squashed law: 0 is exact, 1e-8
            as published.

    Returns:
        `[...]`, and `{"z": [..., n], "log_q": [...]}`.

    Raises:
        ValueError: on different shapes or a negative guard.

    Example:
        >>> own = dict(prior=LatentPrior("uniform"))
        >>> kl, drawn = sampled_kl(jnp.zeros(1), jnp.zeros(1), jnp.zeros(1), **own)
        >>> round(float(kl), 4), float(drawn["z"][0])  # log 4 - log(2 pi) / 2
        (0.4674, 0.5)

    Source: Kingma and Welling 2014; Reizinger et al. 2022, published code.
    """
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    check_same_shape("noise", noise, "mean", mean)
    check_type("prior", prior, LatentPrior)
    check_single("guard", guard)
    check_at_least("guard", guard, 0)
    s = mean + jnp.exp(log_var / 2) * noise
    log_q = -jnp.sum(log_var + noise**2 + math.log(2 * math.pi), axis=-1) / 2
    if not prior.squashed:
        kl = log_q - prior.log_density(s)
    else:
        slope = _log_slope(s)
        if guard != 0:
            slope = -jnp.log(jnp.exp(-slope) + guard)
        log_q = log_q + jnp.sum(slope, axis=-1)
        kl = log_q - prior._log_law(s)
    return kl, {"z": prior.latents(s), "log_q": log_q}


def gaussian_nll(x: Array, x_rec: Array, *, gamma2: Any) -> Array:
    """-log N(x; x_rec, 1 / gamma2), summed over the last axis, nats.

    D/2 log(2 pi / gamma2) + gamma2/2 ||x - x_rec||^2.

    Args:
        x: `[..., D]`.
        x_rec: the decoder's mean, `[..., D]`.
        gamma2: inverse variance of the decoder, > 0.

    Returns:
        `[...]`.

    Raises:
        ValueError: on different shapes, or a gamma2 that is not > 0 or not a number of
            x's type.

    Example:
        >>> float(gaussian_nll(jnp.ones(2), jnp.zeros(2), gamma2=2 * jnp.pi))  # 2 pi
        6.28318...

    Source: Reizinger et al. 2022, equation 2 with an isotropic Gaussian decoder.
    """
    check_features("x", x)
    check_same_shape("x_rec", x_rec, "x", x)
    check_single("gamma2", gamma2)
    check_above("gamma2", gamma2, 0)
    dtype = jnp.result_type(x)
    if not is_traced(gamma2) and not float(gamma2) <= float(jnp.finfo(dtype).max):
        raise ValueError(
            f"gamma2 must be a number of {dtype}, got {gamma2}: half of it times the "
            "squared error is infinite"
        )
    gamma2 = jnp.asarray(gamma2, dtype)
    constant = x.shape[-1] * (math.log(2 * math.pi) - jnp.log(gamma2))
    return (constant + gamma2 * jnp.sum((x - x_rec) ** 2, axis=-1)) / 2


def gaussian_elbo(
    x: Array, x_rec: Array, kl: Array, *, gamma2: Any, weight: float = 1.0
) -> Array:
    """ELBO = log N(x; x_rec, 1 / gamma2) - weight KL, of one draw of the latents.

    Args:
        x: `[..., D]`.
        x_rec: the decoder's mean at that draw, `[..., D]`.
        kl: of `gaussian_kl` or `sampled_kl`, `[...]`.
        gamma2: inverse variance of the decoder, > 0.
        weight: of the KL, >= 0; 1 for the bound.

    Returns:
        `[...]`, nats.

    Raises:
        ValueError: on shapes that do not fit, or numbers out of range.

    Example:
        >>> x = jnp.ones((4, 2))
        >>> gaussian_elbo(x, x, jnp.zeros(4), gamma2=100.0).shape
        (4,)

    Source: Kingma and Welling 2014; Reizinger et al. 2022, equation 2.
    """
    check_single("weight", weight)
    check_at_least("weight", weight, 0)
    log_p = -gaussian_nll(x, x_rec, gamma2=gamma2)
    check_same_shape("kl", kl, "x without its last axis", log_p)
    return log_p - weight * kl


def decoder_variance(x: Array, x_rec: Array) -> Array:
    """The variance 1 / gamma2 of greatest likelihood: the mean squared error.

    Args:
        x: `[batch, D]`.
        x_rec: the decoder's mean, `[batch, D]`.

    Returns:
        A scalar.

    Raises:
        ValueError: on different shapes.

    Example:
        >>> float(decoder_variance(jnp.ones((2, 2)), jnp.zeros((2, 2))))
        1.0

    Source: Reizinger et al. 2022, published code.
    """
    check_features("x", x)
    check_same_shape("x_rec", x_rec, "x", x)
    return jnp.mean((x - x_rec) ** 2)


def annealed_precision(
    t: Any, *, steps: int, start: float, end: float, share: float = 0.2
) -> Array:
    """gamma2 of step t: from `start` to `end` on a logarithmic scale, then constant.

    Args:
        t: the step, from 0; it may be traced.
        steps: of the whole run, >= 1.
        start: gamma2 of step 0, > 0.
        end: gamma2 from step `share * steps` on, > 0; it may be traced.
        share: of the steps that it moves in, in [0, 1].

    Returns:
        A scalar.

    Raises:
        ValueError: on numbers out of range.

    Example:
        >>> float(annealed_precision(10, steps=100, start=1.0, end=100.0).round(3))
        10.0

    Source: this library; a stiff loss begins as an easy one.
    """
    check_single("t", t)
    check_count("steps", steps)
    for name, value in (("start", start), ("end", end)):
        check_single(name, value)
        check_above(name, value, 0)
    check_single("share", share)
    check_unit_interval("share", share)
    dtype = jnp.result_type(float)
    moved = jnp.asarray(t, dtype) / max(share * steps, 1e-9)
    log_start, log_end = (jnp.log(jnp.asarray(v, dtype)) for v in (start, end))
    return jnp.exp(log_start + jnp.clip(moved, 0, 1) * (log_end - log_start))


def _log_slope(s: Array) -> Array:
    """-log of the sigmoid's slope, -log z (1 - z)."""
    return jax.nn.softplus(s) + jax.nn.softplus(-s)
