"""`jidcl verify`: claims to runs, runs to verdicts, verdicts to a report.

The work is a list of named stages that are known before anything starts, so that a
caller can show progress and the time left. Every stage is a run, and can be repeated:
finished runs are read back from disk.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jidcl.checks import check_choice
from jidcl.claims import BUDGETS, Claim, Claims, CurveClaim, OrderingClaim
from jidcl.report.document import write_report
from jidcl.report.judge import judge
from jidcl.report.records import Record
from jidcl.report.verdict import Verdict
from jidcl.run.check import check_system
from jidcl.run.runner import RunEvent, run
from jidcl.systems.registry import load_claims, load_presets, load_system
from jidcl.train.sharding import check_seeds

SMOKE = dict(steps=20, eval_batch=256)  # what a smoke run has of a quick one


class VerifyEvent(NamedTuple):
    """Progress of a verification.

    Attributes:
        stage: index of the current stage.
        stages: number of stages.
        label: what it does.
        run: progress of the run inside the stage.
        verdicts: verdicts that are new with this event.
    """

    stage: int
    stages: int
    label: str
    run: RunEvent | None = None
    verdicts: tuple[Verdict, ...] = ()


def _metrics_of(claim: Claim) -> tuple[str, ...]:
    return getattr(claim, "metrics", None) or (getattr(claim, "metric", "excess"),)


@dataclasses.dataclass
class Verification:
    """One verification: settings in, events out, results kept for the report.

    Attributes:
        system: name of the system, or MODULE:OBJECT of your own.
        budget: quick, full or published; smoke is a quick run or two with few steps.
        root: folder of all runs.
        rows: claim ids to run (full and published budgets); None for all.
        seeds: integer seeds; when empty 0, 1, ..., as many as the system's claims say.
        pictures: a folder of pictures on disk in place of the scene's (full and
            published budgets of systems that read them).
        save_seconds: least time between checkpoints.
        verdicts: filled while it runs.

    Raises:
        ValueError: on an unknown system, budget or claim, or options that do not go
            together.
    """

    system: str = "contrastive_ica"
    budget: str = "quick"
    root: Path = Path("runs")
    rows: Sequence[str] | None = None
    seeds: Sequence[int] = ()
    pictures: str = ""
    save_seconds: float = 60.0
    verdicts: list[Verdict] = dataclasses.field(default_factory=list)

    def __post_init__(self):
        check_choice("budget", self.budget, BUDGETS)
        for what, given in (("rows need", self.rows), ("folder needs", self.pictures)):
            if given and self.budget not in ("full", "published"):
                raise ValueError(
                    f"{what} budget 'full' or 'published', got budget {self.budget!r}"
                )
        self.root = Path(self.root)
        self.claims: Claims = load_claims(self.system)
        self.seeds = tuple(check_seeds(self.seeds or range(self.claims.seeds)))
        self._presets = load_presets(self.system)
        self._records: dict[str, Record] = {}
        self._runs: dict[Path, Record] = {}
        tested = [name for name in BUDGETS if self.claims.at(name)]
        check_choice(f"budget of {self.system}", self.budget, tested)
        ids = {claim.id: claim for claim in self.claims.at(self.budget)}
        for row in self.rows or ():
            check_choice("claim", row, ids)
        self._chosen: list[Claim] = [ids[row] for row in self.rows or self._usual(ids)]
        for name in self.stages():
            check_choice("preset of a claim", self._preset(name), self._presets)
        if ":" in self.system:  # ours are checked by the tests
            self._check_system()

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        name = self.system.replace(":", "-")
        return self.root / f"report-{name}-{self.budget}"

    def stages(self) -> dict[str, list[Claim]]:
        """The runs by the names that claims give them, with the claims that need them.

        Returns:
            In the order in which the claims need them.
        """
        work: dict[str, list[Claim]] = {}
        for claim in self._chosen:
            for name in claim.needs(self.budget):
                work.setdefault(name, []).append(claim)
        return work

    def go(self) -> Iterator[VerifyEvent]:
        """Do everything; `verdicts` and the report are complete at the end."""
        self.verdicts += [
            judge((), claim) for claim in self._chosen if claim.untestable
        ]
        work = self.stages()
        for index, (name, claims) in enumerate(work.items()):
            config = self._config(name)
            label = f"{claims[0].source}: {claims[0].text}"
            if config.phases() and self.budget in ("quick", "smoke"):
                label = f"train {name}"  # several claims share it
            yield VerifyEvent(index, len(work), label)
            for event in self._run(name, config, claims):
                yield VerifyEvent(index, len(work), label, run=event)
            new = tuple(self._judged(claim) for claim in claims if self._ready(claim))
            self.verdicts += new
            yield VerifyEvent(index + 1, len(work), label, verdicts=new)
        self.write_report()

    def trained(self) -> list[tuple[str, Any]]:
        """The runs that it trains: (name, configuration)."""
        runs = [(name, self._config(name)) for name in self.stages()]
        return [(name, config) for name, config in runs if config.phases()]

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

    def _run(self, name: str, config: Any, claims: list[Claim]) -> Iterator[RunEvent]:
        # A curve's repeats are its own: one seed tells as much as five.
        curve = all(isinstance(claim, CurveClaim) for claim in claims)
        for event in run(
            config,
            system=self.system,
            preset=name,
            seeds=self.seeds[:1] if curve else self.seeds,
            root=self.root,
            save_seconds=self.save_seconds,
        ):
            yield event
            if event.record is not None:
                self._records[name] = event.record
                self._runs[event.folder] = event.record

    def _ready(self, claim: Claim) -> bool:
        """Whether the run that just ended is the last one that a claim needed."""
        names = claim.needs(self.budget)
        held = [name for name in names if name in self._records]
        return len(held) == len(names) and list(self._records)[-1] in names

    def _judged(self, claim: Claim) -> Verdict:
        return judge([self._records[n] for n in claim.needs(self.budget)], claim)

    def _check_system(self) -> None:
        """Trace every preset that claims need, and look for the scores they name."""
        system = load_system(self.system)
        for name, claims in self.stages().items():
            found = check_system(system, self._config(name))
            known = {**found.scores, **found.losses}
            for claim in claims:
                for metric in _metrics_of(claim):
                    check_choice(f"metric of claim {claim.id}", metric, known)

    def _usual(self, ids: Mapping[str, Claim]) -> list[str]:
        """All claims but long orderings whose runs no other claim needs.

        A smoke budget has the first of one run that trains, and of one that does not.
        """
        if self.budget == "quick":
            return list(ids)
        if self.budget == "smoke":
            first: dict[bool, str] = {}
            for claim in ids.values():
                names = claim.needs(self.budget)
                if len(names) == 1:
                    trains = bool(self._config(names[0]).phases())
                    first.setdefault(trains, claim.id)
            return list(first.values()) or list(ids)[:1]
        single = [c for c in ids.values() if not isinstance(c, OrderingClaim)]
        trained = {name for claim in single for name in claim.needs(self.budget)}
        return [
            claim.id
            for claim in ids.values()
            if claim in single or trained.issuperset(claim.needs(self.budget))
        ]

    def _preset(self, name: str) -> str:
        """The preset of a run's name: a smoke run is a short quick one."""
        budget, _, preset = name.partition("/")
        return f"quick/{preset}" if budget == "smoke" else name

    def _config(self, name: str) -> Any:
        preset = self._preset(name)
        config, smoke = self._presets[preset], preset != name
        if self.pictures:
            if not hasattr(config, "folder"):
                raise ValueError(
                    f"folder must be empty for {self.system}, which reads no pictures, "
                    f"got {self.pictures!r}"
                )
            config = config.read_from(self.pictures)
        if not smoke:
            return config
        fields = {field.name for field in dataclasses.fields(config)}
        small = {name: value for name, value in SMOKE.items() if name in fields}
        return dataclasses.replace(config, **small)
