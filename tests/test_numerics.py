"""Norms, areas and key streams against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents.parameters import in_dtype
from jidcl.numerics import (
    STREAMS,
    log_softmax,
    log_sphere_area,
    logsumexp,
    of_finite,
    safe_norm,
    safe_root,
    stream_key,
    unit,
    within,
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


# --- Numbers of any size --------------------------------------------------------------

SIZES = np.array([3e38, 1e20, 1e19, 1.0, 1e-19, 1e-25, 1e-34])


def rows_of_any_size(rng):
    rows = rng.normal(size=(len(SIZES), 4))
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    return (rows * SIZES[:, None]).astype(np.float32)


@jax.jit
def norms(x):
    def both(row):
        gradient = jax.grad(lambda v: safe_norm(v))(row)
        turned = jax.jvp(unit, (row,), (jnp.ones_like(row) * jnp.max(jnp.abs(row)),))
        return safe_norm(row), gradient, *turned

    return jax.vmap(both)(x)


def test_norms_and_directions_of_any_size_are_those_of_float64(rng):
    x = rows_of_any_size(rng)
    wide = x.astype(np.float64)
    want = np.linalg.norm(wide, axis=1)
    direction = wide / want[:, None]
    along = np.abs(wide).max(axis=1, keepdims=True) * np.ones_like(wide)
    turned = along - direction * (direction * along).sum(axis=1, keepdims=True)
    kept = want < 3.4e38  # what float32 holds
    assert kept[1:].all()
    norm, gradient, y, moved = map(np.asarray, norms(x))
    np.testing.assert_allclose(norm[kept], want[kept], rtol=1e-6)
    np.testing.assert_allclose(gradient, direction, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(y, direction, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(moved, turned / want[:, None], rtol=2e-6, atol=1e-6)


def test_ordinary_norms_are_the_plain_ones_to_the_last_digit(rng):
    x = jnp.asarray(rng.normal(size=(500, 3)), jnp.float32)

    @jax.jit
    def both(x):
        norm = jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))
        return (unit(x), safe_norm(x)), (x / norm, norm[:, 0])

    for got, want in zip(*both(x), strict=True):
        np.testing.assert_allclose(got, want, rtol=2.5e-7)


def test_a_norm_of_any_size_costs_one_more_pass_over_its_rows_and_none_backwards():
    def plain(x):
        return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True))

    def passes(f):
        text = str(jax.make_jaxpr(f)(jnp.ones((8, 3))))
        return text.count("reduce_max["), text.count("reduce_sum[")

    def slope(f):
        return jax.grad(lambda x: f(x)[0, 0])

    assert passes(plain) == (0, 1)
    assert passes(unit) == passes(safe_norm) == (1, 1)
    assert passes(slope(unit)) == (1, passes(slope(plain))[1])


def test_nan_and_infinity_are_not_hidden_by_norms_and_roots():
    x = jnp.array([[jnp.nan, 1.0], [jnp.inf, 1.0]])
    np.testing.assert_array_equal(safe_norm(x), [np.nan, np.inf])
    assert np.isnan(unit(x)).any(axis=1).all()
    assert np.isnan(within(x, 1.0)).any(axis=1).all()
    assert np.isnan(safe_root(jnp.array(jnp.nan), 3.0))


def test_points_of_any_size_come_to_the_ball(rng):
    x = rows_of_any_size(rng)
    wide = x.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    want = wide * np.minimum(1, 2.5 / norm)
    np.testing.assert_allclose(within(jnp.asarray(x), 2.5), want, rtol=1e-6)


def test_sums_of_exponentials_are_those_of_float64_at_any_size(rng):
    x = (rng.normal(size=(5, 6)) * [[1.0], [1e3], [1e9], [1e30], [0.0]]).astype("f4")
    weights = rng.uniform(1, 3, (1, 6)).astype("f4")
    wide = x.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    terms = np.exp(wide - top)
    plain = top[:, 0] + np.log(terms.sum(axis=1))
    weighted = top[:, 0] + np.log((weights * terms).sum(axis=1))

    @jax.jit
    def all_of(x):
        gradient = jax.grad(lambda x: logsumexp(x, 1).sum())(x)
        given = logsumexp(x, 1, weights=weights)
        return logsumexp(x, 1), given, gradient, log_softmax(x, 1)

    value, given, gradient, log_p = all_of(x)
    np.testing.assert_allclose(value, plain, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(given, weighted, rtol=1e-6, atol=1e-6)
    softmax = terms / terms.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(gradient, softmax, rtol=1e-5, atol=1e-7)
    exact = wide - top - np.log(terms.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_p, exact, rtol=1e-6, atol=1e-6)
    assert (np.asarray(log_p) <= 0).all()


def test_rows_without_entries_and_nan_in_sums_of_exponentials():
    x = jnp.array([[-jnp.inf, -jnp.inf], [0.0, jnp.nan], [0.0, -jnp.inf]])
    np.testing.assert_array_equal(logsumexp(x, 1), [-np.inf, np.nan, 0])
    gradient = jax.grad(lambda x: logsumexp(x, 1)[0])(x)
    np.testing.assert_array_equal(gradient[0], [0, 0])


def test_functions_of_lapack_return_from_anything():
    roots = jax.jit(
        lambda a: of_finite(lambda a: jnp.linalg.svd(a, compute_uv=False), a)
    )
    np.testing.assert_allclose(
        roots(jnp.diag(jnp.array([3.0, 4.0]))), [4, 3], rtol=1e-6
    )
    for bad in (jnp.inf, jnp.nan):
        assert np.isnan(roots(jnp.eye(2).at[0, 1].set(bad))).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1e300, r"^kappa must be at most 3.40282e\+38 in float32, got 1e\+300$"),
        (1e-300, "^kappa must be 0, or at least 1.17549e-38, in float32, got 1e-300$"),
    ],
)
def test_a_parameter_that_its_dtype_does_not_hold_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        in_dtype("kappa", value, jnp.float32)
    assert in_dtype("kappa", 0, jnp.float32) == 0
