"""Verdicts as Markdown, CSV and rows for a terminal. Imports no JAX."""

import csv
import io
from collections.abc import Sequence

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
    """One row of `COLUMNS`."""
    metric = {"r2": "R²", "mcc": "MCC"}.get(verdict.metric, verdict.metric)
    gap = "-"
    if verdict.gap is not None and verdict.bar is not None:
        gap = f"{verdict.gap:.4f} ({verdict.bar:.4f})"
    score = f"{metric} {verdict.score:.2f} ± {verdict.std:.2f}"
    if verdict.metric == "loss":
        score, gap = f"{verdict.score:.4f} nats", "-"
    if len(verdict.series) > 1:
        score = metric + " " + " > ".join(f"{value:.1f}" for value in verdict.series)
    outcome = f"{verdict.mark} {verdict.outcome}"
    if verdict.outcome == "-":
        outcome = "-"
    return (
        f"{verdict.claim} ({verdict.source})",
        verdict.text,
        score,
        verdict.expected,
        gap,
        verdict.word,
        outcome,
    )


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table, nulls in a second one."""
    lines = [_row(COLUMNS), _row(["---"] * len(COLUMNS))]
    lines += [_row(cells(verdict)) for verdict in verdicts]
    withnull = [verdict for verdict in verdicts if verdict.nulls or verdict.note]
    if withnull:
        lines += ["", _row(("claim", "seeds", "nulls", "note"))]
        lines.append(_row(["---"] * 4))
        for verdict in withnull:
            nulls = ", ".join(f"{k} {v:.1f}" for k, v in verdict.nulls.items())
            words = ", ".join(_counted(verdict.seeds))
            lines.append(_row((verdict.claim, words, nulls, verdict.note)))
    return "\n".join(lines) + "\n"


def to_csv(verdicts: Sequence[Verdict]) -> str:
    """One line for each verdict, full precision."""
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
    ]
    writer = csv.writer(out)
    writer.writerow(names)
    for verdict in verdicts:
        writer.writerow([getattr(verdict, name) for name in names])
    return out.getvalue()


def _counted(words: Sequence[str]) -> list[str]:
    return [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]


def _row(values: Sequence[str]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"
