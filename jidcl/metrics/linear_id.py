"""Linear identifiability of a world model: how near h is to one orthogonal map of z.

Scores of Klindt, LeCun and Balestriero 2026, and the error bound of their Theorem 3.
"""

from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_count,
    check_memory,
    check_rows,
    check_same_rows,
    check_same_shape,
    check_scalar,
    check_unit_interval,
)
from jidcl.metrics.columns import (
    affine_parts,
    dot,
    fit_affine,
    host_first,
    largest_of,
)
from jidcl.numerics import (
    at_least_float32,
    of_finite,
)


class LinearID(NamedTuple):
    """Scores of a representation h of latents z; scalars.

    Attributes:
        r2_zh: share of h that an affine map of z explains, over all entries.
        r2_hz: share of z that an affine map of h explains.
        orth_err: ||A^T A - I||_F of the fitted slope A of h on z.
        orth_err_normalized: the same over sqrt(n).
        epsilon: ||Cov(h) - I||_F.
        delta: excess of `l_h` over the linear one, max(l_h - 2 (1 - rho) tr Cov h, 0).
        d_bound: D = delta / (2 rho (1 - rho)).
        approx_bound: D + (epsilon + D)^2, the most that `procrustes_mse` may be.
        procrustes_mse: min over orthogonal Q of the mean of ||h - Q z||^2.
        l_h: mean of ||h' - h||^2 over pairs of correlation rho.
        trace_cov: tr Cov(h).

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (500, 2))
        >>> round(float(linear_id(z, -z, -z, 0.9).r2_zh), 4)
        1.0

    Source: Klindt, LeCun and Balestriero 2026, Theorem 3 and published code.
    """

    r2_zh: jax.Array
    r2_hz: jax.Array
    orth_err: jax.Array
    orth_err_normalized: jax.Array
    epsilon: jax.Array
    delta: jax.Array
    d_bound: jax.Array
    approx_bound: jax.Array
    procrustes_mse: jax.Array
    l_h: jax.Array
    trace_cov: jax.Array


@host_first
def total_r2(a: jax.Array, b: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """R2 of b from a with intercept, by total sums of squares; in-sample.

    1 - sum (b - fit)^2 / sum (b - mean b)^2 over all entries: large coordinates
    weigh more than in `r2`.

    Args:
        a: `[samples, m]`.
        b: `[samples, n]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, at most 1.

    Example:
        >>> a = jax.random.normal(jax.random.key(0), (50, 2))
        >>> round(float(total_r2(a, 3 * a + 1)), 4)
        1.0

    Source: Klindt, LeCun and Balestriero 2026.
    """
    check_rows("a", a, 2)
    check_rows("b", b, 2)
    check_same_rows("a", a, "b", b)
    a, b = _common(xp, a, b)
    return _explained(fit_affine(a, b, xp=xp)(a), b, xp)


@host_first
def linear_id(
    z: jax.Array,
    h: jax.Array,
    h_pos: jax.Array,
    rho: jax.Array | float,
    *,
    xp: ModuleType = jnp,
) -> LinearID:
    """Scores of h = f(g(z)) against z, and Theorem 3's bound, on one sample.

    Args:
        z: latents, `[samples, n]`.
        h: their representations, `[samples, n]`.
        h_pos: representations of partners of correlation rho, `[samples, n]`.
        rho: correlation in (0, 1).
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `LinearID`; everything in-sample, covariances unbiased.

    Raises:
        ValueError: on shapes that differ.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (500, 2))
        >>> found = linear_id(z, z, z, 0.9)
        >>> bool(found.procrustes_mse <= found.approx_bound + 1e-6)
        True

    Source: Klindt, LeCun and Balestriero 2026, Theorem 3 and published code.

    Notes:
        The theorem speaks of expectations; from finite samples the bound may be
        missed by sampling noise where both sides are near 0. The Procrustes map is
        fitted without centring.
    """
    check_rows("z", z, 2)
    for name, array in (("h", h), ("h_pos", h_pos)):
        check_same_shape(name, array, "z", z)
    check_scalar("rho", rho)
    check_unit_interval("rho", rho)
    z, h, h_pos = _common(xp, z, h, h_pos)
    rho = xp.asarray(rho, z.dtype)
    n, eye = z.shape[1], xp.eye(z.shape[1], dtype=z.dtype)
    mean, std, h_mean, weights = affine_parts(z, h, xp=xp)
    fitted = h_mean + dot((z - mean) / std, weights, xp)
    slope = weights / std.T
    orth = _size(dot(slope, slope.T, xp) - eye, xp)
    centred = h - xp.mean(h, axis=0, keepdims=True)
    cov = dot(centred.T, centred, xp) / (h.shape[0] - 1)
    epsilon, trace = _size(cov - eye, xp), xp.trace(cov)
    l_h = xp.mean(xp.sum((h_pos - h) ** 2, axis=1))
    delta = xp.maximum(l_h - 2 * (1 - rho) * trace, 0)
    d = delta / (2 * rho * (1 - rho))
    return LinearID(
        r2_zh=_explained(fitted, h, xp),
        r2_hz=total_r2(h, z, xp=xp),
        orth_err=orth,
        orth_err_normalized=orth / n**0.5,
        epsilon=epsilon,
        delta=delta,
        d_bound=d,
        approx_bound=d + (epsilon + d) ** 2,
        procrustes_mse=procrustes_mse(z, h, xp=xp),
        l_h=l_h,
        trace_cov=trace,
    )


@host_first
def procrustes_mse(z: jax.Array, h: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """min over orthogonal Q of mean ||h - Q z||^2, neither centred nor scaled.

    Args:
        z: latents, `[samples, n]`.
        h: their representations, `[samples, n]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, >= 0; NaN where a number is not finite.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (50, 2))
        >>> bool(procrustes_mse(z, z[:, ::-1]) < 1e-6)
        True

    Source: Klindt, LeCun and Balestriero 2026, Theorem 3.
    """
    check_rows("z", z)
    check_same_shape("h", h, "z", z)
    # The map depends on no scale of either.
    product = dot((h / largest_of(h, xp)).T, z / largest_of(z, xp), xp) / z.shape[0]
    u, _, vt = of_finite(lambda a: tuple(xp.linalg.svd(a)), product, xp)
    missed = h - dot(z, dot(u, vt, xp).T, xp)
    return xp.mean(xp.sum(missed**2, axis=1))


def plane_grid(points: int = 100, span: float = 3.0) -> jax.Array:
    """A square grid of latents, `[points^2, 2]`: a score that no density weighs.

    Args:
        points: of a side, >= 2.
        span: half the side, > 0.

    Returns:
        `[points^2, 2]`, in [-span, span].

    Raises:
        ValueError: on more points than memory holds.

    Example:
        >>> plane_grid(3, 1.0).shape
        (9, 2)

    Source: Klindt, LeCun and Balestriero 2026.
    """
    check_count("points", points, 2)
    check_scalar("span", span)
    check_above("span", span, 0)
    check_memory("points", points, 2 * points**2)
    line = jnp.linspace(-span, span, points)
    return jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)


def _common(xp: ModuleType, *arrays: jax.Array) -> list[jax.Array]:
    """Arrays in one dtype, float32 at least; float64 on the host."""
    if xp is np:
        return [np.asarray(x, np.float64) for x in arrays]  # type: ignore[misc]
    dtype = at_least_float32(*(x.dtype for x in arrays))
    return [x.astype(dtype) for x in arrays]


def _explained(fitted: jax.Array, b: jax.Array, xp: ModuleType) -> jax.Array:
    total = b - xp.mean(b, axis=0, keepdims=True)
    size = largest_of(total, xp)  # the share depends on no scale
    missed = xp.sum(((b - fitted) / size) ** 2)
    return 1 - missed / xp.sum((total / size) ** 2)


def _size(matrix: jax.Array, xp: ModuleType) -> jax.Array:
    return xp.sqrt(xp.sum(matrix**2))
