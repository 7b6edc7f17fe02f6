"""Pairs (z, z_pos): a marginal for the anchors, a conditional for the positives."""

import jax

from jidcl.checks import (
    check_count,
    check_key,
    check_memory,
    check_type,
)
from jidcl.latents.densities import sample, sample_marginal
from jidcl.latents.families import Density
from jidcl.latents.spaces import Space
from jidcl.types import Pair


def sample_pair(
    key: jax.Array,
    space: Space,
    marginal: Density,
    conditional: Density,
    *,
    batch: int,
) -> Pair:
    """Draw z ~ p(z) and z_pos ~ p(z_pos | z).

    Args:
        key: a typed key.
        space: latent space.
        marginal: p(z).
        conditional: p(z_pos | z).
        batch: number of pairs, >= 2 (a contrastive loss needs a negative).

    Returns:
        Two arrays `[batch, n]`.

    Raises:
        ValueError: if batch < 2, or on densities that the space does not carry.

    Example:
        >>> from jidcl.latents import Sphere, Uniform, VonMisesFisher
        >>> pair = sample_pair(
        ...     jax.random.key(0), Sphere(3), Uniform(), VonMisesFisher(10.0), batch=8
        ... )
        >>> pair.z_pos.shape
        (8, 3)

    Notes:
        z_pos is in general not distributed like z (truncation, projection, any
        non-uniform marginal), so exchanging the two changes the problem.
    """
    check_key("key", key)
    check_type("space", space, Space)
    check_type("marginal", marginal, Density)
    check_type("conditional", conditional, Density)
    check_count("batch", batch, 2)
    check_memory("batch", batch, 2 * batch * space.n)
    k_z, k_pos = jax.random.split(key)
    z = sample_marginal(k_z, marginal, space, shape=(batch,))
    return Pair(z, sample(k_pos, conditional, space, z))
