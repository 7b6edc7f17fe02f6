"""Verdicts on single numbers: published ones, and thresholds of the quick budget.

Imports no JAX: it reads records.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jidcl.claims import BEHAVIOUR, PublishedClaim, QuickClaim
from jidcl.report.records import Record
from jidcl.report.verdict import ANALOGUE, Verdict
from jidcl.report.words import (
    MOST,
    above_chance,
    admitted,
    all_latents,
    beats_nulls,
    dead_words,
    gap_bar,
    has_floor,
    judged_by,
    mostly,
    mostly_closed,
    row_word,
    seed_words,
    word_of_means,
)

RECOVERED = 95.0  # percent; a score from here on is no failure to recover
_SHOWN_APART = ("rotation_low", "rotation_high")  # an interval, told in a note


def values_of(record: Record, metric: str, of_null: str = "") -> np.ndarray:
    """A score of each seed, or that of one of its nulls, in the record's unit.

    Args:
        record: of a finished run.
        metric: name of a score or a loss.
        of_null: the null whose score is meant; empty for the run's own.

    Returns:
        `[seeds]`.

    Raises:
        ValueError: where the record lacks it.
    """
    if not of_null:
        return record.values(metric)
    held = record.null(metric, of_null)
    if held is None:
        known = sorted(record.nulls.get(metric, {}))
        raise ValueError(f"null of {metric} must be one of {known}, got {of_null!r}")
    return held


def deviation(scores: np.ndarray) -> float:
    """Standard deviation over seeds; 0 of a single one.

    Args:
        scores: `[seeds]`.

    Returns:
        The standard deviation, with divisor seeds - 1.
    """
    return float(scores.std(ddof=1)) if scores.size > 1 else 0.0


def mean_nulls(record: Record, metric: str, scale: int = 1) -> dict[str, float]:
    """Means of a score's nulls over seeds, the untrained encoder's last.

    Args:
        record: of a finished run.
        metric: name of the score.
        scale: what the means are multiplied by: 100 for percent.

    Returns:
        `{null: mean}`, the shuffled one first.
    """
    held = sorted(record.nulls.get(metric, {}), key=lambda n: (n != "shuffled", n))
    nulls = {}
    for name in (*held, "untrained"):
        values = record.null(metric, name)
        if values is not None and name not in _SHOWN_APART:
            nulls[name] = scale * float(np.mean(values))
    return nulls


def few_rows(record: Record, metric: str) -> str:
    """A note where another score than the metric's decides the word.

    Args:
        record: of a finished run.
        metric: name of a score.

    Returns:
        It with the mean of that score; empty where the metric's own decides.
    """
    name = judged_by(record, metric)
    if name == metric:
        return ""
    return f"few rows: the word is of the cross-fitted score, {record.mean(name):.3f}"


def gap_columns(record: Record, metric: str, own: float | None = None) -> dict:
    """What a verdict says of the gap: its mean, its bar, what that admits, the loss.

    Args:
        record: of a finished run.
        metric: the score that a perturbation admitted by the bar is shown with.
        own: a bar of the claim's own, see `jidcl.report.words.gap_bar`.

    Returns:
        Fields of `Verdict`: `gap`, `bar`, `loss`, `admits`, `count`.
    """
    count = len(record.seeds)
    if not has_floor(record):
        return dict(count=count)
    return dict(
        count=count,
        gap=record.mean("gap"),
        bar=float(gap_bar(record, own).mean()),
        loss=record.mean("loss"),
        admits=_admits(record, metric, own),
    )


def _admits(record: Record, metric: str, own: float | None) -> str:
    parts = []
    for kind, found in admitted(record, own).items():
        size = found["strength"] * (100 if kind == "noise" else 1)
        unit = " %" if kind == "noise" else " degrees"
        of = "any up to" if found["open"] else ""
        shown = " ".join(filter(None, (f"{kind} of", of, f"{size:.3g}{unit}")))
        name = metric if metric in found else "r2"
        parts.append(f"{shown} ({name} {100 * found[name]:.1f})")
    return ", ".join(parts)


def band(claim: PublishedClaim) -> float:
    """Half width of the accepted band: max(2 published sd, the claim's least band).

    Args:
        claim: a published number.

    Returns:
        The half width, in the claim's unit. The least band is 0.5 points unless the
        claim names another; of a number that is no percentage half a percent of it.
    """
    least = 0.5 if claim.unit == "percent" else 0.005 * abs(claim.mean)
    if claim.least_band is not None:
        least = claim.least_band
    return max(2 * claim.std, least)


def judge_quick(claim: QuickClaim, record: Record) -> Verdict:
    """Judge a quick expectation: at least 4 of 5 seeds decide.

    Args:
        claim: the expectation.
        record: of the run that tests it.

    Returns:
        The verdict.
    """
    scores = claim.scale * record.values(judged_by(record, claim.metric))
    reached = _reached(claim, record, scores, claim.threshold, claim.bound)
    mean = bool(_reaches(claim.bound, scores.mean(), claim.threshold))
    words, note = _worded(claim, record, reached, mean)
    # What is to be recovered early may as well be recovered with the gap closed.
    early = claim.expect == "identified early"
    wanted = (claim.expect, *(("identified",) if early else ()))
    # Where nothing was trained there are no words, and reaching it or not is all.
    recovered = claim.expect not in ("not identified", "not reproduced")
    right = [w in wanted for w in words] or [r == recovered for r in reached]
    share = np.mean(right)
    inside, null_note = _inside_null(claim, record)
    ok = bool(np.isfinite(scores).all() and share >= MOST) and inside
    return _verdict(
        claim,
        record,
        scores,
        against=claim.threshold,
        words=words,
        expected=claim.expect,
        ok=ok,
        notes=(note, null_note),
    )


def judge_published(claim: PublishedClaim, record: Record) -> Verdict:
    """Judge a published number.

    Reproduced: at least as many seeds as published, and the mean within the `band` of
    the published one. Of a published recovery (95 percent or more, or an error) a
    better mean counts as well, and the score has to beat its nulls. A claim of failure
    needs the gap closed in at least 4 of 5 seeds, and the recovery claim `same_run` to
    hold. With fewer seeds: consistent, k of K seeds. Else missed. A claim with a null
    is judged by it in place of the band. An analogue, of other data than the published,
    is set beside and not judged, unless the run read as many pictures from disk as were
    published; a reference is within its band or not.

    Args:
        claim: the published number.
        record: of the run that tests it.

    Returns:
        The verdict.
    """
    if claim.direction == "analogue":
        rows = record.scores.get("rows_of_set", [0])[0]
        if not claim.set_rows or rows != claim.set_rows:
            return _beside(claim, record)
        claim = dataclasses.replace(claim, direction=claim.judged_as)
    if claim.direction == "reference":
        return _reference(claim, record)
    scores = claim.scale * values_of(record, claim.metric, claim.of_null)
    difference = float(scores.mean() - claim.mean)
    recovers = _recovers(claim)
    worse = -1 if claim.bound == "least" else 1
    edge = claim.mean + worse * band(claim) if recovers else RECOVERED
    bound = claim.bound if recovers else "least"
    near = abs(difference) <= band(claim) or (recovers and worse * difference < 0)
    mean = near if recovers else bool(_reaches(bound, scores.mean(), edge))
    judged = scores
    if not claim.of_null:  # the number as published, the word by what few rows allow
        judged = claim.scale * record.values(judged_by(record, claim.metric))
    reached = _reached(claim, record, judged, edge, bound)
    words, note = _worded(claim, record, reached, mean)
    also = judge_published(claim.same_run, record) if claim.same_run else None
    inside, null_note = _inside_null(claim, record)
    holds = near if claim.null is None else inside
    if claim.direction == "fails":
        holds = holds and mostly_closed(record, claim.gap_bar)
    if recovers and bound == "least" and record.trained:
        holds = holds and mostly(record, beats_nulls(record, claim.metric))
    missed = "" if also is None or also.ok else f"the same run misses {also.claim}"
    holds = holds and not missed
    count = len(record.seeds)
    if not holds:
        outcome = "missed"
    elif count >= claim.seeds:
        outcome = "reproduced"
    else:
        outcome = f"consistent, {count} of {claim.seeds} seeds"
    return _verdict(
        claim,
        record,
        scores,
        against=claim.mean,
        words=words,
        expected=_published(claim),
        ok=holds,
        outcome=outcome,
        notes=(note, null_note, missed),
    )


def _verdict(
    claim: QuickClaim | PublishedClaim,
    record: Record,
    scores: np.ndarray,
    *,
    against: float,
    expected: str,
    ok: bool,
    words: Sequence[str] = (),
    outcome: str = "",
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict on one number; a null has no nulls of its own."""
    null = getattr(claim, "of_null", "")
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=f"{claim.metric} ({null})" if null else claim.metric,
        word=row_word(words) if words else "-",
        expected=expected,
        ok=ok,
        outcome=outcome or ("as expected" if ok else "not as expected"),
        score=float(scores.mean()),
        std=deviation(scores),
        difference=float(scores.mean() - against),
        unit=claim.unit,
        seeds=tuple(words),
        nulls={} if null else mean_nulls(record, claim.metric, claim.scale),
        note="; ".join(filter(None, (*notes, few_rows(record, claim.metric)))),
        **gap_columns(record, claim.metric, claim.gap_bar),
    )


def _reached(
    claim: QuickClaim | PublishedClaim,
    record: Record,
    scores: np.ndarray,
    edge: float,
    bound: str,
) -> np.ndarray:
    """Whether each seed reaches a claim, no latent hiding in the mean of a share."""
    reached = _reaches(bound, scores, edge)
    if claim.unit == "percent" and bound == "least":
        reached = reached & all_latents(record, claim.metric, edge / 100)
        reached = reached & above_chance(record, claim.metric)
    return reached


def _recovers(claim: PublishedClaim) -> bool:
    """Whether better than published counts as well: not of a low published score."""
    low = claim.unit == "percent" and claim.bound == "least" and claim.mean < RECOVERED
    return claim.direction == "recovers" and not low


def _worded(
    claim: QuickClaim | PublishedClaim, record: Record, reached: Any, mean: bool
) -> tuple[list[str], str]:
    """(word of each seed, why the row's word is not what its means suggest).

    Nothing is said of optimisation where nothing was trained.
    """
    if claim.vocabulary == "behaviour":
        words = [*(BEHAVIOUR[not r] for r in reached), *dead_words(record)]
        return words, _unlike(words, BEHAVIOUR[not mean])
    if not record.trained:
        return [], ""
    share = claim.unit == "percent" and claim.bound == "least"
    words = seed_words(record, claim.metric, reached, bar=claim.gap_bar, nulls=share)
    suggested = word_of_means(record, claim.metric, mean, claim.gap_bar)
    return words, _unlike(words, suggested)


def _unlike(words: list[str], suggested: str) -> str:
    """A note where the seeds say another word than their means."""
    if row_word(words) == suggested:
        return ""
    return f"the means alone would say {suggested}"


def _reference(claim: PublishedClaim, record: Record) -> Verdict:
    """A number that is neither recovery nor its failure: within the band or not."""
    scores = claim.scale * values_of(record, claim.metric, claim.of_null)
    difference = float(scores.mean() - claim.mean)
    # Both means are over few seeds: their spreads add to the band.
    ok = abs(difference) <= max(band(claim), 2 * deviation(scores))
    verdict = _verdict(
        claim, record, scores, against=claim.mean, expected=_published(claim), ok=ok
    )
    word = BEHAVIOUR[not ok] if claim.vocabulary == "behaviour" else "-"
    return dataclasses.replace(verdict, word=word)


def _beside(claim: PublishedClaim, record: Record) -> Verdict:
    """A score of other data than the published, beside the published one."""
    verdict = _reference(claim, record)
    known = bool(np.isfinite(verdict.score))
    return dataclasses.replace(verdict, word="-", ok=known, outcome=ANALOGUE)


def _published(claim: PublishedClaim) -> str:
    if claim.unit == "percent":
        return f"{claim.mean:.2f} ± {claim.std:.2f}"
    return f"{claim.mean:.4g} ± {claim.std:.2g}"


def _reaches(bound: str, scores, threshold: float):
    return scores >= threshold if bound == "least" else scores <= threshold


def _inside_null(
    claim: QuickClaim | PublishedClaim, record: Record
) -> tuple[bool, str]:
    if claim.null is None:
        return True, ""
    scale = claim.scale
    if claim.null == "rotation":
        scores = record.values(claim.metric)
        ends = (f"rotation_{end}" for end in ("low", "high"))
        low, high = (values_of(record, claim.metric, end) for end in ends)
        inside = (low <= scores) & (scores <= high)
        note = (
            f"{int(inside.sum())} of {inside.size} inside the 99 % interval of random "
            f"rotations, {scale * low.mean():.1f} to {scale * high.mean():.1f}"
        )
        return mostly(record, inside), note
    null = float(values_of(record, claim.metric, claim.null).mean())
    what = "x itself" if claim.null == "identity" else f"the null {claim.null}"
    note = f"{what} scores {scale * null:.1f}"
    return record.mean(claim.metric) <= null + 0.05, note
