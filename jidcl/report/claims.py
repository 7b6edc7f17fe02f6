"""Claims: published numbers and expectations, as data. Imports no JAX."""

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

from jidcl.checks import check_choice

SCHEMA_VERSION = 1
BOUNDS = ("least", "most")
DIRECTIONS = ("recovers", "fails", "reference", "analogue")


@dataclasses.dataclass(frozen=True)
class Claim:
    """One published number, in percent.

    Attributes:
        id: short name, t1r3 for Table 1 row 3.
        preset: the run that tests it, without its budget.
        column: unsupervised, supervised or identity.
        metric: name of the score.
        direction: recovers, fails (to recover), reference (identity scores), or
            analogue (of other data than the published: shown beside, not judged).
        source: table and row.
        text: what it says.
        mean: published mean.
        std: published standard deviation over seeds.
        seeds: published number of seeds.
        same_run: a recovery claim that the same run has to reach as well.
        bound: "least" when larger scores are better, "most" for errors.
        set_rows: of an analogue, training pictures of the published set: a run on a
            folder with as many is taken for one on that set, and judged.
        judged_as: the direction of an analogue where it is judged.
    """

    id: str
    preset: str
    column: str
    metric: str
    direction: str
    source: str
    text: str
    mean: float
    std: float
    seeds: int
    same_run: str | None = None
    bound: str = "least"
    set_rows: int = 0
    judged_as: str = "reference"

    def __post_init__(self):
        check_choice("bound", self.bound, BOUNDS)
        check_choice("direction", self.direction, DIRECTIONS)
        check_choice("judged_as", self.judged_as, DIRECTIONS[:-1])


@dataclasses.dataclass(frozen=True)
class QuickClaim:
    """An expectation of the quick budget, with a threshold of its own, in percent.

    Attributes:
        id: short name.
        preset: the run, without its budget.
        metric: name of the score.
        threshold: the score that counts as reached.
        expect: one of the four words.
        source: the statement it tests.
        text: what it says.
        null: a null that a failing score must not leave: rotation (inside the
            distribution over random rotations) or identity (no better than x itself).
        bound: "least": reached from the threshold on; "most": up to the threshold.
    """

    id: str
    preset: str
    metric: str
    threshold: float
    expect: str
    source: str
    text: str
    null: str | None = None
    bound: str = "least"

    def __post_init__(self):
        check_choice("bound", self.bound, BOUNDS)


@dataclasses.dataclass(frozen=True)
class Claims:
    """All claims of one system: numbers, quick expectations, orderings, Theorem 1.

    `seeds`: how many its quick expectations are shown with, unless told.
    """

    system: str
    source: str
    seeds: int
    published: tuple[Claim, ...]
    quick: tuple[QuickClaim, ...]
    orderings: tuple[dict[str, Any], ...]
    theorem1: tuple[dict[str, Any], ...]

    def published_by_id(self, name: str) -> Claim:
        """The published claim of that id; ValueError with the nearest valid one."""
        ids = {claim.id: claim for claim in self.published}
        check_choice("claim", name, ids)
        return ids[name]


def load_claims(system: str) -> Claims:
    """The packaged claims of a system; ValueError on an unknown one."""
    folder = resources.files("jidcl") / "claims"
    known = sorted(Path(str(file)).stem for file in folder.iterdir())
    check_choice("system", system, known)
    path = folder / f"{system}.json"
    data = json.loads(path.read_text())
    if data["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"{path}: schema_version must be {SCHEMA_VERSION}")
    own = {"set_rows": data.get("set_rows", 0)}
    return Claims(
        system=data["system"],
        source=data["source"],
        seeds=data.get("seeds", 5),
        published=tuple(Claim(**(own | claim)) for claim in data["published"]),
        quick=tuple(QuickClaim(**claim) for claim in data["quick"]),
        orderings=tuple(data.get("orderings", ())),
        theorem1=tuple(data.get("theorem1", ())),
    )
