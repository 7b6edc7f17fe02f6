"""The systems by name. Imports no JAX; modules load on first use."""

import dataclasses
import hashlib
import importlib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jidcl.checks import check_choice
from jidcl.claims import Claims, packaged
from jidcl.claims import load_claims as packaged_claims
from jidcl.systems.shared.settings import Settings

SYSTEMS = {
    "contrastive_ica": "Zimmermann et al. 2021: contrastive ICA",
    "content_style": "von Kuegelgen et al. 2021: content isolated from style",
    "anisotropic": "Rusak et al. 2024: anisotropic InfoNCE",
    "diet": "Reizinger et al. 2024: instance and class labels",
    "lejepa": "Klindt et al. 2026: when does LeJEPA learn a world model",
    "rivals": "the objectives of self-supervised learning on the same pairs",
    "scenes": "Zimmermann et al. 2021: contrastive ICA from pictures (Table 4)",
    "kitti_masks": "Zimmermann et al. 2021: silhouettes in video (Table 3)",
    "causal3d": "von Kuegelgen et al. 2021: views of pictures with a causal graph",
    "dislib": "Reizinger et al. 2024: labels of pictures, other factors read (Table 4)",
    "ima_vae": "Reizinger et al. 2022: why the gap of a variational bound helps",
    "causal_definetti": "Guo et al. 2023: structure from exchangeable environments",
    "metric_validity": "Joshi et al. 2026: when a score means what it says",
    "lti": "Rajendran et al. 2024: linear systems under interventions",
    "autoregressive": "Reizinger et al. 2024: equal likelihood, different behaviour",
}

HELD = "held:"  # starts what records call a system that no module offers


def system_name(system: Any) -> str:
    """What records and folders call a system.

    Args:
        system: its name, or the object of one that no module offers.

    Returns:
        The name; of an object `held:` and its own.

    Raises:
        ValueError: on an object without a `source_digest`: its runs could not be told
            apart.
    """
    if isinstance(system, str):
        return system
    if not system.source_digest:
        raise ValueError(f"source_digest of {system.name} must say what it computes")
    return f"{HELD}{system.name}"


def load_system(name: Any) -> Any:
    """A system by name: one of `SYSTEMS`, or `module:OBJECT` of your own.

    Args:
        name: the name, or the system itself.

    Returns:
        Its `jidcl.systems.contract.System`.

    Raises:
        ValueError: on an unknown name, a module that cannot be imported, or an object
            that is no `System`, or names fields that no preset has.
    """
    from jidcl.systems.contract import System

    if isinstance(name, System):
        return name
    if name.startswith(HELD):
        raise ValueError(f"system {name!r} was an object of the process that ran it")
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
    except Exception as error:  # whatever its module raises
        raise ValueError(f"system {name!r} cannot be loaded: {_told(error)}") from error
    if not isinstance(held, System):
        raise ValueError(
            f"{name} must be a jidcl.systems.contract.System, got a "
            f"{type(held).__name__}"
        )
    _check_fields(name, held)
    return dataclasses.replace(held, source_digest=_digest(module))


def _check_fields(name: str, system: Any) -> None:
    """Refuse a field that no preset has: a cache would miss the setting it means."""
    try:
        presets = [c for c in system.presets().values() if isinstance(c, Settings)]
    except Exception:  # `load_presets` says what is wrong with them
        return
    known = {field.name for config in presets for field in dataclasses.fields(config)}
    for part in ("frozen_fields", "traced_fields"):
        for field in getattr(system, part) if presets else ():
            check_choice(f"{part} of {name}", field, known)


def _digest(module: str) -> str:
    """Of the source of a module; not of what it imports."""
    path = getattr(importlib.import_module(module), "__file__", None)
    source = Path(path).read_bytes() if path else b""
    return hashlib.sha256(source).hexdigest()[:16]


def _called(name: str, part: str) -> Any:
    """What a function of a system without arguments returns."""
    function = getattr(load_system(name), part)
    try:
        return function()
    except Exception as error:
        raise ValueError(f"{part} of {name} cannot be read: {_told(error)}") from error


def _told(error: Exception) -> str:
    """An error of somebody's module in one line, with its place in that module."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, SyntaxError):  # says it itself
        return text
    ours = (str(Path(__file__).parents[1]), str(Path(importlib.__file__).parent), "<")
    frames = traceback.extract_tb(error.__traceback__)
    places = [f for f in frames if not f.filename.startswith(ours)]
    return (
        f"{text} ({places[-1].filename}, line {places[-1].lineno})" if places else text
    )


def load_presets(name: str) -> dict[str, Any]:
    """Presets of a system by name; without importing JAX for those of `SYSTEMS`.

    Args:
        name: as in `load_system`.

    Returns:
        `{preset: settings}`.

    Raises:
        ValueError: on an unknown system, or presets that are no `Settings` by name.
    """
    if ":" not in name:
        check_choice("system", name, SYSTEMS)
        return importlib.import_module(f"jidcl.systems.{name}.presets").presets()
    held = _called(name, "presets")
    if not isinstance(held, Mapping) or not held:
        raise ValueError(f"presets of {name} must be settings by name, got {held!r}")
    for preset, config in held.items():
        if not isinstance(config, Settings):
            raise ValueError(
                f"preset {preset!r} of {name} must be a "
                f"{Settings.__module__}.Settings, got a {type(config).__name__}"
            )
    return dict(held)


def find_claims(name: str) -> Claims | None:
    """The claims of a system by name, None where it has none.

    Imports no JAX for those of `SYSTEMS` that have a file of claims.

    Args:
        name: as in `load_system`.

    Returns:
        The claims, or None.

    Raises:
        ValueError: on an unknown system, or claims that are no `Claims`.
    """
    if name in packaged():
        return packaged_claims(name)
    if ":" not in name:
        check_choice("system", name, SYSTEMS)
    held = _called(name, "claims")
    if not isinstance(held, Claims | None):
        raise ValueError(f"claims of {name} must be Claims or None, got {held!r}")
    return held


def load_claims(name: str) -> Claims:
    """The claims of a system that has some, as `find_claims`.

    Args:
        name: as in `load_system`.

    Returns:
        The claims.

    Raises:
        ValueError: on an unknown system, or one without claims.
    """
    held = find_claims(name)
    if held is None:
        raise ValueError(f"system {name!r} must have claims to be judged, got none")
    return held


def load_legend(name: str) -> dict[str, str]:
    """Meanings of the scores that are a system's own, by score.

    Imports no JAX for those of `SYSTEMS`.

    Args:
        name: as in `load_system`.

    Returns:
        `{score: meaning}`; empty for a system without scores of its own.

    Raises:
        ValueError: on an unknown system.
    """
    if name.startswith(HELD):
        return {}
    if ":" in name:
        return dict(load_system(name).legend)
    check_choice("system", name, SYSTEMS)
    presets = importlib.import_module(f"jidcl.systems.{name}.presets")
    return getattr(presets, "LEGEND", {})


def load_conformance() -> tuple[dict[tuple[str, str], Any], dict[str, list[Any]]]:
    """Functions that replay reference vectors by (file's system, kind), and errata.

    Returns:
        `{(file's system, kind): function}`, and errata by the file's system.
    """
    kinds: dict[tuple[str, str], Any] = {}
    errata: dict[str, list[Any]] = {}
    for name in SYSTEMS:
        system = load_system(name)
        own = {(system.vectors, kind): run for kind, run in system.conformance.items()}
        kinds.update(own)
        errata.setdefault(system.vectors, []).extend(system.errata)
    return kinds, errata
