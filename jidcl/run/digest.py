"""What a program computes, as a few digits: runs are filed by it."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.types import Program


def digest_of(program: Program) -> str:
    """A hash of all that a program computes, its constants included.

    Args:
        program: any.

    Returns:
        Sixteen hexadecimal digits; equal for equal programs of any process.

    Raises:
        ValueError: on a program that calls back into Python: what that computes is not
            known.
    """
    digest = hashlib.sha256()

    def add(function: Callable, *args: Any) -> Any:
        traced = jax.make_jaxpr(function)(*args)
        digest.update(re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr)).encode())
        for held in _constants(traced):
            plain = jax.random.key_data(held) if _is_key(held) else held
            digest.update(np.asarray(plain).tobytes())

    def arrays(function: Callable) -> Callable:
        return lambda *args: jax.tree.leaves(function(*args))

    key = jax.random.key(0)
    add(arrays(program.freeze), key)
    frozen = jax.eval_shape(program.freeze, key)
    if program.shared is not None:
        frozen = {**frozen, "shared": jax.eval_shape(lambda: program.shared)}
    begun = jax.eval_shape(program.start, frozen, key)
    add(arrays(program.start), frozen, key)
    if program.step is not None:
        add(arrays(program.step), begun, frozen, key, jnp.int32(0))
    add(arrays(program.evaluate), begun, frozen, key)
    return digest.hexdigest()[:16]


def _constants(value: Any) -> Iterator[Any]:
    """All that a traced function and those within it hold, as its text does not."""
    yield from getattr(value, "consts", ())
    value = getattr(value, "jaxpr", value)  # a closed one has it
    for equation in getattr(value, "eqns", ()):
        if equation.primitive.name in ("pure_callback", "io_callback"):
            raise ValueError(
                "problem must not call back into Python: what that computes decides "
                f"the run and cannot be told, got a {equation.primitive.name}"
            )
        for held in equation.invars:
            if np.ndim(getattr(held, "val", 0)):  # a literal array
                yield held.val
        for part in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        ):
            yield from _constants(part)


def _is_key(held: Any) -> bool:
    return jnp.issubdtype(getattr(held, "dtype", float), jax.dtypes.prng_key)
