"""Records: what a run leaves on disk, and how it is read back.

A run folder holds `config.json` (fully resolved), `env.json` (versions, devices),
`metrics.jsonl` (the curve), `result.json` (this record), `samples.npz` (what the
figures need) and `ckpt/`. Imports no JAX.
"""

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA_VERSION = 1


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
        metrics: per-seed values by name (scalars in [0, 1] for scores; lists for
            per-dimension scores).
        untrained: scores of the encoder before the first step.
        curve: rows of step, loss, r2, mcc (per-seed lists).
        seconds: train, compile, evaluate.
        device: platform and kind.
        status: "finished", or what stopped the run.
    """

    schema_version: int
    system: str
    preset: str
    config: dict[str, Any]
    seeds: list[int]
    floor_kind: str
    metrics: dict[str, list[Any]]
    untrained: dict[str, list[float]]
    curve: list[dict[str, Any]]
    seconds: dict[str, float]
    device: str
    status: str = "finished"

    def mean(self, metric: str) -> float:
        """Mean of a scalar metric over seeds."""
        return float(np.mean(self.values(metric)))

    def values(self, metric: str) -> np.ndarray:
        """A metric for each seed; ValueError when the record lacks it."""
        if metric not in self.metrics:
            raise ValueError(
                f"metric must be one of {sorted(self.metrics)}, got {metric!r}"
            )
        return np.asarray(self.metrics[metric], np.float64)


def run_name(preset: str, identity: dict[str, Any]) -> str:
    """Folder name: the preset and a hash of everything that decides the run."""
    text = json.dumps(identity, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return f"{preset.replace('/', '-').replace(':', '-')}-{digest}"


def write_json(path: Path, value: Any) -> None:
    """Write a file in one step: a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1, allow_nan=True) + "\n")
    part.replace(path)


def write_record(folder: Path, record: Record) -> None:
    """Write `result.json`."""
    write_json(folder / "result.json", dataclasses.asdict(record))


def merge_records(parts: Sequence[Record]) -> Record:
    """One record of runs that differ in their seeds only; their seconds add up."""

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
        metrics=join([part.metrics for part in parts]),
        untrained=join([part.untrained for part in parts]),
        curve=curve,
        seconds={
            name: round(sum(part.seconds[name] for part in parts), 2)
            for name in parts[0].seconds
        },
    )


def read_record(folder: Path) -> Record:
    """Read `result.json`.

    Raises:
        ValueError: naming the file and the field that is missing, unknown or of
            another schema version.
    """
    path = Path(folder) / "result.json"
    try:
        data = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    fields = {field.name for field in dataclasses.fields(Record)}
    if not isinstance(data, dict) or fields - data.keys():
        missing = sorted(fields - set(data if isinstance(data, dict) else ()))
        raise ValueError(f"{path}: fields {missing} are missing")
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: schema_version must be {SCHEMA_VERSION}, got "
            f"{data['schema_version']!r}"
        )
    if data.keys() - fields:
        raise ValueError(f"{path}: unknown fields {sorted(data.keys() - fields)}")
    return Record(**data)


def find_records(root: Path) -> dict[Path, Record]:
    """Every finished run below `root`, by folder, in name order."""
    folders = sorted(path.parent for path in Path(root).glob("*/result.json"))
    return {folder: read_record(folder) for folder in folders}


def read_samples(folder: Path) -> dict[str, np.ndarray]:
    """`samples.npz` of a run (arrays only; pickled objects are refused).

    Raises:
        ValueError: naming the file, when it is missing or damaged.
    """
    path = Path(folder) / "samples.npz"
    arrays = read_arrays(path)
    if not arrays:
        raise ValueError(f"{path} is missing or damaged")
    return arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file; none when it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}
