import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from jidcl.numerics import stream_key
from jidcl.systems.contrastive_ica.problem import make_problem, make_program
from jidcl.train import loop
from jidcl.train.gradient import Learner, gradient
from jidcl.train.sharding import check_divisible, make_mesh
from jidcl.train.state import frozen_draws, start_state
from jidcl.train.step import make_chunk, make_step
from jidcl.types import Problem, Program
from reference.tiny import TINY

PROBLEM, PROGRAM = make_problem(TINY), make_program(TINY)


@jax.jit
def one_seed(seed):
    return start_state(PROGRAM, seed, frozen_draws(PROGRAM, seed))


def train_all(seeds, mesh, *, steps=8, chunk=4, program=PROGRAM):
    state = loop.start(program, np.asarray(seeds), mesh=mesh)
    losses = []
    for event in loop.train(program, state, steps=steps, chunk_steps=chunk, mesh=mesh):
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
    step, state = make_step(gradient(wrong, optax.sgd(0.5))), one_seed(0)
    with pytest.raises(TypeError, match=r"loss must return \(scalar, \(state, metrics"):
        jax.eval_shape(step, state)


def test_step_is_the_gradient_step_written_out():
    run, sgd = one_seed(3).run, optax.sgd(0.5)
    learner = Learner(run.params, run.state, sgd.init(run.params))
    state = dataclasses.replace(one_seed(3), run=learner, step=jnp.int32(7))
    new, metrics = jax.jit(make_step(gradient(PROBLEM, sgd)))(state)
    key = jax.random.fold_in(stream_key(jax.random.key(3), "data"), 7)
    batch = jax.jit(PROBLEM.draw)(state.frozen, key)
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
    step = jax.jit(make_step(PROGRAM))
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


@pytest.mark.share(2)
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
    state = loop.start(PROGRAM, np.arange(2), mesh=mesh)
    make_chunk(PROGRAM, steps=1, mesh=mesh)(state)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))


def test_one_program_for_all_full_chunks():
    mesh = make_mesh()
    traces = []

    def counted(*args):
        traces.append(1)
        return PROBLEM.loss(*args)

    program = gradient(dataclasses.replace(PROBLEM, loss=counted), optax.sgd(0.1))
    train_all([0], mesh, steps=12, chunk=4, program=program)
    assert len(traces) <= 2  # once for values, once for gradients, of one program


def test_a_loss_that_is_not_finite_stops_and_names_the_step():
    def broken(params, state, batch, key):
        loss, aux = PROBLEM.loss(params, state, batch, key)
        return loss + jnp.log(batch.z[0, 0] * 0 - 1), aux

    program = gradient(dataclasses.replace(PROBLEM, loss=broken), optax.sgd(0.1))
    with pytest.raises(loop.NonFiniteLoss, match=r"from step 1 on, seeds \[7\]"):
        train_all([7], make_mesh(), program=program)


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
        loop.fit(PROGRAM, **settings)


def exact_products(function, *args):
    """Of every matrix product in a function's program, whether it is in float32."""
    text = str(jax.make_jaxpr(function)(*args))
    settings = [part.split("] ")[0] for part in text.split("dot_general[")[1:]]
    return ["HIGHEST" in setting for setting in settings]


def test_products_of_a_step_are_those_of_its_precision():
    run = one_seed(0)
    for precision, exact in (("float32", True), ("fast", False)):
        config = dataclasses.replace(TINY, precision=precision)
        step = make_step(make_program(config))
        found = exact_products(step, run)
        assert found
        assert all(found) if exact else not all(found)


def test_bfloat16_is_of_a_step_and_not_of_its_scores():
    program = make_program(dataclasses.replace(TINY, precision="bfloat16"))
    run, frozen, key = one_seed(0).run, frozen_draws(PROGRAM, 0), jax.random.key(0)
    step = str(jax.make_jaxpr(make_step(program))(one_seed(0)))
    assert "precision=BF16_BF16_F32" in step
    assert "mantissa_bits=7" in step
    scores = str(jax.make_jaxpr(program.evaluate)(run, frozen, key))
    assert "BF16" not in scores
    assert "mantissa_bits=7" not in scores


def test_scores_are_always_in_float32():
    config = dataclasses.replace(TINY, precision="fast")
    program = make_program(config)
    state = loop.start(program, np.arange(1), mesh=make_mesh())

    def score(run, frozen, key):
        x = jnp.eye(3)
        assert exact_products(lambda x: x @ x, x) == [True]
        return {"trace": jnp.trace(x @ x)}

    assert exact_products(lambda x: x @ x, jnp.eye(3)) == [False]
    assert loop.on_each_seed(score, program, mesh=make_mesh())(state)["trace"] == [3]


def test_a_precision_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="precision must be"):
        dataclasses.replace(TINY, precision="tf32")
    with pytest.raises(ValueError, match="precision must be"):
        make_step(dataclasses.replace(PROGRAM, precision="half"))(one_seed(0))


# Programs of other kinds ------------------------------------------------------------


def descent(**own):
    """w^2 / 2 from w = 1; `own` are arguments of `gradient`."""
    problem = Problem(
        freeze=lambda key: {},
        init=lambda key: (jnp.ones(()), {}),
        draw=lambda frozen, key: jax.random.normal(key, (4,)),
        loss=lambda w, state, x, key: (w**2 / 2 + 0 * jnp.sum(x), (state, {})),
        probe=lambda w, state, frozen, key: {"w": w},
        evaluate=lambda w, state, frozen, key: {"w": w},
        precision=own.pop("precision", "float32"),
    )
    return gradient(problem, own.pop("optimiser", optax.sgd(0.5)), **own)


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.chain(optax.add_noise(0.1, 0.5, key=0), optax.sgd(0.5)),
        lambda key: optax.chain(optax.add_noise(0.1, 0.5, key=key), optax.sgd(0.5)),
    ],
)
def test_noise_of_an_optimiser_is_the_seeds_own(optimiser):
    _, scores = loop.fit(descent(optimiser=optimiser), seeds=3, steps=2)
    assert len(set(scores["w"].tolist())) == 3
    _, again = loop.fit(descent(optimiser=optimiser), seeds=[2], steps=2)
    np.testing.assert_allclose(again["w"], scores["w"][2:], rtol=1e-6)


def test_an_optimiser_sees_the_same_key_at_its_start_and_at_every_update():
    seen = []

    def optimiser(key):
        seen.append(key)
        return optax.sgd(0.5)

    program = descent(optimiser=optimiser)
    run = program.start({}, jax.random.key(5))
    program.step(run, {}, jax.random.key(5), jnp.int32(3))
    first, later = map(jax.random.key_data, seen)
    np.testing.assert_array_equal(first, later)


def test_an_edit_comes_exactly_after_the_update():
    program = descent(edit=lambda w, key, t: jnp.where(t == 1, w + 10, w))
    _, scores = loop.fit(program, seeds=1, steps=3)
    np.testing.assert_allclose(scores["w"], (1 / 4 + 10) / 2, rtol=1e-6)


def test_collected_data_may_depend_on_the_parameters_and_are_carried():
    def collect(run, frozen, key, t):
        return run.params * jnp.ones(4), run.carry + run.params, {"seen": run.carry}

    program = descent(collect=collect, carry=lambda frozen, key: jnp.zeros(()))
    state = loop.start(program, np.arange(2), mesh=make_mesh())
    (event,) = loop.train(program, state, steps=3, chunk_steps=3, mesh=make_mesh())
    np.testing.assert_allclose(event.state.run.carry, [1.75] * 2)  # 1 + 1/2 + 1/4
    np.testing.assert_allclose(event.metrics["seen"][:, 0], [0, 1, 1.5])


def test_float64_holds_in_every_dispatch_and_nowhere_else():
    program = descent(precision="float64")
    program = dataclasses.replace(
        program,
        start=lambda frozen, key: Learner(
            jnp.asarray(1.0) / 3, {}, optax.sgd(0.5).init(jnp.ones(()))
        ),
    )
    state = loop.start(program, np.arange(1), mesh=make_mesh())
    for event in loop.train(program, state, steps=4, chunk_steps=2, mesh=make_mesh()):
        assert jnp.ones(()).dtype == jnp.float32  # not across the yield
        state = event.state
        assert state.params.dtype == jnp.float64
    np.testing.assert_allclose(state.params, [1 / 48], rtol=1e-15)
    scores = loop.on_each_seed(program.evaluate, program, mesh=make_mesh())(state)
    assert scores["w"].dtype == np.float64


def test_a_program_without_a_step_is_not_trained():
    program = dataclasses.replace(PROGRAM, step=None)
    with pytest.raises(ValueError, match="it trains nothing"):
        loop.fit(program, seeds=1, steps=1)


def test_a_step_without_a_loss_is_refused():
    program = Program(
        freeze=lambda key: {},
        start=lambda frozen, key: jnp.zeros(()),
        step=lambda run, frozen, key, t: (run + 1, {"reward": run}),
        evaluate=lambda run, frozen, key: {"run": run},
    )
    with pytest.raises(TypeError, match=r"scalar 'loss', got \['reward'\]"):
        loop.fit(program, seeds=1, steps=1)


def test_an_optimiser_may_hold_python_numbers():
    def update(grads, state, params=None):
        return jax.tree.map(lambda g: -0.5 * g, grads), {"count": state["count"] + 1}

    counting = optax.GradientTransformation(lambda params: {"count": 0}, update)
    _, scores = loop.fit(descent(optimiser=counting), seeds=1, steps=2)
    np.testing.assert_allclose(scores["w"], [0.25], rtol=1e-6)


def test_the_start_of_a_run_sees_the_shared_arrays_and_no_state_holds_them():
    seen = []

    def carry(frozen, key):
        seen.append(frozen["shared"]["x"])
        return jnp.sum(frozen["shared"]["x"])

    def collect(run, frozen, key, t):
        return jnp.zeros(4), run.carry + jnp.sum(frozen["shared"]["x"]), {}

    program = descent(carry=carry, collect=collect)
    program = dataclasses.replace(program, shared={"x": np.arange(5, dtype="f4")})
    mesh = make_mesh()
    shapes = loop.like_start(program, 2, mesh=mesh)
    state = loop.start(program, np.arange(2), mesh=mesh)
    assert all(isinstance(x, jax.core.Tracer) for x in seen)  # no constant
    np.testing.assert_array_equal(state.run.carry, [10, 10])
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, shapes)
    assert state.frozen == {}
    *_, last = loop.train(program, state, steps=2, chunk_steps=2, mesh=mesh)
    np.testing.assert_array_equal(last.state.run.carry, [30, 30])


def test_numbers_of_a_batch_are_not_spread():
    def draw(frozen, key):
        return {"x": jax.random.normal(key, (4,)), "scale": jnp.float32(2), "power": 2}

    def loss(w, state, batch, key):
        spread = jnp.mean((batch["scale"] * batch["x"]) ** batch["power"])
        return spread * w**2, (state, {})

    own = Problem(
        freeze=lambda key: {},
        init=lambda key: (jnp.ones(()), {}),
        draw=draw,
        loss=loss,
        probe=lambda w, *_: {"w": w},
        evaluate=lambda w, *_: {"w": w},
    )
    (_, one), (_, many) = (
        loop.fit(own, optax.sgd(0.01), seeds=2, steps=2, mesh=make_mesh(data=size))
        for size in (1, 2)
    )
    np.testing.assert_allclose(one["w"], many["w"], rtol=1e-6)
