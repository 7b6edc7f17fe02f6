"""Linear systems under interventions: closed forms against SciPy and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from jidcl import theory
from jidcl.latents import LTI

DIVERSE = np.array([[1.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
FLAT = DIVERSE[:, :1] * [1.0, 2.0, 0.3]


def key(seed=0):
    return jax.random.key(seed)


def system(n=3):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(n, n))
    a *= 0.8 / np.abs(np.linalg.eigvals(a)).max()
    return LTI(a, *rng.normal(size=(2, n, n)))


@pytest.mark.many_programs(reason="every closed form")
def test_moments_are_stationary_and_controls_come_back(x64):
    held = system()
    found = theory.pair_moments(held, DIVERSE)
    for states, variance in zip(found.states, DIVERSE, strict=True):
        q = held.b @ np.diag(variance) @ held.b.T
        want = scipy.linalg.solve_discrete_lyapunov(held.a, q)
        np.testing.assert_allclose(states, want, rtol=1e-9)
    maps = theory.pair_map(held)
    got = maps.v @ found.pairs @ maps.v.T
    want = np.stack([np.diag(row) for row in DIVERSE])
    np.testing.assert_allclose(got, want, atol=1e-10)
    markov = theory.markov_parameters(held, 3)
    np.testing.assert_allclose(markov[2], maps.g @ maps.g @ maps.m, rtol=1e-9)
    turned = LTI(held.a, held.b, held.c)
    t = np.random.default_rng(2).normal(size=(3, 3))
    inverse = np.linalg.inv(t)
    turned = LTI(t @ held.a @ inverse, t @ held.b, held.c @ inverse)
    np.testing.assert_allclose(theory.markov_parameters(turned, 3), markov, rtol=1e-8)


def test_two_environments_are_solved_in_closed_form(x64):
    m = np.random.default_rng(3).normal(size=(3, 3))
    r = [m @ np.diag(row) @ m.T for row in DIVERSE[:2]]
    found = theory.two_environments(*r)
    want = scipy.linalg.eigh(r[1], r[0], eigvals_only=True)
    np.testing.assert_allclose(found.ratios, want, rtol=1e-9)
    share = np.abs(np.asarray(found.rows @ m))
    share = share / share.max(1, keepdims=True)
    np.testing.assert_allclose(np.sort(share)[:, :2], 0, atol=1e-8)


def information(variance):
    """The information about all entries of Omega, by differences of the likelihood."""
    m = variance.shape[1]

    def log(omega):
        w = jnp.eye(m) + omega.reshape(m, m)
        spread = jnp.einsum("jk,ek,jk->ej", w, variance, w)
        return jnp.linalg.slogdet(w)[1] - jnp.mean(jnp.sum(spread / variance, 1)) / 2

    return -jax.hessian(log)(jnp.zeros(m * m))


@pytest.mark.many_programs(reason="information, margins, free directions")
def test_free_directions_are_the_null_space_of_the_information(x64):
    for variance, open_ in ((DIVERSE, 0), (FLAT, 3)):
        found = information(variance)
        values = np.linalg.eigvalsh(found)
        assert (values < 1e-9).sum() == open_
        pairs, basis = theory.free_directions(np.eye(3), variance)
        assert len(pairs) == open_
        for move in basis:
            np.testing.assert_allclose(found @ move.ravel(), 0, atol=1e-9)
            np.testing.assert_allclose(np.linalg.norm(move), 1, rtol=1e-12)
    # The margin is what is left of one entry's information where the other is unknown.
    whole = np.asarray(information(DIVERSE))
    left = theory.pair_information(DIVERSE)
    block = whole[np.ix_([1, 3], [1, 3])]
    rho = block[0, 0] * block[1, 1]
    np.testing.assert_allclose(left[0, 1], rho - 1, rtol=1e-9)
    assert theory.diversity_margin(FLAT) < 1e-12
    assert not theory.diversity(FLAT).identifiable
    assert np.isinf(theory.expected_mcc_loss(np.ones((2, 2)), 10, outputs=2))


@pytest.mark.many_programs(reason="designs, margins")
def test_designs_keep_the_budget_and_beat_what_is_random(x64):
    rng = np.random.default_rng(0)
    for criterion in theory.CRITERIA:
        own = dict(budget=2.0, least=0.1, criterion=criterion)
        new = np.asarray(theory.design_interventions(key(), 3, 3, **own))
        np.testing.assert_allclose(new.sum(1), 2.0, rtol=1e-9)
        assert new.min() >= 0.1 - 1e-12
        share = rng.dirichlet(np.ones(3), size=(50, 3))
        others = [theory.diversity_margin(0.1 + 1.7 * s) for s in share]
        assert theory.diversity_margin(new) > max(others)
    # One environment is added to two that cannot tell inputs 0 and 1 apart.
    before = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 3.0]])
    new = theory.design_interventions(key(), 3, 1, before=before, budget=2.0, least=0.1)
    ratio = float(new[0, 0] / new[0, 1])
    assert max(ratio, 1 / ratio) > 5
    assert theory.design_interventions(key(), 1, 2, budget=1.0, least=0.1).shape == (
        2,
        1,
    )


@pytest.mark.many_programs(reason="evidences of several orders")
def test_evidences_are_those_of_the_joint_normal_law(x64, rng):
    x, y = rng.normal(size=(2, 4))
    own = dict(theta=1.5, psi=0.8, noise=0.5)
    normal = scipy.stats.multivariate_normal
    ones = np.ones((4, 4))
    want = normal(np.zeros(4), np.eye(4) + 1.5 * ones).logpdf(x)
    want += normal(np.zeros(4), 0.5 * np.eye(4) + 0.8 * np.outer(x, x)).logpdf(y)
    np.testing.assert_allclose(theory.pair_evidence(x, y, **own), want, rtol=1e-10)
    # x is a cause: its law does not depend on a second pair's effect.
    z = rng.normal(size=(2, 5, 2))
    own = dict(theta=1.5, dynamics=0.8, noise=0.5)
    before, after = z[:, :-1].reshape(-1, 2), z[:, 1:].reshape(-1, 2)
    want = 0.0
    for k in range(2):
        cov = 0.5 * np.eye(8) + 0.8 * before @ before.T
        want += normal(np.zeros(8), cov).logpdf(after[:, k])
        want += normal(np.zeros(2), np.eye(2) + 1.5 * ones[:2, :2]).logpdf(z[:, 0, k])
    np.testing.assert_allclose(theory.trajectory_evidence(z, **own), want, rtol=1e-10)


@pytest.mark.many_programs(reason="evidences of several orders")
def test_hidden_markov_evidence_is_a_law_and_exchangeable(x64):
    own = dict(alpha=1.0, beta=0.5)
    every = [np.array([[i, j], [k, l]]) for i, j, k, l in np.ndindex(2, 2, 2, 2)]
    logs = np.array([float(theory.hmm_evidence(s, **own)) for s in every])
    np.testing.assert_allclose(np.exp(logs).sum(), 1, rtol=1e-10)
    swapped = [float(theory.hmm_evidence(s[::-1], **own)) for s in every]
    np.testing.assert_allclose(swapped, logs, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.diversity(np.array([[1.0, 0.0]])),
            "variance must be > 0",
        ),
        (
            lambda: theory.pair_moments(
                LTI(np.eye(1), np.eye(1), np.eye(1)), DIVERSE[:, :1]
            ),
            "a of system must be stable, with a spectral radius below 1, got 1",
        ),
        (
            lambda: theory.pair_map(LTI(np.eye(2), np.eye(2), np.ones((2, 2)))),
            "system must have an invertible c",
        ),
        (
            lambda: theory.pair_map(LTI(np.eye(2), np.eye(2), np.ones((1, 2)))),
            "c of system must be square",
        ),
        (
            lambda: theory.design_interventions(key(), 3, 1, budget=0.2, least=0.1),
            "budget must be > 0.3",
        ),
        (
            lambda: theory.hmm_evidence(np.zeros((3, 9), int), alpha=1.0, beta=1.0),
            "sequences must have few enough entries",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
