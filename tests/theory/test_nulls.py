"""Laws of scores of known codes, against draws."""

import numpy as np
import pytest
from scipy.stats import kstest

from jidcl.metrics import dci_scores, mcc, r2
from jidcl.theory import (
    null_law,
    null_mcc_quantile,
    population_mcc,
    sample_null_mcc,
    samples_needed,
    structural_laws,
)


def simulated(d, m, n, draws, seed=0, mix=None):
    rng = np.random.default_rng([seed, d, m, n])
    mix = np.eye(m) if mix is None else mix
    return np.asarray(
        [
            float(
                mcc(
                    rng.normal(size=(n, d)), rng.normal(size=(n, m)) @ mix.T, xp=np
                ).mean
            )
            for _ in range(draws)
        ]
    )


@pytest.mark.parametrize(("d", "m", "n"), [(1, 1, 40), (1, 20, 100), (9, 1, 60)])
def test_the_law_of_the_largest_is_exact_for_one_latent_or_output(d, m, n):
    scores = simulated(d, m, n, 400)
    error = scores.std() / np.sqrt(len(scores))
    assert abs(scores.mean() - null_law(d, m, n).expected_max) < 3 * error
    below = np.mean(scores <= null_mcc_quantile(d, m, n, level=0.9))
    assert abs(below - 0.9) < 3 * np.sqrt(0.09 / 400)


@pytest.mark.parametrize(
    ("d", "m", "n"), [(5, 40, 80), (6, 6, 60), (30, 5, 50), (9, 4, 10)]
)
def test_draws_of_the_law_are_those_of_rows_and_below_the_bound(d, m, n):
    rows, law = simulated(d, m, n, 200), sample_null_mcc(d, m, n, draws=1000)
    error = np.sqrt(rows.var() / len(rows) + law.var() / len(law))
    assert abs(rows.mean() - law.mean()) < 3 * error
    assert kstest(rows, law).pvalue > 0.001
    bound = null_law(d, m, n).expected_max
    assert 0.8 * bound < law.mean() < bound + 3 * error
    assert np.quantile(law, 0.95) < null_mcc_quantile(d, m, n)


def test_a_code_that_cancels_has_no_variance():
    codes = np.array([[0.1, 0.2, -0.3], [1.0, 0.0, 0.0]])
    assert np.all(population_mcc(codes, rho=1.0).correlation[:, 0] == 0)
    codes = np.array([[0.3, 0.3, 0.3], [1.0, 0.0, 0.0]])
    assert np.all(population_mcc(codes, rho=-0.5).correlation[:, 0] == 0)


def test_draws_follow_the_correlations_of_outputs_and_latents():
    mix = np.linalg.cholesky(np.full((4, 4), 0.9) + 0.1 * np.eye(4))
    rows = simulated(3, 4, 40, 400, mix=mix)
    law = sample_null_mcc(3, 4, 40, draws=1000, y_correlation=mix @ mix.T)
    plain = sample_null_mcc(3, 4, 40, draws=1000)
    error = np.sqrt(rows.var() / len(rows) + law.var() / len(law))
    assert abs(rows.mean() - law.mean()) < 3 * error
    assert abs(rows.mean() - plain.mean()) > 3 * error
    # Latents that are one and the same, against one output, are one latent.
    one = sample_null_mcc(3, 1, 40, draws=2000, z_correlation=np.ones((3, 3)))
    assert abs(one.mean() - null_law(1, 1, 40).expected_max) < 4 * one.std() / 44


def test_published_approximation_is_zero_for_one_output_and_too_large_for_many():
    assert null_law(1, 1, 200).approximate == 0
    law = null_law(10, 50, 200)
    assert law.approximate > 1.1 * law.expected_max


@pytest.mark.parametrize(
    ("d", "m", "below"), [(1, 1, 0.3), (10, 10, 0.1), (3, 80, 0.2)]
)
def test_the_least_number_of_rows_is_the_least(d, m, below):
    n = samples_needed(d, m, below=below)
    assert null_law(d, m, n).expected_max < below
    assert null_law(d, m, n - 1).expected_max >= below
    sure = samples_needed(d, m, below=below, level=0.99)
    assert sure > n
    assert null_mcc_quantile(d, m, sure, level=0.99) < below


@pytest.mark.parametrize(("m", "rho"), [(1, 0.0), (3, 0.5), (6, 0.5), (5, 0.0)])
def test_laws_of_dropped_latents_are_those_of_draws(m, rho):
    d, rng = 6, np.random.default_rng(0)
    root = np.linalg.cholesky(np.full((d, d), rho) + (1 - rho) * np.eye(d))
    z = rng.normal(size=(40_000, d)) @ root.T
    y, law = -2 * z[:, :m], structural_laws(d, m, rho=rho)
    found = mcc(z, y, xp=np)
    assert float(found.mean) == pytest.approx(law.mcc_matched)
    assert float(found.coverage) == pytest.approx(law.mcc_coverage)
    assert float(r2(z, y, xp=np).mean) == pytest.approx(law.r2, abs=0.01)
    importance = np.full((m, d), 1 / m)  # noise, for a latent that is lost
    importance[:, :m] = np.eye(m)
    scores = dci_scores(importance)
    assert float(scores.disentanglement) == pytest.approx(
        law.dci_disentanglement, abs=1e-6
    )


def test_population_mcc_is_that_of_many_rows():
    rng = np.random.default_rng(0)
    for rho in (0.0, 0.6):
        root = np.linalg.cholesky(np.full((3, 3), rho) + (1 - rho) * np.eye(3))
        z, a = rng.normal(size=(40_000, 3)) @ root.T, rng.normal(size=(4, 3))
        law, found = population_mcc(a, rho=rho), mcc(z, z @ a.T, xp=np)
        assert float(found.mean) == pytest.approx(law.matched, abs=0.01)
        np.testing.assert_allclose(found.matrix, law.correlation, atol=0.03)
    assert population_mcc(np.zeros((2, 2))).matched == 0


def test_laws_refuse_by_name():
    for wrong in (
        lambda: null_law(0, 1, 10),
        lambda: structural_laws(3, 4),
        lambda: structural_laws(3, 2, rho=1.0),
        lambda: population_mcc(np.eye(3), rho=-0.6),
        lambda: samples_needed(3, 3, below=0.0),
        lambda: sample_null_mcc(3, 3, 3),
        lambda: sample_null_mcc(3, 3, 9, z_correlation=np.eye(2)),
    ):
        with pytest.raises(ValueError, match="must"):
            wrong()
