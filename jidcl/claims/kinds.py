"""The kinds of claims, as small dataclasses. Imports no JAX."""

import dataclasses
from collections.abc import Sequence

from jidcl.checks import check_at_least, check_choice

BUDGETS = ("smoke", "quick", "full", "published")
BOUNDS = ("least", "most")
DIRECTIONS = ("recovers", "fails", "reference", "analogue")
ORDERINGS = ("falls", "above", "equal")
UNITS = ("percent", "nats", "raw")
FOUR_WORDS = ("identified", "identified early", "not identified", "not optimised")
ALREADY = "already in x"  # a null is as good as the score that reaches the claim
FLOORS = ("limit", "reference", "none")  # what a loss is compared with
BEHAVIOUR = ("reproduced", "not reproduced", "not testable as published")
VOCABULARIES = {"four words": (*FOUR_WORDS, ALREADY), "behaviour": BEHAVIOUR}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """What all claims share.

    Attributes:
        id: short name, t1r3 for Table 1 row 3; one of its kind in a system.
        source: table and row, figure or statement.
        text: what it says.
        unit: of its numbers: percent (a score in [0, 1] times 100), nats or raw.
        budgets: the budgets that test it.
        vocabulary: of its verdict: "four words" where there is a floor and a score of
            recovery, else "behaviour".
        untestable: why nothing can test it as it was published; empty where something
            can. Such a claim needs no run.

    Raises:
        ValueError: on a value outside the allowed ones.
    """

    id: str
    source: str
    text: str
    unit: str = "percent"
    budgets: tuple[str, ...] = ()
    vocabulary: str = "four words"
    untestable: str = ""

    def __post_init__(self):
        check_choice("unit", self.unit, UNITS)
        check_choice("vocabulary", self.vocabulary, VOCABULARIES)
        for budget in self.budgets:
            check_choice("budget", budget, BUDGETS)

    @property
    def scale(self) -> int:
        """What a record's number is multiplied by to be in the claim's unit."""
        return 100 if self.unit == "percent" else 1

    def needs(self, budget: str) -> tuple[str, ...]:
        """Names of the records that it is judged from, in the order judged.

        Args:
            budget: one of the claim's own.

        Returns:
            `"BUDGET/PRESET"` for a run; a name of its own, as `"identity/PRESET"`, for
            a preset that trains nothing; none for a claim that is not testable.

        Raises:
            ValueError: on a budget that does not test it.
        """
        check_choice("budget", budget, self.budgets)
        return () if self.untestable else tuple(dict.fromkeys(self._names(budget)))

    def _names(self, budget: str) -> Sequence[str]:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedClaim(Claim):
    """One published number.

    Attributes:
        preset: the run that tests it, without its budget.
        column: unsupervised, supervised or identity (scores of the observations).
        metric: name of the score or loss.
        of_null: the null whose score of that name is meant; empty for the run's own.
        direction: recovers, fails (to recover), reference (a number to be met), or
            analogue (of other data than the published: shown beside, not judged).
        mean: published mean.
        std: published standard deviation over seeds.
        seeds: published number of seeds.
        same_run: a recovery claim that the same run has to reach as well.
        bound: "least" when larger scores are better, "most" for errors.
        set_rows: of an analogue, training pictures of the published set: a run on a
            folder with as many is taken for one on that set, and judged.
        judged_as: the direction of an analogue where it is judged.
        gap_bar: gap that still counts as closed, nats; that of
            `jidcl.report.words.gap_bar` where None.
        least_band: half width of the narrowest accepted band, in the claim's unit;
            None: 0.5 points, or half a percent of a number that is no percentage.
        null: "rotation": the score is judged by whether it lies inside the
            distribution over random rotations, and the published mean stands beside.

    Raises:
        ValueError: on a claim of failure in another unit than percent.
    """

    preset: str
    column: str
    metric: str
    direction: str
    mean: float
    std: float
    seeds: int
    of_null: str = ""
    same_run: "PublishedClaim | None" = None
    bound: str = "least"
    set_rows: int = 0
    judged_as: str = "reference"
    gap_bar: float | None = None
    least_band: float | None = None
    null: str | None = None
    budgets: tuple[str, ...] = ("full", "published")

    def __post_init__(self):
        super().__post_init__()
        check_choice("bound", self.bound, BOUNDS)
        check_choice("direction", self.direction, DIRECTIONS)
        check_choice("judged_as", self.judged_as, DIRECTIONS[:-1])
        if self.null is not None:
            check_choice("null", self.null, ("rotation",))
        if "fails" in (self.direction, self.judged_as) and self.unit != "percent":
            raise ValueError(
                "unit of a claim of failure must be 'percent', as a score of 95 counts "
                f"as recovered, got {self.unit!r}"
            )

    def _names(self, budget: str) -> Sequence[str]:
        kind = "identity" if self.column == "identity" else budget
        return (f"{kind}/{self.preset}",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuickClaim(Claim):
    """An expectation of the quick budget, with a threshold of its own.

    Attributes:
        preset: the run, without its budget.
        metric: name of the score.
        threshold: the score that counts as reached, in the claim's unit.
        expect: the word of its vocabulary that is expected. "not optimised" is none:
            any run that is short enough has it.
        null: a null that a failing score must not leave: "rotation" (inside the
            distribution over random rotations), or the name of another one
            ("identity": no better than x itself).
        bound: "least": reached from the threshold on; "most": up to the threshold.
        gap_bar: gap that still counts as closed, nats; that of
            `jidcl.report.words.gap_bar` where None.
    """

    preset: str
    metric: str
    threshold: float
    expect: str
    null: str | None = None
    bound: str = "least"
    gap_bar: float | None = None
    budgets: tuple[str, ...] = ("quick", "smoke")

    def __post_init__(self):
        super().__post_init__()
        check_choice("bound", self.bound, BOUNDS)
        words = VOCABULARIES[self.vocabulary]
        check_choice("expect", self.expect, [w for w in words if w != "not optimised"])
        if self.unit == "percent" and self.threshold > 0:
            check_at_least("threshold (percent)", self.threshold, 1)

    def _names(self, budget: str) -> Sequence[str]:
        return (f"{budget}/{self.preset}",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OrderingClaim(Claim):
    """Scores of several runs, or several scores of one run, in a stated order.

    Attributes:
        kind: "falls" (from the first to the last by `margin` in all, no step rising
            by more than a tenth of it), "above" (the first exceeds every other by
            `margin`), or "equal" (all within `margin`).
        presets: the run of each point, without its budget.
        metrics: the score of each point. A single preset or a single score stands for
            all points.
        of_nulls: nulls whose scores are meant, as in `PublishedClaim.of_null`, for
            each point or for all.
        margin: in the claim's unit.
        setting: the setting that varies, on the axis of its figure; empty: none drawn.
        xlabel: what that axis is.
        mark: a setting whose value the figure marks on that axis.

    Raises:
        ValueError: on a negative margin, or points that do not have one length.
    """

    kind: str
    presets: tuple[str, ...]
    metrics: tuple[str, ...]
    margin: float
    of_nulls: tuple[str, ...] = ("",)
    setting: str = ""
    xlabel: str = ""
    mark: str = ""
    vocabulary: str = "behaviour"
    budgets: tuple[str, ...] = ("quick", "smoke")

    def __post_init__(self):
        super().__post_init__()
        check_choice("kind", self.kind, ORDERINGS)
        if self.margin < 0:
            raise ValueError(f"margin must be >= 0, got {self.margin}")
        sizes = {len(self.presets), len(self.metrics), len(self.of_nulls)}
        if len(sizes - {1}) != 1 or 0 in sizes:
            raise ValueError(
                "presets, metrics and of_nulls of an ordering must have one length of "
                f"2 or more, or 1, got {len(self.presets)}, {len(self.metrics)} and "
                f"{len(self.of_nulls)}"
            )

    @property
    def points(self) -> tuple[tuple[str, str, str], ...]:
        """(preset, score, null or an empty name) of each point."""
        columns = (self.presets, self.metrics, self.of_nulls)
        count = max(map(len, columns))
        filled = [column * count if len(column) == 1 else column for column in columns]
        return tuple(zip(*filled, strict=True))

    def _names(self, budget: str) -> Sequence[str]:
        return [f"{budget}/{preset}" for preset in self.presets]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveClaim(Claim):
    """A measured curve equals its prediction within 4 standard errors, and falls.

    Its record holds, per seed, `counts`, `excess`, `error` and `predicted` (one value
    a point), `limit` and `moment`; see `jidcl.report.judge`.

    Attributes:
        preset: the run that measures it, which trains nothing; its whole name.
    """

    preset: str
    unit: str = "nats"
    vocabulary: str = "behaviour"
    budgets: tuple[str, ...] = ("quick", "smoke")

    def _names(self, budget: str) -> Sequence[str]:
        return (self.preset,)
