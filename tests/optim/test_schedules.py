"""Optimisers by name: schedule values, Adam's iterates, Muon's direction."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jidcl.optim import make_optimiser, make_schedule
from reference import network


def test_constant_schedule():
    schedule = make_schedule("constant", 0.3, 10)
    assert [float(schedule(step)) for step in (0, 5, 100)] == pytest.approx([0.3] * 3)


@pytest.mark.parametrize("warmup", [0, 4])
def test_cosine_schedule(warmup):
    rate, steps = 0.3, 20
    schedule = make_schedule("cosine", rate, steps, warmup)
    got = [float(schedule(step)) for step in range(steps + 3)]
    want = [
        rate * step / warmup
        if step < warmup
        else rate
        * 0.5
        * (1 + np.cos(np.pi * min(step - warmup, steps - warmup) / (steps - warmup)))
        for step in range(steps + 3)
    ]
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert got[warmup] == pytest.approx(rate)
    assert got[0] == pytest.approx(0 if warmup else rate)


def test_half_constant_cosine_schedule():
    rate, steps = 0.3, 9
    schedule = make_schedule("half_constant_cosine", rate, steps)
    got = [float(schedule(step)) for step in range(steps + 3)]
    half = steps / 2
    want = [
        rate / 2 * (1 + np.cos(np.pi * (min(step, steps) - half) / half))
        if step > half
        else rate
        for step in range(steps + 3)
    ]
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("warmup", [0, 4])
def test_inverse_square_root_schedule(warmup):
    schedule = make_schedule("inverse_sqrt", 0.3, 20, warmup)
    got = [float(schedule(step)) for step in range(23)]
    want = [
        0.3 * (t / warmup if t < warmup else np.sqrt(max(warmup, 1) / max(t, 1)))
        for t in range(23)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def run(optimiser, params, gradient, steps):
    state, path = optimiser.init(params), []
    for _ in range(steps):
        updates, state = optimiser.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [0.1] * 3), ("cosine", [0, 0.05, 0.1])],
)
def test_adam_equals_numpy(relaxed_promotion, schedule, rates):
    start = np.array([1.0, -2.0, 0.5])
    optimiser = make_optimiser("adam", 0.1, steps=12, schedule=schedule, warmup=2)

    def gradient(x):
        return x**3 - 0.5  # of sum x^4 / 4 - x / 2

    got = run(optimiser, jnp.asarray(start, jnp.float32), gradient, 3)
    want = network.adam(start, gradient, rates)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_adamw_decays_apart_from_the_gradient(relaxed_promotion):
    start = jnp.array([1.0, -2.0])
    moved = [
        run(
            make_optimiser(name, 0.1, steps=9, schedule="constant", weight_decay=decay),
            start,
            lambda x: 3 * x,
            1,
        )[0]
        for name, decay in (("adamw", 0.2), ("adam", 0.2))
    ]
    np.testing.assert_allclose(moved[0] - moved[1], -0.1 * 0.2 * start, rtol=1e-4)


def test_muon_moves_matrices_by_an_orthogonal_factor(relaxed_promotion, rng):
    gradient = {
        "kernel": jnp.asarray(rng.normal(size=(4, 4)), jnp.float32),
        "bias": jnp.array([1e-3, -5.0]),
    }
    params = jax.tree.map(jnp.zeros_like, gradient)
    optimiser = make_optimiser("muon", 0.01, steps=10, schedule="constant")
    (moved,) = run(optimiser, params, lambda params: gradient, 1)
    # -rate U V^T of the gradient's singular vectors; Newton-Schulz leaves the
    # singular values near 1.
    u, values, vt = np.linalg.svd(np.asarray(gradient["kernel"], np.float64))
    assert values.max() / values.min() > 3
    inner = -u.T @ np.asarray(moved["kernel"]) @ vt.T / 0.01
    assert np.all(np.abs(inner - np.diag(np.diag(inner))) < 1e-3)
    assert np.all((np.diag(inner) > 0.6) & (np.diag(inner) < 1.3))
    # Vectors take an Adam step with Nesterov momentum, which at the first step is
    # the sign times b1 (1 - b1) / (1 - b1^2) + 1 = 28/19.
    step = 0.01 * 28 / 19
    np.testing.assert_allclose(moved["bias"], [-step, step], rtol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "adamm"}, "optimiser.*'adamm'.*did you mean 'adam'"),
        ({"schedule": "cosin"}, "schedule.*'cosin'.*did you mean 'cosine'"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ({"learning_rate": -1.0}, "learning_rate must be > 0, got -1.0"),
        ({"steps": 0}, "steps must be >= 1, got 0"),
        ({"warmup": -1}, "warmup must be >= 0, got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        make_optimiser(**{"name": "adam", "learning_rate": 0.1, "steps": 5, **settings})
