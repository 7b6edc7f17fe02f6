"""Every score of a representation that applies, each with its chance and its limits.

Takes arrays that NumPy reads; on the host, in float64, but for the lasso.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.stats import t as student

from jidcl.checks import check_array, check_count, check_finite
from jidcl.compiled import compiled
from jidcl.metrics.chance import null_law, sample_null_mcc, samples_needed
from jidcl.metrics.columns import standardised
from jidcl.metrics.cross_fit import Matching, Reading, against, orders_in_folds
from jidcl.metrics.dci import dci_lasso
from jidcl.metrics.information import info_mc, mig
from jidcl.metrics.matching import correlation_matrix, fold_rows, mcc
from jidcl.metrics.rdc import rdc
from jidcl.metrics.tmex import tmex

LEAST_ROWS, BLOCKS, FEW = 30, 10, 19
MEANING = {
    "mcc": "held-out MCC: each factor in a code of its own, scaled",
    "spearman": "held-out MCC of ranks: each factor in its own code, bent one way",
    "mcc_in_sample": "MCC on the rows that chose the matching, as usually stated",
    "r2": "held-out linear R2: all factors in the codes, linearly mixed",
    "rdc": "matched dependence through any function: each factor in a code of its own",
    "dci_d": "DCI disentanglement by lasso: no code of two factors",
    "dci_c": "DCI completeness by lasso: no factor in two codes",
    "mig": "mutual information gap: one code for each factor",
    "info_m": "InfoM: every code informs of one factor",
    "info_c": "InfoC: every factor in one code",
    "tmex_f1": "T-MEX, F1: codes depend on their factor alone, given the others",
}
Score = Callable[[np.ndarray, np.ndarray], float]


class ScoreRow(NamedTuple):
    """One score.

    Attributes:
        name: a key of `MEANING`.
        score: of all rows.
        low: end of its 95 % interval, by a jackknife over ten blocks of rows.
        high: the other end.
        null: the 95 % quantile of the score by chance.
        p_value: of independence; at least 1 / (permutations + 1).
        meaning: what it is 1 for.
        note: what in these data speaks against it; empty where nothing does.
    """

    name: str
    score: float
    low: float
    high: float
    null: float
    p_value: float
    meaning: str
    note: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Scores of a representation, and notes on the data.

    Attributes:
        rows: number of rows that were scored.
        factors: number of columns of z.
        codes: number of columns of y.
        scores: a `ScoreRow` each.
        notes: what the data say of all scores.
        correlations: of each factor with each code, `[d, m]`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(60, 2))
        >>> found = report(z, z[:, ::-1], permutations=4)
        >>> found.factors, round(found.scores[0].score, 3)
        (2, 1.0)

    Source: this library.
    """

    rows: int
    factors: int
    codes: int
    scores: tuple[ScoreRow, ...]
    notes: tuple[str, ...]
    correlations: np.ndarray


def report(
    z: Any, y: Any, *, permutations: int = 99, most_rows: int = 4000, seed: int = 0
) -> Report:
    """All scores of a representation, with chance, p-values, intervals and notes.

    Args:
        z: true factors, `[samples, d]` or `[samples]`; whole numbers are taken for
            discrete factors where there are at most 20 values.
        y: representation, `[samples, m]` or `[samples]`.
        permutations: of rows, for chance and p-values; of scores that take long at most
            19.
        most_rows: a random choice of so many rows stands for more.
        seed: of folds, permutations and that choice.

    Returns:
        `Report`.

    Raises:
        ValueError: on wrong shapes, NaN or infinities, fewer than 30 rows, as many
            columns as rows, or columns that are all constant.
        TypeError: on arrays that hold no real numbers.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(60, 2))
        >>> found = report(z, rng.normal(size=(60, 2)), permutations=4)
        >>> found.scores[0].name, found.scores[0].p_value > 0.05
        ('mcc', True)

    Source: scores as their own pages say; this library.
    """
    check_count("permutations", permutations)
    check_count("most_rows", most_rows, LEAST_ROWS)
    check_count("seed", seed, 0)
    z, y = _rows("z", z), _rows("y", y)
    if len(z) != len(y):
        raise ValueError(
            f"z and y must have the same number of rows, got {len(z)} and {len(y)}"
        )
    given = len(z)
    if given > most_rows:
        chosen = np.sort(
            np.random.default_rng([seed, 2]).permutation(given)[:most_rows]
        )
        z, y = z[chosen], y[chosen]  # a mapped file is read here, and no more of it
    z, y = np.asarray(z, np.float64), np.asarray(y, np.float64)
    for name, x in (("z", z), ("y", y)):
        check_finite(name, x)
        if x.shape[1] >= len(x):
            raise ValueError(
                f"{name} must have fewer columns than rows, got {list(x.shape)}"
            )
        if not (x.max(axis=0) > x.min(axis=0)).any():
            raise ValueError(f"{name} must have a column that varies")
    notes = _notes(z, y, given)
    scores = _scored(z, y, permutations, seed)
    return Report(
        len(z),
        z.shape[1],
        y.shape[1],
        tuple(row._replace(note=_note(row.name, notes)) for row in scores),
        tuple(text for text, _ in notes),
        _correlations(z, y),
    )


def _rows(name: str, x: Any) -> np.ndarray:
    """A matrix of numbers of an array of any framework, a mapped file as it is."""
    x = x if hasattr(x, "dtype") and not hasattr(x, "detach") else np.asarray(x)
    check_array(name, x)
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got {x.dtype}")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[0] < LEAST_ROWS or x.shape[1] < 1:
        raise ValueError(
            f"{name} must have shape [samples >= {LEAST_ROWS}, columns >= 1], got "
            f"{list(x.shape)}"
        )
    return x


# Scores ------------------------------------------------------------------------------


def _scored(z: np.ndarray, y: np.ndarray, permutations: int, seed: int):
    folds = fold_rows(len(z), 5, seed=seed)
    orders = orders_in_folds(folds, permutations, seed)
    few = orders[: FEW + 1]
    for name, ranked in (("mcc", False), ("spearman", True)):
        one = Matching(z, y, folds, ranked)

        def held_out(z, y, ranked=ranked):
            rows = fold_rows(len(z), 5, seed=seed)
            return Matching(z, y, rows, ranked).score(np.arange(len(z)))

        yield _row(name, [one.score(o) for o in orders], held_out, z, y)
    yield _in_sample(z, y, seed)
    reading = Reading(z, y, folds)

    def read(z, y):
        rows = fold_rows(len(z), 5, seed=seed)
        return float(Reading(z, y, rows).z_from_y(np.arange(len(z))).mean())

    reads = [float(reading.z_from_y(o).mean()) for o in orders]
    yield _row("r2", reads, read, z, y)

    def dependence(z, y):
        return float(rdc(z, y, seed=seed).mean)

    yield _row("rdc", [dependence(z, y[o]) for o in few], dependence, z, y)
    yield from _lasso(z, y, orders)

    def gap(z, y):
        return float(mig(z, y, xp=np).score)

    yield _row("mig", [gap(z, y[o]) for o in few], gap, z, y)

    def informed(z, y):
        found = info_mc(z, y, xp=np)
        return np.asarray([found.modularity, found.compactness], np.float64)

    held = np.asarray([informed(z, y[o]) for o in few])
    parts = _blocks(informed, z, y)
    for i, name in enumerate(("info_m", "info_c")):
        yield _of_parts(name, list(held[:, i]), parts[:, i])
    if len(z) >= 2 * (z.shape[1] + 2):

        def tested(z, y):
            return float(tmex(z, y, seed=seed).f1)

        yield _row("tmex_f1", [tested(z, y[o]) for o in few], tested, z, y)


def _lasso(z: np.ndarray, y: np.ndarray, orders: list[np.ndarray]):
    """Both scores of DCI, of all orders and blocks in one program."""
    rng = np.random.default_rng(0)
    mixed = rng.permutation(len(z))  # the first rows are fitted
    z, y = (np.float32(standardised(x[mixed], np)) for x in (z, y))  # type: ignore
    rank = np.argsort(mixed)
    moved = np.asarray([rank[order[mixed]] for order in orders])
    held = np.asarray(_of_orders(z, y, moved), np.float64)
    blocks = _block_rows(len(z))
    whole = np.arange(len(blocks[0]))[None]
    parts = np.asarray([_of_orders(z[b], y[b], whole) for b in blocks])[..., 0]
    for i, name in enumerate(("dci_d", "dci_c")):
        yield _of_parts(name, list(held[i]), parts[:, i])


@compiled
def _of_orders(z, y, orders):
    def one(order):
        found = dci_lasso(z, y[order], rounds=100)
        return found.disentanglement, found.completeness

    return jax.lax.map(one, orders)


def _in_sample(z: np.ndarray, y: np.ndarray, seed: int) -> ScoreRow:
    def matched(z, y):
        return float(mcc(z, y, xp=np).mean)

    n, d, m = len(z), z.shape[1], y.shape[1]
    own = matched(z, y)
    null = sample_null_mcc(
        d,
        m,
        n,
        draws=400,
        seed=seed,
        z_correlation=_among(z),
        y_correlation=_among(y) if n > d + m else None,
    )
    return _of_parts("mcc_in_sample", [own, *null], _blocks(matched, z, y))


def _correlations(z: Any, y: Any, *, spearman: bool = False) -> np.ndarray:
    return np.asarray(correlation_matrix(z, y, spearman=spearman, xp=np))


def _among(x: np.ndarray) -> np.ndarray:
    """Correlations of the columns; a constant one correlates with itself alone."""
    found = _correlations(x, x)
    np.fill_diagonal(found, 1)
    return found


def _block_rows(samples: int) -> list[np.ndarray]:
    """All rows but those of a block, for each block: all of one number."""
    size = samples // BLOCKS
    order = np.random.default_rng(1).permutation(samples)
    return [
        np.sort(np.delete(order, np.s_[i * size : (i + 1) * size]))
        for i in range(BLOCKS)
    ]


def _blocks(score: Callable, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray([score(z[rows], y[rows]) for rows in _block_rows(len(z))])


def _row(name: str, held: list[float], score: Score, z, y) -> ScoreRow:
    return _of_parts(name, held, _blocks(score, z, y))


def _of_parts(name: str, held: list[float], parts: np.ndarray) -> ScoreRow:
    """The first of `held` against the others; the interval from blocks left out."""
    own, null, p = against(held)
    error = float(np.sqrt((BLOCKS - 1) * np.mean((parts - parts.mean()) ** 2)))
    reach = float(student.ppf(0.975, BLOCKS - 1)) * error
    return ScoreRow(name, own, own - reach, own + reach, null, p, MEANING[name], "")


# Notes -------------------------------------------------------------------------------

Note = tuple[str, tuple[str, ...]]


def _note(name: str, notes: list[Note]) -> str:
    return "; ".join(text for text, names in notes if name in names)


def _notes(z: np.ndarray, y: np.ndarray, given: int) -> list[Note]:
    """What the data say, and the scores that it speaks against."""
    n, d, m = len(z), z.shape[1], y.shape[1]
    found: list[Note] = []
    if given > n:
        found.append((f"{n} of {given} rows, at random, were scored", ()))
    needed = samples_needed(d, m, below=0.1)
    if n < needed:
        chance = null_law(d, m, n).expected_max
        text = (
            f"{n} rows: chance alone reaches an in-sample MCC of {chance:.2f}; "
            f"{needed} rows bring it below 0.1"
        )
        found.append((text, ("mcc_in_sample", "rdc")))
    if n < 1500:
        found.append(
            (
                f"{n} rows: 20 bins bias informations; perfect codes score below 1",
                ("mig",),
            )
        )
    if m < d:
        text = f"{m} codes for {d} factors: matched scores leave {d - m} factors out"
        found.append((text, ("mcc", "spearman", "mcc_in_sample", "rdc")))
    if m > 3 * d:
        text = f"{m} codes for {d} factors: wide codes read everything linearly"
        found.append((text, ("r2", "dci_d")))
    found += _column_notes("z", z) + _column_notes("y", y)
    found += _dependence_notes(z, y)
    return found


def _column_notes(name: str, x: np.ndarray) -> list[Note]:
    found: list[Note] = []
    constant = np.flatnonzero(x.max(axis=0) == x.min(axis=0))
    if len(constant):
        text = f"columns {constant.tolist()} of {name} are constant: they score 0"
        found.append((text, ()))
    held = np.asarray(standardised(x, np))  # type: ignore[arg-type]
    tails = np.flatnonzero(np.abs(held).max(axis=0) > 15)
    if len(tails):
        text = f"columns {tails.tolist()} of {name} have heavy tails: read rank scores"
        names = ("mcc", "mcc_in_sample", "r2", "mig", "info_m", "dci_d", "tmex_f1")
        found.append((text, names))
    levels = [len(np.unique(column)) for column in x.T]
    whole = [bool(np.all(column == np.round(column))) for column in x.T]
    few = [i for i, c in enumerate(levels) if 1 < c <= 20 and whole[i]]
    if few and len(few) < x.shape[1]:
        text = f"columns {few} of {name} have few whole values: taken for discrete"
        found.append((text, ("mig", "info_m", "info_c") if name == "z" else ()))
    return found


def _dependence_notes(z: Any, y: Any) -> list[Note]:
    found: list[Note] = []
    lowered = ("dci_d", "mig", "info_m", "info_c")
    plain, ranked = (np.abs(_correlations(z, z, spearman=s)) for s in (False, True))
    among = np.triu(np.maximum(plain, ranked), 1)
    most = float(among.max())
    if most > 0.3:
        i, j = np.unravel_index(np.argmax(among), among.shape)
        text = (
            f"factors {i} and {j} correlate ({most:.2f}): what they share is taken for "
            "entanglement"
        )
        found.append((text, lowered))
    elif z.shape[1] > 1:
        own = rdc(z, z).matrix - 2 * np.eye(z.shape[1])
        if own.max() > 0.8:
            i, j = np.unravel_index(np.argmax(own), own.shape)
            text = f"factor {i} may be a function of factor {j}"
            found.append((text, lowered))
    codes = np.triu(np.abs(_correlations(y, y, spearman=True)), 1)
    twice = np.argwhere(codes > 0.999)
    if len(twice):
        i, j = twice[0]
        text = f"codes {i} and {j} are copies: their factor has no gap"
        found.append((text, ("mig", "info_c", "dci_c")))
    return found
