"""Scores, losses and nulls of AnInfoNCE."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
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
from jidcl.numerics import generators
from jidcl.systems.anisotropic.presets import Anisotropic
from jidcl.systems.anisotropic.process import draw_pairs, objective, oracle_lam
from jidcl.systems.shared.cross_fitted import cross_fitted, cross_fitted_means
from jidcl.systems.shared.perturbed import admitted, perturb, recovered
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import errors_of, mean_of, over_batches
from jidcl.types import Array, Evaluation, Losses, Metrics, OnHost

Encode = Callable[[Array], tuple[Array, Array]]


def probe(config: Anisotropic, f: Encode, lam: Array, frozen: Any, key) -> OnHost:
    """R2, MCC, R2 by block and recovery of Lambda on fresh rows, for a run's curve."""
    z = draw_pairs(config, key, min(config.eval_batch, 4096)).z
    y, _ = f(make_source(config).observe(frozen, z))

    def finish(arrays, xp):
        z, y, lam = arrays
        found = _mcc(z, y, xp)
        learned = _lambda_scores(config, lam, found.columns, xp)
        learned |= _block_scores(config, lam, z, y, xp)
        learned |= cross_fitted_means(z, _filled(z, y, xp), xp=xp)
        return learned | {"r2": r2(z, y, xp=xp).mean, "mcc": found.mean}

    return OnHost((z, y, lam), finish)


def evaluate(config: Anisotropic, f: Encode, lam: Array, frozen: Any, key) -> OnHost:
    """Scores, loss and reference over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings of the run.
        f: the trained encoder, `x -> (y, what the loss sees)`.
        lam: Lambda of the loss, `[K, m]`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`, to be finished on the host.
    """
    fit_key, batch_key, null_key = jax.random.split(key, 3)
    source, trained = make_source(config), config.objective != "supervised"
    true_lam = oracle_lam(config, fit_key)

    def score(key):
        key, worse_key = jax.random.split(key)
        pair = draw_pairs(config, key, config.eval_batch)
        x, x_pos = source.observe_pair(frozen, *pair)
        y, seen = f(x)
        rows = {"z": pair.z, "y": y, "seen": seen, "x": source.features(x)}
        if not trained:
            return rows, {"loss": mse(y, pair.z)}
        # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
        same = 0 * seen + config.outputs**-0.5
        worse = perturb(worse_key, pair)
        truths = jax.tree.map(lambda z, w: jnp.concatenate([z[None], w]), pair, worse)
        losses = jax.lax.map(
            lambda of: objective(config, of.z, of.z_pos, true_lam), truths
        )
        losses = {
            "loss": objective(config, seen, f(x_pos)[1], lam),
            "reference": losses[0],
            "chance": objective(config, same, same, lam),
            "worse": losses[1:],
        }
        return rows | {"worse": worse.z}, losses

    rows, losses = over_batches(score, batch_key, config.eval_batches)
    learned = config.mixing == "mnist"
    arrays = {
        "rows": rows,
        "losses": losses,
        "lam": lam,
        "key": jax.random.key_data(null_key),
        "fixed": {"decoder_loss": frozen["g"]["loss"]} if learned else {},
    }
    return OnHost(arrays, partial(_finish, config, source.pictures))


def _finish(
    config: Anisotropic, pictures: bool, arrays: dict[str, Any], xp: ModuleType
) -> Evaluation:
    """Scores and nulls of each batch's rows, averaged; the losses of all batches."""
    rows, losses = arrays["rows"], arrays["losses"]
    batches = len(rows["z"])
    null, *others = generators(arrays["key"], batches + 1, xp)
    each = []
    for i, own in enumerate(others):
        part = {name: leaf[i] for name, leaf in rows.items()}
        scores = _scores(config, arrays["lam"], part, xp)
        nulls, few = _nulls(own, part, pictures, xp)
        each.append((scores | few, nulls))
    errors = errors_of([scores for scores, _ in each], xp)
    scores, nulls = mean_of(each, xp)
    if "block_r2" in scores:  # of all columns: no block of them has more
        nulls["block_r2"] = dict(nulls["r2"])
    z, y = rows["z"][0][:1000], rows["y"][0][:1000]
    rotations = rotation_null(null, z, blocks=equal_blocks(*config.lams), xp=xp)
    for name, share in (("rotation_low", 0.005), ("rotation_high", 0.995)):
        nulls["mcc"][name] = xp.quantile(rotations, share)
    best = {"z_hat": read_back(z, y, xp=xp), "matrix": _mcc(z, y, xp).matrix}
    trained = config.objective != "supervised"
    perturbed = {}
    if trained:
        gaps = xp.mean(losses["worse"] - losses["reference"][:, None], axis=0)
        scores_worse = recovered(rows["z"][0], rows["worse"][0], xp)
        perturbed = admitted(gaps, scores_worse, xp)
    return Evaluation(
        scores=scores | arrays["fixed"],
        losses=_summed_up(losses) if trained else Losses(losses["loss"]),
        nulls=nulls,
        samples={"z": z, "y": y, **best},
        errors=errors,
        perturbed=perturbed,
    )


def _nulls(key, rows: Metrics, pictures: bool, xp: ModuleType):
    """Nulls of one batch, by score; cross-fitted scores where its rows are few."""
    z, x, mixed = rows["z"], rows["x"], shuffled(key, rows["y"], xp=xp)
    read = {"shuffled": _filled(z, mixed, xp)} | ({} if pictures else {"identity": x})
    few, by_chance = cross_fitted(z, _filled(z, rows["y"], xp), read, xp=xp)
    nulls = {
        "r2": {
            "shuffled": r2(z, mixed, xp=xp).mean,
            "identity": r2(z, x, split=pictures, xp=xp).mean,
        },
        "mcc": {
            "shuffled": _mcc(z, mixed, xp).mean,
            "identity": mcc(z, x, xp=xp).mean,
        },
    }
    return nulls | by_chance, few


def _summed_up(losses: Metrics) -> Losses:
    """`Losses` of all batches."""
    return Losses(losses["loss"], losses["reference"], losses["chance"])


def _scores(config: Anisotropic, lam: Array, rows: Metrics, xp: ModuleType) -> Metrics:
    """Scores of one batch; `seen` is what the loss sees of y."""
    z, y, seen = (rows[name] for name in ("z", "y", "seen"))
    found, linear = _mcc(z, y, xp), r2(z, y, xp=xp)
    scores = {
        "r2": linear.mean,
        "mcc": found.mean,
        "mcc_spearman": _mcc(z, y, xp, spearman=True).mean,
        "r2_per_dim": linear.per_dim,
        "mcc_per_dim": found.per_dim,
    }
    scores |= _block_scores(config, lam, z, y, xp)
    if config.head:
        scores["head_r2"] = r2(z, seen, xp=xp).mean
        scores["head_mcc"] = _mcc(z, seen, xp).mean
    return scores | _lambda_scores(config, lam, found.columns, xp)


def _block_scores(config: Anisotropic, lam: Array, z, y, xp: ModuleType) -> Metrics:
    """R2 of blocks of latents; none where Lambda or outputs are missing."""
    if config.outputs < config.n or config.objective == "supervised":
        return {}
    by_block = block_r2(z, y, lam[0], equal_blocks(config.lams[0]), xp=xp)
    return {"block_r2": xp.mean(by_block)}


def _lambda_scores(
    config: Anisotropic, lam: Array, columns: Array, xp: ModuleType
) -> Metrics:
    """Recovery of Lambda, averaged over the pair distributions; none if not used."""
    if config.objective == "supervised":
        return {}
    missing = max(config.n - config.outputs, 0)
    lam = xp.pad(lam, ((0, 0), (0, missing)))
    truth = xp.asarray(config.lams, lam.dtype)
    each = [
        lambda_recovery(a, b, columns, xp=xp) for a, b in zip(truth, lam, strict=True)
    ]
    got = mean_of(each, xp)
    return {
        "lam_error": got.error,
        "lam_error_sorted": got.sorted_error,
        "lam_pearson": got.pearson,
        "lam_aligned": each[0].aligned,
    }


def _mcc(z: Array, y: Array, xp: ModuleType, *, spearman: bool = False):
    """MCC; outputs that are fewer than the latents are filled up by constants."""
    return mcc(z, _filled(z, y, xp), spearman=spearman, xp=xp)


def _filled(z: Array, y: Array, xp: ModuleType) -> Array:
    missing = max(z.shape[1] - y.shape[1], 0)
    return xp.pad(y, ((0, 0), (0, missing)))
