"""What a run will cost, before it starts: compile it and time a few steps."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.systems.registry import load_system
from jidcl.train import loop
from jidcl.train.sharding import check_divisible, check_seeds, make_mesh
from jidcl.train.step import make_chunk


class Estimate(NamedTuple):
    """What a run costs, from its compiled program and a few probed steps.

    Attributes:
        parameters: trained numbers of one seed.
        flops: floating-point operations of one step, all seeds as the compiler
            counts them: the body of a loop, such as the tiles of a loss, once; of the
            widest phase, as is the memory.
        memory: bytes of arguments and temporaries of the compiled program.
        compile_seconds: time to compile all phases.
        step_seconds: measured time of one step, mean over the phases.
        seconds: expected time of the training.
    """

    parameters: int
    flops: float
    memory: int
    compile_seconds: float
    step_seconds: float
    seconds: float


def estimate(
    config: Any,
    *,
    system: str,
    seeds: Sequence[int],
    mesh: Mesh | None = None,
    steps: int = 3,
) -> Estimate:
    """Compile a short run and time a few steps; nothing is written.

    Args:
        config: the system's settings.
        system: its name.
        seeds: as in `run`.
        mesh: as in `run`.
        steps: steps to probe.

    Returns:
        `Estimate`.
    """
    seeds = check_seeds(seeds)
    mesh = make_mesh() if mesh is None else mesh
    done, parts = 0, []
    for phase, until in config.phases():
        check_divisible(mesh, seeds=len(seeds), batch=phase.batch)
        parts.append((until - done, _probe_cost(phase, system, seeds, mesh, steps)))
        done = until
    costs = [cost for _, cost in parts]
    seconds = sum(count * cost.step_seconds for count, cost in parts)
    return Estimate(
        parameters=costs[0].parameters,
        flops=max(cost.flops for cost in costs),
        memory=max(cost.memory for cost in costs),
        compile_seconds=sum(cost.compile_seconds for cost in costs),
        step_seconds=seconds / config.steps,
        seconds=seconds,
    )


def _probe_cost(config, system: str, seeds, mesh: Mesh, steps: int) -> Estimate:
    """`estimate` of one phase."""
    module = load_system(system)
    # A poor mixing costs the same per step, and its search is not what is probed.
    probed = dataclasses.replace(config, mixing_draws=1)
    problem, optimiser = module.make_problem(probed), module.make_run_optimiser(config)
    state = loop.start(problem, optimiser, np.asarray(seeds), mesh=mesh)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    began = time.perf_counter()
    program = make_chunk(problem, optimiser, steps=steps, mesh=mesh)
    compiled = program.lower(state).compile()
    compile_seconds = time.perf_counter() - began
    state, _ = jax.block_until_ready(compiled(state))
    began = time.perf_counter()
    jax.block_until_ready(compiled(state))
    step_seconds = (time.perf_counter() - began) / steps
    memory = compiled.memory_analysis()
    costs = compiled.cost_analysis() or {}
    return Estimate(
        parameters=parameters // len(seeds),
        flops=float(costs.get("flops", float("nan"))),
        memory=memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        compile_seconds=compile_seconds,
        step_seconds=step_seconds,
        seconds=step_seconds * config.steps,
    )
