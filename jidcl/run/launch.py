"""The pieces of a sweep as jobs: SLURM's, or processes of this machine.

Submitit queues them. Each job trains one piece and writes its file; a piece that fails
leaves a note beside, and the others go on. What is not finished is all that the same
call starts again. Results travel as JSON: of what jobs leave, no pickle is read.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jidcl.checks import check_at_least
from jidcl.files import in_short, read_json, write_json
from jidcl.run.sweep import (
    Grid,
    Piece,
    SweepEvent,
    piece_path,
    piece_rows,
    split_pieces,
    train_piece,
)
from jidcl.systems.registry import load_system

POLL_SECONDS = 0.5
MINUTES = 24 * 60  # that a job may take, unless it is said


class Task(NamedTuple):
    """What one job does.

    Attributes:
        system: name of the system.
        piece: to train.
        path: of the file that it writes.
    """

    system: str
    piece: Piece
    path: Path

    @property
    def note(self) -> Path:
        """The file that says why the piece failed."""
        return self.path.with_name(self.path.name.replace("piece-", "failed-"))

    def __call__(self) -> None:
        """Train the piece, in the job."""
        if self.path.exists():  # a job of an earlier call has done it
            return
        try:
            for _ in train_piece(load_system(self.system), self.piece, self.path):
                pass
        except Exception as error:
            self.failed(f"{type(error).__name__}: {in_short(error)}")
            raise
        self.note.unlink(missing_ok=True)

    def failed(self, why: str, log: str = "") -> None:
        """Note that the piece failed."""
        runs = [{**settings, "seed": seed} for settings, seed in self.piece.runs]
        write_json(self.note, {"error": why, "log": log, "runs": runs})


def launched(
    config: Any,
    grid: Grid,
    *,
    system: str,
    seeds: Sequence[int],
    root: Path,
    memory_gib: float | None = None,
    job: Mapping[str, Any] | None = None,
    at_once: int | None = None,
) -> Iterator[SweepEvent]:
    """A sweep whose pieces are jobs, see `jidcl.run.sweep.sweep`.

    Closing the iterator cancels the jobs that run.

    Args:
        config: settings of the points, where the grid does not say otherwise.
        grid: values of each setting that varies.
        system: its name.
        seeds: distinct integers.
        root: folder of the sweep, which all jobs reach; logs go to `jobs/` in it.
        memory_gib: memory that the runs of one job may take; this machine's when None.
        job: parameters of submitit's `AutoExecutor`, such as `timeout_min`,
            `gpus_per_node` or `slurm_partition`; `cluster` is slurm, local (processes
            of this machine) or, when it is left out, slurm where there is one.
        at_once: jobs that run or wait at once; when None all, and of local ones as
            many as there are processors.

    Yields:
        `SweepEvent`; the last one has the rows of all pieces that are finished, and
        what failed.

    Raises:
        ImportError: without submitit.
        ValueError: as for `sweep`, and on parameters that submitit does not know.
    """
    if at_once is not None:
        check_at_least("at_once", at_once, 1)
    held = load_system(system)
    pieces = split_pieces(config, grid, held, seeds=seeds, memory_gib=memory_gib)
    executor = _executor(root / "jobs", dict(job or {}))
    if at_once is None and executor.cluster == "local":
        at_once = os.cpu_count() or 1
    tasks = [
        Task(system, piece, piece_path(root.absolute(), held, piece))
        for piece in pieces
    ]
    for count in _worked(executor, tasks, at_once or len(tasks)):
        yield SweepEvent(count, len(tasks), 0, 0, [])
    done = [task for task in tasks if task.path.exists()]
    rows = [row for t in done for row in piece_rows(t.path, t.piece, grid)]
    failed = tuple(_told(task) for task in tasks if task not in done)
    yield SweepEvent(len(tasks), len(tasks), 0, 0, rows, failed)


def _executor(folder: Path, job: dict[str, Any]) -> Any:
    try:
        import submitit  # type: ignore
    except ImportError as error:
        raise ImportError(
            "launcher submitit needs submitit: pip install 'jidcl[jobs]'"
        ) from error
    cluster = job.pop("cluster", None)
    try:
        executor = submitit.AutoExecutor(folder.absolute(), cluster=cluster)
        executor.update_parameters(**{"timeout_min": MINUTES, "name": "jidcl", **job})
    except (NameError, AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"job must hold what submitit knows: {error}") from error
    return executor


def _worked(executor: Any, tasks: Sequence[Task], at_once: int) -> Iterator[int]:
    """Run the tasks that are not done; how many are over, as that changes."""
    waiting = [task for task in tasks if not task.path.exists()]
    running: dict[int, tuple[Task, Any]] = {}
    try:
        yield len(tasks) - len(waiting)
        while waiting or running:
            while waiting and len(running) < at_once:
                task = waiting.pop(0)
                task.note.unlink(missing_ok=True)
                running[id(task)] = task, executor.submit(task)
            over = [key for key, (_, job) in running.items() if job.done()]
            for key in over:
                task, job = running.pop(key)
                if not task.path.exists() and not task.note.exists():
                    state = str(job.state).lower()
                    task.failed(f"the job ended ({state})", str(job.paths.stderr))
            if not over:
                time.sleep(POLL_SECONDS)
            yield len(tasks) - len(waiting) - len(running)
    finally:
        for _, job in running.values():
            job.cancel(check=False)


def _told(task: Task) -> str:
    """Why a piece failed, in one line."""
    try:
        held = read_json(task.note)
        why = str(held["error"])
        log = f", see {held['log']}" * bool(held["log"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        why, log = f"no word of it ({in_short(error)})", ""
    return f"{why}{log}: {task.note}"
