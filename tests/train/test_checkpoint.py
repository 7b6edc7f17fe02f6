import jax
import numpy as np
import optax
import pytest

from jidcl.systems.contrastive_ica.problem import make_problem, make_program
from jidcl.train import loop
from jidcl.train.checkpoint import Checkpoints
from jidcl.train.gradient import gradient
from jidcl.train.sharding import make_mesh
from reference.tiny import TINY

PROGRAM = make_program(TINY)


def start(mesh, seeds=2):
    return loop.start(PROGRAM, np.arange(seeds), mesh=mesh)


def test_restored_bit_for_bit_also_on_another_mesh(tmp_path):
    state = start(make_mesh())
    before = jax.device_get(state)
    saver = Checkpoints(tmp_path)
    assert saver.restore(state) is None
    saver.save(4, state)
    saver.close()
    for mesh in (make_mesh(), make_mesh(seed=2)):
        saver = Checkpoints(tmp_path)
        like = start(mesh)
        restored = saver.restore(like).state
        saver.close()
        for a, b, c in zip(
            jax.tree.leaves(before),
            jax.tree.leaves(restored),
            jax.tree.leaves(like),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
            assert b.sharding == c.sharding
            assert b.dtype == a.dtype


def test_the_checkpoint_does_not_change_when_training_goes_on(tmp_path):
    mesh = make_mesh()
    state = start(mesh)
    before = jax.device_get(jax.tree.map(lambda leaf: leaf.copy(), state))
    saver = Checkpoints(tmp_path)
    saver.save(0, state)
    for _ in loop.train(PROGRAM, state, steps=8, chunk_steps=4, mesh=mesh):
        pass
    saver.close()
    saver = Checkpoints(tmp_path)
    restored = saver.restore(start(mesh)).state
    saver.close()
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(restored), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    saver = Checkpoints(tmp_path)
    saver.save(4, start(make_mesh()))
    saver.close()
    saver = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match="does not fit this configuration"):
        saver.restore(start(make_mesh(), seeds=3))
    saver.close()


def test_keys_of_a_run_are_kept(tmp_path):
    noise = optax.chain(optax.add_noise(0.1, 0.5, key=0), optax.sgd(0.5))
    program, mesh = gradient(make_problem(TINY), noise), make_mesh()
    state = loop.start(program, np.arange(2), mesh=mesh)
    before = [jax.random.key_data(k) for k in jax.tree.leaves(state) if is_key(k)]
    assert before
    saver = Checkpoints(tmp_path)
    saver.save(0, state)
    held = saver.restore(loop.start(program, np.arange(2) + 5, mesh=mesh)).state
    saver.close()
    after = [jax.random.key_data(k) for k in jax.tree.leaves(held) if is_key(k)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
