"""One list of checks for every sampler of `jidcl.latents`; a new one joins by a row.

Of every pair of a space and a density that `sample` carries: samples agree with
`log_prob`, by importance identities. For z drawn from p, w = u(z) / p(z) with another
density u has the mean 1, and w t(z) has the mean of t under u, which is known in
closed form for the first two moments of a coordinate. Where p is known up to a
factor, w (t(z) - its mean) has the mean 0 all the same. Laws themselves are compared
with SciPy's in the files of each space and process.

About 70 statistical assertions, each with a false-alarm rate below 1e-4 on a fresh key
(`reference.statistics`): below 0.7 % for the file.
"""

import functools
import inspect
import itertools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import latents
from jidcl.latents import (
    Anisotropic,
    Ball,
    Box,
    Density,
    GeneralisedNormal,
    Laplace,
    Normal,
    Product,
    ProductDensity,
    Real,
    Simplex,
    Sphere,
    TruncatedLaplace,
    Uniform,
    VonMisesFisher,
    log_prob,
    sample,
    sample_marginal,
    sample_with_acceptance,
)
from reference.statistics import assert_mean

COUNT = 10_000
SPACES = {
    Ball: Ball(2),
    Box: Box(2),
    Real: Real(2),
    Simplex: Simplex(2),
    Sphere: Sphere(3),
    Product: Product((Box(1), Sphere(2))),
}
# Wide enough that no weight u(z) / p(z) stands for many.
DENSITIES = {
    Anisotropic: Anisotropic(np.float32([2.0, 3.0, 4.0])),
    GeneralisedNormal: GeneralisedNormal(1.2, 1.5),
    Laplace: Laplace(0.8),
    Normal: Normal(0.9),
    ProductDensity: ProductDensity((Laplace(0.8), VonMisesFisher(1.5))),
    Uniform: Uniform(),
    VonMisesFisher: VonMisesFisher(1.5),
}
NOISE = (GeneralisedNormal, Laplace, Normal)
CARRIED = {
    Ball: (Uniform, *NOISE),
    Box: (Uniform, *NOISE),
    Real: NOISE,
    Simplex: (Uniform, *NOISE),
    Sphere: (Uniform, VonMisesFisher, *NOISE, Anisotropic),
    Product: (ProductDensity,),
}
PAIRS = [(space, density) for space in CARRIED for density in CARRIED[space]]
# Samples only: the normaliser of a body has no closed form.
UNNORMALISED = {(body, family) for body in (Ball, Simplex) for family in NOISE}
SAMPLES_ONLY = UNNORMALISED | {(Sphere, Anisotropic)}
# Compared with NumPy's draws in test_densities.py and test_anisotropic.py. One program
# serves all families in a body, so each of them is here once.
ELSEWHERE = {
    (Sphere, Anisotropic),
    (Ball, Laplace),
    (Ball, Normal),
    (Simplex, Normal),
    (Simplex, GeneralisedNormal),
}
SPREAD = 0.6  # of u, a normal law, on R^n; elsewhere u is uniform
# Mean and mean square of the first and of the last coordinate under u.
MOMENTS = {
    Ball: ((0, 1 / 4),) * 2,
    Box: ((1 / 2, 1 / 3),) * 2,
    Real: ((0, SPREAD**2),) * 2,
    Simplex: ((1 / 3, 1 / 6),) * 2,
    Sphere: ((0, 1 / 3),) * 2,
    Product: ((1 / 2, 1 / 3), (0, 1 / 2)),
}
every_pair = pytest.mark.parametrize(
    ("space", "density"), PAIRS, ids=lambda kind: kind.__name__
)


def pair_of(space, density):
    return SPACES[space], DENSITIES[density]


def centres(space, count=COUNT):
    """A point of each space away from its middle, `[count, n]`."""
    at = {Sphere: [0.6, 0.0, 0.8], Product: [0.3, 0.6, 0.8]}.get(space, [0.4, 0.2])
    return jnp.tile(jnp.asarray(at, jnp.float32), (count, 1))


@functools.cache
def drawn(space, density):
    """Samples and their log-density (or log-kernel), one program a pair."""
    where, law = pair_of(space, density)
    mean = centres(space)

    @jax.jit
    def run(key):
        z = sample(key, law, where, mean)
        if (space, density) in UNNORMALISED:
            return z, -jnp.sum((jnp.abs(z - mean) / law.length) ** law.p, axis=-1)
        return z, log_prob(law, where, z, mean)

    z, log_p = run(jax.random.key(0))
    return np.asarray(z, np.float64), np.asarray(log_p, np.float64)


def log_u(space, z):
    if space is not Real:
        return -SPACES[space].log_volume
    return -(z**2).sum(-1) / (2 * SPREAD**2) - np.log(2 * np.pi * SPREAD**2)


@pytest.mark.parametrize(
    ("space", "density"),
    [pair for pair in PAIRS if pair not in ELSEWHERE],
    ids=lambda kind: kind.__name__,
)
def test_samples_agree_with_their_density(space, density):
    z, log_p = drawn(space, density)
    weight = np.exp(log_u(space, z) - log_p)
    assert np.isfinite(weight).all()
    # A mean over few weights would have another law than the test assumes.
    assert weight.sum() ** 2 / (weight**2).sum() > COUNT / 10
    if (space, density) not in UNNORMALISED:
        assert_mean(weight, 1.0, bias=1e-5)
    for column, moments in zip(z.T[[0, -1]], MOMENTS[space], strict=True):
        for power, expected in enumerate(moments, start=1):
            assert_mean(weight * (column**power - expected), 0.0, bias=1e-5)


def test_every_space_and_density_is_in_the_table():
    assert set(SPACES) == set(CARRIED) == set(MOMENTS)
    public = {getattr(latents, name) for name in latents.__all__}
    assert set(get_args(Density)) == set(DENSITIES) <= public
    spaces = {
        kind for kind in public if inspect.isclass(kind) and hasattr(kind, "uniform")
    }
    assert spaces - {latents.Space} == set(SPACES)


@pytest.mark.parametrize(
    ("space", "density"),
    [pair for pair in itertools.product(SPACES, DENSITIES) if pair not in PAIRS],
    ids=lambda kind: kind.__name__,
)
def test_what_a_space_does_not_carry_is_refused(space, density):
    where, law = pair_of(space, density)
    if density is Uniform and space is Product:
        return  # each factor owns its slice: uniform on all of them
    for call in (
        lambda: sample(jax.random.key(0), law, where, centres(space, 1)),
        lambda: log_prob(law, where, centres(space, 1)),
    ):
        with pytest.raises(ValueError, match="uniform on|density"):
            call()


@every_pair
def test_dtype_in_is_dtype_out_for_any_leading_shape(space, density, x64):
    where, law = pair_of(space, density)
    shapes = {"float32": (), "float64": (2, 0, 3), "bfloat16": (3,)}
    for dtype, shape in shapes.items():
        mean = jax.ShapeDtypeStruct((*shape, where.n), jnp.dtype(dtype))
        z = jax.eval_shape(lambda m: sample(jax.random.key(0), law, where, m), mean)
        assert (z.shape, z.dtype) == (mean.shape, dtype)
        if (space, density) in SAMPLES_ONLY or dtype == "bfloat16":
            continue
        value = jax.eval_shape(lambda z: log_prob(law, where, z, z), z)
        assert (value.shape, value.dtype) == (shape, dtype)


BLOCKS = latents.BlockLaw(*(jnp.eye(2),) * 3, 0.5 * jnp.eye(2), jnp.ones(2))
VECTORS = jnp.eye(3)
SYSTEM = latents.LTI(0.5 * jnp.eye(2), jnp.eye(2), jnp.eye(2))
DRIVEN = latents.Environments(jnp.zeros((3, 2)), jnp.ones((3, 2)))
Z = jnp.zeros((5, 11))
# A draw of each sampler of `__all__`, of a key alone.
SAMPLERS = {
    "init_blocks": lambda key: latents.init_blocks(key, 2, 2, stat=True, causal=True),
    "ou_step": lambda key: latents.ou_step(key, Normal(1.0), Z, 0.5),
    "sample": lambda key: sample(key, Laplace(0.5), Box(2), centres(Box, 5)),
    "sample_binary": lambda key: latents.sample_binary(key, 5),
    "sample_block_pair": lambda key: latents.sample_block_pair(
        key, BLOCKS, batch=5, change=0.75
    ),
    "sample_blocks": lambda key: latents.sample_blocks(key, BLOCKS, batch=5),
    "sample_causal": lambda key: latents.sample_causal(key, batch=5),
    "sample_cluster_vectors": lambda key: latents.sample_cluster_vectors(key, 5, 3),
    "sample_conditional": lambda key: latents.sample_conditional(
        key, VECTORS, TruncatedLaplace(0.7)
    ),
    "sample_environments": lambda key: latents.sample_environments(
        key, 3, 2, means="normal"
    ),
    "sample_series": lambda key: latents.sample_series(key, SYSTEM, DRIVEN, 6),
    "sample_system": lambda key: latents.sample_system(key, 3),
    "sample_instances": lambda key: latents.sample_instances(
        key, VECTORS, VonMisesFisher(4.0), instances=40, batch=5
    ),
    "sample_marginal": lambda key: sample_marginal(
        key, Normal(0.3), Box(2), shape=(5,)
    ),
    "sample_ou_pair": lambda key: latents.sample_ou_pair(
        key, Normal(1.0), rho=0.5, shape=(5, 2)
    ),
    "sample_pairs": lambda key: latents.sample_pairs(key, 5),
    "sample_with_acceptance": lambda key: sample_with_acceptance(
        key, VonMisesFisher(4.0), Sphere(3), centres(Sphere, 5)
    ),
    "transform": lambda key: latents.transform(key, Z, ("hues",)),
}


def test_every_sampler_has_a_row():
    takes_key = {
        name
        for name in latents.__all__
        if inspect.isfunction(getattr(latents, name))
        and "key" in inspect.signature(getattr(latents, name)).parameters
    }
    assert takes_key == set(SAMPLERS)


@pytest.mark.share(2)
@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_depend_on_the_key_alone_and_map_over_keys(name):
    keys = jax.random.split(jax.random.key(3), 2)
    mapped = jax.device_get(jax.jit(jax.vmap(SAMPLERS[name]))(keys))
    alone = jax.jit(SAMPLERS[name])(jax.random.split(jax.random.key(3), 2)[1])
    alone = jax.device_get(alone)
    for both, one in zip(jax.tree.leaves(mapped), jax.tree.leaves(alone), strict=True):
        assert one.dtype in (np.float32, np.int32, np.bool_)
        assert np.isfinite(both).all()
        np.testing.assert_allclose(both[1], one, rtol=1e-5, atol=1e-5)
    first, second = jax.tree.leaves(mapped)[0]
    assert (first != second).any()
