"""Replays reference vectors through the public functions, on the device at hand.

A file is `{"schema_version": 2, "system", "dtype", "notes", "cases": [...]}`; a case
has `id`, `kind`, `params`, `inputs`, `outputs`, `rtol`, `atol` and optionally
`grad_rtol`, `grad_atol`. Comparison: |a - b| <= atol + rtol |b|.
"""

import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.numerics import products_in
from jidcl.systems.registry import load_conformance

SCHEMA_VERSION = 2
FLOAT32_TOLERANCE = 2e-4
# Adam divides by the gradient's own size, so a weight whose true gradient is zero
# moves by rounding noise: after three steps at 0.01 its last digits are arbitrary.
FLOAT32_AFTER_ADAM = 1e-2
_FIELDS = ("id", "kind", "params", "inputs", "outputs", "rtol", "atol")
_GRADIENTS = ("grad", "final_")


class KindReport(NamedTuple):
    """Outcome of one kind of cases.

    Attributes:
        system: the file's system.
        kind: the operation.
        cases: number of cases replayed.
        worst: largest error relative to max(1, |expected|).
        failed: ids of cases outside of their tolerance, with the output's name.
        errata: ids of cases whose printed value is known to be inexact and was
            replaced by the correct one, with the reason.
        covered: whether a public function replays this kind.
    """

    system: str
    kind: str
    cases: int
    worst: float
    failed: tuple[str, ...]
    errata: tuple[str, ...]
    covered: bool


def packaged_vectors() -> list[Path]:
    """Paths of the reference vectors in the package."""
    folder = Path(str(resources.files("jidcl") / "vectors"))
    return sorted(folder.glob("*.json"))


def read_vectors(path: Path) -> dict[str, Any]:
    """Read and check one file.

    Raises:
        ValueError: naming the file and the field that is missing or wrong.
    """
    try:
        data = json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} must hold an object, got {type(data).__name__}")
    for field in ("schema_version", "system", "cases"):
        if field not in data:
            raise ValueError(f"{path}: field {field!r} is missing")
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: schema_version must be {SCHEMA_VERSION}, got "
            f"{data['schema_version']!r}"
        )
    if not isinstance(data["cases"], list):
        raise ValueError(f"{path}: cases must be a list, got {data['cases']!r}")
    for index, case in enumerate(data["cases"]):
        name = case.get("id", f"number {index}") if isinstance(case, dict) else index
        try:
            _check_case(case)
        except ValueError as error:
            raise ValueError(f"{path}: case {name}: {error}") from error
    return data


def _check_case(case: Any) -> None:
    for field in _FIELDS:
        if not isinstance(case, dict) or field not in case:
            raise ValueError(f"field {field!r} is missing")
    for field in ("params", "inputs", "outputs"):
        if not isinstance(case[field], dict):
            raise ValueError(f"{field} must be an object, got {case[field]!r}")
    if not case["outputs"]:
        raise ValueError("outputs must name at least one value, got none")
    for field in ("rtol", "atol", "grad_rtol", "grad_atol"):
        value = case.get(field, 0.0)
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"{field} must be a finite number >= 0, got {value!r}")


def replay(path: Path, *, float64: bool) -> Iterator[KindReport]:
    """Replay one file, a report for each kind.

    Args:
        path: a file of the schema above.
        float64: 64-bit types on the CPU with the file's tolerances; otherwise 32-bit
            types on the default device, with `FLOAT32_TOLERANCE` where that is wider.

    Yields:
        `KindReport`, in the file's order of kinds.

    Raises:
        ValueError: when the file does not follow the schema.
    """
    data = read_vectors(path)
    functions, errata = load_conformance()
    kinds = list(dict.fromkeys(case["kind"] for case in data["cases"]))
    for kind in kinds:
        cases = [case for case in data["cases"] if case["kind"] == kind]
        run = functions.get((data["system"], kind))
        if run is None:
            yield KindReport(data["system"], kind, len(cases), 0.0, (), (), False)
            continue
        worst, failed, corrected = 0.0, [], []
        for case in cases:
            case, notes = _correct(case, errata.get(data["system"], []))
            error, misses = _replay_case(run, case, float64)
            worst = max(worst, error)
            failed += [f"{case['id']} {miss}" for miss in misses]
            corrected += [f"{case['id']} {note}" for note in notes]
        yield KindReport(
            data["system"],
            kind,
            len(cases),
            worst,
            tuple(failed),
            tuple(corrected),
            True,
        )


def _correct(case: Any, errata: list[Any]) -> tuple[Any, list[str]]:
    """The case with known wrong values replaced, and what was replaced.

    An erratum applies only to the exact number it was found for.
    """
    outputs, notes = dict(case["outputs"]), []
    for erratum in errata:
        name = erratum.output
        if erratum.kind == case["kind"] and outputs.get(name) == erratum.printed:
            outputs[name] = erratum.correct
            notes.append(
                f"{name}: {erratum.printed} -> {erratum.correct} ({erratum.reason})"
            )
    return {**case, "outputs": outputs}, notes


def _replay_case(run: Callable, case: Any, float64: bool) -> tuple[float, list[str]]:
    where = jax.default_device(jax.devices("cpu")[0])
    try:
        actual = _computed(run, case, float64, where)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # A case that follows the schema but not the needs of its kind.
        kind = type(error).__name__
        return math.inf, [f"(not computed: {kind}: {str(error).splitlines()[0]})"]
    worst, misses = 0.0, []
    for name, expected in case["outputs"].items():
        if expected is None:
            continue
        if name not in actual:
            misses.append(f"{name} (not computed)")
            continue
        error, excess = _compare(name, actual[name], expected, case, float64)
        worst = max(worst, error)
        if not excess <= 0:
            misses.append(f"{name} (error {error:.3g})")
    return worst, misses


def _computed(run: Callable, case: Any, float64: bool, where: Any) -> dict[str, Any]:
    where = where if float64 else contextlib.nullcontext()
    with jax.enable_x64(float64), where, products_in("float32"):
        dtype = jnp.float64 if float64 else jnp.float32
        params = dict(case["params"])
        # Tables of [argument, value] carry their arguments inside the expectation.
        tables = [v for k, v in case["outputs"].items() if k.endswith("_at")]
        params["_points"] = tables[0] if tables else []
        inputs = {k: _to_arrays(v, dtype) for k, v in case["inputs"].items()}
        # One compiled program a case: hundreds of single operations take longer.
        compiled = functools.partial(run, params)
        if not getattr(run, "on_host", False):
            compiled = jax.jit(compiled)
        return jax.tree.map(np.asarray, compiled(inputs))


def _compare(name, actual, expected, case, float64) -> tuple[float, float]:
    """(largest error over max(1, |expected|), largest excess over the tolerance)."""
    gradient = name.startswith(_GRADIENTS)
    rtol = case.get("grad_rtol", case["rtol"]) if gradient else case["rtol"]
    atol = case.get("grad_atol", case["atol"]) if gradient else case["atol"]
    if not float64:
        adam = name.startswith("final_")
        least = FLOAT32_AFTER_ADAM if adam else FLOAT32_TOLERANCE
        rtol, atol = max(rtol, least), max(atol, least)
    worst, excess = 0.0, 0.0
    got, wanted = _flatten(actual), _flatten(expected)
    if len(got) != len(wanted) or not all(np.isfinite(b).all() for b in wanted):
        return math.inf, math.inf
    for a, b in zip(got, wanted, strict=True):
        if a.shape != b.shape:
            return float("inf"), float("inf")
        difference = np.abs(a - b)
        relative = difference / np.maximum(1, np.abs(b))
        beyond = difference - (atol + rtol * np.abs(b))
        worst = max(worst, np.max(relative, initial=0.0))
        excess = max(excess, np.max(beyond, initial=-np.inf))
        if not np.isfinite(a).all():
            return float("inf"), float("inf")
    return float(worst), float(excess)


def _flatten(value: Any) -> list[np.ndarray]:
    """Arrays of a value; ragged nested lists become one array per leaf list.

    None, where there is no value, has none.
    """
    if value is None:
        return []
    if isinstance(value, dict):
        return [a for key in sorted(value) for a in _flatten(value[key])]
    try:
        return [np.asarray(value, np.float64)]
    except (ValueError, TypeError):
        return [a for part in value for a in _flatten(part)]


def _to_arrays(value: Any, dtype: Any) -> Any:
    """One array, or a list of arrays where the rows are ragged."""
    if value is None or isinstance(value, str | bool):
        return value
    try:
        return jnp.asarray(np.asarray(value, np.float64), dtype)
    except ValueError:
        return [_to_arrays(part, dtype) for part in value]
