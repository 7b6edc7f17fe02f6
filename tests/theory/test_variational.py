"""Closed forms of variational autoencoders against SciPy and against quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jidcl import theory
from jidcl.losses import LatentPrior


@pytest.fixture
def linear(rng):
    return rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=4)


@pytest.mark.parametrize("gamma2", [0.5, 10.0, 1e6])
def test_the_linear_likelihood_is_that_of_scipy(linear, gamma2):
    w, b, x = linear
    found = theory.linear_vae(w, b, x, gamma2)
    law = stats.multivariate_normal(b, w @ w.T + np.eye(4) / gamma2)
    np.testing.assert_allclose(found.log_px, law.logpdf(x), rtol=1e-6)
    np.testing.assert_allclose(found.residual, w @ found.mean + b - x, atol=1e-12)


def test_the_gap_of_orthogonal_columns_is_none_and_others_tend_to_the_contrast(rng):
    q = np.linalg.qr(rng.normal(size=(4, 2)))[0] * [1.0, 3.0]
    assert theory.linear_gap(q, 100.0) < 1e-12
    w = rng.normal(size=(4, 2))
    gram = w.T @ w
    want = (np.log(np.diag(gram)).sum() - np.linalg.slogdet(gram)[1]) / 2
    gaps = [theory.linear_gap(w, g) for g in (1.0, 10.0, 100.0, 1e8)]
    assert gaps == sorted(gaps)
    np.testing.assert_allclose(gaps[-1], want, rtol=1e-6)


@pytest.mark.many_programs(reason="eager operations in float64")
def test_quadrature_meets_the_closed_form_of_the_linear_case(x64, linear):
    w, b, x = linear
    found = theory.linear_vae(w, b, x, 10.0)

    @jax.jit
    def best(start):
        return theory.best_posterior(
            lambda z: z @ jnp.asarray(w.T) + jnp.asarray(b)[None],
            jnp.asarray(x),
            *start,
            gamma2=10.0,
            prior=LatentPrior(),
        )

    got = best((jnp.zeros(2), jnp.zeros(2)))
    np.testing.assert_allclose(got.elbo, found.elbo, rtol=1e-9)
    np.testing.assert_allclose(got.mean, found.mean, atol=1e-6)
    np.testing.assert_allclose(np.exp(got.log_var), found.variance, rtol=1e-5)


@pytest.mark.many_programs(reason="eager operations in float64")
@pytest.mark.parametrize("kind", ["uniform", "beta", "laplace"])
def test_the_expected_elbo_is_the_integral(x64, kind):
    prior, law = LatentPrior(kind, 2.0, 3.0), stats.norm(0.3, np.exp(-0.7))
    densities = {"uniform": stats.uniform(), "beta": stats.beta(2.0, 3.0)}
    densities["laplace"] = stats.laplace()

    def inside(s):
        z = 1 / (1 + np.exp(-s)) if prior.squashed else s
        slope = z * (1 - z) if prior.squashed else 1.0
        log_p = stats.norm(z, 0.5).logpdf(0.2) + densities[kind].logpdf(z)
        return law.pdf(s) * (log_p + np.log(slope) - law.logpdf(s))

    want = integrate.quad(inside, -4, 5, points=[0.0])[0]
    got = theory.expected_elbo(
        lambda z: z, jnp.array([0.2]), jnp.array([0.3]), jnp.array([-1.4]),
        gamma2=4.0, prior=prior, nodes=60,
    )  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=5e-3 if kind == "laplace" else 1e-5)


def test_ppca_is_the_best_of_many_and_its_rotation_is_told_by_the_elbo(rng):
    a = rng.normal(size=(4, 4))
    s = a @ a.T + np.eye(4)
    found = theory.ppca(s, 2)
    model = found.w @ found.w.T + found.variance * np.eye(4)

    def likelihood(c):
        trace = np.trace(np.linalg.solve(c, s))
        return -(4 * np.log(2 * np.pi) + np.linalg.slogdet(c)[1] + trace) / 2

    np.testing.assert_allclose(found.log_likelihood, likelihood(model), rtol=1e-10)
    for _ in range(20):
        w = found.w + 0.1 * rng.normal(size=(4, 2))
        other = likelihood(w @ w.T + found.variance * np.eye(4))
        assert other < found.log_likelihood
    turned = found.w @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
    assert theory.linear_gap(found.w, 1 / found.variance) < 1e-10
    assert theory.linear_gap(turned, 1 / found.variance) > 1e-4
    none = theory.ppca(0.1 * np.eye(3), 2, gamma2=1.0)
    assert np.abs(none.w).max() == 0


def test_the_limit_of_the_elbo_is_likelihood_minus_contrast(rng):
    j = np.float32(rng.normal(size=(5, 3, 3)))
    found = theory.ima_likelihood(np.zeros(5, np.float32), j)
    log_det = np.linalg.slogdet(np.float64(j))[1]
    np.testing.assert_allclose(found.log_px, -log_det, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.objective, found.log_px - found.contrast, 1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: theory.ima_likelihood(jnp.zeros(1), jnp.ones((1, 3, 2))),
            r"j must be square, as its determinant is needed, got \[1, 3, 2\]",
        ),
        (lambda: theory.ppca(np.eye(3), 3), "k must be <= 2 for this s and gamma2"),
        (lambda: theory.ppca(np.ones((2, 3)), 1), "s must be square and symmetric"),
        (
            lambda: theory.linear_vae(np.eye(2), np.zeros(2), np.zeros(3), 1.0),
            r"x must have shape \[2\], got \[3\]",
        ),
        (lambda: theory.linear_gap(np.eye(2), 0.0), "gamma2 must be > 0, got 0.0"),
        (
            lambda: theory.linear_gap(np.eye(2) * np.nan, 1.0),
            "w must be finite, got 4 NaN or infinite values",
        ),
    ],
)
def test_wrong_models_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
