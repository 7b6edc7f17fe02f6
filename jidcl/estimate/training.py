"""Training an encoder of pairs: many seeds as one program, stopped by other pairs."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.estimate.learning import Learning, applied, make_encoder, make_problem
from jidcl.objectives.core import Views
from jidcl.optim import make_optimiser
from jidcl.train.gradient import gradient
from jidcl.train.loop import train
from jidcl.train.programs import ONCE, make
from jidcl.train.sharding import make_mesh
from jidcl.train.state import TrainState, start_state
from jidcl.types import Program

GAIN = 1e-3  # nats that count as a gain


class Fitted(NamedTuple):
    """What `learn` returns, a leading seed axis on every leaf.

    Attributes:
        params: the encoder's, at the least loss on the pairs that stop.
        loss: that loss, nats `[seeds]`.
        history: a row a look: `step`, `loss` (training) and `held_out`, lists of seeds.
        state: at the end, to go on from.
    """

    params: Any
    loss: np.ndarray
    history: list[dict[str, Any]]
    state: TrainState


class Programs:
    """The compiled programs of one problem, kept from one fit to the next.

    Attributes:
        program: the problem as a `Program`.
        f: the encoder, `(params, x) -> y`.
    """

    def __init__(self, how: Learning, width: int):
        problem = make_problem(how, width)
        optimiser = make_optimiser(
            how.optimiser,
            how.learning_rate,
            steps=how.steps,
            schedule=how.schedule,
            weight_decay=how.weight_decay,
        )
        self.program: Program = gradient(problem, optimiser)
        self.f = applied(make_encoder(how, width))
        self.chunks: dict[tuple, dict] = {}  # by the shapes of seeds and rows

        def begin(seed):  # rows are no part of a start
            return start_state(self.program, seed, {})

        def held_out(run, pairs):  # [2, batches, rows, features]
            def loss(part):
                views, key = part
                return problem.loss(run.params, run.state, Views(*views), key)[0]

            x, x_pos = pairs  # rows of the next batch are independent ones
            keys = jax.random.split(jax.random.key(0), len(x))
            views = x, x_pos, jnp.roll(x, 1, axis=0)
            return jnp.mean(jax.lax.map(loss, (views, keys)))

        self.begin = jax.jit(jax.vmap(begin))
        self.starts: dict[int, Any] = {}
        self.held_out = jax.jit(jax.vmap(held_out, in_axes=(0, None)))
        self.held_out_own = jax.jit(jax.vmap(held_out))
        self.outputs = jax.jit(jax.vmap(self.f, in_axes=(0, None)))
        self.outputs_own = jax.jit(jax.vmap(self.f))

    def start(self, seeds: np.ndarray, frozen: Any) -> TrainState:
        """The state of every seed before its first step."""
        if len(seeds) not in self.starts:
            made = make("start", self.begin, seeds, options=ONCE)
            self.starts[len(seeds)] = made
        begun = self.starts[len(seeds)](seeds)
        return dataclasses.replace(begun, frozen=frozen)


@functools.lru_cache(maxsize=16)
def programs_of(how: Learning, width: int) -> Programs:
    """The programs of these settings; equal settings share them.

    Args:
        how: the settings.
        width: features of a row.

    Returns:
        The programs.
    """
    return Programs(how, width)


def learn(
    how: Learning,
    rows: Iterator[np.ndarray] | np.ndarray,
    stop: np.ndarray,
    *,
    seeds: Sequence[int],
    patience: int = 5,
    looks: int = 20,
    state: TrainState | None = None,
    until: int | None = None,
    told: Callable[[dict[str, Any]], None] | None = None,
) -> Fitted:
    """Train every seed, and keep the parameters that do best on other pairs.

    Args:
        how: the settings.
        rows: standardised pairs to train on: `[2, rows, features]` for each dispatch in
            turn, or `[seeds, 2, rows, features]`, every seed's own.
        stop: pairs that end the training, `[2, rows, features]`, or every seed's own.
        seeds: one `vmap` axis.
        patience: looks without any seed's gain after which training ends.
        looks: how often the loss on `stop` is read, at most.
        state: where to go on from; the start of every seed when None.
        until: updates in all, counted from the start; `how.steps` when None.
        told: called with each row of the history.

    Returns:
        `Fitted`.

    Raises:
        jidcl.train.NonFiniteLoss: where the loss of a seed is not finite.
    """
    programs, mesh = programs_of(how, stop.shape[-1]), make_mesh()
    pairs = _in_batches(stop, how.batch)
    frozen, shared, refill, look = {}, None, None, programs.held_out_own
    if isinstance(rows, np.ndarray):
        frozen = {"shared": jnp.asarray(rows)}
    else:
        shared, look = jnp.asarray(next(rows)), programs.held_out
        refill = _refill(rows, shared)
    if state is None:
        begun = programs.start(np.asarray(seeds, np.int32), frozen)
    else:
        begun = jax.tree.map(jnp.asarray, state)
    program = dataclasses.replace(programs.program, shared=shared)
    seen = jax.tree.leaves((begun.seed, frozen, shared))
    chunks = programs.chunks.setdefault(tuple(leaf.shape for leaf in seen), {})
    done = int(begun.step[0])
    steps = (how.steps if until is None else until) - done
    events = train(
        program,
        begun,
        steps=done + steps,
        chunk_steps=steps // _looks(steps, looks),
        mesh=mesh,
        refill=refill,
        programs=chunks,
    )
    return watched(events, lambda run: np.asarray(look(run, pairs)), patience, told)


def _refill(rows: Iterator[np.ndarray], first: Any) -> Callable[[], Any]:
    """The next rows on the device; rows that stay the same are sent once."""
    held = [None, first]

    def refill() -> Any:
        new = next(rows)
        if new is not held[0]:
            held[:] = [new, jnp.asarray(new)]
        return held[1]

    return refill


def watched(
    events: Iterator[Any],
    look: Callable[[Any], np.ndarray],
    patience: int,
    told: Callable[[dict[str, Any]], None] | None,
) -> Fitted:
    """The best parameters of each seed on the way; the way ends when none gains.

    Args:
        events: of `jidcl.train.loop.train`.
        look: `run -> loss [seeds]` on the pairs that stop.
        patience: looks without a gain after which the way ends.
        told: called with each row of the history.

    Returns:
        `Fitted`.
    """
    best: Any = None
    least, since, history, state = np.inf, 0, [], None
    for event in events:
        state = event.state
        loss = look(state.run)
        gained = loss < least - GAIN
        since = 0 if np.any(gained) else since + 1
        params = jax.tree.map(np.asarray, state.run.params)
        best = params if best is None else _better(gained, params, best)
        least = np.where(gained, loss, least)
        row = {
            "step": event.step,
            "loss": event.metrics["loss"].mean(axis=0).tolist(),
            "held_out": loss.tolist(),
        }
        history.append(row)
        if told is not None:
            told(row)
        if since >= patience:
            break
    assert state is not None
    return Fitted(best, np.asarray(least), history, jax.tree.map(np.asarray, state))


def _better(gained: np.ndarray, new: Any, old: Any) -> Any:
    """Of each seed that gained the new leaves, of the others the old ones."""

    def of_leaf(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(gained.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(of_leaf, new, old)


def _in_batches(pairs: np.ndarray, batch: int) -> jax.Array:
    """`[..., batches >= 2, rows, features]`; what does not fill one is left out."""
    *lead, rows, width = pairs.shape
    size = min(batch, rows // 2)
    count = rows // size
    kept = pairs[..., : count * size, :]
    return jnp.asarray(kept.reshape(*lead, count, size, width))


def _looks(steps: int, most: int) -> int:
    """How often to look, so that all dispatches are of one length."""
    return next(k for k in range(min(most, steps), 0, -1) if steps % k == 0)
