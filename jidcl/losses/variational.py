"""Terms of the evidence lower bound of a variational autoencoder."""

import jax
import jax.numpy as jnp

from jidcl.checks import check_features, check_same_shape


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
