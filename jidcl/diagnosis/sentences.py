"""From numbers to sentences: what held-out pairs support, and what they do not.

`say` reads `Evidence` and no data. Where pairs support nothing, nothing further is said
of the representation.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jidcl.diagnosis.evidence import Evidence


@dataclasses.dataclass(frozen=True)
class Bars:
    """Numbers that the sentences turn on; see `docs/own-data.md`.

    Attributes:
        p_value: of held-out bits under shuffled partners, at most, to be supported.
        rows: held-out pairs, at least, for any word on the representation.
        overfit: nats by which held-out loss may exceed training loss.
        matched: agreement of runs, at least, coordinate by coordinate.
        linear: agreement of runs, at least, up to a linear map.
        of_x: R2 of the outputs from x, linear, at least, to be linear already.
        ratio: of the largest to the least change, at least, to be unequal.
        unchanged: change below which a direction never changes.
        apart: least change of the others over it.
        correlated: of two outputs, at least, to be dependent.
        tails: excess kurtosis, at least, to be heavy.
        local: share of a local direction below which it is not in use.
        errors: standard errors by which an exponent must be ahead.
        gain: bits by which it must be ahead.
        rank: effective rank below which outputs have collapsed.
    """

    p_value: float = 0.01
    rows: int = 30
    overfit: float = 1.0
    matched: float = 0.95
    linear: float = 0.9
    of_x: float = 0.996
    ratio: float = 4.0
    unchanged: float = 0.005
    apart: float = 5.0
    correlated: float = 0.4
    tails: float = 3.0
    local: float = 0.05
    errors: float = 3.0
    gain: float = 0.05
    rank: float = 1.2


BARS = Bars()

# What may be said, by name. The braces are filled with numbers.
SENTENCES = {
    "supported": "The pairs share {bits:.2f} bits more than chance ({low:.2f} to "
    "{high:.2f}); shuffled partners reach {null:.2f}.",
    "unsupported": "These data do not support a representation: held-out partners are "
    "told no better than shuffled ones (p = {p_value:.3f}).",
    "few": "There are too few pairs for this network: {train} train it, {rows} judge "
    "it, and it does {overfit:.1f} nats better on those that it saw.",
    "coordinates": "The {reached} best of {seeds} runs agree coordinate by coordinate, "
    "up to order and sign: {matched:.3f} (after a rotation: below {rotated:.3f}).",
    "linear_only": "The {reached} best of {seeds} runs agree up to a linear map "
    "({linear:.3f}) and not coordinate by coordinate ({matched:.3f}): which "
    "coordinates are meant cannot be told from these pairs with this objective.",
    "disagree": "The {reached} best of {seeds} runs do not agree, even up to a linear "
    "map ({linear:.3f}): it is not determined, or training has not ended.",
    "one_run": "Whether another start gives the same representation cannot be told: "
    "{reached} of {seeds} runs reached the best loss.",
    "already_linear": "A linear map of x has these outputs already (R2 {of_x:.3f}).",
    "own_p": "Held-out pairs prefer p = {p:g}, which was used, to the others.",
    "other_p": "Held-out pairs prefer p = {other:g} to p = {p:g}, which was used, by "
    "{gain:.2f} bits.",
    "open_p": "Which exponent the changes follow cannot be told from these pairs: none "
    "is ahead.",
    "anisotropic": "Directions change unequally: a change takes {least:.3f} of the "
    "spread along one and {most:.3f} along another.",
    "unchanged": "{count} of {outputs} directions hardly change within a pair: how "
    "they are encoded cannot be told from pairs.",
    "dependent": "Outputs depend on each other (correlation {correlated:.2f}): the "
    "factors do, or coordinates are mixtures of them. Pairs alone do not say which.",
    "heavy_tails": "Features or outputs have heavy tails (excess kurtosis "
    "{tails:.1f}): theory asks for a uniform law.",
    "fewer_directions": "Outputs lie on a surface of {used} of {outputs} dimensions: "
    "the pairs do not support more.",
    "collapsed": "The outputs have collapsed to one direction.",
    "constant": "Features that are constant on the held-out pairs: {features}.",
    "duplicate": "Features hold the same numbers up to scale and shift: {features}.",
    "not_from_pairs": "Cannot be told from pairs: whether x holds all factors, and "
    "what the outputs mean.",
}


class Sentence(NamedTuple):
    """Something that is said.

    Attributes:
        name: of `SENTENCES`.
        text: with its numbers.
    """

    name: str
    text: str


def say(found: Evidence, bars: Bars = BARS) -> list[Sentence]:
    """The sentences that follow from the evidence.

    Args:
        found: the evidence.
        bars: numbers that they turn on.

    Returns:
        The sentences, what matters most first.
    """
    return list(_all(found, bars))


def _all(e: Evidence, bars: Bars) -> Iterator[Sentence]:
    supported = e.p_value <= bars.p_value and np.mean(e.bits) > 0
    few = e.rows < bars.rows or e.overfit > bars.overfit
    if supported:
        low, high = e.bits_interval
        bits = float(np.mean(e.bits))
        yield _said("supported", bits=bits, low=low, high=high, null=e.null_bits)
    else:
        yield _said("unsupported", p_value=e.p_value)
    if few:
        yield _said("few", train=e.train_rows, rows=e.rows, overfit=e.overfit)
    if supported and e.rows >= bars.rows:
        yield from _of_representation(e, bars)
    if e.constant:
        yield _said("constant", features=_listed(e.constant))
    if e.duplicate:
        pairs = [f"{i} and {j}" for i, j in e.duplicate]
        yield _said("duplicate", features=_listed(pairs))
    yield _said("not_from_pairs")


def _of_representation(e: Evidence, bars: Bars) -> Iterator[Sentence]:
    yield from _of_runs(e, bars)
    of_x = float(np.mean(e.linear_of_x))
    if of_x >= bars.of_x:
        yield _said("already_linear", of_x=of_x)
    yield from _of_exponent(e, bars)
    used = sum(value >= bars.local for value in e.local)
    if e.effective < bars.rank and e.outputs > 1:
        yield _said("collapsed")
    elif used < e.outputs:
        yield _said("fewer_directions", used=used, outputs=e.outputs)
    yield from _of_change(e, bars)
    if e.correlated >= bars.correlated:
        yield _said("dependent", correlated=e.correlated)
    if e.tails >= bars.tails:
        yield _said("heavy_tails", tails=e.tails)


def _of_runs(e: Evidence, bars: Bars) -> Iterator[Sentence]:
    if not e.matched:
        yield _said("one_run", reached=e.reached, seeds=e.seeds)
        return
    numbers: dict = {"reached": e.reached, "seeds": e.seeds}
    matched, linear = float(np.mean(e.matched)), float(np.mean(e.linear))
    if matched >= bars.matched and (e.outputs == 1 or matched > e.rotated):
        yield _said("coordinates", matched=matched, rotated=e.rotated, **numbers)
    elif linear >= bars.linear:
        yield _said("linear_only", matched=matched, linear=linear, **numbers)
    elif not np.isnan(linear):  # rows were enough to tell
        yield _said("disagree", linear=linear, **numbers)


def _of_exponent(e: Evidence, bars: Bars) -> Iterator[Sentence]:
    if not e.rivals:
        return
    ahead = {
        q: rival.gain
        for q, rival in e.rivals.items()
        if rival.gain > max(bars.gain, bars.errors * rival.error)
    }
    behind = [
        rival.gain < -max(bars.gain, bars.errors * rival.error)
        for rival in e.rivals.values()
    ]
    if ahead:
        other = max(ahead, key=lambda q: ahead[q])
        yield _said("other_p", other=other, p=e.p, gain=ahead[other])
    elif all(behind):
        yield _said("own_p", p=e.p)
    else:
        yield _said("open_p")


def _of_change(e: Evidence, bars: Bars) -> Iterator[Sentence]:
    if len(e.change) < 2:
        return
    change = np.asarray(e.change)
    still = (change < bars.unchanged) & (change < change.max() / bars.apart)
    if still.any():
        yield _said("unchanged", count=int(still.sum()), outputs=e.outputs)
    elif change[-1] > bars.ratio * change[0]:
        yield _said("anisotropic", least=change[0], most=change[-1])


def _said(name: str, **numbers) -> Sentence:
    return Sentence(name, SENTENCES[name].format(**numbers))


def _listed(items) -> str:
    shown = [str(item) for item in items[:8]]
    more = len(items) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
