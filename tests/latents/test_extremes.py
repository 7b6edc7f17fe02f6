"""Densities at large exponents, in small boxes and at narrow dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl.latents import (
    Ball,
    Box,
    GeneralisedNormal,
    Laplace,
    Normal,
    Real,
    Simplex,
    Sphere,
    Uniform,
    VonMisesFisher,
    affine_generator,
    diverse,
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


# --- To the ends of the ranges of what is accepted ------------------------------------


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("kappa", [1e10, 1e19, 1e30, 3e38])
def test_draws_of_a_narrow_vmf_law_are_its_mean_with_its_spread(n, kappa):
    mean = jnp.zeros((2000, n)).at[:, 1].set(1.0)
    z = one_program(sample)(
        jax.random.key(0), VonMisesFisher(jnp.float32(kappa)), Sphere(n), mean
    )
    np.testing.assert_array_equal(np.asarray(z)[:, 1], 1)
    across = np.delete(np.asarray(z, np.float64), 1, axis=1)
    # Normal, of variance 1 / kappa: below 1e-38 a square of it is not drawn.
    want = kappa**-0.5 if kappa < 1e35 else 0
    np.testing.assert_allclose(across.std(), want, rtol=0.06, atol=1e-18)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_log_densities_of_narrow_vmf_laws_are_closed_forms(n):
    kappa = np.array([1e5, 1e19, 1e25, 1e35])
    mean = jnp.zeros(n).at[0].set(1.0)

    @jax.jit
    def at_mean(kappa):
        return jax.vmap(lambda k: log_prob(VonMisesFisher(k), Sphere(n), mean))(kappa)

    got = at_mean(jnp.asarray(kappa, jnp.float32))
    # A normal law in the tangent plane, up to (n - 1) (n - 3) / (8 kappa).
    np.testing.assert_allclose(got, (n - 1) / 2 * np.log(kappa / 2 / np.pi), rtol=1e-4)


@pytest.mark.share(3)
@pytest.mark.parametrize("law", [Normal, Laplace, lambda s: GeneralisedNormal(s, 3.0)])
@pytest.mark.parametrize("space", [Box(2, -1, 1), Ball(2), Sphere(3)])
def test_wide_noise_is_uniform_on_a_bounded_space(law, space):
    mean = jnp.broadcast_to(space.project(jnp.full((space.n,), 0.1)), (4000, space.n))
    z = one_program(sample)(jax.random.key(1), law(jnp.float32(1e37)), space, mean)
    flat = one_program(space.uniform)(jax.random.key(2), (4000,))
    if law is Laplace and isinstance(space, Sphere):
        return  # projected Laplace noise is not uniform
    if not isinstance(space, Sphere) or law is Normal:
        found = stats.ks_2samp(np.asarray(z)[:, 0], np.asarray(flat)[:, 0])
        assert found.pvalue > 1e-4
    assert np.isfinite(z).all()


@pytest.mark.parametrize("size", [1e30, 1e-30])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_densities_scale_with_their_scale(p, size):
    z = np.array([[0.3], [1.7], [-2.0]])
    law = stats.gennorm(p)

    @jax.jit
    def both(scale, z):
        noise = sample(
            jax.random.key(0),
            GeneralisedNormal(scale, p),
            Real(1),
            jnp.zeros((2000, 1)),
        )
        return log_prob(GeneralisedNormal(scale, p), Real(1), scale * z), noise / scale

    value, noise = both(jnp.float32(size), jnp.asarray(z, jnp.float32))
    want = law.logpdf(z[:, 0]) - np.log(size)
    np.testing.assert_allclose(value, want, rtol=1e-5)
    assert stats.kstest(np.asarray(noise)[:, 0], law.cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("law", "space"),
    [
        (VonMisesFisher(1e300), Sphere(3)),
        (VonMisesFisher(1e-300), Sphere(4)),
        (Normal(1e300), Real(3)),
        (Laplace(1e-300), Box(3)),
        (Normal(3e38), Box(3)),  # its length, sqrt(2) scale, is above float32
    ],
)
def test_parameters_that_the_dtype_does_not_hold_are_refused(law, space):
    mean = jnp.zeros((2, space.n)).at[:, 0].set(1.0)
    for call in (
        lambda: sample(jax.random.key(0), law, space, mean),
        lambda: log_prob(law, space, mean, mean),
    ):
        with pytest.raises(
            ValueError, match=r"^(kappa|scale|length) must be .*float32"
        ):
            call()


def test_exponents_whose_draws_no_float_holds_are_refused():
    with pytest.raises(ValueError, match=r"^p must be >= 0.05, got 0.01$"):
        GeneralisedNormal(1.0, 0.01)


def test_points_of_any_size_are_projected():
    simplex = [[1, 0, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 0], [1e-25, 0, 0]]
    points = [[1e20, 0, 0], [3e38, 1e20, 0], [2e30, 2e30, 2e30], [-1e30, 0, 0]]
    points = jnp.asarray([*points, [1e-25, 0, 0]], jnp.float32)

    @jax.jit
    def all_of(z):
        return [space.project(z) for space in (Sphere(3), Simplex(3), Ball(3, 1e-10))]

    on_sphere, on_simplex, in_ball = all_of(points)
    wide = np.asarray(points, np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    np.testing.assert_allclose(on_sphere, unit, atol=1e-6)
    np.testing.assert_allclose(on_simplex, simplex, atol=1e-6)
    np.testing.assert_allclose(in_ball[:4], 1e-10 * unit[:4], rtol=1e-5)
    np.testing.assert_allclose(in_ball[4:], wide[4:], rtol=1e-5)
    assert not Sphere(3).contains(points).any()
    assert Sphere(3).contains(on_sphere).all()


@pytest.mark.parametrize(
    ("density", "space"),
    [
        (Uniform(), Box(2)),
        (Normal(0.1), Box(2)),
        (Laplace(0.1), Real(2)),
        (VonMisesFisher(3.0), Sphere(2)),
        (Normal(0.3), Sphere(2)),
        (Uniform(), Simplex(2)),
    ],
)
def test_the_density_of_nan_is_nan_and_outside_it_is_nothing(density, space):
    z = jnp.array([[jnp.nan, 0.5], [0.6, 0.8], [9.0, 9.0]])
    value = one_program(log_prob)(density, space, z)
    assert np.isnan(value[0])
    assert np.isfinite(value[1]) or isinstance(space, Simplex)
    assert value[2] == -np.inf or isinstance(space, Real)


@pytest.mark.parametrize("question", [affine_generator, diverse])
def test_the_rank_of_what_is_not_finite_is_refused_or_not_full(question):
    v = jnp.eye(4)[:, :3].at[0, 0].set(jnp.nan)
    with pytest.raises(ValueError, match="^v must be finite, got 1 NaN"):
        question(v)
    found = jax.jit(question)(v)
    assert np.isnan(found.singular_values).all()
    assert not found.full


def test_noise_that_falls_between_numbers_of_the_sphere_has_no_density():
    mean = jnp.array([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="^length of noise .* must be >= 3.8147e-06"):
        log_prob(Normal(1e-6), Sphere(3), mean, mean)

    @jax.jit
    def at_mean(scale):
        return log_prob(Normal(scale), Sphere(3), mean, mean)

    # Normal in the tangent plane.
    assert at_mean(1e-4) == pytest.approx(-np.log(2 * np.pi * 1e-8), rel=1e-5)
    assert np.isnan(at_mean(1e-6))
