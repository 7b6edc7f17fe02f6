"""The report: verdicts, tables and figures of a set of runs, in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jidcl.claims import Claims, CurveClaim, OrderingClaim, load_claims, packaged
from jidcl.report import plots
from jidcl.report.judge import (
    JUDGED_BUDGETS,
    answered,
    judge,
    judge_free,
    judge_record,
)
from jidcl.report.records import Record, find_records, read_samples
from jidcl.report.tables import to_csv, to_markdown
from jidcl.report.verdict import Verdict


def write_report(
    folder: Path,
    verdicts: Sequence[Verdict],
    runs: dict[Path, Record],
    *,
    title: str,
    source: str,
    claims: Sequence[Claims] | None = None,
) -> Path:
    """Write `report.md`, `verdicts.csv` and, with matplotlib, figures.

    Args:
        folder: where to; created.
        verdicts: rows of the table.
        runs: records by run folder (figures read their samples).
        title: heading.
        source: where the claims come from.
        claims: of the runs' systems, for figures of orderings and curves; the packaged
            ones where None.

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
        "standard deviation over seeds, unless a unit is named. A reference is the "
        "loss of the true latents on the same draws. The gap is closed below the "
        "number in brackets. The second table says what a gap of that size still "
        "admits. A row's verdict is that of at least 4 of 5 seeds. A recovery leaves "
        "at most half of what each null leaves.",
        "",
        to_markdown(verdicts),
    ]
    figures = {}
    if plots.available():
        figures = _draw(folder, runs, packaged_of(runs) if claims is None else claims)
    else:
        lines += ["Figures need matplotlib: `pip install 'jidcl[plots]'`.", ""]
    for name, path in figures.items():
        lines += [f"## {name}", ""]
        if path is not None:
            lines += [f"![{name}]({path.name})", ""]
    report = folder / "report.md"
    report.write_text("\n".join(lines))
    return report


def packaged_of(runs: Mapping[Path, Record]) -> list[Claims]:
    """The packaged claims of the systems of some runs, in name order.

    Args:
        runs: records by run folder.

    Returns:
        The claims of each system; none for a system without packaged claims.
    """
    systems = sorted({record.system for record in runs.values()})
    return [load_claims(system) for system in systems if system in packaged()]


def join_reports(reports: Sequence[Path], out: Path) -> Path:
    """The heads of several `report.md`, without their figures, in one file.

    Args:
        reports: paths of `report.md`.
        out: the file to write.

    Returns:
        `out`.
    """
    heads = [report.read_text().split("\n## ")[0].strip() for report in reports]
    out.write_text("\n\n".join(heads).replace("\n# ", "\n## ") + "\n")
    return out


def judge_finished(root: Path) -> tuple[list[Verdict], dict[Path, Record]]:
    """Judge every finished run below `root` against the packaged claims it answers.

    A run that no claim names is judged against the general bar of a score of 95. The
    claims that take several runs come last.

    Args:
        root: the folder whose subfolders are runs.

    Returns:
        The verdicts, and the records by run folder.

    Raises:
        ValueError: when there is no finished run.
    """
    runs = find_records(root)
    if not runs:
        raise ValueError(f"root must hold finished runs, got none in {root}")
    verdicts = []
    for record in runs.values():
        verdicts += judge_record(record) or judge_free(record)
    for claims in packaged_of(runs):
        pairs = answered(claims, by_name(runs, claims.system), JUDGED_BUDGETS)
        verdicts += [judge(held, claim) for claim, held in pairs if len(held) > 1]
    return verdicts, runs


def by_name(runs: Mapping[Path, Record], system: str) -> dict[str, Record]:
    """The records of a system by the names that `Claim.needs` uses.

    Of several runs of a preset, the one with the most seeds.

    Args:
        runs: records by run folder.
        system: name of the system.

    Returns:
        `{preset: record}`.
    """
    own = [record for record in runs.values() if record.system == system]
    return {r.preset: r for r in sorted(own, key=lambda record: len(record.seeds))}


def _draw(
    folder: Path, runs: dict[Path, Record], claims: Sequence[Claims]
) -> dict[str, Path | None]:
    figures: dict[str, Path | None] = {}
    for own in claims:
        figures |= _draw_claims(folder, own, by_name(runs, own.system))
    names = _figure_names(runs)
    for run, record in runs.items():
        name = names[run]
        short = name.replace("/", "-")
        if record.curve:
            curve = plots.plot_curve(record, folder / f"{short}-curve.png")
            figures[f"{name}: loss and recovery"] = curve
        if not (run / "samples.npz").exists():
            continue  # nothing was kept
        try:
            samples = read_samples(run)
        except ValueError as error:
            figures[f"{name}: latents and read-out ({error})"] = None
            continue
        if not {"z", "z_hat", "matrix"} <= samples.keys():
            continue
        recovery = plots.plot_recovery(
            record, samples, folder / f"{short}-recovery.png"
        )
        figures[f"{name}: latents and read-out"] = recovery
    return figures


def _draw_claims(
    folder: Path, claims: Claims, records: Mapping[str, Record]
) -> dict[str, Path | None]:
    """Figures of the curves, one for all, and of the orderings that name an axis."""
    figures: dict[str, Path | None] = {}
    pairs = answered(claims, records)
    curves = {c.text: held[0] for c, held in pairs if isinstance(c, CurveClaim)}
    if curves:
        path = plots.plot_theorem1(curves, folder / "theorem1.png")
        figures["Theorem 1: the true encoder's loss against M"] = path
    for claim, held in pairs:
        if not isinstance(claim, OrderingClaim) or not claim.setting:
            continue
        mark = held[0].config.get(claim.mark) if claim.mark else None
        path = plots.plot_violation(
            [record.config[claim.setting] for record in held],
            held,
            folder / f"{claim.id}.png",
            xlabel=claim.xlabel,
            metric=claim.metrics[0],
            conditional=mark,
        )
        figures[f"{claim.source}: {claim.text}"] = path
    return figures


def _figure_names(runs: dict[Path, Record]) -> dict[Path, str]:
    """The preset of each run, or its folder's name where runs share a preset."""
    presets = [record.preset for record in runs.values()]
    return {
        run: record.preset if presets.count(record.preset) == 1 else run.name
        for run, record in runs.items()
    }
