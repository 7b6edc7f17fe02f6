"""Tests of samples, each with a false-alarm rate below `LEVEL` on a fresh key."""

import numpy as np
from scipy import stats

LEVEL = 1e-4
SIGMAS = 3.9  # two-sided normal tail 9.6e-5 < LEVEL


def assert_distribution(samples, cdf):
    """One-sample Kolmogorov-Smirnov test of flattened samples."""
    samples = np.asarray(samples, np.float64).ravel()
    assert np.isfinite(samples).all(), "samples hold NaN or infinity"
    result = stats.kstest(samples, cdf)
    assert result.pvalue > LEVEL, f"distance {result.statistic}, p {result.pvalue}"


def assert_same_distribution(samples, others):
    """Two-sample Kolmogorov-Smirnov test."""
    samples = np.asarray(samples, np.float64).ravel()
    assert np.isfinite(samples).all(), "samples hold NaN or infinity"
    result = stats.ks_2samp(samples, others, method="asymp")
    assert result.pvalue > LEVEL, f"distance {result.statistic}, p {result.pvalue}"


def assert_mean(samples, expected, *, bias=0.0):
    """Mean within `SIGMAS` standard errors (and a stated numerical bias)."""
    samples = np.asarray(samples, np.float64).ravel()
    error = abs(samples.mean() - expected)
    allowed = SIGMAS * samples.std(ddof=1) / np.sqrt(samples.size) + bias
    assert error <= allowed, f"mean {samples.mean()}, expected {expected}, +-{allowed}"


def assert_uncorrelated(x, y):
    """Pearson correlation of two samples within `SIGMAS` / sqrt(size) of 0."""
    rho = np.corrcoef(np.ravel(x), np.ravel(y))[0, 1]
    assert abs(rho) < SIGMAS / np.sqrt(np.size(x)), f"correlation {rho}"
