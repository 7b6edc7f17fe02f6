"""Scores, losses and nulls of content/style isolation."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.encoders import softclip
from jidcl.latents import BlockLaw, covariance, sample_blocks, spectrum, whitening
from jidcl.metrics import (
    correlation_matrix,
    determination,
    fit_kernel_ridge,
    fit_linear,
    linear_share,
    predict,
    r2,
    read_back,
)
from jidcl.systems.content_style.presets import ContentStyle
from jidcl.systems.content_style.process import draw_latents, objective
from jidcl.systems.shared.sources import Source
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.theory import fit_oracle
from jidcl.types import Array, Evaluation, Losses, Metrics, Pair

Encode = Callable[[Array], Array]


def probe(config: ContentStyle, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """Linear R2 of content and style on fresh rows, for the curve of a run."""
    z = sample_blocks(key, frozen["law"], batch=4096)
    scores = r2(z, f(source.observe(frozen, z)), split=True).per_dim
    return {
        "content_linear": jnp.mean(scores[: config.n_c]),
        "style_linear": jnp.mean(scores[config.n_c :]),
    }


def evaluate(
    config: ContentStyle, source: Source, f: Encode, frozen: Any, key: Array
) -> Evaluation:
    """Block scores of regressions fitted on other rows, and the losses.

    Args:
        config: settings of the run.
        source: of its observations.
        f: the trained encoder, `x -> y`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    k_fit, k_score, k_loss, k_sample = jax.random.split(key, 4)
    law, n_c = frozen["law"], config.n_c
    z = sample_blocks(k_fit, law, batch=config.fit_rows)
    x = source.observe(frozen, z)
    y = f(x)
    linear, from_x = fit_linear(z, y), fit_linear(z, x)
    ridge = fit_kernel_ridge(z, y, blocks=(n_c, config.n_s))
    from_content = fit_linear(z, z[:, :n_c])

    def score(key):
        z = sample_blocks(key, law, batch=config.score_rows)
        x = source.observe(frozen, z)
        y = f(x)
        predictions = {
            "linear": linear(y),
            "krr": predict(ridge, y),
            "identity": from_x(x),
            "from_content": from_content(z[:, :n_c]),
        }
        return {name: determination(z, z_hat) for name, z_hat in predictions.items()}

    found = mean_over_batches(over_batches(score, k_score, config.eval_batches))
    scores = _block_scores(config, found)
    scores |= _style_oracle(law, scores["style_krr"])
    scores["style_oracle_sampled"] = jnp.mean(found["from_content"][n_c:])
    scores |= {"krr_alpha": ridge.alpha, "krr_gamma": ridge.gamma}
    of_x = found["identity"]
    z = sample_blocks(k_sample, law, batch=1000)
    y = f(source.observe(frozen, z))
    return Evaluation(
        scores,
        losses=reference_losses(config, source, f, frozen, k_loss),
        nulls={
            "content_linear": {"identity": jnp.mean(of_x[:n_c])},
            "style_linear": {"identity": jnp.mean(of_x[n_c:])},
        },
        samples={
            "z": z,
            "y": y,
            "z_hat": read_back(z, y),
            "matrix": correlation_matrix(z, y),
        },
    )


def reference_losses(
    config: ContentStyle, source: Source, f: Encode, frozen: Any, key: Array
) -> Losses:
    """Losses of the encoder, the true content and a constant, on the same draws.

    Unbounded outputs have no best scale: with content that pairs share exactly,
    InfoNCE falls without end to -log(entries) as the outputs grow, and training stops
    somewhere on the way. What can be compared is the loss at one spread. So all
    outputs are brought to mean variance 1 over their coordinates (one number, not a
    whitening), and the reference is the whitened true content. Of all laws of that
    variance it has the largest entropy, but the loss sees entropy smoothed by its own
    kernel, so the gap may be a little negative.

    Outputs in the unit box are compared as they are; the reference is the sigmoid of
    the whitened content at its best scale.

    Returns:
        `Losses`. Extra: `own_loss`, the loss as trained; and `train_reference`, its
        infimum, where it is known.
    """
    boxed, law = config.output == "box", frozen["law"]
    white = whitening(law.content).T
    k_fit, k_batch = jax.random.split(key)

    def place(y):
        return softclip(y) if boxed else y

    def truth(z):
        content = (z[:, : config.n_c] @ white)[:, : config.outputs]
        return jnp.pad(content, ((0, 0), (0, config.outputs - content.shape[1])))

    def value(*ys):
        return objective(config, *ys)[0]

    scale = jnp.ones(())
    if boxed:
        keys = jax.random.split(k_fit, 2)
        latents = jax.lax.map(
            lambda k: draw_latents(config, law, k, config.eval_batch), keys
        )
        pairs = Pair(*(jax.lax.map(truth, v) for v in latents[:2]))
        oracle = fit_oracle(
            "none", lambda y, y_pos: value(place(y), place(y_pos), y), pairs
        )
        scale = oracle.scale

    def score(key):
        latents = draw_latents(config, law, key, config.eval_batch)
        ys = [f(source.observe(frozen, z)) for z in latents]
        truths = [place(scale * truth(z)) for z in latents]
        own = value(*ys)
        if not boxed:
            ys, truths = _at_unit_deviation(ys), _at_unit_deviation(truths)
        # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
        chance = value(*(0 * y + 0.5 for y in ys))
        return Losses(value(*ys), value(*truths), chance, extra={"own_loss": own})

    found = over_batches(score, k_batch, config.eval_batches)
    if config.objective != "infonce" or not config.log_mean:
        return found
    # The infimum, approached as the outputs of the true content grow.
    entries = config.batch + int(config.include_positive)
    floor = -jnp.log(jnp.asarray(entries, found.loss.dtype))
    return found._replace(extra={**found.extra, "train_reference": floor})


def _at_unit_deviation(ys: Sequence[Array]) -> list[Array]:
    """All scaled by one number, so that the first has mean variance 1."""
    deviation = jnp.sqrt(jnp.mean(jnp.var(ys[0], axis=0)))
    return [y / jnp.where(deviation > 0, deviation, 1) for y in ys]


def _block_scores(config: ContentStyle, found: Metrics) -> Metrics:
    """`content_linear`, `style_krr`, ...: means over a block's coordinates."""
    scores, n_c = {}, config.n_c
    for name in ("linear", "krr"):
        scores[f"content_{name}"] = jnp.mean(found[name][:n_c])
        scores[f"style_{name}"] = jnp.mean(found[name][n_c:])
        scores[f"{name}_per_dim"] = found[name]
    if config.fixed_style:
        fixed = found["krr"][n_c + jnp.asarray(config.fixed_style)]
        scores["fixed_style_krr"] = jnp.mean(fixed)
    return scores


def _style_oracle(law: BlockLaw, style_krr: Array) -> Metrics:
    """What a perfect content encoder scores on style, and the frozen spectra."""
    share = linear_share(law.effect, covariance(law.content), covariance(law.style))
    parts = {"content": law.content, "style": law.style, "change": law.change}
    spectra = {name: spectrum(factor) for name, factor in parts.items()}
    return {
        "style_oracle": jnp.mean(share),
        "style_excess": style_krr - jnp.mean(share),
        "style_oracle_per_dim": share,
        "change_condition": spectra["change"][0] / spectra["change"][-1],
        **{f"{name}_eigenvalues": values for name, values in spectra.items()},
    }
