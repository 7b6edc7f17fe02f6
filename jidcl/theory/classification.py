r"""What cross-entropy can reach when latents are von Mises-Fisher around v_c.

P(c | z) = softmax_c(kappa <v_c, z>) for uniform classes, and each of the n_c instances
of a class is equally likely, so the loss of the posterior, the floor, is H(C | z) for
classes and H(C | z) + log(N / C) for balanced instances. Features h = M z with rows
w_c = kappa M^{-T} v_c + shift attain it, for any invertible M.

Source: Reizinger et al. 2024, Theorems 1 and 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_at_least,
    check_count,
    check_features,
    check_integers,
    check_key,
    check_memory,
    check_rows,
    check_scalar,
    check_shape,
    check_unit_interval,
    check_within,
)
from jidcl.latents import (
    VonMisesFisher,
    class_of_index,
    index_counts,
    sample_instances,
)
from jidcl.numerics import log_softmax, logsumexp, of_finite


class Floor(NamedTuple):
    """A Monte Carlo mean and its standard error, nats.

    Attributes:
        value: the mean, nats.
        error: its standard error, nats.

    Example:
        >>> float(Floor(jnp.asarray(0.5), jnp.asarray(0.01)).value)
        0.5

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """

    value: jax.Array
    error: jax.Array


def class_log_posterior(
    z: jax.Array, v: jax.Array, kappa: jax.Array | float
) -> jax.Array:
    """log P(c | z) for uniform classes, log softmax_c(kappa <v_c, z>).

    The normaliser of the density cancels.

    Args:
        z: latents, `[batch, n]`, unit vectors.
        v: cluster vectors, `[clusters, n]`.
        kappa: concentration, >= 0.

    Returns:
        `[batch, clusters]`.

    Example:
        >>> class_log_posterior(jnp.eye(2), jnp.eye(2), 0.0).round(4)
        Array([[-0.6931, -0.6931],
               [-0.6931, -0.6931]], dtype=float32)

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """
    check_features("z", z)
    check_rows("v", v, width=z.shape[-1])
    _check_kappa(kappa)
    logits = jnp.asarray(kappa, z.dtype) * (z @ v.T)
    return log_softmax(logits, -1)


def index_log_posterior(
    z: jax.Array,
    v: jax.Array,
    kappa: jax.Array | float,
    index: jax.Array,
    *,
    instances: int,
    noise: float = 0.0,
) -> jax.Array:
    """log P(i | z) of given instances i, `[batch]`.

    P(i | z) = exp(kappa <v_C(i), z>) / sum_c n_c exp(kappa <v_c, z>) with n_c instances
    of class c; with label noise (1 - noise) P(i | z) + noise / N.

    Args:
        z: latents, `[batch, n]`.
        v: cluster vectors, `[clusters, n]`.
        kappa: concentration.
        index: instance labels, integers `[batch]`.
        instances: N >= clusters; N = clusters for classes.
        noise: share of labels that are replaced by uniform ones.

    Returns:
        `[batch]`; minus its mean over draws is the floor of the loss.

    Raises:
        ValueError: when a cluster would be empty, or on noise outside of [0, 1].

    Example:
        >>> index, v = jnp.array([0, 3]), jnp.eye(2)
        >>> index_log_posterior(v, v, 0.0, index, instances=4).round(4)  # -log 4
        Array([-1.3863, -1.3863], dtype=float32)

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """
    check_rows("z", z)
    check_rows("v", v, width=z.shape[1])
    _check_kappa(kappa)
    check_unit_interval("noise", noise)
    check_scalar("noise", noise)
    check_integers("index", index, z.shape[:1])
    check_count("instances", instances)
    check_within("index", index, instances)
    counts = index_counts(instances, v.shape[0]).astype(z.dtype)
    logits = jnp.asarray(kappa, z.dtype) * (z @ v.T)
    label = class_of_index(index, v.shape[0])
    own = jnp.take_along_axis(logits, label[:, None], axis=1)[:, 0]
    # Less the own one before they are summed: large ones keep the digits of log counts.
    log_p = -logsumexp(logits - own[:, None], 1, weights=counts[None])
    if isinstance(noise, float | int) and noise == 0:
        return log_p
    return jnp.logaddexp(jnp.log1p(-noise) + log_p, jnp.log(noise / instances))


def bayes_floor(
    key: jax.Array,
    v: jax.Array,
    kappa: float,
    *,
    instances: int | None = None,
    samples: int = 65_536,
) -> Floor:
    """Monte Carlo of the floor, E[-log P(i | z)], over fresh labels and latents.

    Args:
        key: a typed key.
        v: cluster vectors, `[clusters, n]`.
        kappa: concentration.
        instances: N; None for the classes, whose floor is H(C | z).
        samples: draws, >= 2.

    Returns:
        `Floor`: the entropy of the posterior averaged over the draws of z, which varies
        less than the loss of the drawn labels, plus the mean log count of the label.

    Raises:
        ValueError: on fewer than two samples, or more than memory holds.

    Example:
        >>> v = jnp.eye(2)
        >>> floor = bayes_floor(jax.random.key(0), v, 0.0, samples=64)
        >>> round(float(floor.value), 4)  # latents that say nothing: log 2
        0.6931

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """
    check_key("key", key)
    check_rows("v", v)
    _check_kappa(kappa)
    check_count("samples", samples, 2)
    check_memory("samples", samples, samples * (3 * v.shape[0] + 4 * v.shape[1]))
    clusters = v.shape[0]
    instances = clusters if instances is None else instances
    counts = index_counts(instances, clusters).astype(v.dtype)
    drawn = sample_instances(
        key, v, VonMisesFisher(kappa), instances=instances, batch=samples
    )
    logits = jnp.asarray(kappa, v.dtype) * (drawn.z @ v.T) + jnp.log(counts)[None]
    log_p = log_softmax(logits, 1)
    # An instance has log P(i | z) = log P(c | z) - log n_c.
    terms = jnp.sum(jnp.exp(log_p) * (jnp.log(counts)[None] - log_p), axis=1)
    error = jnp.std(terms, ddof=1) / jnp.sqrt(jnp.asarray(samples, v.dtype))
    return Floor(jnp.mean(terms), error)


def affine_solution(
    v: jax.Array, kappa: float, m: jax.Array, shift: jax.Array
) -> jax.Array:
    """Rows w_c = kappa M^{-T} v_c + shift that attain the floor with h = M z, beta = 1.

    Args:
        v: cluster vectors, `[clusters, n]`.
        kappa: concentration.
        m: M, invertible `[n, n]`.
        shift: psi, `[n]`.

    Returns:
        `[clusters, n]`.

    Raises:
        ValueError: on wrong shapes.

    Example:
        >>> v = jnp.eye(2)
        >>> affine_solution(v, 8.0, 2 * jnp.eye(2), jnp.zeros(2))
        Array([[4., 0.],
               [0., 4.]], dtype=float32)

    Source: Reizinger et al. 2024, Theorems 1 and 2.
    """
    check_rows("v", v)
    _check_kappa(kappa)
    n = v.shape[1]
    for name, array, shape in (("m", m, (n, n)), ("shift", shift, (n,))):
        check_features(name, array)
        check_shape(name, array, shape)
    solved = of_finite(lambda m: jnp.linalg.solve(m.T, v.T).T, m)
    return kappa * solved + shift[None]


def _check_kappa(kappa: jax.Array | float) -> None:
    check_at_least("kappa", kappa, 0)
    check_scalar("kappa", kappa)
