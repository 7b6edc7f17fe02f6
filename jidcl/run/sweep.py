"""Grids of settings times seeds: equal shapes as one batched program, the rest a queue.

Settings that a system can trace (temperatures, concentrations) differ along the batch
of runs, like seeds; any other setting gets a program of its own. A program's runs are
cut into pieces that fit the memory. A finished piece is on disk and is not repeated.
"""

import dataclasses
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_above, check_choice
from jidcl.report.records import write_json
from jidcl.run.costs import runs_that_fit
from jidcl.systems.registry import load_system
from jidcl.train import loop
from jidcl.train.sharding import check_seeds, make_mesh
from jidcl.train.state import frozen_draws, with_shared
from jidcl.types import Problem

Grid = Mapping[str, Sequence[Any]]


class Piece(NamedTuple):
    """Runs of one program that are trained together.

    Attributes:
        config: settings that all of them share.
        runs: (traced settings, seed) of each.
    """

    config: Any
    runs: list[tuple[dict[str, float], int]]


class SweepEvent(NamedTuple):
    """Progress: pieces done and in all, update of the current piece, rows so far."""

    piece: int
    pieces: int
    step: int
    steps: int
    rows: list[dict[str, Any]]


def traced_problem(module: Any, config: Any, phase: int | None = None) -> Problem:
    """The problem whose traced settings come with the frozen draws of a run.

    Args:
        module: the system.
        config: its settings; those in `frozen["settings"]` override them.
        phase: which of `config.phases()` it is for; none for evaluation.

    Returns:
        A `Problem` with `frozen = {"base": ..., "settings": ...}`; `freeze` leaves the
        settings empty.
    """
    base = module.make_problem(config)

    def at(settings):
        point = dataclasses.replace(config, **settings)
        return module.make_problem(point if phase is None else point.phases()[phase][0])

    def own(frozen):
        return with_shared(frozen["base"], frozen.get("shared"))

    def draw(frozen, key):
        held = frozen["settings"]
        return at(held).draw(own(frozen), key), held

    def loss(params, state, drawn, key):
        batch, held = drawn
        return at(held).loss(params, state, batch, key)

    def probe(params, state, frozen, key):
        return at(frozen["settings"]).probe(params, state, own(frozen), key)

    def evaluate(params, state, frozen, key):
        return at(frozen["settings"]).evaluate(params, state, own(frozen), key)

    def freeze(key):
        return {"base": base.freeze(key), "settings": {}}

    rest = dict(precision=base.precision, shared=base.shared)
    return Problem(freeze, base.init, draw, loss, probe, evaluate, **rest)


def split_grid(module: Any, config: Any, grid: Grid) -> list[tuple[Any, list[dict]]]:
    """Programs of a grid: (configuration, traced settings of its points).

    Raises:
        ValueError: on a name that is no setting, or a value that it refuses.
    """
    fields = [field.name for field in dataclasses.fields(config)]
    for name, values in grid.items():
        check_choice("setting", name, fields)
        if not values:
            raise ValueError(f"values of {name} must be at least one, got none")
        if len(set(values)) < len(values):
            raise ValueError(f"values of {name} must be distinct, got {list(values)}")
        for value in values:
            dataclasses.replace(config, **{name: value})
    traced = [name for name in grid if name in module.TRACED]
    static = [name for name in grid if name not in module.TRACED]
    points = [
        dict(zip(traced, map(float, values), strict=True))
        for values in itertools.product(*(grid[name] for name in traced))
    ]
    return [
        (dataclasses.replace(config, **dict(zip(static, values, strict=True))), points)
        for values in itertools.product(*(grid[name] for name in static))
    ]


def sweep(
    config: Any,
    grid: Grid,
    *,
    system: str,
    seeds: Sequence[int],
    root: Path,
    memory_gib: float | None = None,
) -> Iterator[SweepEvent]:
    """Train and evaluate every point of the grid with every seed.

    Args:
        config: settings of the points, where the grid does not say otherwise.
        grid: values of each setting that varies.
        system: its name.
        seeds: distinct integers; a seed has the same mixing at every point whose
            mixing has the same settings.
        root: folder of the sweep; the same call goes on from its finished pieces.
        memory_gib: memory that the runs of one program may take; one whose runs need
            more is cut into pieces, see `jidcl.run.costs.runs_that_fit`.

    Yields:
        `SweepEvent`; the last one has all rows: settings, seed and scores of each run.

    Raises:
        ValueError: on an unknown setting, a value that it refuses, or repeated seeds.
    """
    seeds, module = check_seeds(seeds), load_system(system)
    if memory_gib is not None:
        check_above("memory_gib", memory_gib, 0)
    pieces, rows = [], []
    for shared, points in split_grid(module, config, grid):
        runs = [(point, seed) for point in points for seed in seeds]
        size = runs_that_fit(
            len(runs),
            lambda count, c=shared, r=runs: _prepare(module, c, r[:count]),
            mesh=make_mesh(),
            memory_gib=memory_gib,
        )
        pieces += [Piece(shared, runs[i : i + size]) for i in range(0, len(runs), size)]
    for index, piece in enumerate(pieces):
        path = root / f"piece-{_hash(system, piece)}.json"
        if not path.exists():
            for step in _train(module, piece, path):
                yield SweepEvent(index, len(pieces), step, piece.config.steps, rows)
        held = json.loads(path.read_text())
        varied = {name: getattr(piece.config, name) for name in grid}
        rows = rows + [{**varied, **row} for row in held["rows"]]
        steps = piece.config.steps
        yield SweepEvent(index + 1, len(pieces), steps, steps, rows)


def metric_names(system: str, config: Any, grid: Grid) -> list[str]:
    """Scores that some point of a grid ends with, found without running it."""
    module, names = load_system(system), {"diverged": None}
    for shared, _ in split_grid(module, config, grid):
        problem = module.make_problem(shared)

        def ended(keys, problem=problem):
            frozen = with_shared(problem.freeze(keys[0]), problem.shared)
            return problem.evaluate(*problem.init(keys[1]), frozen, keys[2])

        scores = jax.eval_shape(ended, jax.random.split(jax.random.key(0), 3))
        names |= {name: None for name, score in scores.items() if score.ndim == 0}
    return list(names)


def _train(module: Any, piece: Piece, path: Path) -> Iterator[int]:
    """Train, evaluate and write one piece; the steps done."""
    began, rows = time.perf_counter(), []
    yield from _rows(module, piece, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = round(time.perf_counter() - began, 2)
    write_json(
        path, {"seconds": seconds, "device": str(jax.devices()[0]), "rows": rows}
    )


def _rows(module: Any, piece: Piece, rows: list[dict[str, Any]]) -> Iterator[int]:
    """Fill in a row for each run; one that diverges has only `diverged`, 1."""
    config, mesh, runs = piece.config, make_mesh(), piece.runs
    phases, optimiser, state = _prepare(module, config, runs)
    try:
        for event in loop.train_phases(
            phases, optimiser, state, chunk_steps=config.chunk, mesh=mesh
        ):
            state = event.state
            yield event.step
    except loop.NonFiniteLoss:
        half = len(runs) // 2  # whichever it was, the others are trained
        if not half:
            rows.append({**runs[0][0], "seed": runs[0][1], "diverged": 1.0})
            return
        yield from _rows(module, Piece(config, runs[:half]), rows)
        yield from _rows(module, Piece(config, runs[half:]), rows)
        return
    problem = traced_problem(module, config)
    evaluate = loop.on_each_seed(problem.evaluate, mesh=mesh, shared=problem.shared)
    scores = evaluate(state)
    scores = {name: values for name, values in scores.items() if values.ndim == 1}
    for i, (settings, seed) in enumerate(runs):
        row = {name: float(values[i]) for name, values in scores.items()}
        rows.append({**settings, "seed": seed, "diverged": 0.0, **row})


def _prepare(module: Any, config: Any, runs: list[tuple[dict[str, float], int]]):
    """(phases, optimiser, state before the first step) of all runs."""
    phases = [
        (traced_problem(module, config, phase), until)
        for phase, (_, until) in enumerate(config.phases())
    ]
    problem, optimiser = phases[0][0], module.make_run_optimiser(config)
    numbers = np.asarray([seed for _, seed in runs], np.int32)
    distinct, where = np.unique(numbers, return_inverse=True)
    base = module.make_problem(config)
    draws = jax.jit(jax.vmap(lambda seed: frozen_draws(base, seed)))(distinct)
    settings = {
        name: jnp.asarray([point[name] for point, _ in runs], jnp.float32)
        for name in runs[0][0]
    }
    base_draws = jax.tree.map(lambda leaf: leaf[where], draws)
    frozen = {"base": base_draws, "settings": settings}
    start = loop.start(problem, optimiser, numbers, mesh=make_mesh(), frozen=frozen)
    return phases, optimiser, start


def _hash(system: str, piece: Piece) -> str:
    held = [system, dataclasses.asdict(piece.config), piece.runs]
    # Runs on files are others when the files change.
    data = load_system(system).frozen_identity(piece.config).get("data")
    held += [data] if data else []
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]
