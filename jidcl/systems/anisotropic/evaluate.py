"""Scores, losses and nulls of AnInfoNCE."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.losses import mse
from jidcl.metrics import (
    block_r2,
    equal_blocks,
    lambda_recovery,
    mcc,
    r2,
    read_back,
    rotation_null,
    shuffled,
)
from jidcl.systems.anisotropic.presets import Anisotropic
from jidcl.systems.anisotropic.process import draw_pairs, objective, oracle_lam
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.types import Array, Evaluation, Losses, Metrics

Encode = Callable[[Array], tuple[Array, Array]]


def probe(config: Anisotropic, f: Encode, lam: Array, frozen: Any, key) -> Metrics:
    """R2, MCC and recovery of Lambda on fresh rows, for the curve of a run."""
    z = draw_pairs(config, key, min(config.eval_batch, 4096)).z
    y, _ = f(make_source(config).observe(frozen, z))
    found = _mcc(z, y)
    learned = _lambda_scores(config, lam, found.columns)
    return learned | {"r2": r2(z, y).mean, "mcc": found.mean}


def evaluate(
    config: Anisotropic, f: Encode, lam: Array, frozen: Any, key
) -> Evaluation:
    """Scores, loss and floor over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings of the run.
        f: the trained encoder, `x -> (y, what the loss sees)`.
        lam: Lambda of the loss, `[K, m]`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    fit_key, batch_key, null_key, sample_key = jax.random.split(key, 4)
    source, trained = make_source(config), config.objective != "supervised"
    true_lam = oracle_lam(config, fit_key)

    def score(key):
        pair_key, shuffle_key = jax.random.split(key)
        pair = draw_pairs(config, pair_key, config.eval_batch)
        x, x_pos = (source.observe(frozen, z) for z in pair)
        y, seen = f(x)
        scores = _scores(config, lam, pair.z, y, seen)
        mixed = shuffled(shuffle_key, y)
        of_x = r2(pair.z, x, split=source.pictures).mean
        nulls = {
            "r2": {"shuffled": r2(pair.z, mixed).mean, "identity": of_x},
            "mcc": {
                "shuffled": _mcc(pair.z, mixed).mean,
                "identity": mcc(pair.z, x).mean,
            },
        }
        if not trained:
            return scores, nulls, {"loss": mse(y, pair.z)}
        # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
        same = 0 * seen + config.outputs**-0.5
        losses = {
            "loss": objective(config, seen, f(x_pos)[1], lam),
            "oracle_loss": objective(config, pair.z, pair.z_pos, true_lam),
            "chance": objective(config, same, same, lam),
        }
        return scores, nulls, losses

    *batches, losses = over_batches(score, batch_key, config.eval_batches)
    scores, nulls = map(mean_over_batches, batches)
    if config.mixing == "mnist":
        scores["decoder_loss"] = frozen["g"]["loss"]
    z = draw_pairs(config, sample_key, 1000).z[:1000]
    y, _ = f(source.observe(frozen, z))
    rotations = rotation_null(null_key, z, blocks=equal_blocks(*config.lams))
    for name, share in (("rotation_low", 0.005), ("rotation_high", 0.995)):
        nulls["mcc"][name] = jnp.quantile(rotations, share)
    return Evaluation(
        scores=scores,
        losses=_summed_up(losses) if trained else Losses(losses["loss"]),
        nulls=nulls,
        samples={"z": z, "y": y, "z_hat": read_back(z, y), "matrix": _mcc(z, y).matrix},
    )


def _summed_up(losses: Metrics) -> Losses:
    """`Losses` of all batches."""
    reference = losses["oracle_loss"]
    extra = {"oracle_loss": reference}
    return Losses(losses["loss"], reference, losses["chance"], extra=extra)


def _scores(config: Anisotropic, lam: Array, z: Array, y: Array, seen: Array):
    """Scores of one batch; `seen` is what the loss sees of y."""
    found = _mcc(z, y)
    scores = {
        "r2": r2(z, y).mean,
        "mcc": found.mean,
        "mcc_spearman": _mcc(z, y, spearman=True).mean,
        "r2_per_dim": r2(z, y).per_dim,
        "mcc_per_dim": found.per_dim,
    }
    if config.outputs >= config.n and config.objective != "supervised":
        by_block = block_r2(z, y, lam[0], equal_blocks(config.lams[0]))
        scores["block_r2"] = jnp.mean(by_block)
    if config.head:
        scores["head_r2"] = r2(z, seen).mean
        scores["head_mcc"] = _mcc(z, seen).mean
    return scores | _lambda_scores(config, lam, found.columns)


def _lambda_scores(config: Anisotropic, lam: Array, columns: Array) -> Metrics:
    """Recovery of Lambda, averaged over the pair distributions; none if not used."""
    if config.objective == "supervised":
        return {}
    missing = max(config.n - config.outputs, 0)
    lam = jnp.pad(lam, ((0, 0), (0, missing)))
    truth = jnp.asarray(config.lams)
    got = jax.vmap(lambda a, b: lambda_recovery(a, b, columns))(truth, lam)
    return {
        "lam_error": jnp.mean(got.error),
        "lam_error_sorted": jnp.mean(got.sorted_error),
        "lam_pearson": jnp.mean(got.pearson),
        "lam_aligned": got.aligned[0],
    }


def _mcc(z: Array, y: Array, *, spearman: bool = False):
    """MCC; outputs that are fewer than the latents are filled up by constants."""
    missing = max(z.shape[1] - y.shape[1], 0)
    return mcc(z, jnp.pad(y, ((0, 0), (0, missing))), spearman=spearman)
