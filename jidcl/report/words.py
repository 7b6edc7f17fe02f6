"""The four words, from two measured facts, and the gap that counts as closed.

| | score reaches the claim | score does not |
|---|---|---|
| gap closed | identified | not identified |
| gap open | identified early | not optimised |

A run without a floor counts as closed, and a run that trains nothing gets no word.
Imports no JAX: it reads records.
"""

import numpy as np

from jidcl.report.records import Record

MOST = 0.8  # share of seeds that decides a row, with the mean: 4 of 5


def four_words(closed: bool, reached: bool) -> str:
    """The table above.

    Args:
        closed: whether the gap to the floor is closed.
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


def has_floor(record: Record) -> bool:
    """Whether the record tells how far the loss is from its least value.

    Args:
        record: of a finished run.

    Returns:
        False for a run that trains nothing, too.
    """
    return record.floor_kind != "none" and "gap" in record.losses


def gap_bar(record: Record, own: float | None = None) -> np.ndarray:
    """Largest gap that counts as closed, `[seeds]`, nats.

    max(3 standard errors, 2 % of the signal), the errors capped at 10 % of it; the
    signal is the loss of a constant encoder minus the floor. Where the best linear map
    of x is known, the share is also at most 5 % of what separates its loss from the
    floor, though not below 1 % of the signal: at large batches most of it is gained
    before anything is recovered. Where no constant encoder's loss is known, the errors
    alone decide.

    Args:
        record: of a run with a floor.
        own: a bar of the claim's own, in place of all this.

    Returns:
        `[seeds]`, nats.
    """
    if own is not None:
        return np.full(len(record.seeds), own)
    if "chance" not in record.losses:
        return 3 * record.values("gap_se")
    floor = record.values("floor")
    signal = record.values("chance") - floor
    share = 0.02 * signal
    if "linear_loss" in record.losses:
        left = 0.05 * (record.values("linear_loss") - floor)
        share = np.clip(left, 0.01 * signal, share)
    return np.maximum(np.minimum(3 * record.values("gap_se"), 0.1 * signal), share)


def gap_closed(record: Record, own: float | None = None) -> np.ndarray:
    """Whether the gap to the floor is closed, for each seed.

    Args:
        record: of a finished run; one without a floor counts as closed.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        Booleans, `[seeds]`.
    """
    if not has_floor(record):
        return np.ones(len(record.seeds), bool)
    return record.values("gap") <= gap_bar(record, own)


def mean_closed(record: Record, own: float | None = None) -> bool:
    """Whether the mean gap is closed, and those of at least 4 of 5 seeds.

    Args:
        record: of a finished run; one without a floor counts as closed.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        True where both hold.
    """
    if not has_floor(record):
        return True
    most = gap_closed(record, own).mean() >= MOST
    return bool(most and record.mean("gap") <= gap_bar(record, own).mean())


def mean_gap(record: Record) -> float | None:
    """Mean gap to the floor over seeds, nats; None without a floor.

    Args:
        record: of a finished run.

    Returns:
        The mean, nats.
    """
    return record.mean("gap") if has_floor(record) else None


def mean_bar(record: Record, own: float | None = None) -> float | None:
    """Mean of `gap_bar` over seeds; None without a floor.

    Args:
        record: of a finished run.
        own: a bar of the claim's own, see `gap_bar`.

    Returns:
        The mean, nats.
    """
    return float(gap_bar(record, own).mean()) if has_floor(record) else None
