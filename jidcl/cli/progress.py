"""What the terminal shows while work goes on; plain lines when it is none.

It shows what others compute: bars, tables of verdicts and estimates, durations.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
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

from jidcl.report.tables import COLUMNS, cells

if TYPE_CHECKING:
    from jidcl.report.verdict import Verdict
    from jidcl.run.costs import Estimate
    from jidcl.run.runner import RunEvent

PLAIN_SECONDS = 10.0
GAP = COLUMNS.index("loss - reference = gap (closed below)")


class Stopped(KeyboardInterrupt):
    """A signal ended the work; what was done is saved.

    Attributes:
        code: the exit code, 128 + the signal's number: 130 of Ctrl-C, 143 of SIGTERM.
    """

    def __init__(self, number: int):
        super().__init__()
        self.code = 128 + number


@contextlib.contextmanager
def stoppable(events: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Ctrl-C or SIGTERM ends a run after the dispatch on its way, checkpoint written.

    A second one ends it at once. Signals reach the main thread only: elsewhere nothing
    is changed.
    """
    asked = 0

    def ask(number, frame):
        nonlocal asked
        if asked:
            raise Stopped(number)
        asked = number

    def watched():
        for event in events:
            if asked:
                raise Stopped(asked)
            yield event

    numbers = (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        numbers = ()
    before = [(number, signal.signal(number, ask)) for number in numbers]
    try:
        yield watched()
    finally:
        # Saving first: the default action of SIGTERM would cut it off.
        events.close()  # type: ignore[attr-defined]
        for number, handler in before:
            signal.signal(number, handler)


class Watcher:
    """A progress bar with rate and time left, or a line every ten seconds."""

    def __init__(self, console: Console):
        self.console = console
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
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

    def run(self, event: "RunEvent") -> None:
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
            when = "" if left is None else f", about {duration(left)} left"
            step = f"step {event.step}/{event.steps}" if event.steps else ""
            shown = ", ".join(text for text in (step, rate, note) if text)
            print(f"  {shown}{when}", flush=True)


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


def print_verdicts(console: Console, verdicts: "Sequence[Verdict]") -> None:
    """All columns, or on a narrow terminal those that fit."""
    wide = console.width >= 140
    rows = [cells(verdict) for verdict in verdicts]
    # Without empty columns on a narrow terminal, nor texts; a gap only where one is.
    filled = [any(row[i] != "-" for row in rows) for i in range(len(COLUMNS))]
    shown = [
        i
        for i, name in enumerate(COLUMNS)
        if (filled[i] or (wide and i != GAP)) and (wide or name != "what")
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


def print_estimates(costs: "Iterable[tuple[str, Estimate]]") -> None:
    """A table of what runs would cost, and their sum.

    Args:
        costs: (name, estimate) of each.
    """
    table = Table(
        "run", "parameters", "GFLOP a step", "memory", "compile", "a step", "training"
    )
    rows = list(costs)
    for name, cost in rows:
        training = "nothing is trained"
        if cost.steps:
            training = f"{cost.steps:,} steps, {duration(cost.seconds)}"
        table.add_row(
            name,
            f"{cost.parameters:,}",
            f"{cost.flops / 1e9:.2f}",
            f"{cost.memory / 2**20:.0f} MiB",
            f"{cost.compile_seconds:.1f} s",
            f"{1e3 * cost.step_seconds:.0f} ms",
            training,
        )
    console = Console()
    console.print(table)
    total = sum(cost.seconds + cost.compile_seconds for _, cost in rows)
    console.print(f"{len(rows)} programs, about {duration(total)} of training")


def duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
