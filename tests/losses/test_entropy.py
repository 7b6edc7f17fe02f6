"""AlignMaxEnt against NumPy, its gradient, and the entropy of known densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl import losses

align_maxent = one_program(losses.align_maxent)
kernel_entropy = one_program(losses.kernel_entropy)


def numpy_entropy(y, variance):
    kernel = stats.multivariate_normal(np.zeros(y.shape[1]), variance)
    density = [
        np.mean([kernel.pdf(a - b) for j, b in enumerate(y) if j != i])
        for i, a in enumerate(y)
    ]
    return -np.mean(np.log(density))


@pytest.mark.parametrize("variance", [0.05, 2.0])
def test_values_equal_numpy(x64, rng, variance):
    y, y_pos = rng.uniform(size=(2, 12, 3))
    loss, metrics = align_maxent(jnp.asarray(y), jnp.asarray(y_pos), variance=variance)
    want = numpy_entropy(y, variance)
    np.testing.assert_allclose(metrics["entropy"], want, rtol=1e-12)
    apart = np.mean(np.sum((y - y_pos) ** 2, axis=1))
    np.testing.assert_allclose(metrics["alignment"], apart, rtol=1e-12)
    np.testing.assert_allclose(loss, apart - want, rtol=1e-12)
    heavy, _ = align_maxent(
        jnp.asarray(y), jnp.asarray(y_pos), variance=variance, weight=7.0
    )
    np.testing.assert_allclose(heavy, 7 * apart - want, rtol=1e-12)


def test_tiles_give_the_same_value_and_gradient(x64, rng):
    y = jnp.asarray(rng.uniform(size=(13, 2)))

    def value(tile):
        return jax.jit(jax.value_and_grad(lambda y: kernel_entropy(y, tile=tile)))(y)

    for streamed, whole in zip(value(5), value(None), strict=True):
        np.testing.assert_allclose(streamed, whole, rtol=1e-10, atol=1e-12)


def test_entropy_of_normal_outputs_is_that_of_the_smoothed_density(rng):
    # E log of the estimate is below log of its mean by about Var/2: 1 / (2 batch) of
    # the inverse effective count; at 2000 rows in one dimension that is below 0.01.
    y = jnp.asarray(rng.normal(size=(2000, 1)), jnp.float32)
    # Cross entropy of N(0, 1) and its smoothed N(0, 1 + v), five standard errors.
    v = 0.3
    want = 0.5 * np.log(2 * np.pi * (1 + v)) + 0.5 / (1 + v)
    assert abs(float(kernel_entropy(y, variance=v)) - want) < 5 * 0.55 / np.sqrt(2000)


def test_shifts_and_rotations_change_nothing_and_spread_raises_it(rng):
    y = rng.normal(size=(40, 2)).astype(np.float32)
    q = np.linalg.qr(rng.normal(size=(2, 2)))[0].astype(np.float32)
    base = float(kernel_entropy(y))
    shifted = y @ q + np.float32(0.5)
    assert float(kernel_entropy(shifted)) == pytest.approx(base, abs=1e-4)
    assert float(kernel_entropy(2 * y)) > base + 0.5
    assert float(kernel_entropy(0 * y)) == pytest.approx(np.log(2 * np.pi * 0.05))


def test_bad_input_is_refused():
    y = jnp.zeros((3, 2))
    with pytest.raises(ValueError, match="variance must be > 0, got 0"):
        align_maxent(y, y, variance=0.0)
    with pytest.raises(ValueError, match="y_pos must have the shape of y"):
        align_maxent(y, y[:2])
    with pytest.raises(ValueError, match="batch >= 2"):
        kernel_entropy(y[:1])
