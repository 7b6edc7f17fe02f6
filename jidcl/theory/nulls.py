"""What scores of known codes are: chance, dropped latents, linear mixtures.

The laws of chance are those of `jidcl.metrics.chance`, offered here too.

Source: Joshi, Saulus, Brendel, Brouillard, Sridhar, Reizinger 2026; the exact forms by
this library.
"""

from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import check_count, check_finite, check_rows, check_scalar
from jidcl.metrics.matching import assign


class StructuralLaws(NamedTuple):
    """Scores of codes that are m of the d latents, each scaled, without noise.

    Attributes:
        mcc_matched: 1: a matched MCC does not see what is lost.
        mcc_coverage: m / d.
        r2: mean over latents; correlation gives back a part of those left out.
        dci_disentanglement: importances of a lost latent spread over all codes.
        dci_completeness: m / d.
        mig_factor: by which MIG of complete codes is multiplied; 0 for one code.

    Example:
        >>> structural_laws(10, 5).mcc_coverage
        0.5

    Source: this library, for the dropped factors of Joshi et al. 2026.
    """

    mcc_matched: float
    mcc_coverage: float
    r2: float
    dci_disentanglement: float
    dci_completeness: float
    mig_factor: float


def structural_laws(d: int, m: int, *, rho: float = 0.0) -> StructuralLaws:
    """What scores are when codes are m of the d latents, in closed form.

    With f = m / d: R2 = f + (1 - f) m rho^2 / (1 + (m - 1) rho), DCI disentanglement
    f ln m / ln d, coverage and completeness f.

    Args:
        d: number of latents.
        m: number of latents kept, <= d.
        rho: correlation of every two latents, 0 <= rho < 1.

    Returns:
        `StructuralLaws`.

    Raises:
        ValueError: on numbers outside of their range.

    Example:
        >>> round(structural_laws(10, 3, rho=0.5).r2, 4)
        0.5625

    Source: this library, for the dropped factors of Joshi et al. 2026.
    """
    check_count("d", d)
    check_count("m", m, 1, d)
    check_scalar("rho", rho)
    if not 0 <= rho < 1:
        raise ValueError(f"rho must be in [0, 1), got {rho!r}")
    f = m / d
    r2 = f + (1 - f) * m * rho**2 / (1 + (m - 1) * rho)
    spread = 1.0 if d == 1 else f * float(np.log(m) / np.log(d))
    completeness = f if m > 1 else 1.0
    return StructuralLaws(1.0, f, float(r2), spread, completeness, f * (m > 1))


class PopulationMcc(NamedTuple):
    """MCC of linear codes of normal latents, of infinitely many rows.

    Attributes:
        correlation: of each latent with each code, `[d, m]`.
        matched: the mean over the best assignment, of min(d, m) pairs.
        coverage: the same sum over d.

    Example:
        >>> population_mcc(np.eye(2)).matched
        1.0

    Source: this library.
    """

    correlation: np.ndarray
    matched: float
    coverage: float


def population_mcc(matrix: Any, *, rho: float = 0.0) -> PopulationMcc:
    """MCC of y = A z for normal z with one correlation of every two, in closed form.

    c_ij = (S a_j)_i / sqrt(a_j^T S a_j), S_ij = rho off the diagonal and 1 on it.

    Args:
        matrix: A, `[m, d]`.
        rho: correlation of the latents, -1 / (d - 1) <= rho <= 1.

    Returns:
        `PopulationMcc`. A code of no variance correlates 0.

    Raises:
        ValueError: on another shape, or rho outside of its range.

    Example:
        >>> a = np.array([[1.0, 1.0], [1.0, -1.0]])
        >>> round(population_mcc(a).matched, 4)
        0.7071

    Source: this library.
    """
    check_rows("matrix", matrix)
    check_finite("matrix", matrix)
    check_scalar("rho", rho)
    a = np.asarray(matrix, np.float64)
    a = a / np.maximum(np.abs(a).max(axis=1, keepdims=True), 1e-300)
    d = a.shape[1]
    if not (-1 / (d - 1) if d > 1 else -1) <= rho <= 1:
        raise ValueError(f"rho must be in [-1 / (d - 1), 1] for d = {d}, got {rho!r}")
    covariance = np.full((d, d), float(rho)) + (1 - float(rho)) * np.eye(d)
    shared = covariance @ a.T
    variance = np.sum(a.T * shared, axis=0)
    # What rounding leaves of a code that cancels is no variance.
    noise = 8 * d * np.finfo(float).eps * np.sum(a**2, axis=1)
    size = np.sqrt(np.where(variance > noise, variance, 0))
    correlation = shared / np.where(size > 0, size, np.inf)
    score = np.abs(correlation)
    total = float(assign(score if d <= len(a) else score.T, xp=np)[1])
    return PopulationMcc(correlation, total / min(a.shape), total / d)
