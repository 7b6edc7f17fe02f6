"""DCI with boosted trees: importances of scikit-learn's gradient boosting.

scikit-learn is an extra: `pip install 'jidcl[trees]'`.

Source: Eastwood and Williams 2018; settings of Joshi et al. 2026.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_count,
    check_finite,
    check_rows,
    check_scalar,
)
from jidcl.metrics.blocks import determination
from jidcl.metrics.columns import both
from jidcl.metrics.dci import Dci, dci_scores


def dci_trees(
    z: Any,
    y: Any,
    *,
    train: int | None = None,
    trees: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    leaf: int = 1,
) -> Dci:
    """DCI with the importances of boosted regression trees.

    Args:
        z: factors, `[samples, d]`.
        y: codes, `[samples, m]`; each column is multiplied by a power of two, so that
            trees, which take float32 and differences above 1e-7, see all its digits.
        train: the first rows, fitted; the others are scored. None: four fifths.
        trees: how many for each factor.
        depth: of a tree.
        rate: by which each tree is shrunk, > 0.
        leaf: least rows of a leaf.

    Returns:
        `Dci`, the scores in float32.

    Raises:
        ValueError: on wrong shapes, values that are not finite, or a part of fewer
            than 2 rows.
        ModuleNotFoundError: without scikit-learn.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(120, 2))
        >>> float(dci_trees(z, z**3, trees=20).disentanglement) > 0.9
        True

    Source: Eastwood and Williams 2018; published code of Joshi et al. 2026.

    Notes:
        It is 1 for codes that are functions of one factor each. Factors that are
        functions of one another share importances, so exact codes of them score less.
        A factor without a code spreads its importances by chance, over all codes. Ties
        between splits are broken by the seed 0. It wants some 30 rows for each leaf
        that matters: perfect codes score 0.63 with 50 rows, 0.99 with 1000.
    """
    try:
        from sklearn.ensemble import GradientBoostingRegressor
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "dci_trees needs scikit-learn: pip install 'jidcl[trees]'"
        ) from error
    wide_z, wide_y = (np.asarray(x) for x in both(z, y, np))
    check_rows("z", z, 10 if train is None else 5)
    check_finite("z", z)
    check_finite("y", y)
    wide_z, wide_y = _in_reach(wide_z, 0), _in_reach(wide_y, 100)
    for name, value in (("trees", trees), ("depth", depth), ("leaf", leaf)):
        check_count(name, value)
    check_above("rate", rate, 0)
    check_scalar("rate", rate)
    check_finite("rate", rate)
    samples = len(wide_z)
    if train is not None:
        check_count("train", train, 2, samples - 2)
    fitted = train if train is not None else samples - samples // 5
    importance, read = [], []
    for column in wide_z.T:
        model = GradientBoostingRegressor(
            n_estimators=trees,
            max_depth=depth,
            learning_rate=float(rate),
            min_samples_leaf=leaf,
            random_state=0,
        ).fit(wide_y[:fitted], column[:fitted])
        importance.append(model.feature_importances_)
        read.append(model.predict(wide_y))
    matrix: Any = np.stack(importance, axis=1)
    held: Any = wide_z, np.stack(read, axis=1)
    found = dci_scores(matrix, xp=np)
    parts = slice(fitted), slice(fitted, None)
    r2 = [determination(*(x[rows] for x in held), xp=np) for rows in parts]
    in_sample, clipped = np.clip(np.mean(r2, axis=1), 0, 1)
    both_scores = found.disentanglement, found.completeness
    values = (*both_scores, clipped, r2[1], matrix, in_sample)
    return Dci(*(jnp.asarray(value, jnp.result_type(float)) for value in values))


def _in_reach(x: np.ndarray, power: int) -> np.ndarray:
    """Columns times powers of two, the largest entry near 2**power; far ones centred.

    Trees stop at variances of 1e-16 of targets and at differences of 1e-7 of features.
    """
    mean, std = x.mean(axis=0, keepdims=True), x.std(axis=0, keepdims=True)
    x = np.where(np.abs(mean) > 100 * std, x - mean, x)
    size = np.frexp(np.abs(x).max(axis=0))[1]
    return np.ldexp(x, (power - size)[None])
