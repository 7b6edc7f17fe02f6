"""Fits by the Kalman filter's likelihood: against SciPy, and the filter itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jidcl import latents
from jidcl.systems.lti import filtered
from jidcl.systems.lti.filtered import NoisySystems, Told
from jidcl.train import fit

VARIANCE = np.array([[1.0, 0.4], [0.3, 2.0], [1.5, 1.0]])


def system(n=3):
    """A stable system of three states, two inputs and two outputs, C = [I, 0]."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(n, n))
    a *= 0.7 / np.abs(np.linalg.eigvals(a)).max()
    return latents.LTI(a, rng.normal(size=(n, 2)), np.eye(2, n))


def in_the_long_run(held, noise, lags):
    """Gamma_k of every environment: C A^k P C^T + r I for k = 0."""
    a, b, c = held
    found = []
    for variance in VARIANCE:
        p = scipy.linalg.solve_discrete_lyapunov(a, b @ np.diag(variance) @ b.T)
        rows = [c @ np.linalg.matrix_power(a, k) @ p @ c.T for k in range(lags + 1)]
        rows[0] = rows[0] + noise * np.eye(2)
        found.append(rows)
    return np.array(found)


@pytest.mark.parametrize("noise", [1e-4, 0.3])
def test_the_likelihood_at_the_truth_is_the_entropy_of_scipys_filter(x64, noise):
    held, lags = system(), 60
    told = Told(in_the_long_run(held, noise, lags), np.full(3, 1 / 3), VARIANCE)

    @jax.jit
    def run(noise):
        own = (held.b * VARIANCE[0]) @ held.b.T
        args = latents.LTI(*map(jnp.asarray, held)), jax.tree.map(jnp.asarray, told)
        of_filter = filtered.stationary_filter(args[0], jnp.asarray(own), noise)
        value = filtered.log_likelihood(*args, noise)
        shifts = [jnp.asarray(e * np.ones((3, 3))) for e in (0.02, -0.02)]
        away = [
            filtered.log_likelihood(args[0]._replace(a=held.a + e), args[1], noise)
            for e in shifts
        ]
        return of_filter, value, jnp.stack(away)

    (gain, s), value, away = run(noise)
    want = 0.0
    for index, variance in enumerate(VARIANCE):
        drive = held.b @ np.diag(variance) @ held.b.T
        p = scipy.linalg.solve_discrete_are(
            held.a.T, held.c.T, drive, noise * np.eye(2)
        )
        cov = held.c @ p @ held.c.T + noise * np.eye(2)
        if not index:
            np.testing.assert_allclose(s, cov, rtol=1e-8)
            want_gain = held.a @ p @ held.c.T @ np.linalg.inv(cov)
            np.testing.assert_allclose(gain, want_gain, rtol=1e-6, atol=1e-9)
        want -= np.linalg.slogdet(2 * np.pi * np.e * cov)[1] / 6
    np.testing.assert_allclose(value, want, rtol=1e-6)
    assert (away < value).all()


def test_it_is_the_filters_own_likelihood_of_a_long_series(x64):
    held, noise = system(), 0.2

    @jax.jit
    def run(key):
        driven = latents.Environments(jnp.zeros((3, 2)), jnp.asarray(VARIANCE))
        y = latents.sample_series(key, held, driven, 2000, noise=noise).outputs
        lags = filtered.autocovariances(y, 40)
        told = Told(lags, jnp.full(3, 1 / 3), driven.variance)
        args = latents.LTI(*map(jnp.asarray, held)), told, jnp.asarray(noise)
        exact = jax.vmap(
            lambda y, variance: latents.kalman_log_likelihood(
                held, y, mean=jnp.zeros(2), variance=variance, noise=noise
            )
        )(y, driven.variance)
        return filtered.log_likelihood(*args), jnp.mean(exact) / 2000

    found, exact = run(jax.random.key(0))
    # A mean is taken away and the first steps differ: terms of 1 / time.
    np.testing.assert_allclose(found, exact, atol=5e-3)


@pytest.mark.long
def test_a_program_of_quasi_newton_steps_fits_what_pairs_do_not():
    config = NoisySystems(noise=0.05, length=2000, lags=20, starts=3)
    program = filtered.make_filtered(config)
    _, found = fit(program, seeds=3, steps=50, chunk_steps=50)
    scores = {name: np.asarray(value) for name, value in found.scores.items()}
    assert scores["optimised"].mean() == 1
    assert np.median(scores["markov_error"]) < 0.15
    assert np.median(scores["markov_error"]) < np.median(scores["pairs_error"]) / 2
    np.testing.assert_allclose(np.median(scores["noise"]), 0.05, rtol=0.3)


def test_a_time_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match=r"time must be > 9 \(lags\), got 9"):
        filtered.autocovariances(jnp.ones((2, 9, 1)), 9)
