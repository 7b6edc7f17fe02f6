"""What a variational autoencoder can reach: its limit and the best posterior.

The model: z from a prior, x = f(z) + noise of variance 1 / gamma2 in each of D
coordinates, and an encoder with a Gaussian of diagonal covariance. ELBO* is the bound
under the best such Gaussian of each x. `linear_vae.py` has what is linear.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_callable,
    check_count,
    check_features,
    check_float,
    check_same_shape,
    check_shape,
    check_type,
)
from jidcl.compiled import compiled
from jidcl.latents.small import solve_small
from jidcl.losses.elbo import LatentPrior
from jidcl.metrics.jacobian import local_c_ima
from jidcl.theory.linear_vae import check_precision
from jidcl.types import Array


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
    check_precision(gamma2)
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
        >>> round(float(ima_likelihood(jnp.zeros(1), shear).objective[0]), 4)
        -0.3466

    Source: Reizinger et al. 2022, theorem 1.
    """
    check_float("log_prior", log_prior)
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
    check_precision(gamma2)
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
    decoded = decode(prior.latents(s))
    check_shape("x", x, decoded.shape[1:])
    errors = jnp.sum((jnp.asarray(x)[None] - decoded) ** 2, axis=-1)
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
        `BestPosterior`; its bound is NaN where that of the start is not finite.

    Example:
        >>> zero = jnp.zeros(1)
        >>> own = dict(gamma2=3.0, prior=LatentPrior())
        >>> best = best_posterior(lambda z: z, zero, zero, zero, **own)
        >>> round(float(jnp.exp(best.log_var[0])), 3)  # 1 / (1 + gamma2)
        0.25

    Source: Reizinger et al. 2022, proposition 1 (that it exists).
    """
    check_callable("decode", decode)
    check_count("steps", steps)
    check_features("x", x)
    check_features("mean", mean)
    check_same_shape("log_var", log_var, "mean", mean)
    check_precision(gamma2)
    check_type("prior", prior, LatentPrior)
    check_count("nodes", nodes)
    return _newton(decode, x, mean, log_var, gamma2, prior, nodes, steps)


@compiled
def _newton(decode, x, mean, log_var, gamma2, prior, nodes, steps) -> BestPosterior:
    """Newton's method where the first posterior's deviations are the units."""
    mean, log_var = jnp.asarray(mean), jnp.asarray(log_var)
    k, scale = mean.shape[0], jnp.exp(log_var / 2)

    def placed(u: Array) -> tuple[Array, Array]:
        return scale * u[:k], u[k:]

    def value(u: Array) -> Array:
        at = placed(u)
        return expected_elbo(decode, x, *at, gamma2=gamma2, prior=prior, nodes=nodes)

    def newton(_: Any, held: tuple) -> tuple:
        u, best, damping = held
        slope, curve = jax.grad(value)(u), jax.hessian(value)(u)
        damped = damping * jnp.eye(2 * k, dtype=u.dtype) - curve
        step = solve_small(damped, slope[:, None])[0][:, 0]
        found = value(u + step)
        better = found > best
        u = jnp.where(better, u + step, u)
        damping = jnp.where(better, damping / 10, damping * 10)
        return u, jnp.where(better, found, best), jnp.clip(damping, 1e-9, 1e6)

    u = jnp.concatenate([mean / scale, log_var])
    first = value(u)
    damping = jnp.asarray(0.1, mean.dtype)
    u, best, _ = jax.lax.fori_loop(0, steps, newton, (u, first, damping))
    # From where the bound is infinite no step is told from another.
    return BestPosterior(*placed(u), jnp.where(jnp.isfinite(first), best, jnp.nan))
