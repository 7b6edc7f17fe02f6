"""Programs made ahead of time: what each costs to trace, lower, compile and run."""

import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jidcl.checks import SMALL, free_memory

# What runs once, or a few times, gets machine code that is optimised less: it is there
# sooner. CPU only: an accelerator's kernels are made elsewhere. Pictures are rendered
# seven times slower without any optimisation, so evaluations have some.
ONCE = {"xla_backend_optimization_level": 0}
SELDOM = {"xla_backend_optimization_level": 1}


class Cost(NamedTuple):
    """Seconds of one program of a run, and its size.

    Attributes:
        name: what it does: freeze, start, chunk, probe, evaluate.
        trace: seconds of tracing Python.
        lower: of lowering to StableHLO.
        compile: of the compiler, or of reading its cache.
        run: of all calls.
        calls: how many.
        operations: of StableHLO, before the compiler.
    """

    name: str
    trace: float = 0.0
    lower: float = 0.0
    compile: float = 0.0
    run: float = 0.0
    calls: int = 0
    operations: int = 0


class Ledger:
    """Costs of a run's programs, written as they are made and called."""

    def __init__(self) -> None:
        self._costs: list[Cost] = []

    def made(self, cost: Cost) -> int:
        """Note a program; its number."""
        self._costs.append(cost)
        return len(self._costs) - 1

    def ran(self, number: int, seconds: float) -> None:
        """Note a call of a program."""
        cost = self._costs[number]
        self._costs[number] = cost._replace(
            run=cost.run + seconds, calls=cost.calls + 1
        )

    def calls(self, number: int) -> int:
        """How often a program was called."""
        return self._costs[number].calls

    def rows(self) -> list[dict[str, Any]]:
        """A row for each program, in the order in which they were made."""
        return [
            {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}
            for row in (cost._asdict() for cost in self._costs)
        ]


class Made(NamedTuple):
    """A compiled program and what it cost; called as the function it was made from.

    Attributes:
        program: the compiled program.
        cost: see `Cost`.
        ledger: where its calls are noted.
        number: its number there.
        needs: bytes that a call takes beside its arguments.
    """

    program: Any
    cost: Cost
    ledger: Ledger
    number: int
    needs: int = 0

    def __call__(self, *args: Any) -> Any:
        """What the program returns, when it is there.

        Raises:
            MemoryError: before it runs, where it needs more than is free.
        """
        if self.needs > SMALL and not self.ledger.calls(self.number):
            held, unit = free_memory(), 2**30
            if self.needs > held:
                raise MemoryError(
                    f"program {self.cost.name!r} takes {self.needs / unit:,.1f} GiB, "
                    f"{held / unit:.1f} GiB are free: lower a size, a batch or --seeds"
                )
        began = time.perf_counter()
        result = jax.block_until_ready(self.program(*args))
        self.ledger.ran(self.number, time.perf_counter() - began)
        return result

    @property
    def seconds(self) -> float:
        """Of tracing, lowering and compiling."""
        return self.cost.trace + self.cost.lower + self.cost.compile


def make(
    name: str,
    function: Any,
    *args: Any,
    ledger: Ledger | None = None,
    options: Mapping[str, Any] | None = None,
) -> Made:
    """Trace, lower and compile a jitted function for these arguments.

    Args:
        name: for the ledger.
        function: of `jax.jit`.
        *args: arrays, or `jax.ShapeDtypeStruct`.
        ledger: where the cost goes; nowhere when None.
        options: of the compiler on a CPU: `ONCE`, `SELDOM`, or its own when None. One
            that it does not know is left out with a warning.

    Returns:
        The program.
    """
    ledger = Ledger() if ledger is None else ledger
    times = [time.perf_counter()]
    traced = function.trace(*args)
    times.append(time.perf_counter())
    lowered = traced.lower()
    times.append(time.perf_counter())
    here = jax.default_backend() == "cpu"
    program = _compiled(name, lowered, dict(options or {}) if here else {})
    times.append(time.perf_counter())
    trace, lower, compiling = np.diff(times).tolist()
    cost = Cost(name, trace, lower, compiling, operations=operations(lowered))
    return Made(program, cost, ledger, ledger.made(cost), _needs(program))


def _needs(program: Any) -> int:
    """Bytes of results and temporaries; 0 where the compiler does not say."""
    memory = program.memory_analysis()
    if memory is None:
        return 0
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return new + memory.temp_size_in_bytes


def _compiled(name: str, lowered: Any, options: dict[str, Any]) -> Any:
    if not options:
        return lowered.compile()
    try:
        return lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:  # a release without the option
        program = lowered.compile()
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"{name} is compiled without {sorted(options)}: {reason}", stacklevel=3
        )
        return program


def operations(lowered: Any) -> int:
    """Operations of a lowered program, those in loops counted once.

    Args:
        lowered: of `jax.jit(...).lower(...)`.

    Returns:
        The count, of StableHLO.
    """

    def inside(block: Any) -> int:
        return sum(
            1 + sum(inside(b) for region in op.regions for b in region) for op in block
        )

    return inside(lowered.compiler_ir().body)
