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


def simulated(a, theta, e, psi, h, environments, sets=4000):
    """Shares of the three decisions, data sets drawn and tested by NumPy."""
    rng = np.random.default_rng(environments)
    parameters = rng.normal(size=(2, sets, environments, 1))
    noise = rng.normal(size=(2, sets, environments, 2))
    x = np.sqrt(theta) * parameters[0] + np.sqrt(e) * noise[0]
    y = a * x + np.sqrt(psi) * parameters[1] + np.sqrt(h) * noise[1]
    held = np.concatenate([x, y], -1)
    held = held - held.mean(1, keepdims=True)
    c = np.einsum("rni,rnj->rij", held, held)

    def p(i, j, k):
        def left(m, n):
            return c[:, m, n] - (0 if k is None else c[:, m, k] * c[:, n, k] / kk)

        kk = None if k is None else c[:, k, k]
        r = left(i, j) / np.sqrt(left(i, i) * left(j, j))
        z = np.sqrt(environments - 3 - (k is not None)) * np.arctanh(r)
        return 2 * scipy.stats.norm.sf(np.abs(z))

    found = np.stack([p(0, 3, 1), p(2, 1, 3), p(0, 2, None)], -1)
    told = np.where((found >= 0.05).all(-1), 2, found.argmax(-1))
    return np.bincount(told, minlength=3) / sets


@pytest.mark.parametrize(
    ("law", "environments"),
    [
        ((1.0, 1.0, 1.0, 0.0, 1.0), 50),  # the cause varies
        ((0.3, 0.0, 1.0, 1.0, 1.0), 100),  # the mechanism, a weak slope
        ((1.0, 1.0, 2.0, 0.5, 1.0), 100),  # both, at equal ratios: a coin
        ((0.0, 1.0, 1.0, 0.0, 1.0), 100),  # no edge
    ],
)
def test_decisions_have_their_law(law, environments):
    """4000 data sets: four standard errors are at most 0.032."""
    found = theory.decision_law(theory.linear_pair(*law), environments)
    assert sum(found) == pytest.approx(1)
    np.testing.assert_allclose(found, simulated(*law, environments), atol=0.035)


def test_environments_for_accuracy_are_the_fewest():
    pair = theory.linear_pair(1.0, 1.0, 1.0, 0.0, 1.0)
    count = theory.environments_for_accuracy(pair, 0.9)
    shares = [theory.decision_law(pair, n).x_to_y for n in (count - 1, count)]
    assert shares[0] < 0.9 <= shares[1]
    wider = theory.linear_pair(1.0, 4.0, 1.0, 0.0, 1.0)
    assert theory.environments_for_accuracy(wider, 0.9) < count


EQUAL = theory.linear_pair(1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.linear_pair(1.0, -1.0, 1.0, 0.0, 1.0), "theta must be >= 0"),
        (lambda: theory.fisher_power(0.3, 4), "environments must be > 4"),
        (lambda: theory.environments_needed(0.0, 0.9), "correlation must not be 0"),
        (lambda: theory.environments_needed(0.3, 1.0), "power must be in"),
        (lambda: theory.decision_law(EQUAL, 4), "environments must be > 4, got 4"),
        (
            lambda: theory.environments_for_accuracy(EQUAL, 0.9),
            "accuracy 0.9 must be within reach of 1000000000 environments",
        ),
        (lambda: theory.environments_for_accuracy(EQUAL, 1.0), "accuracy must be in"),
        (lambda: theory.decision_law(EQUAL, 50, alpha=0.0), "alpha must be in"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
