"""Which interventions to make next: how well environments tell inputs apart.

With r_ij = sum_e pi_e s_ej / s_ei of the variances s, the Fisher information of one
sample about (Omega_ij, Omega_ji), dW = Omega W, is [[r_ij, 1], [1, r_ji]]. It is
singular exactly where rho_ij = r_ij r_ji is 1: where both profiles are proportional. No
system enters, and no scale of an environment or an input: a design is good for every
system at once, and needs no prior over systems. Without noise, that is.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_choice,
    check_count,
    check_features,
    check_key,
    check_scalar,
    check_shape,
)
from jidcl.compiled import compiled
from jidcl.theory.profiles import checked_variance

CRITERIA = ("information", "margin")
_STEPS, _RATE, _SHARPNESS = 400, 0.1, 20.0


@compiled
def _rho(variance: jax.Array, weights: jax.Array) -> jax.Array:
    """rho_ij - 1, computed without cancellation, `[inputs, inputs]`; 0 for i = j."""
    ratio = variance[:, None] / variance[:, :, None]  # s_j / s_i
    r = jnp.einsum("e,eij->ij", weights, ratio)
    # rho - 1 = sum_e pi_e (q_e - q)(1 / q_e - 1 / q) up to its sign, q the mean ratio.
    return jnp.einsum("e,eij->ij", weights, (ratio - r[None]) ** 2 / ratio) / r


def _weights(name: str, weights: Any, variance: jax.Array) -> jax.Array:
    count = len(variance)
    if weights is None:
        return jnp.full(count, 1 / count, variance.dtype)
    check_features(name, weights)
    check_shape(name, weights, (count,))
    check_above(name, weights, 0)
    weights = jnp.asarray(weights, float)
    return weights / jnp.sum(weights)


def pair_information(variance: Any, weights: Any = None) -> jax.Array:
    """rho_ij - 1 of every pair: 0 where environments do not tell inputs i and j apart.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.
        weights: samples of each environment, up to scale; equal when None.

    Returns:
        `[inputs, inputs]`, symmetric, >= 0, its diagonal 0.

    Raises:
        ValueError: on another shape, or a number that is not > 0.

    Example:
        >>> pair_information(jnp.array([[1.0, 1.0], [1.0, 4.0]]))[0, 1].round(4).item()
        0.5625

    Source: this library; the Fisher information of second-order ICA.
    """
    variance = checked_variance("variance", variance)
    return _rho(variance, _weights("weights", weights, variance))


def diversity_margin(variance: Any, weights: Any = None) -> jax.Array:
    """The least share 1 - 1 / rho_ij of information that a pair of inputs keeps.

    0: two inputs may be turned into each other; near 1: they are told apart as well as
    if one of them were known.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.
        weights: samples of each environment, up to scale; equal when None.

    Returns:
        A scalar in [0, 1]; 1 of a single input.

    Raises:
        ValueError: on another shape, or a number that is not > 0.

    Example:
        >>> round(float(diversity_margin(jnp.array([[1.0, 1.0], [1.0, 4.0]]))), 4)
        0.36

    Source: this library.
    """
    variance = checked_variance("variance", variance)
    return _margin(variance, _weights("weights", weights, variance))


@compiled
def _margin(variance: jax.Array, weights: jax.Array) -> jax.Array:
    left = _rho(variance, weights)
    own = jnp.eye(len(left), dtype=bool)
    return jnp.min(jnp.where(own, 1.0, left / (1 + left)))


def expected_mcc_loss(
    variance: Any, pairs: float, *, outputs: int, weights: Any = None
) -> jax.Array:
    """1 - MCC within environments that maximum likelihood leaves, to first order.

    (outputs + mean_i sum_(j != i) rho_ij / (rho_ij - 1)) / (2 pairs): the first term is
    what the estimate of G costs, the second what that of W does.

    Args:
        variance: of the controls, `[environments, inputs]`, > 0.
        pairs: (y_t, y_(t+1)) of all environments together, > 0.
        outputs: how many, >= 1.
        weights: pairs of each environment, up to scale; equal when None.

    Returns:
        A scalar; infinite where the environments do not suffice.

    Raises:
        ValueError: on another shape, or a number out of range.

    Example:
        >>> variance = jnp.array([[1.0, 1.0], [1.0, 4.0]])
        >>> round(float(expected_mcc_loss(variance, 100, outputs=2)), 4)
        0.0239

    Source: this library.
    """
    variance = checked_variance("variance", variance)
    check_scalar("pairs", pairs)
    check_above("pairs", pairs, 0)
    check_count("outputs", outputs)
    weights = _weights("weights", weights, variance)
    return (int(outputs) + _mixing_loss(variance, weights)) / (2 * pairs)


@compiled
def _mixing_loss(variance: jax.Array, weights: jax.Array) -> jax.Array:
    left = _rho(variance, weights)
    own = jnp.eye(len(left), dtype=bool)
    each = jnp.where(own, 0.0, 1 + 1 / jnp.where(own, 1.0, left))
    return jnp.sum(each) / len(left)


def design_interventions(
    key: jax.Array,
    inputs: int,
    environments: int,
    *,
    budget: float,
    least: float,
    before: Any = None,
    criterion: str = "information",
    starts: int = 8,
) -> jax.Array:
    """Variances of the next environments, by gradient under a power budget.

    Each row sums to the budget and no variance is below `least`. `information`
    minimises the expected loss of MCC, `margin` the largest 1 / (rho_ij - 1) of a pair.
    Neither depends on the system, see this module.

    Args:
        key: a typed key, of the starts.
        inputs: how many, >= 1.
        environments: how many to add, >= 1.
        budget: sum of the variances of an environment, > inputs least.
        least: least variance of an input, > 0.
        before: variances of the environments that are there already, `[.., inputs]`.
        criterion: of `CRITERIA`.
        starts: random ones; the best is taken.

    Returns:
        `[environments, inputs]`.

    Raises:
        ValueError: on a number out of range, or an unknown criterion.

    Example:
        >>> key = jax.random.key(0)
        >>> new = design_interventions(key, 2, 2, budget=1.0, least=0.1, starts=2)
        >>> float(diversity_margin(new)) > 0.9
        True

    Source: this library.
    """
    check_key("key", key)
    for name, value in (
        ("inputs", inputs),
        ("environments", environments),
        ("starts", starts),
    ):
        check_count(name, value)
    for name, value in (("least", least), ("budget", budget)):
        check_scalar(name, value)
        check_above(name, value, 0)
    if not budget > inputs * least:
        raise ValueError(
            f"budget must be > {inputs * least:g} (inputs times least), got {budget}"
        )
    check_choice("criterion", criterion, CRITERIA)
    held = jnp.zeros((0, inputs))
    if before is not None:
        held = checked_variance("before", before)
        check_shape("before", held, (len(held), inputs))
    budget_, least_ = jnp.asarray(budget, float), jnp.asarray(least, float)
    return _design(key, held, budget_, least_, environments, criterion, starts)


@compiled
def _design(key, held, budget, least, environments: int, criterion: str, starts: int):
    inputs = held.shape[1]
    count = len(held) + environments
    weights = jnp.full(count, 1 / count, held.dtype)
    own = jnp.eye(inputs, dtype=bool)

    def rows(logits):
        share = jax.nn.softmax(logits, axis=1)
        return least + (budget - inputs * least) * share

    def cost(logits):
        variance = jnp.concatenate([held, rows(logits)])
        left = jnp.where(own, 1.0, _rho(variance, weights)) + 1e-12
        each = jnp.where(own, -jnp.inf, -jnp.log(left))
        sharp = 1.0 if criterion == "information" else _SHARPNESS
        # A single input has no pair, and any design will do.
        return jax.nn.logsumexp(jnp.append(sharp * each.ravel(), -1e3)) / sharp

    def step(carry, _):
        logits, mean, square = carry
        slope = jax.grad(cost)(logits)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * slope**2
        logits = logits - _RATE * mean / (jnp.sqrt(square) + 1e-9)
        return (logits, mean, square), None

    def climbed(key):
        logits = 2 * jax.random.normal(key, (environments, inputs), held.dtype)
        start = logits, jnp.zeros_like(logits), jnp.zeros_like(logits)
        (logits, *_), _ = jax.lax.scan(step, start, length=_STEPS)
        return rows(logits), cost(logits)

    found, costs = jax.vmap(climbed)(jax.random.split(key, starts))
    return found[jnp.argmin(costs)]
