"""Scores of Jacobians: how far their columns, one a latent, are from orthogonal.

A Jacobian is `[..., D, k]`, D outputs and k latents. That of any decoder or encoder of
the library comes from `jacobians`.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import check_array, check_callable, check_float, check_rows
from jidcl.metrics.columns import host_first


def jacobians(
    f: Callable[[jax.Array], jax.Array], z: jax.Array, *, forward: bool = True
) -> jax.Array:
    """Jacobians of a function of rows at each row, by k forward derivatives.

    Outputs of any shape are flattened: pictures of thousands of pixels take k passes.

    Args:
        f: `[rows, k] -> [rows, ...]`, each row on its own.
        z: where, `[rows, k]`.
        forward: False: f has reverse derivatives only, of first and second order, as
            convolutions of `jidcl.encoders` have. J v then is the derivative of
            u J by u, along v.

    Returns:
        `[rows, D, k]`.

    Example:
        >>> jacobians(lambda z: 2 * z, jnp.zeros((1, 2)))[0]
        Array([[2., 0.],
               [0., 2.]], dtype=float32)

    Source: the definition.
    """
    check_callable("f", f)
    check_rows("z", z)
    z = jnp.asarray(z)

    def push(steps: jax.Array) -> jax.Array:
        if forward:
            return jax.jvp(f, (z,), (steps,))[1]
        value, pull = jax.vjp(f, z)
        return jax.vjp(pull, jnp.zeros_like(value))[1]((steps,))[0]

    def along(direction: jax.Array) -> jax.Array:
        steps = jnp.broadcast_to(direction[None], z.shape)
        return push(steps).reshape(z.shape[0], -1)

    return jax.vmap(along, out_axes=-1)(jnp.eye(z.shape[1], dtype=z.dtype))


@host_first
def local_c_ima(j: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """sum_j log ||J_j|| - 1/2 log det(J^T J), the IMA contrast of each Jacobian, nats.

    It is >= 0, and 0 where the columns are orthogonal. Neither scales of columns nor
    rotations of the output change it.

    Args:
        j: `[..., D, k]`, D >= k.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[...]`; infinite where columns depend on each other, as one of zeros does.

    Raises:
        ValueError: on fewer outputs than latents.

    Example:
        >>> round(float(local_c_ima(jnp.array([[1.0, 1.0], [0.0, 1.0]]))), 4)
        0.3466

    Source: Gresele et al. 2021, definition 4.1; Reizinger et al. 2022, equation 5.
    """
    j = _checked("j", j, xp)
    if j.shape[-2] < j.shape[-1]:
        raise ValueError(
            f"j must have at least as many rows as columns, got {list(j.shape)}"
        )
    lengths, total = _norms(j, xp), 0.0
    left = j / xp.where(lengths == 0, xp.ones_like(lengths), lengths)
    for k in range(j.shape[-1]):  # what is left of each column beside those before
        column = left[..., k : k + 1]
        size = xp.sqrt(xp.sum(column**2, axis=-2, keepdims=True))
        # What is left of a column that depends on others is rounding.
        size = xp.where(size <= 4 * xp.finfo(j.dtype).eps, 0 * size, size)
        safe = xp.where(size == 0, xp.ones_like(size), size)
        total = total - xp.where(size == 0, -xp.inf, xp.log(safe))[..., 0, 0]
        unit = column / safe
        left = left - unit * xp.sum(unit * left, axis=-2, keepdims=True)
    return xp.maximum(total, 0)


@host_first
def global_c_ima(j: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """The mean over points of the local contrast: C_IMA, nats.

    Args:
        j: Jacobians at points of the prior, `[points, D, k]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, >= 0.

    Example:
        >>> j = jnp.array([[[1.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
        >>> round(float(global_c_ima(j)), 4)
        0.1733

    Source: Gresele et al. 2021, definition 4.6.
    """
    return xp.mean(local_c_ima(_points(j, xp), xp=xp))


@host_first
def c_ima_of_mean_jacobian(j: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """The local contrast of the mean Jacobian, nats; not C_IMA.

    Published values of learned decoders are of this kind. It may be near 0 where C_IMA
    is not.

    Args:
        j: Jacobians at points, `[points, D, k]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, >= 0.

    Example:
        >>> j = jnp.array([[[1.0, 1.0], [0.0, 1.0]], [[1.0, -1.0], [0.0, 1.0]]])
        >>> float(c_ima_of_mean_jacobian(j))
        0.0

    Source: Reizinger et al. 2022, published code.
    """
    return local_c_ima(xp.mean(_points(j, xp), axis=0), xp=xp)


@host_first
def conformal_contrast(j: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """1/2 ||J J^T / max diag(J J^T) - 1||_F^2: 0 where a square J is conformal.

    Args:
        j: `[..., D, k]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[...]`.

    Example:
        >>> float(conformal_contrast(jnp.array([[0.0, 2.0], [-2.0, 0.0]])))
        0.0

    Source: Reizinger et al. 2022, published code.
    """
    j = _checked("j", j, xp)
    j = j / xp.max(xp.abs(j), axis=(-1, -2), keepdims=True)
    gram = xp.sum(j[..., :, None, :] * j[..., None, :, :], axis=-1)
    eye = xp.eye(j.shape[-2], dtype=j.dtype)
    eye = eye.reshape((1,) * (j.ndim - 2) + eye.shape)
    most = xp.max(xp.sum(j**2, axis=-1), axis=-1)[..., None, None]
    return xp.sum((gram / most - eye) ** 2, axis=(-1, -2)) / 2


@host_first
def column_norm_variance(j: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """Variance of the lengths of the columns, with divisor k - 1.

    Args:
        j: `[..., D, k]`, k >= 2.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        `[...]`.

    Raises:
        ValueError: on one column.

    Example:
        >>> float(column_norm_variance(jnp.array([[1.0, 0.0], [0.0, 3.0]])))
        2.0

    Source: Reizinger et al. 2022, published code.
    """
    j = _checked("j", j, xp)
    if j.shape[-1] < 2:
        raise ValueError(f"j must have 2 columns or more, got {list(j.shape)}")
    return xp.var(_norms(j, xp)[..., 0, :], axis=-1, ddof=1)


@host_first
def amari_distance(w: jax.Array, a: jax.Array, *, xp: ModuleType = jnp) -> jax.Array:
    """How far each product P = W A is from a scaled permutation, in the mean.

    With s(R) = sum over rows of (sum r^2 / max r^2 - 1): (s(P) + s(P^T)) / (2 d).

    Args:
        w: Jacobians of the encoder, `[..., d, D]`.
        a: Jacobians of the mixing at the same points, `[..., D, d]`.
        xp: `jax.numpy`, or `numpy`: float64 on the host.

    Returns:
        A scalar, >= 0.

    Raises:
        ValueError: on shapes that do not fit.

    Example:
        >>> a = jnp.array([[0.0, 2.0], [-1.0, 0.0]])
        >>> float(amari_distance(jnp.eye(2), a))
        0.0

    Source: Amari, Cichocki, Yang 1996; Reizinger et al. 2022, published code (there the
        Jacobian is another one).
    """
    w, a = _checked("w", w, xp), _checked("a", a, xp)
    d = a.shape[-1]
    if w.shape != (*a.shape[:-2], d, a.shape[-2]):
        raise ValueError(
            f"w must have the shape of a {list(a.shape)} with its last two axes "
            f"exchanged, got {list(w.shape)}"
        )
    w, a = (m / xp.max(xp.abs(m), axis=(-1, -2), keepdims=True) for m in (w, a))
    p = xp.sum(w[..., :, :, None] * a[..., None, :, :], axis=-2)
    square = (p / xp.max(xp.abs(p), axis=(-1, -2), keepdims=True)) ** 2
    spread = 0.0
    for axis in (-1, -2):
        share = xp.sum(square, axis=axis) / xp.max(square, axis=axis)
        spread = spread + xp.sum(share - 1, axis=-1)
    return xp.mean(spread) / (2 * d)


def _checked(name: str, j: Any, xp: ModuleType) -> Any:
    check_float(name, j)
    if j.ndim < 2 or 0 in j.shape:
        raise ValueError(
            f"{name} must have shape [..., rows >= 1, columns >= 1], got "
            f"{list(j.shape)}"
        )
    return xp.asarray(j)


def _points(j: Any, xp: ModuleType) -> Any:
    check_array("j", j)
    if j.ndim != 3:
        raise ValueError(
            f"j must have shape [points, outputs, latents], got {list(j.shape)}"
        )
    return _checked("j", j, xp)


def _norms(j: Any, xp: ModuleType) -> Any:
    """Lengths of columns of any size, `[..., 1, k]`."""
    most = xp.max(xp.abs(j), axis=-2, keepdims=True)
    safe = xp.where(most > 0, most, xp.ones_like(most))
    return safe * xp.sqrt(xp.sum((j / safe) ** 2, axis=-2, keepdims=True))
