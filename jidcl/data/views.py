"""Random views of images: crop, flip, turn, colour distortion, blur; parameters kept.

An image is a float array `[height, width, 3]` of whole levels 0..255, as for
`jidcl.data.augment`; the caller adds batches by `vmap`. Geometry resamples as the
imaging library of the published code does and rounds to whole levels.

Source: von Kuegelgen et al. 2021, section 5.2, and published code; Chen et al. 2020.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_features,
    check_ordered,
    check_unit_interval,
    check_whole,
)
from jidcl.data.augment import brightness, contrast, grey, hue_shift, saturation
from jidcl.types import Array

METHODS = ("linear", "cubic")
ATTEMPTS = 10  # boxes drawn before a crop falls back to the middle of the image


@dataclasses.dataclass(frozen=True)
class ViewSettings:
    """What a random view may do, in this order; off by default, but for the size.

    Attributes:
        size: rows and columns of the view.
        quarter_turns: turned by 0, 90, 180 or 270 degrees.
        crop: random resized crop, then a flip with probability 1/2.
        area: least and greatest share of the image in a crop.
        aspect: least and greatest width / height of a crop, drawn log-uniformly.
        method: linear or cubic resampling, with antialiasing.
        jitter: probability of a colour jitter.
        strength: brightness, contrast and saturation factors are drawn from
            1 - 0.8 strength to 1 + 0.8 strength, hue shifts up to 0.2 strength.
        grey: probability of three equal channels.
        blur: probability of a Gaussian blur.
        sigma: least and greatest standard deviation of the blur, pixels of the view.
    """

    size: int = 64
    quarter_turns: bool = False
    crop: bool = False
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    method: str = "cubic"
    jitter: float = 0.0
    strength: float = 1.0
    grey: float = 0.0
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self):
        check_whole("size", self.size)
        check_at_least("size", self.size, 1)
        check_choice("method", self.method, METHODS)
        for name in ("jitter", "grey", "blur"):
            check_unit_interval(name, getattr(self, name))
        for name in ("area", "aspect", "sigma"):
            low, high = getattr(self, name)
            check_above(f"{name}[0]", low, 0)
            if low != high:
                check_ordered(f"{name}[0]", low, f"{name}[1]", high)
        check_unit_interval("area[1]", self.area[1])
        check_at_least("strength", self.strength, 0)
        check_unit_interval("0.8 strength", 0.8 * self.strength)


def random_view(
    key: Array, image: Array, views: ViewSettings
) -> tuple[Array, dict[str, Array]]:
    """One random view of one image, and what was done to it.

    Args:
        key: a typed key.
        image: `[height, width, 3]`, whole levels 0..255.
        views: what may be done.

    Returns:
        `(view [size, size, 3], parameters)`: scalars `turns`, `top`, `left`, `height`,
        `width` (of the crop, pixels of the turned image), `flipped`, `brightness`,
        `contrast`, `saturation`, `hue`, `grey`, `sigma` (0: not blurred).

    Raises:
        ValueError: on an image of another shape.

    Example:
        >>> key, image = jax.random.key(0), jnp.zeros((9, 8, 3))
        >>> view, done = random_view(key, image, ViewSettings(size=4))
        >>> view.shape, float(done["width"])
        ((4, 4, 3), 8.0)
    """
    check_features("image", image, 3)
    if image.ndim != 3:
        raise ValueError(
            f"image must have shape [height, width, 3], got {list(image.shape)}: use "
            "jax.vmap for a batch"
        )
    turn_key, crop_key, flip_key, colour_key, blur_key = jax.random.split(key, 5)
    done: dict[str, Any] = dict(turns=jnp.zeros((), jnp.int32))
    if views.quarter_turns:
        image, done["turns"] = _turned(turn_key, image)
    box = _whole(image)
    if views.crop:
        box = crop_box(crop_key, image.shape[:2], area=views.area, aspect=views.aspect)
    done["top"], done["left"], done["height"], done["width"] = box
    view = crop_resize(image, box, views.size, method=views.method)
    done["flipped"] = jax.random.bernoulli(flip_key) & views.crop
    view = jnp.where(done["flipped"], view[:, ::-1], view)
    view, colours = _recoloured(colour_key, view, views)
    use_key, sigma_key = jax.random.split(blur_key)
    sigma = jax.random.uniform(
        sigma_key, (), view.dtype, views.sigma[0], views.sigma[1]
    )
    blurred = jax.random.bernoulli(use_key, views.blur)
    if views.blur:
        soft = blur(view, sigma, radius=_reach(views.sigma[1]))
        view = jnp.where(blurred, soft, view)
    return view, done | colours | {"sigma": jnp.where(blurred, sigma, 0)}


def crop_box(
    key: Array,
    shape: tuple[int, ...],
    *,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[Array, Array, Array, Array]:
    """A random box of whole pixels: (top, left, height, width).

    Share of the area uniform, aspect log-uniform; the first of ten that fits, else the
    largest box in the middle whose aspect is allowed.

    Args:
        key: a typed key.
        shape: (rows, columns) of the image.
        area: least and largest share of the area, in (0, 1].
        aspect: least and largest width over height, > 0.

    Returns:
        Four scalars, pixels.
    """
    rows, cols = shape
    area_key, aspect_key, place_key = jax.random.split(key, 3)
    share = jax.random.uniform(area_key, (ATTEMPTS,), minval=area[0], maxval=area[1])
    ends = [math.log(end) for end in aspect]
    ratio = jnp.exp(jax.random.uniform(aspect_key, (ATTEMPTS,), float, *ends))
    target = share * (rows * cols)
    width = jnp.rint(jnp.sqrt(target * ratio))
    height = jnp.rint(jnp.sqrt(target / ratio))
    fits = (width >= 1) & (width <= cols) & (height >= 1) & (height <= rows)
    first = jnp.argmax(fits)
    u, v = jax.random.uniform(place_key, (2,))
    width, height = width[first], height[first]
    top, left = jnp.floor(u * (rows - height + 1)), jnp.floor(v * (cols - width + 1))
    whole = min(max(cols / rows, aspect[0]), aspect[1])
    other_w, other_h = min(cols, round(rows * whole)), min(rows, round(cols / whole))
    middle = (rows - other_h) // 2, (cols - other_w) // 2, other_h, other_w
    any_fits = jnp.any(fits)
    drawn = top, left, height, width
    return tuple(jnp.where(any_fits, a, b) for a, b in zip(drawn, middle, strict=True))  # type: ignore


def crop_resize(image: Array, box: Any, size: int, *, method: str = "cubic") -> Array:
    """The box of an image, resampled to `[size, size, channels]`, whole levels.

    Args:
        image: `[height, width, channels]`, levels 0..255.
        box: (top, left, height, width), pixels; may be traced.
        size: rows and columns of the result.
        method: linear or cubic; antialiased where it shrinks. Weights that reach over
            the edge of the box use what lies there, not the box's edge repeated.

    Returns:
        `[size, size, channels]`.
    """
    check_choice("method", method, METHODS)
    top, left, height, width = (jnp.asarray(v, image.dtype) for v in box)
    scale = size / jnp.stack([height, width])
    shift = -jnp.stack([top, left]) * scale
    shape = size, size, image.shape[-1]
    view = jax.image.scale_and_translate(
        image, shape, (0, 1), scale, shift, method=method, antialias=True
    )
    return jnp.floor(jnp.clip(view, 0, 255) + 0.5)


def blur(image: Array, sigma: Array | float, *, radius: int) -> Array:
    """Gaussian blur with reflected edges, whole levels.

    Args:
        image: `[height, width, channels]`, levels 0..255.
        sigma: standard deviation, pixels; may be traced.
        radius: pixels on each side that count, less than the image's sides.

    Returns:
        The image's shape.

    Raises:
        ValueError: on a radius < 1 or as large as a side.
    """
    check_at_least("radius", radius, 1)
    if radius >= min(image.shape[:2]):
        raise ValueError(
            f"radius must be less than the image's sides {image.shape[:2]}, got "
            f"{radius}"
        )
    offset = jnp.arange(-radius, radius + 1, dtype=image.dtype)
    weights = jax.nn.softmax(-((offset / sigma) ** 2) / 2)
    for axis in (0, 1):
        pads = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        wide = jnp.pad(image, pads, mode="symmetric")
        size = image.shape[axis]
        parts = (
            w * jax.lax.slice_in_dim(wide, k, k + size, axis=axis)
            for k, w in enumerate(weights)
        )
        image = sum(parts)  # type: ignore
    return jnp.floor(jnp.clip(image, 0, 255) + 0.5)


def _turned(key: Array, image: Array) -> tuple[Array, Array]:
    if image.shape[0] != image.shape[1]:
        raise ValueError(
            "image must be square where quarter turns are drawn, got "
            f"{list(image.shape)}"
        )
    turns = jax.random.randint(key, (), 0, 4)
    return jnp.stack([jnp.rot90(image, k) for k in range(4)])[turns], turns


def _recoloured(
    key: Array, view: Array, views: ViewSettings
) -> tuple[Array, dict[str, Any]]:
    """Colour jitter in random order, then grey, each with its probability."""
    use_key, grey_key, order_key, factor_key, hue_key = jax.random.split(key, 5)
    ends = 1 - 0.8 * views.strength, 1 + 0.8 * views.strength
    factors = jax.random.uniform(factor_key, (3,), view.dtype, *ends)
    turn = 0.2 * views.strength
    shift = jax.random.uniform(hue_key, (), view.dtype, -turn, turn)
    jittered = jax.random.bernoulli(use_key, views.jitter)
    operations = [
        lambda x: brightness(x, factors[0]),
        lambda x: contrast(x, factors[1]),
        lambda x: saturation(x, factors[2]),
        lambda x: hue_shift(x, shift),
    ]
    changed = view
    if views.jitter:
        for which in jax.random.permutation(order_key, 4):
            changed = jax.lax.switch(which, operations, changed)
    view = jnp.where(jittered, changed, view)
    is_grey = jax.random.bernoulli(grey_key, views.grey)
    names = ("brightness", "contrast", "saturation")
    used = jnp.where(jittered, factors, 1)
    done = dict(zip(names, used, strict=True))
    done |= {"hue": jnp.where(jittered, shift, 0), "grey": is_grey}
    return jnp.where(is_grey, grey(view), view), done


def _whole(image: Array) -> tuple[Array, ...]:
    return tuple(jnp.asarray(v, image.dtype) for v in (0, 0, *image.shape[:2]))


def _reach(sigma: float) -> int:
    """Pixels beyond which a Gaussian's weights do not show in 8 bits."""
    return max(1, round(4 * sigma))
