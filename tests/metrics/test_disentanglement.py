"""DCI, MIG, InfoM, InfoE, InfoC, RDC, T-MEX: against other code, chance, units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score

from jidcl.metrics import (
    dci_lasso,
    dci_scores,
    dci_trees,
    info_e,
    info_mc,
    mi_knn,
    mig,
    modularity_compactness,
    pcm_linear,
    rdc,
    tmex,
    tmex_scores,
)


def drawn(rows=120, d=2, m=3, seed=0):
    rng = np.random.default_rng([seed, rows, d, m])
    z = rng.normal(size=(rows, d))
    return z, z @ rng.normal(size=(d, m)) + 0.3 * rng.normal(size=(rows, m))


# Against other code ------------------------------------------------------------------


def test_lasso_importances_are_those_of_scikit_learn():
    z, y = drawn()
    found = dci_lasso(z, y, alpha=0.05, train=90)
    codes, factors = ((x - x[:90].mean(0)) / x[:90].std(0) for x in (y, z))
    for i in range(2):
        model = Lasso(alpha=0.05, fit_intercept=False, tol=1e-12, max_iter=10**5)
        model.fit(codes[:90], factors[:90, i])
        np.testing.assert_allclose(found.importance[:, i], abs(model.coef_), atol=1e-5)
        score = model.score(codes[90:], factors[90:, i])
        assert float(found.r2[i]) == pytest.approx(score, abs=1e-5)


def test_information_of_bins_is_that_of_scikit_learn():
    z, y = drawn()
    found = mig(z, y, bins=6)
    cut = [np.digitize(x, np.linspace(x.min(), x.max(), 7)[1:-1]) for x in (*z.T, *y.T)]
    for i in range(2):
        own = mutual_info_score(cut[i], cut[i])
        assert float(found.entropy[i]) == pytest.approx(own, rel=1e-5)
        for j in range(3):
            want = mutual_info_score(cut[i], cut[2 + j])
            assert float(found.information[i, j]) == pytest.approx(want, rel=1e-5)


def test_information_of_neighbours_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, size=200).astype(float)
    x = label + rng.normal(size=200)
    # It scales columns and adds noise of 1e-10.
    want = mutual_info_classif(x[:, None], label, n_neighbors=4, random_state=0)[0]
    assert float(mi_knn(x, label, neighbours=4)) == pytest.approx(want, abs=1e-4)


@pytest.mark.parametrize("balanced", [False, True])
def test_explicitness_is_logistic_regression_of_scikit_learn(balanced):
    z, y = drawn(rows=90, d=1)
    found = info_e(z, y, bins=4, strength=2.0, balanced=balanced)
    label = np.digitize(z[:, 0], np.linspace(z.min(), z.max(), 5)[1:-1])
    codes = (y - y.mean(0)) / y.std(0)
    weight = "balanced" if balanced else None
    model = LogisticRegression(C=2.0, class_weight=weight, tol=1e-10, max_iter=10**4)
    want = log_loss(label, model.fit(codes, label).predict_proba(codes))
    assert found.log_loss[0] == pytest.approx(want, rel=1e-5)


def test_the_partial_test_is_that_of_the_definition():
    z, y = drawn(rows=60, d=3, m=1)
    rows = np.random.default_rng(1).permutation(60)
    fit, held = rows[:30], rows[30:]
    found = pcm_linear(y, z, [(fit, held)])

    def predict(x, target, at):
        wide = np.column_stack([x, np.ones(60)])
        return wide[at] @ np.linalg.lstsq(wide[fit], target[fit], rcond=None)[0]

    def left(x, target):
        wide = np.column_stack([x, np.ones(60)])[held]
        return target - wide @ np.linalg.lstsq(wide, target, rcond=None)[0]

    for j in range(3):
        rest = np.delete(z, j, axis=1)
        h = predict(z, y[:, 0], held) - predict(rest, y[:, 0], held)
        product = left(rest, y[held, 0]) * left(rest, h)
        want = np.sqrt(30) * product.mean() / product.std()
        assert found.statistic[0, j] == pytest.approx(want)
        assert found.p_value[0, j] == pytest.approx(norm.sf(want))


# What each is 1 for, and what it cannot see ------------------------------------------


def test_codes_that_are_bent_factors_score_one_where_they_should():
    z, _ = drawn(rows=400, d=3)
    bent = np.column_stack([z[:, 2] ** 3, -np.exp(z[:, 0] / 2), np.tanh(z[:, 1])])
    assert rdc(z, bent).mean > 0.99
    assert float(dci_lasso(z, bent).disentanglement) > 0.9
    assert float(dci_trees(z, bent, trees=30).disentanglement) > 0.95
    assert float(info_mc(z, bent).modularity) > 0.9
    assert tmex(z, -z[:, ::-1]).f1 == 1


def test_a_dense_mixture_is_aligned_and_not_disentangled():
    z, _ = drawn(rows=300, d=3)
    mixed = z @ (np.ones((3, 3)) + np.eye(3))
    found = tmex(z, mixed)
    assert found.alignment == 1
    assert found.f1 == 0.5
    assert float(dci_lasso(z, mixed).disentanglement) < 0.6
    assert tmex(z, 1e-4 * z, standardise=False).alignment == 0  # its absolute floor
    assert tmex(z, 1e-4 * z).alignment == 1


def test_mig_of_perfect_codes_is_biased_by_few_rows():
    # Stated in its documentation: 0.74 of 200 rows, 0.94 of 1000.
    for rows, want in ((200, 0.74), (1000, 0.94)):
        rng = np.random.default_rng(rows)
        scores = [
            float(mig(z, -z, xp=np).score) for z in rng.normal(size=(10, rows, 5))
        ]
        assert np.mean(scores) == pytest.approx(want, abs=0.02)
    z = rng.normal(size=(100, 3))
    assert float(mig(z, z[:, :1], xp=np).score) == 0  # one code
    twice = np.column_stack([z, z])
    assert float(mig(z, twice, xp=np).score) == pytest.approx(0, abs=1e-6)


def test_chance_is_what_the_documentation_says():
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(20, 2, 200, 5))
    info = [float(info_mc(z, y, xp=np).modularity) for z, y in pairs]
    assert 0.5 < np.mean(info) < 0.85
    assert max(info) - min(info) > 0.2
    own = [rdc(z[:, :1], y[:, :1], seed=s).mean for s, (z, y) in enumerate(pairs)]
    assert np.mean(own) == pytest.approx(0.19, abs=0.05)
    level = np.mean([pcm_linear(y, z).p_value < 0.05 for z, y in pairs])
    assert 0.01 < level < 0.04  # the mean of nine statistics: conservative


def test_discrete_factors_keep_their_levels():
    rng = np.random.default_rng(0)
    z = rng.integers(0, 3, size=(300, 2)).astype(float)
    y = z + 0.01 * rng.normal(size=z.shape)
    found = mig(z, y, bins=3, xp=np)
    np.testing.assert_allclose(found.entropy, np.log(3), atol=0.02)
    assert float(info_mc(z, y, bins=3, xp=np).modularity) > 0.95


def test_scores_of_matrices_at_their_ends():
    assert float(dci_scores(np.eye(4)).completeness) == pytest.approx(1)
    flat = dci_scores(np.ones((4, 3)))
    assert float(flat.disentanglement) == pytest.approx(0, abs=1e-6)
    assert float(flat.completeness) == pytest.approx(0, abs=1e-6)
    assert float(dci_scores(np.ones((4, 1))).disentanglement) == 1
    assert float(dci_scores(np.ones((1, 3))).completeness) == 1
    assert float(modularity_compactness(np.ones((3, 3))).modularity) == pytest.approx(
        0, abs=1e-6
    )
    dense = tmex_scores(np.ones((3, 3)))
    assert (dense.alignment, dense.f1) == (1, 0.5)
    with pytest.raises(ValueError, match="0 and 1"):
        tmex_scores(np.full((2, 2), 0.5))


# Units, transforms, refusals ---------------------------------------------------------

SCORES = {
    "dci_lasso": lambda z, y: dci_lasso(z, y, rounds=50).disentanglement,
    "mig": lambda z, y: mig(z, y, bins=6).score,
    "info_mc": lambda z, y: info_mc(z, y, bins=4)[:2],
    "mi_knn": lambda z, y: mi_knn(y[:, 0], np.sign(z[:, 0] - z[:, 0].mean())),
}
ON_HOST = {
    "dci_trees": lambda z, y: dci_trees(z, y, trees=5).disentanglement,
    "info_e": lambda z, y: info_e(z, y, bins=4).score,
    "rdc": lambda z, y: rdc(z, y).matrix,
    "tmex": lambda z, y: tmex(z, y).statistic,
}


@pytest.mark.many_programs(reason="float64 arrays of NumPy, outside of a program")
@pytest.mark.parametrize("name", [*SCORES, *ON_HOST])
def test_scores_have_no_units(name):
    score, (z, y) = (SCORES | ON_HOST)[name], drawn()
    want = np.asarray(jax.tree.leaves(score(z, y)), np.float64)
    for size in (1e20, 1e-20):
        got = score(size * z, y / size)
        np.testing.assert_allclose(jax.tree.leaves(got), want, rtol=1e-3, atol=1e-4)
    if name != "dci_trees":
        far = score(z + 1e6, y - 1e6)
        np.testing.assert_allclose(jax.tree.leaves(far), want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_jax_are_the_same_under_jit_and_vmap(name):
    z, y = (jnp.asarray(x, jnp.float32) for x in drawn())
    own = SCORES[name]
    if name == "mi_knn":

        def own(z, y):
            return mi_knn(y[:, 0], jnp.sign(z[:, 0] - z[:, 0].mean()))

    want = jax.tree.leaves(own(np.asarray(z, np.float64), np.asarray(y, np.float64)))
    np.testing.assert_allclose(jax.tree.leaves(jax.jit(own)(z, y)), want, atol=2e-4)
    mapped = jax.jit(jax.vmap(own))(z[None], y[None])
    for got, one in zip(jax.tree.leaves(mapped), want, strict=True):
        np.testing.assert_allclose(got[0], one, atol=2e-4)


@pytest.mark.parametrize("name", [*SCORES, *ON_HOST])
def test_values_that_are_not_finite_are_refused(name):
    z, y = drawn()
    y[3, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        (SCORES | ON_HOST)[name](z, y)


@pytest.mark.parametrize("score", [dci_lasso, dci_trees])
def test_parts_of_one_row_are_refused(score):
    z = np.random.default_rng(0).normal(size=(9, 2))
    with pytest.raises(ValueError, match=r"z must have shape \[batch >= 10"):
        score(z, z)


def test_constant_columns_score_nothing_and_break_nothing():
    z, y = drawn()
    z[:, 0] = y[:, 0] = 2.5
    assert float(mig(z, y).per_factor[0]) == 0
    assert float(dci_lasso(z, y).r2[0]) == 0
    assert not np.asarray(dci_lasso(z, y).importance)[0].any()
    assert info_e(z, y, bins=3).per_factor[0] == 0
    assert not rdc(z, y).matrix[0].any()
    assert np.isfinite(tmex(z, y).statistic).all()
    assert float(info_mc(z, y, bins=3).active[0]) == 0


def test_ties_of_independent_columns_make_no_dependence():
    z, y = np.random.default_rng(0).integers(0, 2, (2, 2000, 1)).astype(float)
    assert rdc(z, y).mean < 0.1
    assert rdc(z, 1 - z).mean > 0.999


def test_no_information_scores_0_and_not_below():
    none = modularity_compactness(np.zeros((2, 3)))
    assert float(none.modularity) == float(none.compactness) == 0
