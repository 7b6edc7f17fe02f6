"""Near-deterministic VAEs as a problem, and their entry in the registry of systems."""

from functools import partial

import jax
import jax.numpy as jnp

from jidcl.systems.contract import System
from jidcl.systems.ima_vae import conformance, presets
from jidcl.systems.ima_vae.evaluate import evaluate, probe
from jidcl.systems.ima_vae.presets import ImaVae
from jidcl.systems.ima_vae.process import (
    build_networks,
    draw_sources,
    freeze,
    init,
    negative_elbo,
    observe,
)
from jidcl.systems.shared.wiring import of_least, run_optimiser
from jidcl.train import gradient
from jidcl.types import Problem, Program


def make_problem(config: ImaVae) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    nets = build_networks(config)

    def draw(g, key):
        x = observe(config, g, draw_sources(config, g, key, config.batch))
        return {"x": x, "g": g if config.decoder == "true" else {}}

    def loss(params, state, batch, key):
        x = batch["x"]
        noise = jax.random.normal(key, (len(x), config.n))
        values, terms = negative_elbo(config, nets, params, state, batch["g"], x, noise)
        if state:
            state = {"t": state["t"] + 1}
        return jnp.mean(values), (state, jax.tree.map(jnp.mean, terms))

    return Problem(
        freeze=lambda key: freeze(config, key),
        init=lambda key: init(config, nets, key),
        draw=draw,
        loss=loss,
        probe=lambda *own: probe(config, nets, *own),
        evaluate=lambda *own: evaluate(config, nets, *own),
        precision=config.precision,
    )


def make_program(config: ImaVae) -> Program:
    """The program of a configuration."""
    program = gradient(make_problem(config), run_optimiser(config))
    if config.restarts == 1:
        return program
    nets, count = build_networks(config), config.restarts
    advance, probe = program.step, program.probe
    assert advance is not None  # a program of `gradient` has a step

    def loss(run, g, key):
        k_source, k_noise = jax.random.split(key)
        x = observe(config, g, draw_sources(config, g, k_source, config.eval_batch))
        noise = jax.random.normal(k_noise, (len(x), config.n))
        params, state = run.params, run.state
        return jnp.mean(negative_elbo(config, nets, params, state, g, x, noise)[0])

    def kept(run, g, key):
        return of_least(jax.vmap(lambda run: loss(run, g, key))(run), run)

    def start(g, key):
        return jax.vmap(lambda key: program.start(g, key))(jax.random.split(key, count))

    def step(run, g, key, t):
        keys = jax.random.split(key, count)
        run, metrics = jax.vmap(lambda run, key: advance(run, g, key, t))(run, keys)
        return run, jax.tree.map(jnp.mean, metrics)

    def scored(by, run, g, key):
        k_kept, key = jax.random.split(key)
        return by(kept(run, g, k_kept), g, key)

    return Program(
        freeze=program.freeze,
        start=start,
        step=step,
        evaluate=partial(scored, program.evaluate),
        probe=partial(scored, probe),
        precision=program.precision,
    )


def floor_kind(config: ImaVae) -> str:
    """Always `"reference"`: the true decoder with the best diagonal posterior.

    Of pictures the posterior is the one of small noise. Another decoder may have less
    loss: where the true one's columns are not orthogonal, that is what the theory says.
    The entropy of the data, which pictures lack, is a limit, reported beside.
    """
    return "reference"


SYSTEM = System(
    name="ima_vae",
    title="variational autoencoders and independent mechanisms",
    paper="Reizinger et al. 2022",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(
        "n",
        "mixing",
        "mixing_layers",
        "mixing_seed",
        "cosine",
        "size",
        "warp",
    ),
    traced_fields=("gamma2",),
    floor_kind=floor_kind,
    vectors="ima_vae",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
