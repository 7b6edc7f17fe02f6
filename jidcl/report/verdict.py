"""The verdict: four words from two measured facts, and what became of a claim.

| | score reaches the claim | score does not |
|---|---|---|
| gap closed | identified | not identified |
| gap open | identified early | not optimised |

Imports no JAX: it reads records.
"""

import dataclasses
import json

import numpy as np

from jidcl.report.claims import Claim, QuickClaim
from jidcl.report.records import Record
from jidcl.systems.registry import load_presets

WORDS = ("identified", "identified early", "not identified", "not optimised")
MOST = 0.8  # share of seeds that decides a row, with the mean: 4 of 5
ANALOGUE = "analogue"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What one run says about one claim.

    Attributes:
        claim: id of the claim.
        source: the statement or table row it tests.
        text: what it says.
        metric: name of the score.
        word: one of `WORDS`; "-" for scores without training.
        expected: the word, or the published number as text.
        ok: whether it came out as expected (within its band).
        outcome: reproduced, consistent, missed; or as expected, not as expected; "-"
            where no claim names the run.
        score: mean over seeds, percent.
        std: standard deviation over seeds, percent.
        difference: score minus the published mean (or threshold), points.
        gap: mean gap to the floor, nats; None without training.
        bar: gap that still counts as closed, nats.
        seeds: per-seed words.
        nulls: scores of the nulls, percent.
        series: means in order, for a claim about an ordering.
        note: what to know.
    """

    claim: str
    source: str
    text: str
    metric: str
    word: str
    expected: str
    ok: bool
    outcome: str
    score: float
    std: float
    difference: float
    gap: float | None
    bar: float | None
    seeds: tuple[str, ...]
    nulls: dict[str, float]
    series: tuple[float, ...] = ()
    note: str = ""

    @property
    def judged(self) -> bool:
        """Whether something was expected of it."""
        return self.outcome not in ("-", ANALOGUE)

    @property
    def mark(self) -> str:
        """A tick, a cross, or a dot where nothing was expected."""
        if self.ok:
            return "✓" if self.judged else "·"
        return "✗"


def four_words(closed: bool, reached: bool) -> str:
    """The table above."""
    if reached:
        return "identified" if closed else "identified early"
    return "not identified" if closed else "not optimised"


def gap_bar(record: Record) -> np.ndarray:
    """Largest gap that counts as closed, per seed.

    max(3 standard errors, 2 % of the signal), the errors capped at 10 % of it; the
    signal is the loss of a constant encoder minus the floor. Where the best linear map
    of x is known, the share is also at most 5 % of what separates its loss from the
    floor, though not below 1 % of the signal: at large batches most of it is gained
    before anything is recovered.
    """
    floor = record.values("floor")
    signal = record.values("chance") - floor
    share = 0.02 * signal
    if "linear_loss" in record.metrics:
        left = 0.05 * (record.values("linear_loss") - floor)
        share = np.clip(left, 0.01 * signal, share)
    return np.maximum(np.minimum(3 * record.values("gap_se"), 0.1 * signal), share)


def gap_closed(record: Record) -> np.ndarray:
    """Whether the gap to the floor is closed, per seed."""
    if record.floor_kind == "none":
        return np.ones(len(record.seeds), bool)
    return record.values("gap") <= gap_bar(record)


def band(claim: Claim) -> float:
    """Half width of the accepted band: max(2 published sd, 0.5 points)."""
    return max(2 * claim.std, 0.5)


def judge_quick(claim: QuickClaim, record: Record) -> Verdict:
    """Judge a quick expectation: the mean and at least 4 of 5 seeds decide."""
    scores = 100 * record.values(claim.metric)
    reached = _reaches(claim.bound, scores, claim.threshold)
    words = [
        four_words(bool(c), bool(r))
        for c, r in zip(gap_closed(record), reached, strict=True)
    ]
    mean_closed = _mean_closed(record)
    mean_reached = _reaches(claim.bound, scores.mean(), claim.threshold)
    word = four_words(mean_closed, bool(mean_reached))
    # What is to be recovered early may as well be recovered with the gap closed.
    early = claim.expect == "identified early"
    wanted = (claim.expect, *(("identified",) if early else ()))
    share = np.mean([w in wanted for w in words])
    inside, note = _inside_null(claim, record)
    known = bool(np.isfinite(scores).all())
    ok = known and bool(share >= MOST) and inside and word in wanted
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric,
        word=word,
        expected=claim.expect,
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=float(scores.mean()),
        std=_std(scores),
        difference=float(scores.mean() - claim.threshold),
        gap=_mean_gap(record),
        bar=_mean_bar(record),
        seeds=tuple(words),
        nulls=_nulls(record, claim.metric),
        note=note,
    )


def judge(claim: Claim, record: Record, *, also: Verdict | None = None) -> Verdict:
    """Judge a published number.

    Reproduced: at least as many seeds as published, and the mean within
    max(2 sd, 0.5 points) of the published one, or above it for a recovery claim; a
    claim of failure also needs the gap closed, and `also`, the recovery claim of the
    same run, to hold. With fewer seeds: consistent, k of K seeds. Else missed. An
    analogue, of other data than the published, is set beside and not judged, unless the
    run read as many pictures from disk as were published; a reference is within its
    band or not.
    """
    if claim.direction == "analogue":
        rows = record.metrics.get("rows_of_set", [0])[0]
        if not claim.set_rows or rows != claim.set_rows:
            return _beside(claim, record)
        claim = dataclasses.replace(claim, direction=claim.judged_as)
    if claim.direction == "reference":
        return _with_gap(claim, record)
    scores = 100 * record.values(claim.metric)
    difference = float(scores.mean() - claim.mean)
    recovers = claim.direction == "recovers"
    worse = -1 if claim.bound == "least" else 1
    edge = claim.mean + worse * band(claim) if recovers else _RECOVERED
    reached = _reaches(claim.bound if recovers else "least", scores, edge)
    closed = gap_closed(record)
    words = tuple(
        four_words(bool(c), bool(r)) for c, r in zip(closed, reached, strict=True)
    )
    near = abs(difference) <= band(claim) or (recovers and worse * difference < 0)
    mean_closed = _mean_closed(record)
    holds = near and (recovers or mean_closed) and (also is None or also.ok)
    mean_reached = near if recovers else bool(_reaches("least", scores.mean(), edge))
    count = len(record.seeds)
    if not holds:
        outcome = "missed"
    elif count >= claim.seeds:
        outcome = "reproduced"
    else:
        outcome = f"consistent, {count} of {claim.seeds} seeds"
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric,
        word=four_words(mean_closed, mean_reached),
        expected=f"{claim.mean:.2f} ± {claim.std:.2f}",
        ok=holds,
        outcome=outcome,
        score=float(scores.mean()),
        std=_std(scores),
        difference=difference,
        gap=_mean_gap(record),
        bar=_mean_bar(record),
        seeds=words,
        nulls=_nulls(record, claim.metric),
        note="" if also is None or also.ok else f"the same run misses {also.claim}",
    )


def judge_free(record: Record) -> list[Verdict]:
    """Judge a run that no claim names: R2 and MCC against `_RECOVERED`.

    Without a floor nothing is said of optimisation, so there is no word. On a sphere
    latents are recovered up to a rotation at best, and MCC is not judged.
    """
    verdicts, floor = [], record.floor_kind != "none"
    turned = record.config.get("space") == "sphere"
    for metric, text in (("r2", "linear map"), ("mcc", "permutation")):
        if metric not in record.metrics or (metric == "mcc" and turned):
            continue
        scores = 100 * record.values(metric)
        reached, mean = scores >= _RECOVERED, float(scores.mean())
        words = zip(gap_closed(record), reached, strict=True)
        verdict = Verdict(
            claim=record.preset,
            source=_settings(record),
            text=f"{text} recovered (score of {_RECOVERED:g})",
            metric=metric,
            word=four_words(_mean_closed(record), mean >= _RECOVERED) if floor else "-",
            expected="-",
            ok=True,
            outcome="-",
            score=mean,
            std=_std(scores),
            difference=mean - _RECOVERED,
            gap=_mean_gap(record),
            bar=_mean_bar(record),
            seeds=tuple(four_words(bool(c), bool(r)) for c, r in words if floor),
            nulls=_nulls(record, metric),
        )
        verdicts.append(verdict)
    return verdicts


def _settings(record: Record) -> str:
    """How a run differs from the preset it is named after; its steps in any case."""
    name = record.preset.removesuffix("-custom").rpartition(":")[2]
    preset = load_presets(record.system).get(name)
    shown = [f"{record.config['steps']} steps"]
    if preset is not None:
        plain = json.loads(json.dumps(dataclasses.asdict(preset)))
        shown += [
            f"{key}={value}"
            for key, value in record.config.items()
            if key != "steps" and key in plain and value != plain[key]
        ]
    return ", ".join(shown)


def _beside(claim: Claim, record: Record) -> Verdict:
    """A score of other data than the published, beside the published one."""
    known = bool(np.isfinite(record.values(claim.metric)).all())
    verdict = _with_gap(claim, record)
    return dataclasses.replace(verdict, ok=known, outcome=ANALOGUE)


def _with_gap(claim: Claim, record: Record) -> Verdict:
    """A number that is neither recovery nor its failure: within the band or not."""
    return dataclasses.replace(
        judge_scores(claim, record.values(claim.metric)),
        gap=_mean_gap(record),
        bar=_mean_bar(record),
        nulls=_nulls(record, claim.metric),
    )


def judge_scores(claim: Claim, scores: np.ndarray) -> Verdict:
    """Judge identity scores (per-seed, in [0, 1]): no training, so no gap."""
    scores = 100 * np.asarray(scores)
    difference = float(scores.mean() - claim.mean)
    # Both means are over few seeds: their spreads add to the band.
    width = max(band(claim), 2 * _std(scores))
    ok = abs(difference) <= width
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=claim.metric,
        word="-",
        expected=f"{claim.mean:.2f} ± {claim.std:.2f}",
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=float(scores.mean()),
        std=_std(scores),
        difference=difference,
        gap=None,
        bar=None,
        seeds=(),
        nulls={},
    )


def judge_falling(order: dict, scores: list[np.ndarray]) -> Verdict:
    """Judge an ordering: mean scores (in [0, 1]) fall by 5 points in all.

    A step may rise by half a point: seeds differ by that much on a plateau.
    """
    means = [100 * float(np.mean(s)) for s in scores]
    steps = zip(means[:-1], means[1:], strict=True)
    ok = means[0] - means[-1] >= 5 and all(b - a <= 0.5 for a, b in steps)
    return Verdict(
        claim=order["id"],
        source=order["source"],
        text=order["text"],
        metric=order["metric"],
        word="-",
        expected="falls",
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=means[-1],
        std=0.0,
        difference=means[-1] - means[0],
        gap=None,
        bar=None,
        seeds=(),
        nulls={},
        series=tuple(means),
    )


def _reaches(bound: str, scores, threshold: float):
    return scores >= threshold if bound == "least" else scores <= threshold


_RECOVERED = 95.0  # percent; a score from here on is no failure to recover


def _inside_null(claim: QuickClaim, record: Record) -> tuple[bool, str]:
    if claim.null == "rotation":
        scores = record.values(claim.metric)
        low, high = (record.values(f"mcc_rotation_{end}") for end in ("low", "high"))
        inside = (low <= scores) & (scores <= high)
        note = (
            f"{int(inside.sum())} of {inside.size} inside the 99 % interval of random "
            f"rotations, {100 * low.mean():.1f} to {100 * high.mean():.1f}"
        )
        return bool(inside.mean() >= MOST), note
    if claim.null == "identity":
        null = record.mean(f"{claim.metric}_identity")
        note = f"x itself scores {100 * null:.1f}"
        return record.mean(claim.metric) <= null + 0.05, note
    return True, ""


def _nulls(record: Record, metric: str) -> dict[str, float]:
    names = ("shuffled", "identity")
    nulls = {
        name: 100 * record.mean(f"{metric}_{name}")
        for name in names
        if f"{metric}_{name}" in record.metrics
    }
    if metric in record.untrained:
        nulls["untrained"] = 100 * float(np.mean(record.untrained[metric]))
    return nulls


def _mean_closed(record: Record) -> bool:
    if record.floor_kind == "none":
        return True
    most = gap_closed(record).mean() >= MOST
    return bool(most and record.mean("gap") <= gap_bar(record).mean())


def _mean_gap(record: Record) -> float | None:
    return None if record.floor_kind == "none" else record.mean("gap")


def _mean_bar(record: Record) -> float | None:
    return None if record.floor_kind == "none" else float(gap_bar(record).mean())


def _std(scores: np.ndarray) -> float:
    return float(scores.std(ddof=1)) if scores.size > 1 else 0.0
