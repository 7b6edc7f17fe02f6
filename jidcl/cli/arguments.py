"""What the verbs share: parsing with tyro, a quiet backend, no stray arguments."""

import os
from collections.abc import Sequence
from dataclasses import fields as fields_of
from typing import Any


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


def no_tyro() -> ImportError:
    """What to say when the command line's extra is missing."""
    return ImportError("the command line needs tyro and rich: pip install 'jidcl[cli]'")


def nothing_after(args: list[str]) -> None:
    """Refuse arguments of a verb that takes none."""
    if args:
        raise ValueError(f"no more arguments are known here, got {args}")


def quiet() -> None:
    """Silence start-up chatter of the backend; warnings of ours are unaffected."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
