"""The oracle floor: known optima, and SciPy's minimiser on the same draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

from jidcl.losses import NegativePolicy, Similarity, infonce
from jidcl.theory import OracleMap, apply_oracle, fit_oracle
from jidcl.types import Pair
from reference import infonce as reference

L1, L2 = Similarity("lp", 1.0), Similarity("lp", 2.0)


def loss(similarity, **policy):
    def value(y, y_pos):
        policy_ = NegativePolicy(**policy)
        return infonce(y, y_pos, similarity=similarity, policy=policy_)[0]

    return value


def gaussian_pairs(rng, batches, batch, n):
    z = rng.normal(size=(batches, batch, n))
    z_pos = z + rng.normal(size=z.shape)
    return Pair(*(jnp.asarray(x, jnp.float32) for x in (z, z_pos)))


def test_gaussian_scale_is_the_golden_ratio(rng):
    # With marginal and conditional of variance 1, a = scale^2 and u = 1 / (1 + 2a)
    # the limit loss a - log(1 + 2a) / 2 - a u is stationary where u^2 + u = 1.
    golden = (5**0.5 - 1) / 2
    want = ((1 / golden - 1) / 2) ** 0.5
    assert want == pytest.approx(0.556, abs=1e-3)
    pairs = gaussian_pairs(rng, 2, 1024, 2)
    got = jax.jit(lambda pairs: fit_oracle("none", loss(L2), pairs))(pairs)
    assert float(got.scale) == pytest.approx(want, rel=0.04)
    np.testing.assert_array_equal(got.shift, np.zeros(2))


def scipy_scale(pairs, transform, similarity):
    """Best scale and its loss on the same draws, by loops and a bounded search."""
    sim = {"kind": similarity.kind, "p": similarity.p}

    def value(log_scale):
        scale = np.exp(log_scale)
        losses = [
            reference.infonce(scale * transform(z), scale * transform(z_pos), sim=sim)
            for z, z_pos in zip(
                *(np.asarray(x, np.float64) for x in pairs), strict=True
            )
        ]
        return np.mean([rows.mean() for rows, _, _ in losses])

    found = optimize.minimize_scalar(
        value, bounds=np.log([0.05, 50.0]), method="bounded", options={"xatol": 1e-2}
    )
    return np.exp(found.x), found.fun


@pytest.fixture
def box_pairs(rng):
    """Uniform on [-1, 3]^2 with nearby positives."""
    z = rng.uniform(-1, 3, size=(2, 12, 2))
    z_pos = np.clip(z + 0.2 * rng.laplace(size=z.shape), -1, 3)
    return Pair(*(jnp.asarray(x, jnp.float32) for x in (z, z_pos)))


def mean_loss(oracle, output, value, pairs):
    losses = [
        value(apply_oracle(oracle, output, z), apply_oracle(oracle, output, z_pos))
        for z, z_pos in zip(*pairs, strict=True)
    ]
    return float(np.mean(losses))


def test_learnable_box_finds_the_scale_that_scipy_finds(box_pairs):
    value = jax.jit(loss(L1))
    got = fit_oracle("learnable_box", value, box_pairs, low=-1.0, high=3.0)
    bound, best = scipy_scale(box_pairs, lambda z: (z + 1) / 4, L1)
    assert float(got.scale) * 4 == pytest.approx(bound, rel=0.04)
    np.testing.assert_array_equal(got.shift, [-1, -1])
    assert mean_loss(got, "learnable_box", value, box_pairs) < best + 1e-3


def test_learnable_sphere_finds_the_radius_that_scipy_finds(box_pairs):
    value = jax.jit(loss(Similarity()))
    got = fit_oracle("learnable_sphere", value, box_pairs)

    def project(z):
        return z / np.linalg.norm(z, axis=-1, keepdims=True)

    radius, best = scipy_scale(box_pairs, project, Similarity())
    assert float(got.scale) == pytest.approx(radius, rel=0.04)
    assert mean_loss(got, "learnable_sphere", value, box_pairs) < best + 1e-3
    norms = np.linalg.norm(apply_oracle(got, "learnable_sphere", box_pairs.z), axis=-1)
    np.testing.assert_allclose(norms, got.scale, rtol=1e-5)


def test_fixed_outputs_have_nothing_to_fit(box_pairs):
    def never(y, y_pos):
        raise AssertionError("the loss of a fixed output is not needed")

    sphere = fit_oracle("sphere", never, box_pairs)
    assert float(sphere.scale) == 1
    y = apply_oracle(sphere, "sphere", box_pairs.z)
    z = np.asarray(box_pairs.z)
    unit = z / np.linalg.norm(z, axis=-1, keepdims=True)
    np.testing.assert_allclose(y, unit, rtol=1e-5)
    box = fit_oracle("box", never, box_pairs, low=-1.0, high=3.0)
    y = apply_oracle(box, "box", box_pairs.z)
    np.testing.assert_allclose(y, (z + 1) / 4, rtol=1e-5, atol=1e-6)


def test_the_policy_of_the_loss_moves_the_optimum(box_pairs):
    # The self pair is a force of contraction: without it the best scale grows.
    with_self = fit_oracle("none", loss(L1), box_pairs, rounds=1)
    without = fit_oracle("none", loss(L1, exclude_self=True), box_pairs, rounds=1)
    assert float(without.scale) > 1.2 * float(with_self.scale)


def test_runs_in_float64(x64, box_pairs):
    pairs = Pair(*(x.astype(jnp.float64) for x in box_pairs))
    got = fit_oracle("none", lambda y, y_pos: jnp.mean((y - 2.0) ** 2), pairs)
    assert got.scale.dtype == jnp.float64
    # Least squares of the constant 2 on z.
    z = np.asarray(pairs.z)
    want = 2 * z.mean() / (z**2).mean()
    assert float(got.scale) == pytest.approx(want, rel=0.02)


def test_apply_oracle_keeps_leading_axes():
    oracle = OracleMap(jnp.float32(2.0), jnp.array([1.0, 0.0]))
    z = jnp.ones((3, 4, 2))
    got = apply_oracle(oracle, "none", z)
    np.testing.assert_array_equal(got, np.broadcast_to([0.0, 2.0], (3, 4, 2)))


def test_bad_settings(box_pairs):
    with pytest.raises(ValueError, match="output.*'learnable'.*did you mean"):
        fit_oracle("learnable", loss(L1), box_pairs)
    with pytest.raises(
        ValueError, match="low must be < high, got low=1.0 and high=1.0"
    ):
        fit_oracle("box", loss(L1), box_pairs, low=1.0, high=1.0)


def test_the_floor_does_not_depend_on_the_units(rng):
    z = rng.uniform(size=(2, 64, 2))
    z_pos = np.clip(z + 0.05 * rng.laplace(size=z.shape), 0, 1)
    fit = jax.jit(lambda pairs: fit_oracle("none", loss(L1), pairs))
    found = []
    for unit in (1.0, 1e3, 1e-3):
        pairs = Pair(*(jnp.asarray(unit * x, jnp.float32) for x in (z, z_pos)))
        found.append(mean_loss(fit(pairs), "none", jax.jit(loss(L1)), pairs))
    np.testing.assert_allclose(found, found[0], rtol=1e-3)
