"""Verdicts on several numbers: orderings of scores, and curves against a prediction.

Imports no JAX: it reads records.
"""

from collections.abc import Mapping

import numpy as np

from jidcl.claims import BEHAVIOUR, CurveClaim, OrderingClaim
from jidcl.report.numbers import deviation, values_of
from jidcl.report.records import Record
from jidcl.report.verdict import Verdict
from jidcl.report.words import MOST


def judge_ordering(claim: OrderingClaim, records: Mapping[str, Record]) -> Verdict:
    """Judge an ordering of means over seeds.

    Falling: by the margin in all, while a step may rise by a tenth of it, as seeds
    differ by that much on a plateau. Above: the first exceeds every other by the
    margin. Equal: all lie within the margin. The latter two also have to hold in at
    least 4 of 5 seeds, where all runs have as many.

    Args:
        claim: the ordering.
        records: by preset, without its budget.

    Returns:
        The verdict; its series holds the mean of each point, in the claim's unit.
    """
    scores = [
        claim.scale * values_of(records[preset], metric, null)
        for preset, metric, null in claim.points
    ]
    means = np.asarray([float(np.mean(s)) for s in scores])
    ok, words = _holds(claim, means), ()
    if claim.kind != "falls" and len({s.shape for s in scores}) == 1:
        each = [_holds(claim, seed) for seed in np.stack(scores, axis=1)]
        words = tuple(BEHAVIOUR[not held] for held in each)
        ok = ok and bool(np.mean(each) >= MOST)
    last = float(means[-1])
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=" / ".join(dict.fromkeys(claim.metrics)),
        word=BEHAVIOUR[not ok],
        expected=claim.kind,
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=last,
        std=0.0,
        difference=last - float(means[0]),
        unit=claim.unit,
        seeds=words,
        series=tuple(means.tolist()),
    )


def _holds(claim: OrderingClaim, series: np.ndarray) -> bool:
    """Whether one series of numbers is in the claimed order; never with NaN in it."""
    if claim.kind == "falls":
        rises = np.diff(series)
        fall = series[0] - series[-1]
        return bool(fall >= claim.margin and (rises <= claim.margin / 10).all())
    if claim.kind == "above":
        return bool((series[0] - series[1:] >= claim.margin).all())
    return bool(np.ptp(series) <= claim.margin)


def judge_curve(claim: CurveClaim, record: Record) -> Verdict:
    """Judge a curve: measured = predicted within 4 standard errors, and falling.

    The first-order correction of Theorem 1 holds where R <= 0.1 M; there a
    second-order term of (R / M)^2 nats is allowed on top of the standard errors. At
    least 4 of 5 seeds have to hold.

    Args:
        claim: the curve.
        record: its scores hold `counts` (M), `excess` (measured), `error` (its
            standard error) and `predicted`, `[seeds, points]`, and `limit` and
            `moment` (R), `[seeds]`.

    Returns:
        The verdict; its score is the excess at the last M, nats.
    """
    names = ("counts", "excess", "error", "predicted")
    counts, excess, error, predicted = (record.values(name) for name in names)
    limit, moment = (record.values(name)[:, None] for name in ("limit", "moment"))
    used = counts >= 10 * moment
    off = np.abs(excess - predicted)
    near = (off <= 4 * error + (moment / counts) ** 2) | ~used
    each = near.all(1) & used.any(1) & (excess[:, 0] > excess[:, -1])
    ok = bool(each.mean() >= MOST)
    worst = float((off / error)[used].max(initial=0.0))
    score = float(excess[:, -1].mean())
    single = len(record.seeds) == 1
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric="loss",
        word=BEHAVIOUR[not ok],
        expected=f"limit {limit.mean():.4f}",
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=score,
        std=float(error[0, -1]) if single else deviation(excess[:, -1]),
        difference=score - float(limit.mean()),
        unit=claim.unit,
        seeds=() if single else tuple(BEHAVIOUR[not held] for held in each),
        note=f"at M = {counts[0, -1]:g}; at most {worst:.1f} standard errors from the "
        "finite-M prediction",
    )
