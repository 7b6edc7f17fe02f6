"""What was not finite when a loss was not: an array of the run, rows of the batch."""

import jax
import numpy as np

from jidcl.numerics import numbers_in
from jidcl.train import hosts
from jidcl.train.state import TrainState, with_shared
from jidcl.types import Program

MOST_ROWS = 8  # that are named


def first_bad(state: TrainState, index: int) -> str:
    """The first array of a seed's run that holds a NaN or an infinity, by its path.

    Args:
        state: of all seeds.
        index: position of the seed.

    Returns:
        The path, such as `.params['dense']['kernel']`; empty where all are finite.
    """
    for path, leaf in jax.tree.leaves_with_path(state.run):
        if not jax.numpy.issubdtype(leaf.dtype, jax.numpy.inexact):
            continue
        if not np.isfinite(hosts.to_host(leaf)[index].astype(np.float64)).all():
            return jax.tree_util.keystr(path)
    return ""


def bad_rows(program: Program, state: TrainState, index: int, step: int) -> str:
    """Which rows of the batch of a step were not finite: the batch is drawn once more.

    Args:
        program: the program of that step.
        state: of all seeds.
        index: position of the seed.
        step: the step, counted from 1.

    Returns:
        Such as `rows [3, 7] of its batch's .x are not finite`; that the batch is
        finite; or nothing where the program has no `batch` of its own, or several
        hosts share the state.
    """
    if program.batch is None or hosts.several():
        return ""
    with numbers_in(program.precision):
        own = jax.tree.map(lambda leaf: leaf[index], state.frozen)
        frozen, key = (
            with_shared(own, program.shared),
            jax.random.key(state.seed[index]),
        )
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
