"""What a run carries from step to step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.numerics import products_in, stream_key
from jidcl.types import Program


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """State of one run; with a leading axis on every leaf, of many seeds at once.

    Attributes:
        step: updates done, int32.
        seed: the run's integer seed; every random draw is a function of
            (seed, purpose, step), so a resumed run sees the same batches.
        run: what the program's `start` made and its `step` updates.
        frozen: draws fixed for the run (mixing weights).
    """

    step: jax.Array
    seed: jax.Array
    run: Any
    frozen: Any

    @property
    def key(self) -> jax.Array:
        """The run's key, `jax.random.key(seed)`."""
        return jax.random.key(self.seed)

    @property
    def params(self) -> Any:
        """Trained parameters of a program that `jidcl.train.gradient` made."""
        return self.run.params


def start_state(
    program: Program, seed: jax.Array, frozen: Any, shared: Any = None
) -> TrainState:
    """State before the first step; `jax.vmap` over seed and frozen for many runs.

    Args:
        program: the program.
        seed: an integer.
        frozen: draws of `frozen_draws`.
        shared: the program's shared arrays, or None; the state does not hold them.

    Returns:
        A `TrainState` at step 0.
    """
    seed = jnp.asarray(seed, jnp.int32)
    with products_in("float32"):
        run = program.start(with_shared(frozen, shared), jax.random.key(seed))
    return TrainState(jnp.zeros((), jnp.int32), seed, run, frozen)


def with_shared(frozen: Any, shared: Any) -> Any:
    """What a program's functions get as `frozen`; see `jidcl.types.Program.shared`.

    Args:
        frozen: draws of a run.
        shared: the program's shared arrays, or None.

    Returns:
        `frozen`, with the arrays as `"shared"` where there are any.
    """
    return frozen if shared is None else {**frozen, "shared": shared}


def frozen_draws(program: Any, seed: jax.Array) -> Any:
    """The run's frozen draws, from the seed alone; of a `Problem` or a `Program`.

    Args:
        program: a `Problem` or a `Program`.
        seed: an integer.

    Returns:
        What its `freeze` returns.
    """
    with products_in("float32"):
        return program.freeze(stream_key(jax.random.key(seed), "freeze"))
