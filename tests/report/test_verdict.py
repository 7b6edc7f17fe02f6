import dataclasses
import json

import numpy as np
import pytest

from jidcl.report.claims import Claim, QuickClaim, load_claims
from jidcl.report.records import Record, read_record, run_name, write_record
from jidcl.report.tables import cells, to_csv, to_markdown
from jidcl.report.verdict import (
    band,
    four_words,
    gap_bar,
    judge,
    judge_falling,
    judge_free,
    judge_quick,
    judge_scores,
)
from jidcl.systems.contrastive_ica.presets import presets


def record(r2, *, gap=0.0, gap_se=0.001, mcc=0.5, floor=1.0, chance=2.0, **fields):
    k = len(r2)
    metrics = {
        "r2": list(r2),
        "mcc": list(np.broadcast_to(mcc, k)),
        "gap": list(np.broadcast_to(gap, k)),
        "gap_se": [gap_se] * k,
        "floor": [floor] * k,
        "chance": [chance] * k,
        "r2_shuffled": [0.01] * k,
        "mcc_shuffled": [0.02] * k,
        "r2_identity": [0.6] * k,
        "mcc_identity": [0.4] * k,
        "mcc_rotation_low": [0.6] * k,
        "mcc_rotation_high": [0.9] * k,
    }
    base = Record(
        schema_version=1,
        system="contrastive_ica",
        preset="quick/x",
        config={},
        seeds=list(range(k)),
        floor_kind="limit",
        metrics=metrics,
        untrained={"r2": [0.5] * k},
        curve=[],
        seconds={},
        device="cpu",
    )
    return dataclasses.replace(base, **fields)


QUICK = QuickClaim("q", "x", "r2", 99.0, "identified", "Theorem 2", "text")
ROW = Claim("t", "t", "unsupervised", "r2", "recovers", "Table 1", "text", 99.0, 0.1, 5)
FAILS = Claim("f", "f", "unsupervised", "mcc", "fails", "Table 2", "text", 58.0, 3.0, 5)


@pytest.mark.parametrize(
    ("closed", "reached", "word"),
    [
        (True, True, "identified"),
        (False, True, "identified early"),
        (True, False, "not identified"),
        (False, False, "not optimised"),
    ],
)
def test_the_four_words(closed, reached, word):
    assert four_words(closed, reached) == word


def test_gap_is_closed_below_three_errors_or_two_percent():
    np.testing.assert_allclose(gap_bar(record([1.0], gap_se=0.001)), [0.02])
    np.testing.assert_allclose(gap_bar(record([1.0], gap_se=0.02)), [0.06])
    np.testing.assert_allclose(gap_bar(record([1.0], gap_se=0.5)), [0.1])


def test_what_a_linear_map_leaves_bounds_the_share_of_an_open_gap():
    plain = record([1.0], gap_se=0.0)
    for linear, bar in ((1.1, 0.01), (1.3, 0.015), (2.0, 0.02)):
        metrics = plain.metrics | {"linear_loss": [linear]}
        bars = gap_bar(dataclasses.replace(plain, metrics=metrics))
        np.testing.assert_allclose(bars, [bar])


def test_quick_needs_the_mean_and_four_of_five_seeds():
    good, bad = 0.995, 0.9
    assert judge_quick(QUICK, record([good] * 5)).ok
    one_off = judge_quick(QUICK, record([0.999] * 4 + [0.98]))
    assert one_off.ok
    assert one_off.seeds.count("not identified") == 1
    assert not judge_quick(QUICK, record([0.999] * 3 + [0.989] * 2)).ok
    low_mean = judge_quick(QUICK, record([good] * 4 + [bad]))
    assert not low_mean.ok
    assert low_mean.word == "not identified"
    assert judge_quick(QUICK, record([good] * 5, gap=0.5)).word == "identified early"
    assert judge_quick(QUICK, record([bad] * 5, gap=0.5)).word == "not optimised"
    assert judge_quick(QUICK, record([good] * 5, gap=-0.5)).word == "identified"


def test_a_predicted_failure_is_right_only_with_the_gap_closed_and_at_its_null():
    claim = dataclasses.replace(
        QUICK, metric="mcc", threshold=95.0, expect="not identified", null="rotation"
    )
    assert judge_quick(claim, record([1.0] * 5, mcc=0.75)).ok
    assert not judge_quick(claim, record([1.0] * 5, mcc=0.75, gap=0.5)).ok
    outside = judge_quick(claim, record([1.0] * 5, mcc=0.3))
    assert not outside.ok
    assert "0 of 5 inside" in outside.note
    null = dataclasses.replace(QUICK, expect="not identified", null="identity")
    assert judge_quick(null, record([0.55] * 5)).ok
    assert not judge_quick(null, record([0.8] * 5)).ok


def test_reproduced_consistent_missed():
    assert band(ROW) == 0.5
    assert band(FAILS) == 6.0
    assert judge(ROW, record([0.9855] * 5)).outcome == "reproduced"
    assert judge(ROW, record([0.999] * 5)).outcome == "reproduced"  # above
    assert judge(ROW, record([0.9855] * 2)).outcome == "consistent, 2 of 5 seeds"
    assert judge(ROW, record([0.984] * 5)).outcome == "missed"
    open_gap = judge(ROW, record([0.9855] * 5, gap=0.5))
    assert (open_gap.word, open_gap.outcome) == ("identified early", "reproduced")


def test_failing_claims_need_the_gap_and_the_recovery_of_the_same_run():
    run = record([0.99] * 5, mcc=0.6)
    assert judge(FAILS, run).outcome == "reproduced"
    assert judge(FAILS, run).word == "not identified"
    assert judge(FAILS, record([0.99] * 5, mcc=0.6, gap=0.5)).outcome == "missed"
    assert judge(FAILS, record([0.99] * 5, mcc=0.75)).outcome == "missed"
    missed = judge(ROW, record([0.5] * 5, mcc=0.6))
    both = judge(FAILS, run, also=missed)
    assert both.outcome == "missed"
    assert "misses t" in both.note
    assert judge(FAILS, run, also=judge(ROW, run)).ok


def test_orderings_and_identity_scores():
    order = dict(id="o", source="Figure 2", text="falls", metric="r2")
    falling = judge_falling(order, [np.array([0.9]), np.array([0.5])])
    assert falling.ok
    assert cells(falling)[2] == "R² 90.0 > 50.0"
    assert not judge_falling(order, [np.array([0.5]), np.array([0.9])]).ok
    plateau = [np.array([m]) for m in (0.999, 0.9991, 0.998, 0.5)]
    assert judge_falling(order, plateau).ok
    assert not judge_falling(order, plateau[:3]).ok
    assert judge_scores(ROW, np.array([0.992, 0.988])).ok
    assert not judge_scores(ROW, np.array([0.50, 0.501])).ok


def test_records_round_trip_and_refuse_what_is_not_theirs(tmp_path):
    original = record([0.5, 0.6])
    write_record(tmp_path, original)
    assert read_record(tmp_path) == original
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    path = tmp_path / "result.json"
    text = path.read_text()
    for broken, message in (
        ("{", "is not a JSON file"),
        ("[]", "are missing"),
        (text.replace('"seeds"', '"sedes"'), r"\['seeds'\] are missing"),
        (
            text.replace('"schema_version": 1', '"schema_version": 9'),
            "must be 1, got 9",
        ),
        (
            text.replace('"device"', '"more": 1,\n "device"'),
            r"unknown fields \['more'\]",
        ),
    ):
        path.write_text(broken)
        with pytest.raises(ValueError, match=message):
            read_record(tmp_path)
    with pytest.raises(ValueError, match="metric must be one of .* got 'r3'"):
        original.values("r3")
    assert run_name("a/b", {"x": 1}) != run_name("a/b", {"x": 2})
    assert run_name("a/b", {"x": 1}).startswith("a-b-")


def test_tables_hold_every_verdict_and_escape_pipes():
    verdict = dataclasses.replace(judge_quick(QUICK, record([1.0] * 5)), text="a|b")
    text = to_markdown([verdict])
    assert "a\\|b" in text
    assert "5 identified" in text
    assert "untrained 50.0" in text
    assert cells(verdict)[-1] == "✓ as expected"
    rows = to_csv([verdict, verdict]).splitlines()
    assert len(rows) == 3
    assert rows[0].startswith("claim,source,metric,score")


def test_packaged_claims_are_complete_and_name_presets_that_exist():
    from jidcl.systems.registry import SYSTEMS, load_presets

    for system in SYSTEMS:
        claims, names = load_claims(system), load_presets(system)
        ids = [c.id for c in (*claims.published, *claims.quick)]
        assert len(ids) == len(set(ids))
        for claim in claims.published:
            assert f"full/{claim.preset}" in names
            assert f"published/{claim.preset}" in names
            assert 0 <= claim.mean <= 500  # percent; errors may exceed 100
            assert claim.same_run is None or claim.same_run in ids
        for claim in claims.quick:
            assert f"quick/{claim.preset}" in names
    claims = load_claims("contrastive_ica")
    rows = {f"t1r{i}" for i in range(1, 13)} | {f"t2r{i}" for i in range(1, 11)}
    assert rows <= {claim.id for claim in claims.published}
    with pytest.raises(ValueError, match="did you mean 't1r3'"):
        claims.published_by_id("t1r33")


def test_scores_that_are_not_finite_confirm_nothing():
    claim = QuickClaim("q", "p", "r2", 99, "not identified", "", "")
    assert not judge_quick(claim, record([np.nan] * 5)).ok
    assert judge_quick(claim, record([0.5] * 5)).ok


def test_a_row_needs_most_of_its_gaps_closed_and_noise_cannot_hide_a_gap():
    claim = QuickClaim("q", "p", "r2", 90, "identified", "", "")
    gaps = [-0.5, 0.04, 0.04, 0.04, 0.04]
    assert judge_quick(claim, record([0.99] * 5, gap=gaps)).word == "identified early"
    loud = record([0.99] * 5, gap=0.9, gap_se=0.4)
    assert judge_quick(claim, loud).word == "identified early"


def test_a_run_without_a_claim_gets_its_four_words():
    linear, permutation = judge_free(record([0.99], mcc=0.5, config={"steps": 3}))
    assert (linear.word, permutation.word) == ("identified", "not identified")
    assert cells(linear)[-1] == "-"
    # Without a floor nothing is known of the optimisation.
    (bare, _) = judge_free(record([0.1], floor_kind="none", config={"steps": 3}))
    assert (bare.word, bare.seeds) == ("-", ())
    assert not linear.judged


def test_a_run_is_told_from_its_preset_and_a_sphere_has_no_axes():
    config = json.loads(json.dumps(dataclasses.asdict(presets()["quick/sphere-vmf"])))
    config |= {"tau": 0.2, "steps": 60}
    own = dict(preset="contrastive_ica:quick/sphere-vmf-custom", config=config)
    (linear,) = judge_free(record([0.99], **own))
    assert (linear.metric, linear.source) == ("r2", "60 steps, tau=0.2")


def test_an_analogue_is_set_beside_and_not_judged():
    claim = dataclasses.replace(ROW, direction="analogue", mean=90.0)
    verdict = judge(claim, record([0.5, 0.6]))
    assert (verdict.outcome, verdict.word, verdict.ok) == ("analogue", "-", True)
    assert (verdict.judged, verdict.mark) == (False, "·")
    assert verdict.difference == pytest.approx(55 - 90)
    assert verdict.expected.startswith("90.00")
    lost = judge(claim, record([0.5, float("nan")]))
    assert (lost.ok, lost.mark) == (False, "✗")


def test_what_is_expected_early_may_come_with_the_gap_closed():
    claim = dataclasses.replace(QUICK, expect="identified early", threshold=90.0)
    closed = judge_quick(claim, record([0.95] * 5, gap=0.0))
    still_open = judge_quick(claim, record([0.95] * 5, gap=0.5))
    assert (closed.word, closed.ok) == ("identified", True)
    assert (still_open.word, still_open.ok) == ("identified early", True)
    assert not judge_quick(claim, record([0.5] * 5, gap=0.5)).ok
