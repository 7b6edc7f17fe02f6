"""Colour operations on images, with the 8-bit arithmetic of the published pipelines.

Images are float arrays `[..., height, width, 3]` that hold whole levels 0..255, and so
are the results: every operation clips and rounds as the imaging library of the
published code does, which float arithmetic between operations would not. All are pure
and work on any batch; a setting is one number, or one for each image.

Source: von Kuegelgen et al. 2021, appendix on image augmentations, and published code;
Chen et al. 2020 (the order and strength of a colour distortion).
"""

import jax.numpy as jnp

from jidcl.checks import check_at_least, check_features
from jidcl.types import Array


def grey(image: Array) -> Array:
    """(19595 R + 38470 G + 7471 B + 32768) >> 16, three equal channels.

    Args:
        image: `[..., height, width, 3]`, whole numbers in [0, 255] as floats.

    Returns:
        The image, in the same form.
    """
    check_features("image", image, 3)
    weights = jnp.asarray([19595.0, 38470.0, 7471.0], image.dtype) / 65536
    level = jnp.floor(jnp.sum(image * _last(weights, image), -1, keepdims=True) + 0.5)
    return jnp.broadcast_to(level, image.shape)


def brightness(image: Array, factor: Array | float) -> Array:
    """Blend with black: 0 is black, 1 changes nothing, more is brighter.

    Args:
        image: `[..., height, width, 3]`, whole numbers in [0, 255] as floats.
        factor: >= 0, one number or one for each image.

    Returns:
        The image, in the same form.
    """
    return _blend(jnp.zeros_like(image), image, factor)


def contrast(image: Array, factor: Array | float) -> Array:
    """Blend with the mean grey level of the image.

    Args:
        image: `[..., height, width, 3]`, whole numbers in [0, 255] as floats.
        factor: >= 0, one number or one for each image: 0 is grey, 1 changes nothing.

    Returns:
        The image, in the same form.
    """
    mean = jnp.mean(grey(image), axis=(-3, -2, -1), keepdims=True)
    return _blend(jnp.floor(mean + 0.5), image, factor)


def saturation(image: Array, factor: Array | float) -> Array:
    """Blend with the grey version of the image.

    Args:
        image: `[..., height, width, 3]`, whole numbers in [0, 255] as floats.
        factor: >= 0, one number or one for each image: 0 is grey, 1 changes nothing.

    Returns:
        The image, in the same form.
    """
    return _blend(grey(image), image, factor)


def hue_shift(image: Array, shift: Array | float) -> Array:
    """Turn the hue by a fraction of its circle, in 256 levels.

    Args:
        image: `[..., height, width, 3]`.
        shift: fraction in [-1, 1]; the 8-bit hue moves by trunc(255 shift), modulo 256.

    Returns:
        `[..., height, width, 3]`.
    """
    check_features("image", image, 3)
    hue, chroma, value = _to_hsv(image)
    turn = jnp.trunc(255 * _per_image(shift, image)[..., 0])
    return _to_rgb(jnp.mod(hue + turn, 256), chroma, value)


def _blend(other: Array, image: Array, factor: Array | float) -> Array:
    """other + factor (image - other), clipped to 0..255 and cut to whole levels."""
    check_features("image", image, 3)
    check_at_least("factor", factor, 0)
    mixed = other + _per_image(factor, image) * (image - other)
    return jnp.floor(jnp.clip(mixed, 0, 255))


def _per_image(value: Array | float, image: Array) -> Array:
    """A number for each image, or for all, to meet `[..., height, width, 3]`."""
    value = jnp.asarray(value, image.dtype)
    shape = jnp.broadcast_shapes(value.shape, image.shape[:-3])
    return jnp.broadcast_to(value, shape)[..., None, None, None]


def _last(weights: Array, image: Array) -> Array:
    return jnp.expand_dims(weights, tuple(range(image.ndim - 1)))


def _to_hsv(image: Array) -> tuple[Array, Array, Array]:
    """8-bit hue, saturation and value, `[..., height, width]` each."""
    red, green, blue = (image[..., k] for k in range(3))
    value, low = jnp.max(image, -1), jnp.min(image, -1)
    extent = value - low
    safe = jnp.where(extent > 0, extent, 1)
    from_red, from_green, from_blue = ((value - c) / safe for c in (red, green, blue))
    sixths = jnp.where(
        red == value,
        from_blue - from_green,
        jnp.where(green == value, 2 + from_red - from_blue, 4 + from_green - from_red),
    )
    hue = jnp.floor(255 * jnp.mod(sixths / 6 + 1, 1))
    chroma = jnp.floor(255 * extent / jnp.maximum(value, 1))
    return jnp.where(extent > 0, hue, 0), chroma, value


def _to_rgb(hue: Array, chroma: Array, value: Array) -> Array:
    """The image of 8-bit hue, saturation and value."""
    sixths, share = hue * 6 / 255, chroma / 255
    sector = jnp.floor(sixths)
    along = sixths - sector
    low = _rounded(value * (1 - share))
    falling = _rounded(value * (1 - share * along))
    rising = _rounded(value * (1 - share * (1 - along)))
    wheel = [
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    ]
    sector = jnp.mod(sector, 6)
    channels = [
        jnp.select([sector == k for k in range(6)], [colour[c] for colour in wheel])
        for c in range(3)
    ]
    return jnp.stack(channels, axis=-1)


def _rounded(x: Array) -> Array:
    """To the nearest level, halves up."""
    return jnp.floor(x + 0.5)
