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
from jidcl.report.words import counted

COLUMNS = (
    "claim",
    "what",
    "score",
    "nulls",
    "expected",
    "loss - reference = gap (closed below)",
    "verdict",
    "outcome",
)
_SHORT = {"identity": "x itself"}


def cells(verdict: Verdict) -> tuple[str, ...]:
    """One row of `COLUMNS`.

    Args:
        verdict: the verdict.

    Returns:
        A text for each of `COLUMNS`.
    """
    outcome = f"{verdict.mark} {verdict.outcome}"
    if verdict.outcome == "-":
        outcome = "-"
    return (
        f"{verdict.claim} ({verdict.source})",
        verdict.text,
        _score(verdict),
        _nulls(verdict) or "-",
        verdict.expected,
        _gap(verdict),
        _word(verdict),
        outcome,
    )


def _nulls(verdict: Verdict) -> str:
    digits = ".1f" if verdict.unit == "percent" else ".4g"
    return ", ".join(
        f"{_SHORT.get(name, name)} {value:{digits}}"
        for name, value in verdict.nulls.items()
    )


def _gap(verdict: Verdict) -> str:
    """The subtraction that the gap is, and its bar."""
    gap, bar, loss = verdict.gap, verdict.bar, verdict.loss
    if gap is None or bar is None or loss is None:
        return "-"
    return f"{loss:.4f} - {loss - gap:.4f} = {gap:.4f} ({bar:.4f})"


def _word(verdict: Verdict) -> str:
    """The row's word; where seeds differ, how many bear which."""
    if len(set(verdict.seeds)) < 2:
        return verdict.word
    return f"{verdict.word}: {counted(verdict.seeds)}"


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
    seeds = f", {verdict.count} seeds" if verdict.count > 1 else ""
    if verdict.unit == "percent":
        return f"{metric} {verdict.score:.2f} ± {verdict.std:.2f}{seeds}"
    if verdict.metric == "loss":
        return f"{verdict.score:.4f} nats"
    suffix = " nats" if verdict.unit == "nats" else ""
    return f"{metric} {verdict.score:.4g} ± {verdict.std:.2g}{suffix}{seeds}"


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table; what bars admit, and notes, in a second one.

    Args:
        verdicts: the rows.

    Returns:
        The text, with a line break at its end.
    """
    lines = [_row(COLUMNS), _row(["---"] * len(COLUMNS))]
    lines += [_row(cells(verdict)) for verdict in verdicts]
    noted = [verdict for verdict in verdicts if verdict.admits or verdict.note]
    if noted:
        lines += ["", _row(("claim", "the bar on the gap admits", "note"))]
        lines.append(_row(["---"] * 3))
        lines += [_row((v.claim, v.admits or "-", v.note or "-")) for v in noted]
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
        "count",
        "loss",
        "gap",
        "bar",
        "admits",
        "word",
        "outcome",
        "ok",
        "unit",
        "note",
    ]
    nulls = list(dict.fromkeys(null for v in verdicts for null in v.nulls))
    writer = csv.writer(out)
    writer.writerow([*names, "seeds", *(f"null {null}" for null in nulls)])
    for verdict in verdicts:
        held = [verdict.nulls.get(null, "") for null in nulls]
        own = [getattr(verdict, name) for name in names]
        writer.writerow([*own, counted(verdict.seeds), *held])
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


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"
