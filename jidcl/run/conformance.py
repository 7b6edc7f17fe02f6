"""Replays reference vectors through the public functions, on the device at hand.

`jidcl.run.vectors` reads the files. A number on its own in the inputs of a case reaches
its function as the Python number that the file holds, so it may be a size, a count or a
flag. Text stays text. A list of numbers becomes an array, in which null is NaN.
Comparison: |a - b| <= atol + rtol |b| for numbers, equality for text, and no value
where the file says null. Lists and objects are compared part by part.
"""

import contextlib
import dataclasses
import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.data.files import MissingData
from jidcl.numerics import products_in
from jidcl.run.vectors import Case, read_vectors, to_array
from jidcl.systems.contract import Erratum
from jidcl.systems.registry import load_conformance

FLOAT32_TOLERANCE = 2e-4
# Adam divides by the gradient's own size, so a weight whose true gradient is zero
# moves by rounding noise: after three steps at 0.01 its last digits are arbitrary.
FLOAT32_AFTER_ADAM = 1e-2
_GRADIENTS = ("grad", "final_")


class KindReport(NamedTuple):
    """Outcome of one kind of cases.

    Attributes:
        system: the file's system.
        kind: the operation.
        cases: number of cases in the file.
        worst: largest error relative to max(1, |expected|).
        failed: ids of cases outside of their tolerance, with the output's name.
        errata: ids of cases whose printed value is known to be inexact and was
            replaced by the correct one, with the reason.
        covered: whether a public function replays this kind.
        skipped: ids of cases that need data which are not there, with the reason.
    """

    system: str
    kind: str
    cases: int
    worst: float = 0.0
    failed: tuple[str, ...] = ()
    errata: tuple[str, ...] = ()
    covered: bool = True
    skipped: tuple[str, ...] = ()


def packaged_vectors() -> list[Path]:
    """Paths of the reference vectors in the package.

    Returns:
        The paths, sorted.
    """
    folder = Path(str(resources.files("jidcl") / "vectors"))
    return sorted(folder.glob("*.json"))


def replay(path: Path, *, float64: bool) -> Iterator[KindReport]:
    """Replay one file, a report for each kind.

    Args:
        path: a file of the schema.
        float64: 64-bit types on the CPU with the file's tolerances; otherwise 32-bit
            types on the default device, with `FLOAT32_TOLERANCE` where that is wider.

    Yields:
        `KindReport`, in the file's order of kinds.

    Raises:
        ValueError: when the file does not follow the schema.
    """
    vectors = read_vectors(path)
    functions, errata = load_conformance()
    kinds: dict[str, list[Case]] = {}
    for case in vectors.cases:
        kinds.setdefault(case.kind, []).append(case)
    for kind, cases in kinds.items():
        report = KindReport(vectors.system, kind, len(cases))
        run = functions.get((vectors.system, kind))
        if run is None:
            yield report._replace(covered=False)
        else:
            yield _replay_kind(
                report, run, cases, errata.get(vectors.system, []), float64
            )


def _replay_kind(
    report: KindReport,
    run: Callable,
    cases: Sequence[Case],
    errata: Sequence[Erratum],
    float64: bool,
) -> KindReport:
    worst, failed, corrected, skipped = 0.0, [], [], []
    for case in cases:
        case, notes = _correct(case, errata)
        try:
            error, misses = _replay_case(run, case, float64)
        except MissingData as missing:
            skipped.append(f"{case.id}: {missing}")
            continue
        worst = max(worst, error)
        failed += [f"{case.id} {miss}" for miss in misses]
        corrected += [f"{case.id} {note}" for note in notes]
    return report._replace(
        worst=worst,
        failed=tuple(failed),
        errata=tuple(corrected),
        skipped=tuple(skipped),
    )


def _correct(case: Case, errata: Sequence[Erratum]) -> tuple[Case, list[str]]:
    """The case with known wrong values replaced, and what was replaced.

    An erratum applies only to the exact number it was found for.
    """
    outputs, notes = dict(case.outputs), []
    for erratum in errata:
        name = erratum.output
        if erratum.kind == case.kind and outputs.get(name) == erratum.printed:
            outputs[name] = erratum.correct
            notes.append(
                f"{name}: {erratum.printed} -> {erratum.correct} ({erratum.reason})"
            )
    return dataclasses.replace(case, outputs=outputs), notes


def _replay_case(run: Callable, case: Case, float64: bool) -> tuple[float, list[str]]:
    where = jax.default_device(jax.devices("cpu")[0])
    try:
        actual = _computed(run, case, float64, where)
    except MissingData:
        raise
    except Exception as error:
        # A case that follows the schema but not the needs of its kind may break its
        # function anywhere. The report says how.
        reason = (str(error).splitlines() or [""])[0]
        return math.inf, [f"(not computed: {type(error).__name__}: {reason})"]
    worst, misses = 0.0, []
    for name, expected in case.outputs.items():
        if name not in actual and expected is not None:
            misses.append(f"{name} (not computed)")
            continue
        tolerance = _tolerance(name, case, float64)
        match = _compare(actual.get(name), expected, tolerance, name)
        worst = max(worst, match.error)
        if not match.excess <= 0:
            misses.append(match.miss)
    return worst, misses


def _computed(run: Callable, case: Case, float64: bool, where: Any) -> dict[str, Any]:
    where = where if float64 else contextlib.nullcontext()
    with jax.enable_x64(float64), where, products_in("float32"):
        params = dict(case.params)
        # Tables of [argument, value] carry their arguments inside the expectation.
        tables = [v for k, v in case.outputs.items() if k.endswith("_at")]
        params["_points"] = tables[0] if tables else []
        inputs = _arguments(case.inputs, jnp.float64 if float64 else jnp.float32)
        if getattr(run, "on_host", False):
            return jax.device_get(run(params, inputs))
        leaves, tree = jax.tree.flatten(inputs)
        traced = [isinstance(leaf, jax.Array) for leaf in leaves]

        # One compiled program a case: hundreds of single operations take longer.
        @jax.jit
        def program(arrays):
            left = iter(arrays)
            filled = [
                next(left) if is_array else leaf
                for leaf, is_array in zip(leaves, traced, strict=True)
            ]
            return run(params, jax.tree.unflatten(tree, filled))

        arrays = [a for a, is_array in zip(leaves, traced, strict=True) if is_array]
        return jax.device_get(program(arrays))


def _arguments(value: Any, dtype: Any) -> Any:
    """Lists of numbers become arrays, other lists and objects keep their form."""
    if isinstance(value, dict):
        return {name: _arguments(part, dtype) for name, part in value.items()}
    if not isinstance(value, list):
        return value
    array = to_array(value)
    if array is None:
        return [_arguments(part, dtype) for part in value]
    return jnp.asarray(array, dtype)


# Comparison -------------------------------------------------------------------------


class _Match(NamedTuple):
    """How far a value lies from the expected one.

    Attributes:
        error: largest error over max(1, |expected|).
        excess: largest excess over the tolerance; a miss above 0.
        miss: where the largest excess lies, and what is wrong there.
    """

    error: float
    excess: float
    miss: str


def _tolerance(name: str, case: Case, float64: bool) -> tuple[float, float]:
    """The relative and the absolute tolerance of one output."""
    gradient = name.startswith(_GRADIENTS)
    rtol = case.grad_rtol if gradient else case.rtol
    atol = case.grad_atol if gradient else case.atol
    if float64:
        return rtol, atol
    adam = name.startswith("final_")
    least = FLOAT32_AFTER_ADAM if adam else FLOAT32_TOLERANCE
    return max(rtol, least), max(atol, least)


def _compare(got: Any, wanted: Any, tolerance: tuple[float, float], at: str) -> _Match:
    """Compare a computed value with one of a file; `at` says where both stand."""
    if isinstance(wanted, list):
        array = to_array(wanted)
    elif isinstance(wanted, str | dict):
        array = None
    else:
        array = np.asarray(wanted, np.float64)  # null is NaN
    if array is not None:
        return _compare_numbers(got, array, tolerance, at)
    if isinstance(wanted, str):
        same = isinstance(got, str) and got == wanted
        return _Match(0.0, 0.0, "") if same else _missed(at, "another text")
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            return _missed(at, f"names must be {reprlib.repr(list(wanted))}")
        parts = [(got[key], part, f"{at}.{key}") for key, part in wanted.items()]
    else:
        if not _is_sequence(got) or len(got) != len(wanted):
            return _missed(at, f"must be a list of {len(wanted)}")
        places = [f"{at}[{i}]" for i in range(len(wanted))]
        parts = list(zip(got, wanted, places, strict=True))
    matches = [_compare(a, b, tolerance, place) for a, b, place in parts]
    if not matches:
        return _Match(0.0, 0.0, "")
    return max(matches, key=lambda match: match.excess)._replace(
        error=max(match.error for match in matches)
    )


def _compare_numbers(
    got: Any, wanted: np.ndarray, tolerance: tuple[float, float], at: str
) -> _Match:
    actual = _numbers(got)
    if actual is None:
        return _missed(at, "must hold numbers")
    if actual.shape != wanted.shape:
        return _missed(at, f"shape {actual.shape}, expected {wanted.shape}")
    none = np.isnan(wanted)
    if not np.isnan(actual[none]).all():
        return _missed(at, "a value where there is none")
    a, b = actual[~none], wanted[~none]
    if not np.isfinite(a).all():
        return _missed(at, "not finite")
    rtol, atol = tolerance
    difference = np.abs(a - b)
    error = float(np.max(difference / np.maximum(1, np.abs(b)), initial=0.0))
    excess = np.max(difference - (atol + rtol * np.abs(b)), initial=-math.inf)
    if np.isnan(excess):  # the error and its tolerance overflow
        return _missed(at, "error inf")
    return _Match(error, float(excess), f"{at} (error {error:.3g})")


def _numbers(value: Any) -> np.ndarray | None:
    """The float64 array of computed numbers, None as NaN; None where there are none."""
    if value is not None and not _is_sequence(value):
        kinds = int | float | np.number | np.bool_ | np.ndarray
        if not isinstance(value, kinds):
            return None
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        return None
    numbers = array.dtype.kind in "biuf" or (
        array.dtype.kind == "O"
        and all(x is None or isinstance(x, int | float | np.number) for x in array.flat)
    )
    return array.astype(np.float64) if numbers else None


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or (
        isinstance(value, np.ndarray) and value.ndim > 0
    )


def _missed(at: str, what: str) -> _Match:
    return _Match(math.inf, math.inf, f"{at} ({what})")
