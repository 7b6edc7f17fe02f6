"""The gap of a run, its evaluation loss beside the floor, against NumPy and SciPy."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from jidcl.train.evaluation import summarised, summary
from jidcl.types import Evaluation, Losses


def known(*losses, **own):
    return summary(Losses(*map(jnp.asarray, losses), **own))


def measured(rng, batches):
    """Losses of `batches` paired batches and what is reported of them."""
    loss, reference, chance = rng.normal(size=(3, batches)).astype(np.float32)
    return loss, reference, chance, known(loss, reference, chance)


def test_means_are_those_of_the_batches(rng):
    loss, reference, chance, got = measured(rng, 5)
    for name, values in dict(loss=loss, reference=reference, chance=chance).items():
        np.testing.assert_allclose(got[name], values.mean(), rtol=1e-5)
    np.testing.assert_allclose(got["gap"], (loss - reference).mean(), rtol=1e-5)


def test_standard_error_of_the_gap_is_that_of_paired_differences(rng):
    # Of few batches the divisor counts: 3 instead of 2 is an error a fifth too small.
    for batches in (2, 3, 10):
        loss, reference, _, got = measured(rng, batches)
        want = stats.sem(np.float64(loss) - reference)
        np.testing.assert_allclose(got["gap_se"], want, rtol=1e-5)


def test_standard_error_does_not_see_what_the_batches_share(rng):
    shared = 100 * rng.normal(size=6)
    same = known(np.float32(shared + 0.5), np.float32(shared), np.zeros(6))
    np.testing.assert_allclose(same["gap"], 0.5, rtol=1e-4)
    np.testing.assert_allclose(same["gap_se"], 0, atol=1e-5)


def test_loss_reference_and_gap_subtract_beside_a_limit():
    loss, reference = np.array([2.0, 3.0]), np.array([1.0, 1.0])
    got = known(loss, reference, limit=jnp.asarray(0.5), extra={"own": jnp.ones(2)})
    names = ("loss", "reference", "gap", "limit", "own")
    np.testing.assert_allclose([got[k] for k in names], [2.5, 1, 1.5, 0.5, 1])
    assert "chance" not in got
    assert set(known(loss)) == {"loss"}


def test_an_evaluation_of_scores_alone_has_no_losses():
    for result in ({"r2": jnp.ones(())}, Evaluation({"r2": jnp.ones(())})):
        got = summarised(result)
        assert (got.scores, got.losses, got.nulls) == ({"r2": 1}, {}, {})
    again = summarised(Evaluation({}, known(np.ones(2))))
    assert again.losses == {"loss": 1}
