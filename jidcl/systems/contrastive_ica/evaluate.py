"""Scores, losses and nulls of contrastive ICA.

The device draws, encodes and computes losses; scores, nulls and assignments of the
rows follow on the host.
"""

import math
from collections.abc import Callable
from functools import partial
from types import ModuleType
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
from jidcl.numerics import generators
from jidcl.pairs import sample_pair
from jidcl.systems.contrastive_ica.process import (
    Parts,
    draw_pair,
    floor_kind,
    least_loss,
    objective,
)
from jidcl.systems.contrastive_ica.settings import Trained
from jidcl.systems.shared.cross_fitted import cross_fitted, cross_fitted_means
from jidcl.systems.shared.perturbed import admitted, perturb, recovered
from jidcl.systems.shared.sources import set_size
from jidcl.systems.shared.wiring import errors_of, mean_of
from jidcl.theory import OracleMap, apply_oracle, fit_oracle
from jidcl.types import Array, Evaluation, Losses, Metrics, OnHost, Pair

Encode = Callable[[Array], Array]
FIT_BATCHES = 2  # that the oracle's scale is fitted on
TRAIN_BATCHES = 16  # of the training size, for the reference of a curve


def probe(config: Trained, parts: Parts, f: Encode, frozen: Any, key) -> OnHost:
    """R2 and MCC on fresh rows, for the curve of a run."""
    frozen = parts.source.part(frozen, "test")
    z = draw_pair(parts, frozen, key, min(config.eval_batch, 4096)).z

    def finish(arrays, xp):
        z, y = arrays
        few = cross_fitted_means(z, y, xp=xp)
        return few | {"r2": r2(z, y, xp=xp).mean, "mcc": mcc(z, y, xp=xp).mean}

    return OnHost((z, _read(parts, frozen, f, z)[0]), finish)


def evaluate(config: Trained, parts: Parts, f: Encode, frozen: Any, key) -> OnHost:
    """Scores, loss and reference over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings of the run.
        parts: their objects.
        f: the trained encoder, `x -> y`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`, to be finished on the host.
    """
    seen, held = (parts.source.part(frozen, name) for name in ("train", "test"))
    draw_key, null_key, worse_key = jax.random.split(key, 3)
    trained = config.objective != "supervised"
    fitted = FIT_BATCHES if trained else 0
    tests, trains = _draw(config, parts, held, draw_key, fitted, trained)
    fits, scored = (
        jax.tree.map(lambda leaf, own=own: leaf[own], tests)
        for own in (slice(fitted), slice(fitted, None))
    )
    kept: dict[str, Any] = {
        "key": jax.random.key_data(null_key),
        "set": set_size(held),
    }
    if trained:
        oracle = _fit_oracle(config, parts, fits)
        kept["fixed"] = {
            "oracle_scale": oracle.scale,
            # The level that a curve of training losses should reach.
            "train_reference": _train_reference(config, parts, oracle, seen, trains),
        }

    def score(drawn: tuple[Pair, Array]) -> dict[str, Any]:
        pair, worse_key = drawn
        z_both = jnp.concatenate(pair) if trained else pair.z
        ys, features = _read(parts, held, f, z_both)
        y, seen_x = ys[: len(pair.z)], features[: len(pair.z)]
        rows = {"z": pair.z, "y": y, "features": seen_x}
        if not trained:
            return {"rows": rows, "losses": {"loss": mse(y, pair.z)}, "means": {}}
        y_pos = ys[len(y) :]
        best = jnp.split(fit_affine(seen_x, pair.z)(features), 2)
        worse = perturb(worse_key, pair)
        return {
            "rows": rows | {"worse": worse.z},
            "losses": _losses(config, parts, oracle, pair, (y, y_pos), best, worse),
            "means": _isometry(config, parts, held, pair, y, y_pos),
        }

    worse_keys = jax.random.split(worse_key, config.eval_batches)
    limit = trained and floor_kind(config) == "limit"
    finish = partial(
        _finish,
        pictures=parts.source.pictures,
        limit=least_loss(config) if limit else None,
    )
    return OnHost({**kept, **jax.lax.map(score, (scored, worse_keys))}, finish)


def _draw(
    config: Trained, parts: Parts, held, key, fitted: int, trained: bool
) -> tuple[Pair, Any]:
    """(pairs of the test part `[batches, eval_batch, n]`, latents of training batches).

    One sampler for all of them: it takes long to compile.
    """
    tests = fitted + config.eval_batches
    rows = TRAIN_BATCHES * config.batch if trained else 0
    count = tests + math.ceil(rows / config.eval_batch)
    laws = parts.space, parts.marginal, parts.conditional

    def draw(key):
        return sample_pair(key, *laws, batch=config.eval_batch)

    drawn = jax.lax.map(draw, jax.random.split(key, count))
    some = jax.tree.map(lambda leaf: leaf[:tests], drawn)
    some = jax.lax.map(partial(parts.source.pair, held), some)
    if not trained:
        return some, None
    shape = TRAIN_BATCHES, config.batch, config.n
    rest = jax.tree.map(
        lambda leaf: leaf[tests:].reshape(-1, config.n)[:rows].reshape(shape), drawn
    )
    return some, rest


def _finish(
    arrays: dict[str, Any], xp: ModuleType, *, pictures: bool, limit: float | None
) -> Evaluation:
    """Scores and nulls of each batch's rows, averaged; the losses of all batches."""
    rows = arrays["rows"]
    batches = len(rows["z"])
    null, *others = generators(arrays["key"], batches + 1, xp)
    each = [
        _scores({name: part[i] for name, part in rows.items()}, own, pictures, xp)
        for i, own in enumerate(others)
    ]
    scores, nulls = mean_of(each, xp)
    scores |= {name: xp.mean(values) for name, values in arrays["means"].items()}
    z, y = (rows[name][0][:1000] for name in ("z", "y"))
    rotations = rotation_null(null, z, xp=xp)
    for name, share in (("rotation_low", 0.005), ("rotation_high", 0.995)):
        nulls["mcc"][name] = xp.quantile(rotations, share)
    best = {"z_hat": read_back(z, y, xp=xp), "matrix": mcc(z, y, xp=xp).matrix}
    losses = dict(arrays["losses"])
    extra = {k: losses[k] for k in ("linear_loss",) if k in losses}
    return Evaluation(
        scores=scores | arrays["set"],
        losses=Losses(
            losses["loss"],
            losses.get("reference"),
            losses.get("chance"),
            None if limit is None else xp.asarray(limit),
            {**extra, **arrays.get("fixed", {})},
        ),
        nulls=nulls,
        samples={"z": z, "y": y, **best},
        errors=errors_of([scores for scores, _ in each], xp),
        perturbed=_perturbed(rows, losses, xp),
    )


def _perturbed(rows: dict[str, Any], losses: Metrics, xp: ModuleType):
    """What the gap is to perturbed latents, and their scores on the first batch."""
    if "worse" not in rows:
        return {}
    gaps = xp.mean(losses["worse"] - losses["reference"][:, None], axis=0)
    return admitted(gaps, recovered(rows["z"][0], rows["worse"][0], xp), xp)


def _scores(rows: dict[str, Any], key, pictures: bool, xp: ModuleType):
    """(scores, nulls) of one batch."""
    z, y, features = (rows[name] for name in ("z", "y", "features"))
    linear, single = r2(z, y, xp=xp), mcc(z, y, xp=xp)
    scores = {
        "r2": linear.mean,
        "mcc": single.mean,
        "mcc_spearman": mcc(z, y, spearman=True, xp=xp).mean,
        "procrustes": procrustes_error(z, y, xp=xp),
        "r2_per_dim": linear.per_dim,
        "mcc_per_dim": single.per_dim,
    }
    mixed = shuffled(key, y, xp=xp)
    nulls = {
        "r2": {
            "shuffled": r2(z, mixed, xp=xp).mean,
            "identity": r2(z, features, split=pictures, xp=xp).mean,
        },
        "mcc": {"shuffled": mcc(z, mixed, xp=xp).mean},
    }
    if not pictures:
        nulls["mcc"]["identity"] = mcc(z, features, xp=xp).mean
    read = {"shuffled": mixed} | ({} if pictures else {"identity": features})
    few, by_chance = cross_fitted(z, y, read, xp=xp)
    return scores | few, nulls | by_chance


def _losses(
    config: Trained, parts: Parts, oracle, pair: Pair, ys, best, worse: Pair
) -> Metrics:
    """The objective of the encoder, the true latents, the best affine map, a constant.

    And `worse`, of the perturbed latents, `[COUNT]`. One program for all of them.
    """
    seen = {
        "loss": ys,
        "reference": [apply_oracle(oracle, config.output, z) for z in pair],
        "linear_loss": [apply_oracle(oracle, config.output, v) for v in best],
        "chance": [jnp.full_like(ys[0], config.n**-0.5)] * 2,
    }
    placed = jnp.stack([apply_oracle(oracle, config.output, z) for z in worse], axis=1)
    losses = jax.lax.map(
        lambda both: objective(config, parts, *both),
        jnp.concatenate(
            [jnp.stack([jnp.stack(list(v)) for v in seen.values()]), placed]
        ),
    )
    return {**dict(zip(seen, losses, strict=False)), "worse": losses[len(seen) :]}


def _fit_oracle(config: Trained, parts: Parts, pairs: Pair) -> OracleMap:
    return fit_oracle(
        config.output,
        lambda y, y_pos: objective(config, parts, y, y_pos),
        pairs,
        low=config.low,
        high=config.high,
    )


def _train_reference(
    config: Trained, parts: Parts, oracle, seen, latents: Pair
) -> Array:
    """Mean loss of the oracle at the training batch: beside a curve."""

    def one(pair: Pair) -> Array:
        z = parts.source.pair(seen, pair)
        return objective(
            config, parts, *(apply_oracle(oracle, config.output, v) for v in z)
        )

    return jnp.mean(jax.lax.map(one, latents))


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
