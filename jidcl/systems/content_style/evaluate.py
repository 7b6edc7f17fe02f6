"""Scores, losses and nulls of content/style isolation."""

from collections.abc import Callable
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
from jidcl.systems.content_style.process import Latents, draw_latents, objective
from jidcl.systems.shared.nulls import fit_nulls, smooth_shares
from jidcl.systems.shared.perturbed import admitted, perturb
from jidcl.systems.shared.sources import Source
from jidcl.systems.shared.wiring import mean_over_batches, over_batches
from jidcl.theory import fit_oracle
from jidcl.types import Array, Evaluation, Losses, Metrics, Pair

Encode = Callable[[Array], Array]


def probe(config: ContentStyle, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """R2 of content and style on fresh rows, for the curve of a run."""
    z = sample_blocks(key, frozen["law"], batch=4096)
    y = f(source.observe(frozen, z))
    scores = r2(z, y, split=True).per_dim
    smooth = smooth_shares(z, y)
    return {
        "content_linear": jnp.mean(scores[: config.n_c]),
        "style_linear": jnp.mean(scores[config.n_c :]),
        **_of_blocks(config, "krr", smooth),
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
    linear, null = fit_linear(z, y), fit_nulls(z, x, y)
    ridge = fit_kernel_ridge(z, y, blocks=(n_c, config.n_s))
    from_content = fit_linear(z, z[:, :n_c])

    def score(key):
        z = sample_blocks(key, law, batch=config.score_rows)
        x = source.observe(frozen, z)
        y = f(x)
        predictions = {
            "linear": linear(y),
            "krr": predict(ridge, y),
            **null(x, y),
            "from_content": from_content(z[:, :n_c]),
        }
        return {name: determination(z, z_hat) for name, z_hat in predictions.items()}

    found = mean_over_batches(over_batches(score, k_score, config.eval_batches))
    scores = _block_scores(config, found)
    scores |= _style_oracle(law, scores["style_krr"])
    scores["style_oracle_sampled"] = jnp.mean(found["from_content"][n_c:])
    scores |= {"krr_alpha": ridge.alpha, "krr_gamma": ridge.gamma}
    losses, worse = reference_losses(config, source, f, frozen, k_loss)
    z = sample_blocks(k_sample, law, batch=1000)
    y = f(source.observe(frozen, z))
    return Evaluation(
        scores,
        losses=losses,
        nulls=_nulls(config, found),
        samples={
            "z": z,
            "y": y,
            "z_hat": read_back(z, y),
            "matrix": correlation_matrix(z, y),
        },
        perturbed=worse,
    )


def reference_losses(
    config: ContentStyle, source: Source, f: Encode, frozen: Any, key: Array
) -> tuple[Losses, dict[str, Metrics]]:
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
        `Losses`, and what the losses of perturbed content are, see
        `jidcl.types.Evaluation.perturbed`. Extra losses: `own_loss`, the loss as
        trained; and `train_reference`, its infimum, where it is known.
    """
    boxed, law = config.output == "box", frozen["law"]
    white = whitening(law.content).T
    k_fit, k_batch = jax.random.split(key)

    def place(y):
        return softclip(y) if boxed else y

    def whitened(z):
        return z[..., : config.n_c] @ white

    def truth(content):
        content = content[..., : config.outputs]
        missing = config.outputs - content.shape[-1]
        return jnp.pad(content, ((0, 0),) * (content.ndim - 1) + ((0, missing),))

    def value(ys):
        return objective(config, *ys)[0]

    scale = jnp.ones(())
    if boxed:
        keys = jax.random.split(k_fit, 2)
        latents = jax.lax.map(
            lambda k: draw_latents(config, law, k, config.eval_batch), keys
        )
        pairs = Pair(*(truth(whitened(z)) for z in latents[:2]))
        oracle = fit_oracle(
            "none", lambda y, y_pos: value((place(y), place(y_pos), y)), pairs
        )
        scale = oracle.scale

    def score(key):
        draw_key, worse_key = jax.random.split(key)
        latents = draw_latents(config, law, draw_key, config.eval_batch)
        content = Latents(*map(whitened, latents))
        worse = perturb(worse_key, content)
        own = jnp.stack([f(source.observe(frozen, z)) for z in latents])
        truths = [jnp.stack([truth(c) for c in content])[None]]
        truths.append(jnp.stack([truth(c) for c in worse], axis=1))
        compared = jnp.concatenate([own[None], place(scale * jnp.concatenate(truths))])
        if not boxed:
            compared = jax.vmap(_at_unit_deviation)(compared)
        # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
        every = jnp.concatenate([jnp.stack([own, 0 * own + 0.5]), compared])
        kept = jax.vmap(lambda c: r2(content.z, c).mean)(worse.z)
        return jax.lax.map(value, every), kept

    values, kept = over_batches(score, k_batch, config.eval_batches)
    own, chance, loss, reference = values[:, :4].T
    extra = {"own_loss": own}
    if config.objective == "infonce" and config.log_mean:
        # The infimum, approached as the outputs of the true content grow.
        entries = config.batch + int(config.include_positive)
        extra["train_reference"] = -jnp.log(jnp.asarray(entries, loss.dtype))
    gaps = jnp.mean(values[:, 4:] - reference[:, None], axis=0)
    # Content and noise are normal: no read-out finds more than a linear one.
    of_content = jnp.mean(kept, axis=0)
    names = "r2", "content_linear", "content_krr"
    scores: Metrics = {name: of_content for name in names}
    return Losses(loss, reference, chance, extra=extra), admitted(gaps, scores, jnp)


def _at_unit_deviation(ys: Array) -> Array:
    """`[3, batch, m]`, scaled by one number: the first has mean variance 1."""
    deviation = jnp.sqrt(jnp.mean(jnp.var(ys[0], axis=0)))
    return ys / jnp.where(deviation > 0, deviation, 1)


def _block_scores(config: ContentStyle, found: Metrics) -> Metrics:
    """`content_linear`, `style_krr`, ...: means over a block's coordinates."""
    scores = {}
    for name in ("linear", "krr"):
        scores |= _of_blocks(config, name, found[name])
        scores[f"{name}_per_dim"] = found[name]
    return scores


def _of_blocks(config: ContentStyle, name: str, shares: Array) -> Metrics:
    """The means over content, over style, and over the style that never changes."""
    scores, n_c = {}, config.n_c
    scores[f"content_{name}"] = jnp.mean(shares[:n_c])
    scores[f"style_{name}"] = jnp.mean(shares[n_c:])
    if config.fixed_style and name == "krr":
        fixed = shares[n_c + jnp.asarray(config.fixed_style)]
        scores["fixed_style_krr"] = jnp.mean(fixed)
    return scores


def _nulls(config: ContentStyle, found: Metrics) -> dict[str, Metrics]:
    """Nulls of both read-outs: what linear ones of x and of shuffled outputs find."""
    nulls: dict[str, Metrics] = {}
    for null in ("identity", "shuffled"):
        for name in ("linear", "krr"):
            for score, value in _of_blocks(config, name, found[null]).items():
                nulls.setdefault(score, {})[null] = value
    return nulls


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
