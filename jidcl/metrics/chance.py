"""What scores are worth by chance: laws of scores of independent outputs.

Closed forms take numbers and return numbers; draws are NumPy's, by an integer seed.
The law of one correlation of n rows is exact for normal outputs (any latents):
r^2 ~ Beta(1/2, (n - 2) / 2). `jidcl.theory` offers these under its own name.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.optimize import linear_sum_assignment
from scipy.special import betainc, betaincinv

from jidcl.checks import (
    check_above,
    check_count,
    check_finite,
    check_float,
    check_memory,
    check_scalar,
    check_shape,
)


class NullLaw(NamedTuple):
    """Scores of outputs that are independent of the latents.

    Attributes:
        expected_max: E of the largest of max(d, m) |correlations|: the mean of a
            matched MCC where min(d, m) = 1, an upper bound of it otherwise (close for
            m >= 2 d, some 10 % above for m = d).
        expected_one: E of one |correlation|.
        approximate: sqrt(2 ln m / n), as published; 0 for m = 1.
        corrected: the same with max(d, m) for m.
        r2_in_sample: of least squares without intercept on the rows it was fitted on.
        r2_affine_in_sample: with intercept. On other rows both are about -m / n.

    Example:
        >>> round(null_law(10, 50, 200).expected_max, 3)
        0.177

    Source: Joshi et al. 2026 (approximate); this library (the others).
    """

    expected_max: float
    expected_one: float
    approximate: float
    corrected: float
    r2_in_sample: float
    r2_affine_in_sample: float


def null_law(d: int, m: int, n: int) -> NullLaw:
    """What scores of independent outputs are on average, in closed form.

    E max = int_0^1 1 - I_(t^2)(1/2, (n - 2)/2)^max(d, m) dt, I the regularised
    incomplete beta function.

    Args:
        d: number of latents.
        m: number of outputs.
        n: number of scored rows, >= 3.

    Returns:
        `NullLaw`.

    Raises:
        ValueError: on d or m < 1, or n < 3.

    Example:
        >>> found = null_law(1, 1, 200)
        >>> round(found.expected_max, 4), found.approximate
        (0.0566, 0.0)

    Source: Joshi et al. 2026; the integral by this library.
    """
    check_count("d", d)
    check_count("m", m)
    check_count("n", n, 3)
    return NullLaw(
        _expected_max(max(d, m), n),
        _expected_max(1, n),
        float(np.sqrt(2 * np.log(m) / n)),
        float(np.sqrt(2 * np.log(max(d, m)) / n)),
        min(m / n, 1.0),
        min(m / (n - 1), 1.0),
    )


@functools.cache
def _expected_max(count: int, n: int) -> float:
    def above(t: float) -> float:
        return 1 - float(betainc(0.5, (n - 2) / 2, t * t)) ** count

    # Where the integrand falls from 1 to 0.
    top = float(np.sqrt(betaincinv(0.5, (n - 2) / 2, (1 - 1e-13) ** (1 / count))))
    knee = float(np.sqrt(betaincinv(0.5, (n - 2) / 2, 0.5 ** (1 / count))))
    parts = [(0.0, knee), (knee, top), (top, 1.0)]
    return float(sum(quad(above, *part, epsabs=1e-13, limit=200)[0] for part in parts))


def null_mcc_quantile(d: int, m: int, n: int, *, level: float = 0.95) -> float:
    """A score that the matched MCC of independent outputs stays below.

    The quantile of the largest of d m |correlations|: no mean of some of them is above
    it. Exact for min(d, m) = 1 and normal outputs, conservative otherwise.

    Args:
        d: number of latents.
        m: number of outputs.
        n: number of scored rows, >= 3.
        level: probability in (0, 1).

    Returns:
        The quantile.

    Raises:
        ValueError: on numbers outside of their range.

    Example:
        >>> round(null_mcc_quantile(1, 1, 200), 3)  # |r| of two columns
        0.139

    Source: this library.
    """
    check_count("d", d)
    check_count("m", m)
    check_count("n", n, 3)
    check_scalar("level", level)
    check_above("level", level, 0)
    check_above("1 - level", 1 - level, 0)
    below = float(level) ** (1 / (d * m))
    return float(np.sqrt(betaincinv(0.5, (n - 2) / 2, below)))


def sample_null_mcc(
    d: int,
    m: int,
    n: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    z_correlation: Any = None,
    y_correlation: Any = None,
) -> np.ndarray:
    """Draws of the matched MCC of outputs that are independent of the latents.

    Exact for jointly normal outputs and any latents with that correlation in the scored
    sample: U^T Y of orthonormal U is normal, and |y_j|^2 - |U^T y_j|^2 is the diagonal
    of a Wishart matrix with n - 1 - d degrees of freedom. No row is drawn.

    Args:
        d: number of latents.
        m: number of outputs.
        n: number of scored rows, > d; > d + m with `y_correlation`.
        draws: how many scores.
        seed: of the draws.
        z_correlation: of the latents in the scored sample, `[d, d]`; None: that of
            independent normal latents, drawn anew each time.
        y_correlation: of the law of the outputs, `[m, m]`; None: the identity.

    Returns:
        `[draws]`, float64.

    Raises:
        ValueError: on numbers outside of their range, or matrices of another shape.

    Example:
        >>> scores = sample_null_mcc(10, 50, 200, draws=200)
        >>> abs(float(scores.mean()) - null_law(10, 50, 200).expected_max) < 0.005
        True

    Source: this library.
    """
    check_count("d", d)
    check_count("m", m)
    check_count("n", n, max(3, d + (1 if y_correlation is None else m + 1)))
    free = n - 1 - d  # degrees of freedom outside of the latents
    check_count("draws", draws)
    check_count("seed", seed, 0)
    check_memory("draws", draws, draws * m * d, 8)
    given = _root_of("z_correlation", z_correlation, d)
    mixing = _root_of("y_correlation", y_correlation, m)
    rng = np.random.default_rng(seed)
    scores = np.empty(draws)
    for i in range(draws):
        inside = rng.normal(size=(d, m)) @ mixing.T
        if y_correlation is None:
            rest = rng.chisquare(free, size=m) if free else np.zeros(m)
        else:
            rest = np.sum((mixing @ _wishart_root(rng, m, free)) ** 2, axis=1)
        root = given
        if z_correlation is None:  # what n rows of independent latents have
            root = _wishart_root(rng, d, n - 1)
            root = root / np.linalg.norm(root, axis=1, keepdims=True)
        length = np.sqrt(np.sum(inside**2, axis=0) + rest)
        score = np.abs(root @ inside) / length[None]
        rows, columns = linear_sum_assignment(-score)
        scores[i] = score[rows, columns].mean()
    return scores


def _wishart_root(rng: np.random.Generator, size: int, free: int) -> np.ndarray:
    """The Cholesky factor of a Wishart matrix, by Bartlett's decomposition."""
    lower = np.tril(rng.normal(size=(size, size)), -1)
    lower[range(size), range(size)] = np.sqrt(rng.chisquare(free - np.arange(size)))
    return lower


def _root_of(name: str, matrix: Any, size: int) -> np.ndarray:
    """A with A A^T = the matrix, its rows of length 1."""
    if matrix is None:
        return np.eye(size)
    check_float(name, matrix)
    check_shape(name, matrix, (size, size))
    check_finite(name, matrix)
    held = np.asarray(matrix, np.float64)
    values, vectors = np.linalg.eigh((held + held.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0))
    sizes = np.linalg.norm(root, axis=1, keepdims=True)
    return root / np.where(sizes > 0, sizes, 1)


def samples_needed(
    d: int, m: int, *, below: float = 0.1, level: float | None = None
) -> int:
    """The number of scored rows at which chance alone scores below a number.

    Args:
        d: number of latents.
        m: number of outputs.
        below: in (0, 1); chance stays below it.
        level: with this probability (`null_mcc_quantile`); None: on average
            (`expected_max` of `null_law`).

    Returns:
        The least number of rows: about 2 ln max(d, m) / below^2.

    Raises:
        ValueError: on numbers outside of their range.

    Example:
        >>> samples_needed(10, 10)
        355
        >>> samples_needed(10, 200, below=0.2)
        219

    Source: this library, from the law of Joshi et al. 2026.
    """
    check_count("d", d)
    check_count("m", m)
    check_scalar("below", below)
    check_above("below", below, 1e-4)
    check_above("1 - below", 1 - below, 0)
    if level is not None:
        null_mcc_quantile(d, m, 3, level=level)  # its checks

    def chance(n: int) -> float:
        if level is None:
            return _expected_max(max(d, m), n)
        return null_mcc_quantile(d, m, n, level=level)

    low, high = 3, 4
    if chance(low) < below:
        return low
    while chance(high) >= below:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if chance(middle) >= below else (low, middle)
    return high
