"""Theorem 1 by simulation: the true encoder's loss against the number of negatives."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import check_memory
from jidcl.latents import Density, Space, Uniform, sample_marginal
from jidcl.losses.contrastive import NegativePolicy, infonce
from jidcl.losses.similarity import Similarity
from jidcl.pairs import sample_pair

_INDEPENDENT = NegativePolicy(negatives="independent")


class AsymptoticCurve(NamedTuple):
    """loss - log M of the true encoder, and its standard error, `[counts]` each."""

    excess: jax.Array
    error: jax.Array


def true_encoder_curve(
    key: jax.Array,
    space: Space,
    conditional: Density,
    *,
    similarity: Similarity,
    tau: float,
    mean_positive: float,
    counts: Sequence[int],
    anchors: int = 256,
    repeats: int = 32,
) -> AsymptoticCurve:
    """Monte Carlo of `loss - log M` with h(z) = z and M independent negatives.

    Args:
        key: a typed key.
        space: a space with a uniform density.
        conditional: p(z_pos | z).
        similarity: s, matched to the conditional.
        tau: its temperature.
        mean_positive: the exact E[s(z, z_pos)] / tau. It replaces the sample mean,
            which carries most of the variance.
        counts: numbers of negatives M.
        anchors: anchors in one repeat; they share the repeat's negatives.
        repeats: independent repeats; the standard error is over them.

    Returns:
        `AsymptoticCurve`; Theorem 1 says that `excess` tends to L_inf.
    """

    def one(key, count):
        k_pair, k_neg = jax.random.split(key)
        pair = sample_pair(k_pair, space, Uniform(), conditional, batch=anchors)
        z_neg = sample_marginal(k_neg, Uniform(), space, shape=(count,))
        _, terms = infonce(
            *pair, z_neg, similarity=similarity, tau=tau, policy=_INDEPENDENT
        )
        return terms["negative"] - mean_positive - jnp.log(count)

    excess, error = [], []
    for index, count in enumerate(counts):
        check_memory("counts", count, 2 * count * space.n)
        keys = jax.random.split(jax.random.fold_in(key, index), repeats)
        draws = jax.jit(lambda keys, m=count: jax.lax.map(lambda k: one(k, m), keys))(
            keys
        )
        excess.append(jnp.mean(draws))
        error.append(jnp.std(draws, ddof=1) / jnp.sqrt(repeats))
    return AsymptoticCurve(jnp.stack(excess), jnp.stack(error))
