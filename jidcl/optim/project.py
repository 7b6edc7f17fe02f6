"""Weights that are put back on the sphere as part of the update."""

import jax
import optax

from jidcl.numerics import unit


def rows_from_sphere(name: str = "w") -> optax.GradientTransformation:
    """Let the update of one matrix start from its rows divided by their norms.

    new = w / |w| + update for the entry `name` of the parameters, so that the step is
    the published one: divide every row by its norm, then update the entries freely. The
    rows end one update off the sphere. Goes last in a chain.

    Args:
        name: the key of the matrix in a dict of parameters.

    Source: Reizinger et al. 2024, published code.
    """

    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("rows_from_sphere needs the parameters, got None")
        moved = updates[name] + unit(params[name]) - params[name]
        return {**updates, name: moved}, state

    return optax.GradientTransformation(init, update)


def on_sphere(w: jax.Array) -> jax.Array:
    """Rows divided by their norms, with the gradient of w itself (straight through)."""
    return w + jax.lax.stop_gradient(unit(w) - w)
