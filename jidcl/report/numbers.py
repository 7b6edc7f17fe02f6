"""Verdicts on single numbers: published ones, and thresholds of the quick budget.

Imports no JAX: it reads records.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jidcl.claims import BEHAVIOUR, PublishedClaim, QuickClaim
from jidcl.report.records import Record
from jidcl.report.verdict import ANALOGUE, Verdict
from jidcl.report.words import (
    MOST,
    four_words,
    gap_closed,
    mean_bar,
    mean_closed,
    mean_gap,
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


def band(claim: PublishedClaim) -> float:
    """Half width of the accepted band: max(2 published sd, 0.5 points).

    Of a number that is no percentage half a percent of it stands for the 0.5 points.

    Args:
        claim: a published number.

    Returns:
        The half width, in the claim's unit.
    """
    least = 0.5 if claim.unit == "percent" else 0.005 * abs(claim.mean)
    return max(2 * claim.std, least)


def judge_quick(claim: QuickClaim, record: Record) -> Verdict:
    """Judge a quick expectation: the mean and at least 4 of 5 seeds decide.

    Args:
        claim: the expectation.
        record: of the run that tests it.

    Returns:
        The verdict.
    """
    scores = claim.scale * record.values(claim.metric)
    each = _reaches(claim.bound, scores, claim.threshold)
    mean = bool(_reaches(claim.bound, scores.mean(), claim.threshold))
    word, words = _worded(claim, record, each, mean)
    # What is to be recovered early may as well be recovered with the gap closed.
    early = claim.expect == "identified early"
    wanted = (claim.expect, *(("identified",) if early else ()))
    share = np.mean([w in wanted for w in words])
    inside, note = _inside_null(claim, record)
    known = bool(np.isfinite(scores).all())
    ok = known and bool(share >= MOST) and inside and word in wanted
    verdict = Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric,
        word=word,
        expected=claim.expect,
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=float(scores.mean()),
        std=deviation(scores),
        difference=float(scores.mean() - claim.threshold),
        unit=claim.unit,
        gap=mean_gap(record),
        bar=mean_bar(record, claim.gap_bar),
        seeds=tuple(words),
        nulls=mean_nulls(record, claim.metric, claim.scale),
        note=note,
    )
    return _without_words(verdict, claim, record)


def judge_published(claim: PublishedClaim, record: Record) -> Verdict:
    """Judge a published number.

    Reproduced: at least as many seeds as published, and the mean within the `band` of
    the published one, or above it for a recovery claim; a claim of failure also needs
    the gap closed, and the recovery claim `same_run` to hold. With fewer seeds:
    consistent, k of K seeds. Else missed. An analogue, of other data than the
    published, is set beside and not judged, unless the run read as many pictures from
    disk as were published; a reference is within its band or not.

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
    recovers = claim.direction == "recovers"
    worse = -1 if claim.bound == "least" else 1
    edge = claim.mean + worse * band(claim) if recovers else RECOVERED
    each = _reaches(claim.bound if recovers else "least", scores, edge)
    near = abs(difference) <= band(claim) or (recovers and worse * difference < 0)
    mean = near if recovers else bool(_reaches("least", scores.mean(), edge))
    word, words = _worded(claim, record, each, mean)
    also = judge_published(claim.same_run, record) if claim.same_run else None
    closed = recovers or mean_closed(record, claim.gap_bar)
    holds = near and closed and (also is None or also.ok)
    count = len(record.seeds)
    if not holds:
        outcome = "missed"
    elif count >= claim.seeds:
        outcome = "reproduced"
    else:
        outcome = f"consistent, {count} of {claim.seeds} seeds"
    verdict = Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric,
        word=word,
        expected=_published(claim),
        ok=holds,
        outcome=outcome,
        score=float(scores.mean()),
        std=deviation(scores),
        difference=difference,
        unit=claim.unit,
        gap=mean_gap(record),
        bar=mean_bar(record, claim.gap_bar),
        seeds=tuple(words),
        nulls=mean_nulls(record, claim.metric, claim.scale),
        note="" if also is None or also.ok else f"the same run misses {also.claim}",
    )
    return _without_words(verdict, claim, record)


def _worded(
    claim: QuickClaim | PublishedClaim, record: Record, each: np.ndarray, mean: bool
) -> tuple[str, list[str]]:
    """(word of the mean, word of each seed) from which of them reach the claim."""
    if claim.vocabulary == "behaviour":
        return BEHAVIOUR[not mean], [BEHAVIOUR[not r] for r in each]
    closed = gap_closed(record, claim.gap_bar)
    words = [four_words(bool(c), bool(r)) for c, r in zip(closed, each, strict=True)]
    return four_words(mean_closed(record, claim.gap_bar), mean), words


def _without_words(
    verdict: Verdict, claim: QuickClaim | PublishedClaim, record: Record
) -> Verdict:
    """Nothing is said of optimisation where nothing was trained."""
    if record.trained or claim.vocabulary == "behaviour":
        return verdict
    return dataclasses.replace(verdict, word="-", seeds=())


def _reference(claim: PublishedClaim, record: Record) -> Verdict:
    """A number that is neither recovery nor its failure: within the band or not."""
    scores = claim.scale * values_of(record, claim.metric, claim.of_null)
    difference = float(scores.mean() - claim.mean)
    # Both means are over few seeds: their spreads add to the band.
    ok = abs(difference) <= max(band(claim), 2 * deviation(scores))
    own = not claim.of_null  # a null has no nulls
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric if own else f"{claim.metric} ({claim.of_null})",
        word=BEHAVIOUR[not ok] if claim.vocabulary == "behaviour" else "-",
        expected=_published(claim),
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=float(scores.mean()),
        std=deviation(scores),
        difference=difference,
        unit=claim.unit,
        gap=mean_gap(record),
        bar=mean_bar(record, claim.gap_bar),
        nulls=mean_nulls(record, claim.metric, claim.scale) if own else {},
    )


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


def _inside_null(claim: QuickClaim, record: Record) -> tuple[bool, str]:
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
        return bool(inside.mean() >= MOST), note
    null = float(values_of(record, claim.metric, claim.null).mean())
    what = "x itself" if claim.null == "identity" else f"the null {claim.null}"
    note = f"{what} scores {scale * null:.1f}"
    return record.mean(claim.metric) <= null + 0.05, note


def edge_words(record: Record, scores: np.ndarray, edge: float) -> Sequence[str]:
    """The four words of each seed for a score that has to reach `edge`.

    Args:
        record: of a run with a floor.
        scores: `[seeds]`, in the unit of `edge`.
        edge: the score from which on a seed counts as reached.

    Returns:
        One of `jidcl.claims.FOUR_WORDS` for each seed.
    """
    words = zip(gap_closed(record), scores >= edge, strict=True)
    return tuple(four_words(bool(c), bool(r)) for c, r in words)
