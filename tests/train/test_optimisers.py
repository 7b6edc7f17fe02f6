"""Optimisers of optax that ask for more than a gradient, in `fit` and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jidcl.train import fit
from jidcl.types import Problem

# Rows of a design with orthogonal columns: the loss is |w - W|^2 / 2 for every batch.
W = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)


def problem(loss=lambda w: jnp.sum((w - W) ** 2) / 2):
    return Problem(
        freeze=lambda key: {},
        init=lambda key: ({"w": jnp.zeros_like(W)}, {}),
        draw=lambda frozen, key: jnp.zeros(()),
        loss=lambda params, state, batch, key: (loss(params["w"]), (state, {})),
        probe=lambda params, state, frozen, key: {"norm": jnp.sum(params["w"])},
        evaluate=lambda params, state, frozen, key: {"w": params["w"]},
    )


def trained(optimiser, steps, **own):
    """(the optimiser's state, the parameters that were scored) of one seed."""
    state, scores = fit(
        problem(**own), optimiser, seeds=2, steps=steps, chunk_steps=steps
    )
    np.testing.assert_array_equal(*scores["w"])
    return jax.tree.map(lambda leaf: leaf[0], state.run), scores["w"][0]


PLATEAU = dict(factor=0.5, patience=2, cooldown=0)
EVERY = {
    "adamw": (lambda: optax.adamw(0.1), 200),
    "lbfgs": (lambda: optax.lbfgs(), 10),
    "muon": (lambda: optax.contrib.muon(0.1), 200),
    "multi_steps": (lambda: optax.MultiSteps(optax.sgd(0.5), 2), 40),
    "multi_steps_plateau": (
        lambda: optax.MultiSteps(
            optax.chain(optax.sgd(0.5), optax.contrib.reduce_on_plateau(**PLATEAU)), 2
        ),
        40,
    ),
    "polyak": (lambda: optax.polyak_sgd(), 40),
    "plateau": (
        lambda: optax.chain(optax.sgd(0.5), optax.contrib.reduce_on_plateau(**PLATEAU)),
        40,
    ),
    "schedule_free": (lambda: optax.contrib.schedule_free_sgd(0.5), 400),
    "schedule_free_adamw": (lambda: optax.contrib.schedule_free_adamw(0.1), 400),
    "of_a_key": (lambda: lambda key: optax.sgd(0.5), 40),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_optimiser_descends(name):
    make, steps = EVERY[name]
    _, w = trained(make(), steps)
    np.testing.assert_allclose(w, W, atol=0.1)


def test_a_plateau_halves_the_rate():
    optimiser = optax.chain(optax.sgd(0.0), optax.contrib.reduce_on_plateau(**PLATEAU))
    run, _ = trained(optimiser, 10)
    # The first loss is the best; two that are no better halve.
    assert float(run.opt_state[1].scale) == 0.5**4


def test_several_steps_move_once():
    """The mean of two gradients moves the parameters at every second step."""
    for steps, moves in ((1, 0), (2, 1), (5, 2)):
        _, w = trained(optax.MultiSteps(optax.sgd(0.5), 2), steps)
        np.testing.assert_allclose(w, (1 - 0.5**moves) * W, rtol=1e-6)


def test_schedule_free_is_scored_at_its_average():
    """z = z - rate grad(y), x the mean of all z, y = (1 - b1) z + b1 x."""
    rate, b1, steps = 0.25, 0.9, 6
    x = y = z = np.zeros_like(W)
    for t in range(1, steps + 1):
        z = z - rate * (y - W)
        x = x + (z - x) / t
        y = (1 - b1) * z + b1 * x
    run, w = trained(optax.contrib.schedule_free_sgd(rate, b1=b1), steps)
    np.testing.assert_allclose(run.params["w"], y, rtol=1e-5)
    np.testing.assert_allclose(w, x, rtol=1e-5)
    assert np.abs(x - y).max() > 0.01


def test_a_line_search_sees_the_loss_of_its_batch():
    """A quadratic is solved by the first step of length 1 along its gradient."""
    search = optax.scale_by_backtracking_linesearch(max_backtracking_steps=4)
    run, w = trained(optax.chain(optax.sgd(1.0), search), 1)
    np.testing.assert_allclose(w, W, rtol=1e-6)
    assert float(run.opt_state[1].value) < 1e-10


def test_what_an_optimiser_asks_for_beyond_a_batch_is_named():
    def update(updates, state, params=None, *, teacher, **extra):
        return updates, state

    optimiser = optax.GradientTransformationExtraArgs(lambda p: (), update)
    with pytest.raises(TypeError, match="teacher"):
        fit(problem(), optimiser, seeds=1, steps=1)


class Module:
    """A module as a tree of arrays and of what is not trained, as Equinox has them."""

    def __init__(self, w, b, name="affine"):
        self.w, self.b, self.name = w, b, name

    def __call__(self, x):
        return x @ self.w + self.b[None]


jax.tree_util.register_pytree_node(
    Module, lambda m: ((m.w, m.b), m.name), lambda name, held: Module(*held, name)
)


def test_modules_that_are_trees_train_by_parts():
    """Trained arrays and None in one tree, the rest in another that is closed over."""
    fixed = Module(None, jnp.ones((2,)))

    def whole(params):
        return jax.tree.map(
            lambda a, b: b if a is None else a,
            params,
            fixed,
            is_leaf=lambda leaf: leaf is None,
        )

    x = jnp.eye(2)
    own = Problem(
        freeze=lambda key: {},
        init=lambda key: (Module(jnp.zeros((2, 2)), None), {}),
        draw=lambda frozen, key: x,
        loss=lambda params, state, x, key: (
            jnp.sum((whole(params)(x) - W) ** 2),
            (state, {}),
        ),
        probe=lambda params, *rest: {"w": params.w},
        evaluate=lambda params, *rest: {"w": params.w},
    )
    _, scores = fit(own, optax.adam(0.1), seeds=2, steps=300)
    np.testing.assert_allclose(scores["w"][0], W - 1, atol=1e-3)
