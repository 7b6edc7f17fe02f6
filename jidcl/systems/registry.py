"""The systems by name. Imports no JAX; modules load on first use."""

import importlib
from typing import Any, NamedTuple

from jidcl.checks import check_choice

SYSTEMS = {
    "contrastive_ica": "Zimmermann et al. 2021: contrastive ICA",
    "content_style": "von Kuegelgen et al. 2021: content isolated from style",
    "anisotropic": "Rusak et al. 2024: anisotropic InfoNCE",
    "diet": "Reizinger et al. 2024: instance and class labels",
    "lejepa": "Klindt et al. 2026: when does LeJEPA learn a world model",
    "rivals": "the objectives of self-supervised learning on the same pairs",
    "scenes": "Zimmermann et al. 2021: contrastive ICA from pictures (Table 4)",
    "causal3d": "von Kuegelgen et al. 2021: views of pictures with a causal graph",
    "dislib": "Reizinger et al. 2024: labels of pictures, other factors read (Table 4)",
}

# Files of reference vectors that bear another name than the system that replays them;
# several systems may serve kinds of one file.
VECTORS = {
    "anisotropic": "anisotropic_infonce",
    "diet": "cross_entropy",
    "lejepa": "content_style",
    "rivals": "content_style",
    "scenes": "contrastive_ica",
    "causal3d": "content_style",
    "dislib": "cross_entropy",
}


def load_system(name: str) -> Any:
    """The module of a system: `make_problem`, `make_run_optimiser`, `floor_kind`."""
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}.problem")


def load_presets(name: str) -> dict[str, Any]:
    """Presets of a system by name, without importing JAX."""
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}.presets").presets()


def load_checks(name: str) -> Any:
    """The checks of a system that need no training (identity scores, theorems)."""
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}.checks")


def on_host(run: Any) -> Any:
    """Marks a function of `CONFORMANCE` that takes concrete arrays or returns text."""
    run.on_host = True
    return run


class Erratum(NamedTuple):
    """A reference value known to be inexact, with the correct one and the reason."""

    kind: str
    output: str
    printed: float
    correct: float
    reason: str


def load_conformance() -> tuple[dict[tuple[str, str], Any], dict[str, list[Erratum]]]:
    """Functions that replay reference vectors by (file's system, kind), and errata."""
    kinds: dict[tuple[str, str], Any] = {}
    errata: dict[str, list[Erratum]] = {}
    for name in SYSTEMS:
        module = importlib.import_module(f"jidcl.systems.{name}.conformance")
        file = VECTORS.get(name, name)
        kinds |= {(file, kind): run for kind, run in module.CONFORMANCE.items()}
        errata.setdefault(file, []).extend(module.ERRATA)
    return kinds, errata
