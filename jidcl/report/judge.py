"""From records and a claim to a verdict, whatever the kind of claim.

Imports no JAX: it reads records.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from jidcl.claims import (
    BEHAVIOUR,
    BUDGETS,
    Claim,
    Claims,
    CurveClaim,
    OrderingClaim,
    PublishedClaim,
    QuickClaim,
    load_claims,
    packaged,
)
from jidcl.report.comparisons import judge_curve, judge_ordering
from jidcl.report.numbers import (
    RECOVERED,
    deviation,
    few_rows,
    gap_columns,
    judge_published,
    judge_quick,
    mean_nulls,
)
from jidcl.report.records import Record
from jidcl.report.verdict import NOT_TESTABLE, Verdict
from jidcl.report.words import (
    above_chance,
    all_latents,
    judged_by,
    row_word,
    seed_words,
)
from jidcl.systems.registry import SYSTEMS, load_presets

JUDGED_BUDGETS = BUDGETS[1:]  # smoke runs are too short to be held to a claim


def judge(records: Record | Sequence[Record], claim: Claim) -> Verdict:
    """What records say about a claim.

    Args:
        records: those that `claim.needs(budget)` names, in its order; one record may
            stand alone. None are needed, and none are read, for a claim that is not
            testable as published.
        claim: of any kind.

    Returns:
        The verdict.

    Raises:
        ValueError: on another number of records, or a score that they lack.
        TypeError: on a claim of an unknown kind.
    """
    if claim.untestable:
        return _not_testable(claim)
    held = (records,) if isinstance(records, Record) else tuple(records)
    wanted = len(claim.needs(claim.budgets[0])) if claim.budgets else len(held)
    if len(held) != wanted:
        raise ValueError(f"records of {claim.id} must be {wanted}, got {len(held)}")
    match claim:
        case PublishedClaim():
            return judge_published(claim, held[0])
        case QuickClaim():
            return judge_quick(claim, held[0])
        case CurveClaim():
            return judge_curve(claim, held[0])
        case OrderingClaim():
            names = dict.fromkeys(claim.presets)
            return judge_ordering(claim, dict(zip(names, held, strict=True)))
    raise TypeError(f"claim must be of a known kind, got {type(claim).__name__}")


def answered(
    claims: Claims,
    records: Mapping[str, Record],
    budgets: Sequence[str] = BUDGETS,
) -> list[tuple[Claim, tuple[Record, ...]]]:
    """The claims whose records are all there, each with its records.

    Args:
        claims: of one system.
        records: by the names of `Claim.needs`, which are the records' presets.
        budgets: the budgets to look for.

    Returns:
        Pairs for `judge`; a claim once for each set of records, one that is not
        testable never.
    """
    found = {}
    for claim in claims.all:
        for budget in (b for b in claim.budgets if b in budgets):
            names = claim.needs(budget)
            if names and all(name in records for name in names):
                held = tuple(records[name] for name in names)
                found.setdefault((claim.id, names), (claim, held))
    return list(found.values())


def judge_record(record: Record, claims: Claims | None = None) -> list[Verdict]:
    """Verdicts of all claims that need this record and no other.

    Args:
        record: of a finished run.
        claims: of its system; the packaged ones where None, if there are.

    Returns:
        One verdict a claim; none where no claim names the record.
    """
    if claims is None:
        if record.system not in packaged():
            return []
        claims = load_claims(record.system)
    pairs = answered(claims, {record.preset: record}, JUDGED_BUDGETS)
    return [judge(held, claim) for claim, held in pairs]


def judge_free(record: Record) -> list[Verdict]:
    """Judge a run that no claim names: R2 and MCC against a score of 95.

    Where nothing was trained there is no word. On a sphere latents are recovered up to
    a rotation at best, and MCC is not judged.

    Args:
        record: of a finished run.

    Returns:
        A verdict for R2 and one for MCC, where the record has them.
    """
    verdicts = []
    turned = record.config.get("space") == "sphere"
    for metric, text in (("r2", "linear map"), ("mcc", "permutation")):
        if metric not in record.scores or (metric == "mcc" and turned):
            continue
        scores = 100 * record.values(judged_by(record, metric))
        words = []
        if record.trained:
            whole = all_latents(record, metric, RECOVERED / 100)
            whole &= above_chance(record, metric)
            words = seed_words(record, metric, (scores >= RECOVERED) & whole)
        verdict = Verdict(
            claim=record.preset,
            source=_settings(record),
            text=f"{text} recovered (score of {RECOVERED:g})",
            metric=metric,
            word=row_word(words) if words else "-",
            expected="-",
            ok=True,
            outcome="-",
            score=float(scores.mean()),
            std=deviation(scores),
            difference=float(scores.mean() - RECOVERED),
            seeds=tuple(words),
            nulls=mean_nulls(record, judged_by(record, metric), 100),
            note=few_rows(record, metric),
            **gap_columns(record, metric),
        )
        verdicts.append(verdict)
    return verdicts


def _settings(record: Record) -> str:
    """How a run differs from the preset it is named after; its steps in any case."""
    name = record.preset.removesuffix("-custom").rpartition(":")[2]
    known = load_presets(record.system) if record.system in SYSTEMS else {}
    preset, config = known.get(name), record.config
    shown = [f"{config['steps']} steps"] if "steps" in config and record.trained else []
    if preset is not None:
        plain = json.loads(json.dumps(dataclasses.asdict(preset)))
        shown += [
            f"{key}={value}"
            for key, value in config.items()
            if key != "steps" and key in plain and value != plain[key]
        ]
    return ", ".join(shown) or "-"


def _not_testable(claim: Claim) -> Verdict:
    metric = getattr(claim, "metric", "")
    return Verdict(
        claim=claim.id,
        source=claim.source,
        text=claim.text,
        metric=metric,
        word=BEHAVIOUR[2],
        expected="-",
        ok=True,
        outcome=NOT_TESTABLE,
        score=float("nan"),
        std=float("nan"),
        difference=float("nan"),
        unit=claim.unit,
        note=claim.untestable,
    )
