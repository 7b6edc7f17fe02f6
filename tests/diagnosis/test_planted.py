"""The table of planted cases: the page shows it, and the pairs are what it says."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from jidcl.diagnosis.planted import CASES, TRUTH, plant
from jidcl.diagnosis.sentences import SENTENCES

PAGE = Path(__file__).parents[2] / "docs/own-data.md"


def row(name):
    """A case as the page shows it."""
    case = CASES[name]
    right = "; ".join(" or ".join(f"`{s}`" for s in one) for one in case.right)
    wrong = ", ".join(f"`{s}`" for s in case.wrong)
    return f"| `{name}` | {case.truth} | {right} | {wrong} |"


def test_the_page_shows_every_case():
    text = PAGE.read_text()
    assert len(CASES) == 12
    for name in CASES:
        assert row(name) in text


@pytest.mark.parametrize("name", CASES)
def test_no_sentence_is_both_right_and_wrong(name):
    case = CASES[name]
    assert case.right
    assert not {s for one in case.right for s in one} & set(case.wrong)


@pytest.mark.parametrize("name", CASES)
def test_pairs_are_drawn_from_the_seed(name):
    x, x_pos = plant(name, 3, rows=200)
    again, other = plant(name, 3, rows=200), plant(name, 4, rows=200)
    assert x.shape == x_pos.shape
    assert x.dtype == np.float32
    assert np.isfinite([x, x_pos]).all()
    np.testing.assert_array_equal(x, again[0])
    assert not np.array_equal(x, other[0])


def close(x, x_pos):
    """Mean distance of partners over that of rows with others'."""
    far = np.linalg.norm(x - np.roll(x_pos, 1, axis=0), axis=1).mean()
    return np.linalg.norm(x - x_pos, axis=1).mean() / far


def test_partners_are_near_unless_shuffled():
    assert close(*plant("matched", 0, rows=500)) < 0.5
    assert 0.8 < close(*plant("shuffled", 0, rows=500)) < 1.2


def test_columns_are_as_planted():
    x, _ = plant("duplicate_columns", 0, rows=100)
    np.testing.assert_allclose(x[:, -1], 3 - 2 * x[:, 0], rtol=1e-5)
    assert len(plant("few_samples", 0)[0]) == 40
    # Two factors make a surface: nearest rows have two directions, not three.
    thirds = [third_direction(name) for name in ("non_invertible", "matched")]
    assert thirds[0] < 0.1 < 0.3 < thirds[1]


def third_direction(name):
    """Third over first singular value of nearest rows, on average."""
    x, _ = plant(name, 0, rows=4000)
    near = x[KDTree(x).query(x[:200], k=8)[1]]
    near = near - near.mean(axis=1, keepdims=True)
    values = np.linalg.svd(near, compute_uv=False)
    return np.mean(values[:, 2] / values[:, 0])


def told(names):
    """Cases as the page lists them."""
    return ", ".join(f"`{name}`" for name in CASES if name in names) or "none"


def test_the_page_shows_where_every_sentence_is_true():
    text = PAGE.read_text()
    assert set(SENTENCES) - set(TRUTH) == {"one_run", "open_p", "not_from_pairs"}
    for name, truth in TRUTH.items():
        row = f"| `{name}` | {told(truth.true)} | {told(truth.open)} |"
        assert row in text


@pytest.mark.parametrize("name", CASES)
def test_what_must_be_said_is_true_and_what_must_not_is_false(name):
    case = CASES[name]
    for (must,) in (one for one in case.right if len(one) == 1):
        assert TRUTH[must].of(name) is True
    for sentence in case.wrong:
        assert TRUTH[sentence].of(name) is not True
