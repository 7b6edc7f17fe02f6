"""Samples that move with the concentration: quantiles in float64, and their means."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

from jidcl.latents.implicit import moving_with
from jidcl.latents.vmf import sample_vmf, vmf_mean_cosine


def quantile(n, kappa, u):
    """The angle with a share u of the law below it, by quadrature in float64."""

    def density(s):
        return np.sin(s) ** (n - 2) * np.exp(kappa * (np.cos(s) - 1))

    total = scipy.integrate.quad(density, 0, np.pi, epsabs=1e-13, limit=200)[0]

    def apart(theta):
        part = scipy.integrate.quad(density, 0, theta, epsabs=1e-13, limit=200)[0]
        return part / total - u

    return scipy.optimize.brentq(apart, 0, np.pi, xtol=1e-13)


@pytest.mark.parametrize("n", [2, 3, 4, 10])
def test_samples_move_with_kappa_as_the_quantiles_of_the_law(n, x64):
    cases = [(k, u) for k in (0.5, 5.0, 80.0) for u in (0.01, 0.4, 0.99)]
    step, want, angles = 1e-3, [], []
    for kappa, u in cases:
        ends = [quantile(n, kappa + sign * step, u) for sign in (1, -1)]
        want.append((np.cos(ends[0]) - np.cos(ends[1])) / (2 * step))
        angles.append(quantile(n, kappa, u))
    kappa, theta = jnp.asarray([k for k, _ in cases]), jnp.asarray(angles)

    @jax.jit
    def run(kappa, theta):
        below, sine = 2 * jnp.sin(theta / 2) ** 2, jnp.sin(theta)
        held = lambda kappa: moving_with(n, below, sine, kappa)  # noqa: E731
        _, moved = jax.jvp(held, (kappa,), (jnp.ones_like(kappa),))
        *ends, narrow = (x.astype(jnp.float32) for x in (below, sine, kappa))
        held = lambda kappa: moving_with(n, *ends, kappa)  # noqa: E731
        return moved, jax.jvp(held, (narrow,), (jnp.ones_like(narrow),))[1]

    (below, sine), (below32, _) = run(kappa, theta)
    np.testing.assert_allclose(-below, want, rtol=2e-5)
    np.testing.assert_allclose(-below32, want, rtol=1e-4)
    # w^2 + sine^2 = 1 stays.
    np.testing.assert_allclose(
        -np.cos(theta) * below + np.sin(theta) * sine, 0, atol=1e-12
    )


def test_samples_of_the_uniform_law_move_as_well(x64):
    """At kappa = 0 and n = 3, dw / dkappa = (1 - w^2) / 2."""
    w = np.linspace(-0.99, 0.99, 7)

    @jax.jit
    def slope(below, sine):
        held = lambda kappa: moving_with(3, below, sine, kappa)[0]  # noqa: E731
        return jax.jvp(held, (jnp.zeros(7),), (jnp.ones(7),))[1]

    got = -slope(jnp.asarray(1 - w), jnp.asarray(np.sqrt(1 - w**2)))
    np.testing.assert_allclose(got, (1 - w**2) / 2, rtol=1e-10)


@pytest.mark.parametrize(("n", "kappa"), [(2, 3.0), (3, 0.0), (3, 1e5), (5, 20.0)])
def test_the_mean_cosine_of_samples_has_the_derivative_of_its_formula(n, kappa):
    mean = jnp.zeros((20000, n)).at[:, 0].set(1.0)

    @jax.jit
    def run(key, kappa):
        def draw(kappa):
            return sample_vmf(jax.random.clone(key), mean, kappa)[0]

        z, moved = jax.jvp(draw, (kappa,), (jnp.ones_like(kappa),))
        back = jax.grad(lambda kappa: jnp.mean(draw(kappa)[:, 0]))(kappa)
        return moved[:, 0], back, jnp.sum(z * moved, axis=1)

    found = run(jax.random.key(0), jnp.asarray(kappa))
    slope, back, radial = (np.asarray(each, np.float64) for each in found)
    # A' = 1 - A^2 - (n - 1) A / kappa, and 1 / n at kappa = 0.
    step = 1e-4 * max(kappa, 1)
    ends = [vmf_mean_cosine(n, k) for k in (kappa + step, max(kappa - step, 0))]
    want = (ends[0] - ends[1]) / (step + min(step, kappa))
    error = float(slope.std()) / len(slope) ** 0.5
    assert abs(float(back) - want) < 5 * error + 1e-4 * want
    np.testing.assert_allclose(slope.mean(), back, rtol=1e-3)
    assert np.abs(radial).max() < 1e-5 * np.abs(slope).max()
