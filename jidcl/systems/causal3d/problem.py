"""Which factors do two views of a picture share? Content and style from pixels.

Where its equations live: graph and latent transformations in `jidcl.latents.causal`,
pictures in `jidcl.mixing.scenes`, random views in `jidcl.data.views`, NT-Xent in
`jidcl.losses.regularised`, read-outs in `jidcl.metrics.blocks` and
`jidcl.metrics.decoding`.

Source: von Kuegelgen et al. 2021, section 5.2 (Causal3DIdent).
"""

from functools import partial

import jax
import jax.numpy as jnp

from jidcl.data import ViewSettings, nearest_rows
from jidcl.latents.causal import CLASSES, GROUPS, sample_causal, transform
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
from jidcl.systems.causal3d.presets import AUGMENTED, TRANSFORMED, Causal3D
from jidcl.systems.shared.pictures import (
    in_parts,
    on_part,
    pictures_identity,
    set_metrics,
    shared_pictures,
    two_views,
)
from jidcl.systems.shared.wiring import (
    init_encoder,
    mean_over_batches,
    observe,
    observe_pair,
    over_batches,
    run_optimiser,
)
from jidcl.types import Array, Batch, Metrics, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("tau",)
make_run_optimiser = run_optimiser

# Columns of z (without the class) of each score of the published table.
SCORES = {
    "position": GROUPS["positions"][:3],
    "spot_angle": GROUPS["positions"][3:],
    "rotation": GROUPS["rotations"],
    **{Figures.factors[column]: (column,) for column in GROUPS["hues"]},
}


def make_problem(config: Causal3D) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`."""
    encoder = init_encoder(config, config.m)
    shared = shared_pictures(config)
    if isinstance(shared, dict) and config.fit_rows >= len(shared["test"].z):
        raise ValueError(
            f"fit_rows must be < {len(shared['test'].z)}, the pictures for scores in "
            f"{config.folder}, got {config.fit_rows}"
        )

    def draw(frozen, key):
        frozen = on_part(config, frozen, "train")
        z_key, key = jax.random.split(key)
        z, _ = draw_latents(frozen, z_key, config.batch)
        return draw_views(config, frozen, key, z)

    def loss(params, state, batch, key):
        ys = []
        for x in (batch.x, batch.x_pos):
            y, state = encoder.apply(params, state, x, train=True)
            ys.append(y)
        value, metrics = ntxent(*ys, tau=config.tau)
        return value, (state, metrics)

    def f(params, state, x):
        return encoder.apply(params, state, x)[0]

    def probe(params, state, frozen, key):
        frozen = on_part(config, frozen, "test")
        z, _ = draw_latents(frozen, key, config.eval_batch)
        y = in_parts(lambda z: f(params, state, observe(config, frozen, z)), z)
        return {"r2": r2(z[:, 1:], y, split=True).mean}

    def evaluate(params, state, frozen, key):
        frozen = on_part(config, frozen, "test")
        scores = _evaluate(config, partial(f, params, state), frozen, key)
        return scores | set_metrics(frozen)

    return Problem(
        lambda key: {"g": {}},
        encoder.init,
        draw,
        loss,
        probe,
        evaluate,
        precision=config.precision,
        shared=shared,
    )


def frozen_identity(config: Causal3D) -> dict[str, object]:
    """The settings that the frozen draws depend on: a scene has none."""
    return pictures_identity(config)


def floor_kind(config: Causal3D) -> str:
    """`"none"`: the loss of the true content is not known."""
    return "none"


def draw_latents(frozen, key: Array, batch: int) -> tuple[Array, Array]:
    """(z, class) from the graph, or of pictures of the set, any of them as likely."""
    held = frozen.get("set")
    if held is None:
        return sample_causal(key, batch=batch)
    rows = jax.random.randint(key, (batch,), 0, len(held.z))
    return held.z[rows], held.label[rows]


def draw_apart(frozen, key: Array, rows: int, others: int):
    """(z, class) of `rows` samples, and `others` more, of other pictures of the set.

    No picture of a set is twice among the first, nor in both.
    """
    held = frozen.get("set")
    if held is None:
        keys = jax.random.split(key)
        pairs = zip(keys, (rows, others), strict=True)
        return [sample_causal(k, batch=count) for k, count in pairs]
    order_key, key = jax.random.split(key)
    order = jax.random.permutation(order_key, len(held.z))
    rest = jax.random.randint(key, (others,), rows, len(held.z))
    chosen = order[:rows], order[rest]
    return [(held.z[index], held.label[index]) for index in chosen]


def draw_views(config: Causal3D, frozen, key: Array, z: Array) -> Batch:
    """Two views of the pictures of z, `[batch, 11]`.

    In a set the second picture of a transformation is the nearest other one of the same
    class, by all ten latents: what was not redrawn differs a little as well.
    """
    if config.views in TRANSFORMED:
        z_pos = transform(key, z, TRANSFORMED[config.views])
        held = frozen.get("set")
        if held is not None:
            own, label = nearest_rows(held.z, z), held.label
            rows = nearest_rows(held.z[:, 1:], z_pos[:, 1:], own=own, label=label)
            z_pos = held.z[rows]
        return Batch(*observe_pair(config, frozen, z, z_pos), z, z_pos)
    done = AUGMENTED[config.views]
    crop = [part for part in done if part.startswith("crop")]
    settings = ViewSettings(
        size=config.size,
        crop=bool(crop),
        area=(0.8 if crop == ["crop_large"] else 0.08, 1.0),
        jitter=0.8 * ("colour" in done),
        grey=0.2 * ("colour" in done),
    )
    x = observe(config, frozen, z)
    views = two_views(key, x, settings, turned="turn" in done)
    return Batch(views[0], views[1], z, z)


def _evaluate(config: Causal3D, f, frozen, key) -> Metrics:
    """Accuracy of the class and R2 of the factors, by read-outs fitted elsewhere."""
    rows_key, k_loss = jax.random.split(key)
    shape = config.eval_batches, config.eval_batch
    (z, label), (z_new, label_new) = draw_apart(
        frozen, rows_key, config.fit_rows, shape[0] * shape[1]
    )

    def h(z):
        return f(observe(config, frozen, z))

    y = in_parts(h, z)
    linear = fit_linear(z[:, 1:], y)
    ridge = fit_kernel_ridge(z[:, 1:], y, blocks=(1,) * (z.shape[1] - 1))
    mean, std = (stat(y, axis=0, keepdims=True) for stat in (jnp.mean, jnp.std))
    scale = jnp.where(std > 0, std, 1)
    classify = fit_classes((y - mean) / scale, label, CLASSES)

    def score(rows):
        z, label = rows
        y = in_parts(h, z)
        hits = classify((y - mean) / scale) == label
        return {
            "class": jnp.mean(hits, dtype=y.dtype),
            "linear": determination(z[:, 1:], linear(y)),
            "krr": determination(z[:, 1:], predict(ridge, y)),
        }

    def loss(key):
        z_key, key = jax.random.split(key)
        z, _ = draw_latents(frozen, z_key, config.batch)
        views = draw_views(config, frozen, key, z)
        return {"loss": ntxent(f(views.x), f(views.x_pos), tau=config.tau)[0]}

    metrics = {}
    batches = z_new.reshape(*shape, -1), label_new.reshape(shape)
    scores = mean_over_batches(jax.lax.map(score, batches))
    metrics["class"], metrics["r2"] = scores["class"], jnp.mean(scores["linear"])
    for kind in ("linear", "krr"):
        for name, columns in SCORES.items():
            chosen = scores[kind][jnp.asarray(columns) - 1]
            metrics[name if kind == "krr" else f"{name}_linear"] = jnp.mean(chosen)
    metrics |= mean_over_batches(over_batches(loss, k_loss, config.eval_batches))
    samples = {"z": z[:1000], "y": y[:1000], "z_hat": read_back(z, y)[:1000]}
    samples["matrix"] = correlation_matrix(z, y)
    return metrics | {f"sample/{name}": value for name, value in samples.items()}
