"""Scores of Jacobians against determinants, and their derivatives against JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import metrics


def contrast(j):
    """By the determinant of the Gram matrix, in NumPy."""
    gram = np.swapaxes(j, -1, -2) @ j
    of_diagonal = np.log(np.diagonal(gram, axis1=-1, axis2=-2)).sum(-1)
    return (of_diagonal - np.linalg.slogdet(gram)[1]) / 2


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (7, 1)])
def test_the_contrast_is_hadamards_ratio(rng, shape):
    j = rng.normal(size=(20, *shape))
    want = contrast(j)
    for xp in (np, jnp):
        got = metrics.local_c_ima(j if xp is np else np.float32(j), xp=xp)
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(metrics.global_c_ima(j, xp=np), want.mean(), atol=1e-12)
    got = metrics.c_ima_of_mean_jacobian(j, xp=np)
    np.testing.assert_allclose(got, contrast(j.mean(axis=0)), atol=1e-12)


def test_the_contrast_does_not_change_where_it_must_not(rng):
    j = rng.normal(size=(4, 3))
    want = metrics.local_c_ima(j, xp=np)
    turned = np.linalg.qr(rng.normal(size=(4, 4)))[0] @ j
    scaled = (j * [1e20, 1e-20, -3.0])[:, [2, 0, 1]]
    for same in (turned, scaled):
        np.testing.assert_allclose(metrics.local_c_ima(same, xp=np), want, rtol=1e-9)
    right = j @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert abs(metrics.local_c_ima(right, xp=np) - want) > 1e-3
    orthogonal = np.linalg.qr(rng.normal(size=(4, 3)))[0] * [1, 2, 3]
    assert float(metrics.local_c_ima(orthogonal, xp=np)) < 1e-12
    assert np.isnan(metrics.local_c_ima(j * [np.nan, 1, 1], xp=np))
    for xp in (np, jnp):
        assert metrics.local_c_ima(xp.asarray(j * [0, 1, 1]), xp=xp) == np.inf


def test_the_contrast_of_the_mean_hides_what_points_have():
    shear = np.array([[[1.0, 2.0], [0.0, 1.0]], [[1.0, -2.0], [0.0, 1.0]]])
    assert float(metrics.c_ima_of_mean_jacobian(shear, xp=np)) < 1e-12
    want = np.log(5) / 2
    np.testing.assert_allclose(metrics.global_c_ima(shear, xp=np), want)


def test_jacobians_of_pictures_are_those_of_jax(rng):
    a = jnp.asarray(rng.normal(size=(3, 24)), jnp.float32)

    def decode(z):  # `[rows, 3] -> [rows, 2, 4, 3]`
        return jnp.tanh(z @ a).reshape(-1, 2, 4, 3)

    z = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32)
    got = jax.jit(lambda z: metrics.jacobians(decode, z))(z)
    want = jax.jit(jax.vmap(jax.jacrev(lambda z: decode(z[None]).ravel())))(z)
    assert got.shape == (5, 24, 3)
    back = jax.jit(lambda z: metrics.jacobians(decode, z, forward=False))(z)
    np.testing.assert_allclose(back, want, atol=1e-5)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_scaled_permutations_have_no_amari_distance(rng):
    a = rng.normal(size=(6, 3, 3))
    inverse = np.linalg.inv(a)
    swapped = (inverse * np.array([2.0, -1.0, 5.0])[:, None])[:, [1, 2, 0]]
    for w in (inverse, swapped):
        assert float(metrics.amari_distance(w, a, xp=np)) < 1e-9
    assert float(metrics.amari_distance(a, a, xp=np)) > 0.1


def test_conformal_maps_have_no_conformal_contrast(rng):
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert float(metrics.conformal_contrast(5 * q, xp=np)) < 1e-12
    assert float(metrics.column_norm_variance(5 * q, xp=np)) < 1e-12
    got = metrics.column_norm_variance(q * [1.0, 2.0, 3.0], xp=np)
    np.testing.assert_allclose(got, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.local_c_ima(np.ones((2, 3))), "j must have at least as many"),
        (lambda: metrics.global_c_ima(np.ones((3, 3))), "j must have shape .points, o"),
        (lambda: metrics.column_norm_variance(np.ones((3, 1))), "j must have 2 column"),
        (lambda: metrics.amari_distance(np.ones((2, 3)), np.ones((2, 3))), "w must ha"),
    ],
)
def test_wrong_jacobians_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
