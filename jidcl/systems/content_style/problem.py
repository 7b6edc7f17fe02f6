"""Content/style: does training on augmented pairs isolate what they share?

Wiring of von Kuegelgen et al. 2021. Where its equations live: the latent process in
`jidcl.latents.blocks`, the mixing g in `jidcl.mixing.dense`, the objectives in
`jidcl.losses.contrastive` and `jidcl.losses.entropy`, the scores in
`jidcl.metrics.blocks`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.encoders import Encoder, softclip
from jidcl.latents import (
    BlockLaw,
    covariance,
    init_blocks,
    sample_block_pair,
    sample_blocks,
    spectrum,
    whitening,
)
from jidcl.losses import NegativePolicy, Similarity, align_maxent, infonce
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
from jidcl.systems.shared.wiring import (
    gap_metrics,
    init_encoder,
    init_mixing,
    mean_over_batches,
    observe,
    over_batches,
    over_rows,
    run_optimiser,
)
from jidcl.theory import apply_oracle, fit_oracle
from jidcl.types import Array, Metrics, Pair, Problem

# Settings that may differ along a batch of runs: numbers that enter no shape.
TRACED = ("tau", "change")


class Batch(NamedTuple):
    """What the loss sees: anchors, positives, independent negatives, `[batch, n]`."""

    x: Array
    x_pos: Array
    x_neg: Array


def make_problem(config: ContentStyle, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss, InfoNCE, over its `data` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    encoder = build_encoder(config)

    def freeze(key):
        k_mixing, k_law = jax.random.split(key)
        return {
            "g": init_mixing(config, k_mixing, config.n),
            "law": init_blocks(
                k_law,
                config.n_c,
                config.n_s,
                stat=config.stat,
                causal=config.causal,
                least_eigenvalue=config.least_eigenvalue,
            ),
        }

    def draw(frozen, key):
        latents = draw_latents(config, frozen["law"], key, config.batch)
        return Batch(*(observe(config, frozen, z) for z in latents))

    def loss(params, state, batch, key):
        y, state = encoder.apply(params, state, jnp.stack(batch), train=True)
        value, metrics = objective(config, *y, mesh=mesh)
        return value, (state, metrics)

    def probe(params, state, frozen, key):
        z = sample_blocks(key, frozen["law"], batch=4096)
        y, _ = encoder.apply(params, state, observe(config, frozen, z))
        scores = r2(z, y, split=True).per_dim
        return {
            "content_linear": jnp.mean(scores[: config.n_c]),
            "style_linear": jnp.mean(scores[config.n_c :]),
        }

    def evaluate(params, state, frozen, key):
        def f(x):
            return encoder.apply(params, state, x)[0]

        return _evaluate(config, f, frozen, key)

    def sharded(mesh):
        return make_problem(config, mesh)

    spread = sharded if config.objective == "infonce" else None
    return Problem(
        freeze, encoder.init, draw, loss, probe, evaluate, spread, config.precision
    )


make_run_optimiser = run_optimiser


def frozen_identity(config: ContentStyle) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n_c", "n_s", "stat", "causal", "least_eigenvalue")
    names += ("mixing", "mixing_layers", "mixing_draws")
    return {name: getattr(config, name) for name in names}


def floor_kind(config: ContentStyle) -> str:
    """`"oracle"`: the loss of the true content, see `reference_losses`."""
    return "oracle"


def build_encoder(config: ContentStyle) -> Encoder:
    """The encoder of a configuration, n -> outputs."""
    return init_encoder(
        config,
        config.n,
        m=config.outputs,
        output=config.output,
    )


def draw_latents(config: ContentStyle, law: BlockLaw, key, batch: int):
    """(z, z_pos, z_neg), the negatives drawn independently of the pairs."""
    k_pair, k_negative = jax.random.split(key)
    changes = jnp.asarray([j not in config.fixed_style for j in range(config.n_s)])
    change = jnp.where(changes, config.change, 0.0)
    pair = sample_block_pair(k_pair, law, batch=batch, change=change)
    return *pair, sample_blocks(k_negative, law, batch=batch)


def objective(
    config: ContentStyle,
    y: Array,
    y_pos: Array,
    y_neg: Array,
    *,
    mesh: Mesh | None = None,
):
    """The training loss and its parts, `(scalar, metrics)`.

    AlignMaxEnt takes its entropy from the anchors and leaves the negatives unused.
    """
    if config.objective == "align_maxent":
        return align_maxent(y, y_pos, variance=config.variance, weight=config.weight)
    policy = NegativePolicy(
        negatives="independent",
        include_positive=config.include_positive,
        log_mean=config.log_mean,
        alpha=config.alpha,
    )
    similarity = Similarity("lp", config.p, config.power)
    loss = partial(infonce, similarity=similarity, policy=policy)
    return over_rows(
        lambda y, y_pos, y_neg, tau, axis: loss(y, y_pos, y_neg, tau=tau, axis=axis),
        mesh,
        (y, y_pos, y_neg),
        (config.tau,),
    )


def reference_losses(config: ContentStyle, f, frozen, key) -> Metrics:
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
        Lists over `eval_batches`: `loss`, `oracle_loss`, `chance`, and `own_loss`,
        the loss as trained.
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
        z, z_pos, _ = jax.lax.map(
            lambda k: draw_latents(config, law, k, config.eval_batch), keys
        )
        pairs = Pair(*(jax.lax.map(truth, v) for v in (z, z_pos)))
        oracle = fit_oracle(
            "none", lambda y, y_pos: value(place(y), place(y_pos), y), pairs
        )
        scale = apply_oracle(oracle, "none", jnp.ones((1,)))[0]

    def score(key):
        latents = draw_latents(config, law, key, config.eval_batch)
        ys = [f(observe(config, frozen, z)) for z in latents]
        truths = [place(scale * truth(z)) for z in latents]
        own = value(*ys)
        if not boxed:
            ys, truths = at_unit_spread(ys), at_unit_spread(truths)
        return {
            "own_loss": own,
            "loss": value(*ys),
            "oracle_loss": value(*truths),
            # 0 * y keeps it a computed value: XLA would fold a constant for seconds.
            "chance": value(*(0 * y + 0.5 for y in ys)),
        }

    return over_batches(score, k_batch, config.eval_batches)


def at_unit_spread(ys: list[Array]) -> list[Array]:
    """All scaled by one number, so that the first has mean variance 1."""
    spread = jnp.sqrt(jnp.mean(jnp.var(ys[0], axis=0)))
    return [y / jnp.where(spread > 0, spread, 1) for y in ys]


def _evaluate(config: ContentStyle, f, frozen, key) -> Metrics:
    """Block scores of regressions fitted on other rows, and the losses."""
    k_fit, k_score, k_loss, k_sample = jax.random.split(key, 4)
    law, n_c = frozen["law"], config.n_c
    z = sample_blocks(k_fit, law, batch=config.fit_rows)
    x = observe(config, frozen, z)
    y = f(x)
    linear, from_x = fit_linear(z, y), fit_linear(z, x)
    ridge = fit_kernel_ridge(z, y, blocks=(n_c, config.n_s))
    from_content = fit_linear(z, z[:, :n_c])

    def score(key):
        z = sample_blocks(key, law, batch=config.score_rows)
        x = observe(config, frozen, z)
        y = f(x)
        predictions = {
            "linear": linear(y),
            "krr": predict(ridge, y),
            "linear_identity": from_x(x),
            "linear_from_content": from_content(z[:, :n_c]),
        }
        return {name: determination(z, z_hat) for name, z_hat in predictions.items()}

    scores = mean_over_batches(over_batches(score, k_score, config.eval_batches))
    metrics = _block_means(config, scores)
    metrics |= _style_oracle(law, metrics["style_krr"])
    metrics["style_oracle_sampled"] = jnp.mean(scores["linear_from_content"][n_c:])
    metrics |= {"krr_alpha": ridge.alpha, "krr_gamma": ridge.gamma}
    losses = reference_losses(config, f, frozen, k_loss)
    metrics |= gap_metrics(losses["loss"], losses["oracle_loss"], losses["chance"])
    metrics["own_loss"] = jnp.mean(losses["own_loss"])
    if config.objective == "infonce" and config.log_mean:
        # The infimum, approached as the outputs of the true content grow.
        entries = config.batch + int(config.include_positive)
        metrics["train_floor"] = -jnp.log(jnp.asarray(entries, y.dtype))
    z = sample_blocks(k_sample, law, batch=1000)
    y = f(observe(config, frozen, z))
    samples = {"z": z, "y": y, "z_hat": read_back(z, y)}
    samples["matrix"] = correlation_matrix(z, y)
    return metrics | {f"sample/{name}": value for name, value in samples.items()}


def _block_means(config: ContentStyle, scores: Metrics) -> Metrics:
    """`content_linear`, `style_krr`, ...: means over a block's coordinates."""
    metrics = {}
    for name in ("linear", "krr", "linear_identity"):
        content, style = scores[name][: config.n_c], scores[name][config.n_c :]
        metrics[f"content_{name}"] = jnp.mean(content)
        metrics[f"style_{name}"] = jnp.mean(style)
    for name in ("linear", "krr"):
        metrics[f"{name}_per_dim"] = scores[name]
    if config.fixed_style:
        fixed = scores["krr"][config.n_c + jnp.asarray(config.fixed_style)]
        metrics["fixed_style_krr"] = jnp.mean(fixed)
    return metrics


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
