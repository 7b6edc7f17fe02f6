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


# Moebius maps -------------------------------------------------------------------------


def moebius_params(key, n, linear=None):
    g = mixing.init_moebius(jax.random.key(key), n)
    g = {k: jnp.asarray(v, jnp.float64) for k, v in g.items()}
    g["q"] = jnp.linalg.qr(g["q"])[0]
    return g | ({} if linear is None else {"linear": linear})


def contrast(j):
    """Hadamard's ratio of a matrix, in NumPy."""
    lengths = np.log(np.linalg.norm(j, axis=-2)).sum(-1)
    return lengths - np.linalg.slogdet(j)[1]


@pytest.mark.share(3)
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.many_programs(reason="eager operations in float64")
def test_moebius_inverts_is_conformal_and_has_the_jacobian_of_jax(x64, rng, n):
    z = jnp.asarray(rng.uniform(-0.5, 0.5, size=(20, n)))
    g = moebius_params(n, n)
    x = jax.jit(mixing.moebius)(g, z)
    np.testing.assert_allclose(jax.jit(mixing.unmoebius)(g, x), z, atol=1e-9)
    own = jax.jit(mixing.moebius_jacobian)(g, z)
    by_jax = jax.jit(jax.vmap(jax.jacfwd(mixing.moebius, 1), (None, 0)))(g, z)
    np.testing.assert_allclose(own, by_jax, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(contrast(np.asarray(own)), 0, atol=1e-9)
    rate = 1 / np.sum((np.asarray(z) - np.asarray(g["pole"])) ** 2, axis=1)
    lengths = np.linalg.norm(own, axis=1)
    np.testing.assert_allclose(lengths, np.repeat(rate[:, None], n, 1), rtol=1e-9)


@pytest.mark.many_programs(reason="eager operations in float64")
def test_a_distorted_moebius_map_inverts_and_is_not_conformal(x64, rng):
    linear = mixing.unit_determinant(jnp.asarray(rng.uniform(size=(3, 3))))
    assert abs(np.linalg.det(linear)) == pytest.approx(1)
    g = moebius_params(1, 3, linear)
    z = jnp.asarray(rng.uniform(-0.5, 0.5, size=(20, 3)))
    x = mixing.moebius(g, z)
    np.testing.assert_allclose(mixing.unmoebius(g, x), z, atol=1e-8)
    by_jax = jax.vmap(jax.jacfwd(mixing.moebius, 1), (None, 0))(g, z)
    own = mixing.moebius_jacobian(g, z)
    np.testing.assert_allclose(own, by_jax, rtol=1e-9, atol=1e-12)
    assert contrast(np.asarray(own)).min() > 0.01


def test_the_pole_lies_outside_and_images_are_centred():
    keys = jax.random.split(jax.random.key(3), 2000)
    drawn = jax.jit(jax.vmap(lambda key: mixing.init_moebius(key, 2)))(keys)
    pole = np.abs(np.asarray(drawn["pole"])).ravel()
    assert pole.min() > 0.5
    # E[|a| given |a| > 1/2] = phi(1/2) / Phi(-1/2); four standard errors of 4000.
    assert abs(pole.mean() - 1.1411) < 4 * 0.49 / 4000**0.5
    one = jax.tree.map(lambda leaf: leaf[0], drawn)
    z = jax.random.uniform(jax.random.key(4), (20_000, 2), minval=-0.5, maxval=0.5)
    x = np.asarray(jax.jit(mixing.moebius)(one, z))
    error = x.std(axis=0) * (1 / 4096 + 1 / 20_000) ** 0.5
    assert (np.abs(x.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize("c", [0.0, 0.5, 0.9, 0.999])
def test_rows_and_columns_at_an_angle_have_their_contrasts(c):
    rows, columns = (mixing.angled(c, columns=own) for own in (False, True))
    want = 0.5 * np.log(1 + c**2), -0.5 * np.log(1 - c**2)
    got = [contrast(np.asarray(a, np.float64)) for a in (rows, columns)]
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6)


# Autoregressive flows and smooth networks ---------------------------------------------


@pytest.mark.many_programs(reason="eager operations in float64")
def test_autoregressive_layers_invert_and_are_triangular(x64, rng):
    g = mixing.init_autoregressive(jax.random.key(0), 4, layers=3)
    g = {k: jnp.asarray(v, jnp.float64) for k, v in g.items()}
    z = jnp.asarray(rng.normal(size=(10, 4)))
    x = mixing.autoregress(g, z)
    np.testing.assert_allclose(mixing.unautoregress(g, x), z, atol=1e-9)
    np.testing.assert_allclose(
        mixing.autoregress(g, mixing.unautoregress(g, z)), z, atol=1e-9
    )
    first = {k: v[:1] for k, v in g.items()}
    j = np.asarray(jax.vmap(jax.jacfwd(mixing.autoregress, 1), (None, 0))(first, z))
    j = j[:, ::-1]  # entries were turned round
    assert np.abs(np.triu(j, 1)).max() == 0
    log_scale = np.tanh(np.asarray(z) @ np.triu(np.asarray(g["scales"][0]), 1))
    got = np.linalg.slogdet(j)[1]
    np.testing.assert_allclose(got, log_scale.sum(axis=1), atol=1e-10)
    assert contrast(j).max() > 0.05


@pytest.mark.many_programs(reason="eager operations in float64")
@pytest.mark.parametrize("slope", [0.2, 1.0, 1e-6])
def test_smooth_networks_invert(x64, rng, slope):
    kernels = np.stack([np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(3)])
    kernels[0] = np.eye(3)  # the activation comes first
    g = {"kernels": jnp.asarray(kernels)}
    z = jnp.asarray(2 * rng.normal(size=(20, 3)))
    own = dict(slope=slope, activation="smooth_leaky_relu")
    x = mixing.mix(g, z, **own)
    np.testing.assert_allclose(mixing.unmix(g, x, **own), z, atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixing.unit_determinant(jnp.ones((2, 3))), "a must be square, as"),
        (lambda: mixing.unit_determinant(jnp.ones((2, 2))), "a must have full rank"),
        (lambda: mixing.angled(1.0), "cosine must be < 1, got 1.0: the matrix is sing"),
        (lambda: mixing.angled(-0.1), r"cosine must be in \[0, 1\], got -0.1"),
        (lambda: mixing.init_moebius(jax.random.key(0), 0), "n must be >= 1, got 0"),
        (
            lambda: mixing.unmix(
                {"kernels": jnp.ones((1, 2, 2))}, jnp.ones((1, 2)), activation="relu"
            ),
            "activation must be one of",
        ),
    ],
)
def test_mixings_refuse_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
