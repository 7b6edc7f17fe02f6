"""The systems by name. Imports no JAX; modules load on first use."""

import importlib
from typing import Any

from jidcl.checks import check_choice
from jidcl.claims import Claims
from jidcl.claims import load_claims as packaged_claims

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


def load_system(name: str) -> Any:
    """A system by name: one of `SYSTEMS`, or `module:OBJECT` of your own.

    Args:
        name: the name.

    Returns:
        Its `jidcl.systems.contract.System`.

    Raises:
        ValueError: on an unknown name, a module that cannot be imported, or an object
            that is no `System`.
    """
    from jidcl.systems.contract import System

    if ":" not in name:
        check_choice("system (or MODULE:OBJECT of your own)", name, SYSTEMS)
        return importlib.import_module(f"jidcl.systems.{name}.problem").SYSTEM
    module, _, attribute = name.partition(":")
    try:
        held = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"system {name!r} cannot be loaded: {error} (is its folder on PYTHONPATH?)"
        ) from error
    except AttributeError as error:
        raise ValueError(f"system {name!r} cannot be loaded: {error}") from error
    if not isinstance(held, System):
        raise ValueError(
            f"{name} must be a jidcl.systems.contract.System, got a "
            f"{type(held).__name__}"
        )
    return held


def load_presets(name: str) -> dict[str, Any]:
    """Presets of a system by name; without importing JAX for those of `SYSTEMS`."""
    if ":" in name:
        return dict(load_system(name).presets())
    check_choice("system", name, SYSTEMS)
    return importlib.import_module(f"jidcl.systems.{name}.presets").presets()


def load_claims(name: str) -> Claims:
    """The claims of a system by name; without importing JAX for those of `SYSTEMS`.

    Raises:
        ValueError: on an unknown system, or one without claims.
    """
    if ":" not in name:
        return packaged_claims(name)
    held = load_system(name).claims()
    if not isinstance(held, Claims):
        raise ValueError(f"system {name!r} must have claims to be judged, got {held!r}")
    return held


def load_legend(name: str) -> dict[str, str]:
    """Meanings of the scores that are a system's own; without importing JAX."""
    if ":" in name:
        return dict(load_system(name).legend)
    presets = importlib.import_module(f"jidcl.systems.{name}.presets")
    return getattr(presets, "LEGEND", {})


def load_conformance() -> tuple[dict[tuple[str, str], Any], dict[str, list[Any]]]:
    """Functions that replay reference vectors by (file's system, kind), and errata."""
    kinds: dict[tuple[str, str], Any] = {}
    errata: dict[str, list[Any]] = {}
    for name in SYSTEMS:
        system = load_system(name)
        own = {(system.vectors, kind): run for kind, run in system.conformance.items()}
        kinds.update(own)
        errata.setdefault(system.vectors, []).extend(system.errata)
    return kinds, errata
