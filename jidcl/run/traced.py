"""Programs whose traced settings are data: runs that differ in them are one program."""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.numerics import numbers_in
from jidcl.systems.contract import System
from jidcl.train.state import with_shared
from jidcl.types import Program

Settings = dict[str, Any]


def traced_program(system: System, config: Any, phase: int | None = None) -> Program:
    """The program whose traced settings come with the frozen draws of a run.

    Args:
        system: the system.
        config: its settings; those in `frozen["settings"]` override them.
        phase: which of `config.phases()` it is for; none for evaluation.

    Returns:
        A `Program` with `frozen = {"base": ..., "settings": ...}`; `freeze` leaves the
        settings empty.
    """
    base = system.make_program(config)

    def settings_of(frozen: Any) -> tuple[Settings, Any]:
        own = with_shared(frozen["base"], frozen.get("shared"))
        return frozen["settings"], own

    return dataclasses.replace(
        _at_settings(system, config, phase, base, settings_of),
        freeze=lambda key: {"base": base.freeze(key), "settings": {}},
        sharded=None,
    )


def shared_program(system: System, config: Any, phase: int | None = None) -> Program:
    """The program whose traced settings are among its shared arrays.

    Runs that differ in nothing else have equal programs, so the compiler's cache has
    them after the first run. Where a choice hangs on the values (a closed form that
    holds for some of them), and for systems of another package, the settings stay
    constants.

    Args:
        system: the system.
        config: its settings.
        phase: as for `traced_program`.

    Returns:
        A `Program`; what it draws and saves is what the system's own one does.
    """
    point = config if phase is None else config.phases()[phase][0]
    base = system.program(point)
    settings = _values(config, system.traced_fields)
    if not settings or system.source_digest or _decides(system, config, settings):
        return base
    with numbers_in(base.precision):
        kind = jnp.result_type(float)
        shared = {"settings": {k: np.asarray(v, kind) for k, v in settings.items()}}
    shared |= {} if base.shared is None else {"arrays": base.shared}

    def settings_of(frozen: Any) -> tuple[Settings, Any]:
        held = frozen["shared"]
        own = {name: part for name, part in frozen.items() if name != "shared"}
        return held["settings"], with_shared(own, held.get("arrays"))

    # Also the program of a mesh has the settings beside its arrays.
    base = dataclasses.replace(base, shared=shared)
    return _at_settings(system, config, phase, base, settings_of)


def _values(config: Any, names: tuple[str, ...]) -> dict[str, float]:
    """Settings of these names that are numbers and act: 0 switches one off."""
    held = {name: getattr(config, name, None) for name in names}
    return {k: float(v) for k, v in held.items() if isinstance(v, numbers.Real) and v}


def _decides(system: System, config: Any, settings: dict[str, float]) -> bool:
    """Whether the kind of the floor depends on the values of these settings."""
    kinds = []

    def kind(values: Settings) -> None:
        kinds.append(system.floor_kind(dataclasses.replace(config, **values)))

    jax.eval_shape(kind, settings)
    return kinds != [system.floor_kind(config)]


def _at_settings(
    system: System,
    config: Any,
    phase: int | None,
    base: Program,
    settings_of: Callable[[Any], tuple[Settings, Any]],
    mesh: Any = None,
) -> Program:
    """`base`, its functions made anew from the settings that they are called with."""

    def at(frozen: Any) -> tuple[Program, Any]:
        settings, own = settings_of(frozen)
        point = dataclasses.replace(config, **settings)
        point = point if phase is None else point.phases()[phase][0]
        program = system.make_program(point)
        if mesh is not None and program.sharded is not None:
            program = program.sharded(mesh)
        return program, own

    def call(name: str, place: int) -> Any:
        """The function of a name, which has the frozen draws at a place; or None."""

        def function(*args: Any) -> Any:
            program, own = at(args[place])
            return getattr(program, name)(*args[:place], own, *args[place + 1 :])

        return None if getattr(base, name) is None else function

    def sharded(mesh: Any) -> Program:
        return _at_settings(system, config, phase, base, settings_of, mesh)

    return dataclasses.replace(
        base,
        start=call("start", 0),
        step=call("step", 1),
        probe=call("probe", 1),
        evaluate=call("evaluate", 1),
        batch=call("batch", 0),
        sharded=None if base.sharded is None else sharded,
    )
