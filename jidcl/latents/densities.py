"""Densities on latent spaces: sampling and log-density, as marginal or conditional.

A space turns a family of `jidcl.latents.families` into a conditional (Zimmermann et al.
2021 and its published code): R^n adds the noise, the box, ball and simplex truncate
it, the sphere adds it in R^n and projects.
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import (
    check_features,
    check_finite,
    check_key,
    check_lengths,
    check_memory,
    check_type,
    is_traced,
)
from jidcl.compiled import (
    compiled,
)
from jidcl.latents.anisotropic import Anisotropic, sample_anisotropic
from jidcl.latents.families import (
    Density,
    GeneralisedNormal,
    Laplace,
    Normal,
    ProductDensity,
    Uniform,
    log_kernel,
    noise,
    one_sided_mass,
)
from jidcl.latents.parameters import in_dtype
from jidcl.latents.projected import log_prob_projected
from jidcl.latents.rejection import reject, sample_truncated
from jidcl.latents.spaces import Ball, Box, Product, Real, Simplex, Space, Sphere
from jidcl.latents.vmf import VonMisesFisher, log_prob_vmf, sample_vmf
from jidcl.numerics import at_least_float32, unit


def sample_marginal(
    key: jax.Array,
    density: Density,
    space: Space,
    *,
    shape: tuple[int, ...],
    dtype=jnp.float32,
) -> jax.Array:
    """Draw z ~ p(z).

    Args:
        key: a typed key.
        density: uniform, or any other around `space.centre()` (0; e_1 on the sphere).
        space: where z lives.
        shape: leading shape of the draw.
        dtype: float dtype of the draw.

    Returns:
        `[*shape, n]`.

    Raises:
        ValueError: on a density that the space does not carry, on a box whose centre 0
            lies outside of it, or on a shape that does not fit in memory.

    Example:
        >>> from jidcl.latents import Sphere, Uniform
        >>> z = sample_marginal(jax.random.key(0), Uniform(), Sphere(3), shape=(5,))
        >>> z.shape
        (5, 3)

    Source: Zimmermann et al. 2021, section 4 and published code.
    """
    check_key("key", key)
    _check_law(density, space)
    check_lengths("shape", shape)
    check_memory("shape", shape, math.prod(shape) * space.n)
    if isinstance(density, Uniform):
        return space.uniform(key, tuple(shape), dtype)
    centre = space.centre().astype(dtype)
    if isinstance(space, Box) and not space.low <= 0 <= space.high:
        raise ValueError(
            "a non-uniform marginal on a box is centred at 0: low <= 0 <= high "
            f"needed, got low={space.low} and high={space.high}"
        )
    return sample(key, density, space, jnp.broadcast_to(centre, (*shape, space.n)))


def sample(key: jax.Array, density: Density, space: Space, mean: jax.Array):
    """Draw z_pos ~ p(z_pos | mean), one for each mean.

    Args:
        key: a typed key.
        density: the conditional.
        space: where z lives.
        mean: `[..., n]`, points of the space.

    Returns:
        `[..., n]`, dtype of `mean`. A draw that exhausts its (very generous)
        rejection bound is NaN, never a wrong sample.

    Raises:
        ValueError: on a wrong shape, a concrete mean outside of the space or not
            finite, or a density that the space does not carry.
        TypeError: on a dtype that is not floating-point.

    Example:
        >>> from jidcl.latents import Box, Laplace
        >>> z = sample(jax.random.key(0), Laplace(0.05), Box(2), jnp.full((4, 2), 0.5))
        >>> z.shape
        (4, 2)

    Source: Zimmermann et al. 2021, section 4 and published code.
    """
    return sample_with_acceptance(key, density, space, mean)[0]


def sample_with_acceptance(
    key: jax.Array, density: Density, space: Space, mean: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """As `sample`, with the share of proposals that were accepted.

    Args:
        key: a typed key.
        density: the conditional.
        space: where z lives.
        mean: `[..., n]`, points of the space.

    Returns:
        `(z_pos [..., n], acceptance [])`; the acceptance is 1 where nothing is
        rejected.

    Example:
        >>> from jidcl.latents import Normal, Real
        >>> mean = jnp.zeros((4, 2))
        >>> key = jax.random.key(0)
        >>> z, acceptance = sample_with_acceptance(key, Normal(1.0), Real(2), mean)
        >>> float(acceptance)
        1.0

    Source: Zimmermann et al. 2021, section 4 and published code.
    """
    check_key("key", key)
    _check_law(density, space)
    check_features("mean", mean, space.n)
    check_inside("mean", mean, space)
    return _sample(key, density, space, mean)


@compiled
def _sample(key, density: Density, space: Space, mean: jax.Array):
    wide = at_least_float32(mean.dtype)
    if mean.dtype != wide:  # too few digits for acceptance tests and inverse laws
        centre = space.project(mean.astype(wide))
        z, rate = _sample(key, density, space, centre)
        return z.astype(mean.dtype), rate
    match space, density:
        case Product(), ProductDensity():
            _check_factors(density, space)
            keys = jax.random.split(key, len(space.factors))
            parts = zip(
                keys, density.factors, space.factors, space.split(mean), strict=True
            )
            draws = [_sample(*part) for part in parts]
            rate = jnp.min(jnp.stack([rate for _, rate in draws]))
            return jnp.concatenate([z for z, _ in draws], axis=-1), rate
        case _, Uniform():
            return space.uniform(key, mean.shape[:-1], mean.dtype), jnp.ones(
                (), jnp.float32
            )
        case Sphere(), VonMisesFisher():
            return sample_vmf(key, mean, density.kappa)
        case Sphere(), Anisotropic():
            return sample_anisotropic(key, density, mean)
        case Real(), Laplace() | Normal() | GeneralisedNormal():
            return mean + noise(key, density, mean.shape, mean.dtype), jnp.ones(
                (), jnp.float32
            )
        case Sphere(), Laplace() | Normal() | GeneralisedNormal():
            drawn = mean + noise(key, density, mean.shape, mean.dtype)
            return unit(drawn), jnp.ones((), jnp.float32)
        case Box(), Laplace() | Normal() | GeneralisedNormal():
            in_dtype("length", density.length, mean.dtype)
            return sample_truncated(key, density, mean, space.low, space.high)
        case Ball() | Simplex(), Laplace() | Normal() | GeneralisedNormal():
            return _sample_body(key, density, space, mean)
    raise _unsupported(density, space)


def log_prob(
    density: Density, space: Space, z: jax.Array, mean: jax.Array | None = None
) -> jax.Array:
    """Natural log of the density of z given its mean, with respect to the volume.

    Args:
        density: marginal or conditional.
        space: where z lives (surface measure on the sphere).
        z: `[..., n]`.
        mean: `[..., n]`, broadcast against z; `space.centre()` when None.

    Returns:
        `[...]`; -inf outside of the space, NaN where z is.

    Raises:
        ValueError: on wrong shapes, a concrete mean outside of the space or not
            finite, or a truncated density on a ball or simplex (its normaliser has no
            closed form).

    Example:
        >>> from jidcl.latents import Real, Normal
        >>> float(log_prob(Normal(1.0), Real(1), jnp.zeros((1,)))) # -log(2 pi) / 2
        -0.91893...

    Source: Zimmermann et al. 2021, section 4 (the densities).

    Notes:
        The normaliser of a box depends on the mean. On the sphere the projected
        families are integrated along the ray by quadrature (relative error of the
        density about 1e-6 in float32).
    """
    _check_law(density, space)
    check_features("z", z, space.n)
    if mean is None:
        mean = space.centre().astype(z.dtype)
    check_features("mean", mean, space.n)
    check_inside("mean", mean, space)
    if any(len({1, *sizes}) > 2 for sizes in _aligned(z.shape, mean.shape)):
        raise ValueError(
            f"mean must broadcast against z {list(z.shape)}, got {list(mean.shape)}"
        )
    return _log_prob(density, space, z, mean)


def _aligned(*shapes: tuple[int, ...]) -> Any:
    return itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)


@compiled
def _log_prob(density: Density, space: Space, z: jax.Array, mean: jax.Array) -> Any:
    shape = jnp.broadcast_shapes(z.shape, mean.shape)
    z, mean = jnp.broadcast_to(z, shape), jnp.broadcast_to(mean, shape)
    match space, density:
        case Product(), ProductDensity():
            _check_factors(density, space)
            parts = zip(
                density.factors,
                space.factors,
                space.split(z),
                space.split(mean),
                strict=True,
            )
            return sum(_log_prob(*part) for part in parts)  # type: ignore
        case Real(), Uniform():
            raise _unsupported(density, space)
        case _, Uniform():
            value = jnp.full(z.shape[:-1], -space.log_volume, z.dtype)
        case Sphere(), VonMisesFisher():
            value = log_prob_vmf(z, mean, density.kappa)
        case Sphere(), Laplace() | Normal() | GeneralisedNormal():
            value = log_prob_projected(density, z, mean)
        case Real(), Laplace() | Normal() | GeneralisedNormal():
            return jnp.sum(log_kernel(density, z - mean), axis=-1)
        case Box(), Laplace() | Normal() | GeneralisedNormal():
            mass = one_sided_mass(density, mean - space.low) + one_sided_mass(
                density, space.high - mean
            )
            log_mass = jnp.log(mass / 2)
            value = jnp.sum(log_kernel(density, z - mean) - log_mass, axis=-1)
        case _:
            raise _unsupported(density, space)
    edge = _tolerance(z.dtype) if isinstance(space, Sphere) else 1e-6
    value = jnp.where(space.contains(z, edge), value, -jnp.inf)
    return jnp.where(jnp.isnan(z).any(axis=-1), jnp.nan, value)


def _sample_body(key, density, space: Ball | Simplex, mean):
    """Reject whole vectors, proposed by whichever of two laws is accepted more often.

    The noise truncated to the bounding box (exact), or uniform points of the body,
    thinned by exp(-energy): the better one for wide noise.
    """
    low, high = (-space.radius, space.radius) if isinstance(space, Ball) else (0.0, 1.0)
    mean = space.project(mean)
    mass = one_sided_mass(density, mean - low) + one_sided_mass(density, high - mean)
    length = in_dtype("length", density.length, mean.dtype)
    scale = math.gamma(1 + 1 / density.p) * length
    boxed = jnp.sum(jnp.log(mass * scale), axis=-1) < space.log_volume

    def propose(key):
        k_box, k_flat, k_u = jax.random.split(key, 3)
        noisy, _ = sample_truncated(k_box, density, mean, low, high)
        flat = space.uniform(k_flat, mean.shape[:-1], mean.dtype)
        energy = jnp.sum((jnp.abs(flat - mean) / length) ** density.p, axis=-1)
        kept = jnp.log(jax.random.uniform(k_u, energy.shape, energy.dtype)) <= -energy
        accepted = jnp.where(boxed, space.contains(noisy, 0.0), kept)
        return jnp.where(boxed[..., None], noisy, flat), accepted

    return reject(key, propose, mean, max_rounds=4096)


def _check_law(density: Any, space: Any) -> None:
    check_type("density", density, Density)
    check_type("space", space, Space)


def check_inside(name: str, mean: jax.Array, space: Space) -> None:
    """Raise `ValueError` unless concrete points are finite and lie on the space."""
    if is_traced(mean):
        return
    check_finite(name, mean)
    with jax.ensure_compile_time_eval():
        inside = np.asarray(space.contains(mean, _tolerance(mean.dtype)))
    if not inside.all():
        raise ValueError(
            f"{name} must lie on {space}, got {int((~inside).sum())} of {inside.size} "
            "points outside (space.project brings them back)"
        )


def _tolerance(dtype: Any) -> float:
    """How far outside of a space rounding may leave a point."""
    return max(1e-3, 4 * float(jnp.finfo(dtype).eps))


def _check_factors(density: ProductDensity, space: Product) -> None:
    if len(density.factors) != len(space.factors):
        raise ValueError(
            f"density must have one factor for each of the {len(space.factors)} "
            f"spaces, got {len(density.factors)}"
        )


def _unsupported(density: Any, space: Space) -> ValueError:
    allowed = {
        Sphere: "Uniform, VonMisesFisher, Laplace, Normal, GeneralisedNormal or "
        "(sampling only) Anisotropic",
        Box: "Uniform, Laplace, Normal or GeneralisedNormal",
        Real: "Laplace, Normal or GeneralisedNormal",
        Product: "a ProductDensity",
    }.get(type(space), "Uniform (log_prob), or p-norm families (sampling only)")
    name = type(density).__name__
    return ValueError(f"density on {space} must be {allowed}, got {name}")
