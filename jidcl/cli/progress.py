"""Progress and tables on the terminal, with rich; plain lines when it is none."""

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from jidcl.bench import measure_ceilings
from jidcl.bench.figures import draw
from jidcl.bench.rows import SUITES, Options, benchmark_result
from jidcl.bench.tables import performance_table
from jidcl.report import plots
from jidcl.report.judge import judge_free, judge_record
from jidcl.report.plots import percent
from jidcl.report.records import Record, write_json
from jidcl.report.tables import COLUMNS, cells, score_rows
from jidcl.run import conformance
from jidcl.run.costs import Estimate, estimate
from jidcl.run.runner import RunEvent, run
from jidcl.run.sweep import SweepEvent
from jidcl.run.verify import Verification
from jidcl.systems.legends import LEGENDS
from jidcl.train import hosts

PLAIN_SECONDS = 10.0


def show_verification(work: Verification) -> None:
    """Run a verification with a progress bar; print its verdicts and report."""
    console, began = Console(), time.perf_counter()
    with _Watcher(console) as watcher, _stoppable(work.go()) as events:
        for event in events:
            watcher.stage(event.stage, event.stages, event.label)
            if event.run is not None:
                watcher.run(event.run)
            for verdict in event.verdicts:
                colour = "green" if verdict.ok else "red"
                mark = f"[{colour}]{verdict.mark}[/]"
                word = verdict.word if verdict.word != "-" else verdict.outcome
                console.print(f"{mark} {verdict.text}: {word}", highlight=False)
    _print_verdicts(console, work.verdicts)
    judged = [verdict for verdict in work.verdicts if verdict.judged]
    good, count = sum(verdict.ok for verdict in judged), len(judged)
    seconds = time.perf_counter() - began
    console.print(f"{good} of {count} as expected, {seconds:.0f} s")
    console.print(f"report: {work.folder / 'report.md'}", soft_wrap=True)


def show_run(
    config: Any, label: str, settings: dict[str, Any], root: Path, mesh: Any
) -> Record:
    """Run one configuration with a progress bar; print its scores (one host does)."""
    console = Console(quiet=not hosts.writes())
    events = run(config, preset=label, root=root, mesh=mesh, **settings)
    record, folder = None, root
    with _Watcher(console) as watcher, _stoppable(events) as events:
        for event in events:
            watcher.stage(0, 1, label)
            watcher.run(event)
            if event.record is not None:
                record, folder = event.record, event.folder
    assert record is not None  # the last event of every run carries it
    wide = console.width >= 120  # `jidcl list scores` says it on narrow ones
    table = Table("score", "mean", "per seed", *["meaning"] * wide, title=label)
    for name, values, text in score_rows(record, LEGENDS.get(record.system, {})):
        mean = sum(values) / len(values)
        each = " ".join(f"{v:.4f}" for v in values[:8])
        table.add_row(name, f"{mean:.4f}", each, *[text] * wide)
    console.print(table)
    if not wide:
        console.print("what the scores mean: jidcl list scores")
    _print_verdicts(console, judge_record(record) or judge_free(record))
    console.print(f"record: {folder / 'result.json'}", soft_wrap=True)
    return record


@contextlib.contextmanager
def _stoppable(events: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Ctrl-C ends a run after the dispatch on its way, checkpoint written.

    A second Ctrl-C ends it at once.
    """
    asked = False

    def ask(number, frame):
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    def watched():
        for event in events:
            if asked:
                raise KeyboardInterrupt
            yield event

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield watched()
    finally:
        signal.signal(signal.SIGINT, before)
        events.close()  # type: ignore[attr-defined]


def show_conformance(files: Sequence[Path], strict: bool) -> int:
    """Replay vector files, print a table; 1 on a miss (`strict`: or a gap), else 0."""
    console = Console()
    paths = list(files) or conformance.packaged_vectors()
    table = Table("system", "kind", "cases", "float64", "float32", "status")
    misses, uncovered, skipped, errata = [], [], [], []
    for path in paths:
        double = conformance.replay(path, float64=True)
        single = conformance.replay(path, float64=False)
        for wide, narrow in zip(double, single, strict=True):
            failed = [*wide.failed, *(f"{f}, float32" for f in narrow.failed)]
            status = "[red]miss[/]" if failed else "ok"
            if not wide.covered:
                uncovered.append(f"{wide.system}/{wide.kind}")
                status = "[yellow]not covered yet[/]"
            elif wide.skipped and not failed:
                status = f"[yellow]{len(wide.skipped)} skipped[/]"
            errors = [f"{wide.worst:.1e}", f"{narrow.worst:.1e}"]
            if not wide.covered or len(wide.skipped) == wide.cases:
                errors = ["-", "-"]
            names = map(escape, (wide.system, wide.kind))
            table.add_row(*names, str(wide.cases), *errors, status)
            misses += failed
            skipped += wide.skipped
            errata += wide.errata
    console.print(table)
    words = {"erratum": errata, "skipped": skipped, "[red]miss[/]": misses}
    for word, lines in words.items():
        for line in lines:
            console.print(f"{word}: {escape(line)}", highlight=False, soft_wrap=True)
    if uncovered:
        console.print(f"not covered by a function: {escape(', '.join(uncovered))}")
    return int(bool(misses or (strict and (uncovered or skipped))))


def show_sweep(
    events: Iterator[SweepEvent], about: dict[str, Any], metric: str, out: Path
) -> None:
    """Follow a sweep; print its scores, write sweep.json and the figure into `out`.

    `about`: what is swept, of which `grid` names the axes.
    """
    console, rows, axes = Console(), [], list(about["grid"])
    with _Watcher(console) as watcher, _stoppable(events) as events:
        for event in events:
            number = min(event.piece + 1, event.pieces)
            watcher.stage(event.piece, event.pieces, f"piece {number}")
            if event.step < event.steps or event.piece == event.pieces:
                watcher.run(RunEvent("train", event.step, event.steps, {}))
            rows = event.rows
    write_json(out / "sweep.json", {**about, "axes": axes, "rows": rows})
    console.print(f"results: {out / 'sweep.json'}", soft_wrap=True)
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
    numbers = all(isinstance(row[a], int | float) for row in rows for a in axes)
    if numbers and plots.available():
        path = plots.grid_figure(rows, axes, metric, out / "sweep.png")
        console.print(f"figure: {path}", soft_wrap=True)


def show_bench(suites: Sequence[str], options: Options, out: Path) -> None:
    """Time every suite, a line as each row comes; results and figures in `out`."""
    console = Console()
    top = measure_ceilings(options.repeats)
    console.print(
        f"ceilings: {top.flops / 1e9:.0f} GFLOP/s in float32, {top.fast / 1e9:.0f} in "
        f"the platform's precision, {top.exps / 1e9:.2f} G exp/s, "
        f"{top.bytes / 1e9:.1f} GB/s",
        highlight=False,
    )
    out.mkdir(parents=True, exist_ok=True)
    rows, result = [], {}
    for row in (row for suite in suites for row in SUITES[suite](options, top)):
        rows.append(row)
        result = benchmark_result(rows, options, top)
        write_json(out / "part.json", result)
        extra, ratio = row["extra_bytes"], row["times_floor"]
        forms = {None: ", one matrix", "kernel": ", kernels", "auto": ""}
        tile = row.get("tile", "auto")
        form = forms[tile] if tile in forms else f", tiles of {tile[0]} x {tile[1]}"
        form += ", fast products" if row.get("precision") == "fast" else ""
        form += f", {row['seeds']} seeds" if row.get("seeds", 1) > 1 else ""
        if "scene" in row:
            form += f", {row['size']} x {row['size']} {row.get('level', '')}".rstrip()
            form += f", {row['pictures_per_s']:.4g} pictures/s"
            if row["pictures_per_core_s"] is not None:
                form += f" ({row['pictures_per_core_s']:.4g} per core-second)"
            if "share_drawing" in row:
                form += f", {row['share_drawing']:.0%} of it drawing"
        name = row.get("similarity") or row["scene"]
        console.print(
            f"{row['what']:<7} {row['by']:<5} {name:<4} "
            f"B={row['batch']}{form}: {1e3 * row['median_s']:.4g} ms"
            + ("" if ratio is None else f", {ratio:.2f} x floor")
            + ("" if extra is None else f", {extra / 2**20:.1f} MiB extra"),
            highlight=False,
        )
    if not rows:
        raise ValueError(
            f"forms must hold one that runs here, got {list(options.forms)} (kernels "
            "run on CUDA only)"
        )
    (out / "part.json").replace(out / "results.json")
    if any(row["what"] == "loss" for row in rows):
        (out / "table.md").write_text(performance_table(rows))
        console.print(f"table: {out / 'table.md'}", soft_wrap=True)
    for path in draw(result, out):
        console.print(f"figure: {path}", soft_wrap=True)
    console.print(f"results: {out / 'results.json'}", soft_wrap=True)


def dry_run_train(config: Any, label: str, settings: dict, mesh: Any) -> None:
    """Print what one run would cost."""
    _print_estimates([(label, config, estimate(config, mesh=mesh, **settings))])


def dry_run_verify(work: Verification) -> None:
    """Print what the runs of a verification would cost; nothing is trained."""
    rows = []
    for name, config in work.trained():
        cost = estimate(config, system=work.system, seeds=work.seeds)
        rows.append((name, config, cost))
    _print_estimates(rows)


def _print_estimates(rows: Sequence[tuple[str, Any, Estimate]]) -> None:
    table = Table(
        "run", "parameters", "GFLOP a step", "memory", "compile", "a step", "training"
    )
    for name, config, cost in rows:
        table.add_row(
            name,
            f"{cost.parameters:,}",
            f"{cost.flops / 1e9:.2f}",
            f"{cost.memory / 2**20:.0f} MiB",
            f"{cost.compile_seconds:.1f} s",
            f"{1e3 * cost.step_seconds:.0f} ms",
            f"{config.steps:,} steps, {_duration(cost.seconds)}",
        )
    console = Console()
    console.print(table)
    total = sum(cost.seconds + cost.compile_seconds for *_, cost in rows)
    console.print(f"{len(rows)} programs, about {_duration(total)} of training")


def _print_verdicts(console: Console, verdicts: Sequence[Any]) -> None:
    """All columns, or on a narrow terminal those that fit."""
    wide = console.width >= 140
    rows = [cells(verdict) for verdict in verdicts]
    # On a narrow terminal without the column of texts, and without empty ones.
    shown = [
        i
        for i, name in enumerate(COLUMNS)
        if wide or (name != "what" and any(row[i] != "-" for row in rows))
    ]
    table = Table(box=box.HEAVY_HEAD if wide else box.SIMPLE_HEAD, show_lines=wide)
    for i in shown:
        title = COLUMNS[i] if wide or i != len(COLUMNS) - 1 else ""
        table.add_column(title, no_wrap=not wide and i == 0, overflow="fold")
    for verdict, own in zip(verdicts, rows, strict=True):
        row = list(own)
        if not wide:
            row[0], row[-1] = verdict.claim, row[-1][0]
        style = None if verdict.ok else "red"
        table.add_row(*(row[i] for i in shown), style=style)
    console.print(table)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def show_count(done: Iterable[int], total: int, what: str) -> None:
    """Consume counts of what is finished beside a bar, or a line every ten seconds."""
    console = Console()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    printed = time.perf_counter()
    with bar:
        task = bar.add_task(what, total=total)
        for count in done:
            bar.update(task, completed=count)
            if (
                not console.is_terminal
                and time.perf_counter() - printed > PLAIN_SECONDS
            ):
                printed = time.perf_counter()
                print(f"  {count}/{total} {what}", flush=True)


class _Watcher:
    """A progress bar with rate and time left, or a line every ten seconds."""

    def __init__(self, console: Console):
        self.console = console
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.stages = self.bar.add_task("stages", total=None, rate="", note="")
        self.steps = self.bar.add_task("", total=None, rate="", note="", visible=False)
        self.label, self.printed = "", 0.0
        self.first: tuple[float, int] | None = None  # clock and step
        self.last = 0  # step

    def __enter__(self):
        self.bar.start()
        return self

    def __exit__(self, *error):
        self.bar.stop()

    def stage(self, index: int, count: int, label: str) -> None:
        """Show which stage runs."""
        self.bar.update(self.stages, completed=index, total=count, note=label)
        if label != self.label:
            self.label, self.first = label, None
            self.bar.update(self.steps, visible=False)
            if not self.console.is_terminal:
                print(f"[{index + 1}/{count}] {label}", flush=True)

    def run(self, event: RunEvent) -> None:
        """Show the progress of a run."""
        now = time.perf_counter()
        # From the first dispatch on: compilation is no step. Pieces start again.
        first = self.first
        if first is None or event.step < self.last:
            first = (now, event.step)
        self.first, self.last = first if event.stage == "train" else None, event.step
        done, spent = event.step - first[1], now - first[0]
        rate = f"{done / spent:.1f} steps/s" if done and spent > 0 else ""
        scores = ", ".join(
            f"{name} {value:.4f}"
            for name, value in event.scores.items()
            if name != "step"
        )
        note = scores if event.stage == "train" else event.stage
        self.bar.update(
            self.steps,
            completed=event.step,
            total=event.steps,
            rate=rate,
            note=note,
            visible=True,
        )
        if not self.console.is_terminal and now - self.printed > PLAIN_SECONDS:
            self.printed = now
            left = (event.steps - event.step) * spent / done if done else None
            when = "" if left is None else f", about {_duration(left)} left"
            shown = "".join(f", {text}" for text in (rate, note) if text)
            print(f"  step {event.step}/{event.steps}{shown}{when}", flush=True)
