"""The audit of the words: planted truths, and that it can come out wrong."""

import numpy as np
import pytest

from jidcl.report import words
from jidcl.run import audit
from jidcl.run.audit import audit_verdict, passed, summary
from jidcl.run.planted import KINDS, LAWS, plant


@pytest.mark.parametrize("kind", KINDS)
def test_planted_truths_hold_for_scores_of_many_rows(kind, rng):
    for law in LAWS:
        z = LAWS[law](rng, (4000, 3))
        y, linear, single = KINDS[kind](rng, z)
        assert y.shape[0] == 4000
        assert y.shape[1] >= 3
        design = np.column_stack([y, np.ones(len(y))])
        left = z - design @ np.linalg.lstsq(design, z, rcond=None)[0]
        shares = 1 - left.var(axis=0) / z.var(axis=0)
        assert (shares.mean() > 0.95) == linear, (law, shares)
        if not linear:
            assert not single


def test_few_words_are_wrong_on_planted_representations():
    rows = list(audit_verdict(120, seed=1))
    found = summary(rows)
    assert found["judged"] == 240
    assert sum(sum(c.values()) for c in found["confusion"].values()) == 240
    assert found["false_identified"] <= 0.02
    assert found["missed"] <= 0.05


def test_the_audit_sees_a_judge_that_forgets_its_nulls(monkeypatch):
    monkeypatch.setattr(words, "NULLS", ())
    found = summary(list(audit_verdict(120, seed=1)))
    assert found["false_identified"] > 0.01
    assert not passed(found)
    assert found["worst"][0]["word"] == "identified"


@pytest.mark.long
def test_the_audit_sees_a_judge_that_reads_the_fitted_rows(monkeypatch):
    monkeypatch.setattr(audit, "_few_rows", lambda rng, case: ({}, {}))
    found = summary(list(audit_verdict(150, seed=11)))
    assert found["false_identified"] > 0.01
    assert not passed(found)


def test_a_rate_beyond_its_limit_does_not_pass():
    row = dict(kind="k", metric="r2", recovered=True, in_x=False, word="identified")
    other = row | {"recovered": False, "word": "not identified"}
    good = [row] * 100 + [other] * 100
    assert passed(summary(good))
    assert passed(summary([row | {"word": "not identified"}] * 5 + good))
    assert not passed(summary([row | {"word": "not identified"}] * 8 + good))
    assert not passed(summary([other | {"word": "identified"}] * 2 + good))
    assert not passed(summary([row]))  # nothing could have been false


def test_the_same_seed_plants_the_same_and_counts_are_checked():
    one, two = (plant(np.random.default_rng(3)) for _ in range(2))
    for name in ("z", "x", "y", "start"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        next(audit_verdict(0))
