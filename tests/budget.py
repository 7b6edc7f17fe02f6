"""How many XLA programs a test compiles, and how many it may.

Compiling is most of the time that the tests take, and small programs compile in a tenth
of a second each: eager operations in a loop cost more than a training. A program found
in the persistent cache counts as well, so an empty cache changes no verdict. What a
process has compiled before does not count: a test alone compiles the most.
"""

import contextlib
import functools
import itertools

import jax
import numpy as np
import pytest

PROGRAMS = 40  # of one test
FIXTURES = 80  # of the fixtures made for it, which other tests may share

_compiled = 0


def _count(event, duration, **_):
    global _compiled
    _compiled += event == "/jax/core/compile/backend_compile_duration"


jax.monitoring.register_event_duration_secs_listener(_count)


def compiled():
    """Programs compiled so far in this process."""
    return _compiled


@contextlib.contextmanager
def programs(limit=PROGRAMS):
    """Fail the test where its body, if it passes, compiles more programs than this."""
    before = compiled()
    yield
    if (count := compiled() - before) > limit:
        pytest.fail(
            f"compiled {count} programs, more than {limit}: put its eager operations "
            "into one jax.jit, or mark it many_programs with a reason",
            pytrace=False,
        )


@contextlib.contextmanager
def of_test(item, limit=PROGRAMS):
    """The budget of a test, unless it is marked `many_programs`."""
    marker = item.get_closest_marker("many_programs")
    if marker is None:
        with programs(limit):
            yield
    elif marker.kwargs.get("reason"):
        yield
    else:
        pytest.fail("many_programs needs a reason: many_programs(reason=...)")


def one_program(f):
    """`f` as one program: arrays are its arguments, all else is constant in it."""
    array = object()

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def run(tree, constants, arrays):
        held = iter(arrays)
        leaves = [next(held) if c is array else c[1] for c in constants]
        args, settings = jax.tree.unflatten(tree, leaves)
        return f(*args, **settings)

    @functools.wraps(f)
    def call(*args, **settings):
        leaves, tree = jax.tree.flatten((args, settings))
        traced = [isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves]
        constants = tuple(
            array if is_array else (type(leaf), leaf)
            for leaf, is_array in zip(leaves, traced, strict=True)
        )
        return run(tree, constants, list(itertools.compress(leaves, traced)))

    return call
