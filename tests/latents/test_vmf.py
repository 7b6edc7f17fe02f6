"""The von Mises-Fisher law: normaliser against SciPy and series, sampler, log-density.

Every statistical assertion fails on a fresh key with probability below 1e-4 (see
`reference.statistics`); this file makes about 50 of them, so a change of every key
raises a false alarm with probability below 1 %.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from budget import one_program
from jidcl.latents.vmf import (
    log_mean_exp_dot,
    sample_vmf,
    vmf_envelope,
    vmf_proposal,
)
from reference import vmf
from reference.statistics import assert_distribution, assert_mean, assert_uncorrelated

# The Bessel function

KAPPAS = [0.0, 1e-6, 1e-2, 1.0, 5.0, 30.0, 100.0, 1e3, 1e4, 1e5]
eager = pytest.mark.many_programs(reason="unrolled steps compile slowly as a whole")


def everything(n, kappa):
    """(log mu - kappa, A) and their derivatives, at each entry of a vector kappa.

    Not jitted: 40 unrolled steps compile slowly, and eager operations are shared by
    all n.
    """

    def both(k):
        return jnp.stack(log_mean_exp_dot(n, k))

    return jax.vmap(both)(kappa), jax.vmap(jax.jacfwd(both))(kappa)


def allowed(kappa):
    """Error of log mu in float64."""
    return np.minimum(1e-11 * np.maximum(1, kappa), 2e-10)


@eager
@pytest.mark.parametrize("n", [2, 3, 5, 10, 100, 1000])
def test_log_mean_exp_dot_in_float64(n, x64):
    kappa = np.array(KAPPAS)
    (log_mu, cosine), (slope, bend) = (
        np.asarray(value).T for value in everything(n, jnp.array(kappa))
    )
    # SciPy's scaled Bessel function, where it does not underflow (small kappa).
    want = np.array([vmf.log_mean_exp(n, k) for k in kappa])
    want_cosine = np.array([vmf.mean_cosine(n, k) for k in kappa])
    kept = np.isfinite(want)
    assert kept.sum() >= 3
    assert np.all((np.abs(log_mu - want) < allowed(kappa))[kept])
    np.testing.assert_allclose(cosine, want_cosine, rtol=1e-11)
    # The power series, everywhere else.
    small = kappa <= 300
    want = np.array([vmf.log_mean_exp_series(n, k) for k in kappa[small]])
    assert np.all(np.abs(log_mu[small] - want) < allowed(kappa[small]))
    # Derivatives: A - 1, and A' = 1 - A^2 - (n - 1) A / kappa (1 / n at 0).
    np.testing.assert_allclose(slope, cosine - 1, atol=1e-11)
    assert bend[0] == pytest.approx(1 / n, rel=1e-12)
    k, a = kappa[kappa >= 1e-2], cosine[kappa >= 1e-2]
    want = 1 - a**2 - (n - 1) * a / k
    np.testing.assert_allclose(bend[kappa >= 1e-2], want, atol=3e-10)


@eager
def test_log_mean_exp_dot_closed_forms_on_s2(x64):
    kappa = np.array([0.1, 1.0, 10.0, 100.0, 1e4])
    (log_mu, cosine), _ = (
        np.asarray(value).T for value in everything(3, jnp.array(kappa))
    )
    want = np.log(-np.expm1(-2 * kappa) / (2 * kappa))
    assert np.all(np.abs(log_mu - want) < allowed(kappa))
    np.testing.assert_allclose(cosine, 1 / np.tanh(kappa) - 1 / kappa, rtol=1e-11)


@eager
@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_log_mean_exp_dot_in_float32(n):
    kappa = np.array(KAPPAS)
    (log_mu, cosine), (slope, _) = (
        np.asarray(value).T for value in everything(n, jnp.array(kappa, jnp.float32))
    )
    assert log_mu.dtype == cosine.dtype == np.float32
    assert abs(log_mu[0]) < 1e-8
    assert cosine[0] == 0
    assert slope[0] == -1
    want = [vmf.log_mean_exp(n, k) for k in kappa]
    want_cosine = [vmf.mean_cosine(n, k) for k in kappa]
    kept = np.isfinite(want)
    np.testing.assert_allclose(log_mu[kept], np.array(want)[kept], 3e-6, 1e-4)
    np.testing.assert_allclose(cosine, want_cosine, rtol=2e-4)


@eager
def test_log_mean_exp_dot_under_transforms():
    kappa = jnp.array(KAPPAS[:6]).reshape(2, 3)
    plain = log_mean_exp_dot(10, kappa)
    jitted = jax.jit(lambda k: log_mean_exp_dot(10, k))(kappa)
    mapped = jax.vmap(jax.vmap(lambda k: log_mean_exp_dot(10, k)))(kappa)
    for a, b, c in zip(plain, jitted, mapped, strict=True):
        assert a.shape == b.shape == c.shape == (2, 3)
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(c, a, rtol=1e-5, atol=1e-5)


# The sampler

sample_vmf_jit = jax.jit(lambda seed, *rest: sample_vmf(jax.random.key(seed), *rest))


def unit_vectors(rng, n):
    mean = rng.normal(size=(20_000 if n < 100 else 2000, n)).astype(np.float32)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def draw_vmf(mean, seed, kappa):  # one compiled program for each shape
    kappa = np.broadcast_to(np.float32(kappa), mean.shape[:-1])
    z, acceptance = sample_vmf_jit(seed, mean, kappa)
    return np.asarray(z, np.float64), float(acceptance)


@pytest.mark.parametrize("kappa", [0.0, 1.0, 10.0, 1e3, 1e5])
@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_vmf(n, kappa, rng):
    mean = unit_vectors(rng, n)
    z, acceptance = draw_vmf(mean, 0, kappa)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-5)
    angle = vmf.angle(z, mean)
    assert_distribution(angle, vmf.angle_cdf(n, kappa))
    expected = 1 - vmf.mean_cosine(n, kappa)
    assert_mean(2 * np.sin(angle / 2) ** 2, expected, bias=1e-6 * expected)
    # Wood's envelope accepts about two thirds of the proposals or more.
    assert 0.64 < acceptance <= 1
    if kappa == 0:
        assert acceptance == 1


@pytest.mark.parametrize("kappa", [0.0, 10.0, 1e5])
def test_vmf_is_isotropic_around_its_mean(kappa, rng):
    mean = unit_vectors(rng, 3)
    z, _ = draw_vmf(mean, 1, kappa)
    across = z - (z * mean).sum(-1, keepdims=True) * mean
    # A frame at each mean that knows nothing of z.
    first = np.cross(mean, [0.267261, 0.534522, 0.801784])
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.cross(mean, first)
    azimuth = np.arctan2((across * second).sum(-1), (across * first).sum(-1))
    assert_distribution(azimuth, lambda a: (a + np.pi) / (2 * np.pi))
    assert_uncorrelated(np.abs(azimuth), vmf.angle(z, mean))


def test_vmf_on_the_circle_takes_both_sides(rng):
    mean = unit_vectors(rng, 2)
    z, _ = draw_vmf(mean, 2, 10.0)
    side = mean[:, 0] * z[:, 1] - mean[:, 1] * z[:, 0] > 0
    assert_mean(side, 0.5)
    assert_uncorrelated(side, vmf.angle(z, mean))


def test_vmf_cosine_does_not_depend_on_the_direction_of_the_mean(rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    here = unit_vectors(rng, 3)
    there = (here @ rotation.T).astype(np.float32)
    cosines = [(draw_vmf(mean, 0, 7.0)[0] * mean).sum(-1) for mean in (here, there)]
    np.testing.assert_allclose(*cosines, atol=3e-6)


def test_vmf_takes_one_kappa_for_each_mean(rng):
    mean = unit_vectors(rng, 3)
    z, _ = draw_vmf(mean, 3, np.tile([1.0, 100.0], len(mean) // 2))
    for start, value in enumerate((1.0, 100.0)):
        angle = vmf.angle(z[start::2], mean[start::2])
        assert_distribution(angle, vmf.angle_cdf(3, value))


@pytest.mark.parametrize(("n", "kappa"), [(2, 1.0), (3, 10.0), (10, 400.0), (6, 0.0)])
def test_vmf_proposal_is_the_published_formula(n, kappa, rng, x64):
    zeta, u = rng.beta((n - 1) / 2, (n - 1) / 2, 500), rng.random(500)
    d = n - 1
    b = d / (np.sqrt(4 * kappa**2 + d**2) + 2 * kappa)
    x0 = (1 - b) / (1 + b)
    c = kappa * x0 + d * np.log(1 - x0**2)
    w = (1 - (1 + b) * zeta) / (1 - (1 - b) * zeta)
    accept = kappa * w + d * np.log(1 - x0 * w) - c >= np.log(u)

    got = one_program(vmf_envelope)(n, kappa)
    np.testing.assert_allclose(got, (b, x0, c), rtol=1e-10, atol=1e-12)
    draws = jnp.array(zeta), jnp.array(u)
    below, accepted = one_program(vmf_proposal)(n, jnp.float64(kappa), *draws)
    np.testing.assert_allclose(1 - below, w, atol=1e-10)
    np.testing.assert_array_equal(accepted, accept)
    if kappa > 0:
        assert accept.any()
        assert not accept.all()
