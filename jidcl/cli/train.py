"""`jidcl train`: one preset, any setting overridden."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from jidcl.cli.arguments import Devices, find_preset, no_tyro, parse, quiet

if TYPE_CHECKING:
    from rich.console import Console

    from jidcl.report.records import Record

_USAGE = """usage: jidcl train PRESET [--seeds N] [--FIELD VALUE ...]

PRESET is one of `jidcl list presets [SYSTEM]`, or SYSTEM:PRESET, or
MODULE:OBJECT:PRESET of your own; `jidcl train PRESET --help` shows every field."""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    if not args or args[0].startswith("-"):
        print(_USAGE)
        return 0 if args and args[0] in ("-h", "--help") else 2
    name, *rest = args
    system, label, default = find_preset(name)
    options = parse(_arguments(default), rest, f"train {name}")
    quiet()
    label = label if options.config == default else f"{label}-custom"
    seeds, mesh = range(options.run_seeds), options.devices.mesh()
    if options.dry_run:
        from jidcl.cli.progress import print_estimates
        from jidcl.run.costs import estimates

        runs = [(label, options.config)]
        print_estimates(estimates(runs, system=system, seeds=seeds, mesh=mesh))
        return 0
    record = show_run(
        options.config,
        label,
        system=system,
        seeds=seeds,
        root=options.root,
        mesh=mesh,
        save_seconds=options.save_seconds,
    )
    if options.profile:
        _print_programs(record)
    return 0


def _arguments(default: Any) -> Any:
    try:
        import tyro
    except ImportError as error:
        raise no_tyro() from error

    @dataclasses.dataclass(frozen=True)
    class Train:
        """Train one preset; the same command resumes, another config never mixes."""

        config: Annotated[type(default), tyro.conf.OmitArgPrefixes] = default  # type: ignore
        """settings of the run; any field can be overridden"""
        run_seeds: Annotated[int, tyro.conf.arg(name="seeds")] = 1
        """number of seeds, batched"""
        devices: Devices = Devices()
        """devices of the run: seeds over one axis, each batch over another"""
        root: Path = Path("runs")
        """folder of all runs"""
        save_seconds: float = 60.0
        """least time between checkpoints"""
        profile: bool = False
        """print what each program of the run cost to trace, lower, compile and run"""
        dry_run: bool = False
        """print the program, FLOPs, memory and expected time, then stop"""

    return Train


def show_run(
    config: Any,
    label: str,
    *,
    system: str,
    seeds: Sequence[int],
    root: Path,
    mesh: Any = None,
    save_seconds: float = 60.0,
) -> "Record":
    """Run one configuration with a progress bar; print its scores (one host does).

    Args:
        config: the system's settings.
        label: name for the folder and the record.
        system: its name.
        seeds: distinct integers.
        root: folder of all runs.
        mesh: devices; one device when None.
        save_seconds: least time between checkpoints.

    Returns:
        The record of the finished run.
    """
    from rich.console import Console

    from jidcl.cli.progress import Watcher, print_verdicts, stoppable
    from jidcl.report.judge import judge_free, judge_record
    from jidcl.run.check import check_system
    from jidcl.run.runner import run
    from jidcl.systems.registry import load_system

    if ":" in system:  # ours are checked by the tests
        check_system(load_system(system), config)
    from jidcl.systems.registry import find_claims, load_legend
    from jidcl.train import hosts

    legend, claims = load_legend(system), find_claims(system)
    console = Console(quiet=not hosts.writes(), markup=False)
    events = run(
        config,
        system=system,
        preset=label,
        seeds=seeds,
        root=root,
        mesh=mesh,
        save_seconds=save_seconds,
    )
    record, folder = None, root
    with Watcher(console) as watcher, stoppable(events) as events:
        for event in events:
            watcher.stage(0, 1, label)
            watcher.run(event)
            if event.record is not None:
                record, folder = event.record, event.folder
    assert record is not None  # the last event of every run carries it
    _print_scores(console, record, legend, label)
    print_verdicts(console, judge_record(record, claims) or judge_free(record))
    console.print(f"record: {folder / 'result.json'}", soft_wrap=True)
    return record


def _print_programs(record: "Record") -> None:
    """A row for each program of a run, and their sums."""
    from rich.console import Console
    from rich.table import Table

    if not record.programs:
        print("profile: the record is from before programs were noted")
        return
    parts = ("trace", "lower", "compile", "run")
    table = Table("program", "operations", *parts, "calls", title="seconds of programs")
    for row in record.programs:
        seconds = [f"{row[part]:.2f}" for part in parts]
        table.add_row(
            row["name"], f"{row['operations']:,}", *seconds, str(row["calls"])
        )
    sums = [f"{sum(row[part] for row in record.programs):.2f}" for part in parts]
    total = sum(row["operations"] for row in record.programs)
    table.add_section()
    table.add_row(f"{len(record.programs)} programs", f"{total:,}", *sums, "")
    Console().print(table)


def _print_scores(
    console: "Console", record: "Record", legend: Mapping[str, str], title: str
) -> None:
    """A row for each score; one that is a vector a seed has a line for each seed."""
    from rich.table import Table

    from jidcl.report.tables import score_rows

    wide = console.width >= 120  # `jidcl list scores` says it on narrow ones
    table = Table("score", "mean", "per seed", *["meaning"] * wide, title=title)
    for name, values, text in score_rows(record, legend):
        if isinstance(values[0], list):
            mean = " ".join(
                f"{sum(entry) / len(values):.4g}" for entry in zip(*values, strict=True)
            )
            lines = [" ".join(f"{v:.4g}" for v in seed) for seed in values[:8]]
            each = "\n".join(lines) if len(values) > 1 else "-"
        else:
            mean = f"{sum(values) / len(values):.4f}"
            each = " ".join(f"{v:.4f}" for v in values[:8])
        table.add_row(name, mean, each, *[text] * wide)
    console.print(table)
    if not wide:
        own = f" {record.system}" if ":" in record.system else ""
        console.print(f"what the scores mean: jidcl list scores{own}")
