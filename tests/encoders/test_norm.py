"""Batch normalisation: values, running statistics as state, a linear start."""

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.encoders import make_mlp
from jidcl.encoders.norm import Running, update_running


def mlp():
    return make_mlp(3, m=2, widths=(2, 4), init="fan_in_uniform", batch_norm=True)


def reference(params, x, stats=None):
    """Forward pass in float64; batch statistics unless running ones are given."""
    params, stats = jax.tree.map(np.asarray, (params, stats))
    x, seen = np.asarray(x, np.float64), []
    for i in range(3):
        layer = params["layers"][str(i)]
        x = x @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"])
        if i == 2:
            return x, seen
        seen.append((x.mean(0), x.var(0, ddof=1)))
        norm = params["norms"][str(i)]
        mean, var = stats[i] if stats else (x.mean(0), x.var(0))
        x = (x - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["shift"]
        x = np.where(x > 0, x, 0.01 * x)
    return None


def test_training_uses_the_batch_and_evaluation_the_running_statistics(rng):
    f = mlp()
    params, state = jax.jit(f.init)(jax.random.key(0))
    assert set(params) == {"layers", "norms"}
    norms = params["norms"]
    for norm in norms.values():
        norm["scale"] = jnp.asarray(rng.normal(size=norm["scale"].shape), jnp.float32)
        norm["shift"] = jnp.asarray(rng.normal(size=norm["shift"].shape), jnp.float32)
    x = jnp.asarray(rng.normal(size=(9, 3)) + 1, jnp.float32)
    apply = jax.jit(f.apply, static_argnames="train")
    y, moved = apply(params, state, x, train=True)
    want, seen = reference(params, x)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-5)
    for i, (mean, var) in enumerate(seen):
        running = moved["norms"][str(i)]
        np.testing.assert_allclose(running["mean"], 0.1 * mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(running["var"], 0.9 + 0.1 * var, rtol=1e-4)
    y, same = apply(params, moved, x)
    stats = [
        (moved["norms"][str(i)]["mean"], moved["norms"][str(i)]["var"])
        for i in range(2)
    ]
    np.testing.assert_allclose(y, reference(params, x, stats)[0], rtol=1e-4, atol=1e-5)
    assert jax.tree.all(jax.tree.map(jnp.array_equal, moved, same))


def test_a_vmap_over_seeds_keeps_their_statistics_apart(rng):
    f = mlp()
    keys = jax.random.split(jax.random.key(0), 2)
    params, state = jax.jit(jax.vmap(f.init))(keys)
    x = jnp.asarray(rng.normal(size=(2, 8, 3)), jnp.float32)
    train = jax.jit(
        jax.vmap(lambda params, state, x: f.apply(params, state, x, train=True))
    )
    y, moved = train(params, state, x)
    alone = jax.jit(lambda params, state, x: f.apply(params, state, x, train=True))
    for seed in range(2):
        own = jax.tree.map(lambda leaf, seed=seed: leaf[seed], (params, state))
        y_own, moved_own = alone(*own, x[seed])
        np.testing.assert_allclose(y[seed], y_own, rtol=1e-4, atol=1e-5)
        got = jax.tree.map(lambda leaf, seed=seed: leaf[seed], moved)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
            got,
            moved_own,
        )


def test_mirrored_units_start_as_one_affine_map(rng):
    f = make_mlp(3, widths=(4, 6), init="looks_linear", batch_norm=True)
    params, state = jax.jit(f.init)(jax.random.key(0))
    x = jnp.asarray(rng.normal(size=(40, 3)), jnp.float32)
    y, _ = f.apply(params, state, x, train=True)
    wide = np.concatenate([x, np.ones((40, 1))], axis=1)
    left = y - wide @ np.linalg.lstsq(wide, np.asarray(y), rcond=None)[0]
    assert np.abs(left).max() < 1e-4 * np.abs(y).max()


def test_a_network_without_it_has_no_state():
    params, state = jax.jit(make_mlp(3, widths=(2,)).init)(jax.random.key(0))
    assert state == {}
    assert set(params) == {"layers"}


def test_the_two_conventions_of_the_running_variance():
    running = Running(jnp.zeros(1), jnp.ones(1))
    batch = Running(jnp.ones(1), jnp.full(1, 3.0))
    biased = update_running(running, batch, 4, unbiased=False)
    np.testing.assert_allclose(biased, [[0.1], [1.2]], rtol=1e-6)
    unbiased = update_running(running, batch, 4)
    np.testing.assert_allclose(unbiased, [[0.1], [1.3]], rtol=1e-6)
