"""The command line: `jidcl VERB`. Imports no JAX before a verb needs it."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from jidcl.cli import tools
from jidcl.cli.arguments import parse, parse_grid, quiet
from jidcl.cli.render import render

VERBS = {
    "verify": "check claims: train, compare with theory, judge, report",
    "train": "train one preset, any field overridden",
    "sweep": "train a grid of settings, batched; map of the scores",
    "table": "print verdicts of finished runs as Markdown or CSV",
    "report": "write the report of finished runs, figures included",
    "render": "pictures of a scene: sheet, sweeps, pairs, GIF",
    "bench": "time losses and steps against the device's limits and PyTorch",
    "conformance": "replay reference vectors on this device",
    "list": "list systems, presets, claims, losses or scores",
    "doctor": "show devices, versions and missing extras",
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; the exit code: 0 done, 1 failed, 2 usage."""
    args = sys.argv[1:] if argv is None else argv
    if not args or args[0] in ("-h", "--help"):
        print(_overview())
        return 0 if args else 2
    if args[0] == "--version":
        from jidcl import __version__

        print(__version__)
        return 0
    verb, *rest = args
    try:
        from jidcl.checks import check_choice

        check_choice("verb", verb, VERBS)
        code = _VERBS[verb](rest)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read has seen enough, as in `jidcl list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"jidcl: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"jidcl: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("jidcl: stopped; the same command goes on from here", file=sys.stderr)
        return 1


def _overview() -> str:
    lines = ["usage: jidcl VERB [--help] ...", ""]
    lines += [f"  {verb:<12} {text}" for verb, text in VERBS.items()]
    lines += [
        "",
        "first steps:",
        "  jidcl verify                        the main job, minutes on two cores",
        "  jidcl train quick/sphere-vmf        one run",
        "  jidcl verify --budget full --rows t1r3   one published row",
        "  jidcl list presets",
    ]
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Devices:
    """Devices: seeds are spread over one axis, each batch over another."""

    seed: int = 1
    """devices over which seeds are spread"""
    data: int = 1
    """devices over which each batch is spread"""
    hosts: str = "one"
    """one; auto (TPU slice, SLURM); or ADDRESS:PORT,COUNT,INDEX of this process"""


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check claims: train, compare with theory, judge, report.

    The quick budget is the main job: identity scores, Theorem 1, and trained encoders
    that should and should not recover the latents, in minutes on two cores. The full
    and published budgets run rows of the paper's tables. The exit code is 0 only if
    every expected verdict came out. Finished runs are reused; see --fresh.
    """

    system: str = "contrastive_ica"
    """system to verify, or all"""
    budget: str = "quick"
    """smoke, quick, full (our optimiser) or published (theirs, days on a CPU)"""
    rows: tuple[str, ...] = ()
    """claims to run with the full or published budget (t1r3 t2r6); all by default"""
    seeds: int | None = None
    """number of seeds, batched (default: 5, systems of pictures 1)"""
    root: Path = Path("runs")
    """folder of all runs"""
    folder: str = ""
    """pictures on disk, not rendered ones: scenes, causal3d, dislib; full budget"""
    fresh: bool = False
    """ignore finished runs: move them aside and start again"""
    dry_run: bool = False
    """print programs, FLOPs, memory and expected time, then stop"""


def _verify(args: list[str]) -> int:
    options = parse(Verify, args, "verify")
    from jidcl.systems.registry import SYSTEMS

    if options.fresh and not options.dry_run:
        _move_aside(options.root)
    if options.system != "all":
        return _verify_one(options, options.system)
    code = max(_verify_one(options, name) for name in SYSTEMS)
    if not options.dry_run:
        from jidcl.report.document import join_reports

        folders = [f"report-{name}-{options.budget}" for name in SYSTEMS]
        reports = [options.root / folder / "report.md" for folder in folders]
        print(f"all: {join_reports(reports, options.root / 'report.md')}")
    return code


def _verify_one(options: Verify, system: str) -> int:
    from jidcl.checks import check_at_least
    from jidcl.cli.progress import dry_run_verify, show_verification

    if options.seeds is not None:
        check_at_least("seeds", options.seeds, 1)
    quiet()
    from jidcl.run.verify import Verification

    work = Verification(
        system=system,
        budget=options.budget,
        root=options.root,
        rows=options.rows or None,
        seeds=range(options.seeds or 0),
        pictures=options.folder,
    )
    if options.dry_run:
        dry_run_verify(work)
        return 0
    show_verification(work)
    return 0 if work.passed else 1


def _move_aside(root: Path) -> None:
    import time

    if root.exists():
        aside = root.with_name(f"{root.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        root.rename(aside)
        print(f"earlier runs moved to {aside}")


def _train(args: list[str]) -> int:
    if not args or args[0].startswith("-"):
        print(
            "usage: jidcl train PRESET [--seeds N] [--FIELD VALUE ...]\n\n"
            "PRESET is one of `jidcl list presets [SYSTEM]`, or SYSTEM:PRESET; "
            "`jidcl train PRESET --help` shows every field.",
        )
        return 0 if args and args[0] in ("-h", "--help") else 2
    name, *rest = args
    system, default = _find_preset(name)
    import tyro

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
        dry_run: bool = False
        """print the program, FLOPs, memory and expected time, then stop"""

    options = parse(Train, rest, f"train {name}")
    from jidcl.cli.progress import dry_run_train, show_run

    quiet()
    label = name if options.config == default else f"{name}-custom"
    settings = dict(system=system, seeds=tuple(range(options.run_seeds)))
    mesh = _mesh(options.devices)
    if options.dry_run:
        dry_run_train(options.config, label, settings, mesh)
        return 0
    show_run(options.config, label, settings, options.root, mesh)
    return 0


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Train a grid of settings with several seeds; the same command goes on.

    jidcl sweep PRESET --grid tau=0.1,0.3 conditional_param=5,20 --seeds 3

    Temperatures and concentrations vary inside one batched program; every other
    setting gets a program of its own. Ends with a table, sweep.json and a map of the
    scores. PRESET is one of `jidcl list presets [SYSTEM]`, or SYSTEM:PRESET.
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
    root: Path = Path("runs/sweep")
    """folder of all sweeps, each with a folder of its own for its table and map"""


def _sweep(args: list[str]) -> int:
    from jidcl.checks import check_at_least, check_choice

    if not args:
        print("usage: jidcl sweep PRESET --grid NAME=VALUE,... [--seeds N] ...")
        return 2
    if args[0].startswith("-"):
        parse(Sweep, args, "sweep PRESET")
    name, *rest = args
    system, config = _find_preset(name)
    options = parse(Sweep, rest, f"sweep {name}")
    check_at_least("seeds", options.seeds, 1)
    shared = parse_grid(config, options.set)
    grid = parse_grid(config, options.grid)
    for key, values in shared.items():
        if len(values) > 1 or key in grid:
            raise ValueError(f"set takes one value of a setting outside grid: {key}")
        config = dataclasses.replace(config, **{key: values[0]})
    quiet()
    from jidcl.cli.progress import show_sweep
    from jidcl.report.records import run_name
    from jidcl.run.sweep import metric_names, sweep

    check_choice("metric", options.metric, metric_names(system, config, grid))
    about = dict(preset=name, set=shared, grid=grid, seeds=options.seeds)
    out = options.root / run_name(name, {"system": system, **about})
    events = sweep(
        config,
        grid,
        system=system,
        seeds=range(options.seeds),
        root=options.root,
        memory_gib=options.memory_gib,
    )
    show_sweep(events, about, options.metric, out)
    return 0


def _find_preset(name: str) -> tuple[str, Any]:
    """(its system, its settings)."""
    from jidcl.checks import check_choice
    from jidcl.systems.registry import SYSTEMS, load_presets

    every = [(s, k, v) for s in SYSTEMS for k, v in load_presets(s).items()]
    names = [k for _, k, _ in every]
    found = {f"{s}:{k}": (s, v) for s, k, v in every}
    found |= {k: (s, v) for s, k, v in every if names.count(k) == 1}
    check_choice("preset (SYSTEM:PRESET where systems share a name)", name, found)
    return found[name]


def _mesh(devices: Devices) -> Any:
    from jidcl.train.hosts import join
    from jidcl.train.sharding import make_mesh

    join(devices.hosts)
    return make_mesh(seed=devices.seed, data=devices.data)


@dataclasses.dataclass(frozen=True)
class Table:
    """Print verdicts of finished runs as Markdown or CSV, without training."""

    root: Path = Path("runs")
    """folder of all runs"""
    csv: bool = False
    """CSV instead of Markdown"""


def _table(args: list[str]) -> int:
    options = parse(Table, args, "table")
    from jidcl.report.document import judge_finished
    from jidcl.report.tables import to_csv, to_markdown

    verdicts, _ = judge_finished(options.root)
    print((to_csv if options.csv else to_markdown)(verdicts), end="")
    return 0


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a report of all finished runs: verdicts and figures, without training."""

    root: Path = Path("runs")
    """folder of all runs"""
    out: Path = Path("runs/report")
    """folder of the report"""


def _report(args: list[str]) -> int:
    options = parse(Report, args, "report")
    from jidcl.report import document

    verdicts, runs = document.judge_finished(options.root)
    report = document.write_report(
        options.out,
        verdicts,
        runs,
        title=f"Finished runs in {options.root}",
        source="see `jidcl list claims`",
    )
    print(report)
    return 0


_VERBS = {
    "verify": _verify,
    "train": _train,
    "sweep": _sweep,
    "table": _table,
    "report": _report,
    "render": render,
    "bench": tools.bench,
    "conformance": tools.conformance,
    "list": tools.list_,
    "doctor": tools.doctor,
}
