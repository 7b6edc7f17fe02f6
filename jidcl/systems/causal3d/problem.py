"""Which factors do two views of a picture share? Content and style from pixels.

The problem of von Kuegelgen et al. 2021, section 5.2 (Causal3DIdent), and its entry in
the registry of systems.
"""

from functools import partial

import jax

from jidcl.losses import ntxent
from jidcl.mixing.scenes import Figures
from jidcl.systems.causal3d import conformance, presets
from jidcl.systems.causal3d.evaluate import evaluate, probe
from jidcl.systems.causal3d.presets import Causal3D
from jidcl.systems.causal3d.process import draw_latents, draw_views
from jidcl.systems.contract import System
from jidcl.systems.shared.sources import data_identity, make_source
from jidcl.systems.shared.wiring import run_optimiser
from jidcl.train import gradient
from jidcl.types import Problem, Program


def make_problem(config: Causal3D) -> Problem:
    """The problem of a configuration; see `jidcl.types.Problem`.

    Raises:
        ValueError: on more rows to fit than there are pictures for scores.
    """
    source = make_source(config)
    encoder = source.encoder(config.m)
    if source.shared is not None and config.fit_rows >= len(source.shared["test"].z):
        raise ValueError(
            f"fit_rows must be < {len(source.shared['test'].z)}, the pictures for "
            f"scores in {config.folder}, got {config.fit_rows}"
        )

    def draw(frozen, key):
        frozen = source.part(frozen, "train")
        z_key, key = jax.random.split(key)
        z, _ = draw_latents(frozen, z_key, config.batch)
        return draw_views(config, source, frozen, key, z)

    def loss(params, state, batch, key):
        ys = []
        for x in (batch.x, batch.x_pos):
            y, state = encoder.apply(params, state, x, train=True)
            ys.append(y)
        value, metrics = ntxent(*ys, tau=config.tau)
        return value, (state, metrics)

    def f(params, state, x):
        return encoder.apply(params, state, x)[0]

    return Problem(
        freeze=lambda key: source.freeze(key, len(Figures.factors)),
        init=encoder.init,
        draw=draw,
        loss=loss,
        probe=lambda params, state, *rest: probe(
            config, source, partial(f, params, state), *rest
        ),
        evaluate=lambda params, state, *rest: evaluate(
            config, source, partial(f, params, state), *rest
        ),
        precision=config.precision,
        shared=source.shared,
    )


def make_program(config: Causal3D) -> Program:
    """The program of a configuration."""
    return gradient(make_problem(config), run_optimiser(config))


SYSTEM = System(
    name="causal3d",
    title="views of pictures with a causal graph",
    paper="von Kuegelgen et al. 2021",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    traced_fields=("tau",),
    data_identity=data_identity,
    vectors="content_style",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
