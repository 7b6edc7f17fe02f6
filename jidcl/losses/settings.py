"""What the streamed forms of a log-sum-exp have in common: settings, and fillings."""

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from jidcl.losses.tiles import Kernel, Sizes
from jidcl.numerics import varying_zero

if TYPE_CHECKING:
    from jidcl.losses.similarity import Similarity


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is static in a streamed log-sum-exp.

    Attributes:
        similarity: s.
        exclude_diagonal: entry k = i is left out.
        tile: rows and columns, or kernels; chosen by platform when None.
        scale_gradient: the gradient for the scale is wanted.

    Example:
        >>> from jidcl.losses import Similarity
        >>> Settings(Similarity(), True, (8, 8), False).without_diagonal().tile
        (8, 8)
    """

    similarity: "Similarity"
    exclude_diagonal: bool
    tile: Sizes | Kernel | None
    scale_gradient: bool

    def without_diagonal(self) -> "Settings":
        """The same for columns that hold no row's own entry."""
        return dataclasses.replace(self, exclude_diagonal=False)

    def in_tiles(self) -> "Settings":
        """The same in tiles that fit the platform."""
        return dataclasses.replace(self, tile=None)


def filled(value: float, shape, *like: jax.Array) -> jax.Array:
    """A constant in the last one's dtype, varying over the mesh axes that any does."""
    return jnp.full(shape, value, like[-1].dtype) + varying_zero(like[-1].dtype, *like)
