"""Evaluations of every seed: on the device, to their end on the host, summarised."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jidcl.numerics import numbers_in, products_in, stream_key
from jidcl.train.hosts import to_host
from jidcl.train.programs import SELDOM, Ledger, Made, make
from jidcl.train.sharding import everywhere, over_seeds, shared_on
from jidcl.train.state import TrainState, with_shared
from jidcl.types import Evaluation, Losses, Metrics, OnHost, Program


def finished(result: Any, xp: ModuleType = jnp) -> Any:
    """What a probe or an evaluation returned, an `OnHost` computed to its end.

    Args:
        result: of one seed.
        xp: `jax.numpy` while tracing, `numpy` for arrays on the host.

    Returns:
        An `Evaluation`, or scores by name.
    """
    return result.finish(result.arrays, xp) if isinstance(result, OnHost) else result


def summarised(
    result: Evaluation | Metrics | OnHost, xp: ModuleType = jnp
) -> Evaluation:
    """An evaluation whose `losses` are scalars by name; empty where there is no loss.

    Args:
        result: what a program's `evaluate` returned; a dict stands for its scores.
        xp: as for `finished`.

    Returns:
        An `Evaluation`.
    """
    held = finished(result, xp)
    if not isinstance(held, Evaluation):
        return Evaluation(held, {})
    losses = held.losses
    known = summary(losses, xp) if isinstance(losses, Losses) else losses or {}
    return dataclasses.replace(held, losses=known)


def summary(losses: Losses, xp: ModuleType = jnp) -> Metrics:
    """Means of losses over batches, and the gap beside its standard error.

    gap = mean of d_b = loss_b - reference_b, paired on the same draws;
    gap_se = sqrt(var(d) / (batches - 1)), var with divisor `batches`.

    Args:
        losses: of one run, `[batches]` each.
        xp: as for `finished`.

    Returns:
        `loss`; with a reference also `reference`, `gap` and `gap_se`, so that gap =
        loss - reference; `chance` and `limit` where they are known; and the extra
        losses. Scalars, nats.
    """
    known: Metrics = {name: xp.mean(value) for name, value in losses.extra.items()}
    for name in ("loss", "reference", "chance", "limit"):
        value = getattr(losses, name)
        if value is not None:
            known[name] = xp.mean(value)
    if losses.reference is None:
        return known
    gaps = losses.loss - losses.reference
    return {
        **known,
        "gap": xp.mean(gaps),
        "gap_se": xp.sqrt(xp.var(gaps) / max(gaps.shape[0] - 1, 1)),
    }


def on_each_seed(
    function: Callable,
    program: Program,
    *,
    mesh: Mesh,
    ledger: Ledger | None = None,
    name: str = "evaluate",
) -> Callable[[TrainState], Any]:
    """`state -> host arrays [seeds, ...]` of a program's probe or evaluate.

    Seeds run one after another (`lax.map`): an evaluation is wider than a batch. The
    draws depend on (seed, step) only. Matrix products are in float32, whatever they
    were in training. An `OnHost` is finished on the host, and the losses of an
    `Evaluation` are summarised, see `jidcl.train.summarised`. The program is compiled
    at the first call.

    Args:
        function: `(run, frozen, key) -> tree of arrays`.
        program: whose states it is of.
        mesh: the mesh.
        ledger: as for `start`.
        name: of the program there.

    Returns:
        The function of a state.
    """
    rest = shared_on(program, mesh)
    made: list[Made] = []

    def run(state: TrainState):
        with numbers_in(program.precision):
            if not made:
                jitted = each_seed_program(function, program, mesh=mesh, name=name)
                args = state, *rest
                made.append(make(name, jitted, *args, ledger=ledger, options=SELDOM))
            return _each_finished(to_host(made[0](state, *rest)))

    return run


def each_seed_program(
    function: Callable, program: Program, *, mesh: Mesh, name: str = "evaluate"
) -> Any:
    """The jitted program of `on_each_seed`: what is left for the host is not in it.

    Args:
        function: as for `on_each_seed`.
        program: as for `on_each_seed`.
        mesh: the mesh.
        name: what a profile calls it.

    Returns:
        `state -> tree`, or `(state, shared) -> tree` where the program has shared
        arrays, of `jax.jit`.
    """

    def whole(state: TrainState, shared: Any = None):
        def one(held: TrainState):
            key = jax.random.fold_in(stream_key(held.key, "eval"), held.step)
            frozen = with_shared(held.frozen, shared)
            with products_in("float32"):
                return function(held.run, frozen, key)

        return jax.lax.map(one, state)

    whole.__name__ = name
    rest = () if program.shared is None else (everywhere(mesh),)
    return jax.jit(whole, in_shardings=(over_seeds(mesh), *rest))


def _each_finished(results: Any) -> Any:
    """Host results `[seeds, ...]`, each seed's finished and summarised."""

    def one(result: Any) -> Any:
        result = finished(result, np)
        return summarised(result, np) if isinstance(result, Evaluation) else result

    seeds = len(jax.tree.leaves(results)[0])
    each = [one(jax.tree.map(lambda leaf, i=i: leaf[i], results)) for i in range(seeds)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *each)
