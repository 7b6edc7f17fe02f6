"""The contract of a system: what a paper's folder offers to the shared code."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jidcl.checks import check_choice
from jidcl.claims import FLOORS, Claims
from jidcl.systems.shared.settings import Settings
from jidcl.types import Program


class Erratum(NamedTuple):
    """A reference value known to be inexact, with the correct one and the reason.

    Attributes:
        kind: of the cases.
        output: name of the output.
        printed: the value in the file.
        correct: the correct value.
        reason: why the printed one is inexact.
    """

    kind: str
    output: str
    printed: float
    correct: float
    reason: str


def on_host(run: Any) -> Any:
    """Marks a conformance function that takes concrete arrays or returns text.

    Args:
        run: `(params, inputs) -> outputs`.

    Returns:
        The same function, marked.
    """
    run.on_host = True
    return run


def _no_floor(config: Any) -> str:
    return "none"


def _no_data(config: Any) -> dict[str, Any]:
    return {}


def _no_claims() -> None:
    return None


@dataclasses.dataclass(frozen=True)
class System:
    """A data-generating process and its objectives, with presets and claims.

    Attributes:
        name: of the folder and on the command line.
        title: what it is, a few words.
        paper: authors and year, or what it belongs to.
        presets: `() -> {name: settings}`. A name starts with its budget: `quick/...`,
            `full/...`, `published/...`.
        make_program: `settings -> Program`; one without a step trains nothing (identity
            scores, a theorem by simulation).
        frozen_fields: settings that a program's `freeze` depends on, and no others:
            runs that share them share cached draws.
        traced_fields: settings that may differ along a batch of runs: numbers that
            enter no shape and no choice.
        floor_kind: `settings -> "limit"`: no encoder has less loss than the true
            latents, in the limit of theory; `"reference"`: one may have less; or
            `"none"`: there is nothing to compare with.
        data_identity: `settings -> dict`: what identifies data beside the settings (a
            digest of files); a run on other data is another run.
        claims: `() -> Claims`: published numbers and expectations; None: it has none,
            or, of a system of the package, they are the file of its name.
        vectors: stem of the file of reference vectors that it replays.
        conformance: functions that replay them, by kind.
        errata: values of that file that are known to be wrong.
        legend: meanings of its own scores, by name.
        source_digest: of the module that holds it, where it is none of the package's:
            what another source drew or trained is not taken for its own.

    Raises:
        TypeError: on a part of another type, by name.
    """

    name: str
    title: str
    paper: str
    presets: Callable[[], Mapping[str, Any]]
    make_program: Callable[[Any], Program]
    frozen_fields: tuple[str, ...]
    traced_fields: tuple[str, ...] = ()
    floor_kind: Callable[[Any], str] = _no_floor
    data_identity: Callable[[Any], Mapping[str, Any]] = _no_data
    claims: Callable[[], Claims | None] = _no_claims
    vectors: str = ""
    conformance: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    errata: Sequence[Erratum] = ()
    legend: Mapping[str, str] = dataclasses.field(default_factory=dict)
    source_digest: str = ""

    def __post_init__(self):
        for name in ("name", "title", "paper", "vectors"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} of a System must be a string")
        functions = ("presets", "make_program", "floor_kind", "data_identity", "claims")
        for name in functions:
            if not callable(getattr(self, name)):
                raise TypeError(f"{name} of a System must be a function")
        for name in ("frozen_fields", "traced_fields"):
            held = getattr(self, name)
            if not isinstance(held, tuple) or not all(isinstance(f, str) for f in held):
                raise TypeError(f"{name} of a System must be a tuple of names")

    def program(self, config: Settings) -> Program:
        """What `make_program` returns.

        Raises:
            ValueError: when it is no `Program`.
        """
        try:
            program = self.make_program(config)
        except Exception as error:
            if not self.source_digest or isinstance(error, ValueError):
                raise
            raise ValueError(
                f"make_program of {self.name} failed: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(program, Program):
            raise ValueError(
                f"make_program of {self.name} must return a Program (jidcl.gradient "
                f"makes one of a Problem), got a {type(program).__name__}"
            )
        return program

    def frozen_identity(self, config: Settings) -> dict[str, Any]:
        """What the frozen draws of a configuration depend on, for caches."""
        held = {field.name for field in dataclasses.fields(config)}
        own = {
            name: getattr(config, name) for name in self.frozen_fields if name in held
        }
        known = {"system": self.name, "source": self.source_digest, **own}
        return {**known, **self.data_identity(config)}

    def floor(self, config: Settings) -> str:
        """What `floor_kind` returns.

        Raises:
            ValueError: when it is none of `FLOORS`.
        """
        kind = self.floor_kind(config)
        check_choice(f"floor_kind of {self.name}", kind, FLOORS)
        return kind
