"""`jidcl verify`: claims to runs, runs to verdicts, verdicts to a report.

The work is a list of named stages that are known before anything starts, so that a
caller can show progress and the time left. Every stage can be repeated: finished runs
are read back from disk.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jidcl.checks import check_choice
from jidcl.claims import BUDGETS, Claim, Claims, CurveClaim, load_claims
from jidcl.report.document import write_report
from jidcl.report.judge import answered, judge
from jidcl.report.records import SCHEMA_VERSION, Record, run_name, write_record
from jidcl.report.verdict import Verdict
from jidcl.run.runner import RunEvent, cached_frozen, run
from jidcl.systems.registry import load_checks, load_presets, load_system


class VerifyEvent(NamedTuple):
    """Progress of a verification.

    Attributes:
        stage: index of the current stage.
        stages: number of stages.
        label: what it does.
        run: progress of the run inside the stage, if it trains.
        verdicts: verdicts that are new with this event.
    """

    stage: int
    stages: int
    label: str
    run: RunEvent | None = None
    verdicts: tuple[Verdict, ...] = ()


@dataclasses.dataclass
class Verification:
    """One verification: settings in, events out, results kept for the report.

    Attributes:
        system: name of the system.
        budget: quick, full or published (smoke: quick with few steps).
        root: folder of all runs.
        rows: claim ids to run (published budgets); None for all.
        seeds: integer seeds; when empty 0, 1, ..., as many as the system's claims say.
        pictures: a folder of pictures on disk in place of the scene's (full and
            published budgets of systems that read them).
        verdicts: filled while it runs.
    """

    system: str = "contrastive_ica"
    budget: str = "quick"
    root: Path = Path("runs")
    rows: Sequence[str] | None = None
    seeds: Sequence[int] = ()
    pictures: str = ""
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        check_choice("budget", self.budget, BUDGETS)
        if self.rows and self.budget not in ("full", "published"):
            raise ValueError(
                f"rows need budget 'full' or 'published', got budget {self.budget!r}"
            )
        if self.pictures and self.budget not in ("full", "published"):
            raise ValueError(
                f"folder needs budget 'full' or 'published', got budget {self.budget!r}"
            )
        self.root = Path(self.root)
        self.claims: Claims = load_claims(self.system)
        self.seeds = tuple(self.seeds) or tuple(range(self.claims.seeds))
        self._presets = load_presets(self.system)
        self._records: dict[str, Record] = {}
        self._runs: dict[Path, Record] = {}
        for row in self.rows or ():
            self.claims.published_by_id(row)

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return self.root / f"report-{self.system}-{self.budget}"

    def stages(self) -> list[tuple[str, Any]]:
        """The work: (label, function that yields run events and returns verdicts)."""
        if self.budget in ("full", "published"):
            return self._published_stages()
        work: list[tuple[str, Any]] = [
            (f"identity, {claim.text}", lambda c=claim: self._identity(c))
            for claim in self.claims.published
            if self.budget in claim.budgets
        ]
        work += [
            (f"Theorem 1, {claim.text}", lambda c=claim: self._theorem(c))
            for claim in self.claims.curves
        ]
        presets = list(dict.fromkeys(claim.preset for claim in self.claims.quick))
        work += [(f"train {name}", lambda p=name: self._quick(p)) for name in presets]
        return work

    def go(self) -> Iterator[VerifyEvent]:
        """Do everything; `verdicts` and the report are complete at the end."""
        work = self.stages()
        for index, (label, stage) in enumerate(work):
            yield VerifyEvent(index, len(work), label)
            before = len(self.verdicts)
            for event in stage():
                yield VerifyEvent(index, len(work), label, run=event)
            new = tuple(self.verdicts[before:])
            yield VerifyEvent(index + 1, len(work), label, verdicts=new)
        pairs = answered(self.claims, self._records, [self.budget])
        self.verdicts += [judge(held, claim) for claim, held in pairs if len(held) > 1]
        self.write_report()

    def trained(self) -> list[tuple[str, Any]]:
        """The runs it trains: (preset, configuration)."""
        if self.budget in ("full", "published"):
            rows = self.rows or [claim.id for claim in self.claims.published]
            claims = [self.claims.published_by_id(row) for row in rows]
            names = [
                f"{self.budget}/{c.preset}" for c in claims if c.column != "identity"
            ]
        else:
            names = [f"quick/{claim.preset}" for claim in self.claims.quick]
        return [(name, self._config(name)) for name in dict.fromkeys(names)]

    @property
    def passed(self) -> bool:
        """Whether every expected verdict came out."""
        return bool(self.verdicts) and all(verdict.ok for verdict in self.verdicts)

    def write_report(self) -> Path:
        """`report.md`, `verdicts.csv` and figures; the path of the report."""
        return write_report(
            self.folder,
            self.verdicts,
            self._runs,
            title=f"Verification of {self.system}, {self.budget} budget",
            source=self.claims.source,
            claims=[self.claims],
        )

    def _published_stages(self) -> list[tuple[str, Any]]:
        rows = self.rows or [claim.id for claim in self.claims.published]
        claims = [self.claims.published_by_id(row) for row in rows]
        return [
            (
                f"{claim.source}: {claim.text}",
                (lambda c=claim: self._identity(c))
                if claim.column == "identity"
                else (lambda c=claim: self._published(c)),
            )
            for claim in claims
        ]

    def _train(self, name: str) -> Iterator[RunEvent]:
        label = name.replace("quick/", "smoke/") if self.budget == "smoke" else name
        for event in run(
            self._config(name),
            system=self.system,
            preset=label,
            seeds=self.seeds,
            root=self.root,
        ):
            yield event
            if event.record is not None:
                self._records[label] = event.record
                self._runs[event.folder] = event.record

    def _config(self, name: str) -> Any:
        config = self._presets[name]
        if self.pictures:
            if not hasattr(config, "folder"):
                raise ValueError(
                    f"folder must be empty for {self.system}, which reads no pictures, "
                    f"got {self.pictures!r}"
                )
            config = config.read_from(self.pictures)
        if self.budget == "smoke":
            config = dataclasses.replace(config, steps=20, eval_batch=256)
        return config

    def _quick(self, preset: str) -> Iterator[RunEvent]:
        yield from self._train(f"quick/{preset}")
        self.verdicts += [
            judge(self._records[f"{self.budget}/{preset}"], claim)
            for claim in self.claims.quick
            if claim.preset == preset
        ]

    def _published(self, claim) -> Iterator[RunEvent]:
        name = f"{self.budget}/{claim.preset}"
        if name not in self._records:
            yield from self._train(name)
        self.verdicts.append(judge(self._records[name], claim))

    def _identity(self, claim) -> Iterator[RunEvent]:
        module = load_system(self.system)
        config = self._presets[f"full/{claim.preset}"]
        frozen = cached_frozen(
            module.make_problem(config),
            {"system": self.system} | module.frozen_identity(config),
            self.seeds,
            self.root / "cache",
        )
        checks = load_checks(self.system)
        scores = checks.identity_scores(config, frozen, self.seeds)
        self._judge_check(claim, {k: v.tolist() for k, v in scores.items()})
        yield from ()

    def _theorem(self, claim: CurveClaim) -> Iterator[RunEvent]:
        checks = load_checks(self.system)
        key = jax.random.key(self.seeds[0])
        curve = checks.theorem1(claim.settings, key)._asdict()
        scores = {name: [np.asarray(value).tolist()] for name, value in curve.items()}
        self._judge_check(claim, scores)
        yield from ()

    def _judge_check(self, claim: Claim, scores: dict[str, list]) -> None:
        """Record and judge a check that trains nothing."""
        (name,) = claim.needs(self.budget)
        record = Record(
            schema_version=SCHEMA_VERSION,
            system=self.system,
            preset=name,
            config={},
            seeds=list(self.seeds[: len(next(iter(scores.values())))]),
            floor_kind="none",
            scores=scores,
            losses={},
            nulls={},
            untrained={},
            curve=[],
            seconds={},
            device="",
        )
        folder = self.root / run_name(name, {"seeds": record.seeds})
        write_record(folder, record)
        self._runs[folder] = record
        self.verdicts.append(judge(record, claim))
