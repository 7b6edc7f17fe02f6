"""Densities projected onto the sphere, against adaptive quadrature along the ray."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import GeneralisedNormal, Laplace, Normal
from jidcl.latents.projected import log_prob_projected
from reference import pnorm, vmf

FAMILIES = {"laplace": Laplace, "normal": Normal, "gennorm": GeneralisedNormal}
log_prob = jax.jit(log_prob_projected)


def points(rng, n, count=8):
    """Unit vectors: the mean itself, its antipode, axes, and random ones."""
    mean, z = rng.normal(size=(2, count, n))
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    z[0], z[1] = mean[0], -mean[1]
    z[2] = np.eye(n)[-1]
    mean[3], z[3] = np.eye(n)[0], np.eye(n)[0]
    mean[4] = np.eye(n)[0]
    return z / np.linalg.norm(z, axis=-1, keepdims=True), mean


@pytest.mark.share(3)
@pytest.mark.parametrize("scale", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("name", FAMILIES)
def test_is_the_integral(name, n, scale, rng, x64):
    z, mean = points(rng, n)
    got = log_prob(FAMILIES[name](scale), jnp.array(z), jnp.array(mean))
    want = [
        pnorm.projected_log_density(name, scale, a, b)
        for a, b in zip(z, mean, strict=True)
    ]
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("name", FAMILIES)
def test_in_float32(name, rng):
    z, mean = (value.astype(np.float32) for value in points(rng, 10))
    for scale in (0.05, 0.5):
        got = log_prob(FAMILIES[name](scale), jnp.array(z), jnp.array(mean))
        assert got.dtype == jnp.float32
        want = [
            pnorm.projected_log_density(name, scale, a, b)
            for a, b in zip(z.astype(np.float64), mean.astype(np.float64), strict=True)
        ]
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_normal_around_the_origin_is_uniform(n, rng, x64):
    z, _ = points(rng, n)
    got = log_prob(Normal(0.7), jnp.array(z), jnp.zeros((len(z), n)))
    np.testing.assert_allclose(got, -vmf.log_area(n), rtol=1e-9)


@pytest.mark.parametrize("name", ["laplace", "gennorm"])
def test_derivative_with_respect_to_scale(name, rng, x64):
    z, mean = points(rng, 3)
    slope = jax.jit(
        jax.jacfwd(
            lambda scale: log_prob_projected(
                FAMILIES[name](scale), jnp.array(z), jnp.array(mean)
            )
        )
    )
    for scale in (0.1, 1.0):
        step = 1e-4 * scale
        up, down = (
            np.array(
                [
                    pnorm.projected_log_density(name, scale + shift, a, b)
                    for a, b in zip(z, mean, strict=True)
                ]
            )
            for shift in (step, -step)
        )
        np.testing.assert_allclose(
            slope(scale), (up - down) / (2 * step), rtol=2e-5, atol=2e-5
        )


def test_gradient_with_respect_to_the_mean_and_point(rng, x64):
    z, mean = (value[5:] for value in points(rng, 3))

    def total(mean, z):
        return jnp.sum(log_prob_projected(Normal(0.4), z, mean))

    got = jax.jit(jax.grad(total, argnums=(0, 1)))(jnp.array(mean), jnp.array(z))
    step = 1e-5
    for which, gradient in enumerate(got):
        for i in range(3):
            shift = step * np.eye(3)[i]
            values = []
            for sign in (1, -1):
                a, b = (
                    (mean + sign * shift, z) if which == 0 else (mean, z + sign * shift)
                )
                values.append(
                    [
                        pnorm.projected_log_density("normal", 0.4, v, u)
                        for u, v in zip(a, b, strict=True)
                    ]
                )
            want = (np.array(values[0]) - np.array(values[1])) / (2 * step)
            np.testing.assert_allclose(gradient[:, i], want, rtol=1e-5, atol=1e-5)


def test_any_leading_shape_and_vmap_over_scales(rng):
    z, mean = (jnp.array(v, jnp.float32) for v in points(rng, 10))
    scales = jnp.array([0.3, 3.0])
    mapped = jax.jit(
        jax.vmap(lambda d: log_prob(d, z.reshape(2, 4, 10), mean.reshape(2, 4, 10)))
    )(Laplace(scales))
    for rows, scale in zip(mapped, (0.3, 3.0), strict=True):
        batch = log_prob(Laplace(scale), z, mean)
        np.testing.assert_allclose(rows.ravel(), batch, rtol=1e-5, atol=1e-5)
    one = jax.eval_shape(log_prob, Laplace(0.3), z[0], mean[0])
    assert one.shape == ()
