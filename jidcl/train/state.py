"""What a run carries from step to step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jidcl.numerics import products_in, stream_key
from jidcl.types import Problem


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """State of one run; with a leading axis on every leaf, of many seeds at once.

    Attributes:
        step: updates done, int32.
        seed: the run's integer seed; every random draw is a function of
            (seed, purpose, step), so a resumed run sees the same batches.
        params: trained parameters of the encoder.
        state: untrained variables of the encoder.
        opt_state: the optimiser's.
        frozen: draws fixed for the run (mixing weights).
        carry: position of an input pipeline or environment; None here.
    """

    step: jax.Array
    seed: jax.Array
    params: Any
    state: Any
    opt_state: Any
    frozen: Any
    carry: Any = None

    @property
    def key(self) -> jax.Array:
        """The run's key, `jax.random.key(seed)`."""
        return jax.random.key(self.seed)


def init_state(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    seed: jax.Array,
    frozen: Any,
) -> TrainState:
    """State before the first step; `jax.vmap` over seed and frozen for many runs."""
    seed = jnp.asarray(seed, jnp.int32)
    with products_in("float32"):
        params, state = problem.init(stream_key(jax.random.key(seed), "init"))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        seed=seed,
        params=params,
        state=state,
        opt_state=optimiser.init(params),
        frozen=frozen,
    )


def with_shared(frozen: Any, shared: Any) -> Any:
    """What a problem's functions get as `frozen`; see `jidcl.types.Problem.shared`."""
    return frozen if shared is None else {**frozen, "shared": shared}


def frozen_draws(problem: Problem, seed: jax.Array) -> Any:
    """The run's frozen draws, from the seed alone."""
    with products_in("float32"):
        return problem.freeze(stream_key(jax.random.key(seed), "freeze"))
