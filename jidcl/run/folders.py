"""Folders of runs: names, identities, and the cache of frozen draws."""

import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jidcl.files import (
    from_json,
    read_arrays,
    read_json,
    to_json,
    write_json,
    write_whole,
)
from jidcl.numerics import numbers_in
from jidcl.report.records import run_name
from jidcl.systems.registry import load_system, system_name
from jidcl.train import hosts
from jidcl.train.loop import draw_frozen
from jidcl.train.programs import Ledger
from jidcl.train.sharding import environment
from jidcl.train.state import frozen_draws
from jidcl.types import Program


def run_folder(
    root: Path, system: Any, preset: str, config: Any, seeds: Sequence[int]
) -> Path:
    """Where a run of this configuration and these seeds lives.

    Args:
        root: folder of all runs.
        system: its name, or the system itself.
        preset: name of the preset.
        config: its settings.
        seeds: integers.

    Returns:
        A path below `root`; nothing is created.
    """
    return Path(root) / run_name(preset, identity_of(system, config, seeds))


def cached_frozen(
    program: Program,
    identity: dict[str, Any],
    seeds: Sequence[int],
    cache: Path,
    ledger: Ledger | None = None,
) -> Any:
    """Frozen draws of many seeds, from `cache` when the same ones were drawn before.

    Args:
        program: its `freeze` draws them.
        identity: the settings they depend on.
        seeds: integers.
        cache: folder of `.npz` files; a damaged one is drawn again.
        ledger: what drawing costs is noted there.

    Returns:
        The frozen draws with a leading seed axis.
    """
    draw = jax.vmap(lambda seed: frozen_draws(program, seed))
    numbers = np.asarray(seeds, np.int32)
    with numbers_in(program.precision):
        abstract = jax.eval_shape(draw, numbers)
    leaves, structure = jax.tree.flatten(abstract)
    key = json.dumps([identity, numbers.tolist(), jax.__version__], sort_keys=True)
    path = cache / f"frozen-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    arrays = read_arrays(path)
    held = [arrays[name] for name in sorted(arrays, key=lambda n: int(n[4:]))]
    if [(a.shape, a.dtype) for a in held] == [(a.shape, a.dtype) for a in leaves]:
        return jax.tree.unflatten(structure, held)
    frozen = jax.device_get(draw_frozen(program, numbers, ledger=ledger))
    write_whole(path, lambda part: np.savez(part, *jax.tree.leaves(frozen)))
    return frozen


def config_dict(config: Any) -> dict[str, Any]:
    """Every setting, as JSON holds it.

    Args:
        config: settings, a dataclass.

    Returns:
        `{setting: value}`; tuples have become lists.
    """
    return from_json(to_json(dataclasses.asdict(config)))


def identity_of(system: Any, config: Any, seeds: Sequence[int]) -> dict[str, Any]:
    """Everything that decides a run: system, settings, seeds and data.

    Args:
        system: its name, or the system itself.
        config: its settings.
        seeds: integers.

    Returns:
        A dict as JSON gives it back.

    Raises:
        ValueError: where the system's `data_identity` holds what JSON cannot.
    """
    held, name = load_system(system), system_name(system)
    identity: dict[str, Any] = {"system": name, "config": config_dict(config)}
    identity["seeds"] = list(seeds)
    # A run on files is another one when the files change, and one of a module outside
    # of the package when its source does.
    own = dict(held.data_identity(config))
    if held.source_digest:
        own["source"] = held.source_digest
    if own.keys() & identity.keys():
        raise ValueError(f"data_identity of {name} may not name {sorted(identity)}")
    identity.update(own)
    try:
        return from_json(to_json(identity))
    except TypeError as error:
        raise ValueError(
            f"data_identity of {name} must hold what JSON does: {error}"
        ) from error


def claim_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Create the folder, or check that it holds the same configuration.

    Args:
        folder: of the run.
        identity: what decides the run, see `identity_of`.

    Raises:
        ValueError: where the folder holds another configuration, or a `config.json`
            that is not JSON.
    """
    path = folder / "config.json"
    if path.exists():
        held = read_json(path)
        if held != identity:
            held = held if isinstance(held, dict) else {}
            keys = _differing(held, identity)
            raise ValueError(
                f"{folder} holds another configuration (it differs in {keys}): give "
                "another --root, or move the folder away"
            )
        return
    write_json(path, identity)


def check_there(folder: Path) -> None:
    """Raise where a run's folder was removed: a new one would hold half a run.

    Args:
        folder: of a run that owns it, see `jidcl.files.owned`.

    Raises:
        FileNotFoundError: naming the folder.
    """
    if hosts.writes() and not (folder / "lock").exists():
        raise FileNotFoundError(
            f"{folder} was removed while a run worked in it: the same command starts "
            "again"
        )


def _differing(held: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """Names of what differs; of the settings each by its own name."""
    names = {k for k in held.keys() | identity.keys() if held.get(k) != identity.get(k)}
    one, other = (v.get("config") for v in (held, identity))
    if "config" in names and isinstance(one, dict) and isinstance(other, dict):
        names.discard("config")
        names |= {k for k in one.keys() | other.keys() if one.get(k) != other.get(k)}
    return sorted(names)


def write_environment(path: Path, mesh: Mesh) -> None:
    """Versions, devices and the commit of the code, into `env.json`.

    Args:
        path: the file to write.
        mesh: the devices of the run.
    """
    write_json(path, {**environment(mesh), "commit": source_commit()})


def source_commit() -> str:
    """The commit of the checkout that the package runs from; empty outside of one.

    A `+` behind it says that files differ from the commit.

    Returns:
        The hash, in hexadecimal digits.
    """
    here = Path(__file__).parent

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(here), *args], capture_output=True, text=True, timeout=10
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if not git("ls-files", "--error-unmatch", Path(__file__).name):
            return ""  # installed below some other repository
        changed = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.TimeoutExpired):
        return ""
