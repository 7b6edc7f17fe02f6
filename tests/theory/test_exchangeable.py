"""Linear Gaussian pairs: the closed form against its own law, power against SciPy."""

import numpy as np
import pytest
import scipy.stats

from jidcl import theory


def test_partial_correlations_are_those_of_the_covariance():
    found = theory.linear_pair(1.5, 0.4, 0.8, 0.3, 0.9)
    cov = np.asarray(found.covariance, float)

    def given(i, j, k):
        p = np.linalg.inv(cov[np.ix_([i, j, k], [i, j, k])])
        return -p[0, 1] / np.sqrt(p[0, 0] * p[1, 1])

    np.testing.assert_allclose(found.x1_y2_given_x2, given(0, 3, 1), atol=1e-5)
    np.testing.assert_allclose(found.y1_x2_given_y2, given(2, 1, 3), atol=1e-5)


def test_equal_ratios_cancel():
    found = theory.linear_pair(2.0, 1.0, 4.0, 0.5, 2.0)
    assert abs(float(found.y1_x2_given_y2)) < 1e-6
    assert float(found.determinant) == 0


def test_environments_needed_reach_the_power():
    for power in (0.5, 0.8, 0.95):
        count = theory.environments_needed(0.2, power)
        assert theory.fisher_power(0.2, count) >= power - 1e-3
        assert theory.fisher_power(0.2, count - 2) < power
    normal = scipy.stats.norm
    mean = np.sqrt(96) * np.arctanh(0.3)
    want = normal.sf(1.959964 - mean) + normal.cdf(-1.959964 - mean)
    np.testing.assert_allclose(theory.fisher_power(0.3, 100), want, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.linear_pair(1.0, -1.0, 1.0, 0.0, 1.0), "theta must be >= 0"),
        (lambda: theory.fisher_power(0.3, 4), "environments must be > 4"),
        (lambda: theory.environments_needed(0.0, 0.9), "correlation must not be 0"),
        (lambda: theory.environments_needed(0.3, 1.0), "power must be in"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
