"""Grids of settings times seeds: equal shapes as one batched program, the rest a queue.

Settings that a system can trace (temperatures, concentrations) differ along the batch
of runs, like seeds; any other setting gets a program of its own. A program's runs are
cut into pieces that fit the memory. A finished piece is on disk and is not repeated.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import check_choice, check_memory
from jidcl.files import read_json, write_json
from jidcl.numerics import numbers_in
from jidcl.report import plots
from jidcl.run.costs import phases_of, runs_that_fit
from jidcl.run.traced import traced_program
from jidcl.systems.contract import System
from jidcl.systems.registry import load_system
from jidcl.train import loop
from jidcl.train.evaluation import summarised
from jidcl.train.sharding import SEED_BYTES, check_seeds, make_mesh
from jidcl.train.state import frozen_draws, with_shared
from jidcl.types import Evaluation

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
    """Progress of a sweep.

    Attributes:
        piece: pieces done.
        pieces: pieces in all.
        step: updates done of the piece that is being trained.
        steps: updates of that piece in all.
        rows: settings, seed and scores of each run of the finished pieces.
        failed: a line for each piece that failed, see `jidcl.run.launch`.
    """

    piece: int
    pieces: int
    step: int
    steps: int
    rows: list[dict[str, Any]]
    failed: tuple[str, ...] = ()


def split_grid(system: System, config: Any, grid: Grid) -> list[tuple[Any, list[dict]]]:
    """Programs of a grid: (configuration, traced settings of its points).

    Args:
        system: the system.
        config: settings of the points, where the grid does not say otherwise.
        grid: values of each setting that varies.

    Returns:
        A pair for each combination of values of settings that cannot be traced.

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
            config.changed(**{name: value})
    count = math.prod(map(len, grid.values()))
    check_memory("number of points of the grid", count, count, width=SEED_BYTES)
    traced = [name for name in grid if name in system.traced_fields]
    static = [name for name in grid if name not in system.traced_fields]
    points = [
        dict(zip(traced, map(float, values), strict=True))
        for values in itertools.product(*(grid[name] for name in traced))
    ]
    return [
        (config.changed(**dict(zip(static, values, strict=True))), points)
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
        ValueError: on an unknown setting, a value that it refuses, repeated seeds, or
            settings that do not say how a program with a step is trained.
    """
    held = load_system(system)
    pieces = split_pieces(config, grid, held, seeds=seeds, memory_gib=memory_gib)
    rows = []
    for index, piece in enumerate(pieces):
        path = piece_path(root, held, piece)
        phases = phases_of(piece.config, held.program(piece.config))
        steps = phases[-1][1] if phases else 0
        if not path.exists():
            for step in train_piece(held, piece, path):
                yield SweepEvent(index, len(pieces), step, steps, rows)
        rows = rows + piece_rows(path, piece, grid)
        yield SweepEvent(index + 1, len(pieces), steps, steps, rows)


def split_pieces(
    config: Any,
    grid: Grid,
    system: System,
    *,
    seeds: Sequence[int],
    memory_gib: float | None = None,
) -> list[Piece]:
    """The pieces of a sweep, in their order; nothing is run.

    Args:
        config: settings of the points, where the grid does not say otherwise.
        grid: values of each setting that varies.
        system: the system.
        seeds: distinct integers.
        memory_gib: memory that the runs of one piece may take.

    Returns:
        At least one for each program.

    Raises:
        ValueError: as for `sweep`.
    """
    seeds = check_seeds(seeds)
    pieces = []
    for common, points in split_grid(system, config, grid):
        phases = phases_of(common, system.program(common))
        runs = [(point, seed) for point in points for seed in seeds]
        size = runs_that_fit(
            len(runs),
            [system.make_program(phase) for phase, _ in phases],
            mesh=make_mesh(),
            memory_gib=memory_gib,
        )
        pieces += [Piece(common, runs[i : i + size]) for i in range(0, len(runs), size)]
    return pieces


def piece_path(root: Path, system: System, piece: Piece) -> Path:
    """The file of a finished piece: its name is a hash of all that decides it.

    Args:
        root: folder of the sweep.
        system: the system.
        piece: the piece.

    Returns:
        A path below `root`.
    """
    return root / f"piece-{_hash(system, piece)}.json"


def write_sweep(
    folder: Path, rows: Sequence[dict[str, Any]], *, about: dict[str, Any], metric: str
) -> dict[str, Path]:
    """`sweep.json`, and a map of one score where the settings are numbers.

    Args:
        folder: where to; created.
        rows: of the last `SweepEvent`.
        about: what was swept; its `grid` names the axes.
        metric: the score of the map.

    Returns:
        The paths: `"results"`, and `"figure"` where one is drawn (it needs matplotlib).
    """
    axes = list(about["grid"])
    written = {"results": folder / "sweep.json"}
    write_json(written["results"], {**about, "axes": axes, "rows": list(rows)})
    numbers = all(isinstance(row[a], int | float) for row in rows for a in axes)
    if rows and numbers and plots.available():
        figure = plots.grid_figure(list(rows), axes, metric, folder / "sweep.png")
        written["figure"] = figure
    return written


def metric_names(system: str, config: Any, grid: Grid) -> list[str]:
    """Scores that some point of a grid ends with, found without running it.

    Args:
        system: its name.
        config: settings of the points, where the grid does not say otherwise.
        grid: values of each setting that varies.

    Returns:
        Names of scalar scores; `diverged` is the first.
    """
    held, names = load_system(system), {"diverged": None}
    for common, _ in split_grid(held, config, grid):
        program = held.program(common)

        def ended(keys, program=program):
            frozen = with_shared(program.freeze(keys[0]), program.shared)
            run = program.start(frozen, keys[1])
            return summarised(program.evaluate(run, frozen, keys[2]))

        with numbers_in(program.precision):
            scores = jax.eval_shape(ended, jax.random.split(jax.random.key(0), 3))
        flat = flat_scores(scores).items()
        names |= {name: None for name, score in flat if score.ndim == 0}
    return list(names)


def flat_scores(evaluation: Evaluation) -> dict[str, Any]:
    """Scores and losses by name, and nulls as `SCORE_NULL`: the columns of a row.

    Args:
        evaluation: one whose losses are summarised, see `jidcl.train.summarised`.

    Returns:
        `{column: values}`.
    """
    nulls = {
        f"{score}_{null}": values
        for score, own in evaluation.nulls.items()
        for null, values in own.items()
    }
    return {**evaluation.scores, **evaluation.losses, **nulls}


def train_piece(system: System, piece: Piece, path: Path) -> Iterator[int]:
    """Train and evaluate one piece, and write its file.

    Args:
        system: the system.
        piece: the piece.
        path: see `piece_path`.

    Yields:
        The steps done.
    """
    began, rows = time.perf_counter(), []
    yield from _rows(system, piece, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = round(time.perf_counter() - began, 2)
    write_json(
        path, {"seconds": seconds, "device": str(jax.devices()[0]), "rows": rows}
    )


def _rows(system: System, piece: Piece, rows: list[dict[str, Any]]) -> Iterator[int]:
    """Fill in a row for each run; one that diverges has only `diverged`, 1."""
    config, mesh, runs = piece.config, make_mesh(), piece.runs
    program = traced_program(system, config)
    phases, state = _prepare(system, config, runs)
    try:
        if phases:
            for event in loop.train_phases(
                phases, state, chunk_steps=config.chunk, mesh=mesh
            ):
                state = event.state
                yield event.step
    except loop.NonFiniteLoss:
        half = len(runs) // 2  # whichever it was, the others are trained
        if not half:
            rows.append({**runs[0][0], "seed": runs[0][1], "diverged": 1.0})
            return
        yield from _rows(system, Piece(config, runs[:half]), rows)
        yield from _rows(system, Piece(config, runs[half:]), rows)
        return
    evaluate = loop.on_each_seed(program.evaluate, program, mesh=mesh)
    flat = flat_scores(summarised(evaluate(state)))
    scores = {name: values for name, values in flat.items() if values.ndim == 1}
    for i, (settings, seed) in enumerate(runs):
        row = {name: float(values[i]) for name, values in scores.items()}
        rows.append({**settings, "seed": seed, "diverged": 0.0, **row})


def _prepare(system: System, config: Any, runs: list[tuple[dict[str, float], int]]):
    """(phases, state before the first step) of all runs."""
    base = system.make_program(config)
    phases = [
        (traced_program(system, config, phase), until)
        for phase, (_, until) in enumerate(phases_of(config, base))
    ]
    numbers = np.asarray([seed for _, seed in runs], np.int32)
    distinct, where = np.unique(numbers, return_inverse=True)
    with numbers_in(base.precision):
        draws = jax.jit(jax.vmap(lambda seed: frozen_draws(base, seed)))(distinct)
        settings = {
            name: jnp.asarray([point[name] for point, _ in runs], float)
            for name in runs[0][0]
        }
        base_draws = jax.tree.map(lambda leaf: leaf[where], draws)
    frozen = {"base": base_draws, "settings": settings}
    first = phases[0][0] if phases else traced_program(system, config)
    state = loop.start(first, numbers, mesh=make_mesh(), frozen=frozen)
    return phases, state


def piece_rows(path: Path, piece: Piece, grid: Grid) -> list[dict[str, Any]]:
    """The rows of a finished piece.

    Args:
        path: its file.
        piece: the piece.
        grid: of the sweep; a row has a value for each of its settings.

    Returns:
        Settings, seed and scores of each run.

    Raises:
        ValueError: naming a file that holds no rows.
    """
    varied = {name: getattr(piece.config, name) for name in grid}
    return [{**varied, **row} for row in _finished(path)]


def _finished(path: Path) -> list[dict[str, Any]]:
    """The rows of a finished piece; ValueError naming a file that holds none."""
    held = read_json(path)
    rows = held.get("rows") if isinstance(held, dict) else None
    whole = isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(isinstance(value, int | float) for value in row.values())
        for row in rows
    )
    if not whole or not rows:
        raise ValueError(f"{path} must hold rows of numbers: remove it to run it again")
    return rows


def _hash(system: System, piece: Piece) -> str:
    held = [system.name, dataclasses.asdict(piece.config), piece.runs]
    # Runs on files are others when the files change.
    data = system.data_identity(piece.config)
    held += [data] if data else []
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]
