import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jidcl.losses import bernoulli_nll, gaussian_kl


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
