"""An interval of a score, by drawing its rows anew."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import t as student

from jidcl.checks import (
    check_callable,
    check_count,
    check_key,
    check_memory,
    check_scalar,
)
from jidcl.compiled import (
    compiled,
)
from jidcl.metrics.columns import both, on_host


def bootstrap_interval(
    key: jax.Array,
    score: Callable[[jax.Array, jax.Array], jax.Array],
    z: jax.Array,
    y: jax.Array,
    *,
    level: float = 0.95,
    resamples: int = 200,
) -> tuple[jax.Array, jax.Array]:
    """Percentile bootstrap interval of a score over resampled pairs of rows.

    Args:
        key: a typed key.
        score: `(z, y) -> scalar`, for example `lambda z, y: mcc(z, y).mean`.
        z: `[samples, n]`.
        y: `[samples, m]`.
        level: coverage in (0, 1).
        resamples: number of resamples, >= 2, run one after another on the device.

    Returns:
        `(low, high)`.

    Raises:
        ValueError: on a level outside of (0, 1) or fewer than two resamples.

    Example:
        >>> from jidcl.metrics import r2
        >>> z = jax.random.normal(jax.random.key(0), (100, 2))
        >>> key, score = jax.random.key(1), lambda z, y: r2(z, y).mean
        >>> low, high = bootstrap_interval(key, score, z, z + z**2, resamples=20)
        >>> bool(low < high)
        True

    Source: Efron 1979 (the bootstrap).
    """
    check_key("key", key)
    check_callable("score", score)
    check_count("resamples", resamples, 2)
    check_scalar("level", level)
    if on_host(z, y):  # in their own digits, in the caller's units
        with jax.enable_x64(True):
            wide = (jnp.asarray(x, jnp.float64) for x in (z, y))
            ends = bootstrap_interval(
                key, score, *wide, level=level, resamples=resamples
            )
            low, high = (end.astype(jnp.float32) for end in ends)
        return low, high
    z, y = both(z, y)
    check_memory("resamples", resamples, 4 * resamples)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    return _interval(key, score, z, y, level, resamples)


@compiled
def _interval(key, score: Callable, z, y, level: float, resamples: int):
    def one(key):
        rows = jax.random.randint(key, (z.shape[0],), 0, z.shape[0])
        return score(z[rows], y[rows])

    scores = jax.lax.map(one, jax.random.split(key, resamples))
    tail = (1 - level) / 2
    return jnp.quantile(scores, tail), jnp.quantile(scores, 1 - tail)


class SeedInterval(NamedTuple):
    """Mean of a score over seeds, with the interval of Student's t.

    Attributes:
        mean: over the seeds that have a score.
        std: of these, with n - 1.
        low: end of the interval; NaN for fewer than two seeds.
        high: end of the interval; NaN for fewer than two seeds.
        valid: how many seeds have a score.
    """

    mean: float
    std: float
    low: float
    high: float
    valid: int


def seed_interval(values: Any, *, level: float = 0.95) -> SeedInterval:
    """Mean and interval of a score over seeds; NaN is a run without a score.

    Args:
        values: `[seeds]`.
        level: coverage in (0, 1).

    Returns:
        `SeedInterval`.

    Example:
        >>> seed_interval(np.array([0.5, 0.7, np.nan])).valid
        2

    Source: Student's t.
    """
    held = np.asarray(values, np.float64)
    held = held[~np.isnan(held)]
    count = len(held)
    mean = float(held.mean()) if count else float("nan")
    if count < 2:
        return SeedInterval(mean, float("nan"), float("nan"), float("nan"), count)
    std = float(held.std(ddof=1))
    reach = float(student.ppf(0.5 + level / 2, count - 1)) * std / count**0.5
    return SeedInterval(mean, std, mean - reach, mean + reach, count)
