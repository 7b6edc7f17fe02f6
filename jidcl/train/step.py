"""Many updates of many seeds as one jitted program."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

from jidcl.checks import check_at_least
from jidcl.numerics import products_in
from jidcl.train.sharding import everywhere, over_seeds
from jidcl.train.state import TrainState, with_shared
from jidcl.types import Metrics, Program

Step = Callable[..., tuple[TrainState, Metrics]]


def make_step(program: Program) -> Step:
    """One update of one run.

    Args:
        program: a program that is trained.

    Returns:
        `(state, shared=None) -> (state, metrics)`, pure.

    Raises:
        ValueError: on a program without a step.
        TypeError: while tracing, where a step's metrics hold no scalar `loss`.
    """
    if program.step is None:
        raise ValueError("program must have a step, got None: it trains nothing")
    advance = program.step

    def step(state: TrainState, shared: Any = None) -> tuple[TrainState, Metrics]:
        frozen = with_shared(state.frozen, shared)
        with products_in(program.precision):
            run, metrics = advance(state.run, frozen, state.key, state.step)
        if getattr(metrics.get("loss"), "shape", None) != ():
            raise TypeError(
                f"metrics of a step must hold a scalar 'loss', got {sorted(metrics)}"
            )
        return TrainState(state.step + 1, state.seed, run, state.frozen), metrics

    return step


def make_chunk(program: Program, *, steps: int, mesh: Mesh) -> Step:
    """`steps` updates of many seeds as one jitted program.

    `lax.scan` over the steps of `vmap` over the seeds. The state is donated and
    sharded over the mesh's `seed` axis, batches over its `data` axis, as
    `program.sharded` says; in and out shardings are stated.

    Args:
        program: a program that is trained.
        steps: updates per dispatch, >= 1.
        mesh: see `jidcl.train.sharding.make_mesh`.

    Returns:
        `state -> (state, metrics)`, every leaf of the state `[seeds, ...]`, metrics
        `[steps, seeds]`; `(state, shared) -> ...` where the program has shared arrays,
        which every device holds.

    Raises:
        ValueError: on steps < 1, or a program without a step.
    """
    check_at_least("steps", steps, 1)
    if mesh.shape["data"] > 1 and program.sharded is not None:
        program = program.sharded(mesh)
    step = make_step(program)
    batched = jax.vmap(step, in_axes=(0, None), spmd_axis_name="seed")

    def alone(state: TrainState, shared: Any) -> tuple[TrainState, Metrics]:
        held = jax.tree.map(lambda leaf: leaf[0], state)
        return jax.tree.map(lambda leaf: leaf[None], step(held, shared))

    def chunk(state: TrainState, shared: Any = None) -> tuple[TrainState, Metrics]:
        # An axis of one seed makes a small step a tenth slower.
        many = alone if state.seed.shape == (1,) else batched
        return jax.lax.scan(lambda run, _: many(run, shared), state, length=steps)

    shard = over_seeds(mesh)
    whole = () if program.shared is None else (everywhere(mesh),)
    rows = jax.sharding.NamedSharding(mesh, jax.P(None, "seed"))
    return jax.jit(
        chunk,
        donate_argnums=0,
        keep_unused=True,  # so that what all seeds share is counted whole
        in_shardings=(shard, *whole),
        out_shardings=(shard, rows),
    )
