"""Scores, losses and nulls of LeJEPA's linear identifiability.

The scores and the bound of Theorem 3 are in `jidcl.metrics.linear_id`, Theorem 1's
minimum is in `jidcl.theory.limits`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jidcl.latents import ou_step, unit_variance
from jidcl.latents.families import noise
from jidcl.metrics import (
    correlation_matrix,
    fit_affine,
    linear_id,
    plane_grid,
    shuffled,
    total_r2,
)
from jidcl.systems.lejepa.presets import LeJEPA
from jidcl.systems.lejepa.process import draw_pair, objective
from jidcl.systems.shared.cross_fitted import cross_fitted
from jidcl.systems.shared.perturbed import admitted, perturb
from jidcl.systems.shared.wiring import over_batches
from jidcl.theory import ou_alignment_limit
from jidcl.types import Array, Evaluation, Losses, Metrics

Map = Callable[[Array], Array]


def evaluate(config: LeJEPA, f: Map, g: Map, keys: Sequence[Array]) -> Evaluation:
    """Scores, losses and nulls of one encoder.

    Args:
        config: settings of the run.
        f: the encoder, `[batch, n] -> [batch, n]`.
        g: the mixing, `[batch, n] -> [batch, n]`.
        keys: two typed keys, of the scores and of the losses.

    Returns:
        An `Evaluation`; terms of the loss, of the encoder and of the true latents
        (`..._truth`), are scores.
    """
    k_score, k_loss = keys
    recovery = _recovery(config, f, g, k_score)
    losses, terms, worse = compare_losses(config, lambda z: f(g(z)), k_loss)
    return dataclasses.replace(
        recovery, scores=recovery.scores | terms, losses=losses, perturbed=worse
    )


def _recovery(config: LeJEPA, f: Map, g: Map, key: Array) -> Evaluation:
    """Recovery on one sample, in-sample as published, with Theorem 3's bound."""
    k_z, k_step, k_shuffle = jax.random.split(key, 3)
    density = unit_variance(config.alpha)
    z = noise(k_z, density, (config.eval_batch, config.n), jnp.float32)
    x, z_pos = g(z), ou_step(k_step, density, z, config.rho)
    y, y_pos = f(x), f(g(z_pos))
    scores = linear_id(z, y, y_pos, config.rho)._asdict()
    scores["r2"] = scores.pop("r2_hz")
    held = scores["procrustes_mse"] <= scores["approx_bound"]
    scores["bound_held"] = held.astype(jnp.float32)
    if config.n == 2:
        grid = plane_grid()
        scores["r2_grid"] = total_r2(f(g(grid)), grid)
    some = slice(min(1000, config.eval_batch))
    read = {"shuffled": shuffled(k_shuffle, y), "identity": x}
    nulls = {"r2": {name: total_r2(v, z) for name, v in read.items()}}
    few, by_chance = cross_fitted(z, y, read, ("r2",), xp=jnp)
    return Evaluation(
        scores=scores | few,
        nulls=nulls | by_chance,
        samples={
            "z": z[some],
            "y": y[some],
            "z_hat": fit_affine(y, z)(y[some]),
            "matrix": correlation_matrix(z, y),
        },
    )


def compare_losses(
    config: LeJEPA, h: Map, key: Array
) -> tuple[Losses, Metrics, dict[str, Metrics]]:
    """The loss at the training batch beside that of the true latents, paired.

    `chance` is the loss of an encoder that ignores the pairing: a constant one; for
    the matched encoder, which preserves volume and so cannot be constant, the true
    latents with the partners of other rows (but InfoNCE keeps log(batch)).

    Args:
        config: settings of the run.
        h: from latents to outputs, `[batch, n] -> [batch, n]`.
        key: a typed key.

    Returns:
        The losses, the means of their terms by name, and what the losses of perturbed
        latents are, see `jidcl.types.Evaluation.perturbed`.
    """
    broken = config.encoder == "matched" and config.objective != "infonce"

    def score(key):
        pair = draw_pair(config, jax.random.fold_in(key, 0))
        truth, views = jnp.stack(pair), jnp.stack([h(z) for z in pair])
        null = 0 * truth
        if broken:
            null = jnp.stack([pair.z, jnp.roll(pair.z_pos, 1, axis=0)])
        worse = perturb(jax.random.fold_in(key, 2), pair)
        first = jnp.stack([views, truth, null])
        every = jnp.concatenate([first, jnp.stack(worse, axis=1)])
        values, terms = objective(config, every, jax.random.fold_in(key, 1))
        return values, terms, jax.vmap(lambda y: total_r2(y, pair.z))(worse.z)

    values, terms, kept = over_batches(score, key, config.eval_batches)
    loss, reference, chance = values[:, :3].T
    gaps = jnp.mean(values[:, 3:] - reference[:, None], axis=0)
    worse = admitted(gaps, {"r2": jnp.mean(kept, axis=0)}, jnp)
    scores = {name: jnp.mean(value[:, 0]) for name, value in terms.items()}
    scores |= {f"{name}_truth": jnp.mean(v[:, 1]) for name, v in terms.items()}
    limit = ou_alignment_limit(config.rho, config.pair)
    scores["alignment_limit"] = jnp.asarray(limit)
    extra = {"train_reference": reference}
    return Losses(loss, reference, chance, extra=extra), scores, worse
