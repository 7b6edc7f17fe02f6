"""Twelve kinds of pairs whose truth is known, and the sentences that count as right.

`CASES` was written before any rule that says a sentence, `TRUTH` before any rate was
counted. The page `docs/own-data.md` shows both, and a test holds them together.
"""

import dataclasses

import numpy as np
from scipy.special import ndtr

from jidcl.checks import check_choice, check_count

LATENTS, FEATURES = 3, 6
WIDTH = 0.05  # of the law of a change, where factors fill a unit box
OUTPUTS = 3  # that the encoder is asked for


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of planted pairs.

    Attributes:
        truth: what is planted, a few words.
        right: groups of sentences; one of each group must be said.
        wrong: sentences that must not be said.
        p: exponent of the objective that the encoder is fitted with.
    """

    truth: str
    right: tuple[tuple[str, ...], ...]
    wrong: tuple[str, ...]
    p: float = 1.0


CASES = {
    "matched": Case(
        "independent uniform factors, each changes by the same Laplace law",
        (("supported",), ("coordinates",)),
        (
            "unsupported", "few", "other_p", "anisotropic", "dependent", "heavy_tails",
            "fewer_directions", "unchanged", "already_linear", "constant", "duplicate",
        ),
    ),
    "wrong_p": Case(
        "the same, fitted with p = 2 while the changes follow p = 1",
        (("supported",), ("other_p",)),
        ("unsupported", "few"),
        p=2.0,
    ),
    "anisotropic": Case(
        "one factor changes six times as much as another",
        (("supported",), ("anisotropic",)),
        ("unsupported", "few", "unchanged"),
    ),
    "dependent": Case(
        "two of the factors are correlated, 0.9",
        (("supported",), ("dependent",)),
        ("unsupported", "few"),
    ),
    "shuffled": Case(
        "the partners are in random order",
        (("unsupported", "few"),),
        (
            "supported", "coordinates", "linear_only", "already_linear", "anisotropic",
            "other_p", "unchanged",
        ),
    ),
    "constant_feature": Case(
        "matched, and one feature is the same number everywhere",
        (("supported",), ("constant",), ("coordinates",)),
        ("unsupported", "few", "other_p"),
    ),
    "few_samples": Case(
        "matched, forty pairs",
        (("unsupported", "few"),),
        ("coordinates", "already_linear"),
    ),
    "duplicate_columns": Case(
        "matched, and one feature is another one in other units",
        (("supported",), ("duplicate",), ("coordinates",)),
        ("unsupported", "few", "other_p"),
    ),
    "non_invertible": Case(
        "only two of the three factors reach the features",
        (("supported",), ("fewer_directions",)),
        ("unsupported", "few"),
    ),
    "heavy_tails": Case(
        "factors follow a Student law of three degrees of freedom",
        (("supported",), ("heavy_tails",)),
        ("unsupported", "few"),
    ),
    "unchanged": Case(
        "one of the factors is the same in both of a pair",
        (("supported",), ("unchanged",)),
        ("unsupported", "few"),
    ),
    "already_linear": Case(
        "matched factors, mixed by a matrix",
        (("supported",), ("already_linear",)),
        ("unsupported", "few"),
    ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Truth:
    """Where a sentence is true of the planted pairs.

    Attributes:
        true: cases of `CASES`.
        open: cases that do not settle it. In all other cases it is false.
    """

    true: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    def of(self, name: str) -> bool | None:
        """Whether it is true of a case; None where the case does not settle it.

        Args:
            name: of `CASES`.

        Returns:
            True, False or None.
        """
        return None if name in self.open else name in self.true


# Pairs that share something, enough of them; changes that follow p = 1, which is used.
_SHARING = tuple(name for name in CASES if name not in ("shuffled", "few_samples"))
_MATCHED = ("matched", "constant_feature", "duplicate_columns", "already_linear")
_UNSETTLED = ("non_invertible", "heavy_tails", "dependent", "unchanged")
# `one_run` and `open_p` tell of a fit and not of its pairs, `not_from_pairs` always.
TRUTH = {
    "supported": Truth(_SHARING, ("few_samples",)),
    "unsupported": Truth(("shuffled",), ("few_samples",)),
    "few": Truth(("few_samples",), ("shuffled",)),
    "coordinates": Truth(_MATCHED, (*_UNSETTLED, "anisotropic")),
    "linear_only": Truth(("wrong_p",), (*_UNSETTLED, "anisotropic")),
    "disagree": Truth((), _UNSETTLED),
    "already_linear": Truth(("already_linear",)),
    "own_p": Truth((*_MATCHED, "anisotropic"), (*_UNSETTLED, "few_samples")),
    "other_p": Truth(("wrong_p",), (*_UNSETTLED, "few_samples")),
    "anisotropic": Truth(
        ("anisotropic",), ("dependent", "non_invertible", "unchanged")
    ),
    "unchanged": Truth(("unchanged",), ("non_invertible",)),
    "dependent": Truth(("dependent",), ("non_invertible",)),
    "heavy_tails": Truth(("heavy_tails",)),
    "fewer_directions": Truth(("non_invertible",)),
    "collapsed": Truth(),
    "constant": Truth(("constant_feature",)),
    "duplicate": Truth(("duplicate_columns",)),
}


def plant(name: str, seed: int, rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a case.

    Args:
        name: of `CASES`.
        seed: of all draws, the mixing among them.
        rows: pairs; `few_samples` has forty at most.

    Returns:
        `(x, x_pos)`, float32 `[rows, features]`.

    Raises:
        ValueError: on an unknown name.

    Example:
        >>> x, x_pos = plant("constant_feature", 0, rows=50)
        >>> x.shape, float(x[:, -1].std())
        ((50, 6), 0.0)
    """
    check_choice("name", name, CASES)
    check_count("rows", rows)
    rng = np.random.default_rng([seed, list(CASES).index(name)])
    rows = min(rows, 40) if name == "few_samples" else rows
    z = rng.uniform(size=(rows, LATENTS)) - 0.5
    width = np.full(LATENTS, WIDTH)
    if name == "dependent":
        shared = rng.normal(size=rows)
        for j in range(2):
            own = rng.normal(size=rows)
            z[:, j] = _uniform(np.sqrt(0.9) * shared + np.sqrt(0.1) * own)
    elif name == "heavy_tails":
        z = 0.3 * rng.standard_t(3, size=(rows, LATENTS))
    elif name == "anisotropic":
        width = WIDTH * np.array([0.4, 1.0, 2.4])
    elif name == "unchanged":
        width = WIDTH * np.array([1.0, 1.0, 0.0])
    z_pos = z + rng.laplace(size=z.shape) * width
    if name == "shuffled":
        z_pos = z_pos[rng.permutation(rows)]
    seen = slice(0, 2) if name == "non_invertible" else slice(None)
    straight = name == "already_linear"
    mix = _mixing(rng, z[:, seen].shape[1], straight=straight)
    both = [mix(part[:, seen]) for part in (z, z_pos)]
    if name == "constant_feature":
        both = [np.column_stack([x[:, :-1], np.full(rows, 2.5)]) for x in both]
    elif name == "duplicate_columns":
        both = [np.column_stack([x[:, :-1], 3 - 2 * x[:, 0]]) for x in both]
    x, x_pos = (x.astype(np.float32) for x in both)
    return x, x_pos


def _uniform(normal: np.ndarray) -> np.ndarray:
    """Normal numbers of unit variance as uniform ones around 0."""
    return ndtr(normal) - 0.5


def _mixing(rng: np.random.Generator, n: int, *, straight: bool):
    """A random map of n factors to the features that can be undone on its image.

    A matrix, or three of them with u + 0.9 sin u between, which keeps tails.
    """
    first = np.linalg.qr(rng.normal(size=(FEATURES, n)))[0].T
    second, third = (np.linalg.qr(rng.normal(size=(FEATURES,) * 2))[0] for _ in "ab")
    if straight:
        return lambda z: z @ first @ second

    def wave(u: np.ndarray) -> np.ndarray:
        return u + 0.9 * np.sin(u)

    return lambda z: wave(3 * wave(6 * z @ first) @ second) @ third
