"""Rival objectives against loops over their equations, and their invariances."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from budget import one_program
from jidcl import losses
from jidcl.losses import VICRegWeights, sinkhorn_codes
from reference import rivals

barlow = one_program(losses.barlow)
byol = one_program(losses.byol)
moco = one_program(losses.moco)
ntxent = one_program(losses.ntxent)
simsiam = one_program(losses.simsiam)
swav = one_program(losses.swav)
vicreg = one_program(losses.vicreg)


@pytest.fixture
def views(rng):
    z = rng.normal(size=(7, 3))
    return z, z + 0.5 * rng.normal(size=z.shape)


def with_prototypes(z, z_pos):
    return swav(z, z_pos, PROTOTYPES.astype(z.dtype), tau=0.3, epsilon=0.4)


PROTOTYPES = np.random.default_rng(5).normal(size=(6, 3))
PAIRWISE = {
    "ntxent": (
        lambda a, b: ntxent(a, b, tau=0.3),
        lambda a, b: rivals.ntxent(a, b, 0.3),
    ),
    "swav": (
        with_prototypes,
        lambda a, b: rivals.swav(a, b, PROTOTYPES, 0.3, 0.4, 3),
    ),
    "barlow": (
        lambda a, b: barlow(a, b, lam=0.02, scale=0.3, epsilon=1e-6),
        lambda a, b: rivals.barlow(a, b, 0.02, 0.3, 1e-6),
    ),
    "vicreg": (
        lambda a, b: vicreg(a, b, weights=VICRegWeights(2.0, 3.0, 4.0, epsilon=0.01)),
        lambda a, b: rivals.vicreg(a, b, 2.0, 3.0 / 2, 4.0, 0.01),
    ),
    "vicreg of the paper": (
        lambda a, b: vicreg(
            a, b, weights=VICRegWeights(2.0, 3.0, 4.0, views="sum", epsilon=0.01)
        ),
        lambda a, b: rivals.vicreg(a, b, 2.0, 3.0, 4.0, 0.01),
    ),
}
SEES_LENGTH = {"vicreg", "vicreg of the paper"}


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_objective_equals_its_equation(x64, views, name):
    ours, reference = PAIRWISE[name]
    np.testing.assert_allclose(
        ours(*map(jnp.asarray, views))[0], reference(*views), rtol=1e-10
    )


@pytest.mark.parametrize("name", PAIRWISE)
def test_order_of_rows_and_views_and_length_do_not_matter(x64, views, name):
    ours, _ = PAIRWISE[name]
    z, z_pos = views
    value = ours(z, z_pos)[0]
    order = np.random.default_rng(1).permutation(len(z))
    np.testing.assert_allclose(ours(z[order], z_pos[order])[0], value, rtol=1e-10)
    np.testing.assert_allclose(ours(z_pos, z)[0], value, rtol=1e-10)
    # Rows of unit vectors have any length; batch moments only a common one.
    factor = np.linspace(1, 3, 7)[:, None] if name in ("ntxent", "swav") else 1e3
    longer = ours(factor * z, factor * z_pos)[0]
    close = np.isclose(longer, value, rtol=1e-3 if name == "barlow" else 1e-9)
    assert close == (name not in SEES_LENGTH)


def test_moco_equals_its_equation(x64, views, rng):
    query, key = map(jnp.asarray, views)
    queue = jnp.asarray(rng.normal(size=(4, 3)))
    value = moco(query, key, queue, tau=0.4)[0]
    np.testing.assert_allclose(value, rivals.moco(query, key, queue, 0.4), rtol=1e-10)


def test_predicted_cosines_equal_their_equations(x64, views, rng):
    p, p_pos = (jnp.asarray(rng.normal(size=(7, 3))) for _ in range(2))
    z, z_pos = map(jnp.asarray, views)
    both = rivals.mean_cosine(p, z_pos), rivals.mean_cosine(p_pos, z)
    np.testing.assert_allclose(simsiam(p, p_pos, z, z_pos)[0], -sum(both) / 2)
    np.testing.assert_allclose(byol(p, p_pos, z, z_pos)[0], 4 - 2 * sum(both))
    np.testing.assert_allclose(simsiam(z, z_pos, z_pos, z)[0], -1, rtol=1e-12)
    np.testing.assert_allclose(byol(z, z_pos, -z_pos, -z)[0], 8, rtol=1e-12)


def test_codes_balance_and_survive_small_epsilon():
    scores = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (8, 4)), jnp.float32)
    codes = sinkhorn_codes(scores, epsilon=0.3, iterations=50)
    np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(codes.sum(axis=0), 2, rtol=1e-3)
    sharp = sinkhorn_codes(scores, epsilon=1e-3)  # exp(1000) overflows
    assert np.isfinite(sharp).all()
    np.testing.assert_allclose(sharp.sum(axis=1), 1, rtol=1e-5)


def test_constant_outputs_have_the_values_of_chance():
    same = jnp.ones((6, 3))
    np.testing.assert_allclose(ntxent(same, same)[0], math.log(11), rtol=1e-5)
    assert float(barlow(same, same, lam=1.0)[0]) == 3.0
    loss, parts = vicreg(same, same)
    np.testing.assert_allclose(loss, 25 * (1 - 1e-2), rtol=1e-5)
    np.testing.assert_allclose(parts["variance"], 2 * (1 - 1e-2), rtol=1e-5)
    swapped, metrics = swav(same, same, jnp.eye(3))
    np.testing.assert_allclose(swapped, math.log(3), rtol=1e-5)
    np.testing.assert_allclose(metrics["code_entropy"], math.log(3), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: ntxent(z, z[:2]), "z_pos must have the shape of z"),
        (lambda z: simsiam(z, z, z, z[:2]), "z_pos must have the shape of p"),
        (lambda z: swav(z, z, jnp.ones((4, 2))), "prototypes must have shape"),
        (lambda z: swav(z, z, z, tau=0.0), "tau must be > 0"),
        (lambda z: sinkhorn_codes(z, epsilon=0.0), "epsilon must be > 0"),
        (lambda z: sinkhorn_codes(z, iterations=10**9), "iterations must be <= 1000"),
        (lambda z: sinkhorn_codes(z, iterations=0), "iterations must be >= 1"),
        (lambda z: barlow(z[:1], z[:1]), r"z must have shape \[batch >= 2"),
        (lambda z: barlow(z, z, lam=-1.0), "lam must be >= 0"),
        (lambda z: VICRegWeights(views="both"), "views must be one of"),
        (lambda z: VICRegWeights(variance=-1.0), "variance must be >= 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones((4, 3)))
