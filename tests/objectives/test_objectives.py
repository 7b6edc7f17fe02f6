"""The uniform interface: every objective on a linear encoder, and what each carries."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jidcl.losses import ema_schedule, moco
from jidcl.numerics import unit
from jidcl.objectives import OBJECTIVES, ObjectiveSettings, Views, make_objective
from jidcl.train.sharding import make_mesh

SETTINGS = ObjectiveSettings(
    steps=4, batch=8, queue=2, hidden=6, prototypes=5, directions=4, momentum=0.5
)
M = 2


def f(params, x):
    return jax.nn.sigmoid(x @ params["w"])


@pytest.fixture
def setting():
    keys = jax.random.split(jax.random.key(0), 5)
    w = jax.random.normal(keys[0], (3, M))
    views = Views(*(jax.random.normal(k, (8, 3)) for k in keys[1:4]))
    return {"w": w}, views, keys[4]


def trained_of(method, params, key):
    head, held = method.init(key, params, M)
    return {"f": params, "head": head}, held


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_has_a_gradient_for_all_that_it_trains(setting, name):
    params, views, key = setting
    method = make_objective(name, SETTINGS)
    trained, held = trained_of(method, params, key)

    def loss(trained):
        return method.loss(trained, held, f, views, key)

    (value, (carried, _)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        trained
    )
    assert np.isfinite(value)
    assert jax.tree.structure(carried) == jax.tree.structure(held)
    leaves = jax.tree.leaves_with_path(grads)
    still = [path for path, g in leaves if not np.any(np.abs(g) > 1e-9)]
    assert still == []


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n not in ("lejepa",)])
def test_swapping_the_views_changes_only_the_objectives_with_an_anchor(setting, name):
    params, views, key = setting
    method = make_objective(name, SETTINGS)
    trained, held = trained_of(method, params, key)
    if name == "moco":  # the queues are of one view each
        held = {**held, "queues": held["queues"][:1] * 2}
    loss = jax.jit(lambda views: method.loss(trained, held, f, views, key)[0])
    there = loss(views)
    back = loss(Views(views.x_pos, views.x, views.x_neg))
    one_sided = name in ("lp_infonce", "l1_infonce", "align_maxent")
    assert bool(jnp.isclose(there, back, rtol=1e-5)) != one_sided


@pytest.mark.share(3)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_spread_rows_give_the_whole_loss_gradient_and_what_is_held(setting, name):
    params, views, key = setting
    trained, held = trained_of(make_objective(name, SETTINGS), params, key)

    def loss(axis):
        method = make_objective(name, SETTINGS, axis=axis)
        return lambda trained, *rest: method.loss(trained, held, f, *rest)

    spread = jax.shard_map(
        loss("data"),
        mesh=make_mesh(data=4),
        in_specs=(P(), P("data"), P()),
        out_specs=P(),
    )
    both = [
        jax.jit(jax.value_and_grad(of, has_aux=True))(
            trained, views, jax.random.clone(key)
        )
        for of in (loss(None), spread)
    ]
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_moco_carries_the_average_and_both_queues(setting):
    params, views, key = setting
    method = make_objective("moco", SETTINGS)
    trained, held = trained_of(method, params, key)
    moved = {"f": {"w": params["w"] + 1.0}, "head": trained["head"]}
    loss = jax.jit(lambda moved: method.loss(moved, held, f, views, key))
    value, (carried, _) = loss(moved)
    target = {"w": 0.5 * params["w"] + 0.5 * moved["f"]["w"]}
    keys = [unit(f(target, x)) for x in views[:2]]
    queries = [f(moved["f"], x) for x in views[:2]]
    of = jax.jit(moco)
    losses = [of(queries[i], keys[1 - i], held["queues"][1 - i])[0] for i in range(2)]
    np.testing.assert_allclose(value, sum(losses) / 2, rtol=1e-5)
    np.testing.assert_allclose(carried["target"]["w"], target["w"], rtol=1e-6)
    for queue, new, old in zip(carried["queues"], keys, held["queues"], strict=True):
        np.testing.assert_allclose(queue[:8], new, rtol=1e-5)
        np.testing.assert_allclose(queue[8:], old[:8], rtol=1e-6)


def test_byol_target_follows_the_schedule(setting):
    params, views, key = setting
    method = make_objective("byol", SETTINGS)
    trained, held = trained_of(method, params, key)
    other = {"w": params["w"] * 3}
    want = params["w"]
    for step in range(4):
        _, (held, _) = method.loss({**trained, "f": other}, held, f, views, key)
        share = ema_schedule(jnp.asarray(step), start=0.5, end=1.0, steps=4)
        want = share * want + (1 - share) * other["w"]
    np.testing.assert_allclose(held["target"]["w"], want, rtol=1e-5)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="did you mean 'barlow'"):
        make_objective("barlows", SETTINGS)
    for name, value in (("tau", 0.0), ("queue", 0), ("momentum", 1.5), ("batch", 1)):
        with pytest.raises(ValueError, match=name):
            dataclasses.replace(SETTINGS, **{name: value})
