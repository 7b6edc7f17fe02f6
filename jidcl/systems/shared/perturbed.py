"""The true latents made worse and worse: what a bar on the gap still admits.

An encoder is called trained when its gap lies below a bar. What such a gap may hide is
measured: the true latents are perturbed, and their gap stands beside their scores.
"""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.metrics import mcc, r2
from jidcl.types import Array, Metrics

Latents = TypeVar("Latents")

# Shares of the variance that are noise; angles of a rotation in every second plane of
# two coordinates, degrees.
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "noise": (0.01, 0.04, 0.16),
    "rotation": (5.0, 15.0, 45.0),
}
KINDS = tuple(STRENGTHS)
COUNT = sum(map(len, STRENGTHS.values()))


def perturb(key: jax.Array, latents: Latents, kinds: Sequence[str] = KINDS) -> Latents:
    """Latents, perturbed in each of these kinds and each strength of `STRENGTHS`.

    noise, share s: z + sqrt(s / (1 - s)) std(z) e with e ~ N(0, 1) drawn apart for each
    member, so that an affine map of it explains 1 - s of z. rotation by an angle: of
    the coordinates (1, 2), (3, 4), ... around the mean.

    Args:
        key: a typed key.
        latents: `[batch, n]`, or a tree of them (pairs), the anchors first.
        kinds: of `STRENGTHS`, in its order.

    Returns:
        The same of `[count, batch, n]`: all strengths of the first kind, then of the
        next; count is `COUNT` for all kinds.
    """
    leaves, structure = jax.tree.flatten(latents)
    first = leaves[0]
    middle = jnp.mean(first, axis=0, keepdims=True)
    spread = jnp.std(first, axis=0, keepdims=True)
    drawn = jax.random.normal(key, (len(leaves), *first.shape))
    noises = structure.unflatten(list(drawn))

    def noisy(share: Array) -> Latents:
        size = jnp.sqrt(share / (1 - share)) * spread
        return jax.tree.map(lambda z, e: z + size * e, latents, noises)

    def turned(degrees: Array) -> Latents:
        turn = _turn(first.shape[1], jnp.deg2rad(degrees))
        return jax.tree.map(lambda z: middle + (z - middle) @ turn.T, latents)

    makes = {"noise": noisy, "rotation": turned}
    made = [jax.vmap(makes[kind])(jnp.asarray(STRENGTHS[kind])) for kind in kinds]
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


def admitted(
    gaps: Any, scores: Metrics, xp: ModuleType, kinds: Sequence[str] = KINDS
) -> dict[str, Metrics]:
    """Gap and scores of perturbed latents, as `Evaluation.perturbed` holds them.

    Args:
        gaps: their loss minus that of the true latents, `[count]`, nats.
        scores: of the same, `[count]` each.
        xp: `numpy`, or `jax.numpy` while tracing.
        kinds: those of `perturb`.

    Returns:
        For each kind `strength`, `gap` and the scores, one entry a strength.
    """
    found: dict[str, Metrics] = {}
    start = 0
    for kind in kinds:
        strengths = STRENGTHS[kind]
        own = slice(start, start + len(strengths))
        start = own.stop
        some = {name: values[own] for name, values in {"gap": gaps, **scores}.items()}
        found[kind] = {"strength": xp.asarray(strengths), **some}
    return found
