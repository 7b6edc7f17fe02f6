"""Scores, losses and nulls of cross-entropy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.latents import class_of_index
from jidcl.metrics import (
    mcc,
    r2,
    read_back,
    row_collapse,
    scale_error,
    shuffled,
    tied_kappa,
)
from jidcl.metrics.columns import fit_affine
from jidcl.systems.diet.presets import Diet
from jidcl.systems.diet.process import (
    beta_of,
    draw_instances,
    effective_rows,
    noisy,
    objective,
    reference,
    scale_is_fixed,
    target_of,
)
from jidcl.systems.shared.perturbed import admitted, perturb
from jidcl.systems.shared.sources import Source
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.types import Array, Evaluation, Losses, Metrics

Encode = Callable[[Array], Array]
_KINDS = ("noise",)  # rows of W follow a rotation of the latents at no loss


def probe(config: Diet, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """R2 on fresh rows, for the curve of a run."""
    drawn = draw_instances(config, frozen["v"], key, min(config.eval_batch, 4096))
    y = f(source.observe(frozen, drawn.z))
    scores = {"r2": r2(drawn.z, y, split=True).mean}
    if scale_is_fixed(config):
        scores["r2_linear"] = r2(drawn.z, y, split=True, intercept=False).mean
    return scores


def evaluate(
    config: Diet, source: Source, f: Encode, params: Any, frozen: Any, key
) -> Evaluation:
    """Scores, loss and reference over `eval_batches` fresh batches, and the nulls.

    Args:
        config: settings of the run.
        source: where observations come from.
        f: the trained encoder, `x -> y`.
        params: the trained head; see `jidcl.systems.diet.process.objective`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    v = frozen["v"]
    fit_key, batch_key, null_key = jax.random.split(key, 3)
    best = reference(config, v, fit_key)
    class_rows = v[class_of_index(jnp.arange(config.num_rows), config.clusters)]
    w, beta = effective_rows(config, params), beta_of(config, params)

    def score(key):
        z_key, noise_key, shuffle_key, worse_key = jax.random.split(key, 4)
        drawn = draw_instances(config, v, z_key, config.eval_batch)
        z, x = drawn.z, source.observe(frozen, drawn.z)
        y = f(x)
        target = noisy(config, noise_key, target_of(config, drawn))
        seen = "index" if config.labels == "instance" else "label"
        drawn = drawn._replace(**{seen: target})
        linear_z = fit_affine(x, z)(x)
        tied = tied_kappa(z, y, class_rows, w, beta=beta)
        mixed = shuffled(shuffle_key, y)
        worse = perturb(worse_key, z, _KINDS)
        # One compiled score for the encoder, its null, x itself and noisy latents.
        affine = _each(lambda y: r2(z, y, split=True).per_dim, y, mixed, x, *worse)
        kept = {"r2": jnp.mean(affine[3:], axis=1)}
        scores = {
            "r2": jnp.mean(affine[0]),
            "r2_per_dim": affine[0],
            "kappa_error": jnp.abs(tied.kappa / config.kappa - 1),
            "tied_deviation": tied.deviation,
        }
        nulls = {
            "r2": {"shuffled": jnp.mean(affine[1]), "identity": jnp.mean(affine[2])}
        }
        if scale_is_fixed(config):
            linear = _each(
                lambda y: r2(z, y, split=True, intercept=False).mean,
                y,
                mixed,
                x,
                *worse,
            )
            kept["r2_linear"] = linear[3:]
            scale = scale_error(y, z, config.kappa)
            scores["r2_linear"] = linear[0]
            scores["scale_error"] = scale.mean
            scores["scale_error_relative"] = scale.relative
            nulls["r2_linear"] = {"shuffled": linear[1], "identity": linear[2]}
        best_losses = _each(lambda z: best(drawn._replace(z=z)), z, linear_z, *worse)
        losses = {
            "loss": objective(config, params, y, target),
            "reference": best_losses[0],
            "linear_loss": best_losses[1],
        }
        kept["gap"] = best_losses[2:] - best_losses[0]
        return scores, nulls, kept, losses, {"z": z[:1000], "y": y[:1000]}

    *batches, losses, some = over_batches(score, batch_key, config.eval_batches)
    scores, nulls, kept = map(mean_over_batches, batches)
    of_rows, nulls_of_rows = _rows(config, w, class_rows, null_key)
    loss, floor = losses["loss"], losses["reference"]
    chance = jnp.full_like(floor, jnp.log(config.num_rows))
    linear_loss = {"linear_loss": losses["linear_loss"]}
    z, y = (some[name][0] for name in "zy")
    return Evaluation(
        scores=scores | of_rows,
        losses=Losses(loss, floor, chance, extra=linear_loss),
        nulls=nulls | nulls_of_rows,
        samples={"z": z, "y": y, "z_hat": read_back(z, y), "matrix": mcc(z, y).matrix},
        perturbed=admitted(kept.pop("gap"), kept, jnp, _KINDS),
    )


def _each(score, *arrays):
    """The score of every array, one after another."""
    return jax.lax.map(score, jnp.stack(arrays))


def _rows(config: Diet, w: Array, v: Array, key):
    """(scores, nulls) of rows of W, `[rows, n]`, against the cluster vectors of each.

    Empty where there are too few rows.
    """
    rows = config.num_rows
    if rows < 4 * (config.n + 1):
        return {}, {}
    mixed = shuffled(key, w)
    affine = _each(lambda w: r2(v, w, split=True).mean, w, mixed)
    scores = {
        "r2_rows": affine[0],
        "row_collapse": row_collapse(w, config.clusters).ratio,
    }
    nulls = {"r2_rows": {"shuffled": affine[1]}}
    if scale_is_fixed(config):
        linear = _each(lambda w: r2(v, w, split=True, intercept=False).mean, w, mixed)
        scores["r2_rows_linear"] = linear[0]
        scores["rows_scale_error"] = scale_error(w, v, 1.0).mean
        nulls["r2_rows_linear"] = {"shuffled": linear[1]}
    return scores, nulls
