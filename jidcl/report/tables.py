"""Verdicts as Markdown, CSV and rows for a terminal. Imports no JAX."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jidcl.report.legend import meaning
from jidcl.report.records import Record
from jidcl.report.verdict import Verdict

COLUMNS = (
    "claim",
    "what",
    "score",
    "expected",
    "gap (closed below)",
    "verdict",
    "outcome",
)


def cells(verdict: Verdict) -> tuple[str, ...]:
    """One row of `COLUMNS`.

    Args:
        verdict: the verdict.

    Returns:
        A text for each of `COLUMNS`.
    """
    gap = "-"
    if verdict.gap is not None and verdict.bar is not None:
        gap = f"{verdict.gap:.4f} ({verdict.bar:.4f})"
    outcome = f"{verdict.mark} {verdict.outcome}"
    if verdict.outcome == "-":
        outcome = "-"
    return (
        f"{verdict.claim} ({verdict.source})",
        verdict.text,
        _score(verdict),
        verdict.expected,
        gap,
        verdict.word,
        outcome,
    )


def _score(verdict: Verdict) -> str:
    """The score and its deviation, or all of an ordering, in the claim's unit."""
    metric = {"r2": "R²", "mcc": "MCC"}.get(verdict.metric, verdict.metric)
    digits = ".1f" if verdict.unit == "percent" else ".4g"
    if len(verdict.series) > 1:
        sign = {"above": " ≥ ", "equal": " ≈ "}.get(verdict.expected, " > ")
        values = [format(value, digits) for value in verdict.series]
        if verdict.expected == "above":  # the first over each of the others
            values = [values[0], ", ".join(values[1:])]
        return f"{metric} {sign.join(values)}"
    if math.isnan(verdict.score) and math.isnan(verdict.std):
        return metric or "-"
    if verdict.unit == "percent":
        return f"{metric} {verdict.score:.2f} ± {verdict.std:.2f}"
    if verdict.metric == "loss":
        return f"{verdict.score:.4f} nats"
    suffix = " nats" if verdict.unit == "nats" else ""
    return f"{metric} {verdict.score:.4g} ± {verdict.std:.2g}{suffix}"


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table, nulls in a second one.

    Args:
        verdicts: the rows.

    Returns:
        The text, with a line break at its end.
    """
    lines = [_row(COLUMNS), _row(["---"] * len(COLUMNS))]
    lines += [_row(cells(verdict)) for verdict in verdicts]
    withnull = [verdict for verdict in verdicts if verdict.nulls or verdict.note]
    if withnull:
        lines += ["", _row(("claim", "seeds", "nulls", "note"))]
        lines.append(_row(["---"] * 4))
        for verdict in withnull:
            digits = ".1f" if verdict.unit == "percent" else ".4g"
            nulls = ", ".join(f"{k} {v:{digits}}" for k, v in verdict.nulls.items())
            words = ", ".join(_counted(verdict.seeds))
            lines.append(_row((verdict.claim, words, nulls, verdict.note)))
    return "\n".join(lines) + "\n"


def to_csv(verdicts: Sequence[Verdict]) -> str:
    """One line for each verdict, full precision.

    Args:
        verdicts: the rows.

    Returns:
        The text of a CSV file, with a line of names first.
    """
    out = io.StringIO()
    names = [
        "claim",
        "source",
        "metric",
        "score",
        "std",
        "expected",
        "difference",
        "gap",
        "bar",
        "word",
        "outcome",
        "ok",
        "unit",
    ]
    writer = csv.writer(out)
    writer.writerow(names)
    for verdict in verdicts:
        writer.writerow([getattr(verdict, name) for name in names])
    return out.getvalue()


def score_rows(
    record: Record, own: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, list[Any], str]]:
    """(name, value of each seed, meaning) of every score, loss and null.

    Args:
        record: of a finished run.
        own: meanings of scores that are the system's own.

    Returns:
        Scores, then losses, then nulls, each in name order; a null is named as
        `"r2, shuffled"`. Scores that are a list for each seed are left out of runs
        that train, where they detail a scalar one.
    """
    named = [
        (name, values, meaning(name, own))
        for group in (record.scores, record.losses)
        for name, values in sorted(group.items())
    ]
    for score, nulls in sorted(record.nulls.items()):
        for null, values in sorted(nulls.items()):
            text = meaning(score, own, null=null)
            named.append((f"{score}, {null}", values, text))
    return [
        row for row in named if not record.trained or not isinstance(row[1][0], list)
    ]


def _counted(words: Sequence[str]) -> list[str]:
    return [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"
