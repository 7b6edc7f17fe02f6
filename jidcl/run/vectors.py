"""Reads files of reference vectors: what is in them, and is it well formed?

A file is `{"schema_version": 2, "system", "dtype", "notes", "cases": [...]}`. A case
has `id`, `kind`, `params`, `inputs`, `outputs`, `rtol`, `atol`, optionally `grad_rtol`
and `grad_atol`, and free text. Files come from anywhere: whatever they hold, they are
read in bounded time and memory, or refused with the file, the case and the field.
"""

import dataclasses
import json
import math
import re
import reprlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.files import read_bytes

SCHEMA_VERSION = 2
MAX_BYTES = 4 << 20
MAX_DEPTH = 24  # nested lists and objects in one field of a case; NumPy ends at 32
MAX_CASES = 4096
MAX_INPUTS = 256
MAX_NAME = 200
MAX_COUNT = 2**15  # a whole number on its own: a size, a count or rounds of a loop
MAX_INTEGER = 2**53  # above it float64 no longer holds every integer
_HEAD = ("schema_version", "system", "cases")
_FIELDS = ("id", "kind", "params", "inputs", "outputs", "rtol", "atol")
_TOLERANCES = ("rtol", "atol", "grad_rtol", "grad_atol")
_SAME = "same inputs as "
_REFERENCE = re.compile(_SAME + r"(\S+)( plus .*)?")


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of a function and what it has to return.

    Attributes:
        id: its name, unique in the file.
        kind: which function it calls.
        params: settings by name.
        inputs: arguments by name, those of another case filled in: numbers, text, null,
            and nested lists and objects of them.
        outputs: expected values by name, of the same forms.
        rtol: tolerance relative to the expected value, in float64.
        atol: absolute tolerance, in float64.
        grad_rtol: `rtol` of gradients.
        grad_atol: `atol` of gradients.
    """

    id: str
    kind: str
    params: dict[str, Any]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    rtol: float
    atol: float
    grad_rtol: float
    grad_atol: float


@dataclasses.dataclass(frozen=True)
class Vectors:
    """The cases of one file.

    Attributes:
        system: the system that they belong to.
        cases: in the file's order.
    """

    system: str
    cases: tuple[Case, ...]


class _Repeated:
    """Stands in for the value of a key that an object holds more than once."""

    def __repr__(self) -> str:
        return "a key that appears twice"


def read_vectors(path: Path) -> Vectors:
    """Read and check one file.

    Args:
        path: a JSON file of at most `MAX_BYTES`.

    Returns:
        Its cases. Inputs that refer to an earlier case are filled in.

    Raises:
        ValueError: naming the file, the case and the field that is missing or wrong.
    """
    data = _parse(Path(path))
    try:
        _check_head(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    cases: dict[str, Case] = {}
    for index, case in enumerate(data["cases"]):
        try:
            read = _read_case(case, cases)
        except ValueError as error:
            label = case.get("id") if isinstance(case, dict) else None
            name = label if _is_name(label) else f"number {index}"
            raise ValueError(f"{path}: case {name}: {error}") from error
        cases[read.id] = read
    return Vectors(data["system"], tuple(cases.values()))


def to_array(value: list) -> np.ndarray | None:
    """The float64 array of a rectangular nested list of numbers, null as NaN.

    Args:
        value: nested lists of numbers, text, null and objects.

    Returns:
        The array, or None where the list is ragged or holds text or objects.
    """
    if not _only_numbers(value):
        return None
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError):  # ragged
        return None


def _only_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(_only_numbers(part) for part in value)
    return value is None or isinstance(value, bool | int | float)


def _parse(path: Path) -> Any:
    content = read_bytes(path, MAX_BYTES)
    try:
        data = json.loads(content.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold an object, got {type(data).__name__}")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        table[name] = _Repeated() if name in table else value
    return table


def _check_head(data: dict[str, Any]) -> None:
    for field in _HEAD:
        if field not in data:
            raise ValueError(f"field {field!r} is missing")
    for field in data:
        if field not in (*_HEAD, "dtype", "notes"):
            raise ValueError(f"field {_short(field)} is not of the schema")
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"schema_version must be {SCHEMA_VERSION}, got "
            f"{_short(data['schema_version'])}"
        )
    if data.get("dtype", "float64") != "float64":
        raise ValueError(f"dtype must be 'float64', got {_short(data['dtype'])}")
    _check_name("system", data["system"])
    cases = data["cases"]
    if not isinstance(cases, list) or not 1 <= len(cases) <= MAX_CASES:
        raise ValueError(
            f"cases must be a list of 1 to {MAX_CASES} cases, got {_short(cases)}"
        )


def _read_case(case: Any, earlier: dict[str, Case]) -> Case:
    if not isinstance(case, dict):
        raise ValueError(f"must be an object, got {_short(case)}")
    for field in _FIELDS:
        if field not in case:
            raise ValueError(f"field {field!r} is missing")
    for field in ("id", "kind"):
        _check_name(field, case[field])
    if case["id"] in earlier:
        raise ValueError("id must be unique in the file, an earlier case has it too")
    for field, value in case.items():
        if field not in (*_FIELDS, *_TOLERANCES) and not isinstance(value, str):
            raise ValueError(
                f"field {_short(field)} is not of the schema, which allows free text "
                f"beside its own fields, got {_short(value)}"
            )
    for field in _TOLERANCES:
        value = case.get(field, 0.0)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= sys.float_info.max:
            raise ValueError(
                f"{field} must be a finite number >= 0, got {_short(value)}"
            )
    for field in ("params", "inputs", "outputs"):
        text = field == "inputs" and isinstance(case[field], str)
        if not text and not isinstance(case[field], dict):
            raise ValueError(f"{field} must be an object, got {_short(case[field])}")
        _check_value(case[field], (field,))
        if field != "outputs" and not text:
            _check_counts(case[field], field)
    if not case["outputs"]:
        raise ValueError("outputs must name at least one value, got none")
    return Case(
        id=case["id"],
        kind=case["kind"],
        params=case["params"],
        inputs=_fill(case["inputs"], case["kind"], earlier),
        outputs=case["outputs"],
        rtol=case["rtol"],
        atol=case["atol"],
        grad_rtol=case.get("grad_rtol", case["rtol"]),
        grad_atol=case.get("grad_atol", case["atol"]),
    )


def _check_value(value: Any, place: tuple[Any, ...]) -> None:
    """Every number is finite and exact in float64, nothing is nested too deep."""
    if len(place) > MAX_DEPTH:
        raise ValueError(f"{place[0]} must be nested at most {MAX_DEPTH} deep")
    if isinstance(value, dict | list):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in named:
            if isinstance(name, str):
                _check_name(f"a name in {place[0]}", name)
            _check_value(part, (*place, name))
        return
    if value is None or isinstance(value, bool | str):
        return
    name = ".".join(map(str, place))
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(
            f"{name} must be an integer up to 2**53 in size (write digits as text), "
            f"got {_short(value)}"
        )
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {_short(value)}")


def _check_counts(held: dict[str, Any], field: str) -> None:
    """A whole number on its own reaches its function as a size or a count."""
    for name, value in held.items():
        if isinstance(value, int) and abs(value) > MAX_COUNT:
            raise ValueError(
                f"{field}.{name} must be at most {MAX_COUNT} in size, got {value}"
            )


def _fill(inputs: Any, kind: str, earlier: dict[str, Case]) -> dict[str, Any]:
    """The inputs with those of another case in the place of a text that names it.

    The text is `same inputs as ID` or `same inputs as ID plus ...`; it stands for all
    inputs, or is one of them. ID may leave out the kind before its slash.
    """
    if isinstance(inputs, str):
        if not inputs.startswith(_SAME):
            raise ValueError(
                f"inputs must be an object or '{_SAME}ID', got {_short(inputs)}"
            )
        inputs = {"inputs": inputs}
    filled: dict[str, Any] = {}
    for name, value in inputs.items():
        part = {name: value}
        if isinstance(value, str) and value.startswith(_SAME):
            part = _referred(value, kind, earlier)
        both = filled.keys() & part.keys()
        if both:
            raise ValueError(
                f"inputs must give {_short(min(both))} once, it is given here and in "
                "the case referred to"
            )
        filled |= part
    if len(filled) > MAX_INPUTS:
        raise ValueError(f"inputs must be at most {MAX_INPUTS}, got {len(filled)}")
    return filled


def _referred(text: str, kind: str, earlier: dict[str, Case]) -> dict[str, Any]:
    match = _REFERENCE.fullmatch(text)
    name = match[1] if match else ""
    found = earlier.get(name) or earlier.get(f"{kind}/{name}")
    if not found:
        raise ValueError(
            "inputs must refer to an earlier case of the file, got "
            f"{_short(name or text)}"
        )
    return found.inputs


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_NAME


def _check_name(field: str, value: Any) -> None:
    if not _is_name(value):
        raise ValueError(
            f"{field} must be 1 to {MAX_NAME} printable characters, got {_short(value)}"
        )


def _short(value: Any) -> str:
    return reprlib.repr(value)
