"""The one runner: a configuration and seeds in, a record on disk out; resumable.

A run lives in a folder named by its preset and a hash of everything that decides it.
The same call resumes it or returns its finished record; another configuration gets
another folder, so nothing is ever overwritten.
"""

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.checks import check_at_least
from jidcl.files import owned, read_arrays, to_json, write_arrays, write_text
from jidcl.numerics import numbers_in
from jidcl.report.records import (
    SCHEMA_VERSION,
    Record,
    merge_records,
    read_record,
    write_record,
)
from jidcl.run.costs import phases_of, runs_that_fit
from jidcl.run.curve import check_names, living, means, note_dead, packed, unpacked
from jidcl.run.folders import (
    cached_frozen,
    check_there,
    claim_folder,
    config_dict,
    identity_of,
    run_folder,
    write_environment,
)
from jidcl.run.traced import shared_program
from jidcl.systems.registry import load_system, system_name
from jidcl.train import hosts, loop
from jidcl.train.checkpoint import Checkpoints
from jidcl.train.evaluation import summarised
from jidcl.train.programs import Ledger
from jidcl.train.sharding import check_divisible, check_seeds, make_mesh, place
from jidcl.train.state import TrainState

CURVE_POINTS = 20


class RunEvent(NamedTuple):
    """Progress of a run.

    Attributes:
        stage: setup, train, evaluate or done.
        step: updates done.
        steps: updates in all.
        scores: latest mean loss and scores over seeds.
        record: the record, with stage done.
        folder: the run's folder.
    """

    stage: str
    step: int
    steps: int
    scores: dict[str, float]
    record: Record | None = None
    folder: Path = Path()


def run(
    config: Any,
    *,
    system: Any,
    preset: str,
    seeds: Sequence[int],
    root: Path,
    mesh: Mesh | None = None,
    save_seconds: float = 60.0,
    memory_gib: float | None = None,
) -> Iterator[RunEvent]:
    """Train, evaluate and record one configuration over a batch of seeds.

    Many seeds that do not fit the memory together are run in pieces, one after
    another, and recorded as one run. With several hosts every process calls it, with
    the same `root` on a disk that all reach; one of them writes.

    Args:
        config: the system's settings.
        system: its name, or the `System` itself.
        preset: name for the folder and the record.
        seeds: distinct integers; one `vmap` axis.
        root: folder of all runs.
        mesh: devices; one device when None.
        save_seconds: least time between checkpoints.
        memory_gib: what a device's share of the seeds may take; the device's memory
            (half of a CPU's) when None, see `jidcl.run.costs.runs_that_fit`.

    Yields:
        `RunEvent`; the last one, of a finished run the only one, has the record.

    Raises:
        ValueError: on repeated seeds, seeds or batch that do not divide over the
            mesh, settings that do not say how a program with a step is trained, a
            folder that holds another configuration, or a score of the probe that has
            the name of a metric of the step.
        jidcl.train.loop.NonFiniteLoss: when the loss diverges; nothing is recorded
            as finished and the last checkpoint stays.
    """
    seeds = check_seeds(seeds)
    check_at_least("save_seconds", save_seconds, 0)  # NaN: it would never be saved
    mesh = make_mesh() if mesh is None else mesh
    check_divisible(mesh, seeds=len(seeds))
    folder = run_folder(root, system, preset, config, seeds)
    finished = (folder / "result.json").exists()  # the last thing that a run writes
    program = None if finished else load_system(system).program(config)
    phases = phases_of(config, program) if program else config.phases()
    for phase, _ in phases:
        check_divisible(mesh, seeds=len(seeds), batch=phase.batch)
    steps = phases[-1][1] if phases else 0
    if hosts.writes():
        claim_folder(folder, identity_of(system, config, seeds))
    if finished:
        yield RunEvent("done", steps, steps, {}, read_record(folder), folder)
        return
    with _own_files(folder) as files:
        write_environment(files / "env.json", mesh)
        yield RunEvent("setup", 0, steps, {})
        work = _Run(config, system, preset, seeds, (folder, files), mesh, save_seconds)
        programs = [program for program, _ in work.phases]
        fits = runs_that_fit(len(seeds), programs, mesh=mesh, memory_gib=memory_gib)
        size = hosts.agree(fits)
        if size == len(seeds):
            yield from work.go()
            return
        pieces = (
            run(
                config,
                system=system,
                preset=preset,
                seeds=seeds[first : first + size],
                root=folder / "pieces",
                mesh=mesh,
                save_seconds=save_seconds,
                memory_gib=float("inf"),
            )
            for first in range(0, len(seeds), size)
        )
        yield from _joined(pieces, folder)


def trained(
    config: Any, *, system: str, preset: str, seeds: Sequence[int], root: Path
) -> TrainState:
    """The state at the end of a finished `run` on one device, from its checkpoint.

    Args:
        config: settings of the run.
        system: its name.
        preset: name of the preset.
        seeds: those of the run.
        root: folder of all runs.

    Returns:
        The state, with a leading seed axis.

    Raises:
        ValueError: where no finished run of these settings is below `root`.
    """
    folder = run_folder(root, system, preset, config, check_seeds(seeds))
    if not (folder / "result.json").exists():
        raise ValueError(f"root must hold the finished run {folder.name}, got {root}")
    work = _Run(config, system, preset, seeds, (folder, folder), make_mesh(), 0.0)
    saver = Checkpoints(folder / "ckpt")
    try:
        with numbers_in(work.program.precision):
            found = saver.restore(work.start())
    finally:
        saver.close()
    if found is None:
        raise ValueError(f"{folder} must hold a checkpoint, got none")
    return found.state


@contextlib.contextmanager
def _own_files(folder: Path) -> Iterator[Path]:
    """The run's folder for the process that writes, one to throw away for others."""
    if hosts.writes():
        with owned(folder):
            yield folder
    else:
        with tempfile.TemporaryDirectory() as other:
            yield Path(other)


def _joined(pieces: Iterable[Iterator[RunEvent]], folder: Path) -> Iterator[RunEvent]:
    """Runs of some seeds after others, and one record of all."""
    parts: list[RunEvent] = []
    records: list[Record] = []
    for events in pieces:
        for event in events:
            if event.record is None:
                yield event
            else:
                parts.append(event)
                records.append(event.record)
    if not hosts.writes():
        yield parts[-1]
        return
    samples = [read_arrays(part.folder / "samples.npz") for part in parts]
    if all(samples):
        joined: Any = {
            name: np.concatenate([sample[name] for sample in samples])
            for name in samples[0]
        }
        write_arrays(folder / "samples.npz", joined)
    record = merge_records(records)
    write_record(folder, record)
    yield parts[-1]._replace(record=record, folder=folder)


class _Run:
    """The stages of one run; holds what they share.

    `home` is the run's folder, `folder` where this process writes (the same, but for
    one of several hosts).
    """

    def __init__(self, config, system, preset, seeds, folders, mesh, save_seconds):
        self.config, self.seeds, self.mesh = config, seeds, mesh
        self.home, self.folder = folders
        self.system, self.preset = load_system(system), preset
        self.name, self.save_seconds = system_name(system), save_seconds
        program = shared_program(self.system, config)
        # One copy on each device, for all programs.
        with numbers_in(program.precision):
            shared = place(program.shared, mesh)
        self.program = dataclasses.replace(program, shared=shared)
        self.phases = [
            (
                dataclasses.replace(
                    shared_program(self.system, config, phase), shared=shared
                ),
                until,
            )
            for phase, (_, until) in enumerate(phases_of(config, program))
        ]
        self.steps = self.phases[-1][1] if self.phases else 0
        self.seconds = {"train": 0.0, "compile": 0.0, "evaluate": 0.0}
        self.ledger = Ledger()
        self.dead: dict[str, str] = {}  # by seed, what was not finite

    def start(self) -> TrainState:
        """The state before the first step."""
        frozen = cached_frozen(
            self.program,
            self.system.frozen_identity(self.config),
            self.seeds,
            self.home.parent / "cache",
            self.ledger,
        )
        return loop.start(
            self.program,
            self.seeds,
            mesh=self.mesh,
            frozen=frozen,
            ledger=self.ledger,
        )

    def go(self) -> Iterator[RunEvent]:
        state, untrained, curve = self.start(), {}, []
        if self.phases:
            probe = self._probe()
            untrained = probe(state)
            saver = Checkpoints(self.home / "ckpt")
            try:
                with numbers_in(self.program.precision):
                    found = saver.restore(state)
                state, kept = found or (state, {})
                self.dead.update(kept.get("dead", {}))
                curve = self._curve(kept.get("curve", []))
                seen = unpacked(kept.get("seen", []))
                watched = probe, untrained, curve, seen
                state = yield from self._train(state, saver, *watched)
            finally:
                saver.close()
        yield RunEvent("evaluate", self.steps, self.steps, {})
        record = self._evaluate(state, untrained, curve)
        yield RunEvent("done", self.steps, self.steps, {}, record, self.folder)

    def _probe(self):
        """The program's probe of a state on each seed; nothing where it has none."""
        if self.program.probe is None:
            return lambda state: {}
        return self._on_each_seed(self.program.probe, "probe")

    def _on_each_seed(self, function, name: str):
        return loop.on_each_seed(
            function, self.program, mesh=self.mesh, ledger=self.ledger, name=name
        )

    def _train(self, state: TrainState, saver, probe, untrained, curve, seen):
        """Train to the end.

        `seen` has the metrics since the last point of the curve. Both are part of a
        checkpoint, so that a resumed curve is the undisturbed one.
        """
        chunk = self.config.chunk
        every = max(1, self.steps // chunk // CURVE_POINTS)
        saved, scores = time.monotonic(), {}
        with (self.folder / "metrics.jsonl").open("a") as log:
            for event in loop.train_phases(
                self.phases,
                state,
                chunk_steps=chunk,
                mesh=self.mesh,
                ledger=self.ledger,
                some_may_fail=True,
            ):
                state = event.state
                check_there(self.home)
                note_dead(self.dead, event, self.seeds, self.phases)
                check_names(event.metrics, untrained)
                self.seconds["train"] += event.seconds
                self.seconds["compile"] += event.compile_seconds
                seen.append({k: v.mean(axis=0) for k, v in event.metrics.items()})
                last = event.step == self.steps
                # Where a curve has its points does not depend on interruptions.
                if -(-event.step // chunk) % every == 0 or last:
                    point = {**means(seen), **probe(state)}
                    row: dict[str, Any] = {"step": event.step}
                    row |= {k: v.tolist() for k, v in point.items()}
                    seen.clear()
                    curve.append(row)
                    log.write(to_json(row) + "\n")
                    log.flush()
                    alive = self._alive()
                    scores = {k: float(np.mean(v[alive])) for k, v in point.items()}
                due = time.monotonic() - saved > self.save_seconds or last
                if hosts.agree(due):
                    saver.save(event.step, state, packed(curve, seen, self.dead))
                    saved = time.monotonic()
                try:
                    yield RunEvent("train", event.step, self.steps, scores)
                except GeneratorExit:  # whoever watched has stopped: lose nothing
                    if not hosts.several():  # a checkpoint takes all of them
                        saver.save(event.step, state, packed(curve, seen, self.dead))
                    raise
        return state

    def _alive(self) -> np.ndarray:
        """Positions of the seeds whose loss is finite."""
        alive = [str(seed) not in self.dead for seed in self.seeds]
        return np.flatnonzero(alive)

    def _curve(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The curve of a checkpoint, into `metrics.jsonl` as well.

        The file may have lost lines, or have some that came later.
        """
        text = "".join(to_json(row) + "\n" for row in rows)
        write_text(self.folder / "metrics.jsonl", text)
        return list(rows)

    def _evaluate(self, state: TrainState, untrained, curve) -> Record:
        began = time.perf_counter()
        evaluate = self._on_each_seed(self.program.evaluate, "evaluate")
        found = summarised(evaluate(state))
        self.seconds["evaluate"] = time.perf_counter() - began
        alive = self._alive()
        found = jax.tree.map(lambda values: np.asarray(values)[alive], found)
        check_there(self.home)
        if found.samples:
            write_arrays(self.folder / "samples.npz", found.samples)
        device = self.mesh.devices.flat[0]
        plain = jax.tree.map(lambda values: values.tolist(), found)
        seeds = [seed for seed in self.seeds if str(seed) not in self.dead]
        record = Record(
            schema_version=SCHEMA_VERSION,
            system=self.name,
            preset=self.preset,
            config=config_dict(self.config),
            seeds=seeds,
            floor_kind=self.system.floor_kind(self.config),
            scores=plain.scores,
            losses=plain.losses,
            nulls=plain.nulls,
            untrained={name: v[alive].tolist() for name, v in untrained.items()},
            curve=[living(row, alive) for row in curve],
            seconds={name: round(s, 2) for name, s in self.seconds.items()},
            device=f"{device.platform} {device.device_kind}",
            programs=self.ledger.rows(),
            errors=plain.errors,
            perturbed=plain.perturbed,
            dead=self.dead,
        )
        write_record(self.folder, record)
        return record
