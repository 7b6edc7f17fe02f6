"""Runs that differ in traced settings alone are one program, with their own numbers."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.run.traced import shared_program
from jidcl.systems.registry import load_presets, load_system
from jidcl.train.sharding import make_mesh
from jidcl.train.state import frozen_draws, start_state, with_shared
from jidcl.train.step import make_step

TINY = {"steps": 4, "chunk": 2, "warmup": 1, "mixing_draws": 4}
SYSTEM = load_system("contrastive_ica")


def tiny(preset):
    config = load_presets("contrastive_ica")[preset]
    return config.changed(**TINY, eval_batch=64, eval_batches=2, batch=32)


def after_two_steps(program):
    """Parameters and the loss of a seed after two updates."""

    @jax.jit
    def whole(seed, shared):
        state = start_state(program, seed, frozen_draws(program, seed), shared)
        step = make_step(program)
        state, _ = step(state, shared)
        state, metrics = step(state, shared)
        return state.params, metrics["loss"]

    return whole(np.int32(3), program.shared)


def test_settings_as_data_train_as_constants_do():
    config = tiny("quick/uniformity-0.2-matched")
    own = after_two_steps(SYSTEM.program(config))
    shared = after_two_steps(shared_program(SYSTEM, config, 0))
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(shared), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    other = after_two_steps(SYSTEM.program(tiny("quick/uniformity-10")))
    assert abs(float(other[1] - own[1])) > 0.1


def test_rows_of_a_table_of_scales_are_one_program():
    """To the letter: the compiler's cache goes by the text."""
    texts = set()
    for preset in ("uniformity-10", "uniformity-1", "uniformity-0.2-matched"):
        program = shared_program(SYSTEM, tiny(f"quick/{preset}"), 0)
        assert set(program.shared["settings"]) == set(SYSTEM.traced_fields)
        seed = np.int32(0)
        frozen = jax.eval_shape(lambda s, p=program: frozen_draws(p, s), seed)
        state = jax.eval_shape(
            lambda s, f, h, p=program: start_state(p, s, f, h),
            seed,
            frozen,
            program.shared,
        )
        step = jax.jit(make_step(program))
        texts.add(step.lower(state, program.shared).as_text())
    assert len(texts) == 1


def test_a_choice_that_hangs_on_the_values_keeps_them():
    config = load_presets("contrastive_ica")["quick/sphere-vmf"]
    assert SYSTEM.floor_kind(config) == "limit"
    assert shared_program(SYSTEM, config).shared is None
    elsewhere = dataclasses.replace(SYSTEM, source_digest="abc")
    assert shared_program(elsewhere, tiny("quick/uniformity-1")).shared is None


def test_arrays_that_a_program_shares_stay_beside_its_settings():
    base = SYSTEM.program(tiny("quick/uniformity-1"))
    pictures = {"a": jnp.ones(2)}
    seen = {}

    def make_program(config):
        def draw(run, frozen, key, t):
            seen.update(frozen)
            return run, {"loss": jnp.asarray(config.tau)}

        return dataclasses.replace(base, step=draw, shared=pictures)

    system = dataclasses.replace(SYSTEM, make_program=make_program)
    config = tiny("quick/uniformity-1")
    program = shared_program(system, config)
    step: Any = program.step
    _, metrics = step({}, with_shared({"g": 1}, program.shared), None, 0)
    assert float(metrics["loss"]) == pytest.approx(config.tau)
    assert set(seen) == {"g", "shared"}
    assert set(seen["shared"]) == {"a"}


def test_the_program_of_a_mesh_has_its_settings_too():
    program = shared_program(SYSTEM, tiny("quick/uniformity-1"), 0)
    sharded: Any = program.sharded
    spread = sharded(make_mesh(data=2))
    assert set(spread.shared["settings"]) == set(SYSTEM.traced_fields)


def test_the_batch_of_a_step_is_drawn_with_its_settings():
    """A seed that dies has its batch drawn once more."""
    config = tiny("quick/uniformity-1")
    program, own = shared_program(SYSTEM, config, 0), SYSTEM.program(config)

    @jax.jit
    def drawn(key, shared):
        frozen = own.freeze(key)
        batches: Any = own.batch, program.batch
        return batches[0](frozen, key, 1), batches[1](
            with_shared(frozen, shared), key, 1
        )

    for a, b in zip(
        *map(jax.tree.leaves, drawn(jax.random.key(0), program.shared)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
