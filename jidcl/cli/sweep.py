"""`jidcl sweep`: a grid of settings with several seeds."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jidcl.cli.arguments import find_preset, parse, parse_grid, quiet

if TYPE_CHECKING:
    from rich.console import Console

    from jidcl.run.sweep import SweepEvent


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train a grid of settings with several seeds; the same command goes on.

    jidcl sweep PRESET --grid tau=0.1,0.3 conditional_param=5,20 --seeds 3

    Temperatures and concentrations vary inside one batched program; every other
    setting gets a program of its own. Ends with a table, sweep.json and a map of the
    scores. PRESET is one of `jidcl list presets [SYSTEM]`, or SYSTEM:PRESET, or
    MODULE:OBJECT:PRESET of your own.
    """

    grid: tuple[str, ...]
    """settings and their values, NAME=VALUE,VALUE,..."""
    seeds: int = 1
    """number of seeds"""
    metric: str = "r2"
    """score of the table and the map"""
    set: tuple[str, ...] = ()
    """settings that all points share, NAME=VALUE"""
    memory_gib: float | None = None
    """memory that the runs of one program may take; the device's by default"""
    launcher: str = "here"
    """here, or submitit: programs are jobs of SLURM or processes of this machine"""
    job: tuple[str, ...] = ()
    """of submitit, NAME=VALUE: cluster, timeout_min, gpus_per_node, slurm_partition"""
    at_once: int | None = None
    """jobs at once; all by default, of local ones as many as processors"""
    root: Path = Path("runs/sweep")
    """folder of all sweeps, each with a folder of its own for its table and map"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    from jidcl.checks import check_at_least, check_choice

    if not args:
        print("usage: jidcl sweep PRESET --grid NAME=VALUE,... [--seeds N] ...")
        return 2
    if args[0].startswith("-"):
        parse(Sweep, args, "sweep PRESET")
    name, *rest = args
    system, label, config = find_preset(name)
    options = parse(Sweep, rest, f"sweep {name}")
    check_at_least("seeds", options.seeds, 1)
    check_choice("launcher", options.launcher, ("here", "submitit"))
    if options.launcher == "here" and (options.job or options.at_once is not None):
        raise ValueError("job and at_once need launcher submitit, got launcher here")
    fixed = parse_grid(config, options.set)
    grid = parse_grid(config, options.grid)
    for key, values in fixed.items():
        if len(values) > 1 or key in grid:
            raise ValueError(f"set takes one value of a setting outside grid: {key}")
        config = dataclasses.replace(config, **{key: values[0]})
    quiet()
    from jidcl.report.records import run_name
    from jidcl.run.sweep import metric_names, sweep
    from jidcl.train.sharding import check_seeds

    check_seeds(range(options.seeds))
    check_choice("metric", options.metric, metric_names(system, config, grid))
    about = dict(preset=label, set=fixed, grid=grid, seeds=options.seeds)
    out = options.root / run_name(label, {"system": system, **about})
    call: dict[str, Any] = dict(
        system=system,
        seeds=range(options.seeds),
        root=options.root,
        memory_gib=options.memory_gib,
    )
    if options.launcher == "submitit":
        from jidcl.run.launch import launched

        job = _parameters(options.job)
        events = launched(config, grid, **call, job=job, at_once=options.at_once)
    else:
        events = sweep(config, grid, **call)
    return show_sweep(events, about, options.metric, out)


def _parameters(items: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE of a job: whole numbers as such, all else as text."""
    held: dict[str, Any] = {}
    for item in items:
        name, equal, text = item.partition("=")
        if not equal or not name or name in held:
            raise ValueError(f"job must be NAME=VALUE once a name, got {item!r}")
        held[name] = int(text) if text.isdecimal() and text.isascii() else text
    return held


def show_sweep(
    events: "Iterator[SweepEvent]", about: dict[str, Any], metric: str, out: Path
) -> int:
    """Follow a sweep; print its scores, and where they and their map are.

    Args:
        events: of the sweep.
        about: what is swept, of which `grid` names the axes.
        metric: the score to show.
        out: folder of its results.

    Returns:
        The exit code: 1 where pieces failed.
    """
    from rich.console import Console

    from jidcl.checks import printable
    from jidcl.cli.progress import Watcher, stoppable
    from jidcl.run.runner import RunEvent
    from jidcl.run.sweep import write_sweep

    console, rows, failed = Console(markup=False), [], ()
    with Watcher(console) as watcher, stoppable(events) as events:
        for event in events:
            number = min(event.piece + 1, event.pieces)
            watcher.stage(event.piece, event.pieces, f"piece {number}")
            if event.step < event.steps or event.piece == event.pieces:
                watcher.run(RunEvent("train", event.step, event.steps, {}))
            rows, failed = event.rows, event.failed
    if failed:
        about = about | {"failed": list(failed)}
    written = write_sweep(out, rows, about=about, metric=metric)
    console.print(f"results: {written['results']}", soft_wrap=True)
    _print_points(console, rows, list(about["grid"]), metric)
    if "figure" in written:
        console.print(f"figure: {written['figure']}", soft_wrap=True)
    for line in failed:
        print(f"jidcl: failed: {printable(line)}", file=sys.stderr)
    return int(bool(failed))


def _print_points(
    console: "Console", rows: Sequence[dict], axes: Sequence[str], metric: str
) -> None:
    from rich.table import Table

    from jidcl.report.plots import percent

    scale = percent(metric)
    table = Table(*axes, metric, "per seed")
    points = dict.fromkeys(tuple(row[name] for name in axes) for row in rows)
    for point in points:
        scores = [
            scale * row.get(metric, float("nan"))
            for row in rows
            if tuple(row[a] for a in axes) == point
        ]
        mean = sum(scores) / len(scores)
        each = " ".join(f"{score:.4g}" for score in scores[:8])
        table.add_row(*(f"{value}" for value in point), f"{mean:.4g}", each)
    console.print(table)
