"""The posterior's loss: closed forms, published entropies, the affine optimum."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jidcl.latents import (
    VonMisesFisher,
    class_of_index,
    sample_cluster_vectors,
    sample_instances,
)
from jidcl.losses import instance_cross_entropy
from jidcl.theory import (
    affine_solution,
    class_log_posterior,
)
from jidcl.theory import bayes_floor as eager_floor
from jidcl.theory import index_log_posterior as eager_log_posterior

KAPPA = 6.0
# One program a call; the concentration and the sizes are Python numbers.
bayes_floor = jax.jit(
    eager_floor, static_argnums=2, static_argnames=("instances", "samples")
)
index_log_posterior = jax.jit(
    eager_log_posterior, static_argnums=2, static_argnames=("instances", "noise")
)


def vectors(key, clusters, n):
    return jax.jit(lambda key: sample_cluster_vectors(key, clusters, n))(key)


@pytest.fixture
def v():
    return vectors(jax.random.key(3), 5, 3)


@functools.partial(jax.jit, static_argnames=("instances", "batch"))
def draw(v, instances, batch=64):
    law = VonMisesFisher(KAPPA)
    return sample_instances(jax.random.key(4), v, law, instances=instances, batch=batch)


def test_posterior_is_bayes_rule(v):
    drawn = draw(v, 13)
    density = np.exp(KAPPA * np.asarray(drawn.z, np.float64) @ np.asarray(v).T)
    classes = density / density.sum(1, keepdims=True)
    np.testing.assert_allclose(
        class_log_posterior(drawn.z, v, KAPPA), np.log(classes), rtol=1e-4, atol=1e-5
    )
    every = density[:, np.arange(13) % 5]
    every = every / every.sum(1, keepdims=True)
    own = every[np.arange(64), drawn.index]
    for noise in (0.0, 0.3, 1.0):
        got = index_log_posterior(
            drawn.z, v, KAPPA, drawn.index, instances=13, noise=noise
        )
        want = np.log((1 - noise) * own + noise / 13)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("instances", [20, 13])
def test_floor_is_the_mean_loss_of_the_posterior(v, instances):
    floor = bayes_floor(
        jax.random.key(0), v, KAPPA, instances=instances, samples=20_000
    )
    drawn = draw(v, instances, batch=20_000)
    losses = -np.asarray(
        index_log_posterior(drawn.z, v, KAPPA, drawn.index, instances=instances)
    )
    error = np.hypot(floor.error, losses.std() / np.sqrt(losses.size))
    assert abs(losses.mean() - floor.value) < 4.5 * error
    assert 0 < floor.error < 0.01
    if instances == 20:  # balanced: H(C | z) + log(N / C)
        classes = bayes_floor(jax.random.key(1), v, KAPPA)
        error = np.hypot(classes.error, floor.error)
        assert abs(floor.value - classes.value - np.log(4)) < 4.5 * error


def test_floor_at_the_default_cell():
    # Spec's Monte Carlo over five draws of the clusters: 2.296 with a spread of 0.010
    # of their mean, so 0.022 for one draw; four of them.
    v = vectors(jax.random.key(0), 100, 5)
    floor = bayes_floor(jax.random.key(1), v, 10.0, samples=8192)
    assert abs(float(floor.value) - 2.296) < 0.09


def test_floor_without_concentration_is_chance(v):
    floor = bayes_floor(jax.random.key(0), v, 0.0, samples=64)
    np.testing.assert_allclose(floor.value, np.log(5), rtol=1e-5)


def test_floor_on_a_circle_by_quadrature():
    v = jnp.asarray([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
    z = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    logits = 2.0 * z @ np.asarray(v, np.float64).T
    density = np.exp(logits) / (2 * np.pi * special.i0(2.0))
    log_p = logits - special.logsumexp(logits, axis=1, keepdims=True)
    want = -(density * log_p).mean() * 2 * np.pi  # the mean also over three classes
    floor = bayes_floor(jax.random.key(0), v, 2.0, samples=20_000)
    assert abs(float(floor.value) - want) < 4.5 * float(floor.error)


def test_every_affine_pair_attains_the_floor_and_nothing_is_below(v, rng):
    drawn = draw(v, 13)
    m = jnp.asarray(rng.normal(size=(3, 3)), jnp.float32)
    shift = jnp.asarray(rng.normal(size=3), jnp.float32)

    def instances_of(v, m, shift):
        return affine_solution(v, KAPPA, m, shift)[class_of_index(jnp.arange(13), 5)]

    def loss_of(w, drawn, **tile):
        return instance_cross_entropy(drawn.z @ m.T, w, drawn.index, **tile)

    rows = jax.jit(instances_of)(v, m, shift)
    loss = jax.jit(loss_of)(rows, drawn)
    floor = -index_log_posterior(drawn.z, v, KAPPA, drawn.index, instances=13)
    np.testing.assert_allclose(loss, floor.mean(), rtol=1e-5)
    # The tied rows are a stationary point of the population loss: a large sample's
    # gradient vanishes to its noise, and that of any other pair does not.
    many = draw(v, 13, batch=20_000)
    grad = jax.jit(jax.grad(functools.partial(loss_of, tile=None)))
    at, off = (np.linalg.norm(grad(w, many)) for w in (rows, 0.5 * rows))
    assert off > 5 * at


def test_bad_input_is_refused(v):
    index = jnp.zeros(2, jnp.int32)
    with pytest.raises(ValueError, match=re.escape("noise must be in [0, 1], got 2")):
        index_log_posterior(v[:2], v, 1.0, index, instances=5, noise=2)
    with pytest.raises(ValueError, match="clusters would be empty"):
        index_log_posterior(v[:2], v, 1.0, index, instances=4)
    with pytest.raises(ValueError, match="samples must be >= 2"):
        bayes_floor(jax.random.key(0), v, 1.0, samples=1)


def test_a_sure_class_is_shared_by_its_instances(v):
    z = 1e8 * v[:1] / np.linalg.norm(v[:1])  # logits beyond the digits of log 2
    count = 2 * len(v)
    got = index_log_posterior(z, v, 2.0, jnp.array([0]), instances=count)
    best = float(jnp.max(z @ v.T)) == float((z @ v.T)[0, 0])
    assert best
    np.testing.assert_allclose(got, -np.log(2), rtol=1e-5)


def test_a_matrix_with_an_infinity_has_no_affine_solution(v):
    n = v.shape[1]
    found = affine_solution(v, 2.0, jnp.eye(n).at[0, 0].set(jnp.inf), jnp.zeros(n))
    assert jnp.isnan(found).all()
