"""Latent spaces: sphere, box, R^n, ball, simplex, and products of them.

A space is a frozen, hashable setting. All of them answer the same questions: `n`
(ambient dimension), `project`, `contains`, `log_volume`, `uniform` and `centre` (the
centre eta of non-uniform marginals; Zimmermann et al. 2021, published code).
"""

import dataclasses
import math
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_count,
    check_finite,
    check_memory,
    check_ordered,
    check_single,
    check_type,
)
from jidcl.latents.parameters import in_dtype
from jidcl.numerics import log_sphere_area, safe_norm, unit, within


@runtime_checkable
class Space(Protocol):
    """What every latent space answers.

    Example:
        >>> isinstance(Sphere(3), Space)
        True

    Source: Zimmermann et al. 2021, published code.
    """

    @property
    def n(self) -> int:
        """Ambient dimension."""
        ...

    @property
    def log_volume(self) -> float:
        """Natural log of the volume (surface area for the sphere)."""
        ...

    def project(self, z: jax.Array) -> jax.Array:
        """Nearest point of the space, `[..., n] -> [..., n]`."""
        ...

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether each `z` lies in the space, `[..., n] -> [...]`."""
        ...

    def uniform(self, key: jax.Array, shape: tuple[int, ...], dtype=...) -> jax.Array:
        """Uniform draws, `[*shape, n]`."""
        ...

    def centre(self) -> jax.Array:
        """Centre eta of non-uniform marginals, `[n]`."""
        ...


@dataclasses.dataclass(frozen=True)
class Sphere:
    """The unit sphere S^(n-1) in R^n, n >= 2.

    Attributes:
        n: dimension of the space around it, >= 2.

    Example:
        >>> Sphere(2).project(jnp.array([3.0, 4.0]))
        Array([0.6, 0.8], dtype=float32)

    Source: Zimmermann et al. 2021 (the sphere).
    """

    n: int

    def __post_init__(self):
        check_count("n of a sphere", self.n, 2)

    @property
    def log_volume(self) -> float:
        """log[2 pi^(n/2) / Gamma(n/2)]."""
        return log_sphere_area(self.n)

    def project(self, z: jax.Array) -> jax.Array:
        """z / ||z||."""
        return unit(z)

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether | ||z|| - 1 | <= atol."""
        return jnp.abs(safe_norm(z) - 1) <= atol

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """A normalised standard Gaussian."""
        check_memory("shape", shape, math.prod(shape) * self.n)
        return unit(jax.random.normal(key, (*shape, self.n), dtype))

    def centre(self) -> jax.Array:
        """e_1."""
        return jnp.zeros(self.n).at[0].set(1.0)


@dataclasses.dataclass(frozen=True)
class Box:
    """The box [low, high]^n.

    Attributes:
        n: dimension, >= 1.
        low: lower bound of each coordinate.
        high: upper bound of each coordinate, > low.

    Example:
        >>> Box(2, -1, 1).project(jnp.array([3.0, 0.5]))
        Array([1. , 0.5], dtype=float32)

    Source: Zimmermann et al. 2021 (convex bodies).
    """

    n: int
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        check_count("n", self.n)
        check_ordered("low", self.low, "high", self.high)
        check_finite("low", self.low)
        check_finite("high", self.high)

    @property
    def log_volume(self) -> float:
        """n log(high - low)."""
        return self.n * math.log(self.high - self.low)

    def project(self, z: jax.Array) -> jax.Array:
        """Clip each coordinate."""
        return jnp.clip(z, self.low, self.high)

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether every coordinate is in the interval, atol of its width aside."""
        slack = atol * (self.high - self.low)
        return jnp.all((z >= self.low - slack) & (z <= self.high + slack), axis=-1)

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """Independent uniform coordinates."""
        check_memory("shape", shape, math.prod(shape) * self.n)
        in_dtype("high - low", self.high - self.low, dtype)
        return jax.random.uniform(key, (*shape, self.n), dtype, self.low, self.high)

    def centre(self) -> jax.Array:
        """The origin: on [0, 1]^n that is the lower corner, as published."""
        return jnp.zeros(self.n)


@dataclasses.dataclass(frozen=True)
class Real:
    """R^n. It has no uniform density.

    Attributes:
        n: dimension, >= 1.

    Example:
        >>> Real(3).centre()
        Array([0., 0., 0.], dtype=float32)

    Source: Zimmermann et al. 2021, published code.
    """

    n: int

    def __post_init__(self):
        check_count("n", self.n)

    @property
    def log_volume(self) -> float:
        """Infinity."""
        return math.inf

    def project(self, z: jax.Array) -> jax.Array:
        """Identity."""
        return z

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether every coordinate is finite."""
        return jnp.all(jnp.isfinite(z), axis=-1)

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """Always raises `ValueError`."""
        raise ValueError("marginal must not be uniform on R^n (infinite volume)")

    def centre(self) -> jax.Array:
        """The origin."""
        return jnp.zeros(self.n)


@dataclasses.dataclass(frozen=True)
class Ball:
    """The ball ||z||_2 <= radius: a convex body with no corners.

    Attributes:
        n: dimension, >= 1.
        radius: > 0.

    Example:
        >>> round(Ball(2).log_volume, 4)  # log(pi)
        1.1447

    Source: Zimmermann et al. 2021 (convex bodies).
    """

    n: int
    radius: float = 1.0

    def __post_init__(self):
        check_count("n", self.n)
        check_above("radius", self.radius, 0)
        check_single("radius", self.radius)
        check_finite("radius", self.radius)

    @property
    def log_volume(self) -> float:
        """log[pi^(n/2) radius^n / Gamma(n/2 + 1)]."""
        ball = self.n / 2 * math.log(math.pi) - math.lgamma(self.n / 2 + 1)
        return ball + self.n * math.log(self.radius)

    def project(self, z: jax.Array) -> jax.Array:
        """z min(1, radius / ||z||)."""
        return within(z, in_dtype("radius", self.radius, z.dtype))

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether ||z|| <= radius (1 + atol)."""
        return safe_norm(z) <= in_dtype("radius", self.radius, z.dtype) * (1 + atol)

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """`jax.random.ball`, scaled."""
        check_memory("shape", shape, math.prod(shape) * self.n)
        radius = in_dtype("radius", self.radius, dtype)
        return radius * jax.random.ball(key, self.n, 2, shape, dtype)

    def centre(self) -> jax.Array:
        """The origin."""
        return jnp.zeros(self.n)


@dataclasses.dataclass(frozen=True)
class Simplex:
    """The corner simplex {z >= 0, sum z <= 1} in R^n: a body with n + 1 corners.

    Attributes:
        n: dimension, >= 1.

    Example:
        >>> bool(Simplex(2).contains(jnp.array([0.5, 0.6])))
        False

    Source: this library: a convex body that is no box.
    """

    n: int

    def __post_init__(self):
        check_count("n", self.n)

    @property
    def log_volume(self) -> float:
        """-log n!."""
        return -math.lgamma(self.n + 1)

    def project(self, z: jax.Array) -> jax.Array:
        """Nearest point: clip at 0, then onto sum z = 1 where the sum exceeds 1."""
        clipped = jnp.maximum(z, 0)
        # Where sum z = 1, a shift of all coordinates changes nothing, and those that
        # lie 1 and more below the largest become 0.
        top = jnp.max(z, axis=-1, keepdims=True)
        z = jnp.maximum(z - top, -1)
        u = -jnp.sort(-z, axis=-1)
        rank = jnp.arange(1, self.n + 1, dtype=z.dtype)
        rank = jnp.expand_dims(rank, tuple(range(z.ndim - 1)))
        excess = (jnp.cumsum(u, axis=-1) - 1) / rank
        support = jnp.sum(u > excess, axis=-1, keepdims=True)
        shift = jnp.take_along_axis(excess, jnp.maximum(support - 1, 0), axis=-1)
        outside = jnp.sum(clipped, axis=-1, keepdims=True) > 1
        return jnp.where(outside, jnp.maximum(z - shift, 0), clipped)

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether every coordinate is >= -atol and the sum <= 1 + atol."""
        return jnp.all(z >= -atol, axis=-1) & (jnp.sum(z, axis=-1) <= 1 + atol)

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """A flat Dirichlet law of n + 1 parts, the last one dropped."""
        check_memory("shape", shape, math.prod(shape) * self.n)
        parts = jax.random.exponential(key, (*shape, self.n + 1), dtype)
        return (parts / jnp.sum(parts, axis=-1, keepdims=True))[..., : self.n]

    def centre(self) -> jax.Array:
        """The origin, a corner."""
        return jnp.zeros(self.n)


@dataclasses.dataclass(frozen=True)
class Product:
    """A product of spaces; each factor owns its own slice of z (spec of the paper).

    Attributes:
        factors: spaces, at least one.

    Raises:
        ValueError: on no factor.
        TypeError: on factors that are no spaces.

    Example:
        >>> Product((Sphere(3), Box(2))).n
        5

    Source: this library, after the paper's spaces (Zimmermann et al. 2021).
    """

    factors: tuple[Space, ...]

    def __post_init__(self):
        if not isinstance(self.factors, tuple | list):
            raise TypeError(f"factors must be a tuple of spaces, got {self.factors!r}")
        if not self.factors:
            raise ValueError("factors must hold at least one space, got ()")
        for space in self.factors:
            check_type("every one of factors", space, Space)

    @property
    def n(self) -> int:
        """Sum of the factors' dimensions."""
        return sum(space.n for space in self.factors)

    @property
    def log_volume(self) -> float:
        """Sum of the factors' log volumes."""
        return sum(space.log_volume for space in self.factors)

    def split(self, z: jax.Array) -> list[jax.Array]:
        """One slice of the last axis for each factor."""
        ends, total = [], 0
        for space in self.factors[:-1]:
            total += space.n
            ends.append(total)
        return jnp.split(z, ends, axis=-1)

    def project(self, z: jax.Array) -> jax.Array:
        """Factor by factor."""
        parts = zip(self.factors, self.split(z), strict=True)
        return jnp.concatenate([space.project(part) for space, part in parts], axis=-1)

    def contains(self, z: jax.Array, atol: float = 1e-3) -> jax.Array:
        """Whether every factor contains its slice."""
        parts = zip(self.factors, self.split(z), strict=True)
        inside = [space.contains(part, atol) for space, part in parts]
        return jnp.all(jnp.stack(inside), axis=0)

    def uniform(self, key, shape, dtype=jnp.float32) -> jax.Array:
        """Independent uniform factors."""
        keys = jax.random.split(key, len(self.factors))
        draws = [
            space.uniform(k, shape, dtype)
            for space, k in zip(self.factors, keys, strict=True)
        ]
        return jnp.concatenate(draws, axis=-1)

    def centre(self) -> jax.Array:
        """The factors' centres, joined."""
        return jnp.concatenate([space.centre() for space in self.factors])
