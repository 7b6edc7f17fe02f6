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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jidcl.files import read_arrays, read_json, write_json
from jidcl.report.schema import SCHEMA_VERSION as SCHEMA_VERSION
from jidcl.report.schema import checked

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
        floor_kind: what `reference` among the losses is: "limit" where the true latents
            have the least loss (a bound), "reference" where an encoder may undercut
            them, "none" where there is none.
        scores: values for each seed by name, in their own unit (scores of recovery in
            [0, 1]); a list for each seed where a score has one value a dimension.
        losses: loss, reference (of the true latents on the same draws), gap = loss -
            reference, its standard error gap_se, chance, limit (a closed form), and
            what else the system compares, for each seed, nats. Empty where nothing is
            trained, or where losses compare with nothing.
        nulls: by score, then by null: values for each seed, in the score's unit.
        untrained: scores of the encoder before the first step.
        curve: rows of step, loss and scores (per-seed lists).
        seconds: train, compile, evaluate.
        device: platform and kind.
        status: "finished", or what stopped the run.
        programs: what each compiled program cost, see `jidcl.train.programs.Cost`;
            empty in records from before this field, as are the next two.
        errors: standard errors of scores over evaluation batches, for each seed.
        perturbed: of the true latents made worse and worse, by kind of perturbation:
            strength, gap and scores, a list for each seed; see
            `jidcl.report.words.admitted`.
        dead: by seed, why it is not among `seeds`: its loss was not finite.
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
    errors: PerSeed = dataclasses.field(default_factory=dict)
    perturbed: dict[str, PerSeed] = dataclasses.field(default_factory=dict)
    dead: dict[str, str] = dataclasses.field(default_factory=dict)

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
        errors=join([part.errors for part in parts]),
        perturbed={
            kind: join([part.perturbed[kind] for part in parts])
            for kind in parts[0].perturbed
        },
        curve=curve,
        dead={seed: text for part in parts for seed, text in part.dead.items()},
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
    return record_from(read_json(path), where=str(path))


def record_from(data: Any, *, where: str) -> Record:
    """The record that JSON data hold, of this or of the first schema.

    Args:
        data: what `dataclasses.asdict` made of a record.
        where: the file, for messages.

    Returns:
        The record, in the present schema.

    Raises:
        ValueError: naming the file and the field that is missing, unknown, of another
            schema version or of another form.
    """
    fields = [field.name for field in dataclasses.fields(Record)]
    return Record(**checked(data, fields, where=where))


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
