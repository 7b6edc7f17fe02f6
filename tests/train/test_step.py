import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from jidcl.numerics import stream_key
from jidcl.systems.contrastive_ica.problem import make_problem, make_run_optimiser
from jidcl.train import loop
from jidcl.train.sharding import check_divisible, make_mesh
from jidcl.train.state import TrainState, frozen_draws, init_state
from jidcl.train.step import make_chunk, make_step
from jidcl.types import Problem
from reference.tiny import TINY

PROBLEM, OPTIMISER = make_problem(TINY), make_run_optimiser(TINY)


@jax.jit
def one_seed(seed):
    return init_state(PROBLEM, OPTIMISER, seed, frozen_draws(PROBLEM, seed))


def train_all(seeds, mesh, *, steps=8, chunk=4, problem=PROBLEM):
    state = loop.start(problem, OPTIMISER, np.asarray(seeds), mesh=mesh)
    losses = []
    for event in loop.train(
        problem, OPTIMISER, state, steps=steps, chunk_steps=chunk, mesh=mesh
    ):
        losses.append(event.metrics["loss"])
        state = event.state
    return state, np.concatenate(losses)


@pytest.mark.parametrize(
    "result",
    [
        lambda loss, rest: loss,
        lambda loss, rest: (loss, rest[0]),
        lambda loss, rest: ((loss, {}), rest),
        lambda loss, rest: (loss[None], rest),
    ],
)
def test_a_loss_of_another_form_is_refused(result):
    wrong = dataclasses.replace(
        PROBLEM, loss=lambda *args: result(*PROBLEM.loss(*args))
    )
    with pytest.raises(TypeError, match=r"loss must return \(scalar, \(state, metrics"):
        jax.eval_shape(make_step(wrong, OPTIMISER), one_seed(0))


def test_step_is_the_gradient_step_written_out():
    run = one_seed(3)
    new, metrics = jax.jit(make_step(PROBLEM, optax.sgd(0.5)))(
        TrainState(
            **{
                **vars(run),
                "opt_state": optax.sgd(0.5).init(run.params),
                "step": jnp.int32(7),
            }
        )
    )
    key = jax.random.fold_in(stream_key(jax.random.key(3), "data"), 7)
    batch = jax.jit(PROBLEM.draw)(run.frozen, key)
    loss, grads = jax.jit(
        jax.value_and_grad(lambda p: PROBLEM.loss(p, run.state, batch, key)[0])
    )(run.params)
    expected = jax.tree.map(lambda p, g: p - 0.5 * g, run.params, grads)
    chex.assert_trees_all_close(new.params, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    norm = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(grads)))
    np.testing.assert_allclose(metrics["grad_norm"], norm, rtol=1e-5)
    assert int(new.step) == 8


def test_scan_and_vmap_equal_a_loop_over_steps_and_seeds():
    state, losses = train_all([0, 5], make_mesh())
    step = jax.jit(make_step(PROBLEM, OPTIMISER))
    for index, seed in enumerate((0, 5)):
        run, expected = one_seed(seed), []
        for _ in range(8):
            run, metrics = step(run)
            expected.append(metrics["loss"])
        np.testing.assert_allclose(losses[:, index], expected, rtol=2e-5)
        mine = jax.tree.map(lambda leaf, i=index: leaf[i], state.params)
        chex.assert_trees_all_close(mine, run.params, rtol=2e-3, atol=2e-5)


def test_the_size_of_a_dispatch_does_not_change_the_run():
    one, a = train_all([0, 1], make_mesh(), chunk=4)
    other, b = train_all([0, 1], make_mesh(), chunk=3)  # 3 + 3 + 2
    np.testing.assert_allclose(a, b, rtol=1e-5)
    chex.assert_trees_all_close(one.params, other.params, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("axes", [dict(seed=8), dict(seed=2, data=4)])
def test_eight_devices_equal_one(axes):
    seeds = list(range(8))
    state, losses = train_all(seeds, make_mesh())
    mesh = make_mesh(**axes)
    spread, spread_losses = train_all(seeds, mesh)
    np.testing.assert_allclose(losses, spread_losses, rtol=1e-4)
    chex.assert_trees_all_close(
        jax.device_get(spread.params),
        jax.device_get(state.params),
        rtol=5e-3,
        atol=1e-4,
    )
    for leaf in jax.tree.leaves(spread):
        assert leaf.sharding.is_equivalent_to(
            jax.NamedSharding(mesh, P("seed")), leaf.ndim
        )
    assert jax.tree.map(lambda a: (a.shape, a.dtype), spread) == jax.tree.map(
        lambda a: (a.shape, a.dtype), state
    )


def test_uneven_batches_and_too_few_devices_are_refused():
    mesh = make_mesh(seed=2, data=4)
    with pytest.raises(ValueError, match=r"batch must be a multiple .* \(4\), got 18"):
        check_divisible(mesh, seeds=2, batch=18)
    with pytest.raises(ValueError, match=r"seeds must be a multiple .* \(2\), got 3"):
        check_divisible(mesh, seeds=3, batch=16)
    with pytest.raises(ValueError, match="at most 8 in all .* got 16"):
        make_mesh(data=16)
    with pytest.raises(ValueError, match="mesh axis seed must be >= 1, got 0"):
        make_mesh(seed=0)


def test_state_is_donated():
    mesh = make_mesh()
    state = loop.start(PROBLEM, OPTIMISER, np.arange(2), mesh=mesh)
    make_chunk(PROBLEM, OPTIMISER, steps=1, mesh=mesh)(state)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_one_program_for_all_full_chunks():
    mesh = make_mesh()
    traces = []

    def counted(*args):
        traces.append(1)
        return PROBLEM.loss(*args)

    problem = Problem(**{**vars(PROBLEM), "loss": counted})
    train_all([0], mesh, steps=12, chunk=4, problem=problem)
    assert len(traces) <= 2  # once for values, once for gradients, of one program


def test_a_loss_that_is_not_finite_stops_and_names_the_step():
    def broken(params, state, batch, key):
        loss, aux = PROBLEM.loss(params, state, batch, key)
        return loss + jnp.log(batch.z[0, 0] * 0 - 1), aux

    problem = Problem(**{**vars(PROBLEM), "loss": broken})
    with pytest.raises(loop.NonFiniteLoss, match=r"from step 1 on .* seeds \[7\]"):
        train_all([7], make_mesh(), problem=problem)


def test_draws_depend_on_seed_and_step_only():
    state, _ = train_all([0, 1], make_mesh(), steps=4)
    again, _ = train_all([1, 0], make_mesh(), steps=4)
    swapped = jax.tree.map(lambda leaf: leaf[::-1], again)
    chex.assert_trees_all_close(state.frozen, swapped.frozen, rtol=1e-6)
    chex.assert_trees_all_close(state.params, swapped.params, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(seeds=0, steps=1), "seeds must be distinct and at least one"),
        (dict(seeds=[1, 1], steps=1), "seeds must be distinct and at least one"),
        (dict(seeds=[2**31], steps=1), "seeds must be in"),
        (dict(seeds=1, steps=0), "steps must be >= 1, got 0"),
    ],
)
def test_fit_refuses_what_it_cannot_run(settings, message):
    with pytest.raises(ValueError, match=message):
        loop.fit(PROBLEM, OPTIMISER, **settings)


def exact_products(function, *args):
    """Of every matrix product in a function's program, whether it is in float32."""
    text = str(jax.make_jaxpr(function)(*args))
    settings = [part.split("] ")[0] for part in text.split("dot_general[")[1:]]
    return ["HIGHEST" in setting for setting in settings]


def test_products_of_a_step_are_those_of_its_precision():
    run = one_seed(0)
    for precision, exact in (("float32", True), ("fast", False)):
        config = dataclasses.replace(TINY, precision=precision)
        step = make_step(make_problem(config), OPTIMISER)
        found = exact_products(step, run)
        assert found
        assert all(found) if exact else not all(found)


def test_scores_are_always_in_float32():
    config = dataclasses.replace(TINY, precision="fast")
    state = loop.start(make_problem(config), OPTIMISER, np.arange(1), mesh=make_mesh())

    def score(params, state, frozen, key):
        x = jnp.eye(3)
        assert exact_products(lambda x: x @ x, x) == [True]
        return {"trace": jnp.trace(x @ x)}

    assert exact_products(lambda x: x @ x, jnp.eye(3)) == [False]
    assert loop.on_each_seed(score, mesh=make_mesh())(state)["trace"] == [3]


def test_a_precision_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="precision must be"):
        dataclasses.replace(TINY, precision="tf32")
    with pytest.raises(ValueError, match="precision must be"):
        make_step(dataclasses.replace(PROBLEM, precision="half"), OPTIMISER)(
            one_seed(0)
        )
