"""The systems by name. Imports no JAX; modules load on first use."""

import importlib
from typing import Any, NamedTuple

from jidcl.checks import check_choice

SYSTEMS = {"contrastive_ica": "Zimmermann et al. 2021: contrastive ICA"}


def load_system(name: str) -> Any:
    """The module of a system: `make_problem`, `make_run_optimiser`, `floor_kind`."""
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}")


def load_presets(name: str) -> dict[str, Any]:
    """Presets of a system by name, without importing JAX."""
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}_presets").presets()


class Erratum(NamedTuple):
    """A reference value known to be inexact, with the correct one and the reason."""

    kind: str
    output: str
    printed: float
    correct: float
    reason: str


def load_conformance() -> tuple[dict[tuple[str, str], Any], dict[str, list[Erratum]]]:
    """Functions that replay reference vectors by (system, kind), errata by system."""
    kinds, errata = {}, {}
    for name in SYSTEMS:
        module = importlib.import_module(f"jidcl.systems.{name}_conformance")
        kinds |= {(name, kind): run for kind, run in module.CONFORMANCE.items()}
        errata[name] = module.ERRATA
    return kinds, errata
