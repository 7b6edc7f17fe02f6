"""Densities at large exponents, in small boxes and at narrow dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl.latents import (
    Box,
    GeneralisedNormal,
    Normal,
    Real,
    Sphere,
    Uniform,
    VonMisesFisher,
    log_prob,
    sample,
)


def test_large_exponents_draw_no_zeros_and_integrate_to_one():
    key, space = jax.random.key(0), Real(1)
    z = one_program(sample)(
        key, GeneralisedNormal(1.0, 100.0), space, jnp.zeros((20_000, 1))
    )
    assert np.mean(np.asarray(z) == 0) < 1e-3
    # Nearly uniform on [-1, 1]; Kolmogorov-Smirnov at a false-alarm rate of 1e-4.
    law = stats.gennorm(100.0)
    assert stats.kstest(np.asarray(z)[:, 0], law.cdf).pvalue > 1e-4
    grid = jnp.linspace(0, 1, 2001)[:, None]
    for density in (GeneralisedNormal(1.0, 100.0), GeneralisedNormal(1e4, 10.0)):
        value = one_program(log_prob)(density, Box(1), grid, jnp.full((1,), 0.3))
        np.testing.assert_allclose(np.trapezoid(np.exp(value), dx=5e-4), 1, rtol=1e-3)


def test_tolerances_follow_the_size_of_the_box():
    tiny = Box(1, 0.0, 1e-3)
    grid = jnp.linspace(-3e-3, 3e-3, 6001)[:, None]
    density = np.exp(log_prob(Uniform(), tiny, grid))
    assert np.sum(density) * 1e-6 == pytest.approx(1, rel=0.01)
    for function in (
        lambda mean: sample(jax.random.key(0), Normal(1e-4), tiny, mean),
        lambda mean: log_prob(Normal(1e-4), tiny, jnp.zeros((1,)), mean),
    ):
        with pytest.raises(ValueError, match="mean must lie on Box"):
            function(jnp.full((1,), 1.9e-3))


def test_bfloat16_means_are_drawn_in_float32():
    k_box, k_mean, k_sphere = jax.random.split(jax.random.key(0), 3)
    mean = jnp.full((20_000, 1), 0.5, jnp.bfloat16)
    z = one_program(sample)(k_box, Normal(0.05), Box(1), mean)
    assert z.dtype == jnp.bfloat16
    # Rounding to 8 bits adds 1e-3; one standard error of the spread is 0.5 %.
    assert np.std(np.asarray(z, np.float32)) == pytest.approx(0.05, rel=0.03)
    on_sphere = one_program(Sphere(3).uniform)(k_mean, (1000,), jnp.bfloat16)
    drawn = one_program(sample)(k_sphere, VonMisesFisher(10.0), Sphere(3), on_sphere)
    norms = np.linalg.norm(np.asarray(drawn, np.float32), axis=-1)
    np.testing.assert_allclose(norms, 1, atol=0.02)
