"""What a variational autoencoder can reach: closed forms and the best posterior.

The model: z from a prior, x = f(z) + noise of variance 1 / gamma2 in each of D
coordinates, and an encoder with a Gaussian of diagonal covariance. ELBO* is the bound
under the best such Gaussian of each x.

What is linear is computed with NumPy, in float64.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_above,
    check_array,
    check_callable,
    check_count,
    check_features,
    check_finite,
    check_rows,
    check_same_shape,
    check_shape,
    check_single,
    check_type,
)
from jidcl.losses import LatentPrior
from jidcl.metrics import local_c_ima
from jidcl.types import Array


class LinearVAE(NamedTuple):
    """The linear model f(z) = W z + b with a standard normal prior, at one x.

    Attributes:
        mean: of the posterior, and of the best diagonal Gaussian, `[k]`.
        variance: of the best diagonal Gaussian, `[k]`.
        log_px: log p(x).
        gap: log p(x) - ELBO*(x), the same for every x.
        elbo: ELBO*(x).
        residual: f(mean) - x, `[D]`.

    Example:
        >>> linear_vae(np.eye(2), np.zeros(2), np.ones(2), 1.0).variance
        array([0.5, 0.5])

    Source: Lucas et al. 2019; Reizinger et al. 2022, appendix.
    """

    mean: np.ndarray
    variance: np.ndarray
    log_px: float
    gap: float
    elbo: float
    residual: np.ndarray


class PPCA(NamedTuple):
    """The linear model of greatest likelihood, and of greatest ELBO*.

    Attributes:
        w: columns along the principal axes, `[D, k]`; 0 where an eigenvalue is below
            the noise.
        variance: of the decoder's noise.
        log_likelihood: mean over the data.

    Example:
        >>> ppca(np.diag([4.0, 1.0, 1.0]), 1).variance
        1.0

    Source: Tipping and Bishop 1999.
    """

    w: np.ndarray
    variance: float
    log_likelihood: float


class ImaLikelihood(NamedTuple):
    """The limit of the ELBO as gamma2 grows.

    Attributes:
        log_px: log p_0(z) - log |det J|, the density of x without noise, `[...]`.
        contrast: local IMA contrast, `[...]`.
        objective: their difference, `[...]`.

    Example:
        >>> ima_likelihood(jnp.zeros(1), jnp.eye(2)[None]).objective
        Array([0.], dtype=float32)

    Source: Reizinger et al. 2022, theorem 1.
    """

    log_px: Array
    contrast: Array
    objective: Array


class BestPosterior(NamedTuple):
    """The best diagonal Gaussian of one x.

    Attributes:
        mean: `[k]`, of the encoder's s: see `jidcl.losses.LatentPrior`.
        log_var: `[k]`.
        elbo: ELBO*(x), by quadrature.

    Example:
        >>> start = jnp.zeros(1), jnp.zeros(1)
        >>> own = dict(gamma2=3.0, prior=LatentPrior())
        >>> best = best_posterior(lambda z: z, jnp.ones(1), *start, **own)
        >>> round(float(best.mean[0]), 3)  # gamma2 / (1 + gamma2)
        0.75

    Source: Reizinger et al. 2022, proposition 1.
    """

    mean: Array
    log_var: Array
    elbo: Array


def linear_vae(w: Any, b: Any, x: Any, gamma2: float) -> LinearVAE:
    """Posterior, likelihood and ELBO* of the linear model, in closed form.

    With Lambda = 1 + gamma2 W^T W: mean gamma2 Lambda^-1 W^T (x - b), variances
    1 / Lambda_jj, and the gap of `linear_gap`.

    Args:
        w: W, `[D, k]`.
        b: `[D]`.
        x: `[D]`.
        gamma2: inverse variance of the decoder, > 0.

    Returns:
        `LinearVAE`, float64.

    Raises:
        ValueError: on shapes that do not fit, or numbers that are not finite.

    Example:
        >>> round(linear_vae(np.eye(1), np.zeros(1), np.ones(1), 1.0).log_px, 4)
        -1.5155

    Source: Lucas et al. 2019; Reizinger et al. 2022, appendix.
    """
    w = _matrix("w", w)
    for name, value in (("b", b), ("x", x)):
        check_features(name, value)
        check_shape(name, value, w.shape[:1])
        check_finite(name, value)
    _check_precision(gamma2)
    seen = np.asarray(x, np.float64) - np.asarray(b, np.float64)
    precision = np.eye(w.shape[1]) + gamma2 * w.T @ w
    mean = np.linalg.solve(precision, gamma2 * w.T @ seen)
    residual = w @ mean - seen
    # The exponent at its maximum over z: no term cancels another.
    exponent = gamma2 * residual @ residual + mean @ mean
    dim = len(seen)
    log_det = np.linalg.slogdet(precision)[1] - dim * math.log(gamma2)
    log_px = -(dim * math.log(2 * math.pi) + log_det + exponent) / 2
    gap = linear_gap(w, gamma2)
    own = 1 / np.diag(precision)
    return LinearVAE(mean, own, float(log_px), gap, float(log_px) - gap, residual)


def linear_gap(w: Any, gamma2: float) -> float:
    """log p(x) - ELBO*(x) of the linear model.

    1/2 (sum_j log Lambda_jj - log det Lambda) with Lambda = 1 + gamma2 W^T W.

    It is 0 where the columns of W are orthogonal, and tends to their IMA contrast.

    Args:
        w: W, `[D, k]`.
        gamma2: inverse variance of the decoder, > 0.

    Returns:
        A number >= 0, nats.

    Raises:
        ValueError: on another shape, or numbers that are not finite.

    Example:
        >>> linear_gap(np.eye(2), 10.0)
        0.0

    Source: Reizinger et al. 2022, appendix (the linear case of theorem 1).
    """
    w = _matrix("w", w)
    _check_precision(gamma2)
    precision = np.eye(w.shape[1]) + gamma2 * w.T @ w
    apart = np.sum(np.log(np.diag(precision))) - np.linalg.slogdet(precision)[1]
    return max(float(apart) / 2, 0.0)


def ppca(s: Any, k: int, *, gamma2: float | None = None) -> PPCA:
    """The linear model of greatest likelihood on data of mean 0 and covariance S.

    W = U diag(l_i - v)^(1/2) of the k largest eigenvalues l_i, with v the mean of the
    others, or 1 / gamma2. Rotated latents have the same likelihood; of all of them
    these columns, which are orthogonal, have the greatest ELBO*, equal to it.

    Args:
        s: S, `[D, D]`, symmetric.
        k: latents, from 1 to D, or to D - 1 without gamma2.
        gamma2: inverse variance of the decoder where it is fixed, > 0.

    Returns:
        `PPCA`, float64.

    Raises:
        ValueError: on another shape or a k out of range.

    Example:
        >>> ppca(np.diag([4.0, 1.0]), 2, gamma2=0.5).w.round(3)
        array([[1.414, 0.   ],
               [0.   , 0.   ]])

    Source: Tipping and Bishop 1999; Lucas et al. 2019 (the ELBO).
    """
    s = _matrix("s", s)
    dim = len(s)
    if s.shape != (dim, dim) or not np.allclose(s, s.T, rtol=1e-4):
        raise ValueError(f"s must be square and symmetric, got shape {list(s.shape)}")
    check_count("k", k)
    most = dim if gamma2 is not None else dim - 1
    if k > most:
        raise ValueError(f"k must be <= {most} for this s and gamma2, got {k}")
    values, axes = np.linalg.eigh((s + s.T) / 2)
    values, axes = values[::-1], axes[:, ::-1]
    if gamma2 is None:
        variance = float(values[k:].mean())
        if not variance > 0:
            raise ValueError("s must have noise beside its k largest eigenvalues")
    else:
        _check_precision(gamma2)
        variance = 1 / gamma2
    beyond = np.maximum(values[:k] - variance, 0)
    axes = axes[:, :k] * np.where(axes[:, :k].sum(axis=0) < 0, -1, 1)
    model = np.full(dim, variance)
    model[:k] += beyond
    terms = math.log(2 * math.pi) + np.log(model) + values / model
    return PPCA(axes * np.sqrt(beyond), variance, float(-terms.sum() / 2))


def small_noise_variance(j: Array, gamma2: Any, curvature: Array) -> Array:
    """Variances of the best posterior for large gamma2: 1 / (c + gamma2 ||J_j||^2).

    Args:
        j: Jacobian of the decoder at the latents, `[..., D, k]`.
        gamma2: inverse variance of the decoder, > 0.
        curvature: c = -(log p_0)'' at the latents, `[..., k]`; 1 of a standard normal
            prior, 0 of a uniform one.

    Returns:
        `[..., k]`.

    Raises:
        ValueError: on shapes that do not fit.

    Example:
        >>> small_noise_variance(jnp.eye(2), 3.0, jnp.ones(2))
        Array([0.25, 0.25], dtype=float32)

    Source: Reizinger et al. 2022, proposition 1.
    """
    _check_precision(gamma2)
    check_features("j", j)
    check_features("curvature", curvature)
    if j.ndim < 2 or curvature.shape != (*j.shape[:-2], j.shape[-1]):
        raise ValueError(
            f"curvature must have the shape of j {list(j.shape)} without its axis -2, "
            f"got {list(curvature.shape)}"
        )
    return 1 / (curvature + gamma2 * jnp.sum(jnp.asarray(j) ** 2, axis=-2))


def ima_likelihood(log_prior: Array, j: Array) -> ImaLikelihood:
    """log p(x) without noise, the IMA contrast, and the limit of the ELBO.

    Args:
        log_prior: log p_0(z), `[...]`.
        j: Jacobian of the decoder at z, `[..., k, k]`.

    Returns:
        `ImaLikelihood`.

    Raises:
        ValueError: where J is not square: its determinant is needed.

    Example:
        >>> shear = jnp.array([[[1.0, 1.0], [0.0, 1.0]]])
        >>> float(ima_likelihood(jnp.zeros(1), shear).objective[0].round(4))
        -0.3466

    Source: Reizinger et al. 2022, theorem 1.
    """
    check_array("log_prior", log_prior)
    check_features("j", j)
    if j.ndim < 2 or j.shape[-1] != j.shape[-2]:
        raise ValueError(
            f"j must be square, as its determinant is needed, got {list(j.shape)}"
        )
    check_shape("log_prior", log_prior, j.shape[:-2])
    contrast = local_c_ima(j)
    lengths = jnp.sum(jnp.asarray(j) ** 2, axis=-2)
    objective = log_prior - jnp.sum(jnp.log(lengths), axis=-1) / 2
    return ImaLikelihood(objective + contrast, contrast, objective)


def expected_elbo(
    decode: Callable[[Array], Array],
    x: Array,
    mean: Array,
    log_var: Array,
    *,
    gamma2: Any,
    prior: LatentPrior,
    nodes: int = 8,
) -> Array:
    """The ELBO of one x under a Gaussian, by Gauss-Hermite quadrature.

    Args:
        decode: f, `[rows, k] -> [rows, D]`.
        x: `[D]`.
        mean: of the Gaussian of s, `[k]`.
        log_var: logarithms of its variances, `[k]`.
        gamma2: inverse variance of the decoder, > 0.
        prior: see `jidcl.losses.LatentPrior`.
        nodes: points a dimension; nodes^k in all.

    Returns:
        A scalar, nats.

    Raises:
        ValueError: on shapes that do not fit, or numbers out of range.

    Example:
        >>> own = dict(gamma2=1.0, prior=LatentPrior())
        >>> zero = jnp.zeros(1)
        >>> round(float(expected_elbo(lambda z: z, zero, zero, zero, **own)), 4)
        -1.4189

    Source: Kingma and Welling 2014, equation 3.
    """
    check_callable("decode", decode)
    check_features("x", x)
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    for name, value in (("x", x), ("mean", mean)):
        if value.ndim != 1:
            raise ValueError(
                f"{name} must be one row, [width], got shape {list(value.shape)}"
            )
    _check_precision(gamma2)
    check_type("prior", prior, LatentPrior)
    check_count("nodes", nodes)
    k = mean.shape[0]
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.stack(np.meshgrid(*[points] * k, indexing="ij"), -1).reshape(-1, k)
    mass = np.stack(np.meshgrid(*[weights / weights.sum()] * k, indexing="ij"), -1)
    dtype = jnp.result_type(mean)
    grid = jnp.asarray(grid, dtype)
    mass = jnp.asarray(mass.reshape(-1, k).prod(axis=1), dtype)
    s = jnp.exp(log_var / 2)[None] * grid + jnp.asarray(mean)[None]
    errors = jnp.sum((jnp.asarray(x)[None] - decode(prior.latents(s))) ** 2, axis=-1)
    precision = jnp.asarray(gamma2, dtype)
    constant = x.shape[0] * (jnp.log(precision) - math.log(2 * math.pi)) / 2
    entropy = jnp.sum(log_var + math.log(2 * math.pi * math.e)) / 2
    inside = prior.log_density(s) - precision * errors / 2
    return constant + entropy + jnp.sum(mass * inside)


def best_posterior(
    decode: Callable[[Array], Array],
    x: Array,
    mean: Array,
    log_var: Array,
    *,
    gamma2: Any,
    prior: LatentPrior,
    nodes: int = 8,
    steps: int = 20,
) -> BestPosterior:
    """The diagonal Gaussian of greatest ELBO of one x: damped Newton steps.

    Args:
        decode: f, `[rows, k] -> [rows, D]`, twice differentiable.
        x: `[D]`.
        mean: where it starts, `[k]`; g(x), in the encoder's s.
        log_var: where it starts, `[k]`; of `small_noise_variance`.
        gamma2: inverse variance of the decoder, > 0.
        prior: see `jidcl.losses.LatentPrior`.
        nodes: as of `expected_elbo`.
        steps: of Newton's method; one that lowers the ELBO is not taken.

    Returns:
        `BestPosterior`.

    Example:
        >>> zero = jnp.zeros(1)
        >>> own = dict(gamma2=3.0, prior=LatentPrior())
        >>> best = best_posterior(lambda z: z, zero, zero, zero, **own)
        >>> round(float(jnp.exp(best.log_var[0])), 3)  # 1 / (1 + gamma2)
        0.25

    Source: Reizinger et al. 2022, proposition 1 (that it exists).
    """
    check_count("steps", steps)
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    mean, log_var = jnp.asarray(mean), jnp.asarray(log_var)
    k, scale = mean.shape[0], jnp.exp(log_var / 2)

    def placed(u: Array) -> tuple[Array, Array]:
        return mean + scale * u[:k], log_var + u[k:]

    def value(u: Array) -> Array:
        own = dict(gamma2=gamma2, prior=prior, nodes=nodes)
        return expected_elbo(decode, x, *placed(u), **own)

    def newton(_: Any, held: tuple) -> tuple:
        u, best, damping = held
        slope, curve = jax.grad(value)(u), jax.hessian(value)(u)
        step = _solve(damping * jnp.eye(2 * k, dtype=u.dtype) - curve, slope)
        found = value(u + step)
        better = found > best
        u = jnp.where(better, u + step, u)
        damping = jnp.where(better, damping / 10, damping * 10)
        return u, jnp.where(better, found, best), jnp.clip(damping, 1e-9, 1e6)

    u = jnp.zeros(2 * k, mean.dtype)
    first = value(u)
    damping = jnp.asarray(0.1, mean.dtype)
    u, best, _ = jax.lax.fori_loop(0, steps, newton, (u, first, damping))
    return BestPosterior(*placed(u), best)


def _solve(a: Array, b: Array) -> Array:
    """a^-1 b of a small matrix by elimination; a is positive definite where it counts.

    Without LAPACK: many of its calls wait for each other inside a program.
    """
    rows = jnp.concatenate([a, b[:, None]], axis=1)
    for i in range(len(b)):
        pivot = rows[i] / rows[i, i]
        rows = (rows - rows[:, i, None] * pivot[None]).at[i].set(pivot)
    return rows[:, -1]


def _matrix(name: str, value: Any) -> np.ndarray:
    check_rows(name, value)
    check_finite(name, value)
    return np.asarray(value, np.float64)


def _check_precision(gamma2: Any) -> None:
    check_single("gamma2", gamma2)
    check_above("gamma2", gamma2, 0)
