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
from jidcl.report.claims import Claims, load_claims
from jidcl.report.document import (
    find_orderings,
    judge_orderings,
    judge_with_run,
    write_report,
)
from jidcl.report.records import Record
from jidcl.report.verdict import Verdict, judge_quick, judge_scores
from jidcl.run.runner import RunEvent, cached_frozen, run
from jidcl.systems.registry import load_checks, load_presets, load_system

BUDGETS = ("smoke", "quick", "full", "published")


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
        self._theorem1: dict[str, Any] = {}
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
            if claim.column == "identity" and self.budget == "quick"
        ]
        work += [
            (f"Theorem 1, {entry['text']}", lambda e=entry: self._theorem(e))
            for entry in self.claims.theorem1
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
        self.verdicts += judge_orderings(self._orderings())
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
            theorem1=self._theorem1,
            orderings=self._orderings(),
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
                self._records[name] = event.record
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
        name = f"quick/{preset}"
        yield from self._train(name)
        self.verdicts += [
            judge_quick(claim, self._records[name])
            for claim in self.claims.quick
            if claim.preset == preset
        ]

    def _published(self, claim) -> Iterator[RunEvent]:
        name = f"{self.budget}/{claim.preset}"
        if name not in self._records:
            yield from self._train(name)
        self.verdicts.append(judge_with_run(claim, self._records[name]))

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
        self.verdicts.append(judge_scores(claim, scores[claim.metric]))
        yield from ()

    def _theorem(self, entry: dict[str, Any]) -> Iterator[RunEvent]:
        checks = load_checks(self.system)
        curve = checks.theorem1(entry["settings"], jax.random.key(self.seeds[0]))
        self._theorem1[entry["text"]] = curve
        self.verdicts.append(judge_theorem1(entry, curve))
        yield from ()

    def _orderings(self) -> list[tuple[dict[str, Any], list[Record]]]:
        return find_orderings(self._records)


def judge_theorem1(entry: dict[str, Any], curve: Any) -> Verdict:
    """Judge Theorem 1: measured = predicted within 4 standard errors, and falling.

    The first-order correction holds where R <= 0.1 M; there a second-order term of
    (R / M)^2 nats is allowed on top of the standard errors.
    """
    used = curve.counts >= 10 * curve.moment
    slack = 4 * curve.error + (curve.moment / curve.counts) ** 2
    off = np.abs(curve.excess - curve.predicted)
    ok = bool((off <= slack)[used].all()) and bool(curve.excess[0] > curve.excess[-1])
    worst = float((off / curve.error)[used].max())
    return Verdict(
        claim=entry["id"],
        source=entry["source"],
        text=entry["text"],
        metric="loss",
        word="-",
        expected=f"limit {curve.limit:.4f}",
        ok=ok,
        outcome="as expected" if ok else "not as expected",
        score=float(curve.excess[-1]),
        std=float(curve.error[-1]),
        difference=float(curve.excess[-1] - curve.limit),
        gap=None,
        bar=None,
        seeds=(),
        nulls={},
        note=f"at M = {curve.counts[-1]}; at most {worst:.1f} standard errors from the "
        "finite-M prediction",
    )
