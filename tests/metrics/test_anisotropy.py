import jax
import numpy as np
import pytest

from budget import one_program
from jidcl import metrics
from jidcl.metrics import equal_blocks

block_r2 = one_program(metrics.block_r2)
lambda_recovery = one_program(metrics.lambda_recovery)
mcc = one_program(metrics.mcc)
rotation_null = one_program(metrics.rotation_null)


def test_lambda_recovery_of_permuted_precisions():
    lam = np.float32([5.0, 10.0, 20.0])
    learned = np.float32([22.0, 0.1, 5.5, 9.0])  # the second output reads nothing
    got = lambda_recovery(lam, learned, np.array([2, 3, 0]))
    np.testing.assert_allclose(got.aligned, [5.5, 9.0, 22.0])
    np.testing.assert_allclose(got.error, 0.1, rtol=1e-6)
    np.testing.assert_allclose(got.sorted_error, 0.1, rtol=1e-6)
    want = np.corrcoef([5, 10, 20], [5.5, 9, 22])[0, 1]
    np.testing.assert_allclose(got.pearson, want, rtol=1e-5)


def test_lambda_recovery_tells_order_from_values():
    lam = np.float32([5.0, 10.0, 20.0])
    got = lambda_recovery(lam, lam, np.array([2, 1, 0]))
    np.testing.assert_allclose(got.error, (3 + 0 + 0.75) / 3, rtol=1e-6)
    assert got.sorted_error == 0
    np.testing.assert_allclose(
        lambda_recovery(lam, np.ones(3, np.float32), np.arange(3)).pearson, 0, atol=1e-6
    )
    with pytest.raises(ValueError, match="learned lam must be >= 3, got 2"):
        lambda_recovery(lam, lam[:2], np.arange(3))


def test_blocks_are_the_common_refinement():
    assert equal_blocks((5.0, 25.0, 5.0)) == [[1], [0, 2]]
    both = equal_blocks((25.0, 25.0, 5.0, 5.0), (25.0, 5.0, 25.0, 25.0))
    assert both == [[0], [1], [2, 3]]


def test_block_r2_sees_rotations_inside_blocks_only(rng):
    z = rng.normal(size=(400, 5)).astype(np.float32)
    blocks = [[0, 3], [1, 2, 4]]
    turn = {size: np.linalg.qr(rng.normal(size=(size, size)))[0] for size in (2, 3, 5)}
    inside = np.concatenate([z[:, blocks[1]] @ turn[3], z[:, blocks[0]] @ turn[2]], 1)
    lam_hat = np.float32([5.0, 5.2, 4.9, 24.0, 23.0])
    score = block_r2(z, np.float32(inside), lam_hat, blocks)
    np.testing.assert_allclose(score, 1, atol=1e-5)
    across = np.float32(z @ turn[5])
    assert np.mean(block_r2(z, across, lam_hat, blocks)) < 0.9


def test_rotations_inside_blocks_leave_single_latents_alone(rng):
    z = rng.normal(size=(300, 3)).astype(np.float32)
    own = rotation_null(jax.random.key(0), z, draws=20, blocks=[[0], [1], [2]])
    np.testing.assert_allclose(own, 1, atol=1e-6)
    pair = np.asarray(
        rotation_null(jax.random.key(0), z, draws=50, blocks=[[2, 0], [1]])
    )
    # Two columns turned by an angle match with cosines from 1 to 1 / sqrt 2.
    slack = 0.05  # their own correlation in 300 samples
    assert (pair > (2 * 2**-0.5 + 1) / 3 - slack).all()
    assert pair.min() < 0.9 < pair.max()
    assert len({round(float(v), 5) for v in pair}) > 40


def test_block_r2_follows_mcc_where_blocks_are_single(rng):
    z = np.float32(rng.normal(size=(200, 3)))
    lam_hat = np.float32([1.0, 3.0, 2.0])
    y = z[:, [2, 0, 1]] + np.float32(0.3)
    score = block_r2(z, y, lam_hat, [[0], [1], [2]])
    np.testing.assert_allclose(score, mcc(z, y).per_dim ** 2, atol=1e-5)
