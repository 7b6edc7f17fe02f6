"""Clusters on the sphere: cluster vectors, instance labels, and latents around them.

Every class c has a unit cluster vector v_c; an instance i belongs to the class
C(i) = i mod C; a latent is drawn around the vector of its instance's class.

Source: Reizinger et al. 2024, *Cross-Entropy Is All You Need To Invert the Data
Generating Process*, section 3 and published code.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_count,
    check_features,
    check_finite,
    check_integers,
    check_key,
    check_memory,
    check_rows,
    check_scalar,
    check_single,
    check_type,
    check_unit_interval,
)
from jidcl.latents.densities import check_inside, sample, sample_marginal
from jidcl.latents.families import Density, Laplace, Uniform, check_scale
from jidcl.latents.parameters import in_dtype
from jidcl.latents.rejection import sample_truncated
from jidcl.latents.spaces import Sphere
from jidcl.numerics import of_finite, unit

UNIFORM = Uniform()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TruncatedLaplace:
    """Laplace noise around each coordinate of v_c, truncated to [-limit, limit].

    Attributes:
        scale: scale of the Laplace law (not its standard deviation).
        limit: bound on every coordinate, > 0.
        project: divide by the norm. The published code does not.

    Example:
        >>> TruncatedLaplace(0.1).limit
        1.0

    Source: Reizinger et al. 2024, published code.
    """

    scale: Any
    limit: float = dataclasses.field(default=1.0, metadata=dict(static=True))
    project: bool = dataclasses.field(default=True, metadata=dict(static=True))

    def __post_init__(self):
        check_scale(self.scale)
        check_above("limit", self.limit, 0)
        check_single("limit", self.limit)


class Instances(NamedTuple):
    """Labelled latents.

    Attributes:
        z: latents, `[batch, n]`.
        index: instance labels in {0, ..., N - 1}, int32 `[batch]`.
        label: their classes in {0, ..., C - 1}, int32 `[batch]`.

    Example:
        >>> v = sample_cluster_vectors(jax.random.key(0), 4, 3)
        >>> law = TruncatedLaplace(0.1)
        >>> drawn = sample_instances(jax.random.key(1), v, law, instances=8, batch=5)
        >>> drawn.z.shape, drawn.label.shape
        ((5, 3), (5,))

    Source: Reizinger et al. 2024, section 3.
    """

    z: jax.Array
    index: jax.Array
    label: jax.Array


class Rank(NamedTuple):
    """Whether a family of vectors has full rank.

    Attributes:
        rank: number of singular values above `rtol` times the largest.
        full: whether the rank is what the assumption asks for.
        singular_values: largest first.

    Example:
        >>> bool(affine_generator(jnp.array([[0.0], [1.0]])).full)
        True

    Source: Reizinger et al. 2024, section 3.
    """

    rank: jax.Array
    full: jax.Array
    singular_values: jax.Array


def class_of_index(index: jax.Array, clusters: int) -> jax.Array:
    """C(i) = i mod C, the class of an instance.

    Args:
        index: instance labels, integers of any shape.
        clusters: C >= 1.

    Returns:
        Classes in {0, ..., C - 1}, of the same shape.

    Example:
        >>> class_of_index(jnp.arange(5), 3)
        Array([0, 1, 2, 0, 1], dtype=int32)

    Source: Reizinger et al. 2024, published code.
    """
    check_count("clusters", clusters)
    check_integers("index", index)
    return index % clusters


def index_counts(instances: int, clusters: int) -> jax.Array:
    """Number of instances of each class, int32 `[clusters]`; they differ by at most 1.

    Args:
        instances: N >= clusters.
        clusters: C >= 1.

    Returns:
        int32 `[clusters]`.

    Raises:
        ValueError: when there are fewer instances than clusters: some would be empty.

    Example:
        >>> index_counts(8, 3)
        Array([3, 3, 2], dtype=int32)

    Source: Reizinger et al. 2024, published code.
    """
    check_instances(instances, clusters)
    check_memory("clusters", clusters, clusters)
    rest = jnp.arange(clusters) < instances % clusters
    return instances // clusters + rest.astype(jnp.int32)


def check_instances(instances: int, clusters: int) -> None:
    """Raise `ValueError` unless every cluster has an instance."""
    check_count("clusters", clusters)
    check_count("instances", instances)
    if instances < clusters:
        raise ValueError(
            f"instances must be >= clusters = {clusters}, got {instances}: "
            f"{clusters - instances} clusters would be empty"
        )


def sample_cluster_vectors(
    key: jax.Array, clusters: int, n: int, density: Density = UNIFORM
) -> jax.Array:
    """Draw v_1, ..., v_C on the unit sphere.

    Args:
        key: a typed key.
        clusters: C >= 1.
        n: dimension >= 2.
        density: uniform; or the noise of each coordinate around e_1 (Laplace, normal),
            projected onto the sphere.

    Returns:
        `[clusters, n]`.

    Example:
        >>> sample_cluster_vectors(jax.random.key(0), 10, 3).shape
        (10, 3)

    Source: Reizinger et al. 2024, section 3 and published code.
    """
    check_key("key", key)
    check_count("clusters", clusters)
    check_count("n", n, 2)
    check_type("density", density, Density)
    check_memory("clusters", clusters, clusters * n)
    return sample_marginal(key, density, Sphere(n), shape=(clusters,))


def sample_conditional(
    key: jax.Array, v: jax.Array, conditional: Density | TruncatedLaplace
) -> jax.Array:
    """Draw z ~ p(z | v), one for each row.

    Args:
        key: a typed key.
        v: cluster vectors, `[..., n]`.
        conditional: von Mises-Fisher, which the theorem assumes; or noise per
            coordinate, projected onto the sphere, which violates it.

    Returns:
        `[..., n]`, on the sphere unless `TruncatedLaplace.project` is False.

    Example:
        >>> v = sample_cluster_vectors(jax.random.key(0), 4, 3)
        >>> sample_conditional(jax.random.key(1), v, TruncatedLaplace(0.1)).shape
        (4, 3)

    Source: Reizinger et al. 2024, section 3 and published code.
    """
    check_key("key", key)
    check_features("v", v)
    check_type("conditional", conditional, Density | TruncatedLaplace)
    if not isinstance(conditional, TruncatedLaplace):
        check_inside("v", v, Sphere(v.shape[-1]))
        return sample(key, conditional, Sphere(v.shape[-1]), v)
    in_dtype("scale", conditional.scale, v.dtype)
    bound = conditional.limit
    z, _ = sample_truncated(key, Laplace(conditional.scale), v, -bound, bound)
    return unit(z) if conditional.project else z


def sample_instances(
    key: jax.Array,
    v: jax.Array,
    conditional: Density | TruncatedLaplace,
    *,
    instances: int,
    batch: int,
) -> Instances:
    """Draw instance labels uniformly with replacement, and a fresh latent for each.

    Args:
        key: a typed key.
        v: cluster vectors, `[clusters, n]`.
        conditional: p(z | v).
        instances: N >= clusters. With N = C the labels are the classes.
        batch: number of draws.

    Returns:
        `Instances`.

    Raises:
        ValueError: when a cluster would be empty.

    Example:
        >>> v = sample_cluster_vectors(jax.random.key(0), 4, 3)
        >>> law = TruncatedLaplace(0.1)
        >>> drawn = sample_instances(jax.random.key(1), v, law, instances=8, batch=5)
        >>> bool((drawn.label == drawn.index % 4).all())
        True

    Source: Reizinger et al. 2024, section 3 and published code.

    Notes:
        A label is not tied to a latent: there is no finite set of latents.
    """
    check_key("key", key)
    check_rows("v", v)
    check_type("conditional", conditional, Density | TruncatedLaplace)
    check_instances(instances, v.shape[0])
    check_count("batch", batch)
    if not isinstance(conditional, TruncatedLaplace):
        check_inside("v", v, Sphere(v.shape[1]))
    check_memory("batch", batch, 4 * batch * v.shape[1])
    v = jnp.asarray(v)
    k_index, k_z = jax.random.split(key)
    index = jax.random.randint(k_index, (batch,), 0, instances)
    label = class_of_index(index, v.shape[0])
    return Instances(sample_conditional(k_z, v[label], conditional), index, label)


def affine_generator(v: jax.Array, *, rtol: float | None = None) -> Rank:
    """Whether the differences v_c - v_0 span R^n: assumption (i).

    Every vector is then an affine combination of the v_c; it takes C >= n + 1.

    Args:
        v: cluster vectors, `[clusters >= 2, n]`.
        rtol: singular values up to this share of the largest count as 0; rounding by
            default.

    Returns:
        `Rank`, full at rank n.

    Example:
        >>> v = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> int(affine_generator(v).rank), bool(affine_generator(v[:2]).full)
        (2, False)

    Source: Reizinger et al. 2024, section 3.
    """
    check_rows("v", v, 2)
    _check_rtol(rtol)
    check_finite("v", v)
    return _rank(v[1:] - v[:1], v.shape[1], rtol)


def diverse(v: jax.Array, *, rtol: float | None = None) -> Rank:
    """Whether the rows [v_c * v_c, v_c] have rank 2 n: "diverse data", for case C3.

    Args:
        v: cluster vectors, `[clusters, n]`.
        rtol: singular values up to this share of the largest count as 0; rounding by
            default.

    Returns:
        `Rank`, full at rank 2 n.

    Example:
        >>> bool(diverse(sample_cluster_vectors(jax.random.key(0), 9, 3)).full)
        True

    Source: Reizinger et al. 2024, section 3.
    """
    check_rows("v", v)
    _check_rtol(rtol)
    check_finite("v", v)
    return _rank(jnp.concatenate([v * v, v], axis=1), 2 * v.shape[1], rtol)


def _check_rtol(rtol: float | None) -> None:
    if rtol is not None:
        check_unit_interval("rtol", rtol)
        check_scalar("rtol", rtol)


def _rank(rows: jax.Array, wanted: int, rtol: float | None) -> Rank:
    values = of_finite(lambda a: jnp.linalg.svd(a, compute_uv=False), rows)
    if rtol is None:
        rtol = max(rows.shape) * float(jnp.finfo(rows.dtype).eps)
    rank = jnp.sum(values > rtol * values[0])
    return Rank(rank, rank == wanted, values)
