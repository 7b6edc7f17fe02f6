"""Checks of contrastive ICA that train nothing: identity scores and Theorem 1."""

import jax.numpy as jnp
import numpy as np

from jidcl import theory
from jidcl.latents import Box, GeneralisedNormal, Sphere, VonMisesFisher
from jidcl.losses import Similarity
from jidcl.metrics import mcc, r2
from jidcl.systems.contrastive_ica.process import build_parts, draw_pair
from jidcl.systems.contrastive_ica.settings import Theorem1, Trained
from jidcl.systems.shared.wiring import mean_of, over_batches, untrained
from jidcl.theory.asymptotics import true_encoder_curve
from jidcl.types import Evaluation, OnHost, Program


def identity(config: Trained) -> Program:
    """Scores of the observations themselves, f = identity.

    Args:
        config: gives space, marginal and mixing; `eval_batch` samples a batch.

    Returns:
        A program that trains nothing; scores `r2` and `mcc`, in-sample, averaged over
        `eval_batches` batches.

    Source: Zimmermann et al. 2021, identity columns of Tables 1 and 2.
    """
    parts = build_parts(config)

    def evaluate(frozen, key):
        def draw(key):
            z = draw_pair(parts, frozen, key, config.eval_batch).z
            return z, parts.source.observe(frozen, z)

        return OnHost(over_batches(draw, key, config.eval_batches), _identity_scores)

    return untrained(
        evaluate,
        freeze=lambda key: parts.source.freeze(key, config.n),
        shared=parts.source.shared,
    )


def _identity_scores(batches, xp) -> Evaluation:
    """R2 and MCC of each batch of (z, x), averaged."""
    each = [
        {"r2": r2(z, x, xp=xp).mean, "mcc": mcc(z, x, xp=xp).mean}
        for z, x in zip(*batches, strict=True)
    ]
    return Evaluation(mean_of(each, xp))


def theorem1(config: Theorem1) -> Program:
    """The true encoder's loss against the number of negatives M, and its closed form.

    Args:
        config: the space and the conditional.

    Returns:
        A program that trains nothing. Scores, `[counts]` each but for the last two:
        `counts`, numbers of negatives M; `excess`, measured loss - log M of the true
        encoder; `error`, its standard error; `predicted`, the closed form with the
        finite-M correction; `moment`, R (the correction holds for R well below M);
        `limit`, L_inf. Nats.

    Source: Zimmermann et al. 2021, Theorem 1.
    """
    n = config.n
    if config.space == "sphere":
        kappa = config.kappa
        space, conditional = Sphere(n), VonMisesFisher(kappa)
        similarity, tau = Similarity("dot"), 1 / kappa
        limit, moment = theory.vmf_limit(n, kappa), theory.vmf_moment(n, kappa)
        positive = kappa * theory.vmf_mean_cosine(n, kappa)
    else:
        lam, beta = config.lam, config.beta
        box = (0.0, 1.0, lam, beta)
        space, conditional = Box(n), GeneralisedNormal(lam, beta)
        similarity, tau = Similarity("lp", beta), lam**beta
        limit, moment = theory.box_limit(n, *box), theory.box_moment(n, *box)
        positive = -n * theory.box_mean_energy(*box)
    correction = (moment + 1) / 2
    predicted = [
        theory.finite_negatives(limit, correction, m) - np.log(m) for m in config.counts
    ]

    def evaluate(frozen, key):
        curve = true_encoder_curve(
            key,
            space,
            conditional,
            similarity=similarity,
            tau=tau,
            mean_positive=positive,
            counts=config.counts,
        )
        return Evaluation(
            {
                "counts": jnp.asarray(config.counts),
                "excess": curve.excess,
                "error": curve.error,
                "predicted": jnp.asarray(predicted),
                "moment": jnp.asarray(moment),
                "limit": jnp.asarray(limit),
            }
        )

    return untrained(evaluate)
