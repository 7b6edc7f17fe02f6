"""Objectives that ask for a standard normal representation: SIGReg, whitening.

LeJEPA pulls the views of one sample together and compares the representation with
N(0, I) along random directions. Two published forms differ in the knots, in what is
pooled and in the scale of the alignment. Views come as one array `[views, batch, m]`.
With `axis`, a mesh axis inside `jax.shard_map`, the batch is this device's and every
value is that of the whole batch.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_features,
    check_float,
    check_key,
    check_memory,
    check_rows,
    check_scalar,
    check_unit_interval,
)
from jidcl.compiled import compiled
from jidcl.losses.contrastive import NegativePolicy, infonce, reduce_rows
from jidcl.losses.distributed import device_mean
from jidcl.losses.moments import unbiased_covariance
from jidcl.losses.similarity import Similarity
from jidcl.numerics import at_least_float32, unit
from jidcl.types import Metrics

FORMS = ("pooled", "per_view")
# The integrand is even, so knots on the half line suffice: 17 on [-5, 5] are 9.
KNOTS = {"pooled": (17, 3.0), "per_view": (9, 5.0)}
# Every positive of the batch is an entry, the own one included; no anchor is.
CROSS_VIEW = NegativePolicy(include_positive=False, compare="positive", symmetric=True)


def draw_directions(key: jax.Array, m: int, count: int) -> jax.Array:
    """Directions for `sigreg`, uniform on the sphere up to length.

    Args:
        key: a typed key.
        m: dimension of the representation, >= 1.
        count: directions, >= 1.

    Returns:
        Standard normal numbers, `[m, count]`.

    Example:
        >>> draw_directions(jax.random.key(0), 3, 64).shape
        (3, 64)

    Source: Balestriero and LeCun 2025, LeJEPA.
    """
    check_key("key", key)
    check_count("m", m)
    check_count("count", count)
    check_memory("count", count, 2 * m * count)
    return jax.random.normal(key, (m, count))


def sigreg(
    y: jax.Array,
    directions: jax.Array,
    *,
    knots: int = 17,
    t_max: float = 3.0,
    axis: str | None = None,
) -> jax.Array:
    r"""How far the rows of y are from N(0, I), seen along directions.

    rows mean_a integral |phi_a(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt over
    [-t_max, t_max], phi_a(t) = mean_i exp(i t a . y_i): the Epps-Pulley statistic of
    each projection, by the trapezoid rule.

    Args:
        y: `[rows, m]`.
        directions: `[m, count]`; columns are scaled to unit length. A training step
            draws new ones.
        knots: knots of the half line [0, t_max], >= 2.
        t_max: end of the integral, > 0.
        axis: mesh axis over which the rows are spread; the directions are the same on
            every device.

    Returns:
        A scalar, float32 or wider. It grows with the number of rows; independent
        normal rows score about 1.2 for t_max = 3.

    Raises:
        ValueError: on wrong shapes, knots < 2 or t_max <= 0.
        TypeError: on dtypes that are not floating-point.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (512, 2))
        >>> a = draw_directions(jax.random.key(1), 2, 64)
        >>> bool(sigreg(y, a) < 5 < sigreg(2 * y, a))
        True

    Source: Balestriero and LeCun 2025, LeJEPA; Klindt, LeCun and Balestriero 2026.

    Notes:
        One cosine and one sine for each row and direction: the others follow by
        turning exp(i t y) from knot to knot, and by Horner's rule in the gradient.
        Nothing of size rows x directions x knots exists. First derivatives only,
        in reverse mode.
    """
    check_rows("y", y)
    check_float("directions", directions)
    if directions.ndim != 2 or directions.shape[0] != y.shape[1]:
        raise ValueError(
            f"directions must have shape [{y.shape[1]}, count], "
            f"got {list(directions.shape)}"
        )
    check_count("knots", knots, 2)
    check_memory("knots", knots, 2 * knots * (1 + directions.shape[1]))
    check_above("t_max", t_max, 0)
    check_scalar("t_max", t_max)
    dtype = at_least_float32(y.dtype, directions.dtype)
    a = unit(directions.astype(dtype).T).T
    projected = jnp.matmul(y.astype(dtype), a, precision=jax.lax.Precision.HIGHEST)
    _, weights, normal = _quadrature(knots, t_max, dtype)
    phi = device_mean(_seen(projected, knots, float(t_max)), axis)
    apart = (phi[:, 0] - normal[:, None]) ** 2 + phi[:, 1] ** 2
    rows = y.shape[0] * (1 if axis is None else jax.lax.axis_size(axis))
    return rows * jnp.mean(jnp.sum(weights[:, None] * apart, axis=0))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _characteristic(x: jax.Array, knots: int, t_max: float) -> jax.Array:
    """Means over the rows of cos(t x) and of sin(t x), `[knots - 1, 2, count]`."""
    return _characteristic_forward(x, knots, t_max)[0]


def _characteristic_forward(x, knots, t_max):
    turn = t_max / (knots - 1) * x
    one = jnp.cos(turn), jnp.sin(turn)

    def at_knot(now, _):
        return _times(now, one), jnp.stack([jnp.mean(part, axis=0) for part in now])

    _, means = jax.lax.scan(at_knot, one, length=knots - 1)
    return means, one


def _characteristic_backward(knots, t_max, one, slopes):
    # d / dx of the means at t is t / rows [imag cos(t x) - real sin(t x)] with their
    # slopes, the real part of a polynomial in exp(i t_1 x).
    t, _, _ = _quadrature(knots, t_max, one[0].dtype)
    slopes = t[:, None, None] / one[0].shape[0] * slopes
    zero = jnp.zeros_like(one[0])
    value = zero, zero
    for k in reversed(range(knots - 1)):
        real, imaginary = slopes[k]
        value = value[0] + imaginary[None], value[1] + real[None]
        value = _times(value, one)
    return (value[0],)


_characteristic.defvjp(_characteristic_forward, _characteristic_backward)
_seen = compiled(_characteristic)


def _quadrature(knots: int, t_max: float, dtype):
    """(t, weights, exp(-t^2 / 2)) of the knots t > 0; at t = 0 the integrand is 0."""
    t = jnp.linspace(0, t_max, knots, dtype=dtype)[1:]
    normal = jnp.exp(-(t**2) / 2)
    ends = jnp.full_like(t, 2).at[-1].set(1)
    return t, t_max / (knots - 1) * ends * normal, normal


def _times(a, b):
    """Product of complex numbers given as pairs of real arrays."""
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def view_alignment(views: jax.Array, *, axis: str | None = None) -> jax.Array:
    """Mean over views, rows and dimensions of (h - mean of the views)^2.

    A quarter of the mean of (h_1 - h_2)^2 for two views.

    Args:
        views: `[views, batch, m]`.
        axis: mesh axis over which the batch is spread.

    Returns:
        A scalar, float32 or wider.

    Example:
        >>> float(view_alignment(jnp.stack([jnp.zeros((4, 2)), jnp.ones((4, 2))])))
        0.25

    Source: Klindt, LeCun and Balestriero 2026.
    """
    _check_views(views)
    views = views.astype(at_least_float32(views.dtype))
    apart = (views - jnp.mean(views, axis=0, keepdims=True)) ** 2
    return reduce_rows(apart, "mean", axis)


def lejepa(
    views: jax.Array,
    directions: jax.Array,
    *,
    lam: jax.Array | float,
    form: str = "pooled",
    global_views: int | None = None,
    axis: str | None = None,
) -> tuple[jax.Array, Metrics]:
    """The LeJEPA loss, lam SIGReg + (1 - lam) alignment, in either published form.

    `"pooled"` (Klindt et al. 2026): SIGReg of all views' rows together, 17 knots on
    [0, 3]; alignment is the mean over views, rows and dimensions of the squared
    distance to the views' mean. `"per_view"` (Balestriero and LeCun 2025): SIGReg of
    each view, averaged, 17 knots on [-5, 5]; alignment sums over dimensions, and the
    mean is that of the first `global_views`.

    Args:
        views: representations, `[views, batch, m]`.
        directions: `[m, count]`, see `sigreg`.
        lam: weight of SIGReg in [0, 1]. SIGReg grows with the number of rows, so the
            best weight depends on the batch.
        form: `"pooled"` or `"per_view"`.
        global_views: views whose mean is the target, `"per_view"` only; None for all.
        axis: mesh axis over which the batch is spread.

    Returns:
        `(loss, metrics)`, metrics `alignment` and `sigreg`.

    Raises:
        ValueError: on wrong shapes, a weight outside of [0, 1], an unknown form, or
            `global_views` that the form or the views do not have.

    Example:
        >>> y = jax.random.normal(jax.random.key(0), (2, 64, 3))
        >>> directions = draw_directions(jax.random.key(1), 3, 16)
        >>> loss, metrics = lejepa(y, directions, lam=0.5)
        >>> sorted(metrics)
        ['alignment', 'sigreg']

    Source: Klindt, LeCun and Balestriero 2026 (pooled); Balestriero and LeCun 2025
        (per_view).
    """
    _check_views(views)
    check_unit_interval("lam", lam)
    check_scalar("lam", lam)
    check_choice("form", form, FORMS)
    knots, t_max = KNOTS[form]
    score = functools.partial(
        sigreg, directions=directions, knots=knots, t_max=t_max, axis=axis
    )
    if form == "pooled":
        if global_views is not None:
            raise ValueError(
                f"global_views must be None for form 'pooled', got {global_views}"
            )
        align = view_alignment(views, axis=axis)
        normal = score(_pooled(views))
    else:
        many = views.shape[0] if global_views is None else global_views
        check_count("global_views", many)
        if not 1 <= many <= views.shape[0]:
            raise ValueError(
                f"global_views must be in [1, {views.shape[0]}], got {global_views}"
            )
        target = jnp.mean(views[:many], axis=0, keepdims=True)
        apart = jnp.sum((views - target) ** 2, axis=-1)
        align = reduce_rows(apart, "mean", axis)
        normal = jnp.mean(jnp.stack([score(view) for view in views]))
    loss = lam * normal + (1 - lam) * align
    return loss, {"alignment": align, "sigreg": normal}


def whitening(y: jax.Array, *, axis: str | None = None) -> jax.Array:
    """Mean over all entries of (Cov(y) - I)^2, unbiased covariance.

    Args:
        y: `[rows, m]`, rows >= 2.
        axis: mesh axis over which the rows are spread.

    Returns:
        A scalar, float32 or wider; 0 where the covariance is the identity.

    Example:
        >>> float(whitening(jnp.zeros((4, 2))))  # mean of I^2
        0.5

    Source: Klindt, LeCun and Balestriero 2026, published code.
    """
    devices = 1 if axis is None else jax.lax.axis_size(axis)
    check_rows("y", y, -(-2 // devices))
    y = y.astype(at_least_float32(y.dtype))
    cov = unbiased_covariance(y, axis)
    return jnp.mean((cov - jnp.eye(y.shape[1], dtype=y.dtype)) ** 2)


def whitened_alignment(
    views: jax.Array, *, lam: jax.Array | float = 0.5, axis: str | None = None
) -> tuple[jax.Array, Metrics]:
    """lam whitening + (1 - lam) alignment, the covariance over all views' rows.

    Args:
        views: `[views, batch, m]`.
        lam: weight of the whitening in [0, 1].
        axis: mesh axis over which the batch is spread.

    Returns:
        `(loss, metrics)`, metrics `alignment` and `whitening`.

    Example:
        >>> y = jnp.array([[1.0], [-1.0]]) * 0.5**0.5  # unbiased variance 1
        >>> loss, _ = whitened_alignment(jnp.stack([y, y]))
        >>> round(float(loss), 4)  # of four rows the variance is 2 / 3
        0.0556

    Source: Klindt, LeCun and Balestriero 2026, published code (there called VICReg).
    """
    _check_views(views)
    check_unit_interval("lam", lam)
    check_scalar("lam", lam)
    align = view_alignment(views, axis=axis)
    white = whitening(_pooled(views), axis=axis)
    loss = lam * white + (1 - lam) * align
    return loss, {"alignment": align, "whitening": white}


def gauss_infonce(
    y: jax.Array, y_pos: jax.Array, *, sigma: float = 1.0, axis: str | None = None
):
    """InfoNCE with s = -||u - v||^2 / (2 sigma^2), across views, both directions.

    Each row is compared with all rows of the other view, its partner included.

    Args:
        y: `[batch, m]`.
        y_pos: `[batch, m]`.
        sigma: width, > 0.
        axis: mesh axis over which the rows are spread.

    Returns:
        `(loss, metrics)` of `infonce`.

    Example:
        >>> y = jnp.eye(2)
        >>> loss, _ = gauss_infonce(y, y)
        >>> round(float(loss), 4)  # log(1 + 1 / e)
        0.3133

    Source: Klindt, LeCun and Balestriero 2026.
    """
    check_above("sigma", sigma, 0)
    check_scalar("sigma", sigma)
    gauss, tau = Similarity("lp"), 2 * sigma**2
    return infonce(y, y_pos, similarity=gauss, tau=tau, policy=CROSS_VIEW, axis=axis)


def _pooled(views: jax.Array) -> jax.Array:
    return views.reshape(math.prod(views.shape[:2]), views.shape[2])


def _check_views(views: jax.Array) -> None:
    check_features("views", views)
    if views.ndim != 3 or views.shape[0] < 2:
        raise ValueError(
            f"views must have shape [views >= 2, batch, m], got {list(views.shape)}"
        )
