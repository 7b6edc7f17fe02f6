"""Nulls of read-outs: what x itself gives, and what chance and a fresh encoder give."""

from collections.abc import Callable

import jax.numpy as jnp

from jidcl.metrics import (
    determination,
    fit_kernel_ridge,
    fit_linear,
    predict,
)
from jidcl.types import Array, Metrics

_ALPHA, _GAMMA = 0.01, 0.2  # of the one kernel ridge regression of a probe
_ROWS = 1024  # that it sees: its time grows with the cube, and a curve has many points


def fit_nulls(z: Array, x: Array, y: Array) -> Callable[[Array, Array], Metrics]:
    """Linear read-outs of x itself, and of the outputs in another order.

    Rows are drawn apart, so moving all of them on by one breaks the pairing.

    Both are nulls of kernel read-outs as well: any smooth read-out finds all of z in x
    where the mixing is smooth, so it would say nothing of the encoder.

    Args:
        z: latents, `[rows, n]`.
        x: their observations, or features of them, `[rows, d]`.
        y: their representation, `[rows, m]`.

    Returns:
        `(x, y) -> ` estimates of z by null, `[rows, n]` each.
    """
    from_x, by_chance = fit_linear(z, x), fit_linear(z, _moved(y))
    return lambda x, y: {"identity": from_x(x), "shuffled": by_chance(_moved(y))}


def _moved(y: Array) -> Array:
    return jnp.roll(y, 1, axis=0)


def smooth_shares(z: Array, y: Array) -> Array:
    """Held-out R2 of each latent by kernel ridge regression with fixed settings.

    For probes: one setting, fitted on half of the first 1,024 rows and scored on the
    other half. Before the first step it is the null of the score whose settings are
    cross-validated.

    Args:
        z: latents, `[rows, n]`, at least 6.
        y: their representation, `[rows, m]`.

    Returns:
        `[n]`.
    """
    z, y = z[:_ROWS], y[:_ROWS]
    half = len(z) // 2
    fit = fit_kernel_ridge(z[:half], y[:half], alphas=(_ALPHA,), gammas=(_GAMMA,))
    return determination(z[half:], predict(fit, y[half:]))
