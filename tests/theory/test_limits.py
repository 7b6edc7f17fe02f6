"""Closed-form limits against published tables, quadrature and Monte Carlo.

Thirteen statistical assertions, each with a false-alarm rate below 1e-4 on a fresh seed
(`reference.statistics`), plus a stated second-order term of the expansion in 1 / M.
"""

import math

import jax
import numpy as np
import pytest
from scipy import integrate, special, stats

from jidcl import theory
from jidcl.theory import limits
from reference import contrastive, pnorm, vmf
from reference.statistics import SIGMAS, assert_mean

# Spec table: n, kappa, log c, A, H_min, L_inf, R.
SPHERE_TABLE = [
    (3, 1, -2.69246361, 0.31303529, 2.37942832, -0.15159592, 1.31303529),
    (3, 10, -9.53529197, 0.90000000, 0.53529193, -1.99573232, 10.0000000),
    (10, 1, -3.28853641, 0.09917838, 3.18935802, -0.04938476, 1.10208138),
    (10, 10, -7.09095711, 0.63366839, 0.75427319, -2.48446959, 31.3072399),
    (10, 400, -381.289144, 0.98879934, -14.2305921, -17.4693349, 1.52e8),
]
# n, low, high, lam, beta, L_inf, R.
BOX_TABLE = [
    (1, 0, 1, 0.05, 1, -1.41903321, 5.53972079),
    (1, 0, 1, 0.05, 3, -2.12319220, 9.29870788),
    (1, 0, 1, 0.2, 1, -0.38605332, 1.80339750),
    (2, 0, 1, 0.2, 2, -1.47934843, 5.90311915),
    (2, 0, 1, 0.2, 3, -1.71828848, 6.93025149),
    (10, 0, 1, 0.05, 1, -14.1903321, 2.72e7),
    (10, 0, 1, 0.05, 3, -21.2319220, 4.83e9),
    (10, 0, 1, 0.05 * math.sqrt(2), 2, -16.4842404, 6.87e7),
    (1, -1, 1, 0.1, 2, -1.97401760, 8.41376762),
]
# sigma at n = 10, total variation to uniform, mean cosine.
PROJECTED_TABLE = [
    (10, 0.0399, 0.0308),
    (5, 0.0796, 0.0616),
    (3, 0.1323, 0.1023),
    (2, 0.1971, 0.1526),
    (1.5, 0.2604, 0.2019),
    (1, 0.3806, 0.2962),
    (0.7, 0.5190, 0.4069),
    (0.5, 0.6700, 0.5323),
    (0.3, 0.8798, 0.7300),
    (0.2, 0.9696, 0.8521),
    (0.1, 0.9992, 0.9573),
    (0.05, 1.0000, 0.9889),
]


# sphere


@pytest.mark.parametrize(
    ("n", "kappa", "log_c", "cosine", "entropy", "limit", "moment"), SPHERE_TABLE
)
def test_sphere_table(n, kappa, log_c, cosine, entropy, limit, moment):
    assert theory.vmf_log_normaliser(n, kappa) == pytest.approx(log_c, rel=3e-9)
    assert theory.vmf_mean_cosine(n, kappa) == pytest.approx(cosine, abs=1e-8)
    assert theory.vmf_entropy(n, kappa) == pytest.approx(entropy, abs=6e-8)
    assert theory.vmf_limit(n, kappa) == pytest.approx(limit, abs=6e-8)
    rel = 5e-3 if moment > 1e3 else 1e-8  # as many digits as are printed
    assert theory.vmf_moment(n, kappa) == pytest.approx(moment, rel=rel)


def test_limit_of_a_model_with_another_concentration():
    assert theory.vmf_limit(10, 10, model_kappa=1) == pytest.approx(-0.58387476)
    assert theory.vmf_limit(5, 3.0, model_kappa=0) == 0.0


@pytest.mark.parametrize("n", [2, 4, 7])
@pytest.mark.parametrize("kappa", [0.3, 4.0, 60.0])
def test_sphere_quantities_by_quadrature(n, kappa):
    def mean(f):  # E over a uniform point of f(cosine)
        def weighted(a):
            return f(math.cos(a)) * math.sin(a) ** (n - 2)

        total = integrate.quad(weighted, 0, np.pi, epsabs=0, epsrel=1e-11, limit=200)
        return total[0] * special.gamma(n / 2) / special.gamma((n - 1) / 2) / np.pi**0.5

    k = 0.7 * kappa
    mu, mu_k = (mean(lambda t, v=v: math.exp(v * (t - 1))) for v in (kappa, k))

    def positive(f):
        return mean(lambda t: f(t) * math.exp(kappa * (t - 1))) / mu

    log_c = -math.log(mu) - kappa - vmf.log_area(n)
    assert theory.vmf_log_normaliser(n, kappa) == pytest.approx(log_c, abs=1e-8)
    cosine = positive(lambda t: t)
    assert theory.vmf_mean_cosine(n, kappa) == pytest.approx(cosine, abs=1e-9)
    # The limit: E_pos[-k t] + log E_neg[exp(k t)].
    limit = -k * cosine + math.log(mu_k) + k
    got = theory.vmf_limit(n, kappa, model_kappa=k)
    assert got == pytest.approx(limit, abs=1e-8)
    # w = exp(k t) / E_neg exp(k t).
    positive_w = positive(lambda t: math.exp(k * (t - 1))) / mu_k
    variance = mean(lambda t: math.exp(2 * k * (t - 1))) / mu_k**2 - 1
    got = theory.vmf_correction(n, kappa, model_kappa=k)
    assert got == pytest.approx(positive_w - variance / 2, rel=1e-8)
    moment = mean(lambda t: math.exp(2 * kappa * (t - 1))) / mu**2
    assert theory.vmf_moment(n, kappa) == pytest.approx(moment, rel=1e-8)
    assert theory.vmf_correction(n, kappa) == pytest.approx((moment + 1) / 2, rel=1e-8)
    assert theory.vmf_self_weight(n, kappa) == pytest.approx(1 / mu, rel=1e-8)


@pytest.mark.parametrize(("n", "kappa"), [(2, 1.0), (3, 10.0), (10, 10.0), (10, 400.0)])
def test_limit_is_minimal_at_the_matched_concentration(n, kappa):
    def slope(k):
        step = 1e-4 * kappa
        up, down = (
            theory.vmf_limit(n, kappa, model_kappa=k + s) for s in (step, -step)
        )
        return (up - down) / (2 * step)

    assert slope(kappa) == pytest.approx(0, abs=1e-7)
    for k in (0.5 * kappa, 2 * kappa):
        want = vmf.mean_cosine(n, k) - vmf.mean_cosine(n, kappa)
        assert slope(k) == pytest.approx(want, rel=1e-5)
        assert theory.vmf_limit(n, kappa, model_kappa=k) > theory.vmf_limit(n, kappa)


@pytest.mark.parametrize("n", [2, 5, 100])
def test_sphere_without_concentration(n):
    assert theory.vmf_limit(n, 0) == 0
    assert theory.vmf_moment(n, 0) == pytest.approx(1, abs=1e-10)
    assert theory.vmf_self_weight(n, 0) == 1
    assert theory.vmf_entropy(n, 0) == pytest.approx(vmf.log_area(n), abs=1e-10)


def test_limits_are_float64_on_the_host_also_while_tracing():
    seen = []

    def f(x):
        seen.append(theory.vmf_limit(3, 1.0))
        return x

    jax.jit(f)(1.0)
    assert type(seen[0]) is float
    assert seen[0] == theory.vmf_limit(3, 1.0)
    exact = math.log(math.sinh(1)) - 1 / math.tanh(1) + 1
    assert seen[0] == pytest.approx(exact, abs=1e-11)


# box


@pytest.mark.parametrize(
    ("n", "low", "high", "lam", "beta", "limit", "moment"), BOX_TABLE
)
def test_box_table(n, low, high, lam, beta, limit, moment):
    box = (n, low, high, lam, beta)
    assert theory.box_limit(*box) == pytest.approx(limit, abs=6e-8)
    rel = 5e-3 if moment > 1e3 else 2e-9
    assert theory.box_moment(*box) == pytest.approx(moment, rel=rel)


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0, 1.5])
@pytest.mark.parametrize("lam", [0.05, 0.4, 20.0])
def test_box_mass_and_energy_by_quadrature(lam, beta):
    z = np.array([-1.0, -0.99, -0.3, 0.2, 0.5])
    mass = theory.box_log_mass(z, -1.0, 0.5, lam, beta)
    energy = theory.box_energy(z, -1.0, 0.5, lam, beta)
    want_mass = [pnorm.box_log_mass(v, -1.0, 0.5, lam, beta) for v in z]
    want_energy = [pnorm.box_energy(v, -1.0, 0.5, lam, beta) for v in z]
    np.testing.assert_allclose(mass, want_mass, atol=1e-8)
    np.testing.assert_allclose(energy, want_energy, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_box_quantities_by_quadrature(beta):
    low, high, lam = -1.0, 1.0, 0.3
    width = math.log(high - low)

    def mean(value):
        return pnorm.box_mean(value, low, high)

    def mass(z, scale=lam):
        return pnorm.box_log_mass(z, low, high, scale, beta)

    limit = mean(lambda z: pnorm.box_energy(z, low, high, lam, beta) + mass(z) - width)
    assert theory.box_limit(3, low, high, lam, beta) == pytest.approx(3 * limit, 1e-7)
    self_weight = mean(lambda z: np.exp(width - mass(z)))
    got = theory.box_self_weight(2, low, high, lam, beta)
    assert got == pytest.approx(self_weight**2, rel=1e-7)
    # E_neg[w^2] with w = (high - low) exp(-energy) / Z(z).
    narrow = lam / 2 ** (1 / beta)
    moment = mean(lambda z: np.exp(mass(z, narrow) - 2 * mass(z) + width))
    assert theory.box_moment(2, low, high, lam, beta) == pytest.approx(
        moment**2, rel=1e-7
    )


@pytest.mark.parametrize(("beta", "p"), [(1.0, 2.0), (3.0, 1.0), (2.0, 3.0)])
def test_mismatched_box_by_quadrature(beta, p):
    low, high, lam, coeff = 0.0, 1.0, 0.2, 4.0

    def value(z):
        energy = pnorm.box_energy(z, low, high, lam, beta, coeff, p)
        return energy + pnorm.box_log_mass(z, low, high, coeff ** (-1 / p), p)

    want = pnorm.box_mean(value, low, high)
    got = theory.box_mismatched_limit(2, low, high, lam, beta, coeff, p)
    assert got == pytest.approx(2 * want, rel=1e-6)
    # The matched limit is a cross-entropy's minimum over the models.
    assert got > theory.box_limit(2, low, high, lam, beta)


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_mismatched_box_at_the_match(beta):
    box = (2, -1.0, 0.5, 0.1, beta)
    got = theory.box_mismatched_limit(*box, 0.1**-beta, beta)
    assert got == pytest.approx(theory.box_limit(*box), abs=1e-9)


def test_box_limit_does_not_depend_on_units():
    want = theory.box_limit(2, 0, 1, 0.1, 1)
    assert theory.box_limit(2, -3, 7, 1.0, 1) == pytest.approx(want, abs=1e-10)
    assert theory.box_limit(1, 0, 1, 1e6, 2) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("lam", "beta"), [(0.7, 1.0), (1.3, 2.0), (0.5, 3.0)])
def test_generalised_normal_moments(lam, beta):
    law = stats.gennorm(beta, scale=lam)
    got = theory.gennorm_moments(lam, beta)
    assert got["variance"] == pytest.approx(law.var(), rel=1e-10)
    assert got["mean_abs"] == pytest.approx(law.expect(abs), rel=1e-7)
    assert got["log_density_at_lam"] == pytest.approx(law.logpdf(lam), rel=1e-10)


# R^n


def test_gauss_limit_by_its_definition():
    s, sigma, c = 1.2, 0.8, 0.7

    def inner(z):  # log E_neg exp(-c d^2) around one anchor
        law = stats.norm(scale=s)
        total = integrate.quad(
            lambda t: law.pdf(t) * math.exp(-c * (t - z) ** 2), -12, 12, points=[z, 0]
        )
        return math.log(total[0])

    outer = integrate.quad(lambda z: stats.norm.pdf(z, scale=s) * inner(z), -9, 9)[0]
    want = 3 * (c * sigma**2 + outer)
    assert theory.gauss_limit(3, s, sigma, c) == pytest.approx(want, abs=1e-7)


def test_golden_ratio():
    best = theory.best_gauss_coefficient(1.0, 1.0)
    assert best == pytest.approx((math.sqrt(5) - 1) / 4, abs=1e-12)
    assert 1 + 2 * best == pytest.approx((1 + math.sqrt(5)) / 2, abs=1e-12)
    assert math.sqrt(best) == pytest.approx(0.55589, abs=1e-5)
    assert theory.gauss_limit(1, 1.0, 1.0, best) == pytest.approx(-0.12257192, abs=1e-8)


@pytest.mark.parametrize(("s", "sigma"), [(1.0, 0.05), (2.0, 0.5), (0.7, 0.9)])
def test_best_gauss_coefficient_is_the_minimum(s, sigma):
    best = theory.best_gauss_coefficient(s, sigma)
    lowest = theory.gauss_limit(1, s, sigma, best)
    for factor in (0.5, 0.95, 1.05, 2.0):
        assert theory.gauss_limit(1, s, sigma, factor * best) > lowest


def test_best_gauss_coefficient_of_useless_pairs():
    # With sigma^2 >= 2 s^2 every positive coefficient is worse than none.
    for s, sigma in ((1.0, math.sqrt(2.0) + 1e-9), (0.7, 3.0)):
        assert theory.best_gauss_coefficient(s, sigma) == 0
        assert theory.gauss_limit(1, s, sigma, 0.01) > 0


# finite numbers of negatives

# The next term of the expansion in 1 / M, bounded for R <= 0.1 M.
SECOND_ORDER = 0.1


def assert_loss(got, loss, error, first_order):
    assert abs(got - loss) < SIGMAS * error + SECOND_ORDER * first_order


@pytest.mark.parametrize("count", [64, 256, pytest.param(512, marks=pytest.mark.long)])
@pytest.mark.parametrize("composition", limits.COMPOSITIONS)
def test_finite_negatives_on_the_sphere(composition, count, rng):
    kappa, m = 5.0, count - (composition != "independent")
    with_self = composition == "with_self"
    loss, error = contrastive.finite_loss(
        rng,
        *contrastive.sphere3_scores(kappa, kappa),
        m,
        exact=kappa * vmf.mean_cosine(3, kappa),
        self_score=kappa if with_self else None,
    )
    got = theory.finite_negatives(
        theory.vmf_limit(3, kappa),
        theory.vmf_correction(3, kappa),
        count,
        composition=composition,
        self_weight=theory.vmf_self_weight(3, kappa) if with_self else 0.0,
    )
    weight = theory.vmf_self_weight(3, kappa) if with_self else 0.0
    first_order = (theory.vmf_correction(3, kappa) + weight) / count
    assert_loss(got, loss, error, first_order)
    # The correction is what is tested: without it the loss would be missed.
    bare = math.log(m) + theory.vmf_limit(3, kappa)
    if count == 64:
        assert loss - bare > 2 * (SIGMAS * error + SECOND_ORDER * first_order)


def test_finite_negatives_of_a_mismatched_model(rng):
    loss, error = contrastive.finite_loss(
        rng,
        *contrastive.sphere3_scores(5.0, 2.0),
        64,
        exact=2.0 * vmf.mean_cosine(3, 5.0),
    )
    correction = theory.vmf_correction(3, 5.0, model_kappa=2.0)
    limit = theory.vmf_limit(3, 5.0, model_kappa=2.0)
    got = theory.finite_negatives(limit, correction, 64)
    assert_loss(got, loss, error, abs(correction) / 64)


@pytest.mark.parametrize("composition", limits.COMPOSITIONS)
def test_finite_negatives_on_the_box(composition, rng):
    box, count = (1, 0, 1, 0.1, 1), 256
    with_self = composition == "with_self"
    weight = theory.box_self_weight(*box) if with_self else 0.0
    loss, error = contrastive.finite_loss(
        rng,
        *contrastive.laplace_box_scores(0.1),
        count - (composition != "independent"),
        exact=-pnorm.box_mean(lambda z: pnorm.box_energy(z, 0, 1, 0.1, 1), 0, 1),
        self_score=0.0 if with_self else None,
    )
    correction = (theory.box_moment(*box) + 1) / 2
    got = theory.finite_negatives(
        theory.box_limit(*box),
        correction,
        count,
        composition=composition,
        self_weight=weight,
    )
    assert_loss(got, loss, error, (correction + weight) / count)


def test_finite_negatives_compositions():
    def value(composition, count):
        return theory.finite_negatives(
            -1.0, 3.0, count, composition=composition, self_weight=8.0
        )

    assert value("independent", 10) == pytest.approx(math.log(10) - 1 + 0.3)
    assert value("in_batch", 11) == pytest.approx(value("independent", 10))
    assert value("with_self", 10) == pytest.approx(math.log(10) - 1 + 1.0)


# projected normal


@pytest.mark.parametrize(("sigma", "tv", "cosine"), PROJECTED_TABLE)
def test_projected_normal_table(sigma, tv, cosine):
    assert theory.projected_normal_tv(10, sigma) == pytest.approx(tv, abs=2e-4)
    got = theory.projected_normal_mean_cosine(10, sigma)
    assert got == pytest.approx(cosine, abs=1e-4)


@pytest.mark.parametrize(("n", "sigma"), [(2, 0.3), (3, 1.0), (10, 0.5)])
def test_projected_normal_by_its_draws(n, sigma, rng):
    x = rng.normal(size=(100_000, n)) * sigma
    x[:, 0] += 1
    cosine = x[:, 0] / np.linalg.norm(x, axis=-1)
    assert_mean(cosine, theory.projected_normal_mean_cosine(n, sigma), bias=1e-6)
    # TV = P(r > 1) - P_uniform(r > 1), and r grows with the cosine.
    uniform = rng.normal(size=(100_000, n))
    flat = uniform[:, 0] / np.linalg.norm(uniform, axis=-1)
    grid = np.linspace(-1, 1, 401)
    above = [theory.projected_normal_log_ratio(n, sigma, t) > 0 for t in grid]
    edge = grid[np.argmax(above)]
    tv = (cosine > edge).mean() - (flat > edge).mean()
    assert theory.projected_normal_tv(n, sigma) == pytest.approx(tv, abs=1e-2)


@pytest.mark.parametrize(("n", "sigma"), [(2, 0.3), (3, 1.0), (10, 0.05), (10, 5.0)])
def test_projected_normal_ratio_by_quadrature(n, sigma):
    for t in (-1.0, -0.2, 0.6, 1.0):
        z = np.zeros(n)
        z[0], z[1] = t, math.sqrt(1 - t * t)
        want = pnorm.projected_log_density("normal", sigma, z, np.eye(n)[0])
        got = theory.projected_normal_log_ratio(n, sigma, t)
        assert got == pytest.approx(want + vmf.log_area(n), rel=1e-8, abs=1e-8)


# refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.vmf_limit(1, 1.0), "n must be >= 2, got 1"),
        (lambda: theory.vmf_mean_cosine(3, -1.0), "kappa must be >= 0, got -1.0"),
        (lambda: theory.vmf_log_normaliser(3, math.nan), "kappa must be >= 0, got nan"),
        (
            lambda: theory.vmf_limit(3, 1, model_kappa=-1),
            "model_kappa must be >= 0, got -1",
        ),
        (lambda: theory.box_limit(0, 0, 1, 1, 1), "n must be >= 1, got 0"),
        (lambda: theory.box_limit(1, 1, 0, 1, 1), "low must be < high, got low=1"),
        (lambda: theory.box_moment(1, 0, 1, 0, 1), "lam must be > 0, got 0"),
        (lambda: theory.box_self_weight(1, 0, 1, 1, 0.5), "beta must be >= 1, got 0.5"),
        (
            lambda: theory.box_mismatched_limit(1, 0, 1, 1, 1, 0.0, 2),
            "coeff must be > 0, got 0.0",
        ),
        (lambda: theory.gauss_limit(0, 1, 1, 1), "n must be >= 1, got 0"),
        (lambda: theory.gauss_limit(1, 0, 1, 1), "marginal_std must be > 0, got 0"),
        (lambda: theory.gauss_limit(1, 1, -1, 1), "cond_std must be > 0, got -1"),
        (lambda: theory.gauss_limit(1, 1, 1, 0), "coeff must be > 0, got 0"),
        (lambda: theory.projected_normal_tv(1, 1.0), "n must be >= 2, got 1"),
        (lambda: theory.projected_normal_tv(3, 0.0), "sigma must be > 0, got 0.0"),
        (lambda: theory.gennorm_moments(0.0, 2.0), "lam must be > 0, got 0.0"),
        (
            lambda: theory.finite_negatives(0, 0, 5, composition="in_bach"),
            r"composition must be one of .*'in_bach' \(did you mean 'in_batch'\?\)",
        ),
        (lambda: theory.finite_negatives(0, 0, 0), "count must be >= 1, got 0"),
        (
            lambda: theory.finite_negatives(0, 0, 1, composition="in_batch"),
            "count must be >= 2, got 1",
        ),
        (lambda: theory.best_gauss_coefficient(0, 1), "marginal_std must be > 0"),
        (lambda: theory.gennorm_moments(1.0, -1.5), "beta must be"),
        (lambda: theory.box_mismatched_limit(1, 0, 1, 1, 1, 1, -1), "p must be"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


# --- To the ends of the ranges of what is accepted ------------------------------------


@pytest.mark.parametrize("kappa", [1e8, 1e19, 1e200, 1e299])
def test_sphere_quantities_at_large_concentrations_are_closed_forms(kappa):
    # On S^2: log mu = kappa - log(2 kappa), A = 1 - 1 / kappa.
    assert theory.vmf_limit(3, kappa) == pytest.approx(1 - np.log(2 * kappa))
    entropy = 1 + np.log(2 * np.pi) - np.log(kappa)
    assert theory.vmf_entropy(3, kappa) == pytest.approx(entropy)
    assert theory.vmf_moment(3, kappa) == pytest.approx(kappa)
    assert theory.vmf_self_weight(3, kappa) == pytest.approx(2 * kappa)
    assert theory.vmf_correction(3, kappa) == pytest.approx(kappa / 2)
    # A normal law in the tangent space, in any dimension.
    for n in (2, 10, 100):
        entropy = (n - 1) / 2 * (1 + np.log(2 * np.pi / kappa))
        assert theory.vmf_entropy(n, kappa) == pytest.approx(entropy, rel=1e-4)


def test_what_float64_does_not_hold_is_infinite_or_refused():
    assert theory.vmf_moment(1000, 1e19) == math.inf
    assert theory.vmf_self_weight(1000, 1e19) == math.inf
    assert theory.vmf_correction(1000, 1e19) == math.inf
    assert theory.box_moment(2, 0, 1, 1e-200, 1) == math.inf
    assert theory.box_self_weight(1000, 0, 1, 1e-5, 2) == math.inf
    with pytest.raises(ValueError, match="^kappa must be <= 1e300, got 1e[+]301$"):
        theory.vmf_entropy(3, 1e301)


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_box_quantities_of_very_narrow_and_very_wide_laws(beta):
    gamma = special.gamma(1 / beta)
    for lam in (1e-9, 1e-200):
        limit = 1 / beta + np.log(2 * lam / beta * gamma)
        assert theory.box_limit(1, 0, 1, lam, beta) == pytest.approx(limit, rel=1e-6)
        energy = theory.box_mean_energy(0, 1, lam, beta)
        assert energy == pytest.approx(1 / beta, rel=1e-6)
    for lam in (1e5, 1e60):
        # E|z - z'|^beta of two uniform numbers is 2 / ((beta + 1) (beta + 2)).
        want = 2 / ((beta + 1) * (beta + 2)) * lam**-beta
        energy = theory.box_mean_energy(0, 1, lam, beta)
        assert energy == pytest.approx(want, rel=1e-4)
        assert theory.box_limit(1, 0, 1, lam, beta) == pytest.approx(0, abs=1e-9)
    assert abs(theory.box_limit(1, 0, 1, 1e200, beta)) < 1e-150


def test_gauss_quantities_have_no_units():
    for size in (1e-150, 1e100, 1e200):
        got = theory.gauss_limit(1, size, size / 10, 4 / size / size or 5e-324)
        if 1e-300 < size**-2 * 4 < 1e300:
            assert got == pytest.approx(theory.gauss_limit(1, 1.0, 0.1, 4.0))
        root = np.sqrt(theory.best_gauss_coefficient(size, size / 10))
        want = np.sqrt(theory.best_gauss_coefficient(1.0, 0.1)) / size
        assert root == pytest.approx(want, rel=1e-6)
    value = -(math.log(2) + 400 * math.log(10)) / 2 - 0.5
    assert theory.gauss_limit(1, 1e200, 1e-200, 1.0) == pytest.approx(value)
    assert theory.best_gauss_coefficient(1e-200, 1e200) == 0


@pytest.mark.parametrize("n", [2, 3, 100])
def test_projected_normal_laws_of_any_width(n):
    # Narrow: normal in the tangent space, of density (2 pi sigma^2)^(-(n - 1) / 2).
    for sigma in (1e-9, 1e-100):
        got = theory.projected_normal_log_ratio(n, sigma, 1.0)
        area = np.log(2) + n / 2 * np.log(np.pi) - math.lgamma(n / 2)
        want = area - (n - 1) / 2 * (np.log(2 * np.pi) + 2 * np.log(sigma))
        assert got == pytest.approx(want, rel=1e-6)
    assert theory.projected_normal_tv(n, 1e-9) == pytest.approx(1, abs=1e-6)
    assert theory.projected_normal_mean_cosine(n, 1e-9) == pytest.approx(1, abs=1e-6)
    for cosine in (-1.0, 0.5):
        assert theory.projected_normal_log_ratio(n, 1e200, cosine) == pytest.approx(
            0, abs=1e-10
        )
