"""The one training loop: chunks on the device, events for whoever watches."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from jidcl.checks import check_at_least
from jidcl.numerics import products_in, stream_key
from jidcl.train.hosts import to_host
from jidcl.train.sharding import check_seeds, everywhere, make_mesh, over_seeds
from jidcl.train.state import TrainState, frozen_draws, init_state, with_shared
from jidcl.train.step import make_chunk
from jidcl.types import Metrics, Problem


class ChunkEvent(NamedTuple):
    """What the loop yields after each dispatch.

    Attributes:
        step: updates done.
        state: state of all seeds, on the device (valid until the next dispatch).
        metrics: host arrays `[steps of the chunk, seeds]`.
        seconds: wall time of the chunk, compilation apart.
        compile_seconds: time spent compiling before it, 0 when cached.
    """

    step: int
    state: TrainState
    metrics: dict[str, np.ndarray]
    seconds: float
    compile_seconds: float


class Chunk(NamedTuple):
    """A compiled `jidcl.train.step.make_chunk`, called with a state.

    Attributes:
        program: the compiled program.
        rest: its arguments after the state: the problem's shared arrays, or nothing.
    """

    program: Any
    rest: tuple = ()

    def __call__(self, state: TrainState) -> tuple[TrainState, Metrics]:
        """The state after the chunk's steps, and their metrics."""
        return self.program(state, *self.rest)


class NonFiniteLoss(FloatingPointError):
    """A loss became NaN or infinite; the message names steps and seeds."""


def start(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    seeds: np.ndarray,
    *,
    mesh: Mesh,
    frozen: Any = None,
) -> TrainState:
    """State of all seeds before the first step, sharded over `seed`.

    Args:
        problem: the problem.
        optimiser: the optimiser.
        seeds: integers, `[seeds]`.
        mesh: the mesh.
        frozen: cached frozen draws with a leading seed axis; drawn when None.

    Returns:
        A `TrainState` with a leading seed axis.
    """
    seeds = np.asarray(seeds, np.int32)
    shard = over_seeds(mesh)
    if frozen is None:
        draw = jax.vmap(lambda seed: frozen_draws(problem, seed))
        frozen = jax.jit(draw, out_shardings=shard)(seeds)
    else:
        frozen = jax.device_put(frozen, shard)
    make = jax.vmap(lambda seed, held: init_state(problem, optimiser, seed, held))
    return jax.jit(make, out_shardings=shard)(seeds, frozen)


def compile_chunk(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    state: TrainState,
    *,
    steps: int,
    mesh: Mesh,
) -> tuple[Chunk, float]:
    """The compiled `jidcl.train.step.make_chunk`, and the seconds that it took."""
    rest = _shared(problem.shared, mesh)
    began = time.perf_counter()
    chunk = make_chunk(problem, optimiser, steps=steps, mesh=mesh)
    program = chunk.lower(state, *rest).compile()
    return Chunk(program, rest), time.perf_counter() - began


def train_phases(
    phases: Sequence[tuple[Problem, int]],
    optimiser: optax.GradientTransformation,
    state: TrainState,
    *,
    chunk_steps: int,
    mesh: Mesh,
) -> Iterator[ChunkEvent]:
    """`train` through every (problem, update up to which it holds)."""
    for problem, until in phases:
        for event in train(
            problem, optimiser, state, steps=until, chunk_steps=chunk_steps, mesh=mesh
        ):
            state = event.state
            yield event


def train(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    state: TrainState,
    *,
    steps: int,
    chunk_steps: int,
    mesh: Mesh,
) -> Iterator[ChunkEvent]:
    """Train from `state` up to `steps` updates, one event per dispatch.

    Args:
        problem: the problem.
        optimiser: the optimiser that made the state.
        state: from `start` or a checkpoint; donated.
        steps: updates in all, counted from step 0 of the run.
        chunk_steps: updates per dispatch.
        mesh: the mesh.

    Yields:
        `ChunkEvent`.

    Raises:
        NonFiniteLoss: after a chunk with a loss that is NaN or infinite.
    """
    programs: dict[int, Callable] = {}
    done = int(to_host(state.step).ravel()[0])
    while done < steps:
        size = min(chunk_steps, steps - done)
        compiled = 0.0
        if size not in programs:
            programs[size], compiled = compile_chunk(
                problem, optimiser, state, steps=size, mesh=mesh
            )
        began = time.perf_counter()
        state, metrics = programs[size](state)
        host: dict[str, np.ndarray] = to_host(metrics)
        seconds = time.perf_counter() - began
        _stop_if_not_finite(host["loss"], done, state.seed)
        done += size
        yield ChunkEvent(done, state, host, seconds, compiled)


def fit(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    *,
    seeds: int | Sequence[int],
    steps: int,
    chunk_steps: int = 100,
    mesh: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """Train all seeds from their start to the end, and evaluate them.

    `start`, `train` and `on_each_seed` in one call, for small work; `jidcl.run.runner`
    adds records and resume.

    Args:
        problem: the problem.
        optimiser: an optax transformation.
        seeds: how many (0, 1, ...), or which.
        steps: updates.
        chunk_steps: updates per dispatch.
        mesh: devices; one device when None.

    Returns:
        `(state, scores)`: the final state and `problem.evaluate` of each seed.

    Raises:
        NonFiniteLoss: as in `train`.
        ValueError: on no seed, repeated seeds, or steps < 1.
    """
    mesh = make_mesh() if mesh is None else mesh
    check_at_least("steps", steps, 1)
    which = range(seeds) if isinstance(seeds, int | np.integer) else seeds
    numbers = check_seeds(which)
    state = start(problem, optimiser, np.asarray(numbers), mesh=mesh)
    for event in train(
        problem, optimiser, state, steps=steps, chunk_steps=chunk_steps, mesh=mesh
    ):
        state = event.state
    score = on_each_seed(problem.evaluate, mesh=mesh, shared=problem.shared)
    return state, score(state)


def on_each_seed(
    function: Callable, *, mesh: Mesh, shared: Any = None
) -> Callable[[TrainState], Metrics]:
    """A jitted `state -> host arrays [seeds, ...]` of a problem's probe or evaluate.

    Seeds run one after another (`lax.map`): an evaluation is wider than a batch. The
    draws depend on (seed, step) only. Matrix products are in float32, whatever they
    were in training. `shared`: the problem's shared arrays.
    """
    rest = _shared(shared, mesh)

    def scores(state: TrainState, shared: Any = None):
        def one(run: TrainState):
            key = jax.random.fold_in(stream_key(run.key, "eval"), run.step)
            frozen = with_shared(run.frozen, shared)
            with products_in("float32"):
                return function(run.params, run.state, frozen, key)

        return jax.lax.map(one, state)

    shard = over_seeds(mesh), *(everywhere(mesh) for _ in rest)
    program = jax.jit(scores, in_shardings=shard)
    return lambda state: to_host(program(state, *rest))


def place(shared: Any, mesh: Mesh) -> Any:
    """A problem's shared arrays on every device; what is there already stays."""
    return None if shared is None else jax.device_put(shared, everywhere(mesh))


def _shared(shared: Any, mesh: Mesh) -> tuple:
    """The further argument of a program; none where there is none."""
    return () if shared is None else (place(shared, mesh),)


def _stop_if_not_finite(loss: np.ndarray, done: int, seeds: jax.Array) -> None:
    bad = ~np.isfinite(loss)
    if bad.any():
        first = int(bad.any(axis=1).argmax())
        which = to_host(seeds)[bad.any(axis=0)].tolist()
        raise NonFiniteLoss(
            f"loss is not finite from step {done + first + 1} on (chunk {done + 1} to "
            f"{done + loss.shape[0]}), seeds {which}: lower the learning rate, or look "
            "at the data"
        )
