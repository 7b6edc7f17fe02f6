"""Dense mixings: conventions, conditioning, and the exact inverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from budget import one_program
from jidcl import mixing
from reference import network

init_invertible_mlp = one_program(mixing.init_invertible_mlp)
init_linear = one_program(mixing.init_linear)
init_orthogonal = one_program(mixing.init_orthogonal)
mix = one_program(mixing.mix)
normalise_columns = one_program(mixing.normalise_columns)
unmix = one_program(mixing.unmix)

N, LAYERS, DRAWS = 4, 2, 50


@pytest.fixture(scope="module")
def g():
    return init_invertible_mlp(jax.random.key(0), N, layers=LAYERS, draws=DRAWS)


@pytest.fixture
def z(rng):
    return jnp.asarray(rng.normal(size=(6, N)), jnp.float32)


def test_each_input_coordinate_has_a_unit_outgoing_vector(g):
    assert g["kernels"].shape == (LAYERS, N, N)
    np.testing.assert_allclose(
        np.linalg.norm(g["kernels"], axis=-1), np.ones((LAYERS, N)), rtol=1e-6
    )


def test_recorded_condition_number_is_numpys(g):
    np.testing.assert_allclose(
        g["cond"], [np.linalg.cond(k) for k in g["kernels"]], rtol=1e-5
    )


def test_each_layer_is_the_best_of_its_draws(g):
    # The same uniform draws; the columns of W have unit norm and the kernel is W^T.
    for i, key in enumerate(jax.random.split(jax.random.key(0), LAYERS)):
        (key,) = jax.random.split(key, 1)
        raw = jax.random.uniform(key, (DRAWS, N, N), minval=-1.0, maxval=1.0)
        w = np.asarray(raw, np.float64)
        w = w / np.sqrt(np.sum(w**2, axis=1, keepdims=True))
        cond = np.array([np.linalg.cond(matrix) for matrix in w])
        best = np.argmin(cond)
        np.testing.assert_allclose(g["kernels"][i], w[best].T, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(g["cond"][i], cond.min(), rtol=1e-4)


def test_more_draws_condition_better():
    conds = [
        float(init_linear(jax.random.key(1), 6, draws=draws)["cond"][0])
        for draws in (1, 2000)
    ]
    assert conds[0] > 2 * conds[1] > 2


@pytest.mark.parametrize("activation", network.ACTIVATIONS)
def test_mix_equals_numpy(g, z, activation):
    got = mix(g, z, slope=0.3, activation=activation)
    want = network.mix(g["kernels"], z, slope=0.3, activation=activation)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_published_slope_and_no_activation_after_the_last_layer():
    eye = {"kernels": jnp.stack([jnp.eye(2), -jnp.eye(2)]), "cond": jnp.ones(2)}
    x = mix(eye, jnp.array([[1.0, -1.0]]))
    np.testing.assert_allclose(x, [[-1.0, 0.2]], rtol=1e-6)


@pytest.mark.parametrize("slope", [0.2, 0.9])
def test_unmix_inverts(g, z, slope):
    x = mix(g, z, slope=slope)
    np.testing.assert_allclose(unmix(g, x, slope=slope), z, atol=1e-5)


def test_leading_axes(g, rng):
    z = jnp.asarray(rng.normal(size=(2, 3, N)), jnp.float32)
    looped = jnp.stack([mix(g, part) for part in z])
    np.testing.assert_allclose(mix(g, z), looped, rtol=1e-6)
    np.testing.assert_allclose(mix(g, z[0, 0]), looped[0, 0], rtol=1e-6)


def test_unmix_takes_batches_only(g):
    # A square trailing block would otherwise be solved along the wrong axis.
    with pytest.raises(ValueError, match=r"x must have shape \[batch.*\[2, 4, 4\]"):
        unmix(g, jnp.ones((2, N, N)))


def test_orthogonal_layers_are_orthogonal():
    g = init_orthogonal(jax.random.key(0), 5, layers=3)
    kernels = np.asarray(g["kernels"], np.float64)
    assert kernels.shape == (3, 5, 5)
    for kernel in kernels:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(g["cond"], np.ones(3), rtol=1e-5)
    assert not np.allclose(kernels[0], kernels[1])


def test_one_dimension():
    g = init_invertible_mlp(jax.random.key(0), 1, draws=3)
    np.testing.assert_allclose(np.abs(g["kernels"]), np.ones((3, 1, 1)), rtol=1e-6)
    np.testing.assert_allclose(g["cond"], np.ones(3))
    z = jnp.array([[-2.0], [3.0]])
    np.testing.assert_allclose(unmix(g, mix(g, z)), z, rtol=1e-6)


def test_normalise_columns(rng):
    a = rng.normal(size=(2, 3, 3)).astype(np.float32)
    got = normalise_columns(jnp.asarray(a))
    for i in range(2):
        for j in range(3):
            want = a[i, :, j] / np.linalg.norm(a[i, :, j])
            np.testing.assert_allclose(got[i, :, j], want, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_columns_of_any_size_are_normalised(rng, scale):
    a = rng.normal(size=(3, 3))
    got = mixing.normalise_columns(jnp.float32(scale * a))
    np.testing.assert_allclose(got, a / np.linalg.norm(a, axis=0), rtol=1e-5)


def test_vmap_over_keys_equals_single_keys(g):
    def init(key):
        return init_invertible_mlp(key, N, layers=LAYERS, draws=DRAWS)["kernels"]

    with jax.debug_key_reuse(False):  # it mistakes a mapped loop over keys for reuse
        keys = jnp.stack([jax.random.key(5), jax.random.key(0)])
        mapped = jax.jit(jax.vmap(init))(keys)
    np.testing.assert_allclose(mapped[1], g["kernels"], rtol=1e-5, atol=1e-6)
    assert not np.allclose(mapped[0], mapped[1])


@pytest.mark.parametrize(
    ("name", "settings"),
    [("n", {"n": 0}), ("layers", {"layers": 0}), ("draws", {"draws": 0})],
)
def test_sizes_below_one(name, settings):
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
        init_invertible_mlp(jax.random.key(0), **{"n": 2, **settings})
    if name != "draws":
        with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
            init_orthogonal(jax.random.key(0), **{"n": 2, **settings})


def test_bad_arrays_and_names(g, z):
    with pytest.raises(ValueError, match=r"z must have shape \[\.\.\., 4\].*\[6, 3\]"):
        mix(g, z[:, :3])
    with pytest.raises(ValueError, match=r"x must have shape \[\.\.\., 4\].*\[6, 3\]"):
        unmix(g, z[:, :3])
    with pytest.raises(TypeError, match="z must have a floating-point dtype.*int32"):
        mix(g, z.astype(jnp.int32))
    with pytest.raises(ValueError, match="'leaky'.*did you mean 'leaky_relu'"):
        mix(g, z, activation="leaky")
    with pytest.raises(ValueError, match="slope must be > 0, got 0"):
        unmix(g, z, slope=0.0)
