"""Light and colour: the rubber material, the spotlight's cone, hues, display values.

Source: the public 3DIdent scene (Zimmermann et al. 2021): closed forms of its
renderer's material and lamps, checked against its linear output.
"""

import jax.numpy as jnp

from jidcl.mixing.scenes.rays import Vec, unit
from jidcl.types import Array

_SIGMA, _ALPHA, _GLOSS = 0.6, 0.35, 0.8  # velvet, Beckmann roughness, glossy albedo
_CONE, _BLEND = 0.953717, 0.0046283  # cos 17.5 deg and 0.1 of what is left to 1


def fresnel(cosine: Array, index: float) -> Array:
    """Share of unpolarised light that a dielectric reflects."""
    g = jnp.sqrt(index * index - 1 + cosine * cosine)
    ratio = (cosine * (g + cosine) - 1) / (cosine * (g - cosine) + 1)
    return 0.5 * ((g - cosine) / (g + cosine)) ** 2 * (1 + ratio * ratio)


def rubber(normal: Vec, view: Vec, light: Vec) -> tuple[Array, Array]:
    """Reflectance times the cosine, as A colour + B.

    (1 - F1) c [(1 - F2) rho_d + F2 rho_v] + F1 0.8 rho_g, with F1, F2 the Fresnel
    terms of indices 1.2 and 1.4 in the viewing cosine; rho_d Lambert, rho_v velvet
    (Ashikhmin, sigma = 0.6), rho_g Beckmann (alpha = 0.35). Zero unless both cosines
    are positive.

    Args:
        normal: unit surface normals.
        view: unit vectors to the camera.
        light: unit vectors to the lamp.

    Returns:
        `(A, B)`: the part that takes the surface's colour, and the grey part.
    """
    half = unit(view + light)
    nv, nl, x = normal.dot(view), normal.dot(light), normal.dot(half)
    lit = (nv > 0) & (nl > 0)
    nv, nl = (jnp.clip(jnp.where(lit, c, 0.5), 1e-3, 0.9999) for c in (nv, nl))
    x = jnp.clip(jnp.where(lit, x, 0.5), 1e-2, 0.9999)
    y = jnp.where(lit, jnp.maximum(view.dot(half), 1e-3), 1)
    square = x * x
    tail = 1 - square
    sheen = jnp.exp(-square / (tail * _SIGMA**2)) / (jnp.pi * _SIGMA**2 * tail * tail)
    blocked = jnp.minimum(1, 2 * (x / y) * jnp.minimum(nv, nl))
    velvet = sheen * blocked / (4 * nv)
    facets = jnp.exp(-tail / (square * _ALPHA**2)) / (
        jnp.pi * _ALPHA**2 * square * square
    )
    gloss = facets * _smith(nv) * _smith(nl) / (4 * nv)
    outer, inner = fresnel(nv, 1.2), fresnel(nv, 1.4)
    coloured = (1 - outer) * ((1 - inner) * nl / jnp.pi + inner * velvet)
    grey = outer * _GLOSS * gloss
    return jnp.where(lit, coloured, 0), jnp.where(lit, grey, 0)


def _smith(cosine: Array) -> Array:
    """Masking of Beckmann facets, its rational approximation."""
    q = cosine / (_ALPHA * jnp.sqrt(1 - cosine * cosine))
    share = q * (3.535 + 2.181 * q) / (1 + 2.276 * q + 2.577 * q * q)
    return jnp.where(q >= 1.6, 1, share)


def cone(cosine: Array, opening: Array) -> Array:
    """The spotlight's profile A, averaged over a lamp of some width.

    A(k) = k smoothstep((k - cos 17.5 deg) / w). Every point of the lamp throws the same
    cone, turned by its offset over the distance: the average over a disk is one over
    turns of the angle whose law is a semicircle on [-opening, opening].

    Args:
        cosine: k, of the angle to the cone's axis.
        opening: lamp's radius over its distance.

    Returns:
        Profile in [0, 1].
    """
    sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, 1e-6))
    total = jnp.zeros_like(cosine)
    for turn in _SEMICIRCLE:
        k = cosine + sine * opening * turn
        k = k - cosine * (0.5 * turn * turn) * opening * opening
        s = jnp.clip((k - _CONE) / _BLEND, 0, 1)
        total = total + s * s * (3 - 2 * s)
    return cosine * total / len(_SEMICIRCLE)


# Means of equally likely parts of the semicircle law.
_SEMICIRCLE = (-0.7834, -0.5161, -0.2996, -0.0985, 0.0985, 0.2996, 0.5161, 0.7834)


def hue_circle(hue: Array, saturation: Array | float) -> tuple[Array, Array, Array]:
    """RGB of an angle on the ordinary hue circle, at full value."""
    sixths = jnp.mod(3 * hue / jnp.pi, 6)

    def channel(shift):
        k = jnp.mod(sixths + shift, 6)
        return 1 - saturation * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return channel(5), channel(3), channel(1)


def hue_unclipped(hue: Array, saturation: float) -> tuple[Array, Array, Array]:
    """RGB of an angle in [-pi/2, pi/2] by the conversion of the published scripts.

    It truncates a negative hue towards zero, so values leave [0, 1] there: red and
    green overlap for hues in (-1/6, 0) of a turn, blue exceeds one below, and the
    colour jumps at -1/6.
    """
    w = 3 * hue / jnp.pi
    low = jnp.full_like(w, 1 - saturation)
    one = jnp.ones_like(w)
    rising = 1 - saturation * (1 - w)
    beyond = (w >= 1, w > -1)
    red = jnp.where(w >= 1, 1 - saturation * (w - 1), one)
    green = jnp.where(beyond[0], one, jnp.where(beyond[1], rising, low))
    blue = jnp.where(beyond[1], low, 1 + saturation * jnp.abs(w + 1))
    return red, green, blue


def display(linear: Array) -> Array:
    """Clip to [0, 1] and apply the sRGB curve."""
    linear = jnp.clip(linear, 0, 1)
    bright = linear > 0.0031308
    root = jnp.where(bright, linear, 1.0) ** (1 / 2.4)
    return jnp.where(bright, 1.055 * root - 0.055, 12.92 * linear)
