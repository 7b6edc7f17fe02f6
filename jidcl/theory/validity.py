"""Where a score means what it says: a taxonomy of factors, codes and scores.

A score claims a class of codes: inside it should be 1, outside of it less. A false
negative is a score that drops inside; a false positive one that stays high outside, or
above 0.1 for codes that are independent of the factors.

Source: Joshi, Saulus, Brendel, Brouillard, Sridhar, Reizinger 2026; the table is this
library's reconstruction, tested against simulation.
"""

from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import check_choice, check_count
from jidcl.metrics.chance import null_law, sample_null_mcc

HIGH, LOW = 0.95, 0.1
DATA = {
    "D1": "independent factors",
    "D2": "factors of one correlation, 0.5",
    "D3": "a factor that is a function of another",
    "D4": "a factor that is a function of two others",
}
CODES = {
    "E1": "each factor, scaled",
    "E2": "each factor, bent",
    "E3": "a linear mixture, as many codes as factors",
    "E4": "some factors dropped",
    "E5": "each factor, scaled; some twice",
    "E6": "each factor, bent; some twice",
    "E7": "a linear mixture, more codes than factors",
    "E8": "several codes for each factor",
    "E9": "independent of the factors, normal",
    "E10": "independent of the factors, uniform",
}
_SCALE = ("E1", "E5")
_MONOTONE = ("E1", "E2", "E5", "E6")
_ELEMENTWISE = (*_MONOTONE, "E8")
CLAIMS = {
    "mcc": _SCALE,
    "spearman": _MONOTONE,
    "rdc": _ELEMENTWISE,
    "r2": ("E1", "E3", "E5", "E7"),
    "dci_lasso": _ELEMENTWISE,
    "dci_trees": _ELEMENTWISE,
    "mig": _ELEMENTWISE,
    "info_m": _ELEMENTWISE,
    "tmex": _ELEMENTWISE,
}
_NULL = ("E9", "E10")
_MATCHED = ("mcc", "spearman", "rdc", "tmex")


class Validity(NamedTuple):
    """What to expect of a score.

    Attributes:
        verdict: "valid", "false positive" or "false negative".
        reason: why, in one sentence.
        null: what the score is by chance, where a closed form says so; else NaN.

    Example:
        >>> validity("tmex", "D1", "E3").verdict
        'false positive'

    Source: this library, after Joshi et al. 2026.
    """

    verdict: str
    reason: str
    null: float


def validity(
    score: str,
    data: str,
    encoder: str,
    *,
    d: int = 5,
    m: int | None = None,
    n: int = 200,
) -> Validity:
    """Whether a score can be taken at its word for such factors and codes.

    Args:
        score: a name of `CLAIMS`: mcc, spearman, rdc, r2 (cross-fitted), dci_lasso,
            dci_trees, mig, info_m or tmex (alignment).
        data: a name of `DATA`, D1 to D4.
        encoder: a name of `CODES`, E1 to E10.
        d: number of factors.
        m: number of codes; the encoder's own when None (d; d - 1, d + 1, 2 d).
        n: number of scored rows.

    Returns:
        `Validity`.

    Raises:
        ValueError: on a name that is none, or numbers outside of their range.

    Example:
        >>> validity("mcc", "D1", "E1").verdict
        'valid'
        >>> validity("dci_trees", "D3", "E1").verdict
        'false negative'

    Source: this library, after Joshi et al. 2026.
    """
    check_choice("score", score, CLAIMS)
    check_choice("data", data, DATA)
    check_choice("encoder", encoder, CODES)
    check_count("d", d, 2)
    check_count("n", n, 3)
    own = {"E4": d - 1, "E5": d + 1, "E6": d + 1, "E7": 2 * d, "E8": 2 * d}
    m = own.get(encoder, d) if m is None else m
    check_count("m", m)
    null = _chance(score, d, m, n)
    if encoder in _NULL:
        if not null <= LOW:  # NaN: not known to be low
            return Validity("false positive", _why_null(score), null)
        return Validity("valid", "chance stays below 0.1", null)
    if encoder in CLAIMS[score]:
        why = _why_low(score, data, encoder, n)
        return Validity("false negative" if why else "valid", why or _INSIDE, null)
    why = _why_high(score, data, encoder, m / d)
    return Validity("false positive" if why else "valid", why or _OUTSIDE, null)


_INSIDE = "the codes are of the class that the score claims, and nothing lowers it"
_OUTSIDE = "the codes are outside of the class that the score claims, and it drops"


def _chance(score: str, d: int, m: int, n: int) -> float:
    if score in ("mcc", "spearman"):
        if n <= d:
            return null_law(d, m, n).expected_max
        return float(sample_null_mcc(d, m, n, draws=200).mean())
    if score == "r2":
        return 0.0
    if score == "tmex":  # level 0.023 of the mean statistic
        return 1 - (1 - 0.023) ** max(d, m)
    if score == "mig":
        return 0.02
    if score == "dci_trees":
        return 0.0 if n >= 20 * max(d, m) else float("nan")
    return float("nan")


def _why_null(score: str) -> str:
    return {
        "mcc": "the largest of many chance correlations: use more rows, or hold out",
        "spearman": "the largest of many chance correlations: use more rows",
        "rdc": "20 features of each column fit noise",
        "info_m": "informations of noise share unevenly: it is no test of independence",
        "tmex": "one of many tests rejects by chance",
        "dci_lasso": "weights of noise spread unevenly over factors",
    }.get(score, "too few rows for so many codes")


def _why_low(score: str, data: str, encoder: str, n: int) -> str:
    twice = encoder in ("E5", "E6", "E8")
    bent = encoder in ("E2", "E6")
    if score == "mig":
        if twice:
            return "two codes share a factor: its gap is 0"
        if bent:
            return "bins of equal width of codes of heavy tails hold no information"
        if data != "D1":
            return "dependent factors share information"
        if n < 1500:
            return "plug-in informations of 20 bins are biased: use more rows"
    if score == "info_m" and data != "D1":
        return "dependent factors share information"
    if score == "dci_lasso" and bent:
        return "a linear read-out of codes of heavy tails takes what noise adds"
    if score == "dci_lasso" and encoder == "E8":
        return "an even function of a factor has the weights of noise"
    if score == "dci_trees" and data == "D3":
        return "trees take a factor and a function of it for one another"
    if score == "dci_trees" and data == "D4" and encoder == "E8":
        return "trees take a factor and a function of others for one another"
    if score == "tmex":
        if bent:
            return "a linear test misses codes of heavy tails"
        if encoder == "E8" and data == "D3":
            return "linear tests given a function of the factor have no power"
    return ""


def _why_high(score: str, data: str, encoder: str, ratio: float) -> str:
    if encoder == "E4" and score in _MATCHED:
        return "matched scores leave out factors without a code: read coverage"
    if encoder == "E4" and score in ("dci_lasso", "info_m") and data == "D1":
        return "the score is of the codes that there are, not of the factors"
    if encoder in ("E3", "E7") and score == "tmex":
        return "alignment ignores codes that depend on several factors: read f1"
    if encoder == "E8" and score == "spearman" and ratio == 2:
        return "the sine of a factor is nearly monotone"
    if encoder == "E8" and score == "r2" and ratio > 3:
        return "many pieces of a factor add up to it, linearly"
    return ""


def verdicts(
    scores: Any, inside: Any, null: Any, *, high: float = HIGH, low: float = LOW
) -> np.ndarray:
    """What simulated scores say: 0 as it should be, -1 false negative, 1 positive.

    Args:
        scores: `[data, encoders, scores]`; NaN: none.
        inside: whether the encoder is of the score's class, `[encoders, scores]`.
        null: whether it is independent of the factors, `[encoders]`.
        high: least score of what is recovered.
        low: largest score of what is independent.

    Returns:
        Integers like `scores`; 2 where there is no score.

    Example:
        >>> verdicts(np.array([[[1.0, 0.9]]]), np.array([[0, 1]]), np.zeros(1)).tolist()
        [[[1, -1]]]

    Source: Joshi et al. 2026, reconstructed.
    """
    scores, inside = np.asarray(scores, np.float64), np.asarray(inside) > 0
    null = np.asarray(null)[None, :, None] > 0
    of_null = np.where(scores > low, 1, 0)
    of_class = np.where(inside, np.where(scores < high, -1, 0), scores >= high)
    found = np.where(null, of_null, of_class)
    return np.where(np.isnan(scores), 2, found)
