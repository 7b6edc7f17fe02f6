"""Decoded factors against scikit-learn and SciPy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from budget import one_program
from jidcl import metrics
from jidcl.metrics import (
    balanced_logistic,
    fit_classes,
    legacy_levels,
    ordinal_levels,
)

decode_factors = one_program(metrics.decode_factors)
linear_decode_pearson = one_program(metrics.linear_decode_pearson)
t_test = one_program(metrics.t_test)


def read_out(y, t, **settings):
    """`balanced_logistic` as one program: which rows it takes is read off t."""
    return jax.jit(lambda y: balanced_logistic(y, t, **settings))(y)


def test_pearson_of_a_read_out_without_intercept(x64, rng):
    y, y_score = rng.normal(size=(30, 4)) + 1, rng.normal(size=(9, 4)) + 1
    weights = rng.normal(size=4)
    t, t_score = y @ weights + rng.normal(size=30), y_score @ weights
    got = linear_decode_pearson(*(jnp.asarray(a) for a in (y, t, y_score, t_score)))
    want = np.linalg.lstsq(y, (t - t.mean()) / t.std(), rcond=None)[0]
    np.testing.assert_allclose(got.weights, want, rtol=1e-9)
    score = np.corrcoef(t_score, y_score @ want)[0, 1]
    np.testing.assert_allclose(got.score, score, rtol=1e-9)


@pytest.mark.parametrize("intercept", [False, True])
def test_factors_are_decoded_as_one_by_one_and_also_from_ill_conditioned_features(
    rng, intercept
):
    mixed = rng.normal(size=(4, 4)) * [1, 1, 1, 1e-3]
    y, y_score = (rng.normal(size=(rows, 4)) @ mixed + 1 for rows in (300, 90))
    y, y_score = (np.c_[part, part[:, :1], 0 * part[:, :1]] for part in (y, y_score))
    t, t_score = (
        part[:, :4] @ np.linalg.inv(mixed)[:, 2:] + rng.normal(size=(len(part), 2))
        for part in (y, y_score)
    )
    arrays = [jnp.asarray(a, jnp.float32) for a in (y, t, y_score, t_score)]
    got = jax.jit(lambda *a: decode_factors(*a, intercept=intercept))(*arrays)
    ones = (np.ones((len(part), int(intercept))) for part in (y, y_score))
    wide, wide_score = (np.c_[p, o] for p, o in zip((y, y_score), ones, strict=True))
    for k in range(2):
        want = np.linalg.lstsq(wide, (t[:, k] - t[:, k].mean()) / t[:, k].std())[0]
        score = np.corrcoef(t_score[:, k], wide_score @ want)[0, 1]
        np.testing.assert_allclose(got[k], score, atol=1e-3)
    if not intercept:
        with jax.enable_x64(True):
            plain = [jnp.asarray(a) for a in (y, t[:, 0], y_score, t_score[:, 0])]
            one = linear_decode_pearson(*plain).score
        np.testing.assert_allclose(got[0], one, atol=1e-3)
    assert float(got.min()) > 0.3


def test_a_ridge_keeps_features_that_are_hardly_ever_seen_from_ruling(rng):
    y, y_score = rng.uniform(size=(200, 3)), rng.uniform(size=(500, 3))
    y[1:, 2], y[0, 2] = 0, 1e-6
    t, t_score = (
        p[:, :1] - p[:, 1:2] + 0.1 * rng.normal(size=(len(p), 1)) for p in (y, y_score)
    )
    arrays = [jnp.asarray(a, jnp.float32) for a in (y, t, y_score, t_score)]
    got = decode_factors(*arrays, ridge=1e-3)
    target = (t - t.mean()) / t.std()
    want = np.linalg.solve(y.T @ y + 0.2 * np.eye(3), y.T @ target)
    score = np.corrcoef(t_score[:, 0], (y_score @ want)[:, 0])[0, 1]
    np.testing.assert_allclose(got[0], score, atol=1e-4)
    assert float(got[0]) > 0.9
    assert abs(float(decode_factors(*arrays)[0])) < 0.3
    with pytest.raises(ValueError, match="ridge must be 0 with an intercept"):
        decode_factors(*arrays, ridge=0.1, intercept=True)


def test_what_does_not_vary_is_decoded_as_nothing(rng):
    drawn = rng.normal(size=(30, 2))
    y = jnp.asarray(drawn - drawn.mean(0), jnp.float32)
    t = jnp.concatenate([y[:, :1], jnp.ones_like(y[:, :1])], axis=1)
    np.testing.assert_allclose(decode_factors(y, t, y, t), [1, 0], atol=1e-6)
    with pytest.raises(ValueError, match="same number of rows, got 30 and 29"):
        decode_factors(y, t[1:], y, t)


def test_logistic_read_out_equals_scikit_learn_on_balanced_rows(x64, rng):
    y = rng.normal(size=(90, 3))
    t = (y @ [2.0, -1.0, 0.5] + rng.normal(size=90) > 0.7).astype(int)
    got = read_out(y, t, train=60, strength=0.5)
    rows = [np.flatnonzero(t[:60] == c) for c in (0, 1)]
    count = min(map(len, rows))
    rows = np.concatenate([part[:count] for part in rows])
    np.testing.assert_array_equal(got.train_rows, rows)
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(y[rows], t[rows])
    np.testing.assert_allclose(got.weights, model.coef_[0], rtol=1e-5)
    np.testing.assert_allclose(got.bias, model.intercept_[0], rtol=1e-5)
    held = 60 + np.asarray(got.score_rows)
    assert np.bincount(t[held])[0] == np.bincount(t[held])[1]
    np.testing.assert_allclose(got.score, model.score(y[held], t[held]))


@pytest.mark.many_programs(reason="float64 arrays of NumPy are taken as they are")
@pytest.mark.parametrize("form", [np.asarray, np.float32, jnp.float32])
def test_the_intercept_is_that_of_the_features_as_given(rng, form):
    y = rng.normal(size=(90, 3)) + [3.0, 0, -1]
    t = (y @ [2.0, -1.0, 0.5] + rng.normal(size=90) > 6).astype(int)
    got = balanced_logistic(form(y), t, train=60, strength=0.5)
    rows = got.train_rows
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(y[rows], t[rows])
    np.testing.assert_allclose(got.weights, model.coef_[0], rtol=1e-3)
    np.testing.assert_allclose(got.bias, model.intercept_[0], rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_features_whose_squares_leave_float32_are_refused(rng, scale):
    y, t = scale * rng.normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match="y about its means must be"):
        balanced_logistic(y, t, train=10)
    with pytest.raises(ValueError, match="y about its means must be"):
        metrics.fit_classes(y, t, 2)


def test_separable_and_unrelated_factors(rng):
    y = rng.normal(size=(400, 2)).astype(np.float32)
    easy = read_out(y, y[:, 0] > 0, train=200, strength=100.0)
    assert easy.score > 0.97
    other = rng.integers(0, 2, 400)
    # A fair coin over about 190 rows: four standard deviations.
    assert abs(float(read_out(y, other, train=200).score) - 0.5) < 0.15


@pytest.mark.parametrize(
    ("t", "message"),
    [([0, 1, 2, 1], "t must hold zeros and ones"), ([0, 0, 0, 1], "smaller class")],
)
def test_factors_that_are_not_binary_are_refused(t, message):
    with pytest.raises(ValueError, match=message):
        balanced_logistic(jnp.ones((4, 2)), np.array(t), train=2)


def test_t_test_equals_scipy(x64, rng):
    values = rng.normal(0.52, 0.02, size=10)
    want = stats.ttest_1samp(values, 0.5)
    got = t_test(jnp.asarray(values), tests=85)
    np.testing.assert_allclose(got.statistic, want.statistic, rtol=1e-10)
    np.testing.assert_allclose(got.p_value, want.pvalue, rtol=1e-8)
    assert got.alpha == 0.05 / 85
    with pytest.raises(ValueError, match=re.escape("number of values must be >= 2")):
        t_test(jnp.ones(1))


def test_levels_by_rank_and_by_the_published_division():
    values = np.array([0.9, 0.5, 0.6, 0.5])
    assert ordinal_levels(values).tolist() == [2, 0, 1, 0]
    assert legacy_levels(values).tolist() == [1, 0, 1, 0]  # merges two levels
    multiples = np.array([0, 2.0, 6.0, 4.0])
    assert legacy_levels(multiples).tolist() == ordinal_levels(multiples).tolist()


def classes_of(rng, count):
    """Overlapping classes of three kinds, and classes as the largest of three maps."""
    y = rng.normal(size=(count, 4))
    scores = y @ rng.normal(size=(4, 3)) + rng.normal(size=(count, 3))
    return y, scores.argmax(1)


@pytest.mark.parametrize("strength", [0.02, 1.0])
def test_multinomial_classes_are_those_of_scikit_learn(rng, x64, strength):
    y, label = classes_of(rng, 300)
    classify = jax.jit(lambda y, t, rows: fit_classes(y, t, 3, strength=strength)(rows))
    got = classify(jnp.asarray(y[:200]), jnp.asarray(label[:200]), jnp.asarray(y))
    sklearn = LogisticRegression(C=strength, tol=1e-10, max_iter=1000)
    want = sklearn.fit(y[:200], label[:200]).predict(y)
    np.testing.assert_array_equal(got, want)
    assert 0.5 < (want == label).mean() < 0.95  # they do overlap


def test_separable_classes_and_batches_of_fits(rng):
    centres = 10 * rng.normal(size=(5, 3))
    label = np.arange(60) % 5
    y = jnp.asarray(centres[label] + 0.1 * rng.normal(size=(60, 3)), jnp.float32)
    both = jnp.stack([y, -2 * y])
    fit = jax.jit(jax.vmap(lambda y: fit_classes(y, jnp.asarray(label), 5)(y)))
    np.testing.assert_array_equal(fit(both), [label, label])


def test_a_classifier_of_any_draw_is_finite():
    # One number on all intercepts changes nothing: to rounding, a singular Hessian.
    def hits(key):
        y_key, label_key = jax.random.split(key)
        y = jax.random.normal(y_key, (128, 3))
        label = jax.random.randint(label_key, (128,), 0, 7)
        y = y.at[:, 0].add(label.astype(y.dtype))
        return jnp.mean(fit_classes(y, label, 7)(y) == label, dtype=y.dtype)

    keys = jax.random.split(jax.random.key(0), 40)
    # With weights of NaN every row is of class 0, a share of 1/7 and, in 128 rows,
    # below 0.29 with a standard deviation of 0.03. Found: 0.46 to 0.59.
    assert jax.jit(jax.vmap(hits))(keys).min() > 0.29


def test_wrong_settings_of_a_classifier_are_named():
    y, label = jnp.zeros((4, 2)), jnp.zeros(4, int)
    with pytest.raises(ValueError, match="classes must be >= 2, got 1"):
        fit_classes(y, label, 1)
    with pytest.raises(ValueError, match="strength must be > 0"):
        fit_classes(y, label, 2, strength=0.0)
