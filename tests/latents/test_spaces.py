"""Spaces: projection, membership, volume and uniform draws.

About 40 statistical assertions, each with a false-alarm rate below 1e-4 on a fresh
key (`reference.statistics`): below 0.4 % for the file.
"""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jidcl.latents import Ball, Box, Product, Real, Simplex, Space, Sphere
from reference import bodies, vmf
from reference.statistics import assert_distribution, assert_mean, assert_uncorrelated

SPACES = [
    Sphere(2),
    Sphere(5),
    Box(1),
    Box(3, -2.0, 0.5),
    Real(2),
    Ball(1),
    Ball(4, 2.5),
    Simplex(1),
    Simplex(4),
    Product((Box(2), Sphere(3), Ball(2, 0.5))),
]
BOUNDED = [space for space in SPACES if not isinstance(space, Real)]


def name(space):
    return re.sub(r"[a-z]+=|\s", "", str(space))


@functools.cache
def uniform(space):
    """The same 10,000 draws for every test of a space: compiled once."""
    draws = jax.jit(lambda key: space.uniform(key, (10_000,)))(jax.random.key(0))
    return np.asarray(draws)


@functools.cache
def project(space):
    return jax.jit(space.project)


@functools.cache
def contains(space):
    return jax.jit(space.contains)


every_space = pytest.mark.parametrize("space", SPACES, ids=name)
every_bounded_space = pytest.mark.parametrize("space", BOUNDED, ids=name)


@every_space
def test_space_is_a_frozen_setting(space):
    assert isinstance(space, Space)
    assert hash(space) == hash(type(space)(**vars(space)))
    with pytest.raises(AttributeError):
        space.n = 3


@every_space
def test_project_lands_inside_and_is_idempotent(space, rng):
    z = (3 * rng.normal(size=(2, 50, space.n))).astype(np.float32)
    inside = project(space)(z)
    assert inside.shape == z.shape
    assert inside.dtype == z.dtype
    assert np.all(contains(space)(inside, 1e-5))
    np.testing.assert_allclose(project(space)(inside), inside, atol=1e-6)


@every_bounded_space
def test_project_is_the_nearest_point(space, rng):
    # The inequality of a projection, against many points of the space.
    z = (2 * rng.normal(size=(20, space.n))).astype(np.float32)
    others = uniform(space)[:500]
    nearest = np.linalg.norm(project(space)(z) - z, axis=-1)
    rivals = np.linalg.norm(others[None] - z[:, None], axis=-1).min(axis=1)
    assert (nearest <= rivals + 1e-5).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_project_on_the_simplex_is_the_oracles(n, rng):
    z = rng.normal(size=(40, n)) * 2 + rng.normal(size=(40, 1))
    want = [bodies.project_simplex(point) for point in z]
    got = project(Simplex(n))(z.astype(np.float32))
    np.testing.assert_allclose(got, want, atol=2e-6)


@every_space
def test_project_keeps_inside_points(space, rng):
    if isinstance(space, Real):
        z = rng.normal(size=(50, space.n)).astype(np.float32)
    else:
        z = uniform(space)[:50]
    np.testing.assert_allclose(project(space)(z), z, atol=1e-6)


@pytest.mark.parametrize(
    ("space", "z", "inside"),
    [
        (Sphere(2), [0.6, 0.8], True),
        (Sphere(2), [0.6, 0.79], False),
        (Sphere(2), [0.0, 0.0], False),
        (Box(2), [0.0, 1.0], True),
        (Box(2), [0.5, 1.01], False),
        (Box(2), [-0.01, 0.5], False),
        (Box(2, -2.0, 0.5), [-2.0, 0.5], True),
        (Box(2, -2.0, 0.5), [-2.0, 0.6], False),
        (Real(2), [1e30, -1e30], True),
        (Real(2), [0.0, np.inf], False),
        (Ball(2, 2.0), [1.4, -1.4], True),
        (Ball(2, 2.0), [1.5, 1.5], False),
        (Simplex(2), [0.5, 0.5], True),
        (Simplex(2), [0.6, 0.5], False),
        (Simplex(2), [-0.1, 0.5], False),
        (Product((Box(1), Sphere(2))), [0.5, 0.6, 0.8], True),
        (Product((Box(1), Sphere(2))), [1.5, 0.6, 0.8], False),
        (Product((Box(1), Sphere(2))), [0.5, 0.5, 0.8], False),
    ],
)
def test_contains(space, z, inside):
    assert bool(contains(space)(np.float32(z))) is inside
    assert not contains(space)(np.full(space.n, np.nan, np.float32))


@pytest.mark.parametrize(
    ("space", "volume"),
    [
        (Sphere(2), 2 * np.pi),
        (Sphere(3), 4 * np.pi),
        (Box(3, -1.0, 1.0), 8),
        (Box(2), 1),
        (Real(2), np.inf),
        (Ball(1, 3.0), 6),
        (Ball(2, 0.5), np.pi / 4),
        (Ball(3), 4 * np.pi / 3),
        (Simplex(1), 1),
        (Simplex(4), 1 / 24),
        (Product((Box(1, 0.0, 2.0), Sphere(2))), 4 * np.pi),
    ],
    ids=str,
)
def test_log_volume(space, volume):
    assert space.log_volume == pytest.approx(np.log(volume), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_centre(n):
    for space in (Box(n), Real(n), Ball(n), Simplex(n)):
        np.testing.assert_array_equal(space.centre(), np.zeros(n))
    np.testing.assert_array_equal(Sphere(n + 1).centre(), np.eye(n + 1)[0])
    product = Product((Real(1), Sphere(2), Box(1)))
    np.testing.assert_array_equal(product.centre(), [0, 1, 0, 0])


@every_bounded_space
def test_uniform_lies_inside_and_has_the_shape_and_dtype_asked_for(space):
    assert np.all(contains(space)(uniform(space), 1e-6))
    with jax.enable_x64(True):
        for dtype in ("float32", "float64"):
            for shape in ((), (2, 3), (0,)):
                draws = jax.eval_shape(
                    functools.partial(
                        space.uniform, shape=shape, dtype=jnp.dtype(dtype)
                    ),
                    jax.random.key(0),
                )
                assert draws.shape == (*shape, space.n)
                assert draws.dtype == dtype


@pytest.mark.parametrize("n", [2, 3, 10])
def test_uniform_on_the_sphere(n):
    z = uniform(Sphere(n))
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    law = stats.beta((n - 1) / 2, (n - 1) / 2, loc=-1, scale=2)  # of one coordinate
    assert_distribution(z[:, 0], law.cdf)
    assert_distribution(z[:, -1], law.cdf)
    assert_distribution(vmf.angle(z, np.ones(n) / np.sqrt(n)), vmf.angle_cdf(n, 0.0))
    assert_uncorrelated(z[:, 0], z[:, 1])


def test_uniform_on_the_box():
    z = uniform(Box(3, -2.0, 0.5))
    for column in z.T:
        assert_distribution(column, stats.uniform(-2, 2.5).cdf)
    for i, j in itertools.combinations(range(3), 2):
        assert_uncorrelated(z[:, i], z[:, j])


@pytest.mark.parametrize(("n", "radius"), [(1, 1.0), (2, 3.0), (5, 0.5)])
def test_uniform_in_the_ball(n, radius):
    z = uniform(Ball(n, radius))
    r = np.linalg.norm(z.astype(np.float64), axis=-1)
    assert_distribution(r, lambda r: np.clip(r / radius, 0, 1) ** n)
    # One coordinate of a uniform point of the n-ball: that of S^(n+1).
    law = stats.beta((n + 1) / 2, (n + 1) / 2, loc=-radius, scale=2 * radius)
    assert_distribution(z[:, 0], law.cdf)
    assert_mean(z[:, -1], 0.0)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_uniform_in_the_simplex(n):
    z = uniform(Simplex(n))
    for column in z.T:
        assert_distribution(column, stats.beta(1, n).cdf)
    assert_distribution(z.sum(-1), stats.beta(n, 1).cdf)
    if n > 1:  # Dirichlet(1, ..., 1): negative covariance of the parts
        mean = 1 / (n + 1)
        covariance = -1 / ((n + 1) ** 2 * (n + 2))
        assert_mean((z[:, 0] - mean) * (z[:, 1] - mean), covariance)


def test_uniform_on_a_product_is_independent():
    space = Product((Box(1), Box(1), Sphere(2)))
    z = uniform(space)
    assert_distribution(z[:, 0], stats.uniform.cdf)
    assert_distribution(z[:, 1], stats.uniform.cdf)
    assert_distribution(z[:, 2], stats.arcsine(-1, 2).cdf)
    for i, j in itertools.combinations(range(3), 2):
        assert_uncorrelated(z[:, i], z[:, j])


def test_product_splits_in_order():
    space = Product((Box(2), Sphere(3), Real(1)))
    parts = space.split(jnp.arange(12.0).reshape(2, 6))
    assert [part.shape for part in parts] == [(2, 2), (2, 3), (2, 1)]
    np.testing.assert_array_equal(parts[1][0], [2, 3, 4])
    assert space.n == 6
    one = Product((Box(2),)).split(jnp.zeros((4, 2)))
    assert [part.shape for part in one] == [(4, 2)]


@every_bounded_space
def test_jit_and_vmap(space, rng):
    z = rng.normal(size=(6, space.n)).astype(np.float32)
    one = project(space)(z)
    np.testing.assert_allclose(jax.jit(jax.vmap(space.project))(z), one, atol=1e-6)
    eager = space.project(jnp.asarray(z))
    np.testing.assert_allclose(one, eager, atol=1e-6)
    np.testing.assert_array_equal(contains(space)(z), space.contains(jnp.asarray(z)))


def test_log_volume_of_the_ball_by_its_sphere():
    for n in (2, 3, 50, 999):
        want = vmf.log_area(n) - np.log(n)
        assert Ball(n).log_volume == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sphere(1), "n of a sphere must be >= 2, got 1"),
        (lambda: Box(0), "n must be >= 1, got 0"),
        (lambda: Real(0), "n must be >= 1, got 0"),
        (lambda: Ball(0), "n must be >= 1, got 0"),
        (lambda: Simplex(-2), "n must be >= 1, got -2"),
        (lambda: Box(2, 1.0, 0.0), "low must be < high, got low=1.0 and high=0.0"),
        (lambda: Box(2, 1.0, 1.0), "low must be < high, got low=1.0 and high=1.0"),
        (lambda: Ball(2, 0.0), "radius must be > 0, got 0.0"),
        (lambda: Ball(2, -1.0), "radius must be > 0, got -1.0"),
        (lambda: Product(()), "factors must hold at least one space, got ()"),
        (
            lambda: Real(2).uniform(jax.random.key(0), (3,)),
            "marginal must not be uniform on R^n (infinite volume)",
        ),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
