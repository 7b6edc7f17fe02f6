"""Functions that hold loops, each as one program that is made once.

JAX compiles a loop anew at every call outside of `jax.jit`, because its body is a new
function each time, and keeps what it compiled. A public function checks its arguments,
where numbers can still be seen, and hands them to a `compiled` function.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` as one program for each shape of its arrays and each of its settings.

    Arrays, traced values and the leaves of trees that are either are the arguments of
    the program; everything else is a constant in it. An array that is given twice is
    one argument, so `a is b` stays true inside. Where a program is being traced already
    the function itself is called: that program stays as it is.

    Args:
        function: of trees of arrays and hashable settings. Where a setting is `numpy`,
            or cannot be hashed, the function itself is called.

    Returns:
        A function of the same signature.

    Example:
        >>> cumulated = compiled(lambda x: jax.lax.map(lambda row: row.sum(), x))
        >>> cumulated(jnp.ones((2, 3))).tolist()
        [3.0, 3.0]
    """
    run = jax.jit(functools.partial(_call, function), static_argnums=(0, 1))

    @functools.wraps(function)
    def call(*args: P.args, **settings: P.kwargs) -> R:
        leaves, tree = jax.tree.flatten((args, settings))
        if _in_a_program(leaves):
            return function(*args, **settings)
        arrays, places, constants = [], {}, []
        for leaf in leaves:
            if isinstance(leaf, jax.Array | np.ndarray):
                if id(leaf) not in places:
                    places[id(leaf)] = len(arrays)
                    arrays.append(leaf)
                constants.append(places[id(leaf)])
            elif leaf is np:
                return function(*args, **settings)
            else:
                constants.append(_Constant(type(leaf), leaf))
        try:
            hash((tree, *constants))
        except TypeError:
            return function(*args, **settings)
        return run(tree, tuple(constants), arrays)

    return call


def _in_a_program(leaves: list) -> bool:
    """Whether these are traced, and not by a derivative or a map alone."""
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)
    return traced and isinstance(jnp.zeros(()), Tracer)


class _Constant(tuple):
    """A leaf with its type: 1, 1.0 and True are different settings."""

    def __new__(cls, kind: type, value: Any):
        return super().__new__(cls, (kind, value))


def _call(function: Callable, tree: Any, constants: tuple, arrays: list) -> Any:
    leaves = [c[1] if isinstance(c, _Constant) else arrays[c] for c in constants]
    args, settings = jax.tree.unflatten(tree, leaves)
    return function(*args, **settings)
