"""Losses over the mesh's `data` axis: those of one device, and nothing is gathered."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.systems.anisotropic import presets as anisotropic_presets
from jidcl.systems.anisotropic import problem as anisotropic
from jidcl.systems.content_style import presets as content_style_presets
from jidcl.systems.content_style import problem as content_style
from jidcl.systems.contrastive_ica import problem as ica
from jidcl.train import loop
from jidcl.train.sharding import make_mesh
from jidcl.train.step import make_chunk
from reference.tiny import TINY

SMALL = dict(widths=(4, 8), batch=16, mixing_draws=20)
LINEAR = anisotropic_presets.presets()["quick/linear"]
ANISOTROPIC = dataclasses.replace(LINEAR, **SMALL)
PARTITIONS = (25.0, 25.0, 5.0, 5.0, 25.0, 5.0, 25.0, 5.0)
CONTENT_STYLE = dataclasses.replace(
    content_style_presets.presets()["quick/n4"], **SMALL
)


def changed(config, **changes):
    return dataclasses.replace(config, **changes)


CASES = {
    "ica": (ica, TINY),
    "anisotropic": (anisotropic, ANISOTROPIC),
    "reference": (anisotropic, changed(ANISOTROPIC, cross="reference")),
    "ensemble": (
        anisotropic,
        changed(
            ANISOTROPIC,
            lam="custom",
            lam_values=PARTITIONS,
            beta=0.5,
            tau_plus=0.1,
        ),
    ),
    "content_style": (content_style, CONTENT_STYLE),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_one_device(name):
    system, config = CASES[name]
    problem = system.make_problem(config)
    spread = problem.sharded(make_mesh(data=8))
    params, state = problem.init(jax.random.key(0))
    batch = problem.draw(problem.freeze(jax.random.key(1)), jax.random.key(2))
    whole, parts = (
        jax.jit(jax.value_and_grad(lambda q, p=p: p.loss(q, state, batch, None)[0]))
        for p in (problem, spread)
    )
    (value, grads), (want, wanted) = parts(params), whole(params)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    chex.assert_trees_all_close(grads, wanted, rtol=1e-3, atol=2e-6)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads)) > 1e-3


@pytest.mark.parametrize("name", ["ica", "anisotropic", "content_style"])
def test_a_spread_batch_goes_round_the_ring_and_is_never_gathered(name):
    system, config = CASES[name]
    program, mesh = system.make_program(config), make_mesh(seed=2, data=4)
    state = loop.start(program, np.arange(2), mesh=mesh)
    text = make_chunk(program, steps=2, mesh=mesh).lower(state).compile()
    assert " all-gather(" not in text.as_text()
    assert " collective-permute(" in text.as_text()


def test_other_objectives_are_left_to_the_compiler():
    config = content_style_presets.presets()["quick/align-maxent"]
    assert content_style.make_problem(config).sharded is None
