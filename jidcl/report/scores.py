"""A report of scores, or of similarities, as text, CSV, JSON and one HTML page.

The page needs nothing beside itself: its pictures are SVG.
"""

import csv
import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jidcl.files import to_json

COLUMNS = ("score", "value", "low", "high", "chance", "p", "note")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .6rem; text-align: left; }
tr:nth-child(even) { background: #f4f4f4; } .number { text-align: right; }
"""


def score_rows(found: Any) -> list[list[str]]:
    """Cells of `jidcl.metrics.Report`, a row a score, in the order of `COLUMNS`.

    Args:
        found: the report.

    Returns:
        Text for each cell.
    """
    return [
        [
            row.name,
            *(f"{x:.3f}" for x in (row.score, row.low, row.high, row.null)),
            f"{row.p_value:.2g}",
            row.note,
        ]
        for row in found.scores
    ]


def score_text(found: Any) -> str:
    """A table for a terminal, and the notes below it.

    Args:
        found: the report.

    Returns:
        The text.
    """
    title = f"{found.rows} rows, {found.factors} factors, {found.codes} codes"
    rows = [list(COLUMNS), *score_rows(found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS) - 1)]
    lines = [title, ""]
    for row in rows:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    lines += ["", *(f"note: {text}" for text in found.notes)]
    return "\n".join(lines).rstrip()


def score_csv(found: Any) -> str:
    """The same table as CSV, with all digits.

    Args:
        found: the report.

    Returns:
        The text.
    """
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in found.scores:
        numbers = (row.score, row.low, row.high, row.null, row.p_value)
        writer.writerow([row.name, *map(repr, map(float, numbers)), row.note])
    return held.getvalue()


def score_json(found: Any) -> str:
    """Everything that a report holds, for other programs.

    Args:
        found: the report.

    Returns:
        The text.
    """
    held = {
        "rows": found.rows,
        "factors": found.factors,
        "codes": found.codes,
        "scores": [row._asdict() for row in found.scores],
        "notes": list(found.notes),
        "correlations": np.asarray(found.correlations).tolist(),
    }
    return to_json(held)


def score_html(found: Any, title: str) -> str:
    """One page: the table, its picture, and the correlations of factors with codes.

    Args:
        found: the report.
        title: of the page.

    Returns:
        The page.
    """
    rows = "".join(
        "<tr>"
        + f"<td><b>{html.escape(cells[0])}</b><br>{html.escape(row.meaning)}</td>"
        + "".join(f'<td class="number">{html.escape(c)}</td>' for c in cells[1:-1])
        + f"<td>{html.escape(cells[-1])}</td></tr>"
        for row, cells in zip(found.scores, score_rows(found), strict=True)
    )
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in found.notes)
    body = (
        f"<p>{found.rows} rows, {found.factors} factors, {found.codes} codes.</p>"
        f"<table><tr>{head}</tr>{rows}</table>"
        f"<h2>Notes on the data</h2><ul>{notes or '<li>none</li>'}</ul>"
        "<h2>Scores (bar: 95 % interval) and what chance reaches (line)</h2>"
        f"{_bars(found.scores)}"
        "<h2>|Correlation| of factors (rows) with codes (columns)</h2>"
        f"{heat(np.abs(found.correlations))}"
    )
    return page(title, body)


def page(title: str, body: str) -> str:
    """A page of its own.

    Args:
        title: as plain text.
        body: as HTML.

    Returns:
        The page.
    """
    safe = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{safe}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{safe}</h1>{body}</body></html>\n"
    )


def _bars(scores: Sequence[Any]) -> str:
    """A row a score: point, interval, and a line at chance."""

    def at(x: float) -> float:
        return 120 + 500 * min(max(x, -0.05), 1.05)

    parts = []
    for i, row in enumerate(scores):
        y = 24 * i + 18
        parts.append(
            f'<text x="0" y="{y + 4}" font-size="13">{html.escape(row.name)}</text>'
            f'<line x1="{at(row.low):.1f}" x2="{at(row.high):.1f}" y1="{y}" y2="{y}" '
            'stroke="#4477aa" stroke-width="8" stroke-opacity=".35"/>'
            f'<circle cx="{at(row.score):.1f}" cy="{y}" r="4" fill="#4477aa"/>'
            f'<line x1="{at(row.null):.1f}" x2="{at(row.null):.1f}" y1="{y - 9}" '
            f'y2="{y + 9}" stroke="#cc3311" stroke-width="2"/>'
        )
    height = 24 * len(scores) + 40
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(
            f'<text x="{at(tick):.1f}" y="{height - 12}" font-size="12" '
            f'text-anchor="middle">{tick:g}</text>'
        )
    return f'<svg width="680" height="{height}" role="img">{"".join(parts)}</svg>'


def heat(matrix: np.ndarray, names: Sequence[str] | None = None) -> str:
    """A matrix of numbers in [0, 1] as squares, darker for larger.

    Args:
        matrix: `[rows, columns]`.
        names: of the rows; their numbers when None.

    Returns:
        An SVG picture.
    """
    rows, columns = matrix.shape
    side = max(6, min(28, 640 // max(rows, columns)))
    left = 8 * max(map(len, names), default=0) + 8 if names else 28
    parts = []
    for i in range(rows):
        label = html.escape(names[i]) if names else str(i)
        y = side * i + 4
        parts.append(
            f'<text x="0" y="{y + side * 0.7:.0f}" font-size="12">{label}</text>'
        )
        for j in range(columns):
            value = float(np.clip(np.nan_to_num(matrix[i, j]), 0, 1))
            shade = int(255 - 200 * value)
            column = html.escape(names[j]) if names else str(j)
            parts.append(
                f'<rect x="{left + side * j}" y="{y}" width="{side - 1}" '
                f'height="{side - 1}" fill="rgb({shade},{shade},255)">'
                f"<title>{label}, {column}: {value:.3f}</title></rect>"
            )
    size = f'width="{left + side * columns + 8}" height="{side * rows + 12}"'
    return f'<svg {size} role="img">{"".join(parts)}</svg>'


# Similarities ------------------------------------------------------------------------


def similarity_text(names: Sequence[str], found: dict[tuple[int, int], Any]) -> str:
    """Both similarities of every pair, with chance and p-value.

    Args:
        names: of the representations.
        found: `jidcl.metrics.Similarity` by the numbers of its two.

    Returns:
        The text.
    """
    pairs = {(i, j): f"{names[i]} - {names[j]}" for i, j in found}
    width = max(20, *map(len, pairs.values()))
    head = " matched  chance      p   linear  chance      p"
    lines = ["pair".ljust(width) + head]
    for pair, one in found.items():
        numbers = (
            f"{one.matched:8.3f} {one.matched_null:7.3f} {one.matched_p:6.2g} "
            f"{one.linear:8.3f} {one.linear_null:7.3f} {one.linear_p:6.2g}"
        )
        lines.append(pairs[pair].ljust(width) + numbers)
    return "\n".join(lines)


def similarity_json(names: Sequence[str], found: dict[tuple[int, int], Any]) -> str:
    """Every pair by the names of its two, for other programs.

    Args:
        names: of the representations.
        found: `jidcl.metrics.Similarity` by the numbers of its two.

    Returns:
        The text.
    """
    pairs = [
        {"a": names[i], "b": names[j], **one._asdict()} for (i, j), one in found.items()
    ]
    return to_json({"names": list(names), "pairs": pairs})


def similarity_html(names: Sequence[str], found: dict[tuple[int, int], Any]) -> str:
    """One page: two heat maps and the table.

    Args:
        names: of the representations.
        found: `jidcl.metrics.Similarity` by the numbers of its two.

    Returns:
        The text.
    """
    body = ""
    for field, text in (
        ("matched", "up to order, sign and scale of columns (held-out MCC)"),
        ("linear", "up to linear maps (held-out R2, both ways)"),
    ):
        matrix = np.eye(len(names))
        for (i, j), one in found.items():
            matrix[i, j] = matrix[j, i] = getattr(one, field)
        body += f"<h2>Similarity {text}</h2>{heat(matrix, names)}"
    table = html.escape(similarity_text(names, found))
    return page("Similarity of representations", f"{body}<pre>{table}</pre>")
