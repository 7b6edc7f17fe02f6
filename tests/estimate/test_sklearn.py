"""scikit-learn's checks of estimators, on an encoder that makes its own pairs."""

import warnings

import jax
import numpy as np
import pytest

from jidcl import ContrastiveEncoder

checks = pytest.importorskip("sklearn.utils.estimator_checks")

# What does not apply, and why.
NOT_OURS = {
    "check_dtype_object": "objects are refused, numbers among them or not",
}


class OfOneArray(ContrastiveEncoder):
    """Rows paired with themselves and noise: the checks know of no positives."""

    def fit(self, x, y=None):
        return super().fit(x, paired(x))

    def partial_fit(self, x, y=None):
        return super().partial_fit(x, paired(x))

    def fit_transform(self, x, y=None):
        return self.fit(x).transform(x)

    def score(self, x, y=None):
        return super().score(x, paired(x))


def paired(x):
    """Rows a little off; what is no array of numbers stays what it is."""
    if not hasattr(x, "shape") and not isinstance(x, list):
        x = np.asarray(x)
    held = np.asarray(x)
    if held.dtype.kind not in "fiu" or held.ndim != 2:
        return x
    noise = np.random.default_rng(0).normal(size=held.shape)
    return held + 0.1 * np.where(np.isfinite(noise), noise, 0)


SMALL = OfOneArray(2, hidden=(4,), steps=4, seeds=1, batch=8, held_out=0.3)


def listed():
    """All checks of scikit-learn; it warns that our class is none of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [c for _, c in checks.estimator_checks_generator(SMALL)]


def test_the_checks_are_many_and_few_do_not_apply():
    names = [checks._check_name(check) for check in listed()]
    assert len(names) > 40
    assert set(NOT_OURS) < set(names)


@pytest.mark.many_programs(reason="a fit for every shape that the checks try")
@pytest.mark.parametrize(
    "check",
    [pytest.param(check, id=checks._check_name(check)) for check in listed()],
)
def test_the_checks_that_apply_pass(check):
    """A check raises where it does not hold."""
    name = checks._check_name(check)
    if name in NOT_OURS:
        pytest.skip(NOT_OURS[name])
    with warnings.catch_warnings(), jax.numpy_dtype_promotion("standard"):
        warnings.simplefilter("ignore")
        check(SMALL)
