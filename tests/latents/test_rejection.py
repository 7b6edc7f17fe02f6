"""Rejection samplers against SciPy's distributions.

Every statistical assertion fails on a fresh key with probability below 1e-4 (see
`reference.statistics`); this file makes about 130 of them, so a change of every key
raises a false alarm with probability below 2 %.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import GeneralisedNormal, Laplace, Normal
from jidcl.latents.rejection import (
    reject,
    sample_truncated,
)
from reference import pnorm
from reference.statistics import (
    SIGMAS,
    assert_distribution,
    assert_mean,
    assert_uncorrelated,
)

FAMILIES = {"laplace": Laplace, "normal": Normal, "gennorm": GeneralisedNormal}


# reject


def test_reject_leaves_nan_where_the_bound_is_exhausted():
    def propose(key):
        return jnp.arange(3.0), jnp.array([True, False, True])

    value, acceptance = reject(jax.random.key(0), propose, jnp.zeros(3), max_rounds=5)
    np.testing.assert_array_equal(value, [0.0, np.nan, 2.0])
    # Three proposals, then four more for the one that is never accepted.
    assert acceptance == pytest.approx(2 / 7)


def test_reject_that_accepts_nothing():
    def propose(key):
        return jnp.ones(4), jnp.zeros(4, bool)

    value, acceptance = reject(jax.random.key(0), propose, jnp.ones(4), max_rounds=2)
    assert np.isnan(value).all()
    assert acceptance == 0


def test_reject_redraws_whole_vectors():
    def propose(key):
        z = jax.random.uniform(key, (2000, 2))
        return z, z[:, 0] + z[:, 1] < 1

    like = jnp.zeros((2000, 2))
    value, acceptance = reject(jax.random.key(0), propose, like)
    value = np.asarray(value, np.float64)
    assert (value.sum(-1) < 1).all()
    assert_distribution(value.sum(-1), lambda s: s**2)
    assert_distribution(value[:, 0], lambda x: 1 - (1 - x) ** 2)
    # The number of proposals has standard deviation sqrt(2000 (1 - p)) / p, p = 1/2.
    proposals = 2000 / float(acceptance)
    assert abs(proposals - 4000) < SIGMAS * np.sqrt(2000 * 0.5) / 0.5


def test_reject_draws_afresh_every_round_and_keeps_the_first_accepted():
    def propose(key):
        z = jax.random.uniform(key, (20_000,))
        return z, z < 0.2

    value, acceptance = reject(jax.random.key(1), propose, jnp.zeros(20_000))
    assert_distribution(value, lambda x: x / 0.2)
    assert_uncorrelated(value[1:], value[:-1])
    assert len(np.unique(value)) > 19_500
    assert float(acceptance) == pytest.approx(0.2, rel=0.05)


# truncated noise

CENTRES = [0.0, 0.03, 0.5, 0.9, 1.0]
SHAPE = (10_000, len(CENTRES))


sample_truncated_jit = jax.jit(
    lambda seed, *rest: sample_truncated(jax.random.key(seed), *rest)
)


def draw_truncated(density, seed, low, high, centres=CENTRES):
    """Draws around low + (high - low) centre; one program for each family."""
    mean = np.float32(low) + np.float32(high - low) * np.float32(centres)
    mean = np.broadcast_to(mean, SHAPE)
    z, acceptance = sample_truncated_jit(seed, density, mean, low, high)
    return np.asarray(z, np.float64), float(acceptance)


@pytest.mark.parametrize("scale", [1e-3, 0.05, 0.2, 1.0, 1e4])
@pytest.mark.parametrize("name", FAMILIES)
def test_truncated(name, scale):
    z, acceptance = draw_truncated(FAMILIES[name](scale), 0, 0.0, 1.0)
    assert z.min() >= 0
    assert z.max() <= 1
    assert 0.4 <= acceptance <= 1
    for column, centre in zip(z.T, CENTRES, strict=True):
        centre = float(np.float32(centre))
        cdf = pnorm.truncated_cdf(name, scale, centre, 0.0, 1.0)
        assert_distribution(column, cdf)
    assert_uncorrelated(z[:, 0], z[:, 4])


@pytest.mark.parametrize("name", FAMILIES)
def test_truncated_to_another_interval(name):
    z, _ = draw_truncated(FAMILIES[name](0.7), 1, -2.0, 0.5)
    lam = pnorm.length(name, 0.7)
    for column, centre in zip(z.T, CENTRES, strict=True):
        centre = -2.0 + 2.5 * centre
        cdf = pnorm.truncated_cdf(name, 0.7, centre, -2.0, 0.5)
        assert_distribution(column, cdf)
        p = pnorm.FAMILIES[name][1]
        energy = pnorm.box_energy(centre, -2.0, 0.5, lam, p)
        assert_mean((np.abs(column - centre) / lam) ** p, energy)


@pytest.mark.parametrize("name", ["laplace", "normal"])
def test_truncated_far_below_float32_in_float64(name, x64):
    draw = jax.jit(
        lambda density, mean: sample_truncated(
            jax.random.key(2), density, mean, 0.0, 1.0
        )[0]
    )
    for centre in (0.0, 0.75):
        z = draw(FAMILIES[name](1e-9), jnp.full((5000,), centre, jnp.float64))
        assert z.dtype == jnp.float64
        cdf = pnorm.truncated_cdf(name, 1e-9, centre, 0.0, 1.0)
        assert_distribution(z, cdf)


def test_truncated_generalised_normal_includes_its_special_cases():
    for density, same in (
        (GeneralisedNormal(0.3, 1.0), Laplace(0.3)),
        (GeneralisedNormal(0.3 * np.sqrt(2), 2.0), Normal(0.3)),
    ):
        a, b = (draw_truncated(d, 4, -1.0, 1.0)[0] for d in (density, same))
        np.testing.assert_allclose(a, b, atol=3e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_truncated_around_a_centre_that_rounding_left_outside(name):
    # A mean may miss the face by `contains`' tolerance, far more than a narrow scale.
    z, _ = draw_truncated(
        FAMILIES[name](1e-4), 6, 0.0, 1.0, [-9e-4, -1e-7, 0.5, 1.0001, 1.0009]
    )
    for column, centre in zip(z.T, (0.0, 0.0, 0.5, 1.0, 1.0), strict=True):
        assert_distribution(column, pnorm.truncated_cdf(name, 1e-4, centre, 0.0, 1.0))
