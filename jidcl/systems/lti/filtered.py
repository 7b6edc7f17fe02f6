"""Outputs with noise, or of some states only: maximum likelihood by the Kalman filter.

y_t = C x_t + noise of variance r. After a few steps the filter is stationary, and its
errors e_t = y_t - sum_k C (A - K C)^(k-1) K y_(t-k) are linear in the outputs. So their
covariance, and with it the likelihood, follows from the autocovariances
Gamma_k = mean of y_t y_(t-k)^T: a fit costs as much for any length, but for `lags`
terms, whose number has to reach as far as the filter remembers.

| equation | function |
|---|---|
| P = A P A^T + Q - A P C^T S^-1 C P A^T, by doubling; S = C P C^T + r I, K = A P C^T S^-1 | `stationary_filter` |
| log p = - (p log 2 pi + log det S + tr S^-1 E e e^T) / 2 for each time | `log_likelihood` |
| quasi-Newton steps from several starts, the likeliest kept | `start`, `step` |

States have no coordinates of their own: C = [I, 0]. With as many states as outputs A and
B then are G and M of the pairs.

Source: Kalman 1960; Anderson, Moore 1979, chapter 6 (doubling).
"""  # noqa: E501

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jidcl.latents import LTI, sample_environments, sample_series, sample_system
from jidcl.latents.small import inverse_small, solve_small
from jidcl.systems.lti import estimators
from jidcl.systems.lti.matching import aligned
from jidcl.systems.shared.wiring import of_least
from jidcl.theory import markov_parameters
from jidcl.types import Array, Evaluation, Program

_DOUBLINGS = 12
_LEAST = 1e-8  # of the noise's variance, as a share of the outputs'
CANDIDATES = 16  # of each start
MARKOV = 4  # parameters that are compared


class Told(NamedTuple):
    """What a fit is given.

    Attributes:
        lags: Gamma_k, `[environments, lags + 1, outputs, outputs]`.
        weights: shares of all samples, `[environments]`.
        variance: of the controls, `[environments, inputs]`.
    """

    lags: Array
    weights: Array
    variance: Array


class Filtered(NamedTuple):
    """A fit.

    Attributes:
        system: C = [I, 0].
        noise: variance of the noise of each output.
        log_likelihood: mean over samples, nats.
    """

    system: LTI
    noise: Array
    log_likelihood: Array


def autocovariances(outputs: Array, lags: int) -> Array:
    """Gamma_k for k = 0 to `lags`, means of each environment taken away.

    Args:
        outputs: `[environments, time, outputs]`, time > lags.
        lags: >= 1.

    Returns:
        `[environments, lags + 1, outputs, outputs]`.

    Raises:
        ValueError: on a time that is too short.
    """
    time = outputs.shape[1]
    if time <= lags:
        raise ValueError(f"time must be > {lags} (lags), got {time}")
    left = outputs - jnp.mean(outputs, axis=1, keepdims=True)
    held = [
        jnp.einsum("eti,etj->eij", left[:, k:], left[:, : time - k]) / time
        for k in range(lags + 1)
    ]
    return jnp.stack(held, axis=1)


def stationary_filter(system: LTI, drive: Array, noise: Array) -> tuple[Array, Array]:
    """Gain K of one-step predictions, and the covariance S of their errors.

    Args:
        system: of A and C.
        drive: Q, covariance of what drives the states, `[states, states]`.
        noise: r, > 0.

    Returns:
        `(k [states, outputs], s [outputs, outputs])`.
    """
    a, c = system.a, system.c
    eye = jnp.eye(len(a), dtype=a.dtype)

    def double(held, _):
        a, g, h = held
        back = inverse_small(eye + g @ h)
        turned = a @ back
        return (turned @ a, g + turned @ g @ a.T, h + a.T @ h @ back @ a), None

    first = a.T, c.T @ c / noise, drive
    (_, _, p), _ = jax.lax.scan(double, first, length=_DOUBLINGS)
    s = c @ p @ c.T + noise * jnp.eye(len(c), dtype=a.dtype)
    return solve_small(s, c @ p @ a.T)[0].T, s


def log_likelihood(system: LTI, told: Told, noise: Array) -> Array:
    """Mean log-likelihood of a sample, nats, in the long run.

    Args:
        system: an `LTI`.
        told: the data's part.
        noise: r, > 0.

    Returns:
        A scalar.
    """
    a, b, c = system
    count, p = told.lags.shape[1], len(c)
    apart = jnp.arange(count)[None] - jnp.arange(count)[:, None]  # j - i

    def one(lags, variance):
        k, s = stationary_filter(system, (b * variance[None]) @ b.T, noise)
        ahead = a - k @ c

        def further(held, _):
            return ahead @ held, -c @ held

        _, terms = jax.lax.scan(further, k, length=count - 1)
        phi = jnp.concatenate([jnp.eye(p, dtype=a.dtype)[None], terms])
        later = lags[jnp.abs(apart)]
        turned = jnp.where((apart < 0)[:, :, None, None], later.mT, later)
        errors = jnp.einsum("iab,ijbc,jdc->ad", phi, turned, phi)
        whitened, size = solve_small(s, errors)
        return -(p * jnp.log(2 * jnp.pi) + size + jnp.trace(whitened)) / 2

    return told.weights @ jax.vmap(one)(told.lags, told.variance)


# Steps --------------------------------------------------------------------------------


class Run(NamedTuple):
    """Every start of a fit, `[starts, ...]`: parameters and the optimiser's state."""

    params: Any
    opt_state: Any


def _optimiser() -> optax.GradientTransformationExtraArgs:
    return optax.lbfgs(memory_size=20)


def _size(told: Told) -> Array:
    return jnp.mean(jnp.diagonal(told.lags[:, 0], axis1=1, axis2=2))


def _fit_of(params: Any, told: Told) -> tuple[LTI, Array]:
    """The system and its noise; the noise keeps away from 0."""
    a, p = params["a"], told.lags.shape[-1]
    c = jnp.eye(p, len(a), dtype=a.dtype)
    return LTI(a, params["b"], c), _size(told) * (_LEAST + jnp.exp(params["share"]))


def _cost(params: Any, told: Told) -> Array:
    system, noise = _fit_of(params, told)
    return -log_likelihood(system, told, noise)


def _candidate(key: Array, g: Array, m: Array, states: int) -> Any:
    """Parameters to start from: those of the pairs, turned, and noise of any size.

    Pairs may give inputs to the wrong names, where outputs have noise.
    """
    keys = jax.random.split(key, 6)
    p, dtype = len(g), g.dtype
    wide = states - p
    turn = jax.random.normal(keys[0], (m.shape[1], m.shape[1]), dtype)
    amount = jax.random.choice(keys[1], jnp.asarray([0.0, 0.3, 1.0], dtype))
    names = jax.random.permutation(keys[5], m.shape[1])
    b = (m @ (jnp.eye(m.shape[1], dtype=dtype) + amount * turn))[:, names]
    a = g
    if wide:
        own = jax.random.normal(keys[2], (states, states), dtype) / states**0.5
        a = 0.7 * own.at[:p, :p].add(g / 2)
        more = jax.random.normal(keys[4], (wide, m.shape[1]), dtype)
        b = jnp.concatenate([b, jnp.sqrt(jnp.mean(b**2)) * more])
    share = jax.random.uniform(keys[3], (), dtype, -9.0, -1.0)
    return {"a": a, "b": b, "share": share}


def _pairs_of(told: Told) -> estimators.Moments:
    """Moments of (y_t, y_(t+1)), from the first two autocovariances."""
    now, later = told.lags[:, 0], told.lags[:, 1]
    pairs = jnp.block([[now, later.mT], [later, now]])
    return estimators.Moments(
        jnp.zeros(pairs.shape[:2], pairs.dtype), pairs, told.weights
    )


def start(key: Array, told: Told, *, states: int, starts: int) -> Run:
    """The likeliest of `CANDIDATES` for each start."""
    p, m = told.lags.shape[-1], told.variance.shape[1]
    moments = _pairs_of(told)
    k_pairs, k_starts = jax.random.split(key)
    if m == p:
        v = estimators.fit(k_pairs, moments, m, told.variance).v
        g, pushed = estimators.parameters_of(v)
    else:
        g, left = estimators.innovations(moments)
        directions = estimators.leading_directions(left, m)
        pushed = directions.T * jnp.sqrt(jnp.trace(left) / jnp.mean(told.variance))

    def one(key):
        each = jax.random.split(key, CANDIDATES)
        tried = jax.vmap(lambda key: _candidate(key, g, pushed, states))(each)
        costs = jax.vmap(lambda params: _cost(params, told))(tried)
        return of_least(costs, tried)

    params = jax.vmap(one)(jax.random.split(k_starts, starts))
    return Run(params, jax.vmap(_optimiser().init)(params))


def step(run: Run, told: Told) -> tuple[Run, Array]:
    """One quasi-Newton step of every start; their costs before it, `[starts]`."""

    def one(params, state):
        def cost(params):
            return _cost(params, told)

        value, slope = jax.value_and_grad(cost)(params)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = _optimiser().update(
                slope, state, params, value=value, grad=slope, value_fn=cost
            )
        return (optax.apply_updates(params, updates), state), value

    held, costs = jax.vmap(one)(run.params, run.opt_state)
    return Run(*held), costs


def best(run: Run, told: Told) -> Filtered:
    """The likeliest start."""
    costs = jax.vmap(lambda params: _cost(params, told))(run.params)
    cost, params = of_least(costs, (costs, run.params))
    return Filtered(*_fit_of(params, told), -cost)


# A program ----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class NoisySystems:
    """Random systems of which outputs with noise are seen, one a seed.

    Attributes:
        states: of a system.
        inputs: at most outputs.
        outputs: at most states.
        environments: of variances uniform in (0.1, 2).
        noise: variance of the noise of each output, > 0.
        length: steps of each environment.
        lags: of the autocovariances.
        starts: of a fit.
    """

    states: int = 2
    inputs: int = 2
    outputs: int = 2
    environments: int = 4
    noise: float = 1e-2
    length: int = 4000
    lags: int = 40
    starts: int = 4


def make_filtered(config: NoisySystems) -> Program:
    """The program that fits one system a seed, by quasi-Newton steps of its own.

    Args:
        config: see `NoisySystems`.

    Returns:
        A `Program` of float64; its scores are of the likeliest start.
    """
    n, m, p = config.states, config.inputs, config.outputs

    def freeze(key):
        keys = jax.random.split(key, 3)
        system = sample_system(keys[0], n, inputs=m, outputs=p)
        count = config.environments
        driven = sample_environments(keys[1], count, m, design="uniform")
        series = sample_series(
            keys[2], system, driven, config.length, noise=config.noise
        )
        weights = jnp.full(count, 1 / count)
        lags = autocovariances(series.outputs, config.lags)
        return {"system": system, "told": Told(lags, weights, driven.variance)}

    def evaluate(run, frozen, key):
        true, told = frozen["system"], frozen["told"]
        found = best(run, told)
        at_truth = log_likelihood(true, told, jnp.asarray(config.noise))
        scores = {"markov_error": _markov_error(true, found.system)}
        if n == m == p:
            fit = estimators.fit(key, _pairs_of(told), n, told.variance)
            eye = jnp.eye(n, dtype=fit.v.dtype)
            pairs = LTI(*estimators.parameters_of(fit.v), eye)
            scores["pairs_error"] = _markov_error(true, pairs)
        return Evaluation(
            scores
            | {
                "noise": found.noise,
                "optimised": (found.log_likelihood >= at_truth).astype(float),
                "beyond": found.log_likelihood - at_truth,
            }
        )

    def advance(run, frozen, key, t):
        run, costs = step(run, frozen["told"])
        return run, {"loss": jnp.min(jnp.nan_to_num(costs, nan=jnp.inf))}

    return Program(
        freeze=freeze,
        start=lambda frozen, key: start(
            key, frozen["told"], states=n, starts=config.starts
        ),
        step=advance,
        evaluate=evaluate,
        precision="float64",
    )


def _markov_error(true: LTI, found: LTI) -> Array:
    """Relative error of C A^k B, k < `MARKOV`, columns matched and scaled."""
    stacked = [
        markov_parameters(own, MARKOV).reshape(-1, own.b.shape[1])
        for own in (true, found)
    ]
    return aligned(*stacked).error
