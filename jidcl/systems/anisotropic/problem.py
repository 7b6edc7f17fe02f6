"""AnInfoNCE as a problem: contrastive learning when latents vary to different degrees.

Wiring of Rusak et al. 2024; `process` says where its equations live. The encoder is in
`jidcl.encoders`, the scores are in `jidcl.metrics`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from jidcl.data import mnist_digest
from jidcl.encoders import make_mlp
from jidcl.losses import from_lam, mse
from jidcl.optim import make_optimiser
from jidcl.systems.anisotropic import conformance, presets
from jidcl.systems.anisotropic.evaluate import evaluate, probe
from jidcl.systems.anisotropic.presets import LEARNED, Anisotropic
from jidcl.systems.anisotropic.process import (
    draw_pairs,
    floor_kind,
    model_lam,
    objective,
)
from jidcl.systems.contract import System
from jidcl.systems.shared.sources import make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Batch, Problem, Program


def make_problem(config: Anisotropic, mesh: Mesh | None = None) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Args:
        config: a preset or any override of one.
        mesh: spread the rows of the training loss over its `data` axis.

    Returns:
        Pure functions `freeze`, `init`, `draw`, `loss`, `probe`, `evaluate`. Batches
        hold `batch` pairs of each pair distribution, of one after the other in turn.
    """
    source, m = make_source(config), config.outputs
    encoder = source.encoder(config.n, m, output="sphere")
    # Hidden widths of the head are in units of its input, the encoder's output.
    head = None
    if config.head:
        head = make_mlp(
            m, widths=config.head, slope=config.slope, init=config.init, output="sphere"
        )

    def init(key):
        f_key, head_key, lam_key = jax.random.split(key, 3)
        params, states = {}, {}
        params["f"], states["f"] = encoder.init(f_key)
        if head is not None:
            params["head"], states["head"] = head.init(head_key)
        if config.lam_model in LEARNED:
            width = m if config.lam_model == "diagonal" else 1
            noise = 0.1 * jax.random.normal(lam_key, (len(config.lams), width))
            params["raw_lam"] = noise + from_lam(jnp.asarray(config.lam_start))
        return params, states

    def draw(frozen, key):
        pair = draw_pairs(config, key, config.batch)
        x, x_pos = (source.observe(frozen, z) for z in pair)
        return Batch(x, x_pos, *pair)

    def f(params, x, train=False):
        """(y, what the loss sees)."""
        y, _ = encoder.apply(params["f"], {}, x, train=train)
        if head is None:
            return y, y
        return y, head.apply(params["head"], {}, y, train=train)[0]

    def loss(params, state, batch, key):
        if config.objective == "supervised":
            y, _ = f(params, batch.x, train=True)
            return mse(y, batch.z), (state, {})
        y, y_pos = (f(params, x, train=True)[1] for x in (batch.x, batch.x_pos))
        lam = model_lam(config, params)
        return objective(config, y, y_pos, lam, mesh=mesh), (state, {})

    def scored(score: Any):
        def run(params, state, *rest):
            return score(config, partial(f, params), model_lam(config, params), *rest)

        return run

    alone = config.objective == "supervised"  # its mean needs no other rows
    return Problem(
        freeze=lambda key: source.freeze(key, config.n),
        init=init,
        draw=draw,
        loss=loss,
        probe=scored(probe),
        evaluate=scored(evaluate),
        sharded=None if alone else partial(make_problem, config),
        precision=config.precision,
    )


def both_optimisers(config: Anisotropic) -> optax.GradientTransformation:
    """The configured optimiser, and Adam with a rate of its own for Lambda."""
    lam = make_optimiser(
        "adam",
        config.lam_rate,
        steps=config.steps,
        schedule=config.schedule,
        warmup=config.warmup,
    )

    def labels(params):
        return {name: "lam" if name == "raw_lam" else "net" for name in params}

    return optax.partition({"net": run_optimiser(config), "lam": lam}, labels)


def make_program(config: Anisotropic) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), both_optimisers(config))


SYSTEM = System(
    name="anisotropic",
    title="anisotropic InfoNCE",
    paper="Rusak et al. 2024",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=("n", "mixing", "mixing_layers", "mixing_draws"),
    traced_fields=("marginal_param", "kappa"),
    floor_kind=floor_kind,
    data_identity=lambda config: (
        {"data": mnist_digest()} if config.mixing == "mnist" else {}
    ),
    vectors="anisotropic_infonce",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
