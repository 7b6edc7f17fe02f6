"""Silhouettes in video as a problem, and its entry in the registry of systems."""

from functools import partial

import jax
import jax.numpy as jnp

from jidcl.encoders import make_cnn, make_cnn_decoder
from jidcl.losses import Similarity, SlowVAEWeights, infonce, slowvae
from jidcl.systems.contract import System
from jidcl.systems.kitti_masks import presets
from jidcl.systems.kitti_masks.evaluate import evaluate, probe
from jidcl.systems.kitti_masks.presets import KittiMasks
from jidcl.systems.kitti_masks.process import (
    data_identity,
    draw_pairs,
    load_sequences,
)
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Problem, Program


def make_problem(config: KittiMasks) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.

    Raises:
        ValueError: on sequences on disk that do not fit the settings.
    """
    vae = config.objective == "slowvae"
    width = 2 * config.m if vae else config.m  # means and logarithms of variances
    own = dict(output=config.output, output_size=config.output_size)
    encoder = make_cnn(config.size, 1, width, **own)
    decoder = make_cnn_decoder(config.size, 1, config.m) if vae else None
    similarity = Similarity("lp", config.p)

    def init(key):
        encoder_key, key = jax.random.split(key)
        params, state = encoder.init(encoder_key)
        if decoder is None:
            return {"encoder": params}, {"encoder": state}
        params_of, state_of = decoder.init(key)
        return (
            {"encoder": params, "decoder": params_of},
            {"encoder": state, "decoder": state_of},
        )

    def encode(params, state, x):
        return encoder.apply(params["encoder"], state["encoder"], x)[0]

    def objective(y, y_pos):
        return infonce(y, y_pos, similarity=similarity, tau=config.tau)[0]

    def loss(params, state, batch, key):
        both = jnp.stack([batch.x, batch.x_pos], axis=1)  # [batch, 2, size, size, 1]
        flat = both.reshape(-1, *both.shape[2:])
        y = encode(params, state, flat).reshape(*both.shape[:2], -1)
        if decoder is None:
            return objective(y[:, 0], y[:, 1]), (state, {})
        mean, log_var = jnp.split(y, 2, axis=-1)
        z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
        logits, _ = decoder.apply(
            params["decoder"], state["decoder"], z.reshape(-1, config.m)
        )
        value, metrics = slowvae(
            mean,
            log_var,
            logits.reshape(*both.shape[:2], -1),
            both.reshape(*both.shape[:2], -1),
            weights=SlowVAEWeights(config.prior, config.slow, config.rate),
        )
        return value, (state, metrics)

    def f(params, state, x):
        return encode(params, state, x)[:, : config.m]

    def score(params, state, frozen, key):
        return evaluate(
            config,
            partial(f, params, state),
            None if vae else objective,
            lambda batch, key: loss(params, state, batch, key)[0],
            frozen,
            key,
        )

    return Problem(
        freeze=lambda key: {},
        init=init,
        draw=lambda frozen, key: draw_pairs(config, frozen, key, config.batch),
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, partial(f, params, state), *rest
        ),
        evaluate=score,
        precision=config.precision,
        shared=load_sequences(config),
    )


def make_program(config: KittiMasks) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


def floor_kind(config: KittiMasks) -> str:
    """`"reference"` for pairs of the drawn walk, whose law is known; else `"none"`."""
    known = config.objective == "contrastive" and not config.folder
    return "reference" if known else "none"


SYSTEM = System(
    name="kitti_masks",
    title="contrastive ICA from silhouettes in video",
    paper="Zimmermann et al. 2021, Table 3; Klindt et al. 2021",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    traced_fields=("tau",),
    floor_kind=floor_kind,
    data_identity=data_identity,
    vectors="contrastive_ica",
    legend=presets.LEGEND,
)
