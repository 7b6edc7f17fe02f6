"""Densities: samples against SciPy and brute force, log_prob against integrals.

About 60 statistical assertions, each with a false-alarm rate below 1e-4 on a fresh
key (`reference.statistics`): below 0.6 % for the file.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import (
    Ball,
    Box,
    GeneralisedNormal,
    Laplace,
    Normal,
    Product,
    ProductDensity,
    Real,
    Simplex,
    Sphere,
    Uniform,
    VonMisesFisher,
    log_prob,
    sample,
    sample_marginal,
    sample_with_acceptance,
)
from jidcl.theory import projected_normal_mean_cosine
from reference import bodies, pnorm, vmf
from reference.statistics import (
    assert_distribution,
    assert_mean,
    assert_same_distribution,
    assert_uncorrelated,
)

FAMILIES = {"laplace": Laplace, "normal": Normal, "gennorm": GeneralisedNormal}
every_family = pytest.mark.parametrize("name", FAMILIES)


@functools.partial(jax.jit, static_argnums=2)
def draw(seed, density, space, mean):
    return sample_with_acceptance(jax.random.key(seed), density, space, mean)


def draws(density, space, mean, seed=0, count=10_000):
    mean = np.broadcast_to(np.float32(mean), (count, space.n))
    z, acceptance = draw(seed, density, space, mean)
    return np.asarray(z, np.float64), float(acceptance)


def type_name(value):
    return (value if isinstance(value, type) else type(value)).__name__


# samples


@pytest.mark.parametrize(
    ("density", "name"),
    [
        (Laplace(0.3), "laplace"),
        (Normal(0.3), "normal"),
        (GeneralisedNormal(0.3, 1.5), 1.5),
    ],
    ids=repr,
)
def test_sample_on_real_adds_the_noise(density, name):
    mean = np.array([0.5, -3.0])
    z, acceptance = draws(density, Real(2), mean)
    assert acceptance == 1
    law = pnorm.law(name, 0.3)
    for column, centre in zip(z.T, mean, strict=True):
        assert_distribution(column - centre, law.cdf)
        assert_mean((column - centre) ** 2, law.var())
    assert_uncorrelated(z[:, 0], z[:, 1])


@pytest.mark.parametrize(("name", "n"), [("laplace", 2), ("normal", 10)])
def test_sample_on_the_sphere_projects_the_noise(name, n, rng):
    mean = np.eye(n)[0]
    z, _ = draws(FAMILIES[name](0.4), Sphere(n), mean)
    noise = pnorm.law(name, 0.4).rvs((20_000, n), random_state=rng)
    want = mean + noise
    want /= np.linalg.norm(want, axis=-1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    assert_same_distribution(z[:, 0], want[:, 0])
    assert_same_distribution(z[:, 1], want[:, 1])


@pytest.mark.parametrize(("sigma", "cosine"), [(1.0, 0.2962), (0.1, 0.9573)])
def test_projected_normal_has_the_mean_cosine_of_its_table(sigma, cosine):
    z, _ = draws(Normal(sigma), Sphere(10), np.eye(10)[0])
    assert_mean(z[:, 0], cosine, bias=5e-5)
    assert projected_normal_mean_cosine(10, sigma) == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize("name", ["laplace", "normal"])
def test_sample_on_a_box_truncates(name):
    space, mean = Box(2, -1.0, 0.5), np.array([-1.0, 0.3])
    z, _ = draws(FAMILIES[name](0.6), space, mean)
    for column, centre in zip(z.T, np.float32(mean), strict=True):
        cdf = pnorm.truncated_cdf(name, 0.6, float(centre), -1.0, 0.5)
        assert_distribution(column, cdf)
    assert_uncorrelated(z[:, 0], z[:, 1])


@pytest.mark.share(2)
@pytest.mark.parametrize("scale", [0.2, 3.0])
@pytest.mark.parametrize(
    ("name", "space", "inside", "mean"),
    [
        ("laplace", Ball(3, 1.0), bodies.in_ball, [0.6, 0.0, -0.7]),
        ("normal", Simplex(3), bodies.in_simplex, [0.7, 0.1, 0.2]),
    ],
    ids=["ball", "simplex"],
)
def test_sample_in_a_body_truncates(name, space, inside, mean, scale, rng):
    z, acceptance = draws(FAMILIES[name](scale), space, mean)
    assert space.contains(z, 1e-6).all()
    assert 0.05 < acceptance < 1
    want = bodies.sample_truncated(rng, name, scale, mean, inside, 10_000)
    for statistic in (
        lambda z: z[:, 0],
        lambda z: z[:, 2],
        lambda z: z.sum(-1),
        lambda z: np.linalg.norm(z, axis=-1),
        lambda z: np.abs(z - mean).sum(-1),
    ):
        assert_same_distribution(statistic(z), statistic(want))


def test_sample_in_a_body_that_fills_little_of_its_bounding_box():
    # 1 / 8! of the bounding box: a wide family is then nearly uniform.
    z, _ = draws(Normal(50.0), Simplex(8), 0.1, count=2000)
    assert_distribution(z.sum(-1), lambda s: s**8)


def test_sample_on_a_product_draws_each_factor_from_its_own_slice():
    space = Product((Box(1), Sphere(2), Real(1)))
    density = ProductDensity((Laplace(0.2), VonMisesFisher(5.0), Normal(2.0)))
    mean = np.array([0.3, 0.0, 1.0, -4.0])
    z, acceptance = draws(density, space, mean)
    cdf = pnorm.truncated_cdf("laplace", 0.2, float(np.float32(0.3)), 0.0, 1.0)
    assert_distribution(z[:, 0], cdf)
    assert_distribution(vmf.angle(z[:, 1:3], mean[1:3]), vmf.angle_cdf(2, 5.0))
    assert_distribution(z[:, 3] + 4, pnorm.law("normal", 2.0).cdf)
    assert_uncorrelated(z[:, 0], z[:, 1])
    assert_uncorrelated(z[:, 0], z[:, 3])
    assert 0.64 < acceptance < 0.95  # the lowest of the factors': the sphere's


def test_sample_uniform_does_not_look_at_the_mean():
    z, acceptance = draws(Uniform(), Box(2, 1.0, 3.0), 1.1)
    assert_distribution(z, lambda x: np.clip((x - 1) / 2, 0, 1))
    assert acceptance == 1


# marginals


def test_marginal_uses_the_space_and_its_centre():
    def marginal(density, space):
        draw = jax.jit(
            lambda key: sample_marginal(key, density, space, shape=(10_000,))
        )
        return np.asarray(draw(jax.random.key(7)), np.float64)

    half_normal = marginal(Normal(0.3), Box(1))  # around the lower corner of [0, 1]
    assert_distribution(half_normal, pnorm.truncated_cdf("normal", 0.3, 0.0, 0.0, 1.0))
    assert_distribution(marginal(Laplace(2.0), Real(2)), pnorm.law("laplace", 2.0).cdf)
    z = marginal(Normal(0.3), Sphere(3))
    assert_mean(z[:, 0], projected_normal_mean_cosine(3, 0.3), bias=1e-6)
    z = marginal(Uniform(), Sphere(3))
    assert_distribution(z[:, 1], lambda t: (1 + t) / 2)


def test_marginal_shapes_and_dtypes():
    for density, space in (
        (Uniform(), Ball(2)),
        (Normal(0.5), Box(3, -1.0, 1.0)),
        (Laplace(0.5), Sphere(3)),
        (Normal(1.0), Real(2)),
    ):
        for shape in ((), (5,), (2, 0, 3)):
            z = jax.eval_shape(
                functools.partial(
                    sample_marginal, density=density, space=space, shape=shape
                ),
                jax.random.key(0),
            )
            assert z.shape == (*shape, space.n)
            assert z.dtype == jnp.float32


# log_prob

log_prob_jit = jax.jit(log_prob, static_argnums=1)


@every_family
def test_log_prob_on_real_is_scipys(name, rng, x64):
    z, mean = rng.normal(size=(2, 50, 3))
    z[0] = mean[0]
    got = log_prob_jit(FAMILIES[name](0.7), Real(3), jnp.array(z), jnp.array(mean))
    want = pnorm.law(name, 0.7).logpdf(z - mean).sum(-1)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_log_prob_of_any_exponent(rng, x64):
    z = rng.normal(size=(50, 2))
    got = log_prob_jit(GeneralisedNormal(0.7, 1.5), Real(2), jnp.array(z))
    np.testing.assert_allclose(got, pnorm.law(1.5, 0.7).logpdf(z).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-2, 0.3, 1e3])
@every_family
def test_log_prob_on_a_box_is_scipys(name, scale, rng, x64):
    z, mean = rng.uniform(-1, 2, size=(2, 60, 2))
    mean[0], mean[1], z[2], z[3] = -1, 2, -1, 2
    got = log_prob_jit(
        FAMILIES[name](scale), Box(2, -1.0, 2.0), jnp.array(z), jnp.array(mean)
    )
    want = pnorm.truncated_log_density(name, scale, mean, -1.0, 2.0, z).sum(-1)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@every_family
def test_log_prob_on_a_box_around_a_mean_outside_of_it(name, x64):
    # The default mean 0 of Box(1, 0.5, 1.0) is one.
    z = np.array([[0.5], [0.6], [1.0]])
    for mean in (0.0, 0.499999, 1.7):
        got = log_prob_jit(
            FAMILIES[name](0.4), Box(1, 0.5, 1.0), jnp.array(z), jnp.full((3, 1), mean)
        )
        want = pnorm.truncated_log_density(name, 0.4, mean, 0.5, 1.0, z)
        np.testing.assert_allclose(got, want[:, 0], rtol=1e-8, atol=1e-8)


@every_family
@pytest.mark.parametrize("centre", [0.0, 0.3, 1.0])
def test_log_prob_on_a_box_integrates_to_one(name, centre, x64):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for low, high in ((0.0, centre), (centre, 1.0)):  # split at the kink
        z = (low + high) / 2 + (high - low) / 2 * nodes
        value = log_prob_jit(
            FAMILIES[name](0.2),
            Box(1),
            jnp.array(z[:, None]),
            jnp.full((40, 1), centre),
        )
        total += np.sum(np.exp(value) * weights) * (high - low) / 2
    assert total == pytest.approx(1, abs=1e-8)


SPHERE_DENSITIES = [
    VonMisesFisher(8.0),
    VonMisesFisher(0.0),
    Laplace(0.3),
    Normal(0.5),
    GeneralisedNormal(0.8),
]


@pytest.mark.parametrize("density", SPHERE_DENSITIES, ids=repr)
def test_log_prob_on_the_circle_integrates_to_one(density, x64):
    angle = np.linspace(0, 2 * np.pi, 2001)[:-1]
    z = jnp.array(np.stack([np.cos(angle), np.sin(angle)], axis=-1))
    mean = jnp.broadcast_to(jnp.array([0.6, 0.8]), z.shape)
    value = np.exp(log_prob_jit(density, Sphere(2), z, mean))
    # Laplace noise leaves kinks at the axes through the mean.
    assert value.mean() * 2 * np.pi == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kappa", [0.0, 1.0, 100.0, 1e5])
@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_log_prob_von_mises_fisher(n, kappa, x64):
    if np.isnan(vmf.log_mean_exp(n, kappa)):
        pytest.skip("scipy's ive underflows")
    mean = np.eye(n)[0]
    cosine = np.array([1.0, 0.999, 0.3, -1.0])
    z = np.zeros((4, n))
    z[:, 0], z[:, 1] = cosine, np.sqrt(1 - cosine**2)
    got = log_prob(VonMisesFisher(kappa), Sphere(n), jnp.array(z), jnp.array([mean]))
    want = vmf.log_density(n, kappa, cosine)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=3e-10)


@pytest.mark.parametrize(
    ("space", "outside"),
    [
        (Box(2), [0.5, 1.1]),
        (Sphere(2), [0.6, 0.9]),
        (Ball(2), [0.9, 0.9]),
        (Simplex(2), [0.9, 0.2]),
        (Product((Box(1), Sphere(2))), [1.1, 0.6, 0.8]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_log_prob_of_uniform_and_outside_of_the_space(space, outside):
    density = Uniform()
    if isinstance(space, Product):
        density = ProductDensity((density, density))
    inside = space.project(jnp.array(outside))
    z = jnp.stack([inside, jnp.array(outside)])
    got = log_prob(density, space, z)
    np.testing.assert_allclose(got, [-space.log_volume, -np.inf], rtol=1e-6)


@pytest.mark.parametrize("density", [Laplace(0.3), VonMisesFisher(3.0)], ids=repr)
def test_log_prob_is_minus_infinity_outside(density):
    space = Sphere(3) if isinstance(density, VonMisesFisher) else Box(3)
    assert log_prob(density, space, jnp.array([0.9, 0.9, 1.9])) == -np.inf


def test_log_prob_of_a_product_is_the_sum_of_its_factors(rng, x64):
    space = Product((Real(2), Sphere(3)))
    density = ProductDensity((Normal(0.5), VonMisesFisher(2.0)))
    z, mean = rng.normal(size=(2, 4, 5))
    z, mean = space.project(jnp.array(z)), space.project(jnp.array(mean))
    got = log_prob(density, space, z, mean)
    z, mean = np.asarray(z), np.asarray(mean)
    want = pnorm.law("normal", 0.5).logpdf(z - mean)[:, :2].sum(-1)
    want += vmf.log_density(3, 2.0, (z * mean)[:, 2:].sum(-1))
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_log_prob_broadcasts_and_defaults_to_the_centre():
    z = jnp.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]])
    centre = jnp.array([[1.0, 0.0, 0.0]])
    default = log_prob(VonMisesFisher(3.0), Sphere(3), z)
    assert default.shape == (2,)
    given = log_prob(VonMisesFisher(3.0), Sphere(3), z, centre)
    np.testing.assert_allclose(default, given, rtol=1e-6)
    assert default[1] > default[0]
    grid = log_prob(Laplace(1.0), Real(3), z[:, None], z[None])
    assert grid.shape == (2, 2)
    np.testing.assert_allclose(grid[0, 1], -3 * np.log(2) - 2.4, rtol=1e-6)


@pytest.mark.parametrize("space", [Real(2), Box(2)], ids=repr)
@every_family
def test_derivative_with_respect_to_scale(name, space, x64):
    z = np.array([[0.3, 0.9], [0.5, 0.5], [0.0, 1.0], [0.4, 0.4]])
    # Inside, at z, on the faces, and the default centre of a box: its corner.
    mean = np.array([[0.1, 0.6], [0.5, 0.5], [1.0, 0.0], [0.0, 0.0]])
    got = jax.jit(
        jax.jacfwd(
            lambda s: log_prob(FAMILIES[name](s), space, jnp.array(z), jnp.array(mean))
        )
    )(0.4)

    def oracle(scale):
        if isinstance(space, Real):
            return pnorm.law(name, scale).logpdf(z - mean).sum(-1)
        return pnorm.truncated_log_density(name, scale, mean, 0.0, 1.0, z).sum(-1)

    step = 1e-5
    want = (oracle(0.4 + step) - oracle(0.4 - step)) / (2 * step)
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-7)


@every_family
def test_gradient_with_respect_to_the_mean_on_a_box(name, x64):
    z, mean, step = np.array([[0.3], [0.3], [0.3]]), [[0.6], [0.02], [0.0]], 1e-6
    mean = np.array(mean)

    def value(mean):
        return jnp.sum(log_prob(FAMILIES[name](0.4), Box(1), jnp.array(z), mean))

    got = jax.jit(jax.grad(value))(jnp.array(mean))
    up, down = (
        pnorm.truncated_log_density(name, 0.4, mean + shift, 0.0, 1.0, z)
        for shift in (step, -step)
    )
    # The truncated law is smooth in its centre, also across the face.
    np.testing.assert_allclose(got, (up - down) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.share(3)
@pytest.mark.parametrize("n", [2, 3, 10])
def test_derivative_with_respect_to_kappa(n, x64):
    z = np.stack([np.eye(n)[0], np.eye(n)[1], -np.eye(n)[0]])
    cosine = np.array([1.0, 0.0, -1.0])
    slope = jax.jit(
        jax.jacfwd(
            lambda kappa: log_prob(VonMisesFisher(kappa), Sphere(n), jnp.array(z))
        )
    )
    for kappa in (0.5, 40.0):
        step = 1e-5 * kappa
        up = vmf.log_density(n, kappa + step, cosine)
        down = vmf.log_density(n, kappa - step, cosine)
        want = (up - down) / (2 * step)
        np.testing.assert_allclose(slope(kappa), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope(0.0), cosine, atol=1e-12)


# transforms


@pytest.mark.parametrize(
    ("family", "space"), [(Laplace, Box(3)), (VonMisesFisher, Sphere(3))], ids=type_name
)
def test_vmap_of_sample_over_keys_and_parameters(family, space):
    mean = space.project(jnp.linspace(0.1, 0.9, 30).reshape(2, 5, 3))

    def one(seed, density):
        return draw(seed, density, space, mean)[0]

    mapped = jax.jit(jax.vmap(one))(jnp.arange(2), family(jnp.array([0.5, 2.0])))
    for seed, param in enumerate((0.5, 2.0)):
        z = one(seed, family(jnp.float32(param)))
        np.testing.assert_allclose(mapped[seed], z, atol=1e-6)


def test_sample_under_jit_around_a_constant():
    mean = jnp.full((4, 2), 0.5)
    for density, space in ((Laplace(0.2), Box(2)), (Normal(1.0), Real(2))):
        z = jax.jit(functools.partial(sample, density=density, space=space, mean=mean))(
            jax.random.key(0)
        )
        assert space.contains(z).all()


@pytest.mark.parametrize(
    ("family", "space"), [(Laplace, Box(3)), (VonMisesFisher, Sphere(3))], ids=type_name
)
def test_transforms_of_log_prob(family, space):
    z = space.project(jnp.linspace(0.1, 0.9, 12).reshape(4, 3))
    mapped = jax.jit(jax.vmap(lambda d: log_prob(d, space, z, z[::-1])))(
        family(jnp.array([0.5, 2.0]))
    )
    for row, param in zip(mapped, (0.5, 2.0), strict=True):
        eager = log_prob(family(param), space, z, z[::-1])
        np.testing.assert_allclose(row, eager, rtol=3e-6, atol=3e-6)


# refusals


def refused(message, error=ValueError):
    return pytest.raises(error, match=re.escape(message))


@pytest.mark.parametrize(
    ("density", "space", "mean", "message"),
    [
        (Laplace(1.0), Box(2), [0.5, 0.5, 0.5], "mean must have shape [..., 2], got"),
        (Laplace(1.0), Box(2), [0.5, 1.5], "1 of 1 points outside"),
        (Laplace(1.0), Box(2), [0.5, np.nan], "mean must be finite, got 1 NaN"),
        (VonMisesFisher(1.0), Sphere(2), [0.6, 0.9], "mean must lie on Sphere(n=2)"),
        (Normal(1.0), Sphere(2), [np.inf, 0.0], "mean must be finite"),
        (Normal(1.0), Ball(2), [0.9, 0.9], "mean must lie on Ball(n=2, radius=1.0)"),
        (Normal(1.0), Simplex(2), [0.9, 0.9], "mean must lie on Simplex(n=2)"),
        (VonMisesFisher(1.0), Box(1), [0.5], "must be Uniform, Laplace, Normal or"),
        (VonMisesFisher(1.0), Real(1), [0.5], "GeneralisedNormal, got VonMisesFisher"),
        (VonMisesFisher(1.0), Ball(1), [0.5], "got VonMisesFisher"),
        (Uniform(), Real(1), [0.5], "must not be uniform on R^n"),
        (Laplace(1.0), Product((Box(1),)), [0.5], "ProductDensity, got Laplace"),
        (
            ProductDensity((Laplace(1.0),)),
            Product((Box(1), Box(1))),
            [0.5, 0.5],
            "density must have one factor for each of the 2 spaces, got 1",
        ),
        (ProductDensity(()), Box(1), [0.5], "got ProductDensity"),
    ],
)
def test_sample_refuses(density, space, mean, message):
    with refused(message):
        sample(jax.random.key(0), density, space, jnp.array(mean))


def test_sample_refuses_other_dtypes():
    with refused("mean must have a floating-point dtype, got int32", TypeError):
        sample(jax.random.key(0), Laplace(1.0), Real(2), jnp.ones((3, 2), jnp.int32))
    with refused("mean must be an array, got list", TypeError):
        sample(jax.random.key(0), Laplace(1.0), Real(2), [0.5, 0.5])


def test_marginal_refuses():
    with refused("low <= 0 <= high needed, got low=0.5 and high=1.0"):
        sample_marginal(jax.random.key(0), Normal(1.0), Box(2, 0.5, 1.0), shape=(3,))
    with refused("marginal must not be uniform on R^n"):
        sample_marginal(jax.random.key(0), Uniform(), Real(2), shape=(3,))
    with refused("density on Real(n=2) must be Laplace, Normal or GeneralisedNormal"):
        sample_marginal(jax.random.key(0), VonMisesFisher(1.0), Real(2), shape=(3,))


def test_log_prob_refuses():
    z = jnp.zeros((4, 2))
    with refused("z must have shape [..., 3], got [4, 2]"):
        log_prob(Normal(1.0), Real(3), z)
    with refused("mean must have shape [..., 2], got [4, 3]"):
        log_prob(Normal(1.0), Real(2), z, jnp.zeros((4, 3)))
    with refused("z must have a floating-point dtype, got int32", TypeError):
        log_prob(Normal(1.0), Real(2), jnp.zeros((4, 2), jnp.int32))
    for space in (Ball(2), Simplex(2)):
        with refused("density on"):
            log_prob(Normal(1.0), space, z)
    with refused("density on Real(n=2) must be Laplace, Normal or GeneralisedNormal"):
        log_prob(Uniform(), Real(2), z)
    with refused("density must have one factor for each of the 1 spaces, got 0"):
        log_prob(ProductDensity(()), Product((Real(2),)), z)
