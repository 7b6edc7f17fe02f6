"""Suites of benchmark rows, one after another, and what they leave on disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jidcl.bench.figures import draw
from jidcl.bench.measure import Ceilings, measure_ceilings
from jidcl.bench.rows import SUITES, Options, benchmark_result
from jidcl.bench.tables import performance_table
from jidcl.checks import check_choice
from jidcl.files import write_json


class BenchEvent(NamedTuple):
    """Progress of a measurement.

    Attributes:
        top: the device's ceilings; there from the first event on.
        row: the row that is new with this event, if one is.
        written: the files, by what they are (`"table"`, `"figure"`, `"results"`); with
            the last event.
    """

    top: Ceilings
    row: dict[str, Any] | None = None
    written: tuple[tuple[str, Path], ...] = ()


def measure(
    suites: Sequence[str],
    options: Options,
    out: Path,
    *,
    top: Ceilings | None = None,
) -> Iterator[BenchEvent]:
    """Measure the ceilings of the device and every row of some suites.

    Args:
        suites: names in `jidcl.bench.rows.SUITES`.
        options: what all of them share.
        out: folder of `results.json`, of `table.md` where losses are timed, and of the
            figures. What is there before the last row is `part.json`.
        top: the ceilings; measured when None.

    Yields:
        `BenchEvent`: the ceilings, then each row as it comes, then the files.

    Raises:
        ValueError: on an unknown suite, or when no row runs on this device.
        ImportError: at the end, without matplotlib.
    """
    for suite in suites:
        check_choice("suite", suite, SUITES)
    top = measure_ceilings(options.repeats) if top is None else top
    yield BenchEvent(top)
    rows, result = [], {}
    for row in (row for suite in suites for row in SUITES[suite](options, top)):
        rows.append(row)
        result = benchmark_result(rows, options, top)
        write_json(out / "part.json", result)
        yield BenchEvent(top, row)
    if not rows:
        raise ValueError(
            f"forms must hold one that runs here, got {list(options.forms)} (kernels "
            "run on CUDA only)"
        )
    (out / "part.json").replace(out / "results.json")
    written = []
    if any(row["what"] == "loss" for row in rows):
        (out / "table.md").write_text(performance_table(rows))
        written.append(("table", out / "table.md"))
    written += [("figure", path) for path in draw(result, out)]
    yield BenchEvent(top, None, (*written, ("results", out / "results.json")))
