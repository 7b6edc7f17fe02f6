"""Streamed log-sum-exps: equal to one matrix of logits, in memory of one tile."""

import dataclasses
from functools import partial

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.test_util import check_grads

from jidcl.losses import NegativePolicy, Similarity, infonce
from jidcl.losses.logsumexp import row_logsumexp

similarities = st.one_of(
    st.sampled_from([Similarity(), Similarity("cosine")]),
    st.builds(
        Similarity, st.just("lp"), st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.booleans()
    ),
)
policies = st.builds(
    NegativePolicy,
    st.sampled_from(["in_batch", "two_view"]),
    include_positive=st.booleans(),
    exclude_self=st.booleans(),
    compare=st.sampled_from(["anchor", "positive"]),
    log_mean=st.booleans(),
    alpha=st.floats(0, 1),
    symmetric=st.booleans(),
)


@given(
    similarity=similarities,
    policy=policies,
    batch=st.integers(2, 6),
    tile=st.one_of(st.integers(1, 7), st.tuples(st.integers(1, 7), st.integers(1, 7))),
    scale=st.sampled_from([0.0, 1.0, 30.0]),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=12)
def test_tiles_equal_the_plain_form_in_value_and_gradient(
    similarity, policy, batch, tile, scale, seed
):
    rng = np.random.default_rng(seed)
    y = scale * rng.normal(size=(batch, 3))
    y_pos = y + 0.3 * scale * rng.normal(size=y.shape)

    def run(y, y_pos, tau, tile):
        def loss(y, y_pos, tau):
            options = dict(similarity=similarity, policy=policy, tile=tile)
            return infonce(y, y_pos, tau=tau, **options)[0]

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(y, y_pos, tau)

    with jax.enable_x64(True):
        args = jnp.asarray(y), jnp.asarray(y_pos), jnp.asarray(0.7)
        plain, tiled = (run(*args, size) for size in (None, tile))
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(tiled), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("tile", [1, 4, 10])
def test_independent_negatives_any_dtype_and_reduction(rng, dtype, tile):
    y, y_neg = (jnp.asarray(rng.normal(size=(k, 3)), dtype) for k in (10, 7))
    policy = NegativePolicy("independent")

    @partial(jax.jit, static_argnames="tile")
    def run(y, y_neg, tile):
        options = dict(policy=policy, reduction="none", tile=tile)
        return infonce(y, -y, y_neg, **options)

    rows, metrics = run(y, y_neg, tile)
    want, expected = run(y, y_neg, "auto")
    assert rows.dtype == jnp.float32
    np.testing.assert_allclose(rows, want, rtol=1e-5)
    np.testing.assert_allclose(metrics["negative"], expected["negative"], rtol=1e-5)


@pytest.mark.share(3)
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_vmap_and_second_derivatives(x64, rng, p):
    y = jnp.asarray(rng.normal(size=(2, 5, 2)))

    warm = jnp.asarray(0.8)

    def loss(y, tau=warm, tile=2):
        s = Similarity("lp", p)
        return infonce(y, y[::-1], similarity=s, tau=tau, tile=tile)[0]

    mapped = jax.jit(jax.vmap(loss))(y)
    plain = jax.jit(partial(loss, tile=None))
    np.testing.assert_allclose(mapped, [plain(v) for v in y])
    check_grads(jax.jit(loss), (y[0], warm), order=2, modes=["rev"], rtol=1e-5)
    tiled, plain = (
        jax.jit(jax.hessian(partial(loss, tile=t)))(y[0]) for t in (2, None)
    )
    np.testing.assert_allclose(tiled, plain, atol=1e-9)


def test_forward_mode_is_refused_by_tiles_and_given_by_the_plain_form():
    y = jnp.eye(3)

    def loss(y, tile):
        return infonce(y, y, tile=tile)[0]

    with pytest.raises(TypeError, match="forward-mode"):
        jax.jit(lambda y: jax.jvp(partial(loss, tile=2), (y,), (y,)))(y)
    _, tangent = jax.jit(lambda y: jax.jvp(partial(loss, tile=None), (y,), (y,)))(y)
    gradient = jax.jit(jax.grad(partial(loss, tile=2)))(y)
    np.testing.assert_allclose(tangent, np.sum(gradient * y), rtol=1e-5)


@pytest.mark.many_programs(reason="the plain form, one operation after another")
@pytest.mark.parametrize("scale", [1e-12, 1e4])
@pytest.mark.parametrize("p", [1.0, 2.0, None])
def test_extreme_scales_are_finite_and_equal_the_plain_form(rng, p, scale):
    s = Similarity() if p is None else Similarity("lp", p)
    y = jnp.asarray(scale * rng.normal(size=(40, 3)), jnp.float32)

    def run(tile):
        def loss(y):
            return infonce(y, -y, similarity=s, tau=0.1, tile=tile)[0]

        # The plain form step by step: as one program it rounds the logits twice, for
        # their maximum and for the sum, and overflows where they are 1e9.
        run = jax.value_and_grad(loss)
        return run(y) if tile is None else jax.jit(run)(y)

    (value, gradient), (want, expected) = run((7, 16)), run(None)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(value, want, rtol=1e-5)
    size = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * size, rtol=1e-4)


def test_narrow_temperatures_and_weights_are_widened_first(rng):
    y = jnp.asarray(3 + 0.1 * rng.normal(size=(9, 3)), jnp.bfloat16)
    s, tau = Similarity("lp", 2.0), jnp.asarray(0.07, jnp.bfloat16)
    exact = float(tau)

    @partial(jax.jit, static_argnames="tile")
    def losses(y, tau, tile):
        run = partial(infonce, y, y[::-1], similarity=s, tile=tile)
        lam = jnp.full(3, 0.9, jnp.float32)
        options = dict(tau=tau), dict(tau=exact), dict(tau=0.05, lam=lam)
        return [run(**each)[0] for each in (*options, dict(tau=0.05 / 0.9))]

    for tile in (None, 4):
        narrow, wide, weighted, scaled = losses(y, tau, tile)
        np.testing.assert_allclose(narrow, wide, rtol=1e-5)
        np.testing.assert_allclose(weighted, scaled, rtol=1e-5)


def test_shapes_are_checked_whatever_the_form():
    a, b = jnp.ones((4, 3)), jnp.ones((5, 2))
    for tile in (None, 2):
        with pytest.raises(ValueError, match=r"b must have shape \[..., 3\]"):
            row_logsumexp(Similarity(), a, b, tile=tile)
    with pytest.raises(ValueError, match="p must be finite"):
        Similarity("lp", float("inf"))


def test_a_row_with_nothing_left_is_minus_infinity_without_gradient():
    y = jnp.ones((1, 3))
    run = partial(row_logsumexp, Similarity(), exclude_diagonal=True, tile=1)

    @jax.jit
    def value_and_pulled(y):
        value, pull = jax.vjp(lambda a: run(a, a), y)
        return value, pull(jnp.ones(1))[0]

    value, pulled = value_and_pulled(y)
    assert value == -jnp.inf
    np.testing.assert_array_equal(pulled, np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(257, 1025), (513, 300), (1, 70_000), (70_000, 1)])
def test_the_chosen_form_is_the_plain_one_for_any_shape(rng, shape):
    a, b = (jnp.asarray(rng.normal(size=(k, 2)), jnp.float32) for k in shape)
    run = jax.jit(
        lambda a, b, tile: row_logsumexp(Similarity("lp", 2.0), a, b, tile=tile),
        static_argnames="tile",
    )
    np.testing.assert_allclose(run(a, b, "auto"), run(a, b, None), rtol=1e-5, atol=1e-5)


@pytest.mark.share(2)
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("columns", [3, 17])
def test_the_chosen_tiles_have_the_plain_gradients(rng, p, columns):
    a, b = (jnp.asarray(rng.normal(size=(k, columns)), jnp.float32) for k in (193, 515))
    weight = jnp.asarray(rng.normal(size=193), jnp.float32)

    def total(a, b, tile):
        return weight @ row_logsumexp(Similarity("lp", p), a, b, tau=0.7, tile=tile)

    found, wanted = (
        jax.jit(jax.grad(partial(total, tile=tile), (0, 1)))(a, b)
        for tile in ("auto", None)
    )
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.share(3)
@pytest.mark.parametrize("power", [True, False])
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("columns", [3, 17])
def test_a_batch_against_itself_has_the_plain_gradients(rng, p, columns, power):
    y = jnp.asarray(rng.normal(size=(301, columns)), jnp.float32)
    y = y.at[7].set(y[3])  # two rows agree
    weight = jnp.asarray(rng.normal(size=301), jnp.float32)

    def total(y, tau, tile):
        similarity = Similarity("lp", p, power)
        return weight @ row_logsumexp(similarity, y, y, tau=tau, tile=tile)

    found, wanted = (
        jax.jit(jax.grad(partial(total, tile=tile), (0, 1)))(y, 0.7)
        for tile in ("auto", None)
    )
    for x, y in zip(found, wanted, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("p", [1.0, 2.0, None], ids=["lp1", "lp2", "dot"])
def test_memory_grows_with_the_tile_and_not_with_the_batch(p):
    similarity = Similarity() if p is None else Similarity("lp", p)

    def used(batch, tile):
        y = jax.ShapeDtypeStruct((batch, 10), jnp.float32)

        def loss(y, y_pos):
            return infonce(y, y_pos, similarity=similarity, tile=tile)[0]

        program = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(y, y)
        return program.compile().memory_analysis().temp_size_in_bytes

    batch, tile = 4096, (64, 512)
    assert used(batch, None) > 4 * batch**2
    arrays = 4 * batch * 10
    for streamed in (tile, "auto"):  # no tile is stored once a feature (ten)
        assert used(batch, streamed) < 10 * arrays + 6 * 4 * 64 * 512
    assert used(4 * batch, tile) < 4.5 * used(batch, tile)


def test_policies_are_hashable_settings():
    policy = dataclasses.replace(NegativePolicy(), alpha=0.3)
    run = jax.jit(infonce, static_argnames=("policy", "tile"))
    y = jnp.eye(3)
    np.testing.assert_allclose(
        run(y, y, policy=policy, tile=2)[0], run(y, y, policy=policy)[0], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("tile", "error"),
    [(0, ValueError), (2.0, TypeError), ((1, 2, 3), ValueError), ("big", TypeError)],
)
def test_tile_sizes(tile, error):
    with pytest.raises(error, match="tile must be"):
        infonce(jnp.eye(3), jnp.eye(3), tile=tile)
