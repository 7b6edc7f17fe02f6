import dataclasses
import json

import numpy as np
import pytest

from jidcl.claims import (
    Claim,
    CurveClaim,
    OrderingClaim,
    PublishedClaim,
)
from jidcl.report.judge import judge, judge_free
from jidcl.report.numbers import band
from jidcl.report.tables import cells, to_csv, to_markdown
from jidcl.report.words import four_words, gap_bar
from jidcl.systems.contrastive_ica.presets import presets
from reference.records import QUICK, bare, curve, record

ROW = PublishedClaim(
    id="t",
    preset="x",
    column="unsupervised",
    metric="r2",
    direction="recovers",
    source="Table 1",
    text="text",
    mean=99.0,
    std=0.1,
    seeds=5,
)
FAILS = dataclasses.replace(
    ROW, id="f", metric="mcc", direction="fails", mean=58.0, std=3.0
)


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
        losses = plain.losses | {"linear_loss": [linear]}
        bars = gap_bar(dataclasses.replace(plain, losses=losses))
        np.testing.assert_allclose(bars, [bar])


def test_a_row_has_the_word_of_four_of_five_seeds_else_it_is_mixed():
    good, bad = 0.995, 0.9
    assert judge(record([good] * 5), QUICK).ok
    one_off = judge(record([0.999] * 4 + [0.98]), QUICK)
    assert one_off.ok
    assert one_off.seeds.count("not identified") == 1
    mixed = judge(record([0.999] * 3 + [0.989] * 2), QUICK)
    assert (mixed.ok, mixed.word) == (False, "mixed")
    assert "mixed: 3 identified, 2 not identified" in cells(mixed)
    assert mixed.note == "the means alone would say identified"
    # Means do not decide: neither that of the score nor that of the gap.
    low_mean = judge(record([good] * 4 + [bad]), QUICK)
    assert (low_mean.ok, low_mean.word) == (True, "identified")
    assert low_mean.note == "the means alone would say not identified"
    four = judge(record([good] * 4 + [bad], gap=[0.0] * 4 + [0.5]), QUICK)
    assert four.word == "identified"
    assert four.seeds[-1] == "not optimised"
    for count, word in ((1, "mixed"), (2, "mixed"), (4, "identified")):
        seeds = [good] * count + [bad]
        assert judge(record(seeds), QUICK).word == word
    assert judge(record([good] * 5, gap=0.5), QUICK).word == "identified early"
    assert judge(record([bad] * 5, gap=0.5), QUICK).word == "not optimised"
    assert judge(record([good] * 5, gap=-0.5), QUICK).word == "identified"


def test_a_predicted_failure_is_right_only_with_the_gap_closed_and_at_its_null():
    claim = dataclasses.replace(
        QUICK, metric="mcc", threshold=95.0, expect="not identified", null="rotation"
    )
    assert judge(record([1.0] * 5, mcc=0.75), claim).ok
    assert not judge(record([1.0] * 5, mcc=0.75, gap=0.5), claim).ok
    outside = judge(record([1.0] * 5, mcc=0.3), claim)
    assert not outside.ok
    assert "0 of 5 inside" in outside.note
    null = dataclasses.replace(QUICK, expect="not identified", null="identity")
    assert judge(record([0.55] * 5), null).ok
    assert not judge(record([0.8] * 5), null).ok


def test_reproduced_consistent_missed():
    assert band(ROW) == 0.5
    assert band(FAILS) == 6.0
    assert judge(record([0.9855] * 5), ROW).outcome == "reproduced"
    assert judge(record([0.999] * 5), ROW).outcome == "reproduced"  # above
    assert judge(record([0.9855] * 2), ROW).outcome == "consistent, 2 of 5 seeds"
    assert judge(record([0.984] * 5), ROW).outcome == "missed"
    open_gap = judge(record([0.9855] * 5, gap=0.5), ROW)
    assert (open_gap.word, open_gap.outcome) == ("identified early", "reproduced")


def test_failing_claims_need_the_gap_and_the_recovery_of_the_same_run():
    run = record([0.99] * 5, mcc=0.6)
    assert judge(run, FAILS).outcome == "reproduced"
    assert judge(run, FAILS).word == "not identified"
    assert judge(record([0.99] * 5, mcc=0.6, gap=0.5), FAILS).outcome == "missed"
    assert judge(record([0.99] * 5, mcc=0.75), FAILS).outcome == "missed"
    both = dataclasses.replace(FAILS, same_run=ROW)
    missed = judge(record([0.5] * 5, mcc=0.6), both)
    assert missed.outcome == "missed"
    assert "misses t" in missed.note
    assert judge(run, both).ok


def test_a_reference_is_within_its_band_and_a_run_without_training_gets_no_word():
    claim = dataclasses.replace(ROW, column="identity", direction="reference")
    met = judge(bare({"r2": [0.992, 0.988]}), claim)
    assert (met.ok, met.word, met.gap, met.outcome) == (True, "-", None, "as expected")
    assert not judge(bare({"r2": [0.50, 0.501]}), claim).ok
    quick = judge(bare({"r2": [0.995] * 5}), QUICK)
    assert (quick.ok, quick.word, quick.seeds) == (True, "-", ())
    assert not judge(bare({"r2": [0.9] * 5}), QUICK).ok
    (free,) = judge_free(bare({"r2": [0.99]}, config={"steps": 3}))
    assert (free.word, free.source) == ("-", "-")


def test_a_claim_may_bring_a_bar_of_its_own_for_the_gap():
    run = record([0.995] * 5, gap=0.3)
    assert judge(run, QUICK).word == "identified early"
    wide = judge(run, dataclasses.replace(QUICK, gap_bar=0.4))
    assert (wide.word, wide.bar) == ("identified", pytest.approx(0.4))
    row = dataclasses.replace(FAILS, gap_bar=0.4)
    assert judge(record([0.9] * 5, mcc=0.58, gap=0.3), row).ok
    assert not judge(record([0.9] * 5, mcc=0.58, gap=0.3), FAILS).ok


def test_behaviour_is_reproduced_or_not_and_says_nothing_of_the_gap():
    claim = dataclasses.replace(QUICK, vocabulary="behaviour", expect="reproduced")
    held = judge(record([0.995] * 5, gap=0.5), claim)
    assert (held.word, held.ok) == ("reproduced", True)
    missed = judge(record([0.9] * 5), claim)
    assert (missed.word, missed.ok) == ("not reproduced", False)
    never = dataclasses.replace(claim, expect="not reproduced")
    assert judge(bare({"r2": [0.9] * 5}), never).ok
    row = dataclasses.replace(ROW, vocabulary="behaviour")
    assert judge(record([0.99] * 5, gap=0.5), row).word == "reproduced"
    assert judge(record([0.5] * 5), row).word == "not reproduced"


def test_what_cannot_be_tested_says_why_and_reads_no_record():
    claim = dataclasses.replace(QUICK, untestable="the data were never published")
    verdict = judge((), claim)
    assert verdict.word == "not testable as published"
    assert (verdict.judged, verdict.mark, verdict.ok) == (False, "·", True)
    assert verdict.note == "the data were never published"
    assert cells(verdict)[2] == "R²"
    assert "the data were never published" in to_markdown([verdict])


def test_numbers_are_shown_in_the_unit_of_their_claim():
    raw = dataclasses.replace(ROW, unit="raw", metric="steps", mean=1200.0, std=10.0)
    run = record([0.5] * 5, scores={"steps": [1190.0] * 5})
    verdict = judge(run, raw)
    assert (verdict.outcome, verdict.score) == ("reproduced", 1190.0)
    assert cells(verdict)[2:4] == ("steps 1190 ± 0, 5 seeds", "-")
    # Half a percent of the published number stands for half a point.
    assert band(dataclasses.replace(raw, std=0.0)) == 6.0
    nats = dataclasses.replace(
        QUICK, unit="nats", metric="gap", threshold=0.2, bound="most"
    )
    verdict = judge(record([0.5] * 5, gap=0.1), nats)
    assert (verdict.word, verdict.score) == ("identified early", pytest.approx(0.1))
    assert cells(verdict)[2] == "gap 0.1 ± 0 nats, 5 seeds"


def test_a_claim_may_be_about_the_score_of_a_null():
    claim = dataclasses.replace(ROW, direction="reference", of_null="identity", mean=60)
    verdict = judge(record([0.99] * 5), claim)
    assert (verdict.ok, verdict.metric, verdict.nulls) == (True, "r2 (identity)", {})
    with pytest.raises(ValueError, match=r"null of r2 .* \['identity', 'shuffled'\]"):
        judge(record([0.99] * 5), dataclasses.replace(claim, of_null="turned"))


FALLS = OrderingClaim(
    id="o",
    source="Figure 2",
    text="falls",
    kind="falls",
    presets=("a", "b"),
    metrics=("r2",),
    margin=5.0,
    budgets=("full",),
)


def test_falling_allows_a_tenth_of_the_margin_on_a_plateau():
    falling = judge([record([0.9]), record([0.5])], FALLS)
    assert (falling.ok, falling.word) == (True, "reproduced")
    assert cells(falling)[2] == "R² 90.0 > 50.0"
    turned = judge([record([0.5]), record([0.9])], FALLS)
    assert (turned.ok, turned.word) == (False, "not reproduced")
    four = dataclasses.replace(FALLS, presets=tuple("abcd"))
    plateau = [record([m]) for m in (0.999, 0.9991, 0.998, 0.5)]
    assert judge(plateau, four).ok
    three = dataclasses.replace(FALLS, presets=tuple("abc"))
    assert not judge(plateau[:3], three).ok
    assert not judge([record([0.9]), record([np.nan])], FALLS).ok


def test_above_and_equal_need_the_margin_in_the_mean_and_in_most_seeds():
    above = dataclasses.replace(FALLS, kind="above")
    high, low = record([0.9] * 5), record([0.8] * 5)
    verdict = judge([high, low], above)
    assert (verdict.ok, cells(verdict)[2]) == (True, "R² 90.0 ≥ 80.0")
    assert verdict.seeds == ("reproduced",) * 5
    assert not judge([low, high], above).ok
    assert not judge([high, record([0.86] * 5)], above).ok
    # One seed that carries the mean is not enough.
    assert not judge([record([0.9] + [0.8] * 4), record([0.0] + [0.8] * 4)], above).ok
    equal = dataclasses.replace(FALLS, kind="equal")
    assert judge([high, record([0.86] * 5)], equal).ok
    assert not judge([high, low], equal).ok
    # Two scores of one run, and a score beside its null.
    scores = dataclasses.replace(above, presets=("a",), metrics=("r2", "mcc"))
    assert judge(record([0.9], mcc=0.5), scores).ok
    null = dataclasses.replace(above, presets=("a",), of_nulls=("", "identity"))
    assert judge(record([0.9]), null).ok
    assert not judge(record([0.62]), null).ok


CURVE = CurveClaim(id="c", source="Theorem 1", text="sphere", preset="theorem1/c")


def test_a_curve_meets_its_prediction_and_falls():
    held = judge(curve(off=3e-4), CURVE)
    assert (held.ok, held.word, held.unit) == (True, "reproduced", "nats")
    assert cells(held)[2] == f"{-0.1024 + 3e-4:.4f} nats"
    assert "at M = 1024; at most 3.0 standard errors" in held.note
    assert held.std == 1e-4
    assert not judge(curve(off=5e-4), CURVE).ok
    assert not judge(curve(rises=True), CURVE).ok
    several = judge(curve(seeds=2), CURVE)
    assert several.seeds == ("reproduced",) * 2
    # Where no count is well above the moment nothing is confirmed.
    far = curve()
    far = dataclasses.replace(far, scores=far.scores | {"moment": [1e6]})
    assert not judge(far, CURVE).ok


def test_the_wrong_number_of_records_is_an_error():
    with pytest.raises(ValueError, match="records of o must be 2, got 1"):
        judge(record([0.9]), FALLS)
    with pytest.raises(ValueError, match="score must be one of .* got 'r3'"):
        judge(record([0.9]), dataclasses.replace(QUICK, metric="r3"))
    with pytest.raises(TypeError, match="known kind"):
        judge(record([0.9]), Claim(id="a", source="", text=""))


def test_tables_hold_every_verdict_and_escape_pipes():
    verdict = dataclasses.replace(judge(record([1.0] * 5), QUICK), text="a|b")
    text = to_markdown([verdict])
    assert "a\\|b" in text
    assert "R² 100.00 ± 0.00, 5 seeds" in text
    assert "untrained 50.0" in text
    assert cells(verdict)[-1] == "✓ as expected"
    rows = to_csv([verdict, verdict]).splitlines()
    assert len(rows) == 3
    assert rows[0].startswith("claim,source,metric,score")


def test_scores_that_are_not_finite_confirm_nothing():
    claim = dataclasses.replace(QUICK, expect="not identified")
    assert not judge(record([np.nan] * 5), claim).ok
    assert judge(record([0.5] * 5), claim).ok


def test_a_row_needs_most_of_its_gaps_closed_and_noise_cannot_hide_a_gap():
    claim = dataclasses.replace(QUICK, threshold=90.0)
    gaps = [-0.5, 0.04, 0.04, 0.04, 0.04]
    assert judge(record([0.99] * 5, gap=gaps), claim).word == "identified early"
    loud = record([0.99] * 5, gap=0.9, gap_se=0.4)
    assert judge(loud, claim).word == "identified early"


def test_a_run_without_a_claim_gets_its_four_words():
    linear, permutation = judge_free(record([0.99], mcc=0.5, config={"steps": 3}))
    assert (linear.word, permutation.word) == ("identified", "not identified")
    assert cells(linear)[-1] == "-"
    # Without a reference nothing is known of the optimisation.
    (bare, _) = judge_free(record([0.1], floor_kind="none", config={"steps": 3}))
    assert (bare.word, bare.seeds) == ("not judged", ("not judged",))
    assert not linear.judged


def with_nulls(scores, *, null="identity", **nulls):
    plain = record(scores)
    return dataclasses.replace(plain, nulls=plain.nulls | {"r2": {null: nulls["of"]}})


def test_a_recovery_has_to_beat_its_nulls():
    claim = dataclasses.replace(QUICK, threshold=95.0)
    # Student-t latents: a linear map of x has nearly all of it.
    in_x = judge(with_nulls([0.981] * 5, of=[0.974] * 5), claim)
    assert (in_x.word, in_x.ok) == ("already in x", False)
    assert in_x.note == "the means alone would say identified"
    assert judge(with_nulls([0.981] * 5, of=[0.96] * 5), claim).word == "identified"
    expected = dataclasses.replace(claim, expect="already in x")
    assert judge(with_nulls([0.981] * 5, of=[0.974] * 5), expected).ok
    chance = with_nulls([0.981] * 5, null="shuffled", of=[0.97] * 5)
    assert judge(chance, claim).word == "already in x"
    untrained = dataclasses.replace(record([0.981] * 5), untrained={"r2": [0.97] * 5})
    assert judge(untrained, claim).word == "already in x"
    # Half of what the null leaves is beaten, but not within two standard errors.
    close = with_nulls([0.99] * 5, of=[0.979] * 5)
    assert judge(close, claim).word == "identified"
    loud = dataclasses.replace(close, errors={"r2": [0.001] * 5})
    assert judge(loud, claim).word == "already in x"
    # What was not recovered is not asked, nor is an error.
    low = judge(with_nulls([0.9] * 5, of=[0.95] * 5), claim)
    assert low.word == "not identified"
    error = dataclasses.replace(claim, bound="most", threshold=2.0)
    assert judge(with_nulls([0.01] * 5, of=[0.0] * 5), error).word == "identified"
    # A published recovery, and a run without a claim.
    row = dataclasses.replace(ROW, mean=98.0)
    assert judge(with_nulls([0.981] * 5, of=[0.974] * 5), row).outcome == "missed"
    assert judge(with_nulls([0.981] * 5, of=[0.96] * 5), row).outcome == "reproduced"
    (free, _) = judge_free(with_nulls([0.981], of=[0.974]))
    assert free.word == "already in x"


def test_a_low_published_number_is_met_from_both_sides():
    low = dataclasses.replace(ROW, mean=45.0, std=6.0)
    assert judge(record([0.5] * 5), low).outcome == "reproduced"
    assert judge(record([0.5] * 5), low).word == "not identified"
    for far in (0.60, 0.30):
        assert judge(record([far] * 5), low).outcome == "missed"
    error = dataclasses.replace(low, mean=4.0, std=0.0, bound="most")
    assert judge(record([0.01] * 5), error).outcome == "reproduced"
    assert judge(record([0.05] * 5), error).outcome == "missed"


def test_a_claim_sets_the_least_band():
    narrow = dataclasses.replace(ROW, mean=99.9998, std=3.4e-5, least_band=0.01)
    assert band(narrow) == 0.01
    assert band(dataclasses.replace(narrow, std=0.02)) == 0.04
    assert judge(record([0.9999] * 5), narrow).ok
    assert not judge(record([0.9997] * 5), narrow).ok


def test_a_row_of_rotations_is_judged_by_their_law_and_not_by_the_published_mean():
    turned = dataclasses.replace(FAILS, mean=58.0, std=0.1, null="rotation")
    run = record([0.99] * 5, mcc=0.75)
    assert judge(run, dataclasses.replace(turned, null=None)).outcome == "missed"
    verdict = judge(run, turned)
    assert verdict.outcome == "reproduced"
    assert "5 of 5 inside the 99 % interval of random rotations" in verdict.note
    assert judge(record([0.99] * 5, mcc=0.95), turned).outcome == "missed"
    assert judge(record([0.99] * 5, mcc=0.3), turned).outcome == "missed"
    with pytest.raises(ValueError, match="null must be one of"):
        dataclasses.replace(turned, null="identity")


def test_loss_reference_and_gap_of_a_row_subtract():
    verdict = judge(record([0.995] * 5, gap=[0.01, 0.02, 0.0, 0.01, 0.01]), QUICK)
    assert "1.0100 - 1.0000 = 0.0100 (0.0200)" in cells(verdict)


def test_beside_a_bar_stands_what_it_admits():
    run = record([0.995] * 2)
    kinds = {
        "noise": {"strength": [0.01, 0.1], "gap": [0.01, 0.11], "r2": [0.99, 0.9]},
        "rotation": {"strength": [5.0, 45.0], "gap": [1e-4, 1e-3], "r2": [1.0, 1.0]},
    }
    each = {k: {n: [v, v] for n, v in rows.items()} for k, rows in kinds.items()}
    run = dataclasses.replace(run, perturbed=each)
    verdict = judge(run, QUICK)  # the bar is 0.02
    assert verdict.admits == (
        "noise of 1.9 % (r2 98.1), rotation of any up to 45 degrees (r2 100.0)"
    )
    assert verdict.admits in to_markdown([verdict])
    assert judge(dataclasses.replace(run, floor_kind="none"), QUICK).admits == ""
    tight = judge(run, dataclasses.replace(QUICK, gap_bar=0.005))
    assert tight.admits.startswith("noise of 0.5 % (r2 99.5)")


def test_what_noise_within_the_bar_explains_is_no_failed_assumption():
    noise = {"strength": [0.01, 0.1], "gap": [0.01, 0.11], "r2": [0.99, 0.9]}
    rows = {name: [values] * 5 for name, values in noise.items()}
    word = {}
    for score in (0.985, 0.97):  # the bar of 0.02 admits 98.1
        run = dataclasses.replace(record([score] * 5), perturbed={"noise": rows})
        word[score] = judge(run, QUICK).word
    assert word == {0.985: "not optimised", 0.97: "not identified"}


def test_a_rotation_that_the_loss_sees_explains_a_score_and_one_that_is_free_does_not():
    def word(gaps):
        rows = {"strength": [5.0, 45.0], "gap": gaps, "r2": [0.99, 0.9]}
        rotation = {name: [values] * 5 for name, values in rows.items()}
        run = dataclasses.replace(record([0.985] * 5), perturbed={"rotation": rotation})
        return judge(run, QUICK).word  # the bar is 0.02

    assert word([0.01, 0.11]) == "not optimised"  # it admits 98.1
    assert word([1e-3, 0.015]) == "not identified"  # the theory may leave it open


def test_no_latent_hides_in_a_mean_of_many():
    claim = dataclasses.replace(QUICK, threshold=95.0)
    each = [1.0] * 19 + [0.1]
    run = record([float(np.mean(each))] * 5)
    assert judge(run, claim).word == "identified"
    run = dataclasses.replace(run, scores=run.scores | {"r2_per_dim": [each] * 5})
    assert judge(run, claim).word == "not identified"
    (free, _) = judge_free(run)
    assert free.word == "not identified"


def test_no_expectation_is_met_by_training_too_little():
    with pytest.raises(ValueError, match=r"expect must be one of .* 'not optimised'"):
        dataclasses.replace(QUICK, expect="not optimised")


def test_a_run_is_told_from_its_preset_and_a_sphere_has_no_axes():
    config = json.loads(json.dumps(dataclasses.asdict(presets()["quick/sphere-vmf"])))
    config |= {"tau": 0.2, "steps": 60}
    own = dict(preset="contrastive_ica:quick/sphere-vmf-custom", config=config)
    (linear,) = judge_free(record([0.99], **own))
    assert (linear.metric, linear.source) == ("r2", "60 steps, tau=0.2")


def test_an_analogue_is_set_beside_and_not_judged():
    claim = dataclasses.replace(ROW, direction="analogue", mean=90.0)
    verdict = judge(record([0.5, 0.6]), claim)
    assert (verdict.outcome, verdict.word, verdict.ok) == ("analogue", "-", True)
    assert (verdict.judged, verdict.mark) == (False, "·")
    assert verdict.difference == pytest.approx(55 - 90)
    assert verdict.expected.startswith("90.00")
    lost = judge(record([0.5, float("nan")]), claim)
    assert (lost.ok, lost.mark) == (False, "✗")


def test_what_is_expected_early_may_come_with_the_gap_closed():
    claim = dataclasses.replace(QUICK, expect="identified early", threshold=90.0)
    closed = judge(record([0.95] * 5, gap=0.0), claim)
    still_open = judge(record([0.95] * 5, gap=0.5), claim)
    assert (closed.word, closed.ok) == ("identified", True)
    assert (still_open.word, still_open.ok) == ("identified early", True)
    assert not judge(record([0.5] * 5, gap=0.5), claim).ok


def test_a_dead_seed_counts_against_a_row_and_is_in_no_mean():
    alive = record([0.995] * 4)
    five = dataclasses.replace(alive, dead={"4": "loss not finite from step 7 on"})
    verdict = judge(five, QUICK)
    assert (verdict.ok, verdict.score, verdict.count) == (True, 99.5, 4)
    assert "identified: 4 identified, 1 not finite" in cells(verdict)
    six = dataclasses.replace(alive, dead={"4": "x", "5": "x"})
    assert (judge(six, QUICK).ok, judge(six, QUICK).word) == (False, "mixed")
    # Whoever asks: a run without a claim, a closed gap, nulls, a law of rotations.
    assert judge_free(six)[0].word == "mixed"
    lost = {"4": "x", "5": "x"}
    fails = record([0.99] * 4, mcc=0.6, dead=lost)
    assert judge(dataclasses.replace(fails, dead={}), FAILS).ok
    assert not judge(fails, FAILS).ok
    turned = dataclasses.replace(FAILS, direction="recovers", null="rotation")
    assert judge(dataclasses.replace(fails, dead={}), turned).ok
    assert not judge(fails, turned).ok
    assert not judge(record([0.99] * 4, dead=lost), ROW).ok
