"""Rival objectives on the same pairs: which of them isolates what two views share?

All methods pull the views of a pair together and differ in how they keep the outputs
apart. Where the equations live: losses in `jidcl.losses.regularised`, `.contrastive`,
`.entropy`, `.anisotropic` and `.sketch`; heads, averages and queues in
`jidcl.objectives`; latents in `jidcl.latents`; scores in `jidcl.metrics.blocks`,
`.recovery` and `.collapse`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.encoders import Encoder
from jidcl.latents import (
    Box,
    Laplace,
    Sphere,
    Uniform,
    VonMisesFisher,
    covariance,
    init_blocks,
    sample_block_pair,
    sample_blocks,
    sample_marginal,
)
from jidcl.metrics import (
    correlation_matrix,
    determination,
    effective_rank,
    feature_variance,
    fit_kernel_ridge,
    fit_linear,
    linear_share,
    mcc,
    predict,
    r2,
    read_back,
    shuffled,
    spread,
)
from jidcl.metrics.blocks import ALPHAS, GAMMAS
from jidcl.objectives import ObjectiveSettings, Views, make_objective
from jidcl.pairs import sample_pair
from jidcl.systems.rivals.presets import CONDITIONS, ON_SPHERE, Rivals
from jidcl.systems.shared.wiring import (
    init_encoder,
    init_mixing,
    observe,
    run_optimiser,
)
from jidcl.types import Array, Metrics, Problem

# No setting differs along a batch of runs: each method has numbers of its own.
TRACED = ()


def make_problem(config: Rivals) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    encoder = build_encoder(config)
    names = ("steps", "batch", "tau", "lam", "momentum", "queue", "hidden")
    names += ("prototypes", "epsilon", "directions", "variance")
    settings = ObjectiveSettings(**{name: getattr(config, name) for name in names})
    method = make_objective(config.objective, settings)

    def f(params, x):
        return encoder.apply(params, {}, x)[0]

    def freeze(key):
        k_mixing, k_law = jax.random.split(key)
        frozen = {"g": init_mixing(config, k_mixing, config.n)}
        if config.data in CONDITIONS:
            own = dict(CONDITIONS[config.data])
            half = config.n // 2
            frozen["change"] = jnp.asarray(own.pop("change"))
            frozen["law"] = init_blocks(k_law, half, half, **own)
        return frozen

    def init(key):
        k_encoder, k_head = jax.random.split(key)
        params, _ = encoder.init(k_encoder)
        head, held = method.init(k_head, params, config.outputs)
        return {"f": params, "head": head}, held

    def draw(frozen, key):
        latents = draw_latents(config, frozen, key, config.batch)
        return Views(*(observe(config, frozen, z) for z in latents))

    def loss(params, state, batch, key):
        return method.loss(params, state, f, batch, key)

    def probe(params, state, frozen, key):
        z = draw_marginal(config, frozen, key, 2048)
        y = f(params["f"], observe(config, frozen, z))
        z_hat = fit_linear(z[:1024], y[:1024])(y[1024:])
        shared = determination(z[1024:], z_hat)[: config.n_c]
        return {"r2": jnp.mean(shared), "effective_rank": effective_rank(y)}

    def evaluate(params, state, frozen, key):
        return _evaluate(config, lambda x: f(params["f"], x), frozen, key)

    return Problem(
        freeze, init, draw, loss, probe, evaluate, precision=config.precision
    )


make_run_optimiser = run_optimiser


def frozen_identity(config: Rivals) -> dict[str, object]:
    """The settings that the frozen draws depend on (for caches)."""
    names = ("n", "mixing", "mixing_layers", "mixing_draws")
    own: dict[str, object] = {name: getattr(config, name) for name in names}
    return own | {"data": config.data if config.data in CONDITIONS else ""}


def floor_kind(config: Rivals) -> str:
    """`"none"`: losses of different methods have no common floor."""
    return "none"


def build_encoder(config: Rivals) -> Encoder:
    """The encoder of a configuration, into the space that its objective compares.

    The unit sphere where outputs are compared by cosine: their length, which the loss
    does not see, would be free to carry style. The unit box for align_maxent.
    """
    output = "sphere" if config.objective in ON_SPHERE else "none"
    return init_encoder(
        config,
        config.n,
        m=config.outputs,
        output="box" if config.objective == "align_maxent" else output,
    )


def draw_latents(config: Rivals, frozen: Any, key: Array, batch: int):
    """(z, z_pos, z_neg), `[batch, n]` each, the negatives independent of the pairs."""
    k_pair, k_negative = jax.random.split(key)
    if config.data in CONDITIONS:
        change, law = frozen["change"], frozen["law"]
        pair = sample_block_pair(k_pair, law, batch=batch, change=change)
    else:
        space, conditional = _world(config)
        pair = sample_pair(k_pair, space, Uniform(), conditional, batch=batch)
    return *pair, draw_marginal(config, frozen, k_negative, batch)


def draw_marginal(config: Rivals, frozen: Any, key: Array, batch: int) -> Array:
    """z from the marginal of the anchors, `[batch, n]`."""
    if config.data in CONDITIONS:
        return sample_blocks(key, frozen["law"], batch=batch)
    return sample_marginal(key, Uniform(), _world(config)[0], shape=(batch,))


def _world(config: Rivals):
    """Space and conditional of box and sphere."""
    if config.data == "sphere":
        kappa = 5.0 if config.noise is None else config.noise
        return Sphere(config.n), VonMisesFisher(kappa)
    return Box(config.n), Laplace(0.1 if config.noise is None else config.noise)


class Rows(NamedTuple):
    """Latents, observations and representation of the same samples, `[rows, ...]`."""

    z: Array
    x: Array
    y: Array


def draw_rows(config: Rivals, f, frozen: Any, key: Array) -> tuple[Rows, Rows]:
    """Samples that the evaluation fits on, and others that it scores."""

    def rows(key, count):
        z = draw_marginal(config, frozen, key, count)
        x = observe(config, frozen, z)
        return Rows(z, x, f(x))

    k_fit, k_score = jax.random.split(key)
    return rows(k_fit, config.fit_rows), rows(k_score, config.score_rows)


def scores(
    z_fit: Array, y_fit: Array, z: Array, y: Array, *, n_c: int, cross_validate: bool
) -> Metrics:
    """What a representation holds of what pairs share, and whether it collapsed.

    Args:
        z_fit: latents that the regressions are fitted on, the shared ones first.
        y_fit: their representation, `[rows, m]`, m >= n_c.
        z: latents that are scored.
        y: their representation.
        n_c: latents that pairs share.
        cross_validate: see `Rivals`.

    Returns:
        `content` and `style`: held-out R2 of kernel ridge regression from y (no
        `style` where there is none); `r2`, the linear one of the content; `mcc`, its
        correlation with single outputs; `effective_rank`, `spread` and `variance` (of
        each output) of y.
    """
    n = z.shape[1]
    blocks = (n_c, n - n_c) if n_c < n else (n_c,)
    alphas, gammas = (ALPHAS, GAMMAS) if cross_validate else ((0.01,), (0.2,))
    ridge = fit_kernel_ridge(z_fit, y_fit, blocks=blocks, alphas=alphas, gammas=gammas)
    smooth = determination(z, predict(ridge, y))
    style = {"style": jnp.mean(smooth[n_c:])} if n_c < n else {}
    return {
        "content": jnp.mean(smooth[:n_c]),
        **style,
        "r2": jnp.mean(determination(z, fit_linear(z_fit, y_fit)(y))[:n_c]),
        "mcc": mcc(z[:, :n_c], y).mean,
        "effective_rank": effective_rank(y),
        "spread": spread(y),
        "variance": feature_variance(y),
    }


def style_oracle(frozen: Any) -> Metrics:
    """What a perfect content encoder scores on style; empty without style."""
    if "law" not in frozen:
        return {}
    law = frozen["law"]
    share = linear_share(law.effect, covariance(law.content), covariance(law.style))
    return {"style_oracle": jnp.mean(share)}


def _evaluate(config: Rivals, f, frozen, key) -> Metrics:
    """`scores` on fresh rows, beside the oracle of style and two nulls of `r2`."""
    k_rows, k_null = jax.random.split(key)
    fit, held = draw_rows(config, f, frozen, k_rows)
    n_c = config.n_c
    metrics = scores(
        fit.z, fit.y, held.z, held.y, n_c=n_c, cross_validate=config.cross_validate
    )
    metrics |= style_oracle(frozen)
    if "style_oracle" in metrics:
        metrics["style_excess"] = metrics["style"] - metrics["style_oracle"]
    content = held.z[:, :n_c]
    from_x = determination(held.z, fit_linear(fit.z, fit.x)(held.x))
    metrics["r2_identity"] = jnp.mean(from_x[:n_c])
    metrics["r2_shuffled"] = r2(content, shuffled(k_null, held.y)).mean  # in-sample
    content, y = content[:1000], held.y[:1000]
    samples = {"z": content, "y": y, "z_hat": read_back(content, y)}
    samples["matrix"] = correlation_matrix(content, y)
    return metrics | {f"sample/{name}": value for name, value in samples.items()}
