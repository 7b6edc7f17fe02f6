"""The judge is judged: words on planted representations whose truth is known.

Nothing is trained. The gap of every case counts as closed, so that scores and nulls
alone decide between "identified", "not identified" and "already in x".
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from jidcl.checks import check_at_least, check_whole
from jidcl.claims import ALREADY, FOUR_WORDS
from jidcl.metrics import mcc, r2, shuffled
from jidcl.report.judge import judge_free
from jidcl.report.records import SCHEMA_VERSION, PerSeed, Record
from jidcl.run.planted import Planted, parts_of, plant
from jidcl.systems.shared.cross_fitted import cross_fitted

IDENTIFIED, FALSE_MOST, MISSED_MOST = FOUR_WORDS[0], 0.01, 0.05
METRICS: Mapping[str, Callable] = {"r2": r2, "mcc": mcc}
WORST_SHOWN = 12
# What may rightly be said, by whether z is recovered and whether x has it already.
_RIGHT = {
    (True, False): (IDENTIFIED,),
    (True, True): (ALREADY,),
    (False, False): ("not identified",),
    (False, True): ("not identified",),
}


def audit_verdict(count: int = 10_000, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Judge planted representations; one row for each score of each.

    Args:
        count: number of representations, >= 1.
        seed: of all draws.

    Returns:
        Rows of `metric`, `word`, `recovered`, `in_x`, `score`, and the sizes.

    Raises:
        ValueError, TypeError: on a count that is no whole number >= 1.
    """
    check_whole("count", count)
    check_at_least("count", count, 1)
    return _rows(np.random.default_rng(seed), count)


def _rows(rng: np.random.Generator, count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        case = plant(rng)
        for verdict in judge_free(_record(rng, case)):
            yield {
                **parts_of(case),
                "metric": verdict.metric,
                "word": verdict.word,
                "recovered": case.truth[verdict.metric],
                "in_x": case.in_x and verdict.metric == "r2",
                "score": round(verdict.score, 2),
                **{name: round(value, 2) for name, value in verdict.nulls.items()},
            }


def _record(rng: np.random.Generator, case: Planted) -> Record:
    """The record that a run with these rows would leave, its gap closed."""
    found = {name: _scores(rng, score, case) for name, score in METRICS.items()}
    few, of_few = _few_rows(rng, case)
    nulls = {name: nulls for name, (_, nulls) in found.items()} | of_few
    closed = {"loss": 1.0, "reference": 1.0, "chance": 2.0, "gap": 0.0, "gap_se": 0.0}
    scores = {name: [float(own.mean)] for name, (own, _) in found.items()}
    each = {f"{k}_per_dim": [own.per_dim.tolist()] for k, (own, _) in found.items()}
    return Record(
        schema_version=SCHEMA_VERSION,
        system="planted",
        preset=case.kind,
        config={},
        seeds=[0],
        floor_kind="reference",
        scores=scores | each | few,
        losses={name: [value] for name, value in closed.items()},
        nulls=nulls,
        untrained={name: held.pop("untrained") for name, held in nulls.items()},
        curve=[],
        seconds={},
        device="",
    )


def _few_rows(rng: np.random.Generator, case: Planted) -> tuple[PerSeed, dict]:
    """(cross-fitted scores, their nulls), where rows are few."""
    mixed = rng.permutation(case.y)
    read: Any = {"shuffled": mixed, "identity": case.x, "untrained": case.start}
    found, nulls = cross_fitted(case.z, case.y, read, xp=np)  # type: ignore[arg-type]
    scores = {name: [np.asarray(value).tolist()] for name, value in found.items()}
    return scores, {
        score: {name: [float(value)] for name, value in own.items()}
        for score, own in nulls.items()
    }


def _scores(rng: np.random.Generator, score: Callable, case: Planted):
    """(score of y, its nulls)."""
    seen = {"identity": case.x, "untrained": case.start}
    nulls = {name: [float(score(case.z, v, xp=np).mean)] for name, v in seen.items()}
    y: Any = case.y
    mixed = shuffled(rng, y, xp=np)
    nulls["shuffled"] = [float(score(case.z, mixed, xp=np).mean)]
    return score(case.z, case.y, xp=np), nulls


def summary(rows: list[dict[str, Any]], seconds: float = 0.0) -> dict[str, Any]:
    """Confusion of the words, the two rates, and the worst cases.

    Args:
        rows: of `audit_verdict`.
        seconds: that it took.

    Returns:
        `confusion`: counts by truth, then word; `by_kind`: the same for each kind and
        score; `false_identified` (of what is not recovered, or is in x already) and
        `missed` (of what is recovered and not in x): shares, with their limits and the
        counts; `worst`: wrong cases, false ones first.
    """
    confusion: dict[str, Counter] = {}
    kinds: dict[str, Counter] = {}
    wrong = {"false": [], "missed": [], "other": []}
    should, others = 0, 0
    for row in rows:
        truth = "recovered" if row["recovered"] else "not recovered"
        truth += ", in x" if row["in_x"] and row["recovered"] else ""
        confusion.setdefault(truth, Counter())[row["word"]] += 1
        kinds.setdefault(f"{row['kind']}, {row['metric']}", Counter())[row["word"]] += 1
        right = _RIGHT[row["recovered"], row["in_x"]]
        mine = right == (IDENTIFIED,)
        should, others = should + mine, others + (not mine)
        if row["word"] not in right:
            fault = "missed" if mine else "other"
            wrong["false" if row["word"] == IDENTIFIED else fault].append(row)
    return {
        "representations": len(rows) // len(METRICS),
        "judged": len(rows),
        "confusion": {truth: dict(words) for truth, words in confusion.items()},
        "by_kind": {kind: dict(kinds[kind]) for kind in sorted(kinds)},
        "false_identified": len(wrong["false"]) / max(others, 1),
        "false_limit": FALSE_MOST,
        "missed": len(wrong["missed"]) / max(should, 1),
        "missed_limit": MISSED_MOST,
        "counts": {"not_identified": others, "identified": should},
        "worst": [row for fault in wrong.values() for row in fault[:WORST_SHOWN]],
        "seconds": round(seconds, 1),
    }


def passed(found: dict[str, Any]) -> bool:
    """Whether both rates of a summary are within their limits, of enough cases.

    Args:
        found: of `summary`.

    Returns:
        True where they are.
    """
    within = found["false_identified"] <= FALSE_MOST and found["missed"] <= MISSED_MOST
    return within and min(found["counts"].values()) > 0
