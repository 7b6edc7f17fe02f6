"""Similarities s(a, b) between representations: dot, cosine, minus a p-norm."""

import dataclasses

import jax
import jax.numpy as jnp

from jidcl.checks import check_at_least, check_choice, check_features
from jidcl.numerics import at_least_float32, safe_root, unit

SIMILARITIES = ("dot", "cosine", "lp")


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Which similarity a contrastive loss uses; the model's q_h ~ exp(s / tau).

    Attributes:
        kind: `"dot"` (von Mises-Fisher for unit vectors), `"cosine"`, or `"lp"`.
        p: exponent of `"lp"`, >= 1 (1 Laplace, 2 normal, 3 generalised normal).
        power: for `"lp"`, -sum |a - b|^p when True, its p-th root when False.
    """

    kind: str = "dot"
    p: float = 2.0
    power: bool = True

    def __post_init__(self):
        check_choice("similarity", self.kind, SIMILARITIES)
        check_at_least("p", self.p, 1)


DOT = Similarity()


def rowwise(similarity: Similarity, a: jax.Array, b: jax.Array) -> jax.Array:
    """s(a_i, b_i), `[..., m], [..., m] -> [...]`.

    Sums and results in float32 or wider, whatever the inputs are.

    Example:
        >>> rowwise(Similarity("lp", p=1), jnp.zeros((1, 2)), jnp.ones((1, 2)))
        Array([-2.], dtype=float32)
    """
    check_features("a", a)
    check_features("b", b, a.shape[-1])
    a, b = _wide(a, b)
    if similarity.kind == "lp":
        return -_distance(similarity, a - b)
    if similarity.kind == "cosine":
        a, b = unit(a), unit(b)
    return jnp.sum(a * b, axis=-1)


def pairwise(similarity: Similarity, a: jax.Array, b: jax.Array) -> jax.Array:
    """s(a_i, b_k) for all pairs, `[rows, m], [cols, m] -> [rows, cols]`.

    Raises:
        ValueError: on wrong shapes.

    Notes:
        The p-norm forms subtract before they square, so no digits cancel, and are
        recomputed in the backward pass: nothing of size rows x cols x m is stored.
        Dot products use the highest matmul precision; narrow inputs are multiplied
        as they are and summed in float32.
    """
    check_features("a", a)
    check_features("b", b, a.shape[-1])
    if similarity.kind == "lp":
        total = _pairwise_power(similarity.p, a, b)
        return -(total if similarity.power else safe_root(total, similarity.p))
    dtype = at_least_float32(a.dtype, b.dtype)
    if similarity.kind == "cosine":
        a, b = (unit(x) for x in _wide(a, b))
    elif a.dtype != b.dtype:
        a, b = _wide(a, b)
    precision = jax.lax.Precision.HIGHEST
    return jnp.matmul(a, b.T, precision=precision, preferred_element_type=dtype)


def _pairwise_power(p: float, a: jax.Array, b: jax.Array) -> jax.Array:
    """sum_d |a_id - b_kd|^p, one coordinate at a time, `[rows, cols]`."""

    @jax.checkpoint
    def add(total, columns):
        left, right = columns
        return total + abs_power(left[:, None] - right[None, :], p), None

    a, b = _wide(a, b)
    start = jnp.zeros((a.shape[0], b.shape[0]), a.dtype)
    return jax.lax.scan(add, start, (a.T, b.T))[0]


def _distance(similarity: Similarity, d: jax.Array) -> jax.Array:
    """sum |d|^p over the last axis, or its root; gradient 0 at d = 0."""
    p = similarity.p
    total = jnp.sum(abs_power(d, p), axis=-1)
    return total if similarity.power else safe_root(total, p)


def abs_power(d: jax.Array, p: float) -> jax.Array:
    """|d|^p, by products for p = 1, 2, 3; gradient 0 at d = 0 for every p >= 1."""
    if p == 1:
        return d * jnp.sign(d)  # jnp.abs has derivative 1 at 0
    if p == 2:
        return d * d
    if p == 3:
        return jnp.abs(d) * d * d
    zero = d == 0
    return jnp.where(zero, 0.0, jnp.abs(jnp.where(zero, 1.0, d)) ** p)


def _wide(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both in their widest dtype, float32 at least."""
    dtype = at_least_float32(a.dtype, b.dtype)
    return a.astype(dtype), b.astype(dtype)
