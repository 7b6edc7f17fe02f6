"""What a score is worth without identification: shuffled rows, random rotations."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jidcl.metrics.recovery import mcc


def shuffled(key: jax.Array, y: jax.Array) -> jax.Array:
    """The rows of y in random order: breaks the pairing and keeps the marginal.

    Args:
        key: a typed key.
        y: `[samples, m]`.

    Returns:
        `[samples, m]`.

    Example:
        >>> sorted(shuffled(jax.random.key(0), jnp.arange(4)).tolist())
        [0, 1, 2, 3]

    Source: this library.
    """
    return jax.random.permutation(key, y, axis=0)


def rotation_null(
    key: jax.Array,
    z: jax.Array,
    *,
    draws: int = 200,
    blocks: Sequence[Sequence[int]] | None = None,
) -> jax.Array:
    """MCC of z under Haar-random rotations: what "linear, no more" looks like.

    Args:
        key: a typed key.
        z: `[samples, n]`.
        draws: number of rotations.
        blocks: latents that are rotated among themselves, a partition of all; one
            block when None.

    Returns:
        `[draws]` scores.

    Example:
        >>> z = jax.random.normal(jax.random.key(0), (200, 3))
        >>> scores = rotation_null(jax.random.key(1), z, draws=20)
        >>> bool(0.5 < scores.mean() < 0.95)
        True

    Source: this library.
    """
    z = jnp.asarray(z)
    blocks = [range(z.shape[1])] if blocks is None else blocks

    def one(key):
        turned = []
        for number, block in enumerate(blocks):
            own = jax.random.fold_in(key, number)
            q = jax.random.orthogonal(own, len(block), dtype=z.dtype)
            part = z[:, jnp.asarray(block)]
            turned.append(jnp.matmul(part, q, precision=jax.lax.Precision.HIGHEST))
        return mcc(z, jnp.concatenate(turned, axis=1)).mean

    return jax.lax.map(one, jax.random.split(key, draws), batch_size=50)
