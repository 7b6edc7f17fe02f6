"""Is a score more than chance: the same score of outputs in other orders of rows.

The marginals of outputs, and their dependence on one another, stay as they are. What is
tested is independence, and no more: a linear mixture is always significant.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jidcl.checks import (
    check_at_least,
    check_callable,
    check_count,
    check_finite,
    check_integers,
    check_memory,
)
from jidcl.metrics.columns import both


class PermutationTest(NamedTuple):
    """A score beside those of permuted outputs.

    Attributes:
        score: of the outputs in their order.
        p_value: (1 + number of null scores >= the score) / (permutations + 1); a NaN
            counts for the null.
        null_mean: mean of the null scores.
        null_quantile: their 95 % quantile, interpolated linearly.
        adjusted: (score - null_mean) / (1 - null_mean): 0 by chance, 1 at best.
        null: the null scores, `[permutations]`.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(30, 2))
        >>> permutation_test(lambda z, y: -abs(z - y).sum(), z, z).p_value
        0.005

    Source: Joshi et al. 2026, published code.
    """

    score: float
    p_value: float
    null_mean: float
    null_quantile: float
    adjusted: float
    null: np.ndarray


def permutation_test(
    score: Callable[[np.ndarray, np.ndarray], float],
    z: np.ndarray,
    y: np.ndarray,
    *,
    orders: np.ndarray | None = None,
    permutations: int = 199,
    seed: int = 0,
) -> PermutationTest:
    """p-value of a score under independence of z and y.

    Args:
        score: `(z, y) -> number`, of float64 arrays of NumPy; larger is better.
        z: true latents, `[samples, n]`.
        y: representation, `[samples, m]`.
        orders: orders of the rows of y, `[permutations, samples]`; drawn when None.
        permutations: how many are drawn.
        seed: of the draws.

    Returns:
        `PermutationTest`. Under independence of exchangeable rows
        P(p_value <= a) <= a, whatever the score.

    Raises:
        ValueError: on wrong shapes, values that are not finite, or orders that do not
            hold every row once.

    Example:
        >>> from jidcl.metrics import mcc
        >>> rng = np.random.default_rng(0)
        >>> z, y = rng.normal(size=(2, 100, 3))
        >>> one = lambda z, y: float(mcc(z, y, xp=np).mean)
        >>> permutation_test(one, z, y).p_value > 0.05
        True

    Source: Joshi et al. 2026, published code.
    """
    check_callable("score", score)
    held: Any = both(z, y, np)
    held_z, held_y = held
    check_finite("z", z)
    check_finite("y", y)
    samples = held_z.shape[0]
    if orders is None:
        check_count("permutations", permutations)
        check_count("seed", seed, 0)
        check_memory("permutations", permutations, permutations * samples, 8)
        rng = np.random.default_rng(seed)
        orders = np.stack([rng.permutation(samples) for _ in range(permutations)])
    check_at_least("number of orders", len(orders), 1)
    check_integers("orders", orders, (len(orders), samples))
    if (np.sort(orders, axis=1) != np.arange(samples)).any():
        raise ValueError(f"orders must hold each of {samples} rows once")
    own = float(score(held_z, held_y))
    null = np.asarray([float(score(held_z, held_y[np.asarray(row)])) for row in orders])
    mean = float(null.mean())
    # To rounding, ties count for the null.
    reached = int(np.sum(~(null < own - 1e-12 * abs(own))))
    return PermutationTest(
        own,
        (1 + reached) / (len(null) + 1),
        mean,
        float(np.quantile(null, 0.95)),
        (own - mean) / (1 - mean) if mean != 1 else 0.0,
        null,
    )
