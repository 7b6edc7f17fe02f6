"""Latents of a causal graph over a scene's factors, and interventions on them.

The graph is that of Causal3DIdent; its class-specific mechanisms were not published,
and those here are ours. Latents follow the factors of the scene `figures`:

    object (one of seven classes), x, y, z, alpha, beta, gamma, spot_angle,
    object_hue, spot_hue, ground_hue

Class k, spot angle a, spot hue s and ground hue g are independent roots, uniform; the
others are normal, truncated to [-1, 1]:

    x, y, z            about B[k] a,                     standard deviation 0.5
    alpha, beta, gamma about R[k],                       standard deviation 0.5
    object_hue         about w[k] s + (1 - w[k]) g,      standard deviation 0.2

Source: von Kuegelgen et al. 2021, section 5.2 and appendix (graph, transformations).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_key,
    check_memory,
    check_rows,
    check_scalar,
)
from jidcl.latents.densities import sample
from jidcl.latents.families import Normal
from jidcl.latents.spaces import Box
from jidcl.types import Array

CLASSES = 7
FACTORS = 11
# Columns that a transformation redraws.
GROUPS = {"positions": (1, 2, 3, 7), "rotations": (4, 5, 6), "hues": (8, 9, 10)}
# Of class k: B, effect of the spot's angle on x, y, z; R, mean turns; w, share of the
# spot's hue in the object's.
POSITION_EFFECT = (
    (0.6, 0.0, -0.6),
    (-0.6, 0.6, 0.0),
    (0.0, -0.6, 0.6),
    (0.6, 0.6, 0.0),
    (-0.6, 0.0, 0.6),
    (0.0, 0.6, -0.6),
    (0.6, -0.6, 0.0),
)
TURN_MEAN = (
    (0.0, 0.0, 0.0),
    (0.5, 0.0, -0.5),
    (-0.5, 0.5, 0.0),
    (0.0, -0.5, 0.5),
    (0.5, 0.5, 0.0),
    (0.0, 0.5, 0.5),
    (-0.5, 0.0, -0.5),
)
HUE_SHARE = (0.0, 0.5, 1.0, 0.0, 0.5, 1.0, 0.5)
POSITION_STD, TURN_STD, HUE_STD = 0.5, 0.5, 0.2


def sample_causal(key: Array, *, batch: int) -> tuple[Array, Array]:
    """Draw latents from the graph.

    Args:
        key: a typed key.
        batch: number of samples.

    Returns:
        `z`, `[batch, 11]` in [-1, 1], its first column the middle of the class's part;
        the class, `[batch]`, 0 .. 6.

    Raises:
        ValueError: if batch < 1.

    Example:
        >>> z, label = sample_causal(jax.random.key(0), batch=5)
        >>> z.shape, label.shape
        ((5, 11), (5,))

    Source: von Kuegelgen et al. 2021, section 5.2 and appendix (the graph); the
        mechanisms are this library's.
    """
    check_key("key", key)
    check_count("batch", batch)
    check_memory("batch", batch, 2 * FACTORS * batch)
    label_key, root_key, *keys = jax.random.split(key, 5)
    label = jax.random.randint(label_key, (batch,), 0, CLASSES)
    roots = jax.random.uniform(root_key, (batch, 3), minval=-1.0, maxval=1.0)
    angle, spot, ground = (roots[:, k : k + 1] for k in range(3))
    share = jnp.asarray(HUE_SHARE)[label][:, None]
    laws = (
        (jnp.asarray(POSITION_EFFECT)[label] * angle, POSITION_STD),
        (jnp.asarray(TURN_MEAN)[label], TURN_STD),
        (share * spot + (1 - share) * ground, HUE_STD),
    )
    place, turns, hue = (
        sample(k, Normal(std), Box(mean.shape[1], -1, 1), mean)
        for k, (mean, std) in zip(keys, laws, strict=True)
    )
    first = (2 * label[:, None].astype(roots.dtype) + 1) / CLASSES - 1
    z = jnp.concatenate([first, place, turns, angle, hue, spot, ground], axis=1)
    return z, label


def transform(
    key: Array, z: Array, groups: Sequence[str], *, scale: float = 1.0
) -> Array:
    """Redraw some factors about themselves and leave the others as they are.

    z_j' ~ Normal(z_j, scale) truncated to [-1, 1] for every j of the groups. (The
    published pairs are then nearest neighbours in a fixed set: their other factors
    change a little. Here they do not.)

    Args:
        key: a typed key.
        z: `[batch, 11]` in [-1, 1].
        groups: of `GROUPS`.
        scale: standard deviation before truncation.

    Returns:
        `[batch, 11]`.

    Raises:
        ValueError: on an unknown group, none, another width or scale <= 0.
        TypeError: on groups that are no list.

    Example:
        >>> z, _ = sample_causal(jax.random.key(0), batch=5)
        >>> turned = transform(jax.random.key(1), z, ["rotations"])
        >>> [int(k) for k in jnp.flatnonzero((turned != z).any(0))]
        [4, 5, 6]

    Source: von Kuegelgen et al. 2021, section 5.2, latent transformations.
    """
    check_key("key", key)
    check_rows("z", z, width=FACTORS)
    check_above("scale", scale, 0)
    check_scalar("scale", scale)
    if isinstance(groups, str) or not hasattr(groups, "__len__"):
        raise TypeError(f"groups must be a list of names, got {groups!r}")
    check_count("number of groups", len(groups))
    for name in groups:
        check_choice("group", name, GROUPS)
    z = jnp.asarray(z)
    columns = sorted({column for name in groups for column in GROUPS[name]})
    index = jnp.asarray(columns)
    drawn = sample(key, Normal(scale), Box(len(columns), -1, 1), z[:, index])
    return z.at[:, index].set(drawn)
