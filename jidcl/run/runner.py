"""The one runner: a configuration and seeds in, a record on disk out; resumable.

A run lives in a folder named by its preset and a hash of everything that decides it.
The same call resumes it or returns its finished record; another configuration gets
another folder, so nothing is ever overwritten.
"""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.report.records import (
    SCHEMA_VERSION,
    Record,
    merge_records,
    read_arrays,
    read_record,
    read_samples,
    run_name,
    sort_names,
    write_json,
    write_record,
)
from jidcl.run.costs import runs_that_fit
from jidcl.systems.registry import load_system
from jidcl.train import hosts, loop
from jidcl.train.checkpoint import Checkpoints
from jidcl.train.sharding import check_divisible, check_seeds, environment, make_mesh
from jidcl.train.state import TrainState, frozen_draws

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


def run_folder(
    root: Path, system: str, preset: str, config: Any, seeds: Sequence[int]
) -> Path:
    """Where a run of this configuration and these seeds lives."""
    return Path(root) / run_name(preset, _identity(system, config, seeds))


def run(
    config: Any,
    *,
    system: str,
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
        system: its name.
        preset: name for the folder and the record.
        seeds: distinct integers; one `vmap` axis.
        root: folder of all runs.
        mesh: devices; one device when None.
        save_seconds: least time between checkpoints.
        memory_gib: what a device's share of the seeds may take; the device's memory
            (half of a CPU's) when None, see `jidcl.run.costs.runs_that_fit`.

    Yields:
        `RunEvent`; the last one has stage done and the record. A finished run yields
        only that one.

    Raises:
        ValueError: on repeated seeds, seeds or batch that do not divide over the
            mesh, or a folder that holds another configuration.
        jidcl.train.loop.NonFiniteLoss: when the loss diverges; nothing is recorded
            as finished and the last checkpoint stays.
    """
    seeds = check_seeds(seeds)
    mesh = make_mesh() if mesh is None else mesh
    for phase, _ in config.phases():
        check_divisible(mesh, seeds=len(seeds), batch=phase.batch)
    folder = run_folder(root, system, preset, config, seeds)
    if hosts.writes():
        _claim_folder(folder, _identity(system, config, seeds))
    if (folder / "result.json").exists() and (folder / "samples.npz").exists():
        record = read_record(folder)
        yield RunEvent("done", config.steps, config.steps, {}, record, folder)
        return
    with _own_files(folder) as files:
        write_json(files / "env.json", environment(mesh))
        yield RunEvent("setup", 0, config.steps, {})
        work = _Run(config, system, preset, seeds, (folder, files), mesh, save_seconds)
        fits = runs_that_fit(len(seeds), work.prepare, mesh=mesh, memory_gib=memory_gib)
        size = hosts.agree(fits)
        if size < len(seeds):
            own = dict(system=system, preset=preset, mesh=mesh, memory_gib=float("inf"))
            own |= dict(save_seconds=save_seconds)
            yield from _in_pieces(config, seeds, size, folder, own)
            return
        yield from work.go()


def trained(
    config: Any, *, system: str, preset: str, seeds: Sequence[int], root: Path
) -> TrainState:
    """The state at the end of a finished `run` on one device, from its checkpoint.

    Raises:
        ValueError: where no finished run of these settings is below `root`.
    """
    folder = run_folder(root, system, preset, config, check_seeds(seeds))
    if not (folder / "result.json").exists():
        raise ValueError(f"root must hold the finished run {folder.name}, got {root}")
    work = _Run(config, system, preset, seeds, (folder, folder), make_mesh(), 0.0)
    *_, state = work.prepare(len(seeds))
    saver = Checkpoints(folder / "ckpt")
    try:
        state = saver.restore(state)
    finally:
        saver.close()
    if state is None:
        raise ValueError(f"{folder} must hold a checkpoint, got none")
    return state


@contextlib.contextmanager
def _own_files(folder: Path) -> Iterator[Path]:
    """The run's folder for the process that writes, one to throw away for others."""
    if hosts.writes():
        yield folder
    else:
        with tempfile.TemporaryDirectory() as other:
            yield Path(other)


def _in_pieces(config, seeds, size: int, folder: Path, own) -> Iterator[RunEvent]:
    """`run` of some seeds after others, and one record of all."""
    parts = []
    for first in range(0, len(seeds), size):
        piece = seeds[first : first + size]
        for event in run(config, seeds=piece, root=folder / "pieces", **own):
            if event.record is None:
                yield event
            else:
                parts.append(event)
    if not hosts.writes():
        yield parts[-1]
        return
    samples = [read_samples(part.folder) for part in parts]
    joined: Any = {
        name: np.concatenate([sample[name] for sample in samples])
        for name in samples[0]
    }
    np.savez_compressed(folder / "samples.npz", **joined)
    record = merge_records([part.record for part in parts])
    write_record(folder, record)
    yield RunEvent("done", config.steps, config.steps, {}, record, folder)


class _Run:
    """The stages of one run; holds what they share.

    `shared` is the run's folder, `folder` where this process writes (the same, but for
    one of several hosts).
    """

    def __init__(self, config, system, preset, seeds, folders, mesh, save_seconds):
        self.config, self.seeds, self.mesh = config, seeds, mesh
        self.shared, self.folder = folders
        self.system, self.preset, self.save_seconds = system, preset, save_seconds
        self.module = load_system(system)
        self.problem = self.module.make_problem(config)
        # One copy on each device, for all programs.
        shared = loop.place(self.problem.shared, mesh)
        self.problem = dataclasses.replace(self.problem, shared=shared)
        self.optimiser = self.module.make_run_optimiser(config)
        self.phases = [
            (
                dataclasses.replace(self.module.make_problem(phase), shared=shared),
                until,
            )
            for phase, until in config.phases()
        ]
        self.seconds = {"train": 0.0, "compile": 0.0, "evaluate": 0.0}

    def prepare(self, count: int):
        """(phases, optimiser, state) of so many seeds, to see what they need."""
        # A poor mixing takes the same memory, and its search is not what is asked.
        quick = self.module.make_problem(
            dataclasses.replace(self.config, mixing_draws=1)
        )
        state = loop.start(
            quick, self.optimiser, np.asarray(self.seeds[:count]), mesh=self.mesh
        )
        return self.phases, self.optimiser, state

    def go(self) -> Iterator[RunEvent]:
        frozen = cached_frozen(
            self.problem,
            {"system": self.system} | self.module.frozen_identity(self.config),
            self.seeds,
            self.shared.parent / "cache",
        )
        state = loop.start(
            self.problem, self.optimiser, self.seeds, mesh=self.mesh, frozen=frozen
        )
        probe = self._each_seed(self.problem.probe)
        untrained = probe(state)
        saver = Checkpoints(self.shared / "ckpt")
        try:
            state = saver.restore(state) or state
            curve = self._curve_until(int(hosts.to_host(state.step)[0]))
            state = yield from self._train(state, saver, probe, curve)
        finally:
            saver.close()
        steps = self.config.steps
        yield RunEvent("evaluate", steps, steps, {})
        record = self._evaluate(state, untrained, curve)
        yield RunEvent("done", steps, steps, {}, record, self.folder)

    def _train(self, state: TrainState, saver, probe, curve):
        config = self.config
        every = max(1, config.steps // config.chunk // CURVE_POINTS)
        saved, scores = time.monotonic(), {}
        losses = []
        with (self.folder / "metrics.jsonl").open("a") as log:
            for event in loop.train_phases(
                self.phases,
                self.optimiser,
                state,
                chunk_steps=config.chunk,
                mesh=self.mesh,
            ):
                state = event.state
                self.seconds["train"] += event.seconds
                self.seconds["compile"] += event.compile_seconds
                losses.append(event.metrics["loss"].mean(axis=0))
                last = event.step == config.steps
                # Where a curve has its points does not depend on interruptions.
                if -(-event.step // config.chunk) % every == 0 or last:
                    row = {"step": event.step, "loss": np.mean(losses, axis=0).tolist()}
                    row |= {name: v.tolist() for name, v in probe(state).items()}
                    losses = []
                    curve.append(row)
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                    scores = {k: float(np.mean(v)) for k, v in row.items()}
                due = time.monotonic() - saved > self.save_seconds or last
                if hosts.agree(due):
                    saver.save(event.step, state)
                    saved = time.monotonic()
                try:
                    yield RunEvent("train", event.step, config.steps, scores)
                except GeneratorExit:  # whoever watched has stopped: lose nothing
                    if not hosts.several():  # a checkpoint takes all of them
                        saver.save(event.step, state)
                    raise
        return state

    def _each_seed(self, function):
        shared = self.problem.shared
        return loop.on_each_seed(function, mesh=self.mesh, shared=shared)

    def _curve_until(self, step: int) -> list[dict[str, Any]]:
        """The curve up to a restored step; later rows are dropped from the file."""
        path = self.folder / "metrics.jsonl"
        rows = []
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    break  # cut off while it was written
                if not isinstance(row, dict) or "step" not in row:
                    break
                if row["step"] <= step:
                    rows.append(row)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return rows

    def _evaluate(self, state: TrainState, untrained, curve) -> Record:
        began = time.perf_counter()
        metrics = self._each_seed(self.problem.evaluate)(state)
        self.seconds["evaluate"] = time.perf_counter() - began
        samples = {k: v for k, v in metrics.items() if k.startswith("sample/")}
        arrays: Any = {k.removeprefix("sample/"): v for k, v in samples.items()}
        np.savez_compressed(self.folder / "samples.npz", **arrays)
        held = {k: v.tolist() for k, v in metrics.items() if k not in samples}
        scores, losses, nulls = sort_names(held)
        device = self.mesh.devices.flat[0]
        record = Record(
            schema_version=SCHEMA_VERSION,
            system=self.system,
            preset=self.preset,
            config=_config_dict(self.config),
            seeds=self.seeds,
            floor_kind=self.module.floor_kind(self.config),
            scores=scores,
            losses=losses,
            nulls=nulls,
            untrained={name: v.tolist() for name, v in untrained.items()},
            curve=curve,
            seconds={name: round(s, 2) for name, s in self.seconds.items()},
            device=f"{device.platform} {device.device_kind}",
        )
        write_record(self.folder, record)
        return record


def cached_frozen(
    problem: Any, identity: dict[str, Any], seeds: Sequence[int], cache: Path
) -> Any:
    """Frozen draws of many seeds, from `cache` when the same ones were drawn before.

    Args:
        problem: its `freeze` draws them.
        identity: the settings they depend on.
        seeds: integers.
        cache: folder of `.npz` files; a damaged one is drawn again.

    Returns:
        The frozen draws with a leading seed axis.
    """
    draw = jax.vmap(lambda seed: frozen_draws(problem, seed))
    numbers = np.asarray(seeds, np.int32)
    abstract = jax.eval_shape(draw, numbers)
    leaves, structure = jax.tree.flatten(abstract)
    key = json.dumps([identity, numbers.tolist(), jax.__version__], sort_keys=True)
    path = cache / f"frozen-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    arrays = read_arrays(path)
    held = [arrays[name] for name in sorted(arrays, key=lambda n: int(n[4:]))]
    if [(a.shape, a.dtype) for a in held] == [(a.shape, a.dtype) for a in leaves]:
        return jax.tree.unflatten(structure, held)
    frozen = jax.device_get(jax.jit(draw)(numbers))
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{time.monotonic_ns()}.npz")
    np.savez(part, *jax.tree.leaves(frozen))
    part.replace(path)
    return frozen


def _config_dict(config: Any) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _identity(system: str, config: Any, seeds: Sequence[int]) -> dict[str, Any]:
    identity: dict[str, Any] = {"system": system, "config": _config_dict(config)}
    # A run on files is another one when the files change.
    data = load_system(system).frozen_identity(config).get("data")
    return identity | {"seeds": list(seeds)} | ({"data": data} if data else {})


def _claim_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Create the folder, or check that it holds the same configuration."""
    path = folder / "config.json"
    if path.exists():
        try:
            held = json.loads(path.read_text())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a JSON file: {error}") from error
        if held != identity:
            held = held if isinstance(held, dict) else {}
            keys = sorted(k for k in identity if held.get(k) != identity[k])
            raise ValueError(
                f"{folder} holds another configuration (it differs in {keys}): give "
                "another --root, or move the folder away"
            )
        return
    write_json(path, identity)
