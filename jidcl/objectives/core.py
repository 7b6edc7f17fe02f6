"""What an objective is: its two functions, the views it reads, its numbers."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from jidcl.checks import (
    check_above,
    check_count,
    check_single,
    check_unit_interval,
)
from jidcl.types import Array, Metrics, Params

Apply = Callable[[Params, Array], Array]


class Views(NamedTuple):
    """What an objective sees at one step: three batches of observations.

    Attributes:
        x: anchors, `[batch, d]`.
        x_pos: their positives, `[batch, d]`.
        x_neg: independent negatives, `[batch, d]`. Only `lp_infonce` and `l1_infonce`
            look at them.

    Example:
        >>> import jax.numpy as jnp
        >>> views = Views(jnp.zeros((4, 2)), jnp.ones((4, 2)), jnp.ones((4, 2)))
        >>> views.x_pos.shape
        (4, 2)
    """

    x: Array
    x_pos: Array
    x_neg: Array


class Objective(NamedTuple):
    """A method as two pure functions.

    Attributes:
        init: `(key, params, m) -> (head, held)`. `params` are the encoder's, m >= 1 is
            the number of its outputs, `head` is trained beside it, and `held` is
            carried from step to step without a gradient.
        loss: `(trained, held, f, views, key) -> (scalar, (held, metrics))` with
            `trained = {"f": params, "head": head}` and an encoder
            `f(params, x [.., d]) -> y [.., m]`; the value is in nats for contrastive
            methods, and in the method's own unit for the others.

    Example:
        >>> import jax
        >>> from jidcl.objectives import make_objective
        >>> method = make_objective("swav", ObjectiveSettings(steps=1, batch=4))
        >>> head, held = method.init(jax.random.key(0), {}, 2)
        >>> head.shape, held  # 64 prototypes
        ((64, 2), {})
    """

    init: Callable[[Array, Params, int], tuple[Any, Any]]
    loss: Callable[..., tuple[Array, tuple[Any, Metrics]]]


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """Numbers of the methods; None stands for the method's own published value.

    Attributes:
        steps: length of the run, >= 1. The schedule of averages ends there.
        batch: pairs per step, >= 2. The queues are a multiple of it.
        tau: temperature, > 0. Published: 1 for lp_infonce and l1_infonce, 0.1 for swav,
            0.2 for simclr, moco and aninfonce.
        lam: weight, > 0, of barlow's off-diagonal (published: 0.005) or of lejepa's
            SIGReg (0.001).
        momentum: weight of the old average at the first step, in [0, 1].
        end_momentum: that weight at the last step, in [0, 1].
        queue: length of moco's queues in batches, >= 1.
        hidden: width of the predictors of simsiam and byol, >= 1.
        prototypes: clusters of swav, >= 2.
        epsilon: entropy of swav's codes, > 0.
        directions: directions of lejepa, drawn anew each step, >= 1.
        variance: variance of align_maxent's kernel, > 0.

    Raises:
        ValueError: on a number outside of its range, with its name.

    Example:
        >>> ObjectiveSettings(steps=100, batch=32).queue
        4
    """

    steps: int
    batch: int
    tau: float | None = None
    lam: float | None = None
    momentum: float = 0.99
    end_momentum: float = 1.0
    queue: int = 4
    hidden: int = 32
    prototypes: int = 64
    epsilon: float = 0.05
    directions: int = 64
    variance: float = 0.05

    def __post_init__(self):
        for name in ("steps", "queue", "hidden", "directions"):
            check_count(name, getattr(self, name))
        for name in ("batch", "prototypes"):
            check_count(name, getattr(self, name), 2)
        for name in ("tau", "lam"):
            value = getattr(self, name)
            check_above(name, 1.0 if value is None else value, 0)
            check_single(name, 1.0 if value is None else value)
        for name in ("epsilon", "variance"):
            check_above(name, getattr(self, name), 0)
            check_single(name, getattr(self, name))
        for name in ("momentum", "end_momentum"):
            check_unit_interval(name, getattr(self, name))
            check_single(name, getattr(self, name))

    def or_published(self, name: str, published: float) -> float:
        """A setting, or the published value where it is None.

        Args:
            name: a field.
            published: the method's own value.

        Returns:
            The number that the method uses.
        """
        value = getattr(self, name)
        return published if value is None else value
