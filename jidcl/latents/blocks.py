"""Content and style: latents in two blocks, of which a pair shares the first.

z = (c, s) with content c in R^n_c and style s in R^n_s:

    c ~ N(0, Sigma_c),   s = B c + a + eps,  eps ~ N(0, Sigma_s)
    z_pos = (c, s + m * delta),  delta ~ N(0, Sigma_a),  m_j ~ Bernoulli(change_j)

A masked draw of delta is a draw of its marginal over the coordinates that change. The
change is added to the old style, so the law of s is not stationary under it.

Source: von Kuegelgen, Sharma, Gresele, Brendel, Schoelkopf, Besserve, Locatello 2021,
section 5.1 and published code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_count,
    check_key,
    check_memory,
    check_rows,
    check_same_rows,
    check_scalar,
    check_shape,
    check_type,
    check_unit_interval,
)
from jidcl.numerics import of_finite, one_by_one
from jidcl.types import Array, Pair


class BlockLaw(NamedTuple):
    """What is drawn once in a run: covariances as factors F (Sigma = F F^T), B and a.

    Attributes:
        content: factor of Sigma_c, `[n_c, n_c]`.
        style: factor of Sigma_s, `[n_s, n_s]`.
        change: factor of Sigma_a, `[n_s, n_s]`.
        effect: B, how style depends on content, `[n_s, n_c]`.
        offset: a, `[n_s]`.

    Example:
        >>> law = init_blocks(jax.random.key(0), 3, 2)
        >>> law.effect.shape
        (2, 3)

    Source: von Kuegelgen et al. 2021, section 5.1.
    """

    content: Array
    style: Array
    change: Array
    effect: Array
    offset: Array


def init_blocks(
    key: Array,
    n_c: int,
    n_s: int,
    *,
    stat: bool = False,
    causal: bool = False,
    least_eigenvalue: float = 0.0,
) -> BlockLaw:
    """Draw the law of a content/style process.

    Args:
        key: a typed key.
        n_c: number of content coordinates, >= 1.
        n_s: number of style coordinates, >= 1.
        stat: covariances from Wishart(df = their size, identity) instead of the
            identity: dependence inside each block and between changes.
        causal: style depends on content, entries of B and a from N(0, 1); otherwise 0.
        least_eigenvalue: smaller eigenvalues of drawn covariances are raised to it.
            A Wishart draw with df = size is badly conditioned, and a style direction
            that hardly changes is content to a learner.

    Returns:
        `BlockLaw`.

    Raises:
        ValueError: if n_c or n_s < 1, or least_eigenvalue < 0.

    Example:
        >>> law = init_blocks(jax.random.key(0), 3, 2, stat=True)
        >>> covariance(law.content).shape
        (3, 3)

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    check_key("key", key)
    check_count("n_c", n_c)
    check_count("n_s", n_s)
    check_at_least("least_eigenvalue", least_eigenvalue, 0)
    check_scalar("least_eigenvalue", least_eigenvalue)
    check_memory("n_c", n_c, n_c * n_c)
    check_memory("n_s", n_s, n_s * max(n_s, n_c))
    keys = [jax.random.fold_in(key, index) for index in range(5)]

    def factor(key, size):
        if not stat:
            return jnp.eye(size)
        return _raised(jax.random.normal(key, (size, size)), least_eigenvalue)

    content, style, change = map(factor, keys[:3], (n_c, n_s, n_s))
    effect = jax.random.normal(keys[3], (n_s, n_c))
    offset = jax.random.normal(keys[4], (n_s,))
    if not causal:
        effect, offset = jnp.zeros_like(effect), jnp.zeros_like(offset)
    return BlockLaw(content, style, change, effect, offset)


def sample_blocks(key: Array, law: BlockLaw, *, batch: int) -> Array:
    """Draw z = (c, s).

    Args:
        key: a typed key.
        law: the frozen draws.
        batch: draws, >= 1.

    Returns:
        `[batch, n_c + n_s]`.

    Example:
        >>> law = init_blocks(jax.random.key(0), 3, 2)
        >>> sample_blocks(jax.random.key(1), law, batch=4).shape
        (4, 5)

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    check_key("key", key)
    check_type("law", law, BlockLaw)
    check_count("batch", batch)
    check_memory("batch", batch, 2 * batch * (len(law.content) + len(law.style)))
    k_content, k_style = jax.random.split(key)
    return jnp.concatenate(
        block_latents(
            law,
            jax.random.normal(
                k_content, (batch, law.content.shape[0]), law.content.dtype
            ),
            jax.random.normal(k_style, (batch, law.style.shape[0]), law.style.dtype),
        ),
        axis=-1,
    )


def sample_block_pair(
    key: Array, law: BlockLaw, *, batch: int, change: Array | float = 1.0
) -> Pair:
    """Pairs that share their content, two arrays `[batch, n_c + n_s]`.

    Args:
        key: a typed key.
        law: the frozen draws.
        batch: number of pairs, >= 2.
        change: probability that a style coordinate changes, for all or each, `[n_s]`.
            One with probability 0 is content as far as the pairs tell.

    Returns:
        `Pair(z, z_pos)`.

    Raises:
        ValueError: if batch < 2, or change is not in [0, 1].

    Example:
        >>> law = init_blocks(jax.random.key(0), 3, 2)
        >>> z, z_pos = sample_block_pair(jax.random.key(1), law, batch=4)
        >>> bool((z[:, :3] == z_pos[:, :3]).all())  # the content
        True

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    check_key("key", key)
    check_type("law", law, BlockLaw)
    check_count("batch", batch, 2)
    check_unit_interval("change", change)
    if getattr(change, "shape", ()) != ():
        check_shape("change", change, law.style.shape[:1])
    k_z, k_delta, k_mask = jax.random.split(key, 3)
    z = sample_blocks(k_z, law, batch=batch)
    shape = (batch, law.style.shape[0])
    delta = jax.random.normal(k_delta, shape, law.change.dtype)
    changed = jax.random.bernoulli(k_mask, jnp.broadcast_to(change, shape))
    return changed_pair(law, z, delta, changed)


def block_latents(law: BlockLaw, content: Array, style: Array) -> tuple[Array, Array]:
    """(c, s) from standard normal draws.

    Args:
        law: the frozen draws.
        content: standard normal draws, `[batch, n_c]`.
        style: standard normal draws, `[batch, n_s]`.

    Returns:
        Content `[batch, n_c]` and style `[batch, n_s]`.

    Example:
        >>> law = init_blocks(jax.random.key(0), 1, 1)  # identities, no effect
        >>> c, s = block_latents(law, jnp.ones((1, 1)), jnp.zeros((1, 1)))
        >>> float(c[0, 0]), float(s[0, 0])
        (1.0, 0.0)

    Source: von Kuegelgen et al. 2021, section 5.1.
    """
    check_type("law", law, BlockLaw)
    check_rows("content", content, width=law.content.shape[0])
    check_rows("style", style, width=law.style.shape[0])
    check_same_rows("content", content, "style", style)
    c = _dot(content, law.content.T)
    return c, _dot(c, law.effect.T) + law.offset[None] + _dot(style, law.style.T)


def changed_pair(law: BlockLaw, z: Array, delta: Array, changed: Array) -> Pair:
    """(z, z_pos): style moves by a standard normal draw in Sigma_a where `changed`.

    Args:
        law: the frozen draws.
        z: `[batch, n_c + n_s]`.
        delta: standard normal draws, `[batch, n_s]`.
        changed: which coordinates change, `[batch, n_s]`, booleans or 0 and 1.

    Returns:
        `Pair(z, z_pos)`.

    Example:
        >>> law = init_blocks(jax.random.key(0), 1, 1)
        >>> changed = jnp.array([[True], [False]])
        >>> changed_pair(law, jnp.zeros((2, 2)), jnp.ones((2, 1)), changed).z_pos
        Array([[0., 1.],
               [0., 0.]], dtype=float32)

    Source: von Kuegelgen et al. 2021, section 5.1 and published code.
    """
    check_type("law", law, BlockLaw)
    check_rows("delta", delta, width=law.style.shape[0])
    check_rows("z", z, width=law.content.shape[0] + law.style.shape[0])
    check_shape("z", z, (delta.shape[0], z.shape[1]))
    check_unit_interval("changed", changed)
    check_shape("changed", changed, delta.shape)
    step = _dot(delta, law.change.T) * changed.astype(z.dtype)
    return Pair(z, z + jnp.pad(step, ((0, 0), (law.content.shape[0], 0))))


def covariance(factor: Array) -> Array:
    """Sigma = F F^T.

    Args:
        factor: F, `[size, size]`.

    Returns:
        `[size, size]`.

    Example:
        >>> covariance(jnp.diag(jnp.array([1.0, 2.0])))
        Array([[1., 0.],
               [0., 4.]], dtype=float32)

    Source: the definition.
    """
    _check_square(factor)
    return _dot(factor, factor.T)


def spectrum(factor: Array) -> Array:
    """Eigenvalues of F F^T, largest first.

    Args:
        factor: F, `[size, size]`.

    Returns:
        `[size]`.

    Example:
        >>> spectrum(jnp.diag(jnp.array([1.0, 2.0])))
        Array([4., 1.], dtype=float32)

    Source: the definition.
    """
    _check_square(factor)
    return _squared_values(factor)


def whitening(factor: Array) -> Array:
    """F^-1: takes draws of N(0, F F^T) to standard normal ones.

    Args:
        factor: F, `[size, size]`, invertible.

    Returns:
        `[size, size]`. This is a matrix; `jidcl.losses.whitening` is a loss.

    Example:
        >>> whitening(jnp.diag(jnp.array([1.0, 2.0])))
        Array([[1. , 0. ],
               [0. , 0.5]], dtype=float32)

    Source: the definition.
    """
    _check_square(factor)
    return _inverse(factor)


def _check_square(factor: Array) -> None:
    check_rows("factor", factor)
    check_shape("factor", factor, (factor.shape[0], factor.shape[0]))


@one_by_one
def _squared_values(factor: Array) -> Array:
    return of_finite(lambda a: jnp.linalg.svd(a, compute_uv=False), factor) ** 2


@one_by_one
def _inverse(factor: Array) -> Array:
    return of_finite(jnp.linalg.inv, factor)


def _raised(factor: Array, least: float) -> Array:
    """A factor of the same covariance, its eigenvalues raised to `least`."""
    if least == 0:
        return factor

    @one_by_one
    def raise_all(factor):
        u, values, _ = jnp.linalg.svd(factor)
        return u * jnp.maximum(values, least**0.5)[None]

    return raise_all(factor)


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
