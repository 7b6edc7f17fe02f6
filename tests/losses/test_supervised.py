"""Supervised losses against their equations and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from jidcl.losses import mse, r2_loss
from reference import objectives


@pytest.fixture
def arrays(rng):
    z = rng.normal(size=(20, 3)) * [1, 5, 0.2] + [0, 3, -1]
    return z + rng.normal(size=z.shape) * 0.3, z


def test_mse_equals_scikit_learn(arrays):
    y, z = arrays
    got = mse(jnp.asarray(y, jnp.float32), jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(got, mean_squared_error(z, y), rtol=1e-5)


@pytest.mark.parametrize("negative", [False, True])
def test_r2_loss_equals_the_equation(x64, arrays, negative):
    y, z = arrays
    want = objectives.r2_loss(y, z)
    np.testing.assert_allclose(want, r2_score(z, y, multioutput="raw_values"))
    want = -want if negative else want
    y, z = jnp.asarray(y), jnp.asarray(z)
    for reduction, expected in (
        ("none", want),
        ("mean", want.mean()),
        ("sum", want.sum()),
    ):
        got = r2_loss(y, z, reduction=reduction, negative=negative)
        np.testing.assert_allclose(got, expected, rtol=1e-10)


@pytest.mark.parametrize("loss", [mse, r2_loss])
def test_bad_input(loss):
    y = jnp.ones((4, 3))
    with pytest.raises(ValueError, match=r"y must have the shape of z \[4, 2\]"):
        loss(y, y[:, :2])
    with pytest.raises(ValueError, match=r"y must have shape.*\[3\]"):
        loss(y[0], y[0])
    with pytest.raises(TypeError, match="y must have a floating-point dtype.*int32"):
        loss(y.astype(jnp.int32), y)


def test_bad_settings_of_r2_loss():
    y = jnp.ones((4, 3))
    with pytest.raises(ValueError, match=r"batch >= 2.*\[1, 3\]"):
        r2_loss(y[:1], y[:1])
    with pytest.raises(ValueError, match="reduction.*'su'.*did you mean 'sum'"):
        r2_loss(y, y, reduction="su")
