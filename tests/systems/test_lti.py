"""Linear systems under interventions: estimators, scores, and what is refused."""

import dataclasses
import json
from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from jidcl import latents, theory
from jidcl.numerics import numbers_in
from jidcl.systems.lti import estimators, evaluate, matching, presets
from jidcl.systems.lti.problem import make_program

SMALL = dict(systems=10, length=2000)


def scores(name, **change):
    """Scores of a small run of a preset."""
    config = dataclasses.replace(presets.QUICK[name], **{**SMALL, **change})
    program = make_program(config)
    with numbers_in("float64"):
        run = jax.jit(lambda key: program.evaluate({}, {}, key))
        return jax.device_get(run(jax.random.key(7)).scores)


def test_diverse_environments_identify_and_fits_are_global():
    found = scores("minimal-3", length=4000)
    assert found["recovered"] >= 0.8
    assert found["optimised"] == 1
    assert found["g_error"] < 0.1
    assert found["m_error"] < 0.1


def test_proportional_profiles_do_not():
    assert scores("proportional-3")["mcc"] < 0.95


def test_the_published_objective_collapses_where_means_are_zero():
    found = scores("source-zero-3")
    assert found["falls"] == 1
    assert found["shrunk"] < 1
    assert found["mcc"] + 0.1 < found["likelihood_mcc"]


def moments_of(variance, seed=0):
    """Population moments of a random system, and its true V."""
    d = variance.shape[1]
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(d, d))
    a *= 0.9 / np.abs(np.linalg.eigvals(a)).max()
    system = latents.LTI(a, *rng.normal(size=(2, d, d)))
    found = theory.pair_moments(system, variance)
    weights = np.full(len(variance), 1 / len(variance))
    zero = np.zeros(found.pairs.shape[:2])
    return estimators.Moments(zero, found.pairs, weights), theory.pair_map(system)


@pytest.mark.share(2)
@pytest.mark.many_programs(reason="fits of population moments")
@pytest.mark.parametrize("known", [True, False])
def test_population_moments_give_the_truth_back(known, x64):
    variance = np.array([[1.0, 0.4, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    moments, true = moments_of(variance)
    moments = jax.tree.map(jnp.asarray, moments)
    told = jnp.asarray(variance) if known else None
    fit = jax.jit(lambda key: estimators.fit(key, moments, 3, told, sweeps=300))
    found = fit(jax.random.key(0))
    best = estimators.log_likelihood(moments, true.v, jnp.asarray(variance))
    np.testing.assert_allclose(found.log_likelihood, best, atol=1e-9)
    v, want = np.asarray(found.v), np.asarray(true.v)
    if known:
        np.testing.assert_allclose(np.abs(v), np.abs(want), rtol=1e-4, atol=1e-4)
        slope = jax.grad(lambda v: estimators.log_likelihood(moments, v, told))(true.v)
        np.testing.assert_allclose(slope, 0, atol=1e-9)
    ratio = matching.aligned(true.m, jnp.linalg.inv(found.v[:, 3:]))
    assert ratio.error < 1e-4


@pytest.mark.many_programs(reason="fits of one sample")
def test_row_updates_reach_what_a_general_optimiser_reaches(x64):
    path = resources.files("jidcl") / "vectors/lti_interventions.json"
    cases = json.loads(path.read_text())["cases"]
    held = next(c["inputs"] for c in cases if c["kind"] == "mle_fit")
    z = np.array(held["Z"]).reshape(3, 120, 4)
    second = jnp.asarray(np.einsum("eti,etj->eij", z, z) / 120)
    moments = estimators.Moments(jnp.zeros((3, 4)), second, jnp.full(3, 1 / 3))
    variance = jnp.asarray(held["var"])

    @jax.jit
    def cost(v):
        return -estimators.log_likelihood(moments, v.reshape(2, 4), variance)

    slope = jax.jit(jax.grad(cost))
    rng = np.random.default_rng(0)
    found = [
        scipy.optimize.minimize(cost, rng.normal(size=8), jac=slope).fun
        for _ in range(5)
    ]
    ours = jax.jit(lambda key: estimators.fit(key, moments, 2, variance))
    best = ours(jax.random.key(3)).log_likelihood
    np.testing.assert_allclose(-best, min(found), atol=1e-6)


def test_correlations_from_moments_are_those_of_the_rows(x64, rng):
    u = rng.normal(size=(3, 50, 2)) + rng.normal(size=(3, 1, 2))
    z = u @ rng.normal(size=(2, 4)) + rng.normal(size=(3, 50, 4))
    v = rng.normal(size=(2, 4))
    joint = estimators.moments_of(jnp.asarray(np.concatenate([z, u], -1)))
    found = jax.jit(evaluate.correlations)(joint, jnp.asarray(v))

    def mcc(u, y):
        matrix = np.abs(np.corrcoef(u.T, y.T)[:2, 2:])
        i, j = scipy.optimize.linear_sum_assignment(-matrix)
        return matrix[i, j].mean()

    y = z @ v.T
    own, other = (x.reshape(-1, 2) for x in (u, y))
    left = [(x - x.mean(1, keepdims=True)).reshape(-1, 2) for x in (u, y)]
    np.testing.assert_allclose(found.pooled, mcc(own, other), rtol=1e-9)
    np.testing.assert_allclose(found.centred, mcc(*left), rtol=1e-9)
    each = [mcc(a, b) for a, b in zip(u, y, strict=True)]
    np.testing.assert_allclose(found.within, np.mean(each), rtol=1e-9)
    flat = jax.jit(evaluate.correlations)(joint, jnp.zeros((2, 4)))
    assert float(flat.centred) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(length=4001), "length must be even"),
        (dict(stride=3), "stride must be 1 or 2, got 3"),
        (dict(design="maximal", environments=3), r"environments must be 4 \(inputs"),
        (dict(statistics="unknown", environments=1), "environments must be at least 2"),
        (dict(experiment="motor", states=4), "states cannot act here"),
        (dict(design="random"), "design must be one of"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(presets.Interventions(), **change)


def test_an_odd_length_is_refused_where_pairs_do_not_overlap():
    with pytest.raises(ValueError, match="time must be even with stride 2, got 5"):
        estimators.pair_rows(jnp.zeros((2, 5, 1)))
    assert estimators.pair_rows(jnp.zeros((2, 5, 1)), stride=1).shape == (2, 4, 2)


def test_systems_whose_outputs_nearly_follow_from_each_other_are_fitted(x64):
    # C of condition 1e6: covariances of raw pairs lose the smallest direction.
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    c = turn @ np.diag([1.0, 1e-3, 1e-6]) @ turn.T
    system = latents.LTI(0.5 * np.eye(3), np.eye(3), c)
    variance = np.array([[1.0, 0.4, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    driven = latents.Environments(np.zeros((3, 3)), variance)

    @jax.jit
    def run(key):
        keys = jax.random.split(key)
        series = latents.sample_series(keys[0], system, driven, 1000)
        rows = estimators.pair_rows(series.outputs, series.controls)
        joint = estimators.moments_of(estimators.whitened(rows, 6).rows)
        moments = evaluate.of_pairs(joint, 6)
        found = estimators.fit(keys[1], moments, 3, jnp.asarray(variance))
        return moments.covariance, evaluate.correlations(joint, found.v).within

    covariance, within = run(jax.random.key(0))
    np.testing.assert_allclose(np.asarray(covariance).mean(0), np.eye(6), atol=1e-6)
    assert within > 0.98
