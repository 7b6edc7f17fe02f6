"""The one training loop: chunks on the device, events for whoever watches."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.checks import check_at_least
from jidcl.numerics import numbers_in
from jidcl.train.evaluation import on_each_seed
from jidcl.train.gradient import gradient
from jidcl.train.hosts import to_host
from jidcl.train.nonfinite import what_was_bad
from jidcl.train.programs import ONCE, Ledger, Made, make
from jidcl.train.sharding import (
    check_seeds,
    make_mesh,
    over_seeds,
    place,
    shared_on,
)
from jidcl.train.state import TrainState, frozen_draws, start_state
from jidcl.train.step import make_chunk
from jidcl.types import Metrics, Problem, Program


class ChunkEvent(NamedTuple):
    """What the loop yields after each dispatch.

    Attributes:
        step: updates done.
        state: state of all seeds, on the device (valid until the next dispatch).
        metrics: host arrays `[steps of the chunk, seeds]`.
        seconds: wall time of the chunk, compilation apart.
        compile_seconds: time spent compiling before it, 0 when cached.
        bad: by position of a seed, the first step of the chunk whose loss is NaN or
            infinite.
    """

    step: int
    state: TrainState
    metrics: dict[str, np.ndarray]
    seconds: float
    compile_seconds: float
    bad: dict[int, int]


class Chunk(NamedTuple):
    """A compiled `jidcl.train.step.make_chunk`, called with a state.

    Attributes:
        made: the compiled program.
        rest: its arguments after the state: the program's shared arrays, or nothing.
        precision: of its numbers.
    """

    made: Made
    rest: tuple = ()
    precision: str = "float32"

    @property
    def program(self) -> Any:
        """The compiler's program."""
        return self.made.program

    def __call__(self, state: TrainState) -> tuple[TrainState, Metrics]:
        """The state after the chunk's steps, and their metrics."""
        with numbers_in(self.precision):
            return self.made(state, *self.rest)


class NonFiniteLoss(FloatingPointError):
    """A loss became NaN or infinite; the message names steps and seeds."""


def start(
    program: Program,
    seeds: np.ndarray,
    *,
    mesh: Mesh,
    frozen: Any = None,
    ledger: Ledger | None = None,
) -> TrainState:
    """State of all seeds before the first step, sharded over `seed`.

    Args:
        program: the program.
        seeds: integers, `[seeds]`.
        mesh: the mesh.
        frozen: cached frozen draws with a leading seed axis; drawn when None.
        ledger: what its programs cost is noted there.

    Returns:
        A `TrainState` with a leading seed axis.
    """
    seeds = np.asarray(seeds, np.int32)
    shard = over_seeds(mesh)
    rest = shared_on(program, mesh)
    axes = (0, 0, *(None for _ in rest))
    begin = jax.vmap(partial(start_state, program), in_axes=axes)
    with numbers_in(program.precision):
        if frozen is None:
            frozen = draw_frozen(program, seeds, mesh=mesh, ledger=ledger)
        else:
            frozen = jax.device_put(frozen, shard)
        args = seeds, frozen, *rest
        if program.step is None:
            empty = jax.eval_shape(begin, *args).run
            if not jax.tree.leaves(empty):  # nothing is worth a program
                steps, held = jax.device_put((np.zeros_like(seeds), seeds), shard)
                return TrainState(steps, held, empty, frozen)
        begin = jax.jit(begin, out_shardings=shard)
        return make("start", begin, *args, ledger=ledger, options=ONCE)(*args)


def draw_frozen(
    program: Program,
    seeds: np.ndarray,
    *,
    mesh: Mesh | None = None,
    ledger: Ledger | None = None,
) -> Any:
    """The frozen draws of many seeds.

    Args:
        program: its `freeze` draws them.
        seeds: integers, `[seeds]`.
        mesh: the mesh over whose `seed` axis they are spread; where JAX puts them when
            None.
        ledger: as for `start`.

    Returns:
        What `freeze` returns, with a leading seed axis.
    """
    many = jax.vmap(partial(frozen_draws, program))
    draw = jax.jit(many, out_shardings=None if mesh is None else over_seeds(mesh))
    with numbers_in(program.precision):
        if not jax.tree.leaves(shapes := jax.eval_shape(draw, seeds)):
            return shapes  # nothing is worth a program
        return make("freeze", draw, seeds, ledger=ledger, options=ONCE)(seeds)


def like_start(program: Program, count: int, *, mesh: Mesh) -> TrainState:
    """Shapes of `start` for so many seeds, to compile for: nothing is drawn.

    Args:
        program: the program.
        count: seeds.
        mesh: the mesh.

    Returns:
        A `TrainState` of `jax.ShapeDtypeStruct`.
    """

    def made(seed, shared):
        return start_state(program, seed, frozen_draws(program, seed), shared)

    shard = over_seeds(mesh)
    with numbers_in(program.precision):
        many = jax.vmap(made, in_axes=(0, None))
        shapes = jax.eval_shape(many, np.zeros(count, np.int32), program.shared)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=shard),
        shapes,
    )


def compile_chunk(
    program: Program,
    state: TrainState,
    *,
    steps: int,
    mesh: Mesh,
    ledger: Ledger | None = None,
) -> tuple[Chunk, float]:
    """The compiled `jidcl.train.step.make_chunk`, and the seconds that it took.

    Args:
        program: a program that is trained.
        state: of `start`, or the shapes of `like_start`.
        steps: updates per dispatch.
        mesh: the mesh.
        ledger: as for `start`.

    Returns:
        `(Chunk, seconds)`.
    """
    rest = shared_on(program, mesh)
    with numbers_in(program.precision):
        chunk = make_chunk(program, steps=steps, mesh=mesh)
        made = make("chunk", chunk, state, *rest, ledger=ledger)
    return Chunk(made, rest, program.precision), made.seconds


def train_phases(
    phases: Sequence[tuple[Program, int]],
    state: TrainState,
    *,
    chunk_steps: int,
    mesh: Mesh,
    ledger: Ledger | None = None,
    some_may_fail: bool = False,
) -> Iterator[ChunkEvent]:
    """`train` through every (program, update up to which it holds).

    Args:
        phases: programs in order, each with the update at which it ends, counted from
            step 0 of the run.
        state: from `start` or a checkpoint; donated.
        chunk_steps: updates per dispatch.
        mesh: the mesh.
        ledger: as for `start`.
        some_may_fail: as for `train`.

    Yields:
        `ChunkEvent`.
    """
    for program, until in phases:
        for event in train(
            program,
            state,
            steps=until,
            chunk_steps=chunk_steps,
            mesh=mesh,
            ledger=ledger,
            some_may_fail=some_may_fail,
        ):
            state = event.state
            yield event


def train(
    program: Program,
    state: TrainState,
    *,
    steps: int,
    chunk_steps: int,
    mesh: Mesh,
    ledger: Ledger | None = None,
    some_may_fail: bool = False,
    refill: Callable[[], Any] | None = None,
    programs: dict[int, Chunk] | None = None,
) -> Iterator[ChunkEvent]:
    """Train from `state` up to `steps` updates, one event per dispatch.

    Args:
        program: the program that made the state.
        state: from `start` or a checkpoint; donated.
        steps: updates in all, counted from step 0 of the run.
        chunk_steps: updates per dispatch.
        mesh: the mesh.
        ledger: as for `start`.
        some_may_fail: go on while the loss of some seed is finite; who fails stands in
            the events.
        refill: what each dispatch sees as the program's shared arrays (data that are
            larger than memory), of their shapes; the same arrays for all when None.
        programs: compiled chunks by their steps, of an earlier call with this program
            and these shapes; new ones are added.

    Yields:
        `ChunkEvent`.

    Raises:
        NonFiniteLoss: after a chunk with a loss that is NaN or infinite, of any seed,
            or where some may fail of all.
    """
    programs = {} if programs is None else programs
    done = int(to_host(state.step).ravel()[0])
    while done < steps:
        size = min(chunk_steps, steps - done)
        compiled = 0.0
        if size not in programs:
            programs[size], compiled = compile_chunk(
                program, state, steps=size, mesh=mesh, ledger=ledger
            )
        chunk = programs[size]
        if refill is not None:
            chunk = chunk._replace(rest=(place(refill(), mesh),))
        began = time.perf_counter()
        state, metrics = chunk(state)
        host: dict[str, np.ndarray] = to_host(metrics)
        seconds = time.perf_counter() - began
        bad = _not_finite(host["loss"], done)
        if bad and (not some_may_fail or len(bad) == host["loss"].shape[1]):
            raise NonFiniteLoss(_told(bad, state, program))
        done += size
        yield ChunkEvent(done, state, host, seconds, compiled, bad)


def fit(
    problem: Problem | Program,
    optimiser: Any = None,
    *,
    seeds: int | Sequence[int],
    steps: int,
    chunk_steps: int = 100,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Any]:
    """Train all seeds from their start to the end, and evaluate them.

    `start`, `train` and `on_each_seed` in one call, for small work;
    `jidcl.run.runner` adds records and resume.

    Args:
        problem: the problem, or a program that is trained.
        optimiser: of a problem, see `jidcl.train.gradient`.
        seeds: how many (0, 1, ...), or which.
        steps: updates.
        chunk_steps: updates per dispatch.
        mesh: devices; one device when None.

    Returns:
        `(state, scores)`: the final state and what `evaluate` returns of each seed:
        a dict of arrays `[seeds, ...]`, or a `jidcl.types.Evaluation` of them.

    Raises:
        NonFiniteLoss: as in `train`.
        TypeError: on a problem without an optimiser, or a program with one.
        ValueError: on no seed, repeated seeds, or steps < 1.
    """
    mesh = make_mesh() if mesh is None else mesh
    check_at_least("steps", steps, 1)
    numbers = check_seeds(seeds)
    if isinstance(problem, Program) == (optimiser is not None):
        raise TypeError("optimiser must be given with a Problem, and only with one")
    program = problem if isinstance(problem, Program) else gradient(problem, optimiser)
    state = start(program, np.asarray(numbers), mesh=mesh)
    for event in train(program, state, steps=steps, chunk_steps=chunk_steps, mesh=mesh):
        state = event.state
    return state, on_each_seed(program.evaluate, program, mesh=mesh)(state)


def _not_finite(loss: np.ndarray, done: int) -> dict[int, int]:
    """By position, the first step whose loss is not finite."""
    bad = ~np.isfinite(loss)
    return {
        int(i): done + 1 + int(bad[:, i].argmax())
        for i in np.flatnonzero(bad.any(axis=0))
    }


def _told(bad: dict[int, int], state: TrainState, program: Program) -> str:
    first, seeds = min(bad.values()), to_host(state.seed)
    index = next(i for i in bad if bad[i] == first)
    which = sorted({int(seeds[i]) for i in bad})
    return (
        f"loss is not finite from step {first} on, seeds {which}"
        + what_was_bad(program, state, index, first)
        + ": lower the learning rate, or look at the data"
    )
