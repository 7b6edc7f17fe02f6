"""Claims: published numbers and expectations, as data. Imports no JAX.

One family of small dataclasses. Each names the runs that it needs; what became of it
is decided in `jidcl.report.judge`.

| kind | says |
|---|---|
| `PublishedClaim` | a published number, met within its band |
| `QuickClaim` | a score of the quick budget reaches a threshold, or does not |
| `OrderingClaim` | scores of runs fall, lie above one another, or are equal |
| `CurveClaim` | a measured curve equals its prediction (Theorem 1) |
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jidcl.checks import check_choice
from jidcl.claims.kinds import (
    ALREADY,
    BEHAVIOUR,
    BUDGETS,
    FLOORS,
    FOUR_WORDS,
    VOCABULARIES,
    Claim,
    CurveClaim,
    OrderingClaim,
    PublishedClaim,
    QuickClaim,
)

__all__ = [
    "ALREADY",
    "BEHAVIOUR",
    "BUDGETS",
    "FLOORS",
    "FOUR_WORDS",
    "SCHEMA_VERSION",
    "VOCABULARIES",
    "Claim",
    "Claims",
    "CurveClaim",
    "OrderingClaim",
    "PublishedClaim",
    "QuickClaim",
    "claims_from",
    "load_claims",
    "packaged",
]

SCHEMA_VERSION = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claims:
    """All claims of one system.

    Attributes:
        system: its name.
        source: the paper, and what the numbers are.
        seeds: how many its quick expectations are shown with, unless told.
        published: published numbers.
        curves: measured curves.
        quick: quick expectations.
        orderings: orderings.

    Raises:
        ValueError: on an id that two of them bear.
    """

    system: str
    source: str
    seeds: int = 5
    published: tuple[PublishedClaim, ...] = ()
    curves: tuple[CurveClaim, ...] = ()
    quick: tuple[QuickClaim, ...] = ()
    orderings: tuple[OrderingClaim, ...] = ()

    def __post_init__(self):
        ids = [claim.id for claim in self.all]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"ids of the claims of {self.system} repeat: {twice}")

    @property
    def all(self) -> tuple[Claim, ...]:
        """Every claim."""
        return (*self.published, *self.curves, *self.quick, *self.orderings)

    def at(self, budget: str) -> tuple[Claim, ...]:
        """The claims that a budget tests, in the order of `all`."""
        check_choice("budget", budget, BUDGETS)
        return tuple(claim for claim in self.all if budget in claim.budgets)

    def published_by_id(self, name: str) -> PublishedClaim:
        """The published claim of that id; ValueError with the nearest valid one."""
        ids = {claim.id: claim for claim in self.published}
        check_choice("claim", name, ids)
        return ids[name]


def packaged() -> tuple[str, ...]:
    """Names of the systems whose claims are part of the package.

    Returns:
        The names, sorted.
    """
    files = (resources.files("jidcl") / "claims").iterdir()
    names = (Path(str(file)) for file in files)
    return tuple(sorted(path.stem for path in names if path.suffix == ".json"))


def load_claims(system: str) -> Claims:
    """The packaged claims of a system.

    Args:
        system: one of `packaged`.

    Returns:
        Its claims.

    Raises:
        ValueError: on an unknown system, or a file that is not of `SCHEMA_VERSION`.

    Example:
        >>> load_claims("contrastive_ica").published_by_id("t1r3").mean
        99.91
    """
    check_choice("system", system, packaged())
    path = resources.files("jidcl") / "claims" / f"{system}.json"
    return claims_from(json.loads(path.read_text()), where=str(path))


def claims_from(data: Mapping[str, Any], *, where: str) -> Claims:
    """The claims of a system from the content of its JSON file.

    Args:
        data: `schema_version`, `system`, `source`, and lists of claims under
            `published`, `curves`, `quick` and `orderings`; `seeds` as in `Claims`,
            `set_rows` for all published claims.
        where: the file, for messages.

    Returns:
        The claims, in the file's order.

    Raises:
        ValueError: naming the file and what is wrong: another schema, a claim with an
            unknown or a missing field, a `same_run` that names no claim.
    """
    if data.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{where}: schema_version must be {SCHEMA_VERSION}, got "
            f"{data.get('schema_version')!r}"
        )
    rows = [
        {"set_rows": data.get("set_rows", 0), **row}
        for row in data.get("published", ())
    ]
    # Claims of which other ones speak, then those.
    alone = [row for row in rows if not row.get("same_run")]
    by_id = {row["id"]: _claim(PublishedClaim, row, where) for row in alone}
    for row in (row for row in rows if row.get("same_run")):
        if row["same_run"] not in by_id:
            raise ValueError(
                f"{where}: same_run of {row['id']} must name a published claim that "
                f"has none itself, got {row['same_run']!r}"
            )
        own = {**row, "same_run": by_id[row["same_run"]]}
        by_id[row["id"]] = _claim(PublishedClaim, own, where)
    return Claims(
        system=data["system"],
        source=data["source"],
        seeds=data.get("seeds", 5),
        published=tuple(by_id[row["id"]] for row in rows),
        curves=_family(CurveClaim, data.get("curves", ()), where),
        quick=_family(QuickClaim, data.get("quick", ()), where),
        orderings=_family(OrderingClaim, data.get("orderings", ()), where),
    )


def _family(kind: type, rows: Sequence[Mapping[str, Any]], where: str) -> tuple:
    return tuple(_claim(kind, row, where) for row in rows)


def _claim(kind: type, row: Mapping[str, Any], where: str) -> Any:
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    try:
        return kind(**lists)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: claim {row.get('id')!r}: {error}") from error
