"""Scores of a fit: correlations from moments, errors of parameters; the experiments."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import block_diag

from jidcl.latents import (
    physical_system,
    sample_environments,
    sample_series,
    sample_system,
)
from jidcl.metrics import assign
from jidcl.systems.lti import estimators
from jidcl.systems.lti.estimators import Moments
from jidcl.systems.lti.matching import aligned
from jidcl.systems.lti.presets import Interventions
from jidcl.theory import diversity, expected_mcc_loss, pair_map
from jidcl.types import Array, Evaluation

RECOVERED = 0.99
MOTOR_STEP = 0.01
_AT_ONCE = 50  # systems


class Correlations(NamedTuple):
    """MCC of controls, three ways."""

    centred: Array
    within: Array
    pooled: Array


def correlations(joint: Moments, v: Array) -> Correlations:
    """MCC of u with V z, from the moments of (z, u) alone.

    Args:
        joint: of (z, u).
        v: `[inputs, z]`.

    Returns:
        `Correlations`; a constant estimate correlates 0.
    """
    both = block_diag(v, jnp.eye(len(v), dtype=v.dtype))
    mean, each, weights = estimators.mapped(joint, both)  # of (V z, u)
    left = mean - (weights @ mean)[None]
    centred = jnp.einsum("e,eij->ij", weights, each)
    between = jnp.einsum("e,ei,ej->ij", weights, left, left)
    found = jax.vmap(_mcc)(
        jnp.concatenate([jnp.stack([centred, centred + between]), each])
    )
    return Correlations(found[0], jnp.mean(found[2:]), found[1])


def _mcc(covariance: Array) -> Array:
    """Of the two halves of a covariance."""
    m = len(covariance) // 2
    size = jnp.sqrt(jnp.diag(covariance))
    scale = size[:m, None] * size[None, m:]
    cross = jnp.abs(covariance[:m, m:])
    score = jnp.where(scale > 0, cross / jnp.where(scale > 0, scale, 1), 0)
    return assign(score)[1] / m


def drawn(config: Interventions, key: Array, environments: Any = None):
    """A system, its environments if not given, and rows (z, u) of each of these."""
    keys = jax.random.split(key, 3)
    if config.experiment == "motor":
        system = physical_system("dc_motor", MOTOR_STEP)
    else:
        own = dict(random_b=config.random_b, random_c=config.random_c)
        system = sample_system(keys[0], config.states, **own)
    if environments is None:
        own = dict(design=config.design, means=config.means)
        environments = sample_environments(keys[1], config.count, config.inputs, **own)
    series = sample_series(
        keys[2], system, environments, config.length, noise=config.noise
    )
    rows = estimators.pair_rows(series.outputs, series.controls, stride=config.stride)
    return system, environments, rows


def of_pairs(joint: Moments, width: int) -> Moments:
    """Moments of z, from those of (z, u)."""
    held = joint.covariance[:, :width, :width]
    return Moments(joint.mean[:, :width], held, joint.weights)


def one_recovery(
    config: Interventions, key: Array, environments: Any = None
) -> dict[str, Array]:
    """Scores of the likelihood on one system, in environments given or drawn."""
    k_data, k_fit = jax.random.split(key)
    system, environments, rows = drawn(config, k_data, environments)
    variance, d = environments.variance, config.states
    white = estimators.whitened(rows, 2 * d)
    joint = estimators.moments_of(white.rows)
    moments = of_pairs(joint, 2 * d)
    known = variance if config.statistics == "known" else None
    found = estimators.fit(k_fit, moments, d, known, starts=config.starts)
    true, dtype, v = pair_map(system), found.v.dtype, found.v @ white.inverse
    g_hat, m_hat = estimators.parameters_of(v)
    at_truth, own = variance, true.v @ white.root
    if known is None:
        at_truth = estimators.spread(moments, own)
    least = estimators.log_likelihood(moments, own, at_truth)
    pairs = rows.shape[0] * rows.shape[1]
    loss = expected_mcc_loss(variance, pairs, outputs=d)
    told = diversity(variance)
    # The next output itself, and what its regression on the last one leaves.
    nothing = jnp.zeros((d, d), dtype)
    left = jnp.concatenate([nothing, white.root[d:, d:]], 1)
    tried = jnp.stack([found.v, white.root[d:], left])
    mcc = jax.vmap(lambda v: correlations(joint, v))(tried)
    return {
        "mcc": mcc.centred[0],
        "mcc_within": mcc.within[0],
        "mcc_pooled": mcc.pooled[0],
        "recovered": (mcc.centred[0] >= RECOVERED).astype(dtype),
        "optimised": (found.log_likelihood >= least - 1e-9).astype(dtype),
        "predicted": jnp.maximum(1 - loss, 0.0),
        "g_error": jnp.sqrt(jnp.sum((g_hat - true.g) ** 2) / jnp.sum(true.g**2)),
        "m_error": aligned(true.m, m_hat).error,
        "sufficient": told.sufficient.astype(dtype),
        "sine": told.min_pair_sine,
        "null_identity": mcc.centred[1],
        "null_regression": mcc.centred[2],
    }


def one_source(config: Interventions, key: Array) -> dict[str, Array]:
    """Scores of the published objective on one system, the likelihood's beside them."""
    k_data, k_fit, k_start = jax.random.split(key, 3)
    _, environments, rows = drawn(config, k_data)
    d = config.states
    joint = estimators.moments_of(rows)
    moments = of_pairs(joint, 2 * d)
    h, b, _ = estimators.source_statistics(moments, environments)
    white = estimators.whitened(rows, 2 * d)
    of_white = of_pairs(estimators.moments_of(white.rows), 2 * d)
    likely = estimators.fit(k_fit, of_white, d, environments.variance)
    held = {}
    if config.means == "zero":
        found = estimators.source_descent(k_start, h)
        held["shrunk"] = found.norms[-1] / found.norms[0]
        held["falls"] = jnp.all(jnp.diff(found.norms) <= 0).astype(h.dtype)
        v = found.v
    else:
        v = estimators.source_optimum(h, b)
    mcc = jax.vmap(lambda v: correlations(joint, v))(
        jnp.stack([v, likely.v @ white.inverse])
    )
    return {
        "mcc": mcc.centred[0],
        "mcc_within": mcc.within[0],
        "mcc_pooled": mcc.pooled[0],
        "likelihood_mcc": mcc.centred[1],
        **held,
    }


def one_motor(config: Interventions, key: Array) -> dict[str, Array]:
    """Scores of the leading direction of innovations, one input of two states."""
    _, environments, rows = drawn(config, key)
    joint = estimators.moments_of(rows)
    moments = of_pairs(joint, 4)
    back, covariance = estimators.innovations(moments)
    rows_w = estimators.leading_directions(covariance, 1)
    own = jnp.concatenate([-rows_w @ back, rows_w], 1)
    h, b, _ = estimators.source_statistics(moments, environments)
    tried = jnp.stack([own, estimators.source_optimum(h, b)])
    mcc = jax.vmap(lambda v: correlations(joint, v))(tried)
    names = {"mcc": mcc.centred, "mcc_within": mcc.within, "mcc_pooled": mcc.pooled}
    return {name: value[0] for name, value in names.items()} | {
        f"source_{name}": value[1] for name, value in names.items()
    }


_ONE = {"recovery": one_recovery, "source": one_source, "motor": one_motor}
_MEDIANS = ("g_error", "m_error")


def fits(config: Interventions, frozen: Any, key: Array) -> Evaluation:
    """All systems of a configuration, fitted in one program, and their scores."""
    count = config.systems
    one = partial(_ONE[config.experiment], config)
    keys = jax.random.split(key, count)
    each = jax.lax.map(one, keys, batch_size=min(_AT_ONCE, count))
    nulls = {
        name[5:]: jnp.mean(each.pop(name)) for name in list(each) if "null" in name
    }
    scores = {
        name: jnp.median(value) if name in _MEDIANS else jnp.mean(value)
        for name, value in each.items()
    }
    root = jnp.sqrt(jnp.asarray(count, float))
    errors = {name: jnp.std(each[name]) / root for name in ("mcc", "mcc_within")}
    held = {f"{name}_each": value for name, value in each.items()}
    return Evaluation(
        scores, nulls={"mcc": nulls} if nulls else {}, samples=held, errors=errors
    )
