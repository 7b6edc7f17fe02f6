"""Output spaces: formulas, learnable parameters, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.encoders import OUTPUTS, OutputSpace, from_nnx, rescale, softclip
from jidcl.latents import Ball
from reference import network

M = 3


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(5, M)), jnp.float32)


def head(kind):
    return from_nnx(lambda rngs: OutputSpace(kind, M))


@pytest.mark.parametrize("kind", OUTPUTS)
def test_formula_at_the_start_and_after_training(x, kind):
    f = head(kind)
    params, state = jax.jit(f.init)(jax.random.key(0))
    y, _ = jax.jit(f.apply)(params, state, x)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(y, network.output(kind, exact, 1.0), rtol=1e-5)
    scale = {
        "learnable_sphere": np.float32(-2.5),
        "learnable_box": np.array([3, -1, 0.5], np.float32),
    }.get(kind, np.float32(1))
    params = jax.tree.map(lambda _: jnp.asarray(scale), params)
    y, _ = jax.jit(f.apply)(params, state, x)
    np.testing.assert_allclose(y, network.output(kind, exact, scale), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("none", {}),
        ("sphere", {}),
        ("box", {}),
        ("learnable_sphere", {"radius": ()}),
        ("learnable_box", {"bound": (M,)}),
    ],
)
def test_parameters_start_at_one_and_receive_gradients(x, kind, shapes):
    f = head(kind)
    params, state = jax.jit(f.init)(jax.random.key(0))
    assert {name: value.shape for name, value in params.items()} == shapes
    assert all(np.all(value == 1) for value in params.values())
    weights = jnp.arange(15.0).reshape(5, M)
    gradient = jax.grad(lambda p: jnp.sum(weights * f.apply(p, state, x)[0]))(params)
    # y is linear in the parameter, so the gradient is the weighted output at 1.
    terms = weights * network.output(kind, np.asarray(x, np.float64), 1.0)
    if kind == "learnable_sphere":
        np.testing.assert_allclose(gradient["radius"], terms.sum(), rtol=1e-4)
    if kind == "learnable_box":
        np.testing.assert_allclose(gradient["bound"], terms.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("r", [1.0, 2.5])
def test_rescale(x, r):
    x = x.at[0].set(jnp.array([0.1, 0.2, -0.1]))
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    np.testing.assert_allclose(rescale(x, r), r * np.asarray(x) / norm, rtol=1e-5)
    ball = rescale(x, r, at_most=True)
    np.testing.assert_allclose(ball, np.asarray(x) * np.minimum(1, r / norm), rtol=1e-5)
    np.testing.assert_array_equal(ball[0], x[0])  # inside: untouched


def test_rescale_at_the_origin():
    zero = jnp.zeros((1, M))
    for ball in (False, True):
        np.testing.assert_array_equal(rescale(zero, 2.0, at_most=ball), zero)


def test_a_black_picture_neither_ends_a_run_nor_moves_the_others(x):
    def loss(x):
        return jnp.sum(rescale(x) ** 3)

    black = x.at[1].set(0.0)
    gradient = jax.jit(jax.grad(loss))
    got, want = gradient(black), gradient(x)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(np.delete(got, 1, 0), np.delete(want, 1, 0))


@pytest.mark.parametrize("size", [1e20, 1e-20])
def test_the_sphere_is_reached_from_any_size(x, size):
    wide = np.asarray(x, np.float64)
    want = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    np.testing.assert_allclose(jax.jit(rescale)(size * x), want, rtol=1e-5, atol=1e-6)


def test_softclip(x):
    exact = 1 / (1 + np.exp(-np.asarray(x, np.float64)))
    np.testing.assert_allclose(softclip(x, 2.0), 2 * exact, rtol=1e-5)
    bound = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(softclip(x, bound), exact * [1, 2, 3], rtol=1e-5)
    np.testing.assert_allclose(softclip(x[0], bound), exact[0] * [1, 2, 3], rtol=1e-5)
    far = softclip(jnp.array([-1e4, 1e4]))
    np.testing.assert_array_equal(far, [0, 1])


def test_unknown_output_names_the_nearest():
    with pytest.raises(ValueError, match="output.*'spere'.*did you mean 'sphere'"):
        OutputSpace("spere", M)


def test_the_centre_of_the_ball_has_gradient_one():
    for inside in (lambda x: rescale(x, 2.0, at_most=True), Ball(3, 2.0).project):
        gradient = jax.jit(jax.jacobian(inside))(jnp.zeros(3))
        np.testing.assert_array_equal(gradient, np.eye(3))
