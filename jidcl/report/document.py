"""The report: verdicts, tables and figures of a set of runs, in one folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jidcl.report import plots
from jidcl.report.claims import load_claims
from jidcl.report.records import Record, find_records, read_samples
from jidcl.report.tables import to_csv, to_markdown
from jidcl.report.verdict import (
    Verdict,
    judge,
    judge_falling,
    judge_free,
    judge_quick,
)


def write_report(
    folder: Path,
    verdicts: Sequence[Verdict],
    runs: dict[Path, Record],
    *,
    title: str,
    source: str,
    theorem1: dict[str, Any] | None = None,
    orderings: Sequence[tuple[dict[str, Any], list[Record]]] = (),
) -> Path:
    """Write `report.md`, `verdicts.csv` and, with matplotlib, figures.

    Args:
        folder: where to; created.
        verdicts: rows of the table.
        runs: records by run folder (figures read their samples).
        title: heading.
        source: where the claims come from.
        theorem1: measured curves by text.
        orderings: orderings with their records, first to last.

    Returns:
        The path of `report.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.csv").write_text(to_csv(verdicts))
    claimed = [verdict for verdict in verdicts if verdict.judged]
    good = sum(verdict.ok for verdict in claimed)
    lines = [
        f"# {title}",
        "",
        f"Claims: {source}.",
        "",
        f"{good} of {len(claimed)} came out as expected. Scores are percent, mean ± "
        "standard deviation over seeds; gaps are nats above the loss of the true "
        "latents on the same draws, closed below the number in brackets. A row's "
        "verdict is that of its mean; the second table counts seeds.",
        "",
        to_markdown(verdicts),
    ]
    figures = {}
    if plots.available():
        figures = _draw(folder, runs, theorem1 or {}, orderings)
    else:
        lines += ["Figures need matplotlib: `pip install 'jidcl[plots]'`.", ""]
    for name, path in figures.items():
        lines += [f"## {name}", ""]
        if path is not None:
            lines += [f"![{name}]({path.name})", ""]
    report = folder / "report.md"
    report.write_text("\n".join(lines))
    return report


def join_reports(reports: Sequence[Path], out: Path) -> Path:
    """The heads of several `report.md`, without their figures, in one file."""
    heads = [report.read_text().split("\n## ")[0].strip() for report in reports]
    out.write_text("\n\n".join(heads).replace("\n# ", "\n## ") + "\n")
    return out


def judge_finished(root: Path) -> tuple[list[Verdict], dict[Path, Record]]:
    """Judge every finished run below `root` against the claims that name its preset.

    A run that no claim names is judged against the general bar of a score of 95.

    Raises:
        ValueError: when there is no finished run.
    """
    runs = find_records(root)
    if not runs:
        raise ValueError(f"root must hold finished runs, got none in {root}")
    verdicts = []
    for record in runs.values():
        verdicts += judge_record(record) or judge_free(record)
    return verdicts, runs


def judge_record(record: Record) -> list[Verdict]:
    """Verdicts of all claims that name the record's preset."""
    claims = load_claims(record.system)
    budget, _, preset = record.preset.partition("/")
    if budget == "quick":
        mine = [claim for claim in claims.quick if claim.preset == preset]
        return [judge_quick(claim, record) for claim in mine]
    return [
        judge_with_run(claims.published_by_id(claim.id), record)
        for claim in claims.published
        if budget in ("full", "published")
        and claim.preset == preset
        and claim.column != "identity"
    ]


def judge_with_run(claim: Any, record: Record) -> Verdict:
    """`judge`, and the recovery claim that the same run has to reach as well."""
    if claim.same_run is None:
        return judge(claim, record)
    other = load_claims(record.system).published_by_id(claim.same_run)
    return judge(claim, record, also=judge(other, record))


def find_orderings(
    records: dict[str, Record],
) -> list[tuple[dict[str, Any], list[Record]]]:
    """Orderings whose runs are all there, with their records (by preset name)."""
    found = []
    for system in {record.system for record in records.values()}:
        claims = load_claims(system)
        by_id = {claim.id: f"quick/{claim.preset}" for claim in claims.quick}
        for order in claims.orderings:
            names = [by_id[c] for c in order.get("claims", ())]
            sets = [names] if names else []
            for budget in ("full", "published"):
                sets.append([f"{budget}/{p}" for p in order.get("presets", ())])
            for names in sets:
                if names and all(name in records for name in names):
                    found.append((order, [records[name] for name in names]))
    return found


def judge_orderings(orderings: Sequence[tuple[dict, list[Record]]]) -> list[Verdict]:
    """One verdict for each ordering."""
    return [
        judge_falling(order, [record.values(order["metric"]) for record in records])
        for order, records in orderings
    ]


def _draw(folder: Path, runs, theorem1, orderings) -> dict[str, Path | None]:
    figures: dict[str, Path | None] = {}
    if theorem1:
        path = plots.plot_theorem1(theorem1, folder / "theorem1.png")
        figures["Theorem 1: the true encoder's loss against M"] = path
    for order, records in orderings:
        setting = order["setting"]
        path = plots.plot_violation(
            [record.config[setting] for record in records],
            records,
            folder / f"{order['id']}.png",
            xlabel=order["xlabel"],
            metric=order["metric"],
            conditional=records[0].config.get(order.get("mark")),
        )
        figures[f"{order['source']}: {order['text']}"] = path
    names = _figure_names(runs)
    for run, record in runs.items():
        name = names[run]
        short = name.replace("/", "-")
        curve = plots.plot_curve(record, folder / f"{short}-curve.png")
        figures[f"{name}: loss and recovery"] = curve
        try:
            samples = read_samples(run)
        except ValueError as error:
            figures[f"{name}: latents and read-out ({error})"] = None
            continue
        recovery = plots.plot_recovery(
            record, samples, folder / f"{short}-recovery.png"
        )
        figures[f"{name}: latents and read-out"] = recovery
    return figures


def _figure_names(runs: dict[Path, Record]) -> dict[Path, str]:
    """The preset of each run, or its folder's name where runs share a preset."""
    presets = [record.preset for record in runs.values()]
    return {
        run: record.preset if presets.count(record.preset) == 1 else run.name
        for run, record in runs.items()
    }
