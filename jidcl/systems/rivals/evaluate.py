"""Scores and nulls of the comparison; losses of different methods have no common floor.

Where the equations live: `jidcl.metrics.blocks`, `.recovery` and `.collapse`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.latents import covariance
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
    read_back,
    spread,
)
from jidcl.metrics.blocks import ALPHAS, GAMMAS
from jidcl.systems.rivals.presets import Rivals
from jidcl.systems.rivals.process import draw_marginal
from jidcl.systems.shared.cross_fitted import cross_fitted
from jidcl.systems.shared.nulls import fit_nulls, smooth_shares
from jidcl.systems.shared.sources import Source
from jidcl.types import Array, Evaluation, Metrics

Encode = Callable[[Array], Array]


class Rows(NamedTuple):
    """Latents, observations and representation of the same samples, `[rows, ...]`."""

    z: Array
    x: Array
    y: Array


def draw_rows(
    config: Rivals, source: Source, f: Encode, frozen: Any, key: Array
) -> tuple[Rows, Rows]:
    """Samples that the evaluation fits on, and others that it scores."""

    def rows(key, count):
        z = draw_marginal(config, frozen, key, count)
        x = source.observe(frozen, z)
        return Rows(z, x, f(x))

    k_fit, k_score = jax.random.split(key)
    return rows(k_fit, config.fit_rows), rows(k_score, config.score_rows)


def scores(
    z_fit: Array, y_fit: Array, z: Array, y: Array, *, n_c: int, cross_validate: bool
) -> Metrics:
    """What a representation holds of what pairs share, and whether it collapsed.

    Args:
        z_fit: latents that the regressions are fitted on, the content first.
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


def probe(config: Rivals, source: Source, f: Encode, frozen: Any, key) -> Metrics:
    """Linear R2 of what pairs share, and the rank, for the curve of a run."""
    z = draw_marginal(config, frozen, key, 2048)
    y = f(source.observe(frozen, z))
    z_hat = fit_linear(z[:1024], y[:1024])(y[1024:])
    content = determination(z[1024:], z_hat)[: config.n_c]
    return {
        "content": jnp.mean(smooth_shares(z, y)[: config.n_c]),
        "r2": jnp.mean(content),
        "effective_rank": effective_rank(y),
    }


def evaluate(
    config: Rivals, source: Source, f: Encode, frozen: Any, key: Array
) -> Evaluation:
    """`scores` on fresh rows, beside the oracle of style and nulls of the content.

    Args:
        config: settings of the run.
        source: of its observations.
        f: the trained encoder, `x -> y`.
        frozen: the run's frozen draws.
        key: a typed key.

    Returns:
        An `Evaluation`.
    """
    fit, held = draw_rows(config, source, f, frozen, key)
    n_c = config.n_c
    found = scores(
        fit.z, fit.y, held.z, held.y, n_c=n_c, cross_validate=config.cross_validate
    )
    found |= style_oracle(frozen)
    if "style_oracle" in found:
        found["style_excess"] = found["style"] - found["style_oracle"]
    null = fit_nulls(fit.z, fit.x, fit.y)(held.x, held.y)
    nulls = {
        name: jnp.mean(determination(held.z, z_hat)[:n_c])
        for name, z_hat in null.items()
    }
    few, by_chance = cross_fitted(held.z[:, :n_c], held.y, {}, ("mcc",), xp=jnp)
    content, y = held.z[:1000, :n_c], held.y[:1000]
    return Evaluation(
        found | few,
        nulls={"r2": nulls, "content": nulls, **by_chance},
        samples={
            "z": content,
            "y": y,
            "z_hat": read_back(content, y),
            "matrix": correlation_matrix(content, y),
        },
    )
