"""What a run will cost, before it starts, and how many runs fit the memory."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jidcl.checks import check_above
from jidcl.numerics import numbers_in
from jidcl.systems.contract import System
from jidcl.systems.registry import load_system
from jidcl.train import loop
from jidcl.train.sharding import check_divisible, check_seeds, make_mesh
from jidcl.train.step import make_step
from jidcl.types import Program

PROBED_RUNS = 16  # fewer are not worth a compilation to see whether they fit


class Estimate(NamedTuple):
    """What a run costs, from its compiled program and a few probed steps.

    Attributes:
        parameters: trained numbers of one seed: `params` of what the program's step
            updates, or else its floating-point numbers.
        flops: floating-point operations of one step of all seeds that are trained
            together, see `count_flops`; of the widest phase, as is the memory.
        memory: bytes of arguments and temporaries of the compiled program.
        compile_seconds: time to compile all phases.
        step_seconds: measured time of one step, mean over the phases.
        seconds: expected time of the training.
        steps: updates of a run; 0 where nothing is trained.
    """

    parameters: int
    flops: float
    memory: int
    compile_seconds: float
    step_seconds: float
    seconds: float
    steps: int = 0


def estimate(
    config: Any,
    *,
    system: str,
    seeds: Sequence[int],
    mesh: Mesh | None = None,
    steps: int = 3,
) -> Estimate:
    """Compile a short run and time a few steps; nothing is written.

    Seeds that do not fit the memory together are run in pieces (`runs_that_fit`): one
    is probed, and stands for all.

    Args:
        config: the system's settings.
        system: its name.
        seeds: as in `run`.
        mesh: as in `run`.
        steps: steps to probe.

    Returns:
        `Estimate`.

    Raises:
        ValueError: as `phases_of`, on repeated seeds, and on seeds or a batch that do
            not divide over the mesh.
    """
    seeds, held = check_seeds(seeds), load_system(system)
    mesh = make_mesh() if mesh is None else mesh
    phases = phases_of(config, held.program(config))
    for phase, _ in phases:
        check_divisible(mesh, seeds=len(seeds), batch=phase.batch)
    programs = [held.make_program(phase) for phase, _ in phases]
    size = runs_that_fit(len(seeds), programs, mesh=mesh)
    done, parts = 0, []
    for phase, until in phases:
        parts.append(
            (until - done, _probe_cost(phase, held, seeds[:size], mesh, steps))
        )
        done = until
    if not parts:
        return Estimate(0, 0.0, 0, 0.0, 0.0, 0.0)
    costs = [cost for _, cost in parts]
    seconds = sum(count * cost.step_seconds for count, cost in parts)
    seconds *= len(seeds) / size
    return Estimate(
        parameters=costs[0].parameters,
        flops=max(cost.flops for cost in costs),
        memory=max(cost.memory for cost in costs),
        compile_seconds=sum(cost.compile_seconds for cost in costs),
        step_seconds=seconds / done,
        seconds=seconds,
        steps=done,
    )


def phases_of(config: Any, program: Program) -> list[tuple[Any, int]]:
    """Settings of each phase of a run, and the update up to which they hold.

    Args:
        config: settings.
        program: what the system makes of them.

    Returns:
        `config.phases()`; none where the program has no step.

    Raises:
        ValueError: when settings of a program with a step do not say how it is
            trained: they have no phase, no `chunk`, or a phase without a `batch`.
    """
    if program.step is None:
        return []
    phases = config.phases()
    lacks = [] if phases else ["phases"]
    lacks += [] if hasattr(config, "chunk") else ["chunk"]
    lacks += [] if all(hasattr(own, "batch") for own, _ in phases) else ["batch"]
    if lacks:
        raise ValueError(
            "settings of a program with a step must say how it is trained (inherit "
            f"jidcl.systems.shared.settings.Optimisation), {type(config).__name__} "
            f"has no {' and no '.join(lacks)}"
        )
    return phases


def estimates(
    runs: Iterable[tuple[str, Any]],
    *,
    system: str,
    seeds: Sequence[int],
    mesh: Mesh | None = None,
) -> Iterator[tuple[str, Estimate]]:
    """`estimate` of several runs.

    Args:
        runs: (name, settings) of each.
        system: their system's name.
        seeds: of each run, as in `jidcl.run.runner.run`.
        mesh: as in `jidcl.run.runner.run`.

    Yields:
        (name, `Estimate`), as each is known.

    Raises:
        ValueError: as `estimate`.
    """
    for name, config in runs:
        yield name, estimate(config, system=system, seeds=seeds, mesh=mesh)


def _probe_cost(config, system: System, seeds, mesh: Mesh, steps: int) -> Estimate:
    """`estimate` of one phase; `seconds` are of the probed steps."""
    program = system.make_program(config)
    shapes = loop.like_start(program, len(seeds), mesh=mesh)
    with numbers_in(program.precision):
        state = _stand_in(shapes)
    trained = jax.tree.leaves(getattr(state.run, "params", state.run))
    parameters = sum(
        leaf.size for leaf in trained if jnp.issubdtype(leaf.dtype, jnp.floating)
    )
    one = jax.vmap(make_step(program), in_axes=(0, None))
    with numbers_in(program.precision):
        step = jax.make_jaxpr(one)(state, program.shared)
    compiled, compile_seconds = loop.compile_chunk(
        program, state, steps=steps, mesh=mesh
    )
    state, _ = jax.block_until_ready(compiled(state))
    began = time.perf_counter()
    jax.block_until_ready(compiled(state))
    step_seconds = (time.perf_counter() - began) / steps
    return Estimate(
        parameters=parameters // len(seeds),
        flops=count_flops(step.jaxpr),
        memory=program_bytes(compiled),
        compile_seconds=compile_seconds,
        step_seconds=step_seconds,
        seconds=step_seconds * steps,
    )


def _stand_in(shapes: Any) -> Any:
    """Arrays of those shapes: a step of them costs what a step of real ones does.

    Nothing is drawn: the search for a good mixing is not what is probed.
    """

    def filled(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys = jax.random.split(jax.random.key(0), leaf.shape)
            return jax.device_put(keys, leaf.sharding)
        fill = 0.1 if jnp.issubdtype(leaf.dtype, jnp.floating) else 0
        return jax.device_put(jnp.full(leaf.shape, fill, leaf.dtype), leaf.sharding)

    return jax.tree.map(filled, shapes)


def count_flops(jaxpr: Any) -> float:
    """Floating-point operations of a traced function, from the shapes of its equations.

    2 m n k for a matrix product; one for each entry of any other floating result, or
    of what is reduced; nothing for what moves or makes numbers. A scan counts its body
    as often as it runs it, of a branch the longest counts. Too little is counted of a
    `while` loop (once: a rejection sampler's rounds are not known), of a kernel (one
    program of its grid), of a sharded function (one device) and of factorisations.

    Args:
        jaxpr: `jax.make_jaxpr(function)(*args).jaxpr`.

    Returns:
        The count.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((3, 4))
        >>> count_flops(jax.make_jaxpr(lambda x: jnp.exp(x) @ x.T)(x).jaxpr)
        84.0
    """
    return sum(map(_equation_flops, jaxpr.eqns), 0.0)


def _equation_flops(eqn: Any) -> float:
    name = eqn.primitive.name
    inner = [count_flops(part) for part in _inner_jaxprs(eqn.params)]
    if name == "cond":
        return max(inner)
    if inner:
        return eqn.params.get("length", 1) * sum(inner)
    if not eqn.outvars:
        return 0.0
    out = eqn.outvars[0].aval
    if not jnp.issubdtype(out.dtype, jnp.inexact) or name in _MOVES:
        return 0.0
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        shape = eqn.invars[0].aval.shape
        return 2.0 * out.size * math.prod(shape[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel, layout = eqn.invars[1].aval, eqn.params["dimension_numbers"]
        features = kernel.shape[layout.rhs_spec[0]]
        return 2.0 * out.size * kernel.size / features
    read = eqn.invars[0].aval.size if name.startswith("reduce_") else 0
    return float(max(out.size, read))


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for part in value if isinstance(value, tuple) else (value,):
            part = getattr(part, "jaxpr", part)  # closed or open
            if hasattr(part, "eqns"):
                yield part


# Equations that give floating-point numbers without arithmetic.
_MOVES = {
    *("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "dynamic_slice"),
    *("dynamic_update_slice", "gather", "concatenate", "pad", "rev", "select_n"),
    *("copy", "convert_element_type", "iota", "split", "bitcast_convert_type"),
    *("stop_gradient", "pvary", "sharding_constraint"),
}


def program_bytes(compiled: loop.Chunk) -> int:
    """Arguments and temporaries of a compiled program, on one device.

    Args:
        compiled: the compiled chunk.

    Returns:
        Bytes.
    """
    memory = compiled.program.memory_analysis()
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes


def runs_that_fit(
    runs: int,
    programs: Sequence[Program],
    *,
    mesh: Mesh,
    memory_gib: float | None = None,
) -> int:
    """How many of a batch of runs are trained together: all, or even pieces of them.

    Args:
        runs: how many there are, a multiple of the mesh's seed axis.
        programs: what each of them runs, one after another.
        mesh: the mesh.
        memory_gib: what the runs may take on a device; the device's memory (half of a
            CPU's) when None, and then asked from `PROBED_RUNS` runs on.

    Returns:
        A multiple of the mesh's seed axis, at least one of it.

    Raises:
        ValueError: on a memory that is not > 0.
    """
    if memory_gib is not None:
        check_above("memory_gib", memory_gib, 0)
    enough = memory_gib == float("inf") or (memory_gib is None and runs < PROBED_RUNS)
    if enough or not programs:
        return runs
    each = mesh.shape["seed"]
    state = loop.like_start(programs[0], each, mesh=mesh)
    need = max(
        program_bytes(loop.compile_chunk(program, state, steps=1, mesh=mesh)[0])
        for program in programs
    )
    limit = _device_bytes(mesh) if memory_gib is None else memory_gib * 2**30
    # What all runs read is there once.
    shared = sum(leaf.nbytes for leaf in jax.tree.leaves(programs[0].shared))
    limit, need = limit - shared, max(need - shared, 1)
    groups = -(-runs // each)
    pieces = -(-groups // max(1, int(max(limit, 0) / need)))
    return each * -(-groups // pieces)


def _device_bytes(mesh: Mesh) -> float:
    stats = mesh.devices.flat[0].memory_stats() or {}
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return stats.get("bytes_limit", physical / 2)
