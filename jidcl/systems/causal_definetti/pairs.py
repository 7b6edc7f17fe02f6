"""Two variables: three tests decide the direction, two more what varies.

Every test takes the environments as its i.i.d. sample; positions 1 and 2 are two
samples of each.

Source: Guo et al. 2023, bivariate experiment; the profile is this library's.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.metrics import fisher_z, kci_conditional, kci_unconditional

TESTS = ("kci", "fisher_z")
# For a cause C and an effect E: what is tested, and in which settings it holds.
RELATIONS = {
    "c1_e2_given_c2": ("both", "cause", "mechanism", "none"),
    "e1_c2_given_e2": ("none",),
    "c1_e1": (),
    "c1_c2": ("mechanism", "none"),
    "e1_e2_given_c1_c2": ("cause", "none"),
    "c1_e2": ("mechanism", "none"),
}
_LINGAM = (79.047, 7.4129, 0.37457)  # of the approximation of negative entropy


class Profile(NamedTuple):
    """Which parameter varies, for a cause and an effect; p-values, `[...]`.

    Attributes:
        cause: of C1 independent of C2: small where the cause varies.
        mechanism: of E1 independent of E2 given C1, C2: small where the mechanism
            varies.
    """

    cause: jax.Array
    mechanism: jax.Array


def _given(test: str, a: Any, b: Any, *z: Any) -> jax.Array:
    """p-value of a independent of b given z, `[...]`; arrays `[..., environments]`."""
    a, b = a[..., None], b[..., None]
    given = jnp.stack(z, axis=-1) if z else None
    if test == "fisher_z":
        return fisher_z(a, b, given).p
    if given is None:
        return kci_unconditional(a, b).p
    form = "fourier" if len(z) == 1 else "exact"
    return kci_conditional(a, b, given, form=form).p


def _stacked(test: str, *columns: tuple[Any, ...]) -> jax.Array:
    """`_given` of several tests at once, `[tests, ...]`."""
    return _given(test, *(jnp.stack(held) for held in columns))


def bivariate_tests(x: Any, y: Any, *, test: str = "kci") -> jax.Array:
    """p-values of X1, Y2 given X2; of X2, Y1 given Y2; and of X1, Y1.

    KCI is not symmetric. Its arguments have the order of the published code.

    Args:
        x: `[..., environments, samples >= 2]`, float64 inside a program.
        y: of the same shape.
        test: of `TESTS`.

    Returns:
        `[..., 3]`.
    """
    x1, x2, y1, y2 = x[..., 0], x[..., 1], y[..., 0], y[..., 1]
    first, second = _stacked(test, (x1, x2), (y2, y1), (x2, y2))
    return jnp.stack([first, second, _given(test, x1, y1)], axis=-1)


def bivariate_decision(p: Any, alpha: float = 0.05) -> jax.Array:
    """The structure that three p-values tell, an index into `STRUCTURES`.

    x -> y where only the first test keeps its null, y -> x where only the second
    does, independent where all do, else the null with the largest p-value.

    Args:
        p: `[..., 3]` of `bivariate_tests`.
        alpha: level of each test.

    Returns:
        `[...]`: 0 x -> y, 1 y -> x, 2 independent.
    """
    p = jnp.asarray(p)
    keeps, rejects = p >= alpha, p <= alpha
    first = keeps[..., 0] & rejects[..., 1] & rejects[..., 2]
    second = rejects[..., 0] & keeps[..., 1] & rejects[..., 2]
    rules = [first, second, keeps.all(-1)]
    return jnp.select(rules, [0, 1, 2], jnp.argmax(p, axis=-1))


def is_clean(p: Any, alpha: float = 0.05) -> jax.Array:
    """Whether p-values are one of the three patterns, so that no fallback decides."""
    p = jnp.asarray(p)
    kept = p >= alpha
    one = (kept[..., 0] ^ kept[..., 1]) & ~kept[..., 2]
    return one | kept.all(-1)


def variability_profile(c: Any, e: Any, *, test: str = "kci") -> Profile:
    """Whether the cause varies over environments, and whether the mechanism does.

    Args:
        c: the cause, `[..., environments, samples >= 2]`.
        e: the effect, of the same shape.
        test: of `TESTS`.

    Returns:
        `Profile`.
    """
    cause = _given(test, c[..., 0], c[..., 1])
    mechanism = _given(test, e[..., 0], e[..., 1], c[..., 0], c[..., 1])
    return Profile(cause, mechanism)


def relation_tests(c: Any, e: Any, *, test: str = "kci") -> dict[str, jax.Array]:
    """p-values of every relation of `RELATIONS`, for a known direction."""
    c1, c2, e1, e2 = c[..., 0], c[..., 1], e[..., 0], e[..., 1]
    forward, backward = _stacked(test, (c1, c2), (e2, e1), (c2, e2))
    pair, causes, across = _stacked(test, (c1, c1, c1), (e1, c2, e2))
    return {
        "c1_e2_given_c2": forward,
        "e1_c2_given_e2": backward,
        "c1_e1": pair,
        "c1_c2": causes,
        "e1_e2_given_c1_c2": variability_profile(c, e, test=test).mechanism,
        "c1_e2": across,
    }


def lingam_decision(x: Any, y: Any, *, prune: bool = False) -> jax.Array:
    """Pairwise LiNGAM on all samples pooled: 0 x -> y, 1 y -> x, 2 independent.

    The direction whose residual and cause have the smaller sum of entropies, entropy
    by the approximation of maximum entropy. Without pruning it is never independent.
    DirectLiNGAM prunes by an adaptive Lasso, which for one regressor keeps the edge
    where (n - 2) r^2 / (1 - r^2) > log n: the information criterion of Bayes.

    Args:
        x: `[..., environments, samples]`.
        y: of the same shape.
        prune: whether an edge may be dropped, as DirectLiNGAM does.

    Returns:
        `[...]`.

    Source: Hyvarinen and Smith 2013, Pairwise Likelihood Ratios; pruning: Shimizu et
    al. 2011, DirectLiNGAM, as causal-learn and the lingam package have it.
    """
    k1, k2, gamma = _LINGAM

    def entropy(u):
        tails = jnp.mean(jnp.log(jnp.cosh(u)), axis=-1) - gamma
        skewed = jnp.mean(u * jnp.exp(-(u**2) / 2), axis=-1)
        constant = (1 + jnp.log(2 * jnp.pi)) / 2
        return constant - k1 * tails**2 - k2 * skewed**2

    def standard(u):
        u = u - jnp.mean(u, axis=-1, keepdims=True)
        return u / jnp.sqrt(jnp.mean(u**2, axis=-1, keepdims=True))

    x, y = (standard(v.reshape(*v.shape[:-2], -1)) for v in (x, y))
    r = jnp.mean(x * y, axis=-1, keepdims=True)
    forward = entropy(x) + entropy(standard(y - r * x))
    backward = entropy(y) + entropy(standard(x - r * y))
    found = jnp.where(forward <= backward, 0, 1)
    n, share = x.shape[-1], r[..., 0] ** 2
    kept = (n - 2) * share > math.log(n) * (1 - share)
    return jnp.where(kept, found, 2) if prune else found
