"""What outputs with noise say of a linear system: the Kalman filter's likelihood."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from jidcl.checks import (
    check_above,
    check_at_least,
    check_float,
    check_rows,
    check_scalar,
    check_shape,
)
from jidcl.compiled import compiled
from jidcl.latents.dynamics import LTI, checked_system
from jidcl.latents.small import inverse_small, solve_small, triangular


def kalman_log_likelihood(
    system: LTI,
    outputs: Any,
    *,
    mean: Any,
    variance: Any,
    noise: float,
    start: Any = None,
) -> jax.Array:
    """log p(y_0, ..., y_(T-1)) of outputs with noise, controls not seen.

    y_t = C x_t + e_t with e_t ~ N(0, noise I), u_t ~ N(mean, diag variance) and x_0
    known. An output that is NaN was not seen: it is left out, alone or with its whole
    row. In double precision blocks of time are filtered side by side; in single
    precision the filter goes step by step and carries roots of covariances.

    Args:
        system: an `LTI`.
        outputs: y, `[time, outputs]`; `jax.vmap` adds environments.
        mean: of the controls, `[inputs]`.
        variance: of the controls, `[inputs]`, >= 0.
        noise: variance of the noise of each output, > 0.
        start: x_0, `[states]`; zero when None.

    Returns:
        The log-likelihood, nats.

    Raises:
        ValueError: on shapes that do not fit, or a number out of range.

    Example:
        >>> one = jnp.eye(1)
        >>> own = dict(mean=jnp.zeros(1), variance=jnp.ones(1), noise=1.0)
        >>> seen = kalman_log_likelihood(LTI(one, one, one), jnp.zeros((1, 1)), **own)
        >>> round(float(seen), 4)
        -0.9189

    Source: Kalman 1960; the form with roots: Kailath, Sayed, Hassibi 2000, chapter 12.
    """
    system = checked_system("system", system)
    check_rows("outputs", outputs, 0, len(system.c))
    n, m = system.b.shape
    for name, value in (("mean", mean), ("variance", variance)):
        check_float(name, value)
        check_shape(name, value, (m,))
    check_at_least("variance", variance, 0)
    check_scalar("noise", noise)
    check_above("noise", noise, 0)
    start = jnp.zeros(n) if start is None else start
    check_float("start", start)
    check_shape("start", start, (n,))
    arrays = [jnp.asarray(x, float) for x in (outputs, mean, variance, noise, start)]
    # Measured on a CPU by experiments/kalman_scan.py: blocks are faster. In single
    # precision they lose small noises, which roots keep.
    run = in_blocks if arrays[0].dtype == jnp.float64 else by_roots
    return run(system, *arrays)


@compiled
def by_roots(system: LTI, outputs, mean, variance, noise, start) -> jax.Array:
    """`kalman_log_likelihood` step by step; the filter carries roots of covariances."""
    n, p = len(system.a), len(system.c)
    push, drive = system.b @ mean, system.b * jnp.sqrt(variance)[None]

    def step(held, y):
        x, root = held
        seen = ~jnp.isnan(y)
        c = jnp.where(seen[:, None], system.c, 0.0)
        error = jnp.where(seen, y, 0.0) - c @ x
        own = jnp.diag(jnp.where(seen, jnp.sqrt(noise), 1.0))
        above = jnp.concatenate([own, c @ root], axis=1)
        below = jnp.concatenate([jnp.zeros((n, p)), root], axis=1)
        lower = triangular(jnp.concatenate([above, below]))
        of_y, gain, root = lower[:p, :p], lower[p:, :p], lower[p:, p:]
        scaled = solve_triangular(of_y, error, lower=True)
        sizes = jnp.log(jnp.abs(jnp.diag(of_y)))
        told = jnp.where(seen, 2 * sizes + jnp.log(2 * jnp.pi), 0.0)
        log = -0.5 * (jnp.sum(told) + jnp.sum(scaled**2))
        x = system.a @ (x + gain @ scaled) + push
        root = triangular(jnp.concatenate([system.a @ root, drive], axis=1))
        return (x, root), log

    _, logs = jax.lax.scan(step, (start, jnp.zeros((n, n))), outputs)
    return jnp.sum(logs)


@compiled
def in_blocks(system: LTI, outputs, mean, variance, noise, start) -> jax.Array:
    """`kalman_log_likelihood` in blocks of time side by side, with covariances.

    A block is (F, f, D, eta, J): given x before it, x at its end has mean F x + f and
    covariance D, and its outputs have a density that goes with x as
    exp(eta x - x J x / 2). Of all blocks this is found at once, a step after another;
    it gives x before each of them, from where the filter runs through all at once. So
    there are three loops of sqrt(time) steps.

    Source: Särkkä, García-Fernández 2021, with blocks in place of a tree.
    """
    a, n, (time, p) = system.a, len(system.a), outputs.shape
    push, drive = system.b @ mean, (system.b * variance[None]) @ system.b.T
    eye, nothing = jnp.eye(n), jnp.zeros((n, n))
    length = max(1, math.isqrt(time))
    count = -(-time // length)
    more = jnp.full((count * length - time, p), jnp.nan)
    rows = jnp.concatenate([outputs, more]).reshape(count, length, p).swapaxes(0, 1)

    def seen(y):
        there = ~jnp.isnan(y)
        return there, jnp.where(there, y, 0.0), jnp.where(there[:, None], system.c, 0.0)

    def longer(block, y):
        f, shift, d, eta, j = block
        _, y, c = seen(y)
        new_eta, new_j = c.T @ y / noise, c.T @ c / noise
        inverse = inverse_small(eye + d @ new_j)
        ahead, back = a @ inverse, f.T @ inverse.T
        return (
            ahead @ f,
            ahead @ (shift + d @ new_eta) + push,
            ahead @ d @ a.T + drive,
            back @ (new_eta - new_j @ shift) + eta,
            back @ new_j @ f + j,
        )

    def through(held, block):
        x, spread = held
        f, shift, d, eta, j = block
        ahead = f @ inverse_small(eye + spread @ j)
        new = ahead @ (x + spread @ eta) + shift, ahead @ spread @ f.T + d
        return new, held

    def step(held, y):
        x, spread = held
        there, y, c = seen(y)
        error = y - c @ x
        of_y = c @ spread @ c.T + jnp.diag(jnp.where(there, noise, 1.0))
        known = jnp.concatenate([error[:, None], c @ spread], axis=1)
        solved, size = solve_small(of_y, known)
        told = jnp.sum(jnp.where(there, jnp.log(2 * jnp.pi), 0.0)) + size
        gain = a @ spread @ c.T
        x = a @ x + gain @ solved[:, 0] + push
        spread = a @ spread @ a.T - gain @ solved[:, 1:] @ a.T + drive
        return (x, spread), -0.5 * (told + error @ solved[:, 0])

    def over(function):
        return lambda held, y: (jax.vmap(function)(held, y), None)

    none = jnp.zeros(n)
    empty = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (count, *x.shape)),
        (eye, none, nothing, none, nothing),
    )
    blocks, _ = jax.lax.scan(over(longer), empty, rows)
    _, starts = jax.lax.scan(through, (start, nothing), blocks)
    _, logs = jax.lax.scan(jax.vmap(step), starts, rows)
    return jnp.sum(logs)
