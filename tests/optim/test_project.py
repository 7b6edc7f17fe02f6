"""Rows that every step puts back on the sphere, against the step written out."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jidcl.optim.project import on_sphere, rows_from_sphere
from reference import network


def normed(w):
    return w / np.linalg.norm(w, axis=1, keepdims=True)


@pytest.mark.usefixtures("relaxed_promotion")
def test_steps_are_projection_then_adam_on_the_free_entries(rng):
    start, target = rng.normal(size=(2, 5, 3))
    optimiser = optax.chain(optax.adam(0.1), rows_from_sphere("w"))

    def loss(params):
        return jnp.sum((on_sphere(params["w"]) - jnp.asarray(target, jnp.float32)) ** 2)

    params = {"w": jnp.asarray(start, jnp.float32)}
    state = optimiser.init(params)
    # Adam's moments do not see the projection, so its updates are those of a path of
    # gradients; the weights are put on the sphere before each of them.
    w, seen = start, []
    for _ in range(4):
        seen.append(2 * (normed(w) - target))
        gradients = iter(seen)
        path = network.adam(
            np.zeros_like(w), lambda _, g=gradients: next(g), [0.1] * len(seen)
        )
        before = path[-2] if len(path) > 1 else 0
        w = normed(w) + path[-1] - before
        updates, state = optimiser.update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["w"], w, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="needs the parameters"):
        rows_from_sphere().update({"w": params["w"]}, optax.EmptyState())
