import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jidcl.losses import (
    SlowVAEWeights,
    bernoulli_nll,
    gaussian_kl,
    laplace_cross_entropy,
    slowvae,
)


def test_kl_is_the_integral(x64):
    mean, log_var = np.array([0.7, -1.2]), np.array([-1.0, 0.4])
    want = 0.0
    for m, v in zip(mean, log_var, strict=True):
        q, p = stats.norm(m, np.exp(v / 2)), stats.norm()
        want += integrate.quad(
            lambda z, q=q, p=p: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -12, 12
        )[0]
    np.testing.assert_allclose(gaussian_kl(jnp.array(mean), jnp.array(log_var)), want)


def test_kl_keeps_its_digits_near_the_prior():
    small = jnp.array([1e-4])
    got = gaussian_kl(jnp.zeros(1), small)
    np.testing.assert_allclose(got, 2.5e-9, rtol=1e-2, atol=6e-12)


def test_nll_is_that_of_bernoulli_variables(x64, rng):
    logits = rng.normal(size=(4, 3)) * 3
    x = rng.integers(0, 2, size=(4, 3))
    want = -stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(x).sum(axis=1)
    got = bernoulli_nll(jnp.asarray(logits), jnp.asarray(x, float))
    np.testing.assert_allclose(got, want, rtol=1e-10)
    huge = bernoulli_nll(jnp.array([1e4, -1e4]), jnp.array([1.0, 0.0]))
    assert float(huge) == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="log_var must have the shape of mean"):
        gaussian_kl(jnp.zeros(2), jnp.zeros(3))


def test_cross_entropy_with_a_laplace_law_is_the_integral(x64):
    mean, log_var, rate = np.array([0.7, -0.01, 0.0]), np.array([-1.0, 0.4, -3.0]), 6.0
    want = 0.0
    for m, v in zip(mean, log_var, strict=True):
        q, p = stats.norm(m, np.exp(v / 2)), stats.laplace(scale=1 / rate)
        parts = [
            integrate.quad(lambda u, q=q, p=p: -q.pdf(u) * p.logpdf(u), *ends)[0]
            for ends in ((-12, 0), (0, 12))
        ]
        want += sum(parts)
    arrays = jnp.array(mean), jnp.array(log_var)
    np.testing.assert_allclose(laplace_cross_entropy(*arrays, rate=rate), want)


@jax.jit
def value_and_slopes(m, v):
    def cost(m, v):
        return laplace_cross_entropy(m[None], v[None], rate=2.0)

    return jax.value_and_grad(cost, argnums=(0, 1))(m, v)


@pytest.mark.parametrize("log_var", [-1000.0, -200.0, -150.0, -40.0, 20.0])
@pytest.mark.parametrize("m", [0.0, 1e-30, 1e-3, 3.0, -3.0, 1e20])
def test_narrow_and_wide_posteriors_have_finite_values_and_slopes(m, log_var):
    value, (slope, widening) = value_and_slopes(jnp.float32(m), jnp.float32(log_var))
    assert np.isfinite([value, slope, widening]).all()
    if log_var <= -40 and abs(m) > 1e-3:
        np.testing.assert_allclose(value, 2 * abs(m), rtol=1e-6)
        np.testing.assert_allclose(slope, 2 * np.sign(m), rtol=1e-6)
    if m == 0:
        assert slope == 0


def test_slowvae_is_its_sum_written_out(x64, rng):
    mean, log_var = rng.normal(size=(2, 5, 2, 3))
    logits = rng.normal(size=(5, 2, 4))
    x = rng.integers(0, 2, logits.shape).astype(float)
    weights = SlowVAEWeights(prior=0.5, slow=2.0, rate=3.0)
    loss, terms = slowvae(
        *map(jnp.asarray, (mean, log_var, logits, x)), weights=weights
    )
    images = -stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(x).sum(-1)
    entropy = stats.norm(0, np.exp(log_var / 2)).entropy().sum(-1).mean()
    crossed = 0.0
    for own, other in ((0, 1), (1, 0)):
        m, s = mean[:, own] - mean[:, other], np.exp(log_var[:, own] / 2)
        folded = stats.foldnorm(np.abs(m) / s, scale=s).mean()
        crossed += (3 * folded - np.log(3 / 2)).sum(-1).mean()
    prior = (mean**2 + np.exp(log_var) - log_var - 1).sum(-1).mean() / 2
    want = 2 * images.mean() + 0.5 * prior + 2 * (crossed - entropy)
    np.testing.assert_allclose(loss, want)
    np.testing.assert_allclose(terms["entropy"], entropy)
    np.testing.assert_allclose(terms["prior"], prior)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((5, 3), (5, 3), (5, 4), (5, 4)), r"mean must have shape \[batch, 2, n\]"),
        (
            ((5, 2, 3), (5, 2, 3), (4, 2, 4), (4, 2, 4)),
            r"logits must have .* \[5, 2, d",
        ),
        (((5, 2, 3), (5, 2, 2), (5, 2, 4), (5, 2, 4)), "log_var must have the shape"),
        (
            ((5, 2, 3), (5, 2, 3), (5, 2, 4), (5, 2, 5)),
            "x must have the shape of logits",
        ),
    ],
)
def test_pairs_of_other_shapes_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        slowvae(*map(jnp.zeros, shapes))
