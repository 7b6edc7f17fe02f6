"""The oracle floor: the loss of the true latents under the best map of the model.

Where the closed-form limit does not apply (a finite batch far from its regime), the
reference is the Monte Carlo loss of the true latents, mapped into the model's output
space with the best scale. It is a reference, not a lower bound.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_callable,
    check_choice,
    check_count,
    check_features,
    check_memory,
    check_ordered,
    check_same_shape,
    check_type,
)
from jidcl.compiled import (
    compiled,
)
from jidcl.encoders.heads import OUTPUTS
from jidcl.numerics import power_of_two, unit
from jidcl.types import Pair


class OracleMap(NamedTuple):
    """h(z) = scale * (z - shift), projected on the sphere for sphere outputs.

    Attributes:
        scale: a scalar > 0.
        shift: `[n]`.

    Example:
        >>> OracleMap(jnp.asarray(2.0), jnp.zeros(3)).shift.shape
        (3,)

    Source: this library.
    """

    scale: jax.Array
    shift: jax.Array


def apply_oracle(oracle: OracleMap, output: str, z: jax.Array) -> jax.Array:
    """The oracle's representation of z.

    Args:
        oracle: of `fit_oracle`.
        output: output space of the model, one of `jidcl.encoders.OUTPUTS`.
        z: latents, `[..., n]`.

    Returns:
        `[..., n]`.

    Raises:
        ValueError: on an unknown output space, or latents of another width.

    Example:
        >>> oracle = OracleMap(jnp.asarray(2.0), jnp.ones(2))
        >>> apply_oracle(oracle, "none", jnp.array([[1.0, 2.0]]))
        Array([[0., 2.]], dtype=float32)

    Source: this library.
    """
    check_type("oracle", oracle, OracleMap)
    check_choice("output", output, OUTPUTS)
    check_features("z", z, oracle.shift.shape[0])
    if output in ("sphere", "learnable_sphere"):
        z = unit(z)
    shift = jnp.expand_dims(oracle.shift, tuple(range(z.ndim - 1)))
    return oracle.scale * (z - shift)


def fit_oracle(
    output: str,
    loss: Callable[[jax.Array, jax.Array], jax.Array],
    pairs: Pair,
    *,
    low: float = 0.0,
    high: float = 1.0,
    span: tuple[float, float] = (1e-3, 1e3),
    points: int = 9,
    rounds: int = 3,
) -> OracleMap:
    """Best scale of the true latents by repeated grid search over log(scale).

    Args:
        output: output space of the model. `none`: a free scale; `sphere`: none to
            fit; `learnable_sphere`: the radius; `box`: the fixed map of
            [low, high]^n onto [0, 1]^n; `learnable_box`: its bound.
        loss: `(y, y_pos) -> scalar`, the loss at the claim's batch, temperature and
            negative policy.
        pairs: latents `[batches, batch, n]`; the loss is averaged over batches.
        low: lower bound of the data's box (box outputs).
        high: upper bound of the data's box.
        span: scales searched first, relative to the map above (`none`: to the
            latents' standard deviation); see `best_scale` for it and the next two.
        points: grid points a round.
        rounds: of zooming.

    Returns:
        The map; apply it with `apply_oracle`.

    Raises:
        ValueError: on an unknown output space or low >= high.

    Example:
        >>> from jidcl.losses import infonce
        >>> z = jax.random.normal(jax.random.key(0), (2, 8, 3))
        >>> loss = lambda y, y_pos: infonce(y, y_pos)[0]
        >>> oracle = fit_oracle("learnable_sphere", loss, Pair(z, z))
        >>> bool(oracle.scale > 0)
        True

    Source: this library.
    """
    check_choice("output", output, OUTPUTS)
    check_callable("loss", loss)
    check_type("pairs", pairs, Pair)
    check_features("pairs", pairs.z)
    check_same_shape("pairs.z_pos", pairs.z_pos, "pairs.z", pairs.z)
    if pairs.z.ndim != 3:
        raise ValueError(
            f"pairs must have shape [batches, batch, n], got {list(pairs.z.shape)}"
        )
    check_ordered("low", low, "high", high)
    _check_search(span, points, rounds)
    return _fit(output, loss, pairs, low, high, tuple(span), points, rounds)


@compiled
def _fit(
    output: str,
    loss: Callable,
    pairs: Pair,
    low: float,
    high: float,
    span: tuple,
    points: int,
    rounds: int,
) -> OracleMap:
    n, dtype = pairs.z.shape[-1], pairs.z.dtype
    boxed = output in ("box", "learnable_box")
    base = 1 / (high - low) if boxed else 1.0
    if output == "none":
        power = power_of_two(pairs.z, axis=None, keepdims=False)
        base = 1 / (power * jnp.std(pairs.z * (1 / power)))
    shift = jnp.full((n,), low if boxed else 0.0, dtype)
    if output in ("sphere", "box"):
        return OracleMap(jnp.asarray(base, dtype), shift)

    def value(scale):
        oracle = OracleMap(base * scale, shift)

        def batch(pair):
            y, y_pos = (apply_oracle(oracle, output, z) for z in pair)
            return loss(y, y_pos)

        return jnp.mean(jax.lax.map(batch, pairs))

    scale = _search(value, span, points, rounds, dtype)
    return OracleMap(base * scale, shift)


def best_scale(
    value: Callable[[jax.Array], jax.Array],
    *,
    span: tuple[float, float] = (1e-3, 1e3),
    points: int = 9,
    rounds: int = 3,
    dtype=jnp.float32,
) -> jax.Array:
    """The scale of the smallest value, by repeated grid search over log(scale).

    Args:
        value: `scale -> scalar`; NaN counts as large.
        span: scales searched first.
        points: grid points a round, twice as many in the first.
        rounds: each round zooms into the cell around the best point; at an end of the
            grid the cell reaches beyond it.
        dtype: of the scale.

    Returns:
        A scalar; NaN where every value is.

    Example:
        >>> scale = best_scale(lambda s: (jnp.log(s) - 1) ** 2, rounds=6)
        >>> bool(abs(jnp.log(scale) - 1) < 0.01)
        True

    Source: this library.
    """
    check_callable("value", value)
    _check_search(span, points, rounds)
    check_memory("points", points, 4 * points)
    return _searched(value, tuple(span), points, rounds, dtype)


def _check_search(span: tuple[float, float], points: int, rounds: int) -> None:
    if not isinstance(span, tuple | list) or len(span) != 2:
        raise ValueError(f"span must be two scales, got {span!r}")
    check_above("span", span[0], 0)
    check_ordered("the first of span", span[0], "the second", span[1])
    check_count("points", points, 2)
    check_count("rounds", rounds)


def _search(value: Callable, span: tuple, points: int, rounds: int, dtype) -> jax.Array:
    low, high = (jnp.log(jnp.asarray(end, dtype)) for end in span)
    for index in range(rounds):
        grid = jnp.linspace(low, high, points if index else 2 * points)
        values = jax.lax.map(lambda log_scale: value(jnp.exp(log_scale)), grid)
        best = grid[jnp.nanargmin(values)]
        best = jnp.where(jnp.isnan(values).all(), jnp.nan, best)
        low, high = best - (grid[1] - grid[0]), best + (grid[1] - grid[0])
    return jnp.exp((low + high) / 2)


_searched = compiled(_search)
