"""An encoder of pairs as a `Problem`: its settings, its network, its objective."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_count,
    check_numbers,
    check_ordered,
    check_scalar,
    check_unit_interval,
)
from jidcl.encoders import OUTPUTS, Encoder, from_linen, from_nnx
from jidcl.encoders.nets import MLP
from jidcl.objectives.core import Views
from jidcl.optim.schedules import OPTIMISERS
from jidcl.train.sharding import check_seeds
from jidcl.types import Problem

INFONCE = "infonce"
NETWORKS = ("mlp", "linear")


@dataclasses.dataclass(frozen=True)
class Learning:
    """How an encoder of pairs is trained: what `ContrastiveEncoder` was given.

    Attributes:
        outputs: outputs of the encoder, >= 1.
        objective: `"infonce"`, or a name of `jidcl.objectives.OBJECTIVES`.
        p: exponent of `"infonce"`, >= 1.
        network: of `NETWORKS`, or a Flax module, see `make_encoder`.
        hidden: widths of the hidden layers of `"mlp"`.
        output: the space of outputs, of `jidcl.encoders.OUTPUTS`.
        tau: temperature; None: the objective's own.
        batch: pairs of a step.
        steps: most updates.
        learning_rate: its peak.
        optimiser: by name.
        weight_decay: of AdamW.
        schedule: of the learning rate.

    Raises:
        ValueError: on a setting outside of its range, by name.
    """

    outputs: int
    objective: str = INFONCE
    p: float = 1.0
    network: Any = "mlp"
    hidden: tuple[int, ...] = (128, 128)
    output: str = "none"
    tau: float | None = None
    batch: int = 256
    steps: int = 2000
    learning_rate: float = 2e-3
    optimiser: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "cosine"

    def __post_init__(self):
        check_count("outputs", self.outputs)
        from jidcl.objectives.methods import OBJECTIVES  # imports every loss

        check_choice("objective", self.objective, (INFONCE, *OBJECTIVES))
        check_at_least("p", self.p, 1)
        if self.p != 1 and self.objective != INFONCE:
            raise ValueError(
                f"p acts with objective='infonce' alone, got p={self.p!r} and "
                f"objective={self.objective!r}"
            )
        if isinstance(self.network, str):
            check_choice("network", self.network, NETWORKS)
        check_numbers("hidden", self.hidden)
        for width in self.hidden:
            check_count("every one of hidden", width)
        check_choice("output", self.output, OUTPUTS)
        check_count("batch", self.batch, 2)
        check_count("steps", self.steps)
        if self.tau is not None:
            check_above("tau", self.tau, 0)
            check_scalar("tau", self.tau)
        check_above("learning_rate", self.learning_rate, 0)
        check_choice("optimiser", self.optimiser, OPTIMISERS)
        check_at_least("weight_decay", self.weight_decay, 0)


def check_learning(held_out: float, patience: int, seeds: Any) -> tuple[int, ...]:
    """The seeds as numbers; `ValueError` on a setting of the fit out of range."""
    check_unit_interval("held_out", held_out)
    check_ordered("0", 0, "held_out", held_out)
    check_ordered("held_out", held_out, "0.9", 0.9)
    check_count("patience", patience)
    return tuple(check_seeds(seeds))


def make_encoder(how: Learning, width: int) -> Encoder:
    """The encoder of rows with so many features.

    Args:
        how: its `network` is a name of `NETWORKS`; an `Encoder`; a Linen module; or a
            function `rngs -> module` of NNX. Modules map `[batch, width]` to `[batch,
            outputs]` and hold nothing but parameters.
        width: features of a row.

    Returns:
        The encoder.

    Raises:
        ValueError: where it holds more than parameters, or has other outputs.
        TypeError: on a network of another kind.
    """
    network: Any = how.network
    if isinstance(network, str):
        hidden = how.hidden if network == "mlp" else ()
        even = not any(size % 2 for size in hidden)
        init = "looks_linear" if even else "he_normal"
        encoder = from_nnx(
            lambda rngs: MLP(
                width,
                how.outputs,
                hidden=hidden,
                init=init,
                output=how.output,
                rngs=rngs,
            )
        )
    elif isinstance(network, Encoder):
        encoder = network
    elif hasattr(network, "apply") and hasattr(network, "init"):
        encoder = from_linen(network, jnp.zeros((1, width)))
    elif callable(network):
        make: Any = network
        encoder = from_nnx(make)
    else:
        raise TypeError(
            f"network must be one of {list(NETWORKS)}, a Flax module or an Encoder, "
            f"got {type(network).__name__}"
        )
    rows = jax.ShapeDtypeStruct((1, width), jnp.float32)
    params, state = jax.eval_shape(encoder.init, jax.random.key(0))
    if jax.tree.leaves(state):
        raise ValueError(
            "network must hold nothing but parameters (no batch statistics, no "
            f"dropout), got {sorted(state)}"
        )
    found = jax.eval_shape(lambda p, s, x: encoder.apply(p, s, x)[0], params, {}, rows)
    if found.shape != (1, how.outputs):
        raise ValueError(
            f"network must map [1, {width}] to [1, {how.outputs}] (outputs), got "
            f"{list(found.shape)}"
        )
    return encoder


def applied(encoder: Encoder) -> Callable[[Any, jax.Array], jax.Array]:
    """`(params, x [..., features]) -> y [..., outputs]` of a stateless encoder."""

    def apply(params: Any, x: jax.Array) -> jax.Array:
        y = encoder.apply(params, {}, x.reshape(-1, x.shape[-1]))[0]
        return y.reshape(*x.shape[:-1], -1)

    return apply


def make_problem(how: Learning, width: int) -> Problem:
    """Pairs drawn from the rows that `frozen["shared"]` holds, and the objective.

    Args:
        how: the settings.
        width: features of a row.

    Returns:
        The problem. `frozen["shared"]` is `[2, rows, features]`.
    """
    from jidcl.estimate.objective import make_objective

    encoder, objective = make_encoder(how, width), make_objective(how)
    f = applied(encoder)

    def init(key):
        own, other = jax.random.split(key)
        params, _ = encoder.init(own)
        head, held = objective.init(other, params, how.outputs)
        return {"f": params, "head": head}, held

    def draw(frozen, key):
        rows = frozen["shared"]
        picked = jax.random.randint(key, (2, how.batch), 0, rows.shape[1])
        (x, x_pos), x_neg = rows[:, picked[0]], rows[0, picked[1]]
        return Views(x, x_pos, x_neg)

    def loss(params, held, views, key):
        return objective.loss(params, held, f, views, key)

    def nothing(params, held, frozen, key):
        return {}

    return Problem(lambda key: {}, init, draw, loss, nothing, nothing)
