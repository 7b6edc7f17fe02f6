"""What a representation holds of a block of latents: held-out linear and kernel R2.

Both regressions are fitted on one set of rows and scored on others. The linear one is
the affine least squares of `jidcl.metrics.columns`; the other is kernel ridge
regression with an RBF kernel, its two settings chosen by cross-validation, which reads
any smooth function of the representation.

Source: von Kuegelgen et al. 2021, section 5.1 and published code.
"""

import dataclasses
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from jidcl.checks import (
    check_above,
    check_at_least,
    check_count,
    check_memory,
    check_numbers,
    check_rows,
    check_same_rows,
    check_same_shape,
    check_shape,
    check_type,
    is_traced,
)
from jidcl.compiled import compiled
from jidcl.metrics.columns import (
    dot,
    fit_affine,
    host_first,
    moments,
    on_host,
    widened,
)
from jidcl.numerics import at_least_float32, one_by_one
from jidcl.types import Array

ALPHAS = (1.0, 0.1, 0.01, 0.001)
GAMMAS = (1e-2, 10 ** (-2 / 3), 10 ** (2 / 3), 1e2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KernelRidge:
    """A fitted kernel ridge regression; apply it with `predict`.

    Attributes:
        y: standardised rows of the fit, `[rows, m]`.
        y_mean: `[1, m]`.
        y_std: `[1, m]`.
        z_mean: `[1, n]`.
        z_std: `[1, n]`.
        weights: (K + alpha I)^-1 z for standardised z, `[rows, n]`.
        alpha: regularisation of each block, `[blocks]`.
        gamma: kernel exp(-gamma d^2) of each block, `[blocks]`.
        scores: R2 of each block over the folds, `[blocks, alphas, gammas]`.
        blocks: sizes of the blocks.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (60, 1))
        >>> fit_kernel_ridge(y**2, y).weights.shape
        (60, 1)

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """

    y: Array
    y_mean: Array
    y_std: Array
    z_mean: Array
    z_std: Array
    weights: Array
    alpha: Array
    gamma: Array
    scores: Array
    blocks: tuple[int, ...] = dataclasses.field(metadata=dict(static=True))


@host_first
def determination(z: Array, z_hat: Array, *, xp: ModuleType = jnp) -> Array:
    """1 - SS_res / SS_tot of every column, `[n]`; can be negative, 0 where constant.

    Args:
        z: true latents, `[rows, n]`; SS_tot is around their own mean.
        z_hat: predictions, `[rows, n]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[n]`; a block's score is the mean over its columns.

    Raises:
        ValueError: on different shapes.

    Example:
        >>> z = jnp.array([[0.0], [2.0]])
        >>> float(determination(z, z)[0]), float(determination(z, 0 * z + 1)[0])
        (1.0, 0.0)

    Source: the definition.
    """
    check_rows("z", z)
    check_same_shape("z_hat", z_hat, "z", z)
    z = widened(z, np) if xp is np else z
    std = moments(z, xp)[1]
    missed = xp.mean(((z - z_hat) / std) ** 2, axis=0)
    return xp.where(xp.isinf(std[0]), 0, 1 - missed)


def fit_linear(z: Array, y: Array) -> Callable[[Array], Array]:
    """Least squares with intercept, z from y: a function that predicts other rows.

    Args:
        z: latents, `[rows, n]`.
        y: representation, `[rows, m]`.

    Returns:
        `[rows, m] -> [rows, n]`; see `jidcl.metrics.fit_affine` for arrays of NumPy.

    Example:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> round(float(fit_linear(2 * y + 1, y)(jnp.array([[3.0]]))[0, 0]), 3)
        7.0

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    if not on_host(z, y):
        z, y = _arrays(z, y)
    return fit_affine(y, z)


def fit_kernel_ridge(
    z: Array,
    y: Array,
    *,
    blocks: Sequence[int] | None = None,
    alphas: Sequence[float] = ALPHAS,
    gammas: Sequence[float] = GAMMAS,
    folds: int = 3,
) -> KernelRidge:
    """Kernel ridge regression of z on y, its settings cross-validated block by block.

    Both are standardised with their own mean and population standard deviation;
    (K + alpha I) w = z with K = exp(-gamma ||y_i - y_k||^2). The pair (alpha, gamma)
    of a block has the best mean R2 over contiguous folds, unshuffled; the first of
    equals, alphas outermost. Then all rows are used.

    Args:
        z: latents, `[rows, n]`, float32 or float64.
        y: representation, `[rows, m]`.
        blocks: sizes of the groups of columns of z that choose together; all columns
            together when None.
        alphas: regularisations > 0.
        gammas: kernel widths > 0.
        folds: number of folds, >= 2.

    Returns:
        `KernelRidge`. Where z or y is a float64 NumPy array (and 64-bit types are off),
        its means and deviations are such arrays, and so are its predictions.

    Raises:
        ValueError: on wrong shapes, blocks that do not add up to n, settings <= 0,
            fewer than two folds or fewer rows than folds.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (60, 1))
        >>> fit = fit_kernel_ridge(y**2, y)
        >>> bool(determination(y**2, predict(fit, y))[0] > 0.95)
        True

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.

    Notes:
        One Cholesky factor for each (fold, gamma, alpha) serves all columns of all
        blocks; factors are made one after another, also under `vmap` (a batch of
        LAPACK calls can deadlock on few cores). Time grows as rows^3, memory as
        rows^2. In float32 a factor can fail when alpha is below the rounding of the
        largest eigenvalue, rows x 1e-7; such settings are not chosen.
    """
    if on_host(z, y):
        own = dict(blocks=blocks, alphas=alphas, gammas=gammas, folds=folds)
        return _fit_on_host(z, y, own)
    z, y = _arrays(z, y)
    for name, values in (("alphas", alphas), ("gammas", gammas)):
        check_numbers(name, values)
    blocks = (z.shape[1],) if blocks is None else tuple(blocks)
    _check(z, blocks, alphas, gammas, folds)
    return _kernel_ridge(z, y, blocks, tuple(alphas), tuple(gammas), int(folds))


@compiled
def _kernel_ridge(z, y, blocks, alphas, gammas, folds: int) -> KernelRidge:
    (y_mean, y_std), (z_mean, z_std) = moments(y), moments(z)

    @one_by_one
    def solve(z, y):
        scores = _cross_validate(z, y, alphas, gammas, folds)
        grid = jnp.stack([jnp.mean(part, -1) for part in _split(scores, blocks)])
        best = jnp.nanargmax(grid.reshape(len(blocks), -1), axis=1)
        alpha = jnp.asarray(alphas, y.dtype)[best // len(gammas)]
        gamma = jnp.asarray(gammas, y.dtype)[best % len(gammas)]
        squared = _squared_distances(y, y)
        weights = [
            _cholesky_solve(jnp.exp(-gamma[b] * squared), alpha[b], part)
            for b, part in enumerate(_split(z, blocks))
        ]
        return jnp.concatenate(weights, axis=1), alpha, gamma, grid

    y = (y - y_mean) / y_std
    weights, alpha, gamma, grid = solve((z - z_mean) / z_std, y)
    return KernelRidge(
        y, y_mean, y_std, z_mean, z_std, weights, alpha, gamma, grid, blocks
    )


def predict(fit: KernelRidge, y: Array) -> Array:
    """Predictions of a kernel ridge regression for other rows.

    Args:
        fit: of `fit_kernel_ridge`.
        y: representation, `[rows, m]`.

    Returns:
        `[rows, n]`, in the units of z.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (60, 1))
        >>> predict(fit_kernel_ridge(y**2, y), y[:5]).shape
        (5, 1)

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    check_type("fit", fit, KernelRidge)
    check_rows("y", y, width=fit.y.shape[1])
    wide = isinstance(fit.y_mean, np.ndarray) and not is_traced(y)
    y_mean, y_std, z_mean, z_std = (
        part if wide else jnp.asarray(part, fit.y.dtype)
        for part in (fit.y_mean, fit.y_std, fit.z_mean, fit.z_std)
    )
    rows: Any = (np.asarray(y, np.float64) if wide else y) - y_mean
    squared = _squared_distances(jnp.asarray(rows / y_std, fit.y.dtype), fit.y)
    parts = [
        dot(jnp.exp(-gamma * squared), weights)
        for gamma, weights in zip(
            fit.gamma, _split(fit.weights, fit.blocks), strict=True
        )
    ]
    found: Any = jnp.concatenate(parts, axis=1)
    if wide:
        found = np.asarray(found, np.float64)
        return z_mean + np.where(np.isinf(z_std), 0, z_std) * found
    return z_mean + jnp.where(jnp.isinf(z_std), 0, z_std) * found


def _fit_on_host(z: Array, y: Array, settings: dict[str, Any]) -> KernelRidge:
    """The fit of columns that are centred and scaled in float64, in their own units."""
    _check_arrays(z, y)
    held: list[Any] = [np.asarray(x) for x in (y, z)]
    (y_mean, y_std), (z_mean, z_std) = (moments(widened(x, np), np) for x in held)
    fit = fit_kernel_ridge(
        ((z - z_mean) / z_std).astype(np.float32),
        ((y - y_mean) / y_std).astype(np.float32),
        **settings,
    )
    # The fit's own moments of such columns, 0 and 1 but for rounding, go into these.
    of_y, of_z = (
        (mean + np.where(np.isinf(std), 0, std) * np.asarray(own_mean), std * own_std)
        for mean, std, own_mean, own_std in (
            (y_mean, y_std, fit.y_mean, np.asarray(fit.y_std)),
            (z_mean, z_std, fit.z_mean, np.asarray(fit.z_std)),
        )
    )
    return dataclasses.replace(
        fit, y_mean=of_y[0], y_std=of_y[1], z_mean=of_z[0], z_std=of_z[1]
    )


@host_first
def linear_share(
    effect: Array, cause: Array, noise: Array, *, xp: ModuleType = jnp
) -> Array:
    """R2 of every s_j from c for s = B c + a + eps: what of s a perfect c predicts.

    (B Sigma_c B^T)_jj / (B Sigma_c B^T + Sigma_s)_jj, the linear share of variance;
    for normal c and eps no other function of c predicts more. A style score is to be
    read beside it: isolation means that both are equal, not that the score is 0.

    Args:
        effect: B, `[n_s, n_c]`.
        cause: Sigma_c, `[n_c, n_c]`.
        noise: Sigma_s, `[n_s, n_s]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[n_s]`; NaN where a variance of the noise is negative or not finite.

    Example:
        >>> eye = jnp.eye(1)
        >>> float(linear_share(eye, eye, eye)[0])  # effect and noise of equal variance
        0.5

    Source: this library.
    """
    check_rows("effect", effect)
    rows, columns = effect.shape
    for name, array, size in (("cause", cause, columns), ("noise", noise, rows)):
        check_rows(name, array)
        check_shape(name, array, (size, size))
    explained = xp.diagonal(dot(dot(effect, cause, xp), effect.T, xp))
    own = xp.diagonal(noise)
    own = xp.where(xp.isfinite(own) & (own >= 0), own, xp.nan)  # else no variance
    return explained / (explained + own)


def _cross_validate(z, y, alphas, gammas, folds: int) -> Array:
    """Mean R2 over the folds, `[alphas, gammas, n]`; NaN where a factor failed."""
    rows = z.shape[0]
    edges = [-(-rows * k // folds) for k in range(folds + 1)]
    squared = _squared_distances(y, y)
    total = jnp.zeros((len(alphas) * len(gammas), z.shape[1]), z.dtype)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        held = np.arange(low, high)
        kept = np.setdiff1d(np.arange(rows), held)
        inner, outer = squared[kept][:, kept], squared[held][:, kept]

        def score(setting, inner=inner, outer=outer, held=held, kept=kept):
            alpha, gamma = setting
            weights = _cholesky_solve(jnp.exp(-gamma * inner), alpha, z[kept])
            return determination(z[held], dot(jnp.exp(-gamma * outer), weights))

        grid = jnp.meshgrid(
            *(jnp.asarray(v, y.dtype) for v in (alphas, gammas)), indexing="ij"
        )
        total += jax.lax.map(score, tuple(axis.reshape(-1) for axis in grid))
    return (total / folds).reshape(len(alphas), len(gammas), -1)


def _cholesky_solve(kernel: Array, alpha: Array, z: Array) -> Array:
    """(K + alpha I)^-1 z."""
    kernel = kernel + alpha * jnp.eye(kernel.shape[0], dtype=kernel.dtype)
    factor = jnp.linalg.cholesky(kernel)
    half = solve_triangular(factor, z, lower=True)
    return solve_triangular(factor, half, lower=True, trans=1)


def _squared_distances(a: Array, b: Array) -> Array:
    """||a_i - b_k||^2, `[rows, cols]`."""
    squares = jnp.sum(a * a, 1)[:, None] + jnp.sum(b * b, 1)[None]
    return jnp.maximum(squares - 2 * dot(a, b.T), 0)


def _split(columns: Array, blocks: tuple[int, ...]) -> list[Array]:
    """Groups of columns (the last axis)."""
    edges = np.cumsum(blocks)[:-1].tolist()
    return jnp.split(columns, edges, axis=-1)


def _arrays(z: Array, y: Array) -> tuple[Array, Array]:
    """Both as JAX arrays of one dtype, in their own units."""
    _check_arrays(z, y)
    z, y = jnp.asarray(z), jnp.asarray(y)
    dtype = at_least_float32(z.dtype, y.dtype)
    return z.astype(dtype), y.astype(dtype)


def _check_arrays(z: Array, y: Array) -> None:
    check_rows("z", z, 2)
    check_rows("y", y, 2)
    check_same_rows("z", z, "y", y)


def _check(z, blocks, alphas, gammas, folds) -> None:
    if sum(blocks) != z.shape[1] or min(blocks) < 1:
        raise ValueError(
            f"blocks must be sizes >= 1 that add up to {z.shape[1]} columns, got "
            f"{blocks}"
        )
    for name, values in (("alphas", alphas), ("gammas", gammas)):
        check_above(name, np.asarray(values), 0)
    check_count("folds", folds, 2)
    check_at_least("number of rows", z.shape[0], 2 * folds)
    check_memory("number of rows", z.shape[0], 3 * z.shape[0] ** 2)
