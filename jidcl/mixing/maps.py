"""Closed-form mixings with exact inverses: maps of the plane, Moebius maps.

Spiral, banana and sinusoid are of Klindt, LeCun and Balestriero 2026. Moebius maps, the
linear maps that distort them, and their Jacobians are of Reizinger et al. 2022.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_count,
    check_features,
    check_key,
    check_rows,
    check_shape,
    check_single,
    check_unit_interval,
    is_traced,
)
from jidcl.numerics import safe_norm
from jidcl.types import Params


class PlaneMap(NamedTuple):
    """A mixing of the plane and its inverse.

    Attributes:
        mix: g, `[..., 2] -> [..., 2]`.
        unmix: g^{-1}, `[..., 2] -> [..., 2]`.

    Example:
        >>> PLANE_MAPS["banana"].mix(jnp.array([2.0, 1.0]))
        Array([2., 5.], dtype=float32)

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """

    mix: Callable[[jax.Array], jax.Array]
    unmix: Callable[[jax.Array], jax.Array]


def spiral(z: jax.Array) -> jax.Array:
    """R(pi ||z||) z: a turn, counter-clockwise, that grows with the distance."""
    return _turned(z, jnp.pi)


def unspiral(x: jax.Array) -> jax.Array:
    """Inverse of `spiral`: lengths are kept, so the same turn back."""
    return _turned(x, -jnp.pi)


def banana(z: jax.Array) -> jax.Array:
    """(z_1, z_2 + z_1^2)."""
    check_features("z", z, 2)
    return jnp.stack([z[..., 0], z[..., 1] + z[..., 0] ** 2], axis=-1)


def unbanana(x: jax.Array) -> jax.Array:
    """Inverse of `banana`."""
    check_features("x", x, 2)
    return jnp.stack([x[..., 0], x[..., 1] - x[..., 0] ** 2], axis=-1)


def sinusoid(z: jax.Array) -> jax.Array:
    """(z_1 + sin(1.5 z_2), z_2)."""
    check_features("z", z, 2)
    return jnp.stack([z[..., 0] + jnp.sin(1.5 * z[..., 1]), z[..., 1]], axis=-1)


def unsinusoid(x: jax.Array) -> jax.Array:
    """Inverse of `sinusoid`."""
    check_features("x", x, 2)
    return jnp.stack([x[..., 0] - jnp.sin(1.5 * x[..., 1]), x[..., 1]], axis=-1)


PLANE_MAPS = {
    "spiral": PlaneMap(spiral, unspiral),
    "banana": PlaneMap(banana, unbanana),
    "sinusoid": PlaneMap(sinusoid, unsinusoid),
}


def _turned(z: jax.Array, rate: float) -> jax.Array:
    check_features("z", z, 2)
    angle = rate * safe_norm(z)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = z[..., 0], z[..., 1]
    return jnp.stack([cos * a - sin * b, sin * a + cos * b], axis=-1)


# Moebius maps and what distorts them -------------------------------------------------

CENTRING = 4096  # points of the cube whose mean image is taken away


def init_moebius(key: jax.Array, n: int) -> Params:
    """A Moebius map of the cube [-1/2, 1/2]^n, whose images have mean 0.

    Q is Haar-distributed, and each entry of the pole a is normal given |a_i| > 1/2, so
    that a lies outside of the cube.

    Args:
        key: a typed key.
        n: width of z and x, >= 1.

    Returns:
        `{"q": [n, n], "pole": [n], "shift": [n], "scale": [], "linear": [n, n]}`:
        `scale` is 1 and `linear` the identity.

    Raises:
        ValueError: if n < 1.

    Example:
        >>> bool(jnp.all(jnp.abs(init_moebius(jax.random.key(0), 3)["pole"]) > 0.5))
        True

    Source: Reizinger et al. 2022, published code (there each entry is drawn again until
        it is outside; here by the inverse of its distribution function).
    """
    check_key("key", key)
    check_count("n", n)
    of_q, of_pole, of_sign, of_points = jax.random.split(key, 4)
    outside = jax.scipy.stats.norm.cdf(-0.5)
    # Uniform numbers may be 0, and their quantile infinite.
    share = 1 - jax.random.uniform(of_pole, (n,))
    length = -jax.scipy.special.ndtri(share * outside)
    params = {
        "q": jax.random.orthogonal(of_q, n),
        "pole": length * jax.random.rademacher(of_sign, (n,), share.dtype),
        "shift": jnp.zeros(n),
        "scale": jnp.ones(()),
        "linear": jnp.eye(n),
    }
    points = jax.random.uniform(of_points, (CENTRING, n), minval=-0.5, maxval=0.5)
    return {**params, "shift": -jnp.mean(moebius(params, points), axis=0)}


def moebius(params: Params, z: jax.Array) -> jax.Array:
    """x = L (b + alpha Q (z - a) / ||z - a||^2), `[..., n] -> [..., n]`.

    With L = 1 the map is conformal: the columns of its Jacobian are orthogonal and of
    one length.

    Args:
        params: of `init_moebius`: a is `pole`, b `shift`, alpha `scale`, L `linear`.
        z: `[..., n]`, not the pole.

    Returns:
        `[..., n]`.

    Example:
        >>> g = init_moebius(jax.random.key(0), 2)
        >>> moebius(g, jnp.zeros((5, 2))).shape
        (5, 2)

    Source: Reizinger et al. 2022, appendix on experiments.
    """
    q, linear = _moebius_params(params)
    check_features("z", z, q.shape[-1])
    away, length = _from_pole(params, z)
    inverted = params["scale"] * (away / length) @ q.T
    return (inverted + _row(params["shift"], z)) @ linear.T


def unmoebius(params: Params, x: jax.Array) -> jax.Array:
    """z = g^{-1}(x) of `moebius`: z = a + Q^T y / ||y||^2, y = (L^{-1} x - b) / alpha.

    Args:
        params: of `init_moebius`.
        x: `[batch, n]`.

    Returns:
        `[batch, n]`.

    Example:
        >>> g = init_moebius(jax.random.key(0), 2)
        >>> z = jnp.array([[0.1, -0.3]])
        >>> bool(jnp.allclose(unmoebius(g, moebius(g, z)), z, atol=1e-5))
        True

    Source: Reizinger et al. 2022, appendix on experiments.
    """
    q, linear = _moebius_params(params)
    check_rows("x", x, width=q.shape[-1])
    straight = jnp.linalg.solve(linear, x.T).T
    y = (straight - _row(params["shift"], x)) / params["scale"]
    length = safe_norm(y, keepdims=True)
    return (y / length / length) @ q + _row(params["pole"], x)


def moebius_jacobian(params: Params, z: jax.Array) -> jax.Array:
    """dx / dz = alpha / ||z - a||^2 L Q (1 - 2 n n^T), n = (z - a) / ||z - a||.

    Args:
        params: of `init_moebius`.
        z: `[..., n]`, not the pole.

    Returns:
        `[..., n, n]`, a column for each latent.

    Example:
        >>> j = moebius_jacobian(init_moebius(jax.random.key(0), 2), jnp.zeros(2))
        >>> bool(abs(j[:, 0] @ j[:, 1]) < 1e-6)
        True

    Source: Reizinger et al. 2022, appendix on experiments.
    """
    q, linear = _moebius_params(params)
    check_features("z", z, q.shape[-1])
    away, length = _from_pole(params, z)
    turned = linear @ q
    mirrored = 2 * (away @ turned.T)[..., :, None] * away[..., None, :]
    factor = params["scale"] / length / length
    return factor[..., None] * (turned.reshape(_ones(z) + turned.shape) - mirrored)


def unit_determinant(a: jax.Array) -> jax.Array:
    """A square matrix over the n-th root of its |determinant|.

    Args:
        a: `[n, n]`, of full rank; such as one with entries uniform on [0, 1].

    Returns:
        `[n, n]`, of determinant 1 or -1.

    Raises:
        ValueError: on a matrix that is not square, or a singular one.

    Example:
        >>> unit_determinant(jnp.array([[4.0, 0.0], [0.0, 1.0]]))
        Array([[2. , 0. ],
               [0. , 0.5]], dtype=float32)

    Source: Reizinger et al. 2022, published code (the distorted Moebius map).
    """
    check_rows("a", a)
    if a.shape[0] != a.shape[1]:
        raise ValueError(
            f"a must be square, as it needs a determinant, got {list(a.shape)}"
        )
    a = jnp.asarray(a)
    log_det = jnp.linalg.slogdet(a)[1]
    if not is_traced(log_det) and bool(jnp.isneginf(log_det)):
        raise ValueError("a must have full rank, got a singular matrix")
    return a / jnp.exp(log_det / a.shape[0])


def angled(cosine: float, *, columns: bool = False) -> jax.Array:
    """A 2 x 2 matrix with rows (1, 0) and (c, sqrt(1 - c^2)).

    Its contrast is 1/2 log(1 + c^2), at most 0.347. With columns at that angle instead
    it is -1/2 log(1 - c^2).

    Args:
        cosine: c, in [0, 1).
        columns: the columns, and not the rows, are at that angle.

    Returns:
        `[2, 2]`.

    Raises:
        ValueError: on a cosine outside of [0, 1), or that float32 rounds to 1.

    Example:
        >>> angled(0.6)
        Array([[1. , 0. ],
               [0.6, 0.8]], dtype=float32)

    Source: Reizinger et al. 2022, published code (rows); this library (columns).
    """
    check_single("cosine", cosine)
    check_unit_interval("cosine", cosine)
    c = jnp.asarray(cosine, jnp.result_type(float))
    if not is_traced(c) and float(c) == 1:
        raise ValueError(f"cosine must be < 1, got {cosine}: the matrix is singular")
    rows = jnp.array([[1, 0], [c, jnp.sqrt((1 - c) * (1 + c))]], c.dtype)
    return rows.T if columns else rows


def _moebius_params(params: Params) -> tuple[jax.Array, jax.Array]:
    """Q and L of checked parameters."""
    names = ("q", "pole", "shift", "scale", "linear")
    if not isinstance(params, Mapping) or not set(names) <= set(params):
        raise TypeError(f"params must be a dict with {list(names)}, got {params!r}")
    q = params["q"]
    check_rows("q of params", q)
    n = q.shape[-1]
    shapes = ((n, n), (n,), (n,), (), (n, n))
    for name, shape in zip(names, shapes, strict=True):
        check_shape(f"{name} of params", params[name], shape)
    return q, params["linear"]


def _from_pole(params: Params, z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The direction from the pole to z, `[..., n]`, and the distance, `[..., 1]`."""
    away = z - _row(params["pole"], z)
    length = safe_norm(away, keepdims=True)
    return away / length, length


def _row(values: jax.Array, like: jax.Array) -> jax.Array:
    """`[n]` with the leading axes of another array."""
    return jnp.asarray(values).reshape(_ones(like) + values.shape)


def _ones(like: jax.Array) -> tuple[int, ...]:
    return (1,) * (like.ndim - 1)
