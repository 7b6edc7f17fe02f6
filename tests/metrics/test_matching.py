"""MCC of any shape, held-out and permuted, and similarity of two representations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, spearmanr

from jidcl.metrics import (
    compare,
    cross_fit,
    fold_rows,
    held_out_mcc,
    mcc,
    permutation_test,
)
from jidcl.metrics.cross_fit import Matching, Reading, orders_in_folds


def drawn(n=2, m=3, rows=40, seed=0, noise=0.5):
    rng = np.random.default_rng([seed, n, m])
    z = rng.normal(size=(rows, n))
    return z, z @ rng.normal(size=(n, m)) + noise * rng.normal(size=(rows, m))


def best_by_trial(score):
    """The largest sum over one-to-one assignments, by trying all."""
    score = score if score.shape[0] <= score.shape[1] else score.T
    n, m = score.shape
    return max(
        score[range(n), columns].sum()
        for columns in itertools.permutations(range(m), n)
    )


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 4), (4, 2), (3, 3), (5, 1)])
def test_mcc_of_any_shape_is_the_best_of_all_assignments(n, m):
    z, y = drawn(n, m)
    score = np.abs(np.corrcoef(z.T, y.T)[:n, n:])
    want = best_by_trial(score)
    found = mcc(z, y, xp=np)
    assert float(found.mean) == pytest.approx(want / min(n, m))
    assert float(found.coverage) == pytest.approx(want / n)
    columns = np.asarray(found.columns)
    matched = columns >= 0
    assert matched.sum() == min(n, m) == len(set(columns[matched]))
    own = score[np.arange(n)[matched], columns[matched]]
    np.testing.assert_allclose(np.asarray(found.per_dim)[matched], own)
    assert not np.asarray(found.per_dim)[~matched].any()


def test_mcc_of_fewer_outputs_is_the_same_under_jit():
    z, y = (jnp.asarray(x, jnp.float32) for x in drawn(4, 2))
    want, got = mcc(np.asarray(z), np.asarray(y), xp=np), jax.jit(mcc)(z, y)
    np.testing.assert_allclose(got.mean, want.mean, rtol=1e-5)
    np.testing.assert_array_equal(got.columns, want.columns)


def by_hand(z, y, folds, spearman):
    """A held-out score by loops, from SciPy's correlations."""
    total = 0.0
    for test in folds:
        train = np.setdiff1d(np.arange(len(z)), test)
        n, m = z.shape[1], y.shape[1]

        def correlations(rows, n=n):
            if spearman:
                return spearmanr(z[rows], y[rows]).statistic[:n, n:]
            return np.corrcoef(z[rows].T, y[rows].T)[:n, n:]

        c, held = correlations(train), correlations(test)
        best = max(
            itertools.permutations(range(m), n),
            key=lambda columns: np.abs(c[range(n), columns]).sum(),  # noqa: B023
        )
        total += len(test) * np.mean(np.sign(c[range(n), best]) * held[range(n), best])
    return total / sum(map(len, folds))


@pytest.mark.parametrize("spearman", [False, True])
def test_held_out_mcc_is_the_loop_over_folds(spearman):
    z, y = drawn(2, 4, rows=41)
    folds = fold_rows(41, 4, seed=3)
    want = by_hand(z, y, folds, spearman)
    found = held_out_mcc(z, y, folds, spearman=spearman, xp=np)
    assert float(found.mean) == pytest.approx(want)
    fast = Matching(z, y, folds, spearman).score(np.arange(41))
    assert fast == pytest.approx(want)


@pytest.mark.many_programs(reason="a program for each fold")
def test_held_out_mcc_of_jax_is_that_of_numpy():
    z, y = (jnp.asarray(x, jnp.float32) for x in drawn(3, 2))
    folds = fold_rows(40, 2)
    want = held_out_mcc(np.asarray(z), np.asarray(y), folds, xp=np)
    np.testing.assert_allclose(held_out_mcc(z, y, folds).mean, want.mean, rtol=1e-4)
    broken = z.at[3, 0].set(jnp.nan)
    assert jnp.isnan(jax.jit(lambda z: held_out_mcc(z, y, folds).mean)(broken))


def test_folds_are_a_partition_and_others_are_refused():
    folds = fold_rows(23, 5, seed=1)
    assert sorted(np.concatenate(folds)) == list(range(23))
    assert [len(f) for f in folds] == [5, 5, 5, 4, 4]
    z, y = drawn()
    for wrong in ([np.arange(39)], [np.arange(1)], [np.array([40, 41])], [], "rows"):
        with pytest.raises((ValueError, TypeError), match="folds"):
            held_out_mcc(z, y, wrong, xp=np)
    with pytest.raises(ValueError, match="folds"):
        fold_rows(14, 5)


@pytest.mark.parametrize("m", [3, 12])
def test_held_out_mcc_of_independent_outputs_is_zero_on_average(m):
    rng, scores = np.random.default_rng(0), []
    for seed in range(200):
        z, y = rng.normal(size=(60, 3)), rng.normal(size=(60, m))
        folds = fold_rows(60, 5, seed=seed)
        scores.append(Matching(z, y, folds).score(np.arange(60)))
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores)) < 3 * error  # 0.3 % of such tests fail by chance
    assert float(mcc(z, y, xp=np).mean) > 0.1  # and in sample it is not


def test_reading_is_least_squares_by_hand():
    z, y = drawn(2, 3, rows=33)
    folds = fold_rows(33, 3)
    order = orders_in_folds(folds, 1, 0)[1]
    assert sorted(order) == list(range(33))
    turned, left = y[order], np.zeros(2)
    for test in folds:
        train = np.setdiff1d(np.arange(33), test)
        one = np.column_stack([turned, np.ones(33)])
        fit = np.linalg.lstsq(one[train], z[train], rcond=None)[0]
        left += np.sum((z[test] - one[test] @ fit) ** 2, axis=0)
    want = 1 - left / np.sum((z - z.mean(0)) ** 2, axis=0)
    np.testing.assert_allclose(Reading(z, y, folds).z_from_y(order), want)
    np.testing.assert_allclose(Reading(turned, z, folds).y_from_z(np.arange(33)), want)


def planted(rng, rows, m, near):
    """Outputs with offsets, the last nearly a copy of the first."""
    y = rng.normal(size=(rows, m)) + rng.choice([0, 1e3], size=m)
    y[:, -1] = y[:, 0] + near * y[:, -1] if m > 1 else y[:, -1]
    return rng.normal(size=(rows, 2)), y


@pytest.mark.parametrize("near", [1.0, 1e-3, 1e-7, 0.0])
@pytest.mark.parametrize("m", [1, 4, 25, 29, 30, 31, 34, 50])
def test_both_ways_of_reading_a_fold_agree(m, near, rng):
    z, y = planted(rng, 38, m, near)
    reading = Reading(z, y, fold_rows(38, 4, seed=1))
    own = rng.normal(size=(38, 3))
    own -= own.mean(axis=0)
    for fold, factors in zip(reading.folds, reading.of_y, strict=True):
        slow = cross_fit._singular(reading.y, fold)
        got, want = (cross_fit._missed(f, own, fold) for f in (factors, slow))
        np.testing.assert_allclose(got, want, rtol=1e-7)


def test_folds_are_read_by_products_where_that_is_exact(rng):
    z, y = planted(rng, 40, 4, 1.0)
    folds = fold_rows(40, 4)
    copies, wide = np.hstack([y] * 3), rng.normal(size=(40, 50))
    for codes, quick in ((y, True), (copies, False), (wide, True)):
        held = Reading(z, codes, folds).of_y
        assert all((inner is not None) == quick for _, inner, _ in held)


def test_permutation_p_values_are_uniform_under_independence():
    rng, found = np.random.default_rng(1), []
    for seed in range(100):
        z, y = rng.normal(size=(30, 2)), rng.exponential(size=(30, 3))
        folds = fold_rows(30, 3, seed=seed)
        test = permutation_test(
            lambda z, y, folds=folds: Matching(z, y, folds).score(np.arange(30)),
            z,
            y,
            permutations=39,
            seed=seed,
        )
        found.append(test.p_value)
    assert (
        kstest(np.asarray(found) - rng.uniform(0, 1 / 40, 100), "uniform").pvalue > 0.01
    )


def test_orders_beyond_memory_are_refused():
    z = np.random.default_rng(0).normal(size=(100, 1))
    with pytest.raises(ValueError, match="permutations must be smaller to fit"):
        permutation_test(lambda a, b: 0.0, z, z, permutations=10**11)


def test_a_permutation_test_counts_ties_and_sees_dependence():
    z, y = drawn(2, 2)
    test = permutation_test(lambda z, y: float(mcc(z, y, xp=np).mean), z, y)
    assert test.p_value == 1 / 200
    assert test.adjusted == pytest.approx(
        (test.score - test.null_mean) / (1 - test.null_mean)
    )
    assert permutation_test(lambda z, y: 1.0, z, y, permutations=9).p_value == 1
    with pytest.raises(ValueError, match="finite"):
        permutation_test(lambda z, y: 1.0, z * np.nan, y)


def test_similarity_of_two_runs_up_to_order_sign_and_linear_maps():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(90, 3))
    same = compare(a, -2 * a[:, [2, 0, 1]] + 5)
    assert same.matched == pytest.approx(1)
    assert same.linear == pytest.approx(1)
    assert same.matched_p == same.linear_p == 0.01
    turned = compare(a, a @ np.linalg.qr(rng.normal(size=(3, 3)))[0])
    assert turned.matched < 0.95 < 0.999 < turned.linear
    cubed = compare(a, a**3, spearman=True)
    assert cubed.matched == pytest.approx(1)
    assert cubed.linear < 0.9
    lost = compare(a, a[:, :1])
    assert lost.matched == pytest.approx(1)  # of the pairs there are
    assert lost.a_from_b < 0.4 < 0.999 < lost.b_from_a


@pytest.mark.parametrize("score", ["matched_p", "linear_p"])
def test_p_values_of_a_similarity_are_uniform_under_independence(score):
    rng, found = np.random.default_rng(2), []
    for seed in range(60):
        a, b = rng.normal(size=(24, 2)), rng.uniform(size=(24, 3))
        found.append(getattr(compare(a, b, permutations=19, seed=seed), score))
    assert (
        kstest(np.asarray(found) - rng.uniform(0, 1 / 20, 60), "uniform").pvalue > 0.01
    )


def test_similarity_refuses_by_name():
    a = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(ValueError, match="rows"):
        compare(a, a[:19])
    with pytest.raises(ValueError, match="b must be finite"):
        compare(a, np.where(a > 1, np.nan, a))
    with pytest.raises(ValueError, match="batch >= 12"):
        compare(a[:9], a[:9])
    assert compare(a, 0 * a).matched == 0  # constant columns agree with nothing
