"""Scores of views of pictures: the class, and every factor, by read-outs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.latents.causal import CLASSES, GROUPS
from jidcl.losses import ntxent
from jidcl.metrics import (
    correlation_matrix,
    determination,
    fit_classes,
    fit_kernel_ridge,
    fit_linear,
    predict,
    r2,
    read_back,
)
from jidcl.mixing.scenes import Figures
from jidcl.systems.causal3d.presets import Causal3D
from jidcl.systems.causal3d.process import draw_apart, draw_latents, draw_views
from jidcl.systems.shared.nulls import fit_nulls, smooth_shares
from jidcl.systems.shared.sources import Source, set_size
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.types import Array, Evaluation, Losses, Metrics

Encode = Callable[[Array], Array]

# Columns of z (without the class) of each score of the published table.
SCORES = {
    "position": GROUPS["positions"][:3],
    "spot_angle": GROUPS["positions"][3:],
    "rotation": GROUPS["rotations"],
    **{Figures.factors[column]: (column,) for column in GROUPS["hues"]},
}


def probe(config: Causal3D, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """R2 of all factors, and of each, on fresh pictures, for the curve of a run."""
    frozen = source.part(frozen, "test")
    z, _ = draw_latents(frozen, key, config.eval_batch)
    y = source.read(lambda z: f(source.observe(frozen, z)), z)
    z = z[:, 1:]
    return _by_factor(r2(z, y, split=True).per_dim, smooth_shares(z, y))


def evaluate(
    config: Causal3D, source: Source, f: Encode, frozen: Any, key
) -> Evaluation:
    """Accuracy of the class and R2 of the factors, by read-outs fitted elsewhere.

    Args:
        config: settings of the run.
        source: where pictures come from.
        f: the trained encoder, `x -> y`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`. Its losses have no reference: that of the true content is not
        known.
    """
    frozen = source.part(frozen, "test")
    rows_key, loss_key = jax.random.split(key)
    shape = config.eval_batches, config.eval_batch
    (z, label), (z_new, label_new) = draw_apart(
        frozen, rows_key, config.fit_rows, shape[0] * shape[1]
    )

    # One renderer for the rows to fit on and those to score: it takes long to compile.
    def read(z):
        x = source.observe(frozen, z)
        return f(x), source.features(x)

    every = source.read(read, jnp.concatenate([z, z_new]))
    y, raw = (part[: len(z)] for part in every)
    y_new, raw_new = (part[len(z) :] for part in every)
    null = fit_nulls(z[:, 1:], raw, y)
    linear = fit_linear(z[:, 1:], y)
    ridge = fit_kernel_ridge(z[:, 1:], y, blocks=(1,) * (z.shape[1] - 1))
    mean, std = (stat(y, axis=0, keepdims=True) for stat in (jnp.mean, jnp.std))
    scale = jnp.where(std > 0, std, 1)
    classify = fit_classes((y - mean) / scale, label, CLASSES)

    def score(rows):
        z, y, raw, label = rows
        hits = classify((y - mean) / scale) == label
        return {
            "class": jnp.mean(hits, dtype=y.dtype),
            "linear": determination(z[:, 1:], linear(y)),
            "krr": determination(z[:, 1:], predict(ridge, y)),
            **{k: determination(z[:, 1:], v) for k, v in null(raw, y).items()},
        }

    def loss(key):
        z_key, key = jax.random.split(key)
        z, _ = draw_latents(frozen, z_key, config.batch)
        views = draw_views(config, source, frozen, key, z)
        ys = jnp.split(f(jnp.concatenate([views.x, views.x_pos])), 2)
        return ntxent(*ys, tau=config.tau)[0]

    batches = [rows.reshape(*shape, -1) for rows in (z_new, y_new, raw_new)]
    batches.append(label_new.reshape(shape))
    shares = mean_over_batches(jax.lax.map(score, batches))
    scores = {"class": shares["class"], **_by_factor(shares["linear"], shares["krr"])}
    by_null = {k: _by_factor(shares[k], shares[k]) for k in ("identity", "shuffled")}
    nulls = {
        name: {null: held[name] for null, held in by_null.items()}
        for name in by_null["identity"]
    }
    samples = {"z": z[:1000], "y": y[:1000], "z_hat": read_back(z, y)[:1000]}
    return Evaluation(
        scores=scores | set_size(frozen),
        losses=Losses(over_batches(loss, loss_key, config.eval_batches)),
        nulls=nulls,
        samples={**samples, "matrix": correlation_matrix(z, y)},
    )


def _by_factor(linear: Array, smooth: Array) -> Metrics:
    """R2 of all factors and of each, of two read-outs `[factors]`, by name."""
    scores = {"r2": jnp.mean(linear)}
    for name, columns in SCORES.items():
        chosen = jnp.asarray(columns) - 1
        scores[name] = jnp.mean(smooth[chosen])
        scores[f"{name}_linear"] = jnp.mean(linear[chosen])
    return scores
