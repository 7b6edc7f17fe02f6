"""Moving silhouettes: a walker's mask with sparse (Laplace) transitions.

Three latents, as measured on masks of pedestrians: position x and y of the centre and
the scale. The legs swing with x: a step forward shows. The shape is ours.

Source: Klindt et al. 2021 (slow factors with Laplace transitions, KITTI Masks).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jidcl.checks import check_at_least, is_traced
from jidcl.latents.families import Laplace
from jidcl.latents.rejection import sample_truncated
from jidcl.mixing.scenes.common import check_size, pixel_middles, ranged
from jidcl.types import Array


@dataclasses.dataclass(frozen=True)
class Masks:
    """Settings of the scene.

    Attributes:
        size: rows and columns of the image.

    Example:
        >>> Masks(size=16).factors
        ('x', 'y', 'scale')

    Source: Klindt et al. 2021, KITTI Masks (the factors); the shape is this library's.
    """

    size: int = 64

    factors = ("x", "y", "scale")
    channels = 1

    def __post_init__(self):
        check_size(self.size)


def physical(z: Array) -> Array:
    """Centre x in [0.2, 0.8] and y in [0.35, 0.65], height in [0.3, 0.65]."""
    return ranged(z, (0.2, 0.35, 0.3), (0.8, 0.65, 0.65))


def picture(scene: Masks, z: Array) -> Array:
    """`[3] -> [size, size, 1]`: coverage of a head, a body, two arms, two legs."""
    x, y, height = physical(z)
    across, down = pixel_middles(scene.size, z.dtype)
    u, v = (across - x) / height, (down - y) / height
    swing = 0.14 * jnp.sin(3 * jnp.pi * z[0])
    # From (u, v) to (u, v), radius; v down, the height is 1.
    limbs = (
        ((0.0, -0.41), (0.0, -0.41), 0.085),
        ((0.0, -0.25), (0.0, 0.02), 0.10),
        ((0.0, -0.22), (0.7 * swing, 0.05), 0.04),
        ((0.0, -0.22), (-0.7 * swing, 0.05), 0.04),
        ((0.03, 0.05), (swing, 0.45), 0.05),
        ((-0.03, 0.05), (-swing, 0.45), 0.05),
    )
    gap = jnp.full_like(u, 1e3)
    for (u0, v0), (u1, v1), radius in limbs:
        eu, ev = u1 - u0, v1 - v0
        along = jnp.clip(
            ((u - u0) * eu + (v - v0) * ev) / (eu * eu + ev * ev + 1e-9), 0, 1
        )
        du, dv = u - u0 - eu * along, v - v0 - ev * along
        gap = jnp.minimum(gap, jnp.sqrt(du * du + dv * dv + 1e-9) - radius)
    shown = jnp.clip(0.5 - scene.size * height * gap, 0, 1)
    return shown[..., None]


def walk(key: jax.Array, z: Array, *, length: int, scale: float) -> Array:
    """A sequence z_{t+1} ~ Laplace(z_t, scale) on the box: few coordinates move much.

    Args:
        key: a typed key.
        z: starts `[batch, n]` in [-1, 1].
        length: number of steps.
        scale: of the Laplace steps.

    Returns:
        `[length, batch, n]`, without the starts.

    Raises:
        ValueError: on length < 1, scale <= 0 or, concretely, starts out of range.
    """
    check_at_least("length", length, 1)
    if not is_traced(z) and bool((jnp.abs(z) > 1).any()):
        raise ValueError(f"z must be in [-1, 1], got up to {float(jnp.abs(z).max())}")
    law, impl = Laplace(scale), jax.random.key_impl(key)

    def step(z, data):
        own = jax.random.wrap_key_data(data, impl=impl)
        z, _ = sample_truncated(own, law, z, -1.0, 1.0)
        return z, z

    # As numbers: of keys JAX thinks that a batched scan uses them twice.
    keys = jax.random.key_data(jax.random.split(key, length))
    return jax.lax.scan(step, z, keys)[1]
