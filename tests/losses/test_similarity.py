"""Similarities against loops, their gradients at zero distance, and their memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jidcl.losses import Similarity, infonce, pairwise, rowwise
from reference import infonce as oracle

LP = [
    Similarity("lp", p, power) for p in (1.0, 1.5, 2.0, 3.0) for power in (True, False)
]
ALL = [Similarity("dot"), Similarity("cosine"), *LP]


def name(similarity):
    if similarity.kind != "lp":
        return similarity.kind
    return f"lp{similarity.p:g}{'' if similarity.power else '-root'}"


def settings(similarity):
    return {"kind": similarity.kind, "p": similarity.p, "power": similarity.power}


every = pytest.mark.parametrize("similarity", ALL, ids=name)
every_lp = pytest.mark.parametrize("similarity", LP, ids=name)


@pytest.fixture
def arrays(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=(5, 3))


@partial(jax.jit, static_argnums=0)
def both(similarity, a, b):
    return pairwise(similarity, a, b), rowwise(similarity, a, b[: len(a)])


@every
def test_values_equal_the_loop_in_float64(x64, arrays, similarity):
    a, b = arrays
    pairs, rows = both(similarity, jnp.asarray(a), jnp.asarray(b))
    assert pairs.dtype == rows.dtype == jnp.float64
    want = oracle.pairwise(a, b, **settings(similarity))
    np.testing.assert_allclose(pairs, want, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(rows, np.diag(want), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("similarity", [*ALL[:2], *LP[::2]], ids=name)
def test_bfloat16_is_summed_in_float32(rng, similarity):
    # 300 terms: a narrow accumulator is wrong in the second digit.
    a, b = (jnp.asarray(rng.normal(size=(3, 300)), jnp.bfloat16) for _ in range(2))
    pairs, rows = both(similarity, a, b)
    assert pairs.dtype == rows.dtype == jnp.float32
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    want = oracle.pairwise(a, b, **settings(similarity))
    np.testing.assert_allclose(pairs, want, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(rows, np.diag(want), rtol=1e-5, atol=1e-4)


@every
def test_far_apart_points_are_finite_and_right(similarity):
    a = jnp.array([[1e4, -1e4], [-1e4, 2e4]])

    def total(a, b):
        pairs, rows = both(similarity, a, b)
        return jnp.sum(pairs) + jnp.sum(rows), (pairs, rows)

    gradient, (pairs, rows) = jax.jit(jax.grad(total, has_aux=True))(a, -a)
    assert np.all(np.isfinite(gradient))
    want = oracle.pairwise(a, -a, **settings(similarity))
    np.testing.assert_allclose(pairs, want, rtol=2e-6)
    np.testing.assert_allclose(rows, np.diag(want), rtol=2e-6)


@every
def test_gradients_equal_finite_differences(x64, arrays, similarity):
    a, b = (jnp.asarray(x) for x in arrays)
    weights = jnp.asarray(np.linspace(0.5, 2, 20).reshape(4, 5))

    @jax.jit
    def loss(a, b):
        pairs, rows = both(similarity, a, b)
        return jnp.sum(weights * pairs) + jnp.sum(rows)

    check_grads(loss, (a, b), order=1, modes=["rev"], rtol=1e-6)


@every
def test_derivatives_at_coinciding_rows_are_finite(similarity):
    y = jnp.ones((3, 2)).at[2].set(jnp.array([0.5, -1.0]))  # two rows are equal

    def loss(a, b):
        pairs, rows = both(similarity, a, b)
        return jnp.sum(jnp.exp(pairs)) + jnp.sum(rows**2)

    @jax.jit
    def derivatives(y):
        return jax.grad(loss, argnums=(0, 1))(y, y), jax.hessian(lambda y: loss(y, y))(
            y
        )

    assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(derivatives(y)))


@every_lp
def test_gradient_at_zero_distance_is_zero(similarity):
    y = jnp.full((3, 2), 1.5)

    @jax.jit
    def gradients(a, b):
        return [
            jax.grad(lambda a, i=i: jnp.sum(both(similarity, a, b)[i]))(a)
            for i in range(2)
        ]

    for gradient in gradients(y, y):
        np.testing.assert_allclose(gradient, np.zeros((3, 2)), atol=1e-6)


def test_cosine_of_a_zero_vector_is_zero_with_zero_gradient():
    zero = jnp.zeros((2, 3))
    value, gradient = jax.value_and_grad(
        lambda a: jnp.sum(pairwise(Similarity("cosine"), a, jnp.ones((2, 3))))
    )(zero)
    assert value == 0
    assert np.all(np.isfinite(gradient))


def test_close_points_far_from_the_origin_keep_their_distance():
    # ||a||^2 + ||b||^2 - 2 a.b would give 0 here.
    a = jnp.array([[4096.0, 4096.0]])
    got = pairwise(Similarity("lp", 2.0), a, a + 0.5)
    np.testing.assert_allclose(got, [[-0.5]], rtol=1e-6)


@pytest.mark.parametrize("similarity", [ALL[1], LP[5]], ids=name)
def test_vmap_equals_loop_and_jit_equals_eager(rng, similarity):
    a, b = (jnp.asarray(rng.normal(size=(2, 3, 2)), jnp.float32) for _ in range(2))
    pairs, rows = jax.jit(jax.vmap(partial(both, similarity)))(a, b)
    for i in range(2):
        looped = pairwise(similarity, a[i], b[i])
        np.testing.assert_allclose(pairs[i], looped, rtol=1e-6, atol=1e-6)
        looped = rowwise(similarity, a[i], b[i])
        np.testing.assert_allclose(rows[i], looped, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("similarity", [*LP[::2], LP[5]], ids=name)
def test_gradient_stores_nothing_of_size_rows_cols_features(similarity):
    batch, n = 512, 64
    y = jax.ShapeDtypeStruct((batch, n), jnp.float32)

    def loss(y, y_pos):
        return infonce(y, y_pos, similarity=similarity)[0]

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(y, y).compile()
    used = compiled.memory_analysis().temp_size_in_bytes
    assert used < batch * batch * n * 4 / 2


@pytest.mark.parametrize("p", [0.5, 0.0, -1.0, float("nan")])
def test_exponent_below_one_is_refused(p):
    with pytest.raises(ValueError, match=rf"p must be >= 1, got {p}"):
        Similarity("lp", p)


def test_unknown_similarity_names_the_nearest():
    with pytest.raises(ValueError, match=r"similarity.*'cosin'.*did you mean 'cosine'"):
        Similarity("cosin")


def test_a_precision_that_no_product_has_is_refused():
    with pytest.raises(ValueError, match=r"precision.*'fast'.*got 'float64'"):
        Similarity(precision="float64")


@pytest.mark.parametrize("function", [pairwise, rowwise])
def test_bad_arrays_are_refused(function):
    good = jnp.ones((2, 3))
    with pytest.raises(ValueError, match=r"b must have shape \[\.\.\., 3\].*\[2, 4\]"):
        function(ALL[0], good, jnp.ones((2, 4)))
    with pytest.raises(TypeError, match=r"a must have a floating-point.*int32"):
        function(ALL[0], jnp.ones((2, 3), jnp.int32), good)
    with pytest.raises(TypeError, match=r"b must be an array, got list"):
        function(ALL[0], good, [[1.0, 2.0, 3.0]])
