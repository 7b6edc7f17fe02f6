"""Derivatives of von Mises-Fisher samples by the concentration.

A sample keeps the value u = F(w; kappa) of its distribution function while kappa moves:
dw / dkappa = -(dF / dkappa) / density. This holds for every sampler, rejection as well.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.types import Array

# 40 nodes for exp(-40 t) on [0, 1] have an error below 1e-12.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_REACH = 36.0  # exp(-36) of the density is left out


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def moving_with(n: int, below: Array, sine: Array, kappa: Array) -> tuple[Array, Array]:
    """A sample's `(1 - w, sqrt(1 - w^2))`, with its derivative by kappa.

    With w = cos(theta), density h(theta) ~ sin(theta)^(n-2) exp(kappa cos(theta)) and
    A = E[w]: dtheta / dkappa = -integral_0^theta (cos(s) - A) h(s) ds / h(theta), by
    Gauss-Legendre on the side of theta where h falls.

    Args:
        n: dimension of the ambient space, >= 2.
        below: 1 - w of samples w, any shape.
        sine: sqrt(1 - w^2), of that shape.
        kappa: concentration >= 0, of that shape.

    Returns:
        `(below, sine)` as they are.

    Example:
        >>> def w(kappa):
        ...     return 1 - moving_with(3, jnp.asarray(1.0), jnp.asarray(1.0), kappa)[0]
        >>> float(jax.grad(w)(0.0).round(4))  # (1 - w^2) / 2 of a uniform law
        0.5

    Source: Figurnov, Mohamed and Mnih 2018 (the derivative of implicit samples).
    """
    return below, sine


@moving_with.defjvp
def _moving_with_jvp(n, primals, tangents):
    below, sine = moving_with(n, *primals)
    kappa = jnp.asarray(primals[2], below.dtype)
    turn = _turn(n, below, sine, kappa) * tangents[2]
    moved = tangents[0] + sine * turn, tangents[1] + (1 - below) * turn
    return (below, sine), moved


def _turn(n: int, below: Array, sine: Array, kappa: Array) -> Array:
    """dtheta / dkappa of samples, of the shape and dtype of below."""
    theta = jnp.arctan2(sine, 1 - below)
    # The mode of h, where (n - 2) cos = kappa sin^2, and the curvature of log h there.
    spread = n - 2 + jnp.hypot(2 * kappa, jnp.asarray(n - 2, kappa.dtype))
    safe = jnp.where(spread > 0, spread, 1)
    cosine = jnp.where(spread > 0, 2 * kappa / safe, 1)
    mode = jnp.arctan2(jnp.sqrt(jnp.where(spread > 0, 2 * (n - 2) / safe, 0)), cosine)
    curved = n - 2 + kappa * cosine
    wide = math.sqrt(2 * _REACH) / jnp.sqrt(jnp.maximum(curved, 1e-3))

    def over(start, end, at):
        """Integrals of h / h(at) and of (1 - cos) h / h(at) from start to end."""
        nodes, weights = (
            jnp.expand_dims(jnp.asarray(x, start.dtype), tuple(range(start.ndim)))
            for x in (1 + _NODES, _WEIGHTS)
        )
        half = ((end - start) / 2)[..., None]
        s = start[..., None] + half * nodes
        log_h = _log_density(n, s, kappa[..., None])
        held = jnp.exp(log_h - _log_density(n, at, kappa)[..., None])
        held = held * half * weights
        versine = 2 * jnp.sin(s / 2) ** 2  # without cancellation at large kappa
        return jnp.sum(held, axis=-1), jnp.sum(versine * held, axis=-1)

    low, high = jnp.maximum(mode - wide, 0), jnp.minimum(mode + wide, jnp.pi)
    parts = [over(low, mode, mode), over(mode, high, mode)]
    mass, lost = (sum(each) for each in zip(*parts, strict=True))
    slope = jnp.abs((n - 2) * jnp.cos(theta) - kappa * sine**2)
    reach = jnp.minimum(_REACH * sine / jnp.maximum(slope, 1e-30), wide)
    left = theta < mode
    start = jnp.where(left, jnp.maximum(theta - reach, 0), theta)
    end = jnp.where(left, theta, jnp.minimum(theta + reach, jnp.pi))
    own_mass, own_lost = over(start, end, theta)
    # cos(s) - A = (1 - A) - (1 - cos(s)), and 1 - A = lost / mass.
    tail = lost / mass * own_mass - own_lost
    return jnp.where(left, -tail, tail)


def _log_density(n: int, theta: Array, kappa: Array) -> Array:
    """log h(theta) + constant: (n - 2) log sin(theta) - kappa (1 - cos(theta))."""
    log_sine = jnp.log(jnp.maximum(jnp.sin(theta), 1e-30)) if n > 2 else 0.0
    return (n - 2) * log_sine - 2 * kappa * jnp.sin(theta / 2) ** 2
