"""The word of each seed and of a row, and the gap that counts as closed.

A seed's word follows from measured facts, read in this order.

| | word |
|---|---|
| its score reaches the claim, and a null is as good | already in x |
| nothing tells how small the loss can be | not judged |
| gap closed, score reaches the claim | identified |
| gap closed, score does not | not identified |
| gap open, score reaches the claim | identified early |
| gap open, score does not | not optimised |
| gap closed, score does not, yet noise within the bar explains it | not optimised |

Where a record holds `{metric}_cross_fitted`, that score and its nulls decide in the
place of the metric's: its run had few rows (`jidcl.systems.shared.cross_fitted`).

A row's word is that of at least 4 of 5 seeds, else "mixed". Imports no JAX: it reads
records.
"""

from collections.abc import Sequence

import numpy as np

from jidcl.claims import ALREADY
from jidcl.report.records import Record

MOST = 0.8  # share of seeds that decides a row: 4 of 5
MIXED = "mixed"
NOT_JUDGED = "not judged"
NOT_FINITE = "not finite"  # a seed that died; its numbers are in no mean
NULLS = ("identity", "untrained", "shuffled")  # that a recovery has to beat
LEFT = 0.5  # a recovery leaves at most this share of what a null leaves
GAIN = 0.001  # and is larger than the null by this at least
WORST = 5.0  # no latent leaves more than this times what the claimed mean leaves


def four_words(closed: bool, reached: bool) -> str:
    """The last four rows of the table above.

    Args:
        closed: whether the gap to the reference is closed.
        reached: whether the score reaches the claim.

    Returns:
        One of `jidcl.claims.FOUR_WORDS`.

    Example:
        >>> four_words(closed=False, reached=True)
        'identified early'
    """
    if reached:
        return "identified" if closed else "identified early"
    return "not identified" if closed else "not optimised"


def row_word(words: Sequence[str]) -> str:
    """The word that at least 4 of 5 seeds bear, else "mixed".

    Args:
        words: of each seed, at least one.

    Returns:
        The word of the row.

    Example:
        >>> row_word(["identified"] * 4 + ["not optimised"])
        'identified'
        >>> row_word(["identified"] * 3 + ["not optimised"] * 2)
        'mixed'
    """
    most = max(words, key=words.count)
    return most if words.count(most) >= MOST * len(words) else MIXED


def counted(words: Sequence[str]) -> str:
    """How often each word stands, as text.

    Args:
        words: of each seed.

    Returns:
        Such as `"4 identified, 1 not optimised"`, the most frequent one first.

    Example:
        >>> counted(["identified"] * 4 + ["not optimised"])
        '4 identified, 1 not optimised'
    """
    names = sorted(dict.fromkeys(words), key=lambda word: -words.count(word))
    return ", ".join(f"{words.count(name)} {name}" for name in names)


def seed_words(
    record: Record,
    metric: str,
    reached: np.ndarray,
    *,
    bar: float | None = None,
    nulls: bool = True,
) -> list[str]:
    """The word of each seed.

    Args:
        record: of a finished run.
        metric: name of the score.
        reached: whether the score reaches the claim, `[seeds]`.
        bar: a bar of the claim's own for the gap, see `gap_bar`.
        nulls: whether its best value is 1, so that it has to beat its nulls.

    Returns:
        A word a seed, see the table above; dead seeds come last.
    """
    beats = beats_nulls(record, metric) if nulls else np.ones(reached.shape, bool)
    closed, known = gap_closed(record, bar), has_floor(record)
    if nulls:
        closed = closed & ~(~reached & explained(record, metric, bar))
    words = []
    for is_closed, is_reached, is_better in zip(closed, reached, beats, strict=True):
        if is_reached and not is_better:
            words.append(ALREADY)
        elif not known:
            words.append(NOT_JUDGED)
        else:
            words.append(four_words(bool(is_closed), bool(is_reached)))
    return words + dead_words(record)


def dead_words(record: Record) -> list[str]:
    """A word for each seed that died.

    Args:
        record: of a finished run.

    Returns:
        `NOT_FINITE`, as often as there are such seeds.
    """
    return [NOT_FINITE] * len(record.dead)


def mostly(record: Record, each: np.ndarray) -> bool:
    """Whether something holds for at least 4 of 5 seeds; for a dead one it does not.

    Args:
        record: of a finished run.
        each: whether it holds, for each living seed.

    Returns:
        True where it does.
    """
    return bool(np.sum(each) >= MOST * (len(each) + len(record.dead)))


def explained(record: Record, metric: str, bar: float | None = None) -> np.ndarray:
    """Whether a gap at its bar is enough to explain what a score lacks.

    True latents with so much noise that their gap is just at the bar score no better:
    then a closed gap does not say that an assumption fails. So with a rotation, but
    only where the loss sees it: where 45 degrees have a gap beyond the bar. Otherwise
    the theory may leave the rotation open.

    Args:
        record: of a finished run.
        metric: name of a score whose best value is 1.
        bar: a bar of the claim's own for the gap, see `gap_bar`.

    Returns:
        Booleans, `[seeds]`; False where the record has no perturbed latents.
    """
    kinds = admitted(record, bar)
    allowed = [kinds.get("noise", {}).get(metric, np.inf)]
    turned = kinds.get("rotation", {"open": 1.0})
    if not turned["open"]:
        allowed.append(turned.get(metric, np.inf))
    return record.values(metric) >= min(allowed)


def judged_by(record: Record, metric: str) -> str:
    """The score that decides the word of a metric.

    Args:
        record: of a finished run.
        metric: name of a score.

    Returns:
        `{metric}_cross_fitted` where the record holds it, else the metric.
    """
    held = f"{metric}_cross_fitted"
    return held if held in record.scores else metric


def above_chance(record: Record, metric: str) -> np.ndarray:
    """Whether a matching of few rows is better than chance makes it.

    The score of the very rows, as the law is of it: above the 99 % quantile.

    Args:
        record: of a finished run.
        metric: name of a score.

    Returns:
        Booleans, `[seeds]`; True where the record has no such quantile.
    """
    law = record.null(judged_by(record, metric), "chance")
    scores = record.values(metric)
    return np.ones(scores.shape, bool) if law is None else scores > law


def all_latents(record: Record, metric: str, threshold: float) -> np.ndarray:
    """Whether no latent hides in the mean of a score over latents.

    Each leaves at most five times what the claim leaves: 1 - score_i <= 5 (1 -
    threshold). Up to five latents the mean alone says as much.

    Args:
        record: of a finished run.
        metric: name of a score; `{metric}_per_dim` has it for each latent.
        threshold: of the claim, in [0, 1].

    Returns:
        Booleans, `[seeds]`; True where the record has no score for each latent.
    """
    each = record.scores.get(f"{judged_by(record, metric)}_per_dim")
    if each is None:
        return np.ones(len(record.seeds), bool)
    return np.min(np.asarray(each), axis=1) >= 1 - WORST * (1 - threshold)


def beats_nulls(record: Record, metric: str) -> np.ndarray:
    """Whether a score leaves at most half of what each of its nulls leaves.

    With low = score - 2 e, where e is the standard error of the score over evaluation
    batches: 1 - low <= (1 - null) / 2 and low - null >= 0.001. The nulls are x itself,
    the encoder before training, and shuffled outputs, as far as the record has them.

    Args:
        record: of a finished run.
        metric: name of a score whose best value is 1.

    Returns:
        Booleans, `[seeds]`; True of a score without nulls.
    """
    judged = judged_by(record, metric)
    scores = record.values(judged)
    low = scores - 2 * np.asarray(record.errors.get(judged, 0.0))
    beats = np.ones(scores.shape, bool)
    for name in NULLS:
        null = record.null(judged, name)
        if null is None:  # the probe had rows enough, for fewer columns
            null = record.null(metric, name)
        if null is not None:
            beats &= ~((1 - low > LEFT * (1 - null)) | (low - null < GAIN))
    return beats


def has_floor(record: Record) -> bool:
    """Whether the record tells how far the loss is from that of the true latents.

    Args:
        record: of a finished run.

    Returns:
        False for a run that trains nothing, too.
    """
    return record.floor_kind != "none" and "gap" in record.losses


def gap_bar(record: Record, own: float | None = None) -> np.ndarray:
    """Largest gap that counts as closed, `[seeds]`, nats.

    max(3 standard errors, 2 % of the signal), the errors capped at 10 % of it; the
    signal is the loss of a constant encoder minus the reference. Where the best linear
    map of x is known, the share is also at most 5 % of what separates its loss from the
    reference, though not below 1 % of the signal: at large batches most of it is gained
    before anything is recovered. Where no constant encoder's loss is known, the errors
    alone decide.

    Args:
        record: of a run with a reference.
        own: a bar of the claim's own, in place of all this.

    Returns:
        `[seeds]`, nats.
    """
    if own is not None:
        return np.full(len(record.seeds), own)
    if "chance" not in record.losses:
        return 3 * record.values("gap_se")
    reference = record.values("reference")
    signal = record.values("chance") - reference
    share = 0.02 * signal
    if "linear_loss" in record.losses:
        left = 0.05 * (record.values("linear_loss") - reference)
        share = np.clip(left, 0.01 * signal, share)
    return np.maximum(np.minimum(3 * record.values("gap_se"), 0.1 * signal), share)


def gap_closed(record: Record, own: float | None = None) -> np.ndarray:
    """Whether the gap to the reference is closed, for each seed.

    Args:
        record: of a finished run; one without a reference counts as closed.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        Booleans, `[seeds]`.
    """
    if not has_floor(record):
        return np.ones(len(record.seeds), bool)
    return record.values("gap") <= gap_bar(record, own)


def mostly_closed(record: Record, own: float | None = None) -> bool:
    """Whether the gap is closed for at least 4 of 5 seeds.

    Args:
        record: of a finished run; one without a reference counts as closed.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        True where it is.
    """
    return mostly(record, gap_closed(record, own))


def word_of_means(
    record: Record, metric: str, reached: bool, own: float | None = None
) -> str:
    """The word that the means over seeds suggest, where seeds are not looked at.

    Args:
        record: of a finished run.
        metric: name of the score.
        reached: whether its mean reaches the claim.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        A word, see the table above.
    """
    if not has_floor(record):
        return NOT_JUDGED
    closed = record.mean("gap") <= gap_bar(record, own).mean()
    return four_words(bool(closed), reached)


def admitted(record: Record, own: float | None = None) -> dict[str, dict[str, float]]:
    """What the bar on the gap still admits: perturbed latents whose gap is just there.

    Strength and scores between the recorded ones are interpolated in the gap. A
    perturbation that never reaches the bar stands with its last strength.

    Args:
        record: of a finished run.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        By kind of perturbation: `strength` (noise: share of the variance; rotation:
        degrees), `open` (1.0 where all strengths are admitted), and the scores.
    """
    if not has_floor(record):
        return {}
    bar, found = float(gap_bar(record, own).mean()), {}
    for kind, rows in record.perturbed.items():
        means = {name: np.mean(np.asarray(v), axis=0) for name, v in rows.items()}
        gaps = np.maximum.accumulate(np.append(0.0, means.pop("gap")))
        found[kind] = {"open": float(gaps[-1] <= bar)}
        for name, values in means.items():
            start = 0.0 if name == "strength" else 1.0
            found[kind][name] = float(np.interp(bar, gaps, np.append(start, values)))
    return found
