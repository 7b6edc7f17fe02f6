"""Bounded rejection samplers: truncated noise on an interval, von Mises-Fisher."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.numerics import unit


def reject(
    key: jax.Array,
    propose: Callable[[jax.Array], tuple[jax.Array, ...]],
    like: jax.Array,
    *,
    max_rounds: int = 128,
) -> tuple[jax.Array, jax.Array]:
    """Redraw what was not accepted until all is, at most `max_rounds` times.

    Args:
        key: a typed key.
        propose: `key -> (value, accepted)`; `value` has like's shape, `accepted`
            its shape or its leading axes (then whole vectors are redrawn). A third
            output, of accepted's shape, says how many proposals each value came from.
        like: array that gives shape and dtype.
        max_rounds: bound on the rounds; what is left then is NaN.

    Returns:
        `(value, acceptance)`: the share of proposals accepted while needed.
    """
    _, mask, *_ = jax.eval_shape(propose, key)

    def unfinished(carry):
        _, done, tried, _ = carry
        return (tried < max_rounds) & ~jnp.all(done)

    def round_(carry):
        value, done, tried, proposals = carry
        proposal, accepted, *used = propose(jax.random.fold_in(key, tried))
        take = accepted & ~done
        wide = take[..., None] if take.ndim < value.ndim else take
        proposals += jnp.sum(jnp.where(done, 0, *(used or [1])), dtype=jnp.float32)
        return jnp.where(wide, proposal, value), done | accepted, tried + 1, proposals

    start = (jnp.full_like(like, jnp.nan), jnp.zeros(mask.shape, bool), 0, 0.0)
    value, done, _, proposals = jax.lax.while_loop(unfinished, round_, start)
    accepted = jnp.sum(done, dtype=jnp.float32)
    return value, accepted / jnp.maximum(proposals, 1)


def propose_noise(
    key: jax.Array, p: float, shape: tuple[int, ...], dtype
) -> tuple[jax.Array, jax.Array]:
    """A proposal for the density ~ exp(-|d|^p), p >= 1, and whether it is accepted.

    The envelope of |d| is 1 up to (p - 1) / p and exp(-1 - p (|d| - 1)), the tangent
    of the density's logarithm at 1, beyond: of all tangents the one with the least
    area, 1 for every p. So Gamma(1 + 1/p) >= 0.88 of the proposals are accepted, and
    they cost two uniform numbers, where a gamma variate takes a loop of its own.

    Args:
        key: a typed key.
        p: exponent, >= 1.
        shape: of the draw.
        dtype: of the draw.

    Returns:
        `(d, accepted)`.
    """
    k_size, k_u = jax.random.split(key)
    flat = 1 - 1 / p
    v = jax.random.uniform(k_size, shape, dtype)
    beyond = -jnp.log1p(-jnp.clip((v - flat) * p, 0, 1 - jnp.finfo(dtype).epsneg)) / p
    size = jnp.where(v < flat, v, flat + beyond)
    # One number decides and gives the sign: its size and its sign are independent.
    u = jax.random.uniform(k_u, shape, dtype, -1, 1)
    log_ratio = p * beyond - size**p
    return jnp.where(u < 0, -size, size), jnp.log(jnp.abs(u)) <= log_ratio


def sample_truncated(
    key: jax.Array, density: Any, mean: jax.Array, low: float, high: float
) -> tuple[jax.Array, jax.Array]:
    """Coordinate-wise p-norm noise around `mean`, truncated to [low, high].

    Exact for p = 1 (inverse distribution function) and p = 2
    (`jax.random.truncated_normal`); otherwise rejection from the better of two
    proposals, noise or uniform: for p >= 1 accepted at least four times in ten for any
    scale, less often for smaller p (0.18 at p = 0.3).

    Args:
        key: a typed key.
        density: `Laplace`, `Normal` or `GeneralisedNormal`.
        mean: `[..., n]` inside [low, high].
        low: lower bound.
        high: upper bound.

    Returns:
        `(z, acceptance)`.
    """
    dtype = mean.dtype
    length = jnp.asarray(density.length, dtype)
    mean = jnp.clip(mean, low, high)
    if density.p == 1:
        z = mean + length * _truncated_laplace(
            key, (mean - low) / length, (high - mean) / length
        )
        return jnp.clip(z, low, high), jnp.ones((), jnp.float32)
    if density.p == 2:
        scale = length / jnp.sqrt(jnp.asarray(2, dtype))
        bounds = (low - mean) / scale, (high - mean) / scale
        z = mean + scale * jax.random.truncated_normal(key, *bounds, dtype=dtype)
        return jnp.clip(z, low, high), jnp.ones((), jnp.float32)

    mass = 2 * length * jnp.exp(jax.lax.lgamma(jnp.asarray(1 + 1 / density.p, dtype)))
    narrow = mass < high - low

    def propose(key):
        k_noise, k_flat, k_u = jax.random.split(key, 3)
        if density.p < 1:  # not log-concave: no tangent lies above it
            d, kept = (
                jax.random.generalized_normal(k_noise, density.p, mean.shape, dtype),
                True,
            )
        else:
            d, kept = propose_noise(k_noise, density.p, mean.shape, dtype)
        noisy = mean + length * d
        flat = jax.random.uniform(k_flat, mean.shape, dtype, low, high)
        energy = (jnp.abs(flat - mean) / length) ** density.p
        log_u = jnp.log(jax.random.uniform(k_u, mean.shape, dtype))
        inside = kept & (noisy >= low) & (noisy <= high)
        accepted = jnp.where(narrow, inside, log_u <= -energy)
        return jnp.where(narrow, noisy, flat), accepted

    return reject(key, propose, mean)


def _truncated_laplace(key: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Standard Laplace truncated to [-a, b]: choose the side, then its inverse."""
    k_side, k_u = jax.random.split(key)
    left, right = -jnp.expm1(-a), -jnp.expm1(-b)
    u_side = jax.random.uniform(k_side, a.shape, a.dtype)
    is_left = u_side * (left + right) < left
    reach = jnp.where(is_left, left, right)
    size = -jnp.log1p(-jax.random.uniform(k_u, a.shape, a.dtype) * reach)
    return jnp.where(is_left, -size, size)


class VmfProposal(NamedTuple):
    """Constants of Wood's envelope: b, x0 and c of the published sampler."""

    b: jax.Array
    x0: jax.Array
    c: jax.Array


def vmf_envelope(n: int, kappa: jax.Array) -> VmfProposal:
    """b = d / (sqrt(4 kappa^2 + d^2) + 2 kappa), x0 = (1-b)/(1+b), c; d = n - 1.

    c = kappa x0 + d log(1 - x0^2).

    Source: Wood 1994; Zimmermann et al. 2021, published code.
    """
    kappa = jnp.asarray(kappa)
    d = n - 1
    b = d / (jnp.sqrt(4 * kappa**2 + d**2) + 2 * kappa)
    x0 = (1 - b) / (1 + b)
    # 1 - x0^2 = (1 - x0) (1 + x0) with 1 - x0 = 2 b / (1 + b), no cancellation.
    c = kappa * x0 + d * (jnp.log(2 * b / (1 + b)) + jnp.log1p(x0))
    return VmfProposal(b, x0, c)


def vmf_proposal(
    n: int, kappa: jax.Array, beta_draws: jax.Array, u: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One round of Wood's sampler from its two random inputs.

    w = (1 - (1+b) zeta) / (1 - (1-b) zeta), accepted when
    kappa w + d log(1 - x0 w) - c >= log u.

    Args:
        n: dimension.
        kappa: concentration, broadcast.
        beta_draws: zeta ~ Beta(d/2, d/2).
        u: uniform(0, 1).

    Returns:
        `(1 - w, accepted)`: the complement keeps its digits when kappa is large.
    """
    ends, accepted = _propose(n, kappa, beta_draws, 1 - beta_draws, u)
    return ends[..., 0], accepted


def _propose(n, kappa, zeta, rest_zeta, u) -> tuple[jax.Array, jax.Array]:
    """`vmf_proposal` from zeta and 1 - zeta: ((1 - w, 1 + w), accepted)."""
    b, x0, _ = vmf_envelope(n, kappa)
    total = rest_zeta + b * zeta
    below, above = 2 * b * zeta / total, 2 * rest_zeta / total
    rest = 2 * b / (1 + b)  # 1 - x0
    log_ratio = jnp.log((rest + x0 * below) / (rest * (1 + x0)))
    log_accept = kappa * (rest - below) + (n - 1) * log_ratio
    return jnp.stack([below, above], axis=-1), log_accept >= jnp.log(u)


def sample_vmf(
    key: jax.Array, mean: jax.Array, kappa: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Draw from the von Mises-Fisher law around each mean, any n >= 2, kappa >= 0.

    Args:
        key: a typed key.
        mean: `[..., n]`, unit vectors.
        kappa: concentration, a scalar or broadcast to `[...]`.

    Returns:
        `(z [..., n], acceptance)`.
    """
    n, dtype = mean.shape[-1], mean.dtype
    kappa = jnp.broadcast_to(jnp.asarray(kappa, dtype), mean.shape[:-1])
    k_cos, k_tangent = jax.random.split(key)

    def propose(key):
        k_zeta, k_u = jax.random.split(key)
        u = jax.random.uniform(k_u, kappa.shape, dtype)
        return _propose(n, kappa, *_symmetric_beta(k_zeta, mean.shape, dtype), u)

    like = jnp.zeros((*kappa.shape, 2), dtype)
    ends, acceptance = reject(k_cos, propose, like)
    below, above = ends[..., :1], ends[..., 1:]
    tangent = jax.random.normal(k_tangent, mean.shape, dtype)
    for _ in range(2):  # twice: once leaves rounding where it was nearly parallel
        along = jnp.sum(tangent * mean, axis=-1, keepdims=True)
        tangent = unit(tangent - along * mean)
    return mean - below * mean + jnp.sqrt(below * above) * tangent, acceptance


def _symmetric_beta(key: jax.Array, shape, dtype) -> tuple[jax.Array, jax.Array]:
    """zeta ~ Beta(d/2, d/2) and 1 - zeta, d = n - 1, both to full relative precision.

    (1 + v_1) / 2 of a uniform v on S^(n-1) has this law; on CPU it costs a tenth of
    `jax.random.beta`.
    """
    g = jax.random.normal(key, shape, dtype)
    first, others = g[..., 0], jnp.sum(g[..., 1:] ** 2, axis=-1)
    norm = jnp.sqrt(first**2 + others)
    far = norm + jnp.abs(first)
    large, small = far / (2 * norm), others / (2 * norm * far)
    return jnp.where(first < 0, small, large), jnp.where(first < 0, large, small)
