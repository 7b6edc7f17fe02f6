"""Plane maps and coupling layers: inverses, Jacobians, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from budget import one_program
from jidcl import mixing
from jidcl.encoders import make_inverse_coupling
from jidcl.mixing import PLANE_MAPS

couple = one_program(mixing.couple)
init_coupling = one_program(mixing.init_coupling)
uncouple = one_program(mixing.uncouple)


@pytest.mark.parametrize("name", PLANE_MAPS)
def test_plane_maps_invert_and_preserve_area(x64, rng, name):
    z = jnp.asarray(2 * rng.normal(size=(20, 2)))
    mix, unmix = map(jax.jit, PLANE_MAPS[name])
    np.testing.assert_allclose(unmix(mix(z)), z, atol=1e-12)
    np.testing.assert_allclose(mix(unmix(z)), z, atol=1e-12)
    jac = jax.jit(jax.vmap(jax.jacfwd(mix)))(z)
    np.testing.assert_allclose(np.linalg.det(jac), np.ones(20), rtol=1e-10)
    assert np.isfinite(jax.jit(jax.jacrev(mix))(jnp.zeros(2))).all()


def test_spiral_turns_by_pi_times_the_length():
    # A point at distance 1/2 turns by a quarter, counter-clockwise.
    got = PLANE_MAPS["spiral"].mix(jnp.array([[0.5, 0.0]]))
    np.testing.assert_allclose(got, [[0.0, 0.5]], atol=1e-6)


def test_coupling_inverts_preserves_volume_and_mixes(x64, rng):
    g = init_coupling(jax.random.key(1), 6, layers=3)
    z = jnp.asarray(rng.normal(size=(10, 6)))
    g = {"kernels": g["kernels"].astype(jnp.float64)}
    np.testing.assert_allclose(uncouple(g, couple(g, z)), z, atol=1e-12)
    det = np.linalg.det(jax.jit(jax.vmap(jax.jacfwd(lambda v: couple(g, v))))(z))
    np.testing.assert_allclose(det, np.ones(10), rtol=1e-10)
    square = g["kernels"] @ jnp.swapaxes(g["kernels"], 1, 2)
    np.testing.assert_allclose(square, 4 * np.stack([np.eye(3)] * 3), atol=1e-5)
    # The first layer moves the second half only: q + tanh(p W).
    first = {"kernels": g["kernels"][:1]}
    p, q = np.split(np.asarray(z), 2, axis=1)
    want = np.concatenate([p, q + np.tanh(p @ np.asarray(g["kernels"][0]))], axis=1)
    np.testing.assert_allclose(couple(first, z), want)


def test_matched_encoder_starts_free_and_can_be_the_inverse():
    f = make_inverse_coupling(4, layers=2)
    params, state = jax.jit(f.init)(jax.random.key(0))
    assert params["kernels"].shape == (2, 2, 2)
    g = init_coupling(jax.random.key(1), 4, layers=2)
    z = jax.random.normal(jax.random.key(2), (8, 4))
    np.testing.assert_allclose(f.apply(g, state, couple(g, z))[0], z, atol=1e-5)
    assert not np.allclose(
        jax.jit(f.apply)(params, state, couple(g, z))[0], z, atol=0.1
    )
    # N(0, 2/n) with n = 200: 20,000 draws, spread known to 0.5 %; four times that.
    wide, _ = jax.jit(make_inverse_coupling(200, layers=2, scale=0.5).init)(
        jax.random.key(3)
    )
    assert float(wide["kernels"].std()) == pytest.approx(0.5 * 0.1, rel=0.02)


def test_one_seed_draws_the_same_alone_and_among_others():
    def draw(seed):
        return init_coupling(jax.random.key(seed), 4, layers=2)

    many, one = jax.jit(jax.vmap(draw))(jnp.arange(2)), draw(1)
    np.testing.assert_allclose(many["kernels"][1], one["kernels"], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init_coupling(jax.random.key(0), 3), "n must be even"),
        (lambda: make_inverse_coupling(3), "n must be even"),
        (lambda: make_inverse_coupling(4, scale=0.0), "scale must be > 0"),
        (lambda: PLANE_MAPS["banana"].mix(jnp.ones((2, 3))), r"z must have shape"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
