"""Records: what a run leaves on disk, and how it is read back.

A run folder holds `config.json` (fully resolved), `env.json` (versions, devices),
`metrics.jsonl` (the curve), `result.json` (this record), `samples.npz` (what the
figures need) and `ckpt/`. A run that trains nothing leaves neither curve nor samples.
Every JSON file is one for any parser: NaN and infinities, which JSON does not have, are
the strings `"NaN"`, `"Infinity"` and `"-Infinity"`, see `to_json`. Imports no JAX.
"""

import dataclasses
import hashlib
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA_VERSION = 2

PerSeed = dict[str, list[Any]]


@dataclasses.dataclass(frozen=True)
class Record:
    """One finished run over one or more seeds.

    Attributes:
        schema_version: of this class.
        system: name of the system.
        preset: name of the preset, or "custom".
        config: every setting.
        seeds: integer seeds.
        floor_kind: limit, oracle or none.
        scores: values for each seed by name, in their own unit (scores of recovery in
            [0, 1]); a list for each seed where a score has one value a dimension.
        losses: loss, floor, chance, gap and its standard error gap_se, and what else
            the system compares, for each seed, nats. Empty where nothing is trained,
            or where losses compare with nothing.
        nulls: by score, then by null: values for each seed, in the score's unit.
        untrained: scores of the encoder before the first step.
        curve: rows of step, loss and scores (per-seed lists).
        seconds: train, compile, evaluate.
        device: platform and kind.
        status: "finished", or what stopped the run.
        programs: what each compiled program cost, see `jidcl.train.programs.Cost`;
            empty in records from before this field.
    """

    schema_version: int
    system: str
    preset: str
    config: dict[str, Any]
    seeds: list[int]
    floor_kind: str
    scores: PerSeed
    losses: PerSeed
    nulls: dict[str, PerSeed]
    untrained: PerSeed
    curve: list[dict[str, Any]]
    seconds: dict[str, float]
    device: str
    status: str = "finished"
    programs: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def trained(self) -> bool:
        """Whether the run trained something: it then has a curve or losses."""
        return bool(self.curve or self.losses)

    def has(self, name: str) -> bool:
        """Whether there is a score or a loss of that name."""
        return name in self.scores or name in self.losses

    def mean(self, name: str) -> float:
        """Mean of a scalar score or loss over seeds."""
        return float(np.mean(self.values(name)))

    def values(self, name: str) -> np.ndarray:
        """A score or a loss for each seed; ValueError when the record lacks it."""
        for group in (self.scores, self.losses):
            if name in group:
                return np.asarray(group[name], np.float64)
        known = sorted({*self.scores, *self.losses})
        raise ValueError(f"score must be one of {known}, got {name!r}")

    def null(self, score: str, name: str) -> np.ndarray | None:
        """A null's score for each seed, or None where the record has none.

        Args:
            score: name of the score.
            name: shuffled, identity, rotation_low, ..., or untrained.
        """
        if name == "untrained":
            held = self.untrained.get(score)
        else:
            held = self.nulls.get(score, {}).get(name)
        return None if held is None else np.asarray(held, np.float64)


def run_name(preset: str, identity: dict[str, Any]) -> str:
    """Folder name: the preset and a hash of everything that decides the run.

    Args:
        preset: name of the preset.
        identity: what decides the run, as JSON holds it.

    Returns:
        The preset, without slashes or colons, and ten hexadecimal digits.
    """
    text = json.dumps(identity, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{preset.replace('/', '-').replace(':', '-')}-{digest}"


NOT_JSON = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text that any parser reads, and `from_json` reads back equal.

    Args:
        value: what JSON can hold, and numbers that are NaN or infinite. They are
            written as the names of `NOT_JSON`, which no text may be.
        indent: spaces a level; None for one line.

    Returns:
        The text.

    Example:
        >>> to_json([0.5, float("nan"), None])
        '[0.5, "NaN", null]'
    """

    def plain(held: Any) -> Any:
        if isinstance(held, dict):
            return {key: plain(one) for key, one in held.items()}
        if isinstance(held, list | tuple):
            return [plain(one) for one in held]
        if isinstance(held, float) and not math.isfinite(held):
            return "NaN" if held != held else "Infinity" if held > 0 else "-Infinity"
        return held

    return json.dumps(plain(value), indent=indent, allow_nan=False)


def from_json(text: str) -> Any:
    """What `to_json` wrote; the bare tokens NaN and Infinity are read as well.

    Args:
        text: JSON.

    Returns:
        Its value. All that is NaN is one object, so that lists and dicts that hold it
        equal themselves.

    Raises:
        json.JSONDecodeError: a ValueError, on other text.

    Example:
        >>> from_json('[0.5, "-Infinity", Infinity]')
        [0.5, -inf, inf]
    """

    def numbers(held: Any) -> Any:
        if isinstance(held, dict):
            return {key: numbers(one) for key, one in held.items()}
        if isinstance(held, list):
            return [numbers(one) for one in held]
        return NOT_JSON.get(held, held) if isinstance(held, str) else held

    return numbers(json.loads(text, parse_constant=NOT_JSON.__getitem__))


def write_json(path: Path, value: Any) -> None:
    """Write a file in one step: a reader never sees half of it.

    Args:
        path: the file; its folder is created.
        value: as for `to_json`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(to_json(value, indent=1) + "\n")
    part.replace(path)


def write_record(folder: Path, record: Record) -> None:
    """Write `result.json`.

    Args:
        folder: of the run; created.
        record: of the run.
    """
    write_json(folder / "result.json", dataclasses.asdict(record))


def merge_records(parts: Sequence[Record]) -> Record:
    """One record of runs that differ in their seeds only; their seconds add up.

    Args:
        parts: records of one configuration, at least one.

    Returns:
        A record of all their seeds, in the order given. Its curve has the steps that
        all of them have.
    """

    def join(dicts):
        return {name: sum((d[name] for d in dicts), []) for name in dicts[0]}

    curves = [{row["step"]: row for row in part.curve} for part in parts]
    curve = [
        {"step": step}
        | join(
            [{k: v for k, v in rows[step].items() if k != "step"} for rows in curves]
        )
        for step in curves[0]
        if all(step in rows for rows in curves)
    ]
    return dataclasses.replace(
        parts[0],
        seeds=sum((part.seeds for part in parts), []),
        scores=join([part.scores for part in parts]),
        losses=join([part.losses for part in parts]),
        nulls={
            score: join([part.nulls[score] for part in parts])
            for score in parts[0].nulls
        },
        untrained=join([part.untrained for part in parts]),
        curve=curve,
        seconds={
            name: round(sum(part.seconds[name] for part in parts), 2)
            for name in parts[0].seconds
        },
        programs=sum((part.programs for part in parts), []),
    )


def read_record(folder: Path) -> Record:
    """Read `result.json`, of this or of the first schema.

    Args:
        folder: of a finished run.

    Returns:
        The record, in the present schema.

    Raises:
        ValueError: naming the file and the field that is missing, unknown or of
            another schema version.
    """
    path = Path(folder) / "result.json"
    try:
        data = from_json(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    return record_from(data, where=str(path))


def record_from(data: Any, *, where: str) -> Record:
    """The record that JSON data hold, of this or of the first schema.

    Args:
        data: what `dataclasses.asdict` made of a record.
        where: the file, for messages.

    Returns:
        The record, in the present schema.

    Raises:
        ValueError: naming the file and the field that is missing, unknown or of
            another schema version.
    """
    held: dict[str, Any] = dict(data) if isinstance(data, dict) else {}
    fields = {field.name for field in dataclasses.fields(Record)}
    held.setdefault("programs", [])
    if held.get("schema_version") == 1:
        fields = fields - {"scores", "losses", "nulls"} | {"metrics"}
    if fields - held.keys():
        raise ValueError(f"{where}: fields {sorted(fields - held.keys())} are missing")
    if held["schema_version"] not in (1, SCHEMA_VERSION):
        raise ValueError(
            f"{where}: schema_version must be 1 or {SCHEMA_VERSION}, got "
            f"{held['schema_version']!r}"
        )
    if held.keys() - fields:
        raise ValueError(f"{where}: unknown fields {sorted(held.keys() - fields)}")
    if held["schema_version"] == 1:
        scores, losses, nulls = sort_names(held.pop("metrics"))
        held |= {"scores": scores, "losses": losses, "nulls": nulls}
    held["schema_version"] = SCHEMA_VERSION
    return Record(**held)


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


def find_records(root: Path) -> dict[Path, Record]:
    """Every finished run below `root`, by folder, in name order.

    Args:
        root: the folder whose subfolders are runs.

    Returns:
        `{folder: record}`; empty where there is no finished run.
    """
    folders = sorted(path.parent for path in Path(root).glob("*/result.json"))
    return {folder: read_record(folder) for folder in folders}


def read_samples(folder: Path) -> dict[str, np.ndarray]:
    """`samples.npz` of a run (arrays only; pickled objects are refused).

    Args:
        folder: of a finished run.

    Returns:
        `{name: array}`, every array with a leading seed axis.

    Raises:
        ValueError: naming the file, when it is missing or damaged.
    """
    path = Path(folder) / "samples.npz"
    arrays = read_arrays(path)
    if not arrays:
        raise ValueError(f"{path} is missing or damaged")
    return arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file; none when it is missing or damaged.

    Args:
        path: the file.

    Returns:
        `{name: array}`.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}
