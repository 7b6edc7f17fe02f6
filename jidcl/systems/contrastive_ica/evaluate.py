"""Scores, losses and nulls of contrastive ICA."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.data import PictureSet
from jidcl.latents import PNormDensity, VonMisesFisher
from jidcl.losses import mse, rowwise
from jidcl.metrics import (
    isometry_error,
    mcc,
    procrustes_error,
    r2,
    read_back,
    rotation_null,
    shuffled,
)
from jidcl.metrics.columns import fit_affine
from jidcl.systems.contrastive_ica.process import (
    Parts,
    draw_pair,
    floor_kind,
    limit_floor,
    objective,
)
from jidcl.systems.contrastive_ica.settings import Trained
from jidcl.systems.shared.sources import set_size
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.theory import apply_oracle, fit_oracle
from jidcl.types import Array, Evaluation, Losses, Metrics, Pair

Encode = Callable[[Array], Array]


def probe(config: Trained, parts: Parts, f: Encode, frozen: Any, key) -> Metrics:
    """R2 and MCC on fresh rows, for the curve of a run."""
    frozen = parts.source.part(frozen, "test")
    z = draw_pair(parts, frozen, key, min(config.eval_batch, 4096)).z
    y, _ = _read(parts, frozen, f, z)
    return {"r2": r2(z, y).mean, "mcc": mcc(z, y).mean}


def evaluate(config: Trained, parts: Parts, f: Encode, frozen: Any, key) -> Evaluation:
    """Scores, loss and reference over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings of the run.
        parts: their objects.
        f: the trained encoder, `x -> y`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    seen = parts.source.part(frozen, "train")
    frozen = parts.source.part(frozen, "test")
    key, floor_key = jax.random.split(key)
    fit_key, batch_key, null_key = jax.random.split(key, 3)
    trained = config.objective != "supervised"
    oracle = _fit_oracle(config, parts, frozen, fit_key, config.eval_batch)

    def score(key):
        pair_key, shuffle_key = jax.random.split(key)
        pair = draw_pair(parts, frozen, pair_key, config.eval_batch)
        y, features = _read(parts, frozen, f, pair.z)
        scores, nulls = _scores(parts, shuffle_key, pair.z, y, features)
        some = {"z": pair.z[:1000], "y": y[:1000]}
        if not trained:
            return scores, nulls, {"loss": mse(y, pair.z)}, some
        y_pos, features_pos = _read(parts, frozen, f, pair.z_pos)
        affine = fit_affine(features, pair.z)
        best = (affine(v) for v in (features, features_pos))
        losses = _losses(config, parts, oracle, pair, (y, y_pos), best)
        scores |= _isometry(config, parts, frozen, pair, y, y_pos)
        return scores, nulls, losses, some

    *batches, losses, some = over_batches(score, batch_key, config.eval_batches)
    scores, nulls = map(mean_over_batches, batches)
    z, y = (some[name][0] for name in "zy")
    rotations = rotation_null(null_key, z)
    for name, share in (("rotation_low", 0.005), ("rotation_high", 0.995)):
        nulls["mcc"][name] = jnp.quantile(rotations, share)
    return Evaluation(
        scores=scores | set_size(frozen),
        losses=_summed_up(config, parts, losses, oracle, seen, floor_key)
        if trained
        else Losses(losses["loss"]),
        nulls=nulls,
        samples={"z": z, "y": y, "z_hat": read_back(z, y), "matrix": mcc(z, y).matrix},
    )


def _scores(parts: Parts, key, z: Array, y: Array, features: Array):
    """(scores, nulls) of one batch."""
    # One program for all that are alike: a score takes long to compile.
    linear, single = jax.lax.map(
        lambda y: (r2(z, y), mcc(z, y)), jnp.stack([y, shuffled(key, y)])
    )
    scores = {
        "r2": linear.mean[0],
        "mcc": single.mean[0],
        "mcc_spearman": mcc(z, y, spearman=True).mean,
        "procrustes": procrustes_error(z, y),
        "r2_per_dim": linear.per_dim[0],
        "mcc_per_dim": single.per_dim[0],
    }
    pictures = parts.source.pictures
    of_x = {"r2": r2(z, features, split=pictures).mean}
    nulls = {
        "r2": {"shuffled": linear.mean[1], "identity": of_x["r2"]},
        "mcc": {"shuffled": single.mean[1]},
    }
    if not pictures:
        nulls["mcc"]["identity"] = mcc(z, features).mean
    return scores, nulls


def _losses(config: Trained, parts: Parts, oracle, pair: Pair, ys, best) -> Metrics:
    """The objective of the encoder, the true latents, the best affine map, a constant.

    One program for all four.
    """
    seen = {
        "loss": ys,
        "oracle_loss": [apply_oracle(oracle, config.output, z) for z in pair],
        "linear_loss": [apply_oracle(oracle, config.output, v) for v in best],
        "chance": [jnp.full_like(ys[0], config.n**-0.5)] * 2,
    }
    losses = jax.lax.map(
        lambda both: objective(config, parts, *both),
        jnp.stack([jnp.stack(list(both)) for both in seen.values()]),
    )
    return dict(zip(seen, losses, strict=True))


def _summed_up(config: Trained, parts, losses: Metrics, oracle, seen, key) -> Losses:
    """`Losses` of all batches; `seen` is the part of the source that is trained on."""
    reference = losses["oracle_loss"]
    extra = {name: losses[name] for name in ("oracle_loss", "linear_loss")}
    extra["oracle_scale"] = oracle.scale
    # The level that a curve of training losses should reach.
    extra["train_floor"] = _train_floor(config, parts, seen, key)
    limit = floor_kind(config) == "limit"
    floor = jnp.asarray(limit_floor(config)) if limit else None
    return Losses(losses["loss"], reference, losses["chance"], floor, extra)


def _fit_oracle(config: Trained, parts: Parts, frozen, key, batch: int):
    def pair(key):
        return draw_pair(parts, frozen, key, batch)

    pairs = jax.lax.map(pair, jax.random.split(key, 2))
    return fit_oracle(
        config.output,
        lambda y, y_pos: objective(config, parts, y, y_pos),
        pairs,
        low=config.low,
        high=config.high,
    )


def _train_floor(config: Trained, parts: Parts, frozen, key, batches: int = 16):
    """Mean loss of the oracle fitted at the training batch: the floor of a curve."""
    fit_key, key = jax.random.split(key)
    oracle = _fit_oracle(config, parts, frozen, fit_key, config.batch)

    def one(key):
        pair = draw_pair(parts, frozen, key, config.batch)
        y, y_pos = (apply_oracle(oracle, config.output, z) for z in pair)
        return objective(config, parts, y, y_pos)

    return jnp.mean(jax.lax.map(one, jax.random.split(key, batches)))


def _isometry(config, parts: Parts, frozen, pair: Pair, y, y_pos) -> Metrics:
    """|s(z, z_pos) - s(y, y_pos) / tau| where data and model share a family.

    Pairs of a set on disk follow no family exactly.
    """
    if isinstance(frozen.get("set"), PictureSet):
        return {}
    data = parts.conditional
    if isinstance(data, VonMisesFisher) and config.similarity in ("dot", "cosine"):
        s_z = data.kappa * jnp.sum(pair.z * pair.z_pos, axis=-1)
    elif isinstance(data, PNormDensity) and config.similarity == "lp":
        if data.p != config.p:
            return {}
        s_z = -jnp.sum((jnp.abs(pair.z - pair.z_pos) / data.length) ** data.p, axis=-1)
    else:
        return {}
    s_y = rowwise(parts.similarity, y, y_pos) / config.tau
    return {"isometry_error": isometry_error(s_z, s_y)}


def _read(parts: Parts, frozen, f: Encode, z: Array) -> tuple[Array, Array]:
    """(f(g(z)), features of g(z) itself)."""

    def read(z):
        x = parts.source.observe(frozen, z)
        return f(x), parts.source.features(x)

    return parts.source.read(read, z)
