"""Content/style latents against SciPy's Wishart law and the model's moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl import latents
from jidcl.latents import changed_pair, covariance, init_blocks

sample_block_pair = one_program(latents.sample_block_pair)
sample_blocks = one_program(latents.sample_blocks)

N_C, N_S, ROWS = 2, 3, 20_000


@pytest.fixture(scope="module")
def law():
    return one_program(init_blocks)(jax.random.key(0), N_C, N_S, stat=True, causal=True)


def joint_covariance(law):
    """Covariance of (c, s), in float64 NumPy."""
    law = [np.asarray(part, np.float64) for part in law]
    content, style, _, effect, _ = law
    c, noise = content @ content.T, style @ style.T
    cross = c @ effect.T
    return np.block([[c, cross], [cross.T, effect @ cross + noise]])


def test_without_switches_everything_is_standard():
    law = init_blocks(jax.random.key(0), N_C, N_S)
    for factor, size in zip(law[:3], (N_C, N_S, N_S), strict=True):
        np.testing.assert_array_equal(factor, np.eye(size))
    assert not law.effect.any()
    assert not law.offset.any()


def test_drawn_covariances_follow_the_wishart_law():
    # log det of Wishart(n, I) is a sum of log chi-squares; Kolmogorov-Smirnov of 400
    # draws against as many by SciPy, each of three covariances: false alarms 3e-4.
    keys = jax.random.split(jax.random.key(1), 400)
    laws = jax.jit(jax.vmap(lambda k: init_blocks(k, N_C, N_S, stat=True)))(keys)
    for factors, size in zip(laws[:3], (N_C, N_S, N_S), strict=True):
        got = np.linalg.slogdet(np.asarray(jax.vmap(covariance)(factors)))[1]
        want = stats.wishart(size, np.eye(size)).rvs(400, random_state=0)
        assert stats.ks_2samp(got, np.linalg.slogdet(want)[1]).pvalue > 1e-4
    # Independent of each other: correlations of 400 pairs, four standard errors.
    first, second = laws.style[:, 0, 0], laws.change[:, 0, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / 20


def test_small_eigenvalues_are_raised_and_others_kept():
    keys = jax.random.split(jax.random.key(2), 20)

    def draw(least):
        make = lambda k: init_blocks(k, 2, 2, stat=True, least_eigenvalue=least)  # noqa: E731
        factors = jax.jit(jax.vmap(make))(keys).change
        return np.linalg.eigvalsh(np.asarray(jax.vmap(covariance)(factors)))

    np.testing.assert_allclose(draw(0.5), np.maximum(draw(0.0), 0.5), rtol=1e-3)


def test_sampled_moments_are_those_of_the_model(law):
    # A mean of normals, and a covariance by its own sampling error: five standard
    # errors for each of 20 numbers, false alarms about 1e-5.
    z = np.asarray(sample_blocks(jax.random.key(3), law, batch=ROWS), np.float64)
    sigma = joint_covariance(law)
    spread = np.sqrt(np.diag(sigma))
    mean = np.concatenate([np.zeros(N_C), law.offset])
    assert np.abs((z.mean(0) - mean) / spread).max() < 5 / np.sqrt(ROWS)
    outer = np.outer(spread, spread)
    error = np.sqrt((sigma**2 + outer**2) / ROWS)
    assert (np.abs(np.cov(z.T) - sigma) / error).max() < 5


def test_pairs_share_content_and_change_as_asked(law):
    change = jnp.asarray([1.0, 0.5, 0.0])
    pair = sample_block_pair(jax.random.key(4), law, batch=ROWS, change=change)
    step = np.asarray(pair.z_pos - pair.z, np.float64)
    assert not step[:, :N_C].any()
    changed = step[:, N_C:] != 0
    assert changed[:, 0].all()
    assert not changed[:, 2].any()
    assert abs(changed[:, 1].mean() - 0.5) < 5 * 0.5 / np.sqrt(ROWS)
    # Where both change, delta has the covariance of its marginal.
    both = step[changed[:, 1], N_C : N_C + 2]
    sigma = np.asarray(covariance(law.change), np.float64)[:2, :2]
    outer = np.outer(np.diag(sigma), np.diag(sigma))
    error = np.sqrt((sigma**2 + outer) / len(both))
    assert (np.abs(np.cov(both.T) - sigma) / error).max() < 5
    # And it does not depend on the latents.
    correlation = np.corrcoef(both[:, 0], np.asarray(pair.z)[changed[:, 1], N_C])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(len(both))


def test_the_inverse_of_a_matrix_with_an_infinity_is_no_number():
    factor = jnp.eye(2).at[0, 0].set(jnp.inf)
    assert jnp.isnan(latents.whitening(factor)).all()


def test_bad_input_is_refused(law):
    key = jax.random.key(6)
    with pytest.raises(ValueError, match="n_c must be >= 1, got 0"):
        init_blocks(key, 0, 2)
    with pytest.raises(ValueError, match="batch must be >= 2, got 1"):
        sample_block_pair(key, law, batch=1)
    with pytest.raises(ValueError, match=r"change must be in \[0, 1\], got 1.5"):
        sample_block_pair(key, law, batch=2, change=1.5)
    pair = changed_pair(law, jnp.zeros((1, 5)), jnp.ones((1, 3)), jnp.zeros((1, 3)))
    np.testing.assert_array_equal(pair.z_pos, pair.z)
