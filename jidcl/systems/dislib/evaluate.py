"""Every factor read from the features of a classifier, beside the controls."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.losses import accuracy, class_logits
from jidcl.metrics import correlation_matrix, decode_factors, read_back, shuffled
from jidcl.systems.dislib.presets import Dislib
from jidcl.systems.dislib.process import (
    NOISE,
    Grid,
    draw_latents,
    draw_points,
    label_entropy,
    latents_of,
    make_grid,
    num_labels,
    objective,
    perturb_others,
)
from jidcl.systems.shared.perturbed import admitted
from jidcl.systems.shared.pictures import coarse
from jidcl.systems.shared.sources import Source, set_size
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.types import Array, Evaluation, Losses, Metrics

_RIDGE = 1e-5  # of pixels, some of which are lit in hardly any picture

Encode = Callable[[Array], Array]


def probe(config: Dislib, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """The factors' read-outs, for the curve of a run.

    As many rows are fitted as in the last evaluation, for scores that compare.
    """
    frozen = source.part(frozen, "test")

    def read(z):
        return f(source.observe(frozen, z))

    seen, new = _read_both(config, source, frozen, key, read, 1)
    return _read_outs(make_grid(config), seen, new)


def evaluate(
    config: Dislib, source: Source, f: Encode, params: Any, frozen: Any, key
) -> Evaluation:
    """Correlation of every factor with its read-out, beside the controls; the loss.

    Args:
        config: settings of the run.
        source: where pictures come from.
        f: the trained encoder, `x -> y`.
        params: the trained head, `w` and `bias`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    grid, frozen = make_grid(config), source.part(frozen, "test")
    read_key, loss_key, null_key = jax.random.split(key, 3)

    def both(z):
        x = source.observe(frozen, z)
        return {"y": f(x), "raw": coarse(x, config.raw_side)}

    batches = config.eval_batches
    (seen, t), (new, t_new) = _read_both(
        config, source, frozen, read_key, both, batches
    )
    null_keys = jax.random.split(null_key)
    mixed = [shuffled(k, y["y"]) for k, y in zip(null_keys, (seen, new), strict=True)]
    of_x = _read_outs(grid, (seen["raw"], t), (new["raw"], t_new), _ridge)
    by_chance = _read_outs(grid, (mixed[0], t), (mixed[1], t_new))
    nulls = {k: {"identity": of_x[k], "shuffled": by_chance[k]} for k in of_x}

    def score(key):
        key, worse_key = jax.random.split(key)
        z, target = draw_latents(
            config, grid, frozen, key, config.eval_batch, held=True
        )
        y = source.read(lambda z: f(source.observe(frozen, z)), z)
        logits = class_logits(y, params["w"], bias=params["bias"])
        found = {
            "loss": objective(params, y, target),
            "reference": label_entropy(config, grid, frozen, z, target),
            "accuracy": accuracy(logits, target),
        }
        return found, _worse(config, grid, frozen, worse_key, z, target)

    scored, worse = over_batches(score, loss_key, batches)
    loss, reference = scored["loss"], scored["reference"]
    chance = jnp.log(jnp.full_like(loss, num_labels(config, grid)))
    scores = _read_outs(grid, (seen["y"], t), (new["y"], t_new))
    scores["accuracy"] = jnp.mean(scored["accuracy"])
    z, z_hat = latents_of(grid, t_new[:1000]), read_back(t_new, new["y"])[:1000]
    samples = {"z": z, "y": new["y"][:1000], "z_hat": latents_of(grid, z_hat)}
    return Evaluation(
        scores=scores | set_size(frozen),
        losses=Losses(loss, reference, chance),
        nulls=nulls,
        samples={**samples, "matrix": correlation_matrix(z, z_hat)},
        perturbed=_admitted(worse, reference),
    )


def _worse(config: Dislib, grid: Grid, frozen: Any, key, z: Array, target) -> Metrics:
    """Losses of noisy latents, and how their factors correlate with the true ones.

    Empty for classes: they follow from one factor, whatever the others are.
    """
    if config.labels == "class":
        return {}
    worse = perturb_others(grid, key, z)
    losses = jax.lax.map(
        lambda w: label_entropy(config, grid, frozen, w, target), worse
    )
    kept = jax.vmap(lambda w: jnp.diagonal(correlation_matrix(z, w)))(worse)
    by_factor = dict(zip(grid.names, kept.T, strict=True))
    return {"loss": losses, "r2": jnp.mean(kept**2, axis=1), **by_factor}


def _admitted(worse: Metrics, reference: Array) -> dict[str, Metrics]:
    """What `_worse` of all batches, `[batches, count]` each, says of a bar."""
    if not worse:
        return {}
    gaps = jnp.mean(worse.pop("loss") - reference[:, None], axis=0)
    return admitted(gaps, mean_over_batches(worse), jnp, NOISE)


def _read_both(config: Dislib, source: Source, frozen: Any, key, read, batches: int):
    """((y, levels) of points trained on, (y, levels) of held-out ones)."""
    grid = make_grid(config)
    keys = jax.random.split(key)
    rows = (config.fit_rows, batches * config.eval_batch)
    parts = []
    for k, count, held in zip(keys, rows, (False, True), strict=True):
        levels = draw_points(grid, frozen, k, count, held=held)
        y = source.read(read, latents_of(grid, levels))
        parts.append((y, levels.astype(jnp.float32)))
    return parts


def _ridge(y, t, y_new, t_new, *, intercept: bool = False):
    """`decode_factors` with a ridge; a column of ones is the intercept."""
    if intercept:
        y, y_new = (jnp.pad(v, ((0, 0), (0, 1)), constant_values=1) for v in (y, y_new))
    return decode_factors(y, t, y_new, t_new, ridge=_RIDGE)


def _read_outs(grid: Grid, seen: tuple, new: tuple, read=decode_factors) -> Metrics:
    """Scores of the published read-out, and of one that has an intercept, by factor."""
    plain = read(*seen, *new)
    affine = read(*seen, *new, intercept=True)
    scores = dict(zip(grid.names, plain, strict=True))
    for name, score in zip(grid.names, affine, strict=True):
        scores[f"{name}_intercept"] = score
    return scores
