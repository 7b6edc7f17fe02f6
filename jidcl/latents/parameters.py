"""Parameters of laws in the dtype that they are computed in."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.checks import is_number, is_traced


def in_dtype(name: str, value: Any, dtype: Any) -> jax.Array:
    """A parameter as an array of a dtype that can hold it.

    Args:
        name: of the parameter.
        value: a number, or an array of any shape.
        dtype: floating-point.

    Returns:
        The array.

    Raises:
        ValueError: on a concrete number that is finite and above what the dtype holds,
            or not 0 and below it: it would become another law.

    Example:
        >>> in_dtype("kappa", 1e300, jnp.float32)
        Traceback (most recent call last):
        ValueError: kappa must be at most 3.40282e+38 in float32, got 1e+300
    """
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    if not is_traced(value) and is_number(name, value):
        size = np.abs(np.asarray(value, np.float64))
        info = jnp.finfo(dtype)
        limit = float(info.max)
        if (np.isfinite(size) & (size > limit)).any():
            most = f"at most {limit:g} in {jnp.dtype(dtype)}"
            raise ValueError(f"{name} must be {most}, got {value}")
        if ((size > 0) & (size < float(info.tiny))).any():
            least = f"0, or at least {float(info.tiny):g}, in {jnp.dtype(dtype)}"
            raise ValueError(f"{name} must be {least}, got {value}")
    return jnp.asarray(value, dtype)
