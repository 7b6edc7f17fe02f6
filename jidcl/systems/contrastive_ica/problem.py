"""Contrastive ICA: when does InfoNCE invert the data-generating process?

Wiring of Zimmermann, Sharma, Schneider, Bethge, Brendel 2021. Where its equations
live: latents and conditionals in `jidcl.latents`, the mixing g in
`jidcl.mixing.dense`, the encoder in `jidcl.encoders`, the loss in
`jidcl.losses.contrastive`, Theorem 1 and the closed forms in `jidcl.theory.limits`,
the scores in `jidcl.metrics`.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.checks import is_traced
from jidcl.data import PictureSet
from jidcl.encoders import Encoder
from jidcl.latents import (
    Ball,
    Box,
    Density,
    PNormDensity,
    Real,
    Simplex,
    Space,
    Sphere,
    VonMisesFisher,
    make_density,
)
from jidcl.losses import NegativePolicy, Similarity, infonce, mse, rowwise
from jidcl.metrics import (
    isometry_error,
    mcc,
    procrustes_error,
    r2,
    read_back,
    rotation_null,
    shuffled,
)
from jidcl.metrics.recovery import fit_affine
from jidcl.pairs import sample_pair
from jidcl.systems.contrastive_ica.presets import ContrastiveICA
from jidcl.systems.shared.pictures import (
    coarse,
    in_parts,
    on_part,
    set_metrics,
    shared_pictures,
    snapped,
)
from jidcl.systems.shared.settings import Pictures
from jidcl.systems.shared.wiring import (
    gap_metrics,
    init_encoder,
    init_mixing,
    mean_over_batches,
    observe,
    observe_pair,
    over_batches,
    over_rows,
    run_optimiser,
)
from jidcl.theory import (
    apply_oracle,
    finite_negatives,
    fit_oracle,
    vmf_correction,
    vmf_limit,
    vmf_moment,
    vmf_self_weight,
)
from jidcl.types import Batch, Metrics, Pair, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("tau", "early_tau", "conditional_param", "marginal_param")


class Parts(NamedTuple):
    """The objects that a configuration names; `held`: the set that pairs are of."""

    space: Space
    marginal: Density
    conditional: Density
    encoder: Encoder
    similarity: Similarity
    policy: NegativePolicy
    held: PictureSet | None = None


def build_parts(config: ContrastiveICA) -> Parts:
    """Spaces, densities, encoder, similarity and policy of a configuration."""
    n = config.n
    spaces = {
        "sphere": lambda: Sphere(n),
        "box": lambda: Box(n, config.low, config.high),
        "real": lambda: Real(n),
        "ball": lambda: Ball(n),
        "simplex": lambda: Simplex(n),
    }
    return Parts(
        space=spaces[config.space](),
        marginal=make_density(config.marginal, config.marginal_param, config.gennorm_p),
        conditional=make_density(
            config.conditional, config.conditional_param, config.gennorm_p
        ),
        encoder=init_encoder(
            config,
            n,
            output=config.output,
            output_size=config.output_size,
        ),
        similarity=Similarity(
            config.similarity, config.p, config.power, config.precision
        ),
        policy=NegativePolicy(
            include_positive=config.include_positive,
            exclude_self=config.exclude_self,
            compare=config.compare,
            log_mean=config.log_mean,
            alpha=config.alpha,
            symmetric=config.symmetric,
        ),
    )


def make_problem(config: ContrastiveICA, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss over its `data` axis, by the ring of
            `jidcl.losses.distributed`.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    parts = build_parts(config)

    def freeze(key):
        return {"g": init_mixing(config, key, config.n)}

    def draw(frozen, key):
        own, frozen = of_part(config, parts, frozen, "train")
        pair = draw_pair(own, key, config.batch)
        if config.objective == "supervised":  # partners are not looked at
            x = observe(config, frozen, pair.z)
            return Batch(x, x, *pair)
        return Batch(*observe_pair(config, frozen, *pair), *pair)

    def loss(params, state, batch, key):
        y, state = parts.encoder.apply(params, state, batch.x, train=True)
        if config.objective == "supervised":
            return mse(y, batch.z), (state, {})
        y_pos, state = parts.encoder.apply(params, state, batch.x_pos, train=True)
        return _objective(config, parts, y, y_pos, mesh=mesh), (state, {})

    def probe(params, state, frozen, key):
        own, frozen = of_part(config, parts, frozen, "test")
        z = draw_pair(own, key, min(config.eval_batch, 4096)).z
        y, _ = _read(config, frozen, partial(_applied, parts, params, state), z)
        return {"r2": r2(z, y).mean, "mcc": mcc(z, y).mean}

    def evaluate(params, state, frozen, key):
        f = partial(_applied, parts, params, state)
        seen, _ = of_part(config, parts, frozen, "train")
        own, frozen = of_part(config, parts, frozen, "test")
        key, floor_key = jax.random.split(key)
        scores = _evaluate(config, own, f, frozen, key)
        if config.objective != "supervised":
            # The level that a curve of training losses should reach.
            scores["train_floor"] = _train_floor(config, seen, floor_key)
        return scores | set_metrics(frozen)

    def sharded(mesh):
        return make_problem(config, mesh)

    return Problem(
        freeze,
        parts.encoder.init,
        draw,
        loss,
        probe,
        evaluate,
        sharded,
        config.precision,
        shared_pictures(config) if isinstance(config, Pictures) else None,
    )


make_run_optimiser = run_optimiser


def frozen_identity(config: ContrastiveICA) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n", "mixing", "mixing_layers", "mixing_draws")
    return {name: getattr(config, name) for name in names}


def floor_kind(config: ContrastiveICA) -> str:
    """`"limit"` where the closed form applies (R <= 0.1 M), else `"oracle"`.

    The supervised objective has no floor but 0: `"none"`.
    """
    if config.objective == "supervised":
        return "none"
    closed_form = (
        config.objective == "contrastive"
        and config.space == "sphere"
        and config.marginal == "uniform"
        and config.conditional == "vmf"
        and config.output == "sphere"
        and config.similarity in ("dot", "cosine")
        and (config.include_positive, config.exclude_self) == (True, False)
        and (config.compare, config.log_mean, config.alpha) == ("anchor", False, 0.5)
        and not config.symmetric
    )
    traced = any(map(is_traced, (config.conditional_param, config.tau)))
    if traced or not closed_form:
        return "oracle"
    moments = (config.conditional_param, 1 / config.tau)
    largest = max(vmf_moment(config.n, kappa) for kappa in moments)
    return "limit" if largest <= 0.1 * config.eval_batch else "oracle"


def limit_floor(config: ContrastiveICA) -> float:
    """Theorem 1's loss at the evaluation batch, for `floor_kind(config) == "limit"`."""
    n, kappa, model = config.n, config.conditional_param, 1 / config.tau
    return finite_negatives(
        vmf_limit(n, kappa, model_kappa=model),
        vmf_correction(n, kappa, model_kappa=model),
        config.eval_batch,
        composition="with_self",
        self_weight=vmf_self_weight(n, model),
    )


def _evaluate(config, parts: Parts, f, frozen, key) -> Metrics:
    """Scores, loss and floor over `eval_batches` fresh batches, and the nulls."""
    fit_key, batch_key, null_key = jax.random.split(key, 3)
    oracle = _fit_oracle(config, parts, fit_key, config.eval_batch)

    pictures = isinstance(config, Pictures)

    def read(z):
        return _read(config, frozen, f, z)

    def score(key):
        pair_key, shuffle_key = jax.random.split(key)
        pair = draw_pair(parts, pair_key, config.eval_batch)
        y, features = read(pair.z)
        # One program for all that are alike: a score takes long to compile.
        linear, single = jax.lax.map(
            lambda y: (r2(pair.z, y), mcc(pair.z, y)),
            jnp.stack([y, shuffled(shuffle_key, y)]),
        )
        scores = {
            "r2": linear.mean[0],
            "mcc": single.mean[0],
            "mcc_spearman": mcc(pair.z, y, spearman=True).mean,
            "procrustes": procrustes_error(pair.z, y),
            "r2_shuffled": linear.mean[1],
            "mcc_shuffled": single.mean[1],
            "r2_identity": r2(pair.z, features, split=pictures).mean,
            "r2_per_dim": linear.per_dim[0],
            "mcc_per_dim": single.per_dim[0],
        }
        if not pictures:
            scores["mcc_identity"] = mcc(pair.z, features).mean
        scores["sample/z"], scores["sample/y"] = pair.z[:1000], y[:1000]
        if config.objective == "supervised":
            return scores | {"loss": mse(y, pair.z)}
        y_pos, features_pos = read(pair.z_pos)
        affine = fit_affine(features, pair.z)
        best = (affine(v) for v in (features, features_pos))
        seen = {
            "loss": (y, y_pos),
            "oracle_loss": [apply_oracle(oracle, config.output, z) for z in pair],
            "linear_loss": [apply_oracle(oracle, config.output, v) for v in best],
            "chance": [jnp.full_like(y, config.n**-0.5)] * 2,
        }
        losses = jax.lax.map(
            lambda both: _objective(config, parts, *both),
            jnp.stack([jnp.stack(list(both)) for both in seen.values()]),
        )
        scores |= dict(zip(seen, losses, strict=True))
        return scores | _isometry(config, parts, pair, y, y_pos)

    batches = over_batches(score, batch_key, config.eval_batches)
    z, y = (batches.pop(f"sample/{name}")[0] for name in "zy")
    metrics = mean_over_batches(batches)
    if config.objective != "supervised":
        losses = (batches[name] for name in ("loss", "oracle_loss", "chance"))
        metrics |= gap_metrics(*losses)
        if floor_kind(config) == "limit":
            metrics["floor"] = jnp.asarray(limit_floor(config))
        metrics["oracle_scale"] = oracle.scale
    rotations = rotation_null(null_key, z)
    metrics["mcc_rotation_low"] = jnp.quantile(rotations, 0.005)
    metrics["mcc_rotation_high"] = jnp.quantile(rotations, 0.995)
    samples = {"z": z, "y": y, "z_hat": read_back(z, y), "matrix": mcc(z, y).matrix}
    return metrics | {f"sample/{name}": value for name, value in samples.items()}


def _fit_oracle(config, parts: Parts, key, batch: int):
    def pair(key):
        return draw_pair(parts, key, batch)

    pairs = jax.lax.map(pair, jax.random.split(key, 2))
    return fit_oracle(
        config.output,
        lambda y, y_pos: _objective(config, parts, y, y_pos),
        pairs,
        low=config.low,
        high=config.high,
    )


def _train_floor(config, parts: Parts, key, batches: int = 16):
    """Mean loss of the oracle fitted at the training batch: the floor of a curve."""
    fit_key, key = jax.random.split(key)
    oracle = _fit_oracle(config, parts, fit_key, config.batch)

    def one(key):
        pair = draw_pair(parts, key, config.batch)
        y, y_pos = (apply_oracle(oracle, config.output, z) for z in pair)
        return _objective(config, parts, y, y_pos)

    return jnp.mean(jax.lax.map(one, jax.random.split(key, batches)))


def _isometry(config, parts: Parts, pair: Pair, y, y_pos) -> Metrics:
    """|s(z, z_pos) - s(y, y_pos) / tau| where data and model share a family.

    Pairs of a set on disk follow no family exactly.
    """
    if parts.held is not None:
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


def _objective(config, parts: Parts, y, y_pos, *, mesh: Mesh | None = None):
    loss = partial(infonce, similarity=parts.similarity, policy=parts.policy)
    value, metrics = over_rows(
        lambda y, y_pos, tau, axis: loss(y, y_pos, tau=tau, axis=axis),
        mesh,
        (y, y_pos),
        (config.tau,),
    )
    return metrics["negative"] if config.objective == "marginal_only" else value


def _applied(parts: Parts, params, state, x: jax.Array) -> jax.Array:
    return parts.encoder.apply(params, state, x)[0]


def _read(config, frozen, f, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(f(g(z)), features of g(z) itself); pictures are drawn and read in parts."""

    def read(z):
        x = observe(config, frozen, z)
        return f(x), coarse(x)

    return in_parts(read, z) if isinstance(config, Pictures) else read(z)


def draw_pair(parts: Parts, key: jax.Array, batch: int) -> Pair:
    """Latents of `batch` pairs of the configured process, or of the set's pictures."""
    laws = parts.space, parts.marginal, parts.conditional
    pair = sample_pair(key, *laws, batch=batch)
    return pair if parts.held is None else snapped(parts.held, pair)


def of_part(config, parts: Parts, frozen, part: str) -> tuple[Parts, Any]:
    """Parts and frozen draws for training (`train`) or for scores (`test`)."""
    frozen = on_part(config, frozen, part)
    return parts._replace(held=frozen.get("set")), frozen
