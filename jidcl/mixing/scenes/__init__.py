"""Images rendered on the device from latents: x = render(scene, z), for one z.

`render` is pure and takes one latent vector in [-1, 1]^n; add a batch by `jax.vmap`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from jidcl.checks import check_choice
from jidcl.mixing.scenes import ident3d, masks, shapes3d, sprites
from jidcl.mixing.scenes.common import (
    check_latents,
    factor_index,
    grid_latents,
    vary,
)
from jidcl.mixing.scenes.ident3d import Figures, Ident3D
from jidcl.mixing.scenes.masks import Masks
from jidcl.mixing.scenes.shapes3d import Shapes3D
from jidcl.mixing.scenes.sprites import Sprites, Triangles
from jidcl.numerics import at_least_float32
from jidcl.types import Array

SCENES: dict[str, Any] = {
    "ident3d": Ident3D,
    "figures": Figures,
    "sprites": Sprites,
    "triangles": Triangles,
    "shapes3d": Shapes3D,
    "masks": Masks,
}
# (settings, z in float32 at least) -> picture
_PICTURES: dict[Any, Callable[[Any, Array], Array]] = {
    Ident3D: ident3d.picture,
    Figures: ident3d.figure_picture,
    Sprites: sprites.sprite_picture,
    Triangles: sprites.triangle_picture,
    Shapes3D: shapes3d.picture,
    Masks: masks.picture,
}


def make_scene(name: str, **settings: Any) -> Any:
    """Settings of a scene by its name; `settings` are the fields of its class.

    Args:
        name: one of `SCENES`.
        **settings: fields of the scene's class.

    Returns:
        The scene's settings.

    Example:
        >>> make_scene("sprites", size=16).size
        16

    Source: this library.
    """
    check_choice("scene", name, SCENES)
    fields = [field.name for field in dataclasses.fields(SCENES[name])]
    for field in settings:
        check_choice(f"setting of {name}", field, fields)
    return SCENES[name](**settings)


def render(scene: Any, z: Array) -> Array:
    """The picture of one latent vector.

    Args:
        scene: settings, one of `SCENES`.
        z: `[n]` in [-1, 1], ordered as `scene.factors`.

    Returns:
        `[size, size, channels]` in [0, 1], in the dtype of z; computed in float32 at
        least.

    Raises:
        ValueError: on another shape or, concretely, on latents out of range.
        TypeError: on another scene, or a dtype that is not floating-point.

    Example:
        >>> import jax.numpy as jnp
        >>> render(Sprites(size=16), jnp.zeros(5)).shape
        (16, 16, 1)

    Source: the scene's own; the pictures are drawn by this library.
    """
    if type(scene) not in _PICTURES:
        names = [kind.__name__ for kind in _PICTURES]
        raise TypeError(f"scene must be one of {names}, got {scene!r}")
    check_latents(z, scene.factors)
    wide = z.astype(at_least_float32(z.dtype))
    return _PICTURES[type(scene)](scene, wide).astype(z.dtype)


__all__ = [
    "SCENES",
    "Figures",
    "Ident3D",
    "Masks",
    "Shapes3D",
    "Sprites",
    "Triangles",
    "factor_index",
    "grid_latents",
    "make_scene",
    "render",
    "vary",
]
