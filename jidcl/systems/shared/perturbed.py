"""The true latents made worse and worse: what a bar on the gap still admits.

An encoder is called trained when its gap lies below a bar. What such a gap may hide is
measured: the true latents are perturbed, and their gap stands beside their scores.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.metrics import mcc, r2
from jidcl.types import Array, Metrics, Pair

# Shares of the variance that are noise; angles of a rotation in every second plane of
# two coordinates, degrees.
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "noise": (0.01, 0.04, 0.16),
    "rotation": (5.0, 15.0, 45.0),
}
COUNT = sum(map(len, STRENGTHS.values()))


def perturb(key: jax.Array, pair: Pair) -> Pair:
    """The latents of pairs, perturbed in each kind and strength of `STRENGTHS`.

    noise, share s: z + sqrt(s / (1 - s)) std(z) e with e ~ N(0, 1) drawn apart for both
    members, so that an affine map of it explains 1 - s of z. rotation by an angle: of
    the coordinates (1, 2), (3, 4), ... around the mean.

    Args:
        key: a typed key.
        pair: latents `[batch, n]` each.

    Returns:
        Pairs `[COUNT, batch, n]`.
    """
    middle = jnp.mean(pair.z, axis=0, keepdims=True)
    spread = jnp.std(pair.z, axis=0, keepdims=True)
    noises = jax.random.normal(key, (2, *pair.z.shape))

    def noisy(share: Array) -> Pair:
        size = jnp.sqrt(share / (1 - share)) * spread
        return Pair(*(z + size * e for z, e in zip(pair, noises, strict=True)))

    def turned(degrees: Array) -> Pair:
        turn = _turn(pair.z.shape[1], jnp.deg2rad(degrees))
        return Pair(*(middle + (z - middle) @ turn.T for z in pair))

    kinds = (noisy, STRENGTHS["noise"]), (turned, STRENGTHS["rotation"])
    made = [jax.vmap(make)(jnp.asarray(strengths)) for make, strengths in kinds]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *made)


def _turn(n: int, angle: Array) -> Array:
    """The rotation by `angle` in the planes (1, 2), (3, 4), ..., `[n, n]`."""
    first = np.arange(0, n - 1, 2)
    turn = jnp.eye(n)
    turn = turn.at[first, first].set(jnp.cos(angle))
    turn = turn.at[first + 1, first + 1].set(jnp.cos(angle))
    turn = turn.at[first, first + 1].set(-jnp.sin(angle))
    return turn.at[first + 1, first].set(jnp.sin(angle))


def recovered(z: Any, worse: Any, xp: ModuleType) -> Metrics:
    """R2 and MCC of perturbed latents.

    Args:
        z: the true latents, `[batch, n]`.
        worse: of `perturb`, `[COUNT, batch, n]`.
        xp: `numpy`, or `jax.numpy` while tracing.

    Returns:
        `r2` and `mcc`, `[COUNT]` each.
    """
    scores = {"r2": r2, "mcc": mcc}
    return {
        name: xp.stack([score(z, y, xp=xp).mean for y in worse])
        for name, score in scores.items()
    }


def admitted(gaps: Any, scores: Metrics, xp: ModuleType) -> dict[str, Metrics]:
    """Gap and scores of perturbed latents, as `Evaluation.perturbed` holds them.

    Args:
        gaps: their loss minus that of the true latents, `[COUNT]`, nats.
        scores: of the same, `[COUNT]` each.
        xp: `numpy`, or `jax.numpy` while tracing.

    Returns:
        For each kind `strength`, `gap` and the scores, one entry a strength.
    """
    found: dict[str, Metrics] = {}
    start = 0
    for kind, strengths in STRENGTHS.items():
        own = slice(start, start + len(strengths))
        start = own.stop
        some = {name: values[own] for name, values in {"gap": gaps, **scores}.items()}
        found[kind] = {"strength": xp.asarray(strengths), **some}
    return found
