"""What was not finite when a loss was not: an array of the run, rows of the batch."""

import jax
import numpy as np

from jidcl.numerics import numbers_in
from jidcl.train import hosts
from jidcl.train.state import TrainState, with_shared
from jidcl.types import Program

MOST_ROWS = 8  # that are named


def what_was_bad(program: Program, state: TrainState, index: int, step: int) -> str:
    """What was not finite in a seed's run: the end of a sentence that names the step.

    Args:
        program: the program of that step.
        state: of all seeds.
        index: position of the seed.
        step: the first step whose loss is not finite, counted from 1.

    Returns:
        Such as `, first in .params['w']; its batch is finite`; empty where nothing is
        known.
    """
    where, rows = _first_bad(state, index), _bad_rows(program, state, index, step)
    return (f", first in {where}" if where else "") + (f"; {rows}" if rows else "")


def _first_bad(state: TrainState, index: int) -> str:
    """The path of the first array of a seed's run that is not finite, or nothing."""
    for path, leaf in jax.tree.leaves_with_path(state.run):
        if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact):
            continue
        if not np.isfinite(hosts.to_host(leaf)[index].astype(np.float64)).all():
            return jax.tree_util.keystr(path)
    return ""


def _bad_rows(program: Program, state: TrainState, index: int, step: int) -> str:
    """Which rows of the batch of a step were not finite: the batch is drawn once more.

    Nothing where the program has no `batch`, or several hosts share the state.
    """
    if program.batch is None or hosts.several():
        return ""
    with numbers_in(program.precision):
        own = jax.tree.map(lambda leaf: leaf[index], state.frozen)
        frozen = with_shared(own, program.shared)
        key = jax.random.key(state.seed[index])
        batch = jax.device_get(jax.jit(program.batch)(frozen, key, np.int32(step - 1)))
    for path, leaf in jax.tree.leaves_with_path(batch):
        if leaf.ndim and jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact):
            whole = np.isfinite(leaf.astype(np.float64)).reshape(len(leaf), -1).all(1)
            rows = np.flatnonzero(~whole).tolist()
            if rows:
                more = f" and {len(rows) - MOST_ROWS} more" * (len(rows) > MOST_ROWS)
                name = jax.tree_util.keystr(path)
                return (
                    f"rows {rows[:MOST_ROWS]}{more} of its batch{name} are not finite"
                )
    return "its batch is finite"
