"""Convex bodies by brute force: draw in R^n, keep what lies inside."""

import numpy as np

from reference.pnorm import law


def in_ball(z, radius=1.0):
    """Whether ||z|| <= radius."""
    return (z**2).sum(-1) <= radius**2


def in_simplex(z):
    """Whether z >= 0 and sum z <= 1."""
    return (z >= 0).all(-1) & (z.sum(-1) <= 1)


def sample_truncated(rng, name, scale, mean, inside, count):
    """`count` draws of mean + noise that lie inside the body."""
    kept, total = [], 0
    while total < count:
        noise = law(name, scale).rvs((200_000, len(mean)), random_state=rng)
        points = mean + noise
        kept.append(points[inside(points)])
        total += len(kept[-1])
    return np.concatenate(kept)[:count]


def project_simplex(z):
    """Nearest point of {z >= 0, sum z <= 1}, by bisection on the multiplier."""
    point = np.maximum(z, 0)
    if point.sum() <= 1:
        return point
    low, high = 0.0, z.max()
    for _ in range(200):
        shift = (low + high) / 2
        low, high = (
            (shift, high) if np.maximum(z - shift, 0).sum() > 1 else (low, shift)
        )
    return np.maximum(z - high, 0)
