"""What the verbs share: parsing with tyro, presets by name, devices."""

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from typing import Any


@dataclass(frozen=True)
class Devices:
    """Devices: seeds are spread over one axis, each batch over another."""

    seed: int = 1
    """devices over which seeds are spread"""
    data: int = 1
    """devices over which each batch is spread"""
    hosts: str = "one"
    """one; auto (TPU slice, SLURM); or ADDRESS:PORT,COUNT,INDEX of this process"""

    def mesh(self) -> Any:
        """Their mesh; joins the other hosts first."""
        from jidcl.train.hosts import join
        from jidcl.train.sharding import make_mesh

        join(self.hosts)
        return make_mesh(seed=self.seed, data=self.data)


def parse(cls: Any, args: list[str], verb: str) -> Any:
    """Arguments of a verb as an instance of its dataclass.

    Raises:
        ValueError: on an option given twice, of which the first would be lost.
    """
    named = [arg.partition("=")[0] for arg in args if arg.startswith("--")]
    names = [name.replace("_", "-") for name in named]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice: give all its values at once")
    try:
        import tyro
    except ImportError as error:
        raise no_tyro() from error
    return tyro.cli(cls, args=args, prog=f"jidcl {verb}", description=cls.__doc__)


def parse_grid(config: Any, items: Sequence[str]) -> dict[str, list[Any]]:
    """NAME=VALUE,VALUE,... with the types of the configuration's fields.

    Raises:
        ValueError: on an unknown name, a name given twice, or a value of another type.
    """
    from jidcl.checks import check_choice

    fields = {field.name: getattr(config, field.name) for field in fields_of(config)}
    grid: dict[str, list[Any]] = {}
    for item in items:
        name, equal, values = item.partition("=")
        check_choice("setting", name, fields)
        if not equal or not values or name in grid:
            raise ValueError(f"grid must be NAME=VALUE,... once a name, got {item!r}")
        grid[name] = [_as(type(fields[name]), name, text) for text in values.split(",")]
    return grid


def _as(kind: type, name: str, text: str) -> Any:
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    wrong = f"values of {name} must be of type {kind.__name__}, got {text!r}"
    if kind not in (int, float, str):
        raise ValueError(wrong)
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(wrong) from error


def find_preset(name: str) -> tuple[str, str, Any]:
    """A preset by its name on the command line.

    Args:
        name: `PRESET`, `SYSTEM:PRESET` where systems share a name, or
            `MODULE:OBJECT:PRESET` of a system outside the package.

    Returns:
        (system, label, settings); a label is what runs are called: the name as it was
        given, without `MODULE:OBJECT:`.

    Raises:
        ValueError: on an unknown preset or system.
    """
    from jidcl.checks import check_choice
    from jidcl.systems.registry import SYSTEMS, load_presets

    if name.count(":") > 1:
        module, held, label = name.split(":", 2)
        system = reachable(f"{module}:{held}")
        own = load_presets(system)
        check_choice(f"preset of {system}", label, own)
        return system, label, own[label]
    every = [(s, k, v) for s in SYSTEMS for k, v in load_presets(s).items()]
    names = [k for _, k, _ in every]
    found = {f"{s}:{k}": (s, v) for s, k, v in every}
    found |= {k: (s, v) for s, k, v in every if names.count(k) == 1}
    what = "preset (SYSTEM:PRESET where systems share a name, MODULE:OBJECT:PRESET of "
    check_choice(f"{what}your own)", name, found)
    system, config = found[name]
    return system, name, config


def reachable(system: str) -> str:
    """The name of a system; for one outside the package the folder can be imported.

    Modules of the working directory come first, as with `python -m`.
    """
    if ":" in system and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return system


def no_tyro() -> ImportError:
    """What to say when the command line's extra is missing."""
    return ImportError("the command line needs tyro and rich: pip install 'jidcl[cli]'")


def nothing_after(args: list[str]) -> None:
    """Refuse arguments of a verb that takes none."""
    if args:
        raise ValueError(f"no more arguments are known here, got {args}")


def quiet() -> None:
    """Before JAX is imported: silence its chatter, and keep what it compiles.

    Warnings of ours are unaffected.
    """
    from jidcl.cli.cache import remember

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if getattr(sys.unraisablehook, "func", None) is not _unraisable:
        sys.unraisablehook = functools.partial(_unraisable, sys.unraisablehook)
    remember()


def _unraisable(otherwise: Any, told: Any) -> None:
    """Writers of a checkpoint that failed call a loop that has ended: no news."""
    if str(told.exc_value) != "Event loop is closed":
        otherwise(told)
