"""Cross-entropy: when do instance or class labels invert the generating process?

The problem of Reizinger et al. 2024, and its entry in the registry of systems.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jidcl.latents import make_density, sample_cluster_vectors
from jidcl.optim.project import on_sphere, rows_from_sphere
from jidcl.systems.contract import System
from jidcl.systems.diet import conformance, presets
from jidcl.systems.diet.evaluate import evaluate, probe
from jidcl.systems.diet.presets import Diet
from jidcl.systems.diet.process import (
    draw_instances,
    floor_kind,
    noisy,
    objective,
    target_of,
)
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Problem, Program


class Labelled(NamedTuple):
    """Observations `[batch, n]` and the numbers of their rows of W, `[batch]`."""

    x: jax.Array
    target: jax.Array


def make_problem(config: Diet, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the batch of the training loss over its `data` axis and the rows of
            W over its `model` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`.
    """
    source = make_source(config)
    encoder = source.encoder(
        config.n, output=config.output, batch_norm=config.batch_norm
    )

    def freeze(key):
        g_key, v_key = jax.random.split(key)
        density = make_density(config.cluster_density, 1.0)
        v = sample_cluster_vectors(v_key, config.clusters, config.n, density)
        return {**source.freeze(g_key, config.n), "v": v}

    def init(key):
        e_key, w_key, b_key = (jax.random.fold_in(key, i) for i in range(3))
        params, state = encoder.init(e_key)
        # Almost zero rows learn their directions from features that are still linear in
        # x; random ones would first bend those, and some runs never straighten.
        published = config.init == "fan_in_uniform"
        bound = (1.0 if published else 1e-3) * config.n**-0.5
        shape = (config.num_rows, config.n)
        draw = partial(jax.random.uniform, minval=-bound, maxval=bound)
        head = {"encoder": params, "w": draw(w_key, shape)}
        if config.bias:
            head["bias"] = draw(b_key, shape[:1])
        if config.learn_beta:
            head["log_beta"] = jnp.log(jnp.asarray(config.beta, jnp.float32))
        return head, state

    def draw(frozen, key):
        z_key, noise_key = jax.random.split(key)
        drawn = draw_instances(config, frozen["v"], z_key, config.batch)
        target = noisy(config, noise_key, target_of(config, drawn))
        return Labelled(source.observe(frozen, drawn.z), target)

    def loss(params, state, batch, key):
        y, state = encoder.apply(params["encoder"], state, batch.x, train=True)
        if config.rows == "projected":
            params = {**params, "w": on_sphere(params["w"])}
        return objective(config, params, y, batch.target, mesh=mesh), (state, {})

    def f(params, state, x):
        return encoder.apply(params["encoder"], state, x)[0]

    return Problem(
        freeze=freeze,
        init=init,
        draw=draw,
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, source, partial(f, params, state), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, source, partial(f, params, state), params, *rest
        ),
        sharded=partial(make_problem, config),
        precision=config.precision,
    )


def make_program(config: Diet) -> Program:
    """The program of a configuration, with the projection of W where it is asked."""
    optimiser = run_optimiser(config)
    if config.rows == "projected":
        optimiser = optax.chain(optimiser, rows_from_sphere("w"))
    return gradient(make_problem(config), optimiser)


SYSTEM = System(
    name="diet",
    title="instance and class labels",
    paper="Reizinger et al. 2024",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(
        "n",
        "clusters",
        "cluster_density",
        "mixing",
        "mixing_layers",
        "mixing_draws",
    ),
    traced_fields=("kappa", "scale", "label_noise", "beta"),
    floor_kind=floor_kind,
    vectors="cross_entropy",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
