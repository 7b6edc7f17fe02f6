"""The thin-shell sampler against the table of its specification, and NumPy.

The table is itself a Monte Carlo estimate, given to three digits: its own error, taken
as 0.002, is added to `SIGMAS` standard errors of ours. About 60 assertions, each with a
false-alarm rate below 1e-4 on a fresh key.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import Anisotropic, Real, Sphere, log_prob, sample_with_acceptance
from jidcl.latents.anisotropic import shell_step
from reference.statistics import SIGMAS, assert_mean, assert_same_distribution

SAMPLES, TABLE_ERROR = 10_000, 0.002
LINEAR = tuple(np.linspace(5, 25, 10))
BIMODAL = (25.0,) * 5 + (5.0,) * 5
# (lam, acceptance, mean cosine, correlation of each coordinate)
TABLE = {
    "linear": (
        LINEAR,
        0.144,
        0.700,
        (0.456, 0.558, 0.631, 0.683, 0.721, 0.752, 0.778, 0.796, 0.811, 0.827),
    ),
    "bimodal": (BIMODAL, 0.096, 0.633, (0.825,) * 5 + (0.447,) * 5),
}


@jax.jit
def draw(key, density):
    z_key, key = jax.random.split(key)
    z = Sphere(10).uniform(z_key, (SAMPLES,))
    return z, *sample_with_acceptance(key, density, Sphere(10), z)


@pytest.mark.parametrize("name", TABLE)
def test_statistics_of_the_table(name):
    lam, acceptance, cosine, correlations = TABLE[name]
    z, z_pos, rate = draw(jax.random.key(0), Anisotropic(jnp.asarray(lam, jnp.float32)))
    z, z_pos = np.asarray(z, np.float64), np.asarray(z_pos, np.float64)
    np.testing.assert_allclose(np.linalg.norm(z_pos, axis=1), 1, atol=1e-5)
    # Tries of one anchor are geometric; anchors differ in their rates, by a fifth.
    spread = acceptance * 1.1 / math.sqrt(SAMPLES)
    assert abs(float(rate) - acceptance) < SIGMAS * spread + TABLE_ERROR
    assert_mean((z * z_pos).sum(1), cosine, bias=TABLE_ERROR)
    for i, expected in enumerate(correlations):
        got = np.corrcoef(z[:, i], z_pos[:, i])[0, 1]
        error = (1 - expected**2) / math.sqrt(SAMPLES)
        assert abs(got - expected) < SIGMAS * error + TABLE_ERROR


def test_law_is_that_of_plain_rejection_in_numpy(rng):
    lam, shell = np.array([2.0, 8.0, 40.0]), 0.1
    mean = np.array([0.6, 0.0, 0.8])
    u = mean + rng.normal(size=(200_000, 3)) / np.sqrt(lam)
    norm = np.linalg.norm(u, axis=1)
    kept = (u / norm[:, None])[np.abs(norm - 1) < shell]
    density = Anisotropic(jnp.asarray(lam, jnp.float32), shell)
    means = jnp.broadcast_to(jnp.asarray(mean, jnp.float32), (SAMPLES, 3))
    z, rate = sample_with_acceptance(jax.random.key(1), density, Sphere(3), means)
    for i in range(3):
        assert_same_distribution(z[:, i], kept[:, i])
    share = len(kept) / len(u)
    error = math.sqrt(1 / SAMPLES + 1 / len(kept))
    assert abs(float(rate) / share - 1) < SIGMAS * error


def test_projection_without_rejection_is_another_law():
    # Long steps, which the shell refuses, end in front of the anchor: the mean cosine
    # is larger. Steps of one variance, Laplace or normal, have about the same.
    lam = jnp.full(10, 12.0)
    cosines = []
    for density in (
        Anisotropic(lam),
        Anisotropic(lam, math.inf),
        Anisotropic(lam, math.inf, "laplace"),
    ):
        z, z_pos, rate = draw(jax.random.key(2), density)
        cosines.append(float(jnp.mean(jnp.sum(z * z_pos, axis=1))))
        assert math.isinf(density.shell) == (float(rate) == 1)
    assert cosines[0] + 0.03 < cosines[1]
    assert abs(cosines[1] - cosines[2]) < 0.01


def test_first_accepted_round_and_boundaries(x64):
    mean, lam = jnp.array([[1.0, 0.0]]), jnp.array([4.0, 1.0])
    eps = jnp.array([[0.5, 0.0]])
    z, accepted = shell_step(mean, lam, eps, 0.3)
    np.testing.assert_allclose(z, [[1.0, 0.0]])
    assert bool(accepted[0])
    assert not bool(shell_step(mean, lam, eps, 0.2)[1][0])


def test_bad_input_is_refused():
    z = jnp.eye(3)
    density = Anisotropic(jnp.ones(2))
    with pytest.raises(ValueError, match=r"lam must have shape \[3\], got \[2\]"):
        sample_with_acceptance(jax.random.key(0), density, Sphere(3), z)
    with pytest.raises(ValueError, match="lam must be > 0"):
        Anisotropic(np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="shell must be > 0, got 0"):
        Anisotropic(jnp.ones(3), 0.0)
    with pytest.raises(ValueError, match="did you mean 'laplace'"):
        Anisotropic(jnp.ones(3), 0.1, "laplac")
    density = Anisotropic(jnp.ones(3))
    with pytest.raises(ValueError, match="got Anisotropic"):
        sample_with_acceptance(jax.random.key(0), density, Real(3), z)
    with pytest.raises(ValueError, match="got Anisotropic"):
        log_prob(density, Sphere(3), z)
