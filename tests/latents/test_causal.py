"""The causal graph of scene factors, and latent transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl.latents import causal, sample_causal, transform
from jidcl.mixing.scenes import Figures, figures
from jidcl.mixing.scenes.common import part_of

ALARM = 1e-4  # chance of a false alarm of each statistical test below


@pytest.fixture(scope="module")
def drawn():
    z, label = one_program(sample_causal)(jax.random.key(3), batch=8192)
    return np.asarray(z, np.float64), np.asarray(label)


def test_columns_and_groups_are_the_factors_of_the_scene():
    names = Figures.factors
    assert len(names) == causal.FACTORS
    held = {g: [names[c] for c in columns] for g, columns in causal.GROUPS.items()}
    assert held == {
        "positions": ["x", "y", "z", "spot_angle"],
        "rotations": ["alpha", "beta", "gamma"],
        "hues": ["object_hue", "spot_hue", "ground_hue"],
    }


def test_roots_are_uniform_and_independent(drawn):
    z, label = drawn
    counts = np.bincount(label, minlength=7)
    assert stats.chisquare(counts).pvalue > ALARM
    for column in (7, 9, 10):
        assert stats.kstest(z[:, column], stats.uniform(-1, 2).cdf).pvalue > ALARM
    roots = np.column_stack([z[:, (7, 9, 10)], label])
    correlations = np.corrcoef(roots.T)[np.triu_indices(4, 1)]
    assert (np.abs(correlations) < stats.norm.isf(ALARM / 12) / len(z) ** 0.5).all()


def test_mechanisms_are_the_stated_truncated_normals(drawn):
    z, label = drawn
    assert np.abs(z).max() <= 1
    share = np.asarray(causal.HUE_SHARE)[label]
    means = np.column_stack(
        [
            np.asarray(causal.POSITION_EFFECT)[label] * z[:, 7:8],
            np.asarray(causal.TURN_MEAN)[label],
            share * z[:, 9] + (1 - share) * z[:, 10],
        ]
    )
    spreads = [0.5] * 6 + [0.2]
    for k, (column, spread) in enumerate(
        zip((1, 2, 3, 4, 5, 6, 8), spreads, strict=True)
    ):
        mean = means[:, k]
        law = stats.truncnorm((-1 - mean) / spread, (1 - mean) / spread, mean, spread)
        assert stats.kstest(law.cdf(z[:, column]), "uniform").pvalue > ALARM


def test_classes_differ_in_their_mechanisms():
    laws = list(zip(causal.POSITION_EFFECT, causal.TURN_MEAN, strict=True))
    assert len(set(laws)) == causal.CLASSES


def test_the_first_column_shows_the_object_of_the_class(drawn):
    z, label = drawn
    assert len(figures.NAMES) == causal.CLASSES
    drawn_object = part_of(jnp.asarray(z[:, 0], jnp.float32), causal.CLASSES)
    np.testing.assert_array_equal(drawn_object, label)


@pytest.mark.parametrize("groups", [("hues",), ("positions", "hues"), ("rotations",)])
def test_a_transformation_redraws_its_factors_about_themselves(drawn, groups):
    z = drawn[0]
    new = np.asarray(
        transform(jax.random.key(1), jnp.asarray(z, jnp.float32), groups), np.float64
    )
    touched = sorted(c for g in groups for c in causal.GROUPS[g])
    rest = [c for c in range(11) if c not in touched]
    np.testing.assert_array_equal(new[:, rest], z[:, rest].astype(np.float32))
    for c in touched:
        law = stats.truncnorm(-1 - z[:, c], 1 - z[:, c], z[:, c], 1.0)
        assert stats.kstest(law.cdf(new[:, c]), "uniform").pvalue > ALARM


def test_wrong_arguments_are_named():
    key, z = jax.random.key(0), jnp.zeros((2, 11))
    with pytest.raises(ValueError, match=r"group must be one of .*, got 'hue'"):
        transform(key, z, ("hue",))
    with pytest.raises(ValueError, match="number of groups must be >= 1"):
        transform(key, z, ())
    with pytest.raises(ValueError, match="scale must be > 0"):
        transform(key, z, ("hues",), scale=0.0)
    with pytest.raises(ValueError, match="11"):
        transform(key, z[:, :10], ("hues",))
    with pytest.raises(ValueError, match="batch must be >= 1"):
        sample_causal(key, batch=0)
