"""Densities by name: settings and the formulas of one coordinate.

One coordinate of every p-norm family has the density
`p / (2 l Gamma(1/p)) exp(-(|d| / l)^p)`, with d the offset from the centre: Laplace
(p = 1, l = scale), normal (p = 2, l = sqrt(2) scale, so `scale` is the standard
deviation) and generalised normal (any p > 0, l = scale).
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammainc

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_finite,
    check_single,
    is_number,
)
from jidcl.compiled import compiled
from jidcl.latents.anisotropic import Anisotropic
from jidcl.latents.parameters import in_dtype
from jidcl.latents.rejection import propose_noise, reject
from jidcl.latents.vmf import VonMisesFisher
from jidcl.numerics import at_least_float32

_register = jax.tree_util.register_dataclass
LEAST_EXPONENT = 0.05


def _tag(name: str) -> Any:
    """A static field that tells the families' tree structures apart.

    JAX compares registered dataclasses by their fields: without it a program cached
    for a Laplace density would answer for a normal one.
    """
    return dataclasses.field(default=name, repr=False, metadata=dict(static=True))


@_register
@dataclasses.dataclass(frozen=True)
class Uniform:
    """The uniform density of a space of finite volume.

    Example:
        >>> Uniform()
        Uniform()

    Source: Zimmermann et al. 2021, section 4.
    """


@_register
@dataclasses.dataclass(frozen=True)
class Laplace:
    """(1 / 2 scale) exp(-|d| / scale) per coordinate; variance 2 scale^2.

    Attributes:
        scale: l > 0, a number or an array that broadcasts against z.
        family: tells trees of this law from those of others; leave it alone.

    Example:
        >>> Laplace(0.05).p
        1.0

    Source: Zimmermann et al. 2021, section 4.
    """

    scale: Any
    family: str = _tag("Laplace")

    def __post_init__(self):
        check_scale(self.scale)

    @property
    def p(self) -> float:
        """1."""
        return 1.0

    @property
    def length(self) -> Any:
        """The l of (|d| / l)^p."""
        return self.scale


@_register
@dataclasses.dataclass(frozen=True)
class Normal:
    """Normal with standard deviation `scale` per coordinate.

    Attributes:
        scale: standard deviation > 0, a number or an array that broadcasts against z.
        family: tells trees of this law from those of others; leave it alone.

    Example:
        >>> round(Normal(1.0).length, 4)
        1.4142

    Source: Zimmermann et al. 2021, section 4.
    """

    scale: Any
    family: str = _tag("Normal")

    def __post_init__(self):
        check_scale(self.scale)

    @property
    def p(self) -> float:
        """2."""
        return 2.0

    @property
    def length(self) -> Any:
        """The l of (|d| / l)^p: sqrt(2) scale."""
        return math.sqrt(2) * self.scale


@_register
@dataclasses.dataclass(frozen=True)
class GeneralisedNormal:
    """p / (2 scale Gamma(1/p)) exp(-(|d| / scale)^p) per coordinate, p >= 0.05.

    Attributes:
        scale: l > 0, a number or an array that broadcasts against z.
        p: exponent >= 0.05: below it most draws are larger than float32 holds.

    Example:
        >>> GeneralisedNormal(0.1, p=4.0).length
        0.1

    Source: Zimmermann et al. 2021, section 4.
    """

    scale: Any
    p: float = dataclasses.field(default=3.0, metadata=dict(static=True))

    def __post_init__(self):
        check_scale(self.scale)
        check_at_least("p", self.p, LEAST_EXPONENT)
        check_single("p", self.p)
        check_finite("p", self.p)

    @property
    def length(self) -> Any:
        """The l of (|d| / l)^p."""
        return self.scale


@_register
@dataclasses.dataclass(frozen=True)
class ProductDensity:
    """One density for each factor of a `Product` space.

    Attributes:
        factors: densities, one for each factor of the space.

    Raises:
        TypeError: on a number or a text, or one among the factors.

    Example:
        >>> len(ProductDensity((Normal(1.0), Laplace(0.1))).factors)
        2

    Source: Zimmermann et al. 2021 (the factors); the product is this library's.
    """

    factors: tuple["Density", ...]

    def __post_init__(self):
        # Trees hold other objects in a factor's place, but never these.
        plain = int | float | str | bytes
        held = self.factors
        if isinstance(held, plain) or (
            isinstance(held, tuple | list) and any(isinstance(f, plain) for f in held)
        ):
            raise TypeError(f"factors must be a tuple of densities, got {held!r}")


Density = (
    Uniform
    | Laplace
    | Normal
    | GeneralisedNormal
    | VonMisesFisher
    | Anisotropic
    | ProductDensity
)
PNormDensity = Laplace | Normal | GeneralisedNormal
DENSITIES = ("uniform", "laplace", "normal", "gennorm", "vmf")


def make_density(name: str, param: Any = None, p: float = 3.0) -> Density:
    """A density by name, for configurations.

    Args:
        name: one of `DENSITIES`.
        param: scale (Laplace, normal, generalised normal) or kappa (vMF).
        p: exponent of the generalised normal.

    Returns:
        The density.

    Raises:
        ValueError: on an unknown name (with the nearest valid one) or parameter.

    Example:
        >>> make_density("laplace", 0.05)
        Laplace(scale=0.05)

    Source: Zimmermann et al. 2021, section 4 (the densities).
    """
    check_choice("density", name, DENSITIES)
    if name == "uniform":
        return Uniform()
    if param is None:
        raise ValueError(f"param must be given for density {name!r}, got None")
    if name == "gennorm":
        return GeneralisedNormal(param, p)
    return {"laplace": Laplace, "normal": Normal, "vmf": VonMisesFisher}[name](param)


@compiled
def noise(key: jax.Array, density: Any, shape: tuple[int, ...], dtype) -> jax.Array:
    """Centred noise of a p-norm family, length * sign * Gamma(1/p)^(1/p) in law."""
    length = in_dtype("length", density.length, dtype)
    if isinstance(density, Laplace):
        return length * jax.random.laplace(key, shape, dtype)
    if isinstance(density, Normal):
        scale = in_dtype("scale", density.scale, dtype)
        return scale * jax.random.normal(key, shape, dtype)
    if density.p >= 1:
        wide = at_least_float32(dtype)  # few digits of a uniform number are few tails
        d, _ = reject(
            key,
            lambda key: propose_noise(key, density.p, shape, wide),
            jnp.zeros(shape, wide),
        )
        return length * d.astype(dtype)
    k_size, k_sign = jax.random.split(key)
    log_size = _loggamma(k_size, 1 / density.p, shape, dtype) / density.p
    return length * jax.random.rademacher(k_sign, shape, dtype) * jnp.exp(log_size)


def _loggamma(key: jax.Array, a: float, shape: tuple[int, ...], dtype) -> jax.Array:
    """Logarithm of Gamma(a, 1); for small whole a a sum of exponentials, no loop."""
    if a in range(2, 9):
        parts = jax.random.exponential(key, (int(a), *shape), dtype)
        return jnp.log(jnp.sum(parts, axis=0))
    return jax.random.loggamma(key, a, shape, dtype)


def log_kernel(density: Any, d: jax.Array) -> jax.Array:
    """log[p / (2 l Gamma(1/p))] - (|d| / l)^p."""
    p, length = density.p, in_dtype("length", density.length, d.dtype)
    log_norm = math.log(2) + math.lgamma(1 + 1 / p)
    return -((jnp.abs(d) / length) ** p) - log_norm - jnp.log(length)


def one_sided_mass(density: Any, reach: jax.Array) -> jax.Array:
    """P(0 <= d <= reach) / P(d >= 0), the regularised gamma P(1/p, (reach / l)^p).

    Odd in reach, so that two of them also measure an interval beside the centre.
    """
    return _mass(
        float(density.p), reach / in_dtype("length", density.length, reach.dtype)
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _mass(p: float, t: jax.Array) -> jax.Array:
    shape, power = jnp.asarray(1 / p, t.dtype), jnp.abs(t) ** p
    # The first term of the series, where t^p loses its digits by underflow.
    small = power < jnp.finfo(t.dtype).eps
    tail = gammainc(shape, jnp.where(small, 1.0, power))
    return jnp.where(small, t / math.gamma(1 + 1 / p), jnp.sign(t) * tail)


@_mass.defjvp
def _mass_jvp(p, primals, tangents):
    # The inner derivatives are infinite and zero at t = 0; their product is not.
    (t,), (dt,) = primals, tangents
    return _mass(p, t), jnp.exp(-(jnp.abs(t) ** p)) / math.gamma(1 + 1 / p) * dt


def check_scale(scale: Any) -> None:
    """Raise `ValueError` unless a concrete scale is > 0."""
    if is_number("scale", scale):
        check_above("scale", scale, 0)
        check_finite("scale", scale)
