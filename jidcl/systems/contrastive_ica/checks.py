"""Checks of contrastive ICA that need no training: identity scores and Theorem 1."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl import theory
from jidcl.latents import Box, GeneralisedNormal, Sphere, VonMisesFisher
from jidcl.losses import Similarity
from jidcl.metrics import mcc, r2
from jidcl.numerics import products_in, stream_key
from jidcl.systems.contrastive_ica.presets import ContrastiveICA
from jidcl.systems.contrastive_ica.problem import build_parts, draw_pair, observe
from jidcl.theory.asymptotics import true_encoder_curve

COUNTS = (64, 256, 1024, 4096)


def identity_scores(
    config: ContrastiveICA, frozen: Any, seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    """Scores of the observations themselves, f = identity; no training.

    Args:
        config: gives space, marginal and mixing; `eval_batch` samples a batch.
        frozen: frozen draws of the seeds (their mixings), leading seed axis.
        seeds: integers.

    Returns:
        `r2` and `mcc` per seed, in-sample, averaged over `eval_batches` batches.

    Source: Zimmermann et al. 2021, identity columns of Tables 1 and 2.
    """
    parts = build_parts(config)

    def batch(held, key):
        z = draw_pair(parts, key, config.eval_batch).z
        x = observe(config, held, z)
        return {"r2": r2(z, x).mean, "mcc": mcc(z, x).mean}

    def one(args):
        held, seed = args
        key = stream_key(jax.random.key(seed), "null")
        keys = jax.random.split(key, config.eval_batches)
        with products_in("float32"):
            scores = jax.lax.map(lambda k: batch(held, k), keys)
        return jax.tree.map(jnp.mean, scores)

    program = jax.jit(lambda args: jax.lax.map(one, args))
    return jax.device_get(program((frozen, np.asarray(seeds, np.int32))))


class Theorem1(NamedTuple):
    """Theorem 1 measured and predicted, `[counts]` each but the limit.

    Attributes:
        counts: numbers of negatives M.
        excess: measured loss - log M of the true encoder.
        error: its standard error.
        predicted: closed form with the finite-M correction.
        moment: R; the correction holds for R well below M.
        limit: L_inf.
    """

    counts: np.ndarray
    excess: np.ndarray
    error: np.ndarray
    predicted: np.ndarray
    moment: float
    limit: float


def theorem1(settings: dict[str, Any], key: jax.Array) -> Theorem1:
    """The true encoder's loss against M and its closed form.

    Args:
        settings: `{"space": "sphere", "n", "kappa"}`, or `{"space": "box", "n",
            "lam", "beta"}` for the conditional exp(-(|d| / lam)^beta) on [0, 1]^n.
        key: a typed key.

    Returns:
        `Theorem1`.
    """
    n = settings["n"]
    if settings["space"] == "sphere":
        kappa = settings["kappa"]
        space, conditional = Sphere(n), VonMisesFisher(kappa)
        similarity, tau = Similarity("dot"), 1 / kappa
        limit, moment = theory.vmf_limit(n, kappa), theory.vmf_moment(n, kappa)
        positive = kappa * theory.vmf_mean_cosine(n, kappa)
    else:
        lam, beta = settings["lam"], settings["beta"]
        box = (0.0, 1.0, lam, beta)
        space, conditional = Box(n), GeneralisedNormal(lam, beta)
        similarity, tau = Similarity("lp", beta), lam**beta
        limit, moment = theory.box_limit(n, *box), theory.box_moment(n, *box)
        positive = -n * theory.box_mean_energy(*box)
    curve = true_encoder_curve(
        key,
        space,
        conditional,
        similarity=similarity,
        tau=tau,
        mean_positive=positive,
        counts=COUNTS,
    )
    predicted = [
        theory.finite_negatives(limit, (moment + 1) / 2, m) - np.log(m) for m in COUNTS
    ]
    return Theorem1(
        counts=np.asarray(COUNTS),
        excess=np.asarray(curve.excess, np.float64),
        error=np.asarray(curve.error, np.float64),
        predicted=np.asarray(predicted),
        moment=moment,
        limit=limit,
    )
