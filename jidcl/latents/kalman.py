"""What outputs with noise say of a linear system: the Kalman filter's likelihood."""

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
from jidcl.latents.small import triangular


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
    known. The filter carries roots of covariances. An output that is NaN was not seen:
    it is left out, alone or with its whole row.

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
    arrays = (outputs, mean, variance, noise, start)
    return _filtered(system, *(jnp.asarray(x, float) for x in arrays))


@compiled
def _filtered(system: LTI, outputs, mean, variance, noise, start) -> jax.Array:
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
