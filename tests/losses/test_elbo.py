"""Priors and the bound against SciPy's laws and integrals."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jidcl.losses import (
    LatentPrior,
    annealed_precision,
    decoder_variance,
    gaussian_elbo,
    gaussian_kl,
    gaussian_nll,
    sampled_kl,
)

LAWS = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(),
    "uniform": stats.uniform(),
    "beta": stats.beta(2.5, 4.0),
}


def prior_of(kind):
    return LatentPrior(kind, 2.5, 4.0)


@pytest.mark.many_programs(reason="eager operations in float64")
@pytest.mark.parametrize("kind", LAWS)
def test_priors_have_the_densities_of_scipy(x64, rng, kind):
    prior, s = prior_of(kind), jnp.asarray(2 * rng.normal(size=(6, 2)))
    z = np.asarray(prior.latents(s))
    want = LAWS[kind].logpdf(z)
    np.testing.assert_allclose(prior.log_prob(z), want.sum(-1), rtol=1e-9, atol=1e-9)
    slope = np.log(z * (1 - z)) if prior.squashed else 0
    got = prior.log_density(s)
    np.testing.assert_allclose(got, (want + slope).sum(-1), rtol=1e-9)
    assert np.isfinite(prior.log_density(jnp.full((1, 2), 200.0))).all()


@pytest.mark.many_programs(reason="eager operations in float64")
@pytest.mark.parametrize("kind", LAWS)
def test_sampled_kl_has_the_mean_of_the_integral(x64, kind):
    prior, (m, v) = prior_of(kind), (0.4, -1.0)
    noise, weight = np.polynomial.hermite_e.hermegauss(80)
    each, _ = sampled_kl(
        jnp.full((80, 1), m), jnp.full((80, 1), v), jnp.asarray(noise)[:, None],
        prior=prior,
    )  # fmt: skip
    got = np.sum(weight * np.asarray(each)) / weight.sum()
    q, law = stats.norm(m, np.exp(v / 2)), LAWS[kind]

    def density(s):
        z = 1 / (1 + np.exp(-s)) if prior.squashed else s
        slope = z * (1 - z) if prior.squashed else 1.0
        return law.logpdf(z) + np.log(slope)

    want = integrate.quad(lambda s: q.pdf(s) * (q.logpdf(s) - density(s)), -7, 7,
                          points=[0.0], limit=200)[0]  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=2e-2 if kind == "laplace" else 1e-6)
    if kind == "gaussian":
        np.testing.assert_allclose(got, gaussian_kl(jnp.array([m]), jnp.array([v])))


def test_the_guard_is_felt_where_the_sigmoid_saturates():
    arrays = jnp.full((1, 1), 12.0), jnp.zeros((1, 1)), jnp.zeros((1, 1))
    exact, guarded = (
        float(sampled_kl(*arrays, prior=LatentPrior("uniform"), guard=g)[0][0])
        for g in (0.0, 1e-8)
    )
    z = 1 / (1 + np.exp(-12.0))
    slope = z * (1 - z)
    assert exact - guarded == pytest.approx(np.log((slope + 1e-8) / slope), rel=1e-2)


def test_the_bound_is_its_terms_and_the_variance_that_of_greatest_likelihood(rng):
    x, x_rec = (jnp.asarray(rng.normal(size=(5, 3)), jnp.float32) for _ in range(2))
    kl = jnp.arange(5.0)
    want = stats.norm(x_rec, 0.1).logpdf(x).sum(axis=1) - 0.5 * np.arange(5)
    got = gaussian_elbo(x, x_rec, kl, gamma2=100.0, weight=0.5)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    best = float(decoder_variance(x, x_rec))
    losses = [
        float(gaussian_nll(x, x_rec, gamma2=1 / v).sum())
        for v in (0.9 * best, best, 1.1 * best)
    ]
    assert losses[1] == min(losses)


def test_precision_is_annealed_on_a_logarithmic_scale():
    own = dict(steps=100, start=1.0, end=1e4, share=0.2)
    got = [float(annealed_precision(t, **own)) for t in (0, 5, 10, 20, 99)]
    np.testing.assert_allclose(got, [1, 10, 100, 1e4, 1e4], rtol=1e-4)
    assert float(annealed_precision(0, **{**own, "share": 0.0})) == 1


@pytest.mark.many_programs(reason="eager operations in float64")
def test_each_latent_may_have_shapes_of_its_own(x64, rng):
    alpha, beta = rng.uniform(0.5, 12, size=(2, 3))
    prior, s = LatentPrior("beta", alpha, beta), jnp.asarray(rng.normal(size=(6, 3)))
    z = np.asarray(prior.latents(s))
    want = stats.beta(alpha, beta).logpdf(z)
    np.testing.assert_allclose(prior.log_prob(z), want.sum(-1), rtol=1e-9)
    of_s = want + np.log(z * (1 - z))
    np.testing.assert_allclose(prior.log_density(s), of_s.sum(-1), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LatentPrior("normal"), "kind must be one of"),
        (lambda: LatentPrior("beta", 0.0), "alpha must be > 0, got 0.0"),
        (
            lambda: LatentPrior("uniform").log_prob(jnp.array([0.5, 1.5])),
            r"z must lie in \[0, 1\], the support of a uniform prior, got 0.5 to 1.5",
        ),
        (
            lambda: gaussian_nll(jnp.ones(2), jnp.ones(2), gamma2=1e40),
            "gamma2 must be a number of float32, got 1e\\+40: half of it times the squ",
        ),
        (
            lambda: gaussian_nll(jnp.ones(2), jnp.ones(2), gamma2=-1.0),
            "gamma2 must be > 0, got -1.0",
        ),
        (
            lambda: gaussian_elbo(jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.ones(3),
                                  gamma2=1.0),
            "kl must have the shape of x without its last axis",
        ),
    ],
)  # fmt: skip
def test_wrong_terms_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
