"""What the JSON of a record must hold, and how older ones are read.

Imports no JAX.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jidcl.claims import FLOORS

SCHEMA_VERSION = 2


def checked(data: Any, fields: Sequence[str], *, where: str) -> dict[str, Any]:
    """The fields of a record from JSON data of this or of an older schema.

    Args:
        data: as JSON gave it.
        fields: the names of a record's fields.
        where: the file, for messages.

    Returns:
        The fields, in the present schema.

    Raises:
        ValueError: naming the file and the field that is missing, unknown, of another
            schema version or of another form.
    """
    if not isinstance(data, dict):
        raise ValueError(f"{where} must hold an object, got {_short(data)}")
    held: dict[str, Any] = dict(data)
    known = set(fields)
    for name in ("errors", "perturbed", "dead"):
        held.setdefault(name, {})
    held.setdefault("programs", [])
    if held.get("schema_version") == 1:
        known = known - {"scores", "losses", "nulls"} | {"metrics"}
    if known - held.keys():
        raise ValueError(f"{where}: fields {sorted(known - held.keys())} are missing")
    if held["schema_version"] not in (1, SCHEMA_VERSION):
        raise ValueError(
            f"{where}: schema_version must be 1 or {SCHEMA_VERSION}, got "
            f"{_short(held['schema_version'])}"
        )
    if held.keys() - known:
        raise ValueError(f"{where}: unknown fields {sorted(held.keys() - known)}")
    if held["schema_version"] == 1:
        if not isinstance(held["metrics"], dict):
            raise _wrong(where, "metrics", "an object", held["metrics"])
        scores, losses, nulls = sort_names(held.pop("metrics"))
        held |= {"scores": scores, "losses": losses, "nulls": nulls}
    held["schema_version"] = SCHEMA_VERSION
    for name in held.keys() - {"config"}:
        _check_printable(held[name], name, where)
    _check_forms(held, where)
    return _with_reference(held)


def _check_printable(value: Any, name: str, where: str) -> None:
    """ValueError on text that would write to a terminal what is no text."""
    if isinstance(value, str) and not value.isprintable():
        raise _wrong(where, name, "printable text", value)
    if isinstance(value, dict):
        for key, part in value.items():
            _check_printable(key, name, where)
            _check_printable(part, name, where)
    elif isinstance(value, list):
        for part in value:
            _check_printable(part, name, where)


def _check_forms(held: Mapping[str, Any], where: str) -> None:
    """ValueError unless each field has the form of `Record`."""
    seeds = held["seeds"]
    if not (isinstance(seeds, list) and seeds and all(map(_whole, seeds))):
        raise _wrong(where, "seeds", "a list of integers, at least one", seeds)

    def per_seed(value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(held, list) and len(held) == len(seeds)
            for held in value.values()
        )

    def grouped(value: Any) -> bool:
        return isinstance(value, dict) and all(map(per_seed, value.values()))

    def rows(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(v, dict) for v in value)

    def curve(value: Any) -> bool:
        return rows(value) and all(_whole(row.get("step")) for row in value)

    def numbers(value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(v, int | float) for v in value.values()
        )

    def texts(value: Any) -> bool:
        return isinstance(value, dict) and all(map(_text, value.values()))

    each = f"lists of {len(seeds)} values, one a seed, by name"
    forms: dict[str, tuple[str, Callable[[Any], bool]]] = {
        **{name: ("text", _text) for name in ("system", "preset", "device", "status")},
        "config": ("an object", lambda value: isinstance(value, dict)),
        **{name: (each, per_seed) for name in ("scores", "losses", "untrained")},
        "errors": (each, per_seed),
        **{name: (f"{each} and group", grouped) for name in ("nulls", "perturbed")},
        "curve": ("a list of objects with a step", curve),
        "seconds": ("numbers by name", numbers),
        "dead": ("text by seed", texts),
        "programs": ("a list of objects", rows),
        "floor_kind": (f"one of {FLOORS}", lambda v: v in (*FLOORS, "oracle")),
    }
    for name, (form, test) in forms.items():
        if name in held and not test(held[name]):
            raise _wrong(where, name, form, held[name])


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(where: str, name: str, form: str, value: Any) -> ValueError:
    return ValueError(f"{where}: {name} must be {form}, got {_short(value)}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _with_reference(held: dict[str, Any]) -> dict[str, Any]:
    """A record whose losses have a `floor`, as they once had, in the present names.

    A floor was a closed form or the mean of the reference; the gap was never taken to
    the former.
    """
    losses = dict(held["losses"])
    if "train_floor" in losses:
        losses["train_reference"] = losses.pop("train_floor")
    if {"floor", "loss", "gap"} <= losses.keys():
        floor, reference = losses.pop("floor"), losses.pop("oracle_loss", None)
        if held["floor_kind"] == "limit":
            losses["limit"] = floor
        both = zip(losses["loss"], losses["gap"], strict=True)
        losses["reference"] = reference or [loss - gap for loss, gap in both]
    kind = held["floor_kind"].replace("oracle", "reference")
    return {**held, "floor_kind": kind, "losses": losses}


_LOSSES = ("loss", "floor", "chance", "gap", "gap_se", "oracle_loss", "linear_loss")
_LOSSES += ("own_loss", "train_floor", "oracle_scale")
_NULLS = ("shuffled", "identity", "rotation_low", "rotation_high")


def sort_names(metrics: Mapping[str, Any]) -> tuple[dict, dict, dict]:
    """(scores, losses, nulls) of the one dict of the first schema.

    There a null was named by an ending: `r2_shuffled` is the null `shuffled` of `r2`.

    Args:
        metrics: values for each seed by name.

    Returns:
        The three dicts of `Record`.
    """
    scores, losses, nulls = {}, {}, {}
    for name, values in metrics.items():
        null = next((n for n in _NULLS if name.endswith(f"_{n}")), None)
        if name in _LOSSES:
            losses[name] = values
        elif null is None:
            scores[name] = values
        else:
            nulls.setdefault(name.removesuffix(f"_{null}"), {})[null] = values
    return scores, losses, nulls
