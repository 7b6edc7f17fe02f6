"""Densities as settings: names, refusals, and their place in a pytree."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jidcl.latents import (
    GeneralisedNormal,
    Laplace,
    Normal,
    ProductDensity,
    Uniform,
    VonMisesFisher,
    make_density,
)
from jidcl.latents.families import noise


def refused(message, error=ValueError):
    return pytest.raises(error, match=re.escape(message))


def test_every_density_has_its_own_tree_structure():
    # The caches of jit and scan compare structures: two equal ones, and a program
    # compiled for a Laplace density may answer for a normal one.
    densities = [
        Uniform(),
        Laplace(1.0),
        Normal(1.0),
        GeneralisedNormal(1.0, 2.0),
        GeneralisedNormal(1.0, 3.0),
        VonMisesFisher(1.0),
        ProductDensity((Laplace(1.0),)),
        ProductDensity((Normal(1.0),)),
    ]
    structures = [jax.tree.structure(density) for density in densities]
    for i, one in enumerate(structures):
        assert [one == other for other in structures] == [
            i == j for j in range(len(structures))
        ]
    for density in densities:
        leaves, structure = jax.tree.flatten(density)
        assert jax.tree.unflatten(structure, leaves) == density


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Laplace(0.0), "scale must be > 0, got 0.0"),
        (lambda: Normal(-1.0), "scale must be > 0, got -1.0"),
        (lambda: GeneralisedNormal(np.nan), "scale must be > 0, got nan"),
        (lambda: Laplace(jnp.float32(-2)), "scale must be > 0, got -2.0"),
        (lambda: GeneralisedNormal(1.0, -0.5), "p must be >= 0.05, got -0.5"),
        (lambda: VonMisesFisher(-0.1), "kappa must be >= 0, got -0.1"),
        (
            lambda: make_density("laplce", 1.0),
            "density must be one of ['uniform', 'laplace', 'normal', 'gennorm', "
            "'vmf'], got 'laplce' (did you mean 'laplace'?)",
        ),
        (lambda: make_density("normal", 0.0), "scale must be > 0, got 0.0"),
        (lambda: make_density("gennorm", 1.0, 0.0), "p must be >= 0.05, got 0.0"),
    ],
)
def test_bad_densities(make, message):
    with refused(message):
        make()


@pytest.mark.parametrize("name", ["laplace", "normal", "gennorm", "vmf"])
def test_make_density_needs_a_parameter(name):
    with refused("param"):
        make_density(name)


def test_make_density():
    assert make_density("uniform") == Uniform()
    assert make_density("laplace", 0.1) == Laplace(0.1)
    assert make_density("normal", 0.1) == Normal(0.1)
    assert make_density("gennorm", 0.1) == GeneralisedNormal(0.1, 3.0)
    assert make_density("gennorm", 0.1, 4.0) == GeneralisedNormal(0.1, 4.0)
    assert make_density("vmf", 10) == VonMisesFisher(10)


def test_noise_of_few_digits_has_the_tails_of_wide_noise():
    density = GeneralisedNormal(1.0, 1.01)
    draws = noise(jax.random.key(0), density, (100_000,), jnp.bfloat16)
    assert draws.dtype == jnp.bfloat16
    law = scipy.stats.gennorm(1.01)
    # Its variance is known to 0.7 % (one sd) from so many draws; tails end at ln count.
    assert np.var(np.asarray(draws, np.float64)) == pytest.approx(law.var(), rel=0.03)
    assert np.abs(np.asarray(draws, np.float64)).max() > 8


def test_an_infinite_exponent_is_refused():
    with pytest.raises(ValueError, match="p must be finite"):
        GeneralisedNormal(1.0, float("inf"))
