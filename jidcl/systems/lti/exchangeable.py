"""Trajectories that share drawn parameters: exchangeable, and not independent.

The index of de Finetti's theorem is the trajectory, never time. In closed form on short
ones, and by simulation where there is none: a statistic of two trajectories has the
same joint law when they swap, and a correlation.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jidcl.latents import sample_system, simulate
from jidcl.systems.lti.presets import Interventions
from jidcl.theory import hmm_evidence, trajectory_evidence
from jidcl.types import Array, Evaluation

_SHORT, _LISTED = 6, 3  # times of closed forms
_LAWS = dict(theta=1.5, dynamics=0.8, noise=0.5)
_URNS = dict(alpha=1.0, beta=0.5)
_SHOWN = 20  # draws of the closed forms


def linear_statistics(config: Interventions, key: Array) -> Array:
    """log mean |x|^2 of two trajectories of one random system, `[2]`."""
    keys = jax.random.split(key, 3)
    system = sample_system(keys[0], config.states)
    scale = jnp.exp(jax.random.normal(keys[1], (), float))
    shape = (2, config.length, config.states)
    u = scale * jax.random.normal(keys[2], shape, float)
    states = jax.vmap(lambda u: simulate(system, u)[0])(u)
    return jnp.log(jnp.mean(states**2, axis=(1, 2)))


def hmm_sequences(key: Array, length: int) -> Array:
    """Two sequences of one random hidden Markov model, two states and two symbols."""
    keys = jax.random.split(key, 4)
    law = jax.random.beta(keys[0], _URNS["alpha"], _URNS["alpha"], (3,), float)
    shown = jax.random.beta(keys[1], _URNS["beta"], _URNS["beta"], (2,), float)
    uniform = jax.random.uniform(keys[2], (length, 2), float)

    def step(state, drawn):
        state = (drawn < law[state]).astype(int)
        return state, state

    start = jnp.full(2, 2)  # row 2 is the initial law
    _, states = jax.lax.scan(step, start, uniform)
    drawn = jax.random.uniform(keys[3], (length, 2), float)
    return (drawn < shown[states]).astype(int).T


def swap(pairs: Array) -> tuple[Array, Array]:
    """Correlation of two statistics, and the z-score of what their swap changes.

    Args:
        pairs: `[repetitions, 2]`.

    Returns:
        `(correlation, |z|)`, z of the mean of s1^2 s2 - s1 s2^2.
    """
    s = (pairs - jnp.mean(pairs)) / jnp.std(pairs)
    odd = s[:, 0] ** 2 * s[:, 1] - s[:, 0] * s[:, 1] ** 2
    z = jnp.mean(odd) / (jnp.std(odd) / jnp.sqrt(jnp.asarray(len(s), s.dtype)))
    left = s - jnp.mean(s, axis=0)[None]
    size = jnp.sqrt(jnp.mean(left**2, axis=0))
    return jnp.mean(left[:, 0] * left[:, 1]) / (size[0] * size[1]), jnp.abs(z)


def exchangeable(config: Interventions, frozen: Any, key: Array) -> Evaluation:
    """Both tests of linear systems and hidden Markov models."""
    keys = jax.random.split(key, 4)
    each = jax.random.split(keys[0], config.systems)
    lti = jax.vmap(lambda key: linear_statistics(config, key))(each)
    each = jax.random.split(keys[1], config.systems)
    hmm = jax.vmap(lambda key: hmm_sequences(key, config.length))(each)
    share = jnp.mean(hmm.astype(float), axis=2)
    correlation, z = swap(lti)
    hmm_correlation, hmm_z = swap(share)

    def of_linear(key):
        k_a, k_x = jax.random.split(key)
        a = jnp.sqrt(0.8) * jax.random.normal(k_a, (2, 2), float) / 2
        noise = jax.random.normal(k_x, (_SHORT, 2, 2), float)

        def step(x, e):
            return x @ a.T + e, x

        x = jax.lax.scan(step, noise[0], noise)[1].transpose(1, 0, 2)
        return x, x[::-1], x[:, ::-1], x[:1], x[1:]

    def of_hmm(key):
        x = hmm_sequences(key, _LISTED)
        return x, x[::-1], x.at[0].set(x[0, ::-1]), x[:1], x[1:]

    gaps = []
    for drawn, law, own, k in (
        (of_linear, trajectory_evidence, _LAWS, keys[2]),
        (of_hmm, hmm_evidence, _URNS, keys[3]),
    ):

        def told(key, drawn=drawn, law=law, own=own):
            whole, other, back, *alone = (law(x, **own) for x in drawn(key))
            return jnp.stack([whole - other, whole - sum(alone), whole - back])

        gaps.append(jnp.abs(jax.lax.map(told, jax.random.split(k, _SHOWN))))
    swapped, apart, back = jnp.moveaxis(jnp.concatenate(gaps), 1, 0)
    return Evaluation(
        {
            "correlation": correlation,
            "swap_z": z,
            "hmm_correlation": hmm_correlation,
            "hmm_swap_z": hmm_z,
            "swapped": jnp.max(swapped),
            "apart": jnp.mean(apart),
            "reversed": jnp.mean(back),
        }
    )
