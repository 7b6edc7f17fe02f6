"""Machines as linear systems: continuous time, sampled with a zero-order hold."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from jidcl.checks import (
    check_above,
    check_choice,
    check_rows,
    check_scalar,
    check_shape,
)
from jidcl.compiled import compiled
from jidcl.latents.dynamics import LTI
from jidcl.latents.small import checked_square

# Matrices in continuous time: A, B. Every state is observed.
PHYSICAL = {
    # Armature current and speed; the input is the voltage.
    "dc_motor": (((-2.0, 0.02), (-1.0, -10.0)), ((2.0,), (0.0,))),
    # The same; the second input is a torque on the shaft.
    "loaded_motor": (((-2.0, 0.02), (-1.0, -10.0)), ((2.0, 0.0), (0.0, 100.0))),
    # Position and speed; the input is a force.
    "spring_mass_damper": (((0.0, 1.0), (-0.1, -0.2)), ((0.0,), (0.05,))),
}


def zero_order_hold(a: Any, b: Any, dt: float) -> tuple[jax.Array, jax.Array]:
    """A and B in discrete time, of a control that is constant between samples.

    exp([[a, b], [0, 0]] dt) holds both in its upper rows.

    Args:
        a: in continuous time, `[states, states]`.
        b: in continuous time, `[states, inputs]`.
        dt: time between samples, > 0.

    Returns:
        `(A, B)`.

    Raises:
        ValueError: on shapes that do not fit, or dt <= 0.

    Example:
        >>> a, b = zero_order_hold(-jnp.eye(1), jnp.eye(1), 0.1)
        >>> round(float(a[0, 0]), 4), round(float(b[0, 0]), 4)
        (0.9048, 0.0952)

    Source: Van Loan 1978.
    """
    a = checked_square("a", a)
    check_rows("b", b)
    check_shape("b", b, (len(a), b.shape[1]))
    check_scalar("dt", dt)
    check_above("dt", dt, 0)
    return _held(a, jnp.asarray(b, float), dt)


@compiled
def _held(a: jax.Array, b: jax.Array, dt: float) -> tuple[jax.Array, jax.Array]:
    n, m = b.shape
    rows = jnp.concatenate([jnp.concatenate([a, b], 1), jnp.zeros((m, n + m))])
    whole = jax.scipy.linalg.expm(rows * dt)
    return whole[:n, :n], whole[:n, n:]


def physical_system(name: str, dt: float) -> LTI:
    """A machine, sampled: `dc_motor`, `loaded_motor` or `spring_mass_damper`.

    Args:
        name: of `PHYSICAL`.
        dt: time between samples, > 0.

    Returns:
        `LTI` whose outputs are its two states.

    Raises:
        ValueError: on an unknown name, or dt <= 0.

    Example:
        >>> physical_system("dc_motor", 0.01).b.shape
        (2, 1)

    Source: Rajendran et al. 2024, section 5, and its published code.
    """
    check_choice("name", name, PHYSICAL)
    a, b = (jnp.asarray(matrix, float) for matrix in PHYSICAL[name])
    return LTI(*zero_order_hold(a, b, dt), jnp.eye(len(a)))
