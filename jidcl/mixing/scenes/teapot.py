"""A teapot as a signed distance, fitted to the outlines of the scene's mesh.

Body: a polynomial profile turned about Z; lid: a dome and a knob; spout and handle:
tubes round chains in the mirror plane Y = 0, radii tapering. Units of the mesh. The
tests hold the distance to the outlines measured on the mesh.
"""

import jax.numpy as jnp

from jidcl.mixing.scenes.rays import Vec
from jidcl.types import Array

# Corners of the box that holds it.
LOW, HIGH = (-1.95, -1.30, -0.93), (2.24, 1.30, 1.12)

# Radius over Z in [-0.88, 0.66], highest power first; height of the lid over rho^2.
_BODY = (1.2369, 0.1635, -1.254, 0.3504, -0.1212, -0.321, 1.2097)
_LID = (-0.6206, 0.4752, -0.2388, 0.7591)
# (X, Z, radius) along the tubes; Y is scaled: the tubes are wider than they are high.
_SPOUT = (
    (0.90, -0.300, 0.270),
    (1.2685, -0.228, 0.241),
    (1.501, -0.083, 0.1956),
    (1.6105, 0.123, 0.148),
    (1.682, 0.3455, 0.1214),
    (1.8005, 0.530, 0.130),
    (2.08, 0.635, 0.075),
)
_HANDLE = (
    (-0.95, 0.450, 0.076),
    (-1.507, 0.436, 0.086),
    (-1.700, 0.390, 0.096),
    (-1.809, 0.236, 0.095),
    (-1.750, 0.015, 0.093),
    (-1.600, -0.195, 0.082),
    (-1.200, -0.450, 0.090),
)
_SPOUT_FLAT, _HANDLE_FLAT = 0.75, 0.62


def distance(p: Vec) -> Array:
    """Signed distance to the teapot, at most the true one outside.

    Args:
        p: points in the mesh's frame: X to the spout, Z up.

    Returns:
        Negative inside.
    """
    rho = jnp.sqrt(p.x * p.x + p.y * p.y + 1e-9)
    # The profiles are polynomials inside their range only.
    z = jnp.clip(p.z, -0.88, 0.66)
    radius, slope = _polynomial(_BODY, z)
    wall = (rho - radius) / jnp.sqrt(1 + slope * slope)
    body = jnp.maximum(jnp.maximum(wall, -0.895 - p.z), p.z - 0.672)
    square = jnp.minimum(rho, 0.84) ** 2
    height, _ = _polynomial(_LID, square)
    lid = jnp.maximum(0.85 * (p.z - height), jnp.maximum(rho - 0.82, 0.4 - p.z))
    neck = jnp.maximum(rho - (0.105 + 0.3 * jnp.abs(p.z - 0.85)), p.z - 0.96)
    neck = jnp.maximum(neck, 0.6 - p.z)
    knob = _ellipsoid(rho, p.z - 1.018, 0.228, 0.075)
    parts = [body, lid, neck, knob]
    parts += [_tube(p, _SPOUT, _SPOUT_FLAT), _tube(p, _HANDLE, _HANDLE_FLAT)]
    least = parts[0]
    for part in parts[1:]:
        least = jnp.minimum(least, part)
    return least


def _polynomial(weights: tuple[float, ...], x: Array) -> tuple[Array, Array]:
    """Value and derivative."""
    value, slope = jnp.full_like(x, weights[0]), jnp.zeros_like(x)
    for weight in weights[1:]:
        slope = slope * x + value
        value = value * x + weight
    return value, slope


def _ellipsoid(rho: Array, z: Array, wide: float, high: float) -> Array:
    a, b = rho / wide, z / high
    size = jnp.sqrt(a * a + b * b + 1e-9)
    steep = jnp.sqrt((a / wide) ** 2 + (b / high) ** 2 + 1e-9)
    return size * (size - 1) / steep


def _tube(p: Vec, chain: tuple[tuple[float, float, float], ...], flat: float) -> Array:
    """Tapered segments in the plane Y = 0, their sections flattened."""
    across = (flat * p.y) ** 2
    least = None
    for (x0, z0, r0), (x1, z1, r1) in zip(chain[:-1], chain[1:], strict=True):
        ex, ez = x1 - x0, z1 - z0
        wx, wz = p.x - x0, p.z - z0
        share = jnp.clip((wx * ex + wz * ez) / (ex * ex + ez * ez), 0, 1)
        dx, dz = wx - ex * share, wz - ez * share
        apart = jnp.sqrt(dx * dx + dz * dz + across + 1e-9)
        gap = apart - (r0 + (r1 - r0) * share)
        least = gap if least is None else jnp.minimum(least, gap)
    assert least is not None
    return least
