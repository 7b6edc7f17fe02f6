"""The verdict: what records say about one claim. Imports no JAX."""

import dataclasses

ANALOGUE = "analogue"
NOT_TESTABLE = "not testable"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What records say about one claim.

    Attributes:
        claim: id of the claim.
        source: the statement or table row it tests.
        text: what it says.
        metric: name of the score.
        word: of the claim's vocabulary, see `jidcl.report.words`; "mixed" where fewer
            than 4 of 5 seeds agree; "-" where no word applies.
        expected: the word, or the published number as text.
        ok: whether it came out as expected (within its band).
        outcome: reproduced, consistent, missed; or as expected, not as expected; not
            testable; "-" where no claim names the run.
        score: mean over seeds, in the claim's unit.
        std: standard deviation over seeds.
        difference: score minus the published mean (or threshold).
        unit: of score, std, difference, nulls and series: percent, nats or raw.
        gap: mean gap to the reference, nats; None without a reference or training.
        bar: gap that still counts as closed, nats.
        loss: mean loss, nats, where there is a gap: gap = loss - reference.
        admits: what the bar admits, as text.
        count: number of seeds.
        seeds: per-seed words.
        nulls: scores of the nulls.
        series: means in order, for a claim about an ordering.
        note: what to know.
    """

    claim: str
    source: str
    text: str
    metric: str
    word: str
    expected: str
    ok: bool
    outcome: str
    score: float
    std: float
    difference: float
    unit: str = "percent"
    gap: float | None = None
    bar: float | None = None
    loss: float | None = None
    admits: str = ""
    count: int = 1
    seeds: tuple[str, ...] = ()
    nulls: dict[str, float] = dataclasses.field(default_factory=dict)
    series: tuple[float, ...] = ()
    note: str = ""

    @property
    def judged(self) -> bool:
        """Whether something was expected of it."""
        return self.outcome not in ("-", ANALOGUE, NOT_TESTABLE)

    @property
    def mark(self) -> str:
        """A tick, a cross, or a dot where nothing was expected."""
        if self.ok:
            return "✓" if self.judged else "·"
        return "✗"
