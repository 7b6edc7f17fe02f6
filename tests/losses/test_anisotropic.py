import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from budget import one_program
from jidcl import losses
from jidcl.losses import NegativePolicy, Similarity, from_lam, to_lam
from jidcl.numerics import unit

aninfonce = one_program(losses.aninfonce)
aninfonce_ensemble = one_program(losses.aninfonce_ensemble)
infonce = one_program(losses.infonce)

TWO_VIEW = NegativePolicy("two_view", exclude_self=True, symmetric=True)


@pytest.fixture
def data(x64, rng):
    y, y_pos = (jnp.asarray(rng.normal(size=(7, 3))) for _ in range(2))
    return y, y_pos, jnp.array([0.5, 3.0, 9.0])


def plain(y, y_pos, lam, *, cross="symmetric", beta=0.0, tau_plus=0.0):
    """Rows of the loss from its definition, one row after another."""
    a, b = (np.asarray(x) / np.linalg.norm(x, axis=1)[:, None] for x in (y, y_pos))
    lam, count = np.asarray(lam), len(a)

    def s(u, v):
        return -0.5 * (lam * (u - v) ** 2).sum()

    rows = []
    for second in (False, True):
        for i in range(count):
            others = [j for j in range(count) if j != i]
            own = b if second else a
            pool = [s(own[i], own[j]) for j in others]
            if second and cross == "symmetric":
                pool += [s(b[i], a[j]) for j in others]
            else:
                pool += [s(a[i], b[j]) for j in others]
            pool, pos = np.array(pool), s(a[i], b[i])
            w = np.exp(beta * pool)
            e = (w / w.sum() * np.exp(pool)).sum()
            g = (e - tau_plus * math.exp(pos)) / (1 - tau_plus)
            g = max(g, math.exp(-2 * lam.max()))
            rows.append(-pos + math.log(math.exp(pos) + len(pool) * g))
    return rows


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"cross": "reference"},
        {"beta": 0.5},
        {"beta": 2.0, "tau_plus": 0.3},
        {"tau_plus": 0.9},  # the bound on G is active in some rows
    ],
    ids=str,
)
def test_rows_are_those_of_the_definition(data, settings):
    want = plain(*data, **settings)
    for tile in (None, 3):
        got, _ = aninfonce(*data, reduction="none", tile=tile, **settings)
        np.testing.assert_allclose(got, want, rtol=1e-10)
    loss, metrics = aninfonce(*data, **settings)
    np.testing.assert_allclose(loss, np.mean(want), rtol=1e-10)
    np.testing.assert_allclose(metrics["positive"] + metrics["negative"], loss)


def test_bound_is_active_in_the_case_above(data):
    free = plain(*data, tau_plus=0.9)
    y, y_pos, lam = data
    looser = plain(y, y_pos, jnp.append(lam[:2], 9.001), tau_plus=0.9)
    moved = np.abs(np.subtract(free, looser)) > 1e-12
    assert moved.any()


@pytest.mark.parametrize("settings", [{}, {"cross": "reference"}, {"beta": 0.7}])
def test_gradients_equal_finite_differences(data, settings):
    y, y_pos, lam = data

    def loss(y, y_pos, raw):
        return aninfonce(y, y_pos, to_lam(raw), tile=4, **settings)[0]

    args = y, y_pos, from_lam(lam)
    check_grads(jax.jit(loss), args, order=1, modes=["rev"], rtol=1e-6, atol=1e-7)


def test_symmetric_form_is_the_two_view_policy(data):
    y, y_pos, lam = data
    want, _ = infonce(
        unit(y),
        unit(y_pos),
        similarity=Similarity("lp", 2.0),
        lam=lam / 2,
        policy=TWO_VIEW,
    )
    np.testing.assert_allclose(aninfonce(*data)[0], want, rtol=1e-12)


def test_one_precision_is_ntxent_at_its_temperature(data):
    y, y_pos, _ = data
    cosine = Similarity("cosine")
    want, _ = infonce(y, y_pos, similarity=cosine, tau=0.25, policy=TWO_VIEW)
    got, _ = aninfonce(y, y_pos, jnp.full(3, 4.0))
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_a_constant_encoder_has_the_loss_of_chance():
    y = jnp.ones((50, 3))
    for settings in ({}, {"cross": "reference"}, {"beta": 1.0}):
        loss, _ = aninfonce(y, y, jnp.array([1.0, 5.0, 25.0]), **settings)
        np.testing.assert_allclose(loss, math.log(99), rtol=1e-5)


def test_large_precisions_and_vanishing_ones_are_finite():
    y, y_pos = jnp.eye(3), -jnp.eye(3)
    for settings in ({}, {"beta": 2.0, "tau_plus": 0.1}):

        def loss(raw, settings=settings):
            return aninfonce(y, y_pos, to_lam(raw), **settings)[0]

        value, slope = jax.jit(jax.value_and_grad(loss))(jnp.array([1e4, 3.0, -200.0]))
        assert jnp.isfinite(value)
        assert jnp.isfinite(slope).all()


def test_ensemble_is_the_weighted_sum_of_its_members(data):
    y, y_pos, lam = data
    lams = jnp.stack([lam, lam[::-1]])
    ys, ys_pos = jnp.stack([y, y_pos]), jnp.stack([y_pos, y])
    weights = jnp.array([0.3, 0.7])
    loss, metrics = aninfonce_ensemble(ys, ys_pos, lams, weights, beta=0.5)
    members = [
        aninfonce(*args, beta=0.5)[0] for args in zip(ys, ys_pos, lams, strict=True)
    ]
    np.testing.assert_allclose(metrics["components"], members, rtol=1e-12)
    np.testing.assert_allclose(loss, weights @ jnp.stack(members), rtol=1e-12)


def test_narrow_precisions_and_weights_are_widened_first(rng):
    ys, ys_pos = (jnp.asarray(rng.normal(size=(2, 5, 3)), jnp.bfloat16) for _ in "ab")
    lams, weights = jnp.asarray([[0.5, 3.0, 9.0]] * 2), jnp.asarray([0.25, 0.75])
    hard = dict(beta=0.5, tau_plus=0.1)
    run = jax.jit(
        lambda lams, weights: aninfonce_ensemble(ys, ys_pos, lams, weights, **hard)[0]
    )
    want = run(lams, weights)
    got = run(lams.astype(jnp.bfloat16), weights.astype(jnp.bfloat16))  # exact
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_softplus_and_its_inverse(x64):
    lam = jnp.array([1e-8, 0.5, 25.0, 1e4])
    np.testing.assert_allclose(to_lam(from_lam(lam)), lam, rtol=1e-7)
    np.testing.assert_allclose(from_lam(lam[1:3]), np.log(np.expm1(lam[1:3])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lam": jnp.ones(2)}, r"lam must have shape \[3\], got \[2\]"),
        ({"lam": jnp.zeros(3)}, "lam must be > 0"),
        ({"beta": -1.0}, "beta must be >= 0"),
        ({"tau_plus": 1.0}, r"tau_plus must be in \[0, 1\), got 1.0"),
        ({"cross": "symetric"}, "did you mean 'symmetric'"),
        ({"cross": "reference", "beta": 1.0}, "need cross='symmetric'"),
        ({"y_pos": jnp.ones((3, 3))}, "y_pos must have the shape of y"),
    ],
)
def test_bad_input_is_refused(change, message):
    good = dict(y=jnp.ones((4, 3)), y_pos=jnp.ones((4, 3)), lam=jnp.ones(3))
    with pytest.raises(ValueError, match=message):
        losses.aninfonce(**{**good, **change})
