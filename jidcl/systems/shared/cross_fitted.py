"""Scores and nulls on rows that chose no fit: what words need where rows are few.

A fit to m columns of N rows hides m / N of what it leaves, and a matching of few rows
takes the best of chance. With 20 rows for each column that is a twentieth of what is
left: no word hangs on it, and nothing is computed here. `jidcl.report.words` reads
what is.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from jidcl.metrics import fold_rows, held_out_mcc, held_out_r2
from jidcl.metrics.chance import null_mcc_quantile
from jidcl.types import Array, Metrics

ROWS_A_COLUMN, FOLDS, LEAST = 20, 5, 6
SURE = 0.99  # share of chance that a matching has to be above


def cross_fitted(
    z: Array,
    y: Array,
    nulls: Mapping[str, Array],
    names: tuple[str, ...] = ("r2", "mcc"),
    *,
    xp: ModuleType,
) -> tuple[Metrics, dict[str, Metrics]]:
    """Cross-fitted scores of y, and of what stands in its place, where rows are few.

    Args:
        z: true latents, `[rows, n]`.
        y: representation, `[rows, m]`.
        nulls: by name, what is read in place of y, `[rows, columns]`.
        names: of the scores, of r2, mcc and mcc_spearman.
        xp: `numpy`, or `jax.numpy` while tracing.

    Returns:
        `(scores, nulls)`: `{name}_cross_fitted` and `{name}_cross_fitted_per_dim`; the
        nulls of the former by name, with `chance` for a matching: the quantile `SURE`
        of its exact law. Empty with `ROWS_A_COLUMN` rows for each column; NaN with
        fewer than `LEAST` rows.
    """
    rows, columns = len(z), max(x.shape[1] for x in (z, y, *nulls.values()))
    if rows >= ROWS_A_COLUMN * columns:
        return {}, {}
    scores: dict[str, Any] = {}
    found: dict[str, Metrics] = {}
    for name in names:
        own = f"{name}_cross_fitted"
        scores[own], scores[f"{own}_per_dim"] = _score(name, z, y, xp)
        found[own] = {k: _score(name, z, v, xp)[0] for k, v in nulls.items()}
        if name != "r2" and rows >= LEAST:
            law = null_mcc_quantile(z.shape[1], y.shape[1], rows, level=SURE)
            found[own]["chance"] = xp.asarray(law, z.dtype)
    return scores, found


def cross_fitted_means(
    z: Array, y: Array, names: tuple[str, ...] = ("r2", "mcc"), *, xp: ModuleType
) -> Metrics:
    """`cross_fitted` for a curve: scores alone, no latent's own.

    Args:
        z: true latents, `[rows, n]`.
        y: representation, `[rows, m]`.
        names: as of `cross_fitted`.
        xp: as of `cross_fitted`.

    Returns:
        `{name}_cross_fitted`, scalars; empty where rows are many.
    """
    scores, _ = cross_fitted(z, y, {}, names, xp=xp)
    return {name: value for name, value in scores.items() if value.ndim == 0}


def _score(name: str, z: Array, y: Array, xp: ModuleType) -> tuple[Array, Array]:
    """Its mean, and what it is for each latent."""
    if len(z) < LEAST:
        nothing = xp.full(z.shape[1], xp.nan, z.dtype)
        return nothing[0], nothing
    folds = fold_rows(len(z), min(FOLDS, len(z) // 3))
    if name == "r2":
        each = held_out_r2(z, y, folds, xp=xp)
        return xp.mean(each), each
    found = held_out_mcc(z, y, folds, spearman=name == "mcc_spearman", xp=xp)
    return found.mean, found.per_dim
