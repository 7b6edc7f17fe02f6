"""Scores of silhouettes: rank correlations of each latent with an output of its own."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.metrics import assign, mcc, r2, read_back, shuffled
from jidcl.metrics.columns import ranks, standardised
from jidcl.numerics import generators
from jidcl.systems.kitti_masks.presets import FACTORS, KittiMasks
from jidcl.systems.kitti_masks.process import draw_pairs, mask_moments
from jidcl.systems.shared.cross_fitted import cross_fitted, cross_fitted_means
from jidcl.systems.shared.perturbed import admitted, perturb, recovered
from jidcl.systems.shared.pictures import in_parts
from jidcl.systems.shared.wiring import errors_of, mean_of
from jidcl.theory import OracleMap, apply_oracle, fit_oracle
from jidcl.types import Array, Batch, Evaluation, Losses, Metrics, OnHost, Pair

Encode = Callable[[Array], Array]
Objective = Callable[[Array, Array], Array]
FIT_BATCHES = 2  # that the scale of the true latents is fitted on
TURNS = 200  # random directions of the null
JUDGED = ("r2", "mcc", "mcc_spearman")


def probe(config: KittiMasks, f: Encode, frozen: Any, key: Array) -> OnHost:
    """R2 and MCC on pairs that are not trained on, for the curve of a run."""
    batch = draw_pairs(config, frozen, key, config.eval_batch, "test")

    def finish(arrays, xp):
        z, y = arrays
        return _recovery(z, y, xp) | cross_fitted_means(z, y, JUDGED, xp=xp)

    return OnHost((batch.z, in_parts(f, batch.x)), finish)


def evaluate(
    config: KittiMasks,
    f: Encode,
    objective: Objective | None,
    whole_loss: Callable[[Batch, Array], Array],
    frozen: Any,
    key: Array,
) -> OnHost:
    """Scores, losses and nulls over `eval_batches` fresh batches.

    Args:
        config: settings of the run.
        f: the trained encoder, `x -> y`.
        objective: loss of representations `(y, y_pos)`; None: the loss needs more.
        whole_loss: `(batch, key) -> ` the loss of the run.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`, to be finished on the host. The loss of the true latents is its
        reference where the walk is drawn and the objective compares pairs.
    """
    draw_key, seen_key, null_key, fit_key, worse_key = jax.random.split(key, 5)
    kept: dict[str, Any] = {"key": jax.random.key_data(null_key)}
    held = frozen.get("shared")
    if held is not None:
        seen = draw_pairs(config, frozen, seen_key, config.eval_batch)
        kept["seen"] = {"z": seen.z, "y": in_parts(f, seen.x)}
        kept["count"] = held["train"].count
    oracle = None
    if objective is not None and held is None:
        oracle = _oracle(config, objective, frozen, fit_key)

    def score(keys: tuple[Array, Array]) -> dict[str, Any]:
        key, worse_key = keys
        batch = draw_pairs(config, frozen, key, config.eval_batch, "test")
        y = in_parts(f, batch.x)
        rows = {"z": batch.z, "y": y, "moments": mask_moments(batch.x)}
        if objective is None:
            own = jax.tree.map(lambda part: part[: config.batch], batch)
            return {"rows": rows, "losses": {"loss": whole_loss(own, worse_key)}}
        losses = {"loss": objective(y, in_parts(f, batch.x_pos))}
        if oracle is None:
            return {"rows": rows, "losses": losses}
        losses["chance"] = objective(jnp.zeros_like(y), jnp.zeros_like(y))
        at = partial(apply_oracle, oracle, config.output)
        pair = Pair(batch.z, batch.z_pos)
        worse = perturb(worse_key, pair)
        losses["reference"] = _placed(objective, at, pair)
        losses["worse"] = jax.lax.map(partial(_placed, objective, at), worse)
        return {"rows": rows | {"worse": worse.z}, "losses": losses}

    keys = [jax.random.split(k, config.eval_batches) for k in (draw_key, worse_key)]
    return OnHost({**kept, **jax.lax.map(score, tuple(keys))}, _finish)


def _placed(objective: Objective, at: Encode, pair: Pair) -> Array:
    return objective(at(pair.z), at(pair.z_pos))


def _oracle(
    config: KittiMasks, objective: Objective, frozen: Any, key: Array
) -> OracleMap:
    """Where the true latents have the least loss."""

    def draw(key):
        batch = draw_pairs(config, frozen, key, config.eval_batch)
        return Pair(batch.z, batch.z_pos)

    pairs = jax.lax.map(draw, jax.random.split(key, FIT_BATCHES))
    return fit_oracle(config.output, objective, pairs, low=-1.0, high=1.0)


def _finish(arrays: dict[str, Any], xp: ModuleType) -> Evaluation:
    """Scores and nulls of each batch, averaged, and the losses of all batches."""
    rows, losses = arrays["rows"], dict(arrays["losses"])
    batches = len(rows["z"])
    turn, *others = generators(arrays["key"], batches + 1, xp)
    each = [
        _scores(rows["z"][i], rows["y"][i], rows["moments"][i], own, xp)
        for i, own in enumerate(others)
    ]
    scores, nulls = mean_of(each, xp)
    z, y = (rows[name][0][:1000] for name in ("z", "y"))
    turned = direction_null(turn, z, y.shape[1], xp)
    for name, share in (("rotation_low", 0.005), ("rotation_high", 0.995)):
        for score in ("mcc", "mcc_spearman"):
            nulls[score][name] = xp.quantile(turned, share)
    if "seen" in arrays:
        seen = mcc(arrays["seen"]["z"], arrays["seen"]["y"], spearman=True, xp=xp)
        scores |= {"mcc_seen": seen.mean, "rows_of_set": arrays["count"]}
    reference = losses.get("reference")
    perturbed: dict[str, Metrics] = {}
    if reference is not None:
        gaps = xp.mean(losses["worse"] - reference[:, None], axis=0)
        perturbed = admitted(gaps, recovered(rows["z"][0], rows["worse"][0], xp), xp)
    return Evaluation(
        scores=scores,
        losses=Losses(losses["loss"], reference, losses.get("chance")),
        nulls=nulls,
        samples={"z": z, "y": y, **_read_singly(z, y, xp)},
        errors=errors_of([scores for scores, _ in each], xp),
        perturbed=perturbed,
    )


def _recovery(z: Array, y: Array, xp: ModuleType) -> Metrics:
    return {
        "r2": r2(z, y, xp=xp).mean,
        "mcc": mcc(z, y, xp=xp).mean,
        "mcc_spearman": mcc(z, y, spearman=True, xp=xp).mean,
    }


def _scores(z: Array, y: Array, moments: Array, key: Any, xp: ModuleType):
    """(scores, nulls) of one batch."""
    each = mcc(z, y, spearman=True, xp=xp).per_dim
    scores = {**_recovery(z, y, xp), "mcc_spearman_per_dim": each}
    mixed = shuffled(key, y, xp=xp)
    by_chance = _recovery(z, mixed, xp)
    raw = _recovery(z, moments, xp)
    nulls = {k: {"shuffled": by_chance[k], "identity": raw[k]} for k in by_chance}
    read = {"shuffled": mixed, "identity": moments}
    few, of_few = cross_fitted(z, y, read, JUDGED, xp=xp)
    return scores | few, nulls | of_few


def _read_singly(z: Array, y: Array, xp: ModuleType) -> Metrics:
    """Each latent read from its own output alone, and all correlations."""
    found = mcc(z, y, spearman=True, xp=xp)
    chosen = y[:, found.columns]
    single = [
        read_back(z[:, i : i + 1], chosen[:, i : i + 1], xp=xp) for i in range(FACTORS)
    ]
    return {"z_hat": xp.concatenate(single, axis=1), "matrix": found.matrix}


def direction_null(key: Any, z: Array, m: int, xp: ModuleType = jnp) -> Array:
    """MCC of `TURNS` random linear maps of z to m outputs: "linear, no more".

    Latents are ranked and brought to one deviation. The maps are the first rows of
    random rotations of R^m: with as many outputs as latents, rotations themselves.

    Args:
        key: a typed key; a `numpy.random.Generator` with `xp=numpy`.
        z: `[samples, n]`.
        m: outputs, >= n.
        xp: `jax.numpy`, or `numpy`.

    Returns:
        `[TURNS]`.
    """
    n = z.shape[1]
    unit = standardised(ranks(z, xp), xp)
    shared = unit.T @ unit / len(unit)
    shape = (TURNS, m, m)
    drawn = key.normal(size=shape) if xp is np else jax.random.normal(key, shape)
    maps = xp.linalg.qr(drawn)[0][:, :n]
    covariance = shared @ maps
    variance = xp.sum(maps * covariance, axis=1, keepdims=True)
    score = xp.abs(covariance) / xp.sqrt(variance)
    if xp is np:
        totals: Any = np.stack([assign(one, xp=xp)[1] for one in score])
    else:
        totals = jax.vmap(assign)(score)[1]
    return totals / n
