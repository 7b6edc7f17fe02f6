"""`jidcl verify`: claims to runs, runs to verdicts, verdicts to a report."""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jidcl.cli.arguments import parse, quiet, reachable

if TYPE_CHECKING:
    from jidcl.run.verify import Verification


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check claims: train, compare with theory, judge, report.

    The quick budget is the main job: identity scores, Theorem 1, and trained encoders
    that should and should not recover the latents, in minutes on two cores. The full
    and published budgets run rows of the paper's tables. The exit code is 0 only if
    every expected verdict came out. Finished runs are reused; see --fresh.
    """

    system: str = "contrastive_ica"
    """system to verify; MODULE:OBJECT for one of your own; or all"""
    budget: str = "quick"
    """smoke (does it run?), quick, full (our optimiser) or published (theirs, days)"""
    rows: tuple[str, ...] = ()
    """claims to run with the full or published budget (t1r3 t2r6); all by default"""
    seeds: int | None = None
    """number of seeds, batched (default: 5, systems of pictures 1)"""
    root: Path = Path("runs")
    """folder of all runs"""
    folder: str = ""
    """pictures on disk: scenes, causal3d, dislib, kitti_masks; full budget"""
    save_seconds: float = 60.0
    """least time between checkpoints"""
    fresh: bool = False
    """ignore finished runs: move them aside and start again"""
    dry_run: bool = False
    """print programs, FLOPs, memory and expected time, then stop"""


def main(args: list[str]) -> int:
    """Run the verb; the exit code."""
    options = parse(Verify, args, "verify")
    from jidcl.systems.registry import SYSTEMS, load_claims

    if options.fresh and not options.dry_run:
        _move_aside(options.root)
    if options.system != "all":
        return _verify(options, reachable(options.system))
    names = [name for name in SYSTEMS if load_claims(name).at(options.budget)]
    code = max(_verify(options, name) for name in names)
    if not options.dry_run:
        from jidcl.report.document import join_reports

        folders = [f"report-{name}-{options.budget}" for name in names]
        reports = [options.root / folder / "report.md" for folder in folders]
        print(f"all: {join_reports(reports, options.root / 'report.md')}")
    return code


def _verify(options: Verify, system: str) -> int:
    from jidcl.checks import check_at_least

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
        save_seconds=options.save_seconds,
    )
    if options.dry_run:
        from jidcl.cli.progress import print_estimates
        from jidcl.run.costs import estimates

        costs = estimates(work.trained(), system=system, seeds=work.seeds)
        print_estimates(costs)
        return 0
    show_verification(work)
    return 0 if work.passed else 1


def _move_aside(root: Path) -> None:
    if root.exists():
        aside = root.with_name(f"{root.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        root.rename(aside)
        print(f"earlier runs moved to {aside}")


def show_verification(work: "Verification") -> None:
    """Follow a verification with a progress bar; print its verdicts and report."""
    from rich.console import Console
    from rich.markup import escape

    from jidcl.cli.progress import Watcher, print_verdicts, stoppable

    console, began = Console(), time.perf_counter()
    with Watcher(console) as watcher, stoppable(work.go()) as events:
        for event in events:
            watcher.stage(event.stage, event.stages, event.label)
            if event.run is not None:
                watcher.run(event.run)
            for verdict in event.verdicts:
                colour = "green" if verdict.ok else "red"
                mark = f"[{colour}]{verdict.mark}[/]"
                word = verdict.word if verdict.word != "-" else verdict.outcome
                shown = escape(f"{verdict.text}: {word}")
                console.print(f"{mark} {shown}", highlight=False)
    print_verdicts(console, work.verdicts)
    judged = [verdict for verdict in work.verdicts if verdict.judged]
    good, count = sum(verdict.ok for verdict in judged), len(judged)
    seconds = time.perf_counter() - began
    console.print(f"{good} of {count} as expected, {seconds:.0f} s")
    console.print(f"report: {work.folder / 'report.md'}", soft_wrap=True)
