"""Norms, areas and key streams against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.numerics import (
    STREAMS,
    log_sphere_area,
    safe_norm,
    safe_root,
    stream_key,
    unit,
)


@pytest.mark.parametrize(
    ("n", "area"), [(2, 2 * np.pi), (3, 4 * np.pi), (4, 2 * np.pi**2)]
)
def test_log_sphere_area(n, area):
    assert log_sphere_area(n) == pytest.approx(np.log(area), abs=1e-14)


def test_log_sphere_area_recurrence():
    # |S^(n+1)| = |S^(n-1)| 2 pi / n, from any n: here up to a thousand.
    for n in (2, 9, 500, 998):
        step = log_sphere_area(n + 2) - log_sphere_area(n)
        assert step == pytest.approx(np.log(2 * np.pi / n), abs=1e-10)


def test_safe_norm_values_and_shapes(rng):
    x = rng.normal(size=(4, 3, 5)).astype(np.float32)
    want = np.linalg.norm(x.astype(np.float64), axis=-1)
    np.testing.assert_allclose(safe_norm(jnp.array(x)), want, rtol=1e-6)
    assert safe_norm(jnp.array(x), keepdims=True).shape == (4, 3, 1)


def test_safe_norm_gradient():
    at_zero = jax.grad(safe_norm)(jnp.zeros(3))
    np.testing.assert_array_equal(at_zero, np.zeros(3))
    at_point = jax.grad(safe_norm)(jnp.array([3.0, 0.0, -4.0]))
    np.testing.assert_allclose(at_point, [0.6, 0.0, -0.8], rtol=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 2.5])
def test_safe_root(p):
    x = jnp.array([0.0, 1e-6, 1.0, 32.0])
    np.testing.assert_allclose(
        safe_root(x, p), np.asarray(x, np.float64) ** (1 / p), rtol=1e-6
    )
    slope = jax.vmap(jax.grad(lambda v: safe_root(v, p)))(x)
    assert slope[0] == 0
    want = np.asarray(x[1:], np.float64) ** (1 / p - 1) / p
    np.testing.assert_allclose(slope[1:], want, rtol=1e-5)


def test_unit():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0], [1e-18, 0.0]])
    np.testing.assert_allclose(unit(x), [[0.6, 0.8], [0, 0], [1, 0]], rtol=1e-6)
    jac = jax.jit(jax.vmap(jax.jacobian(unit)))(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
    want = (np.eye(2) - np.outer([0.6, 0.8], [0.6, 0.8])) / 5
    np.testing.assert_allclose(jac[0], want, rtol=1e-5)
    assert np.isfinite(jac[1]).all()


def test_stream_key_is_fold_in_of_its_index():
    data = [
        jax.random.key_data(stream_key(jax.random.key(5), name)).tolist()
        for name in STREAMS
    ]
    want = [
        jax.random.key_data(jax.random.fold_in(jax.random.key(5), i)).tolist()
        for i in range(len(STREAMS))
    ]
    assert data == want
    assert len({tuple(d) for d in data}) == len(STREAMS)


def test_stream_order_is_frozen():
    # The index is part of every run's randomness: new purposes go at the end.
    assert STREAMS[:6] == ("freeze", "init", "data", "loss", "eval", "null")


def test_stream_key_refuses_an_unknown_purpose():
    with pytest.raises(ValueError, match=r"^purpose must be .* 'dat' .*'data'\?\)$"):
        stream_key(jax.random.key(0), "dat")
