"""Self-supervised objectives behind one interface: heads, slow targets, queues.

`make_objective(name, settings)` gives two pure functions over any encoder
`f(params, x) -> y` without state of its own. What a method trains besides the encoder
is its `head` (predictor, prototypes, precisions), what it carries from step to step
without training is `held` (averaged encoder, queues, the step). The projector between
representation and loss is the identity.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jidcl.checks import (
    check_above,
    check_at_least,
    check_choice,
    check_unit_interval,
)
from jidcl.losses import (
    NegativePolicy,
    Similarity,
    align_maxent,
    barlow,
    byol,
    ema_schedule,
    ema_update,
    infonce,
    init_queue,
    moco,
    ntxent,
    push,
    simsiam,
    standardised,
    swav,
    vicreg,
)
from jidcl.losses.anisotropic import aninfonce, from_lam, to_lam
from jidcl.losses.sketch import draw_directions, lejepa
from jidcl.numerics import unit
from jidcl.types import Array, Metrics, Params

Apply = Callable[[Params, Array], Array]


class Views(NamedTuple):
    """Observations: anchors, positives, and independent negatives, `[batch, d]`.

    Only `lp_infonce` and `l1_infonce` look at the negatives.
    """

    x: Array
    x_pos: Array
    x_neg: Array


class Objective(NamedTuple):
    """A method as two pure functions.

    Attributes:
        init: `(key, params, m) -> (head, held)`; params of the encoder, m its outputs.
        loss: `(trained, held, f, views, key) -> (scalar, (held, metrics))` with
            `trained = {"f": params, "head": head}` and `f(params, x) -> y`.
    """

    init: Callable[[Array, Params, int], tuple[Any, Any]]
    loss: Callable[..., tuple[Array, tuple[Any, Metrics]]]


@dataclasses.dataclass(frozen=True)
class ObjectiveSettings:
    """Numbers of the methods; None stands for the method's own published value.

    Attributes:
        steps: length of the run (for the schedule of averages).
        batch: pairs per step (for the length of queues).
        tau: temperature; published: 1 for lp_infonce and l1_infonce, 0.1 for swav, 0.2
            for simclr and moco.
        lam: weight of barlow's off-diagonal (0.005) or of lejepa's SIGReg (0.001).
        momentum: where the weight of the old average starts.
        end_momentum: where it ends.
        queue: length of moco's queues in batches.
        hidden: width of the predictors of simsiam and byol.
        prototypes: clusters of swav.
        epsilon: entropy of swav's codes.
        directions: of lejepa, drawn anew each step.
        variance: of align_maxent's kernel.
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
            check_at_least(name, getattr(self, name), 1)
        for name in ("batch", "prototypes"):
            check_at_least(name, getattr(self, name), 2)
        for name in ("tau", "lam"):
            value = getattr(self, name)
            check_above(name, 1.0 if value is None else value, 0)
        for name in ("epsilon", "variance"):
            check_above(name, getattr(self, name), 0)
        for name in ("momentum", "end_momentum"):
            check_unit_interval(name, getattr(self, name))

    def or_published(self, name: str, published: float) -> float:
        """A setting, or the published value where it is None."""
        value = getattr(self, name)
        return published if value is None else value


def make_objective(name: str, settings: ObjectiveSettings) -> Objective:
    """The objective of that name.

    Args:
        name: one of `OBJECTIVES`.
        settings: its numbers.

    Returns:
        `Objective`.

    Raises:
        ValueError: on an unknown name, with the nearest known one.

    Example:
        >>> method = make_objective("vicreg", ObjectiveSettings(steps=1, batch=4))
        >>> x = jax.random.normal(jax.random.key(0), (4, 2))
        >>> loss, _ = method.loss(
        ...     {"f": {}, "head": {}}, {}, lambda _, x: x, Views(x, x, x), None
        ... )
        >>> bool(loss > 0)
        True
    """
    check_choice("objective", name, OBJECTIVES)
    return OBJECTIVES[name](settings)


def _of_pairs(loss: Callable[..., tuple[Array, Metrics]]) -> Objective:
    """An objective of the outputs of both views alone."""

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = loss(y[0], y[1])
        return value, (held, metrics)

    return Objective(init, apply)


def _lp_infonce(settings: ObjectiveSettings, p: float) -> Objective:
    """InfoNCE of -||u - v||_p^p against an independent third batch."""
    tau = settings.or_published("tau", 1.0)
    policy = NegativePolicy(negatives="independent", log_mean=True)

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views))
        value, metrics = infonce(
            *y, similarity=Similarity("lp", p), tau=tau, policy=policy
        )
        return value, (held, metrics)

    return Objective(init, apply)


def _simclr(settings: ObjectiveSettings) -> Objective:
    tau = settings.or_published("tau", 0.2)
    return _of_pairs(lambda y, y_pos: ntxent(y, y_pos, tau=tau))


def _barlow(settings: ObjectiveSettings) -> Objective:
    lam = settings.or_published("lam", 5e-3)
    return _of_pairs(lambda y, y_pos: barlow(y, y_pos, lam=lam))


def _vicreg(settings: ObjectiveSettings) -> Objective:
    return _of_pairs(vicreg)


def _align_maxent(settings: ObjectiveSettings) -> Objective:
    return _of_pairs(
        lambda y, y_pos: align_maxent(y, y_pos, variance=settings.variance)
    )


def _moco(settings: ObjectiveSettings) -> Objective:
    """Both directions, a queue for each view, keys from the averaged encoder."""
    tau = settings.or_published("tau", 0.2)
    rows = settings.queue * settings.batch

    def init(key, params, m):
        queues = [init_queue(jax.random.fold_in(key, i), rows, m) for i in range(2)]
        return {}, {"target": params, "queues": queues, "step": jnp.zeros((), int)}

    def apply(trained, held, f, views, key):
        held, keys = _with_target(settings, trained, held, f, views)
        keys = unit(keys)
        queries = f(trained["f"], jnp.stack(views[:2]))
        directions = [(0, 1), (1, 0)]
        losses, metrics = zip(
            *(
                moco(queries[i], keys[k], held["queues"][k], tau=tau)
                for i, k in directions
            ),
            strict=True,
        )
        queues = [push(old, new) for old, new in zip(held["queues"], keys, strict=True)]
        both = jax.tree.map(lambda a, b: (a + b) / 2, *metrics)
        return (losses[0] + losses[1]) / 2, ({**held, "queues": queues}, both)

    return Objective(init, apply)


def _simsiam(settings: ObjectiveSettings) -> Objective:
    def init(key, params, m):
        return _init_predictor(key, m, settings.hidden), {}

    def apply(trained, held, f, views, key):
        z = f(trained["f"], jnp.stack(views[:2]))
        p = [_predict(trained["head"], view) for view in z]
        value, metrics = simsiam(*p, *z)
        return value, (held, metrics)

    return Objective(init, apply)


def _byol(settings: ObjectiveSettings) -> Objective:
    def init(key, params, m):
        head = _init_predictor(key, m, settings.hidden)
        return head, {"target": params, "step": jnp.zeros((), int)}

    def apply(trained, held, f, views, key):
        held, targets = _with_target(settings, trained, held, f, views)
        z = f(trained["f"], jnp.stack(views[:2]))
        p = [_predict(trained["head"], view) for view in z]
        value, metrics = byol(*p, *targets)
        return value, (held, metrics)

    return Objective(init, apply)


def _swav(settings: ObjectiveSettings) -> Objective:
    """No queue, and the prototypes train from the first step."""
    tau = settings.or_published("tau", 0.1)

    def init(key, params, m):
        return init_queue(key, settings.prototypes, m), {}

    def apply(trained, held, f, views, key):
        z = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = swav(
            z[0], z[1], trained["head"], tau=tau, epsilon=settings.epsilon
        )
        return value, (held, metrics)

    return Objective(init, apply)


def _lejepa(settings: ObjectiveSettings) -> Objective:
    """The pooled form, its directions drawn anew each step."""
    lam = settings.or_published("lam", 1e-3)

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        directions = draw_directions(key, y.shape[-1], settings.directions)
        value, metrics = lejepa(y, directions, lam=lam)
        return value, (held, metrics)

    return Objective(init, apply)


def _aninfonce(settings: ObjectiveSettings) -> Objective:
    """The precisions are trained, from 1 / tau everywhere: NT-Xent at the start."""
    tau = settings.or_published("tau", 0.2)

    def init(key, params, m):
        return from_lam(jnp.full((m,), 1 / tau)), {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = aninfonce(y[0], y[1], to_lam(trained["head"]))
        return value, (held, metrics)

    return Objective(init, apply)


OBJECTIVES: dict[str, Callable[[ObjectiveSettings], Objective]] = {
    "lp_infonce": lambda settings: _lp_infonce(settings, 2.0),
    "l1_infonce": lambda settings: _lp_infonce(settings, 1.0),
    "align_maxent": _align_maxent,
    "simclr": _simclr,
    "moco": _moco,
    "aninfonce": _aninfonce,
    "simsiam": _simsiam,
    "byol": _byol,
    "swav": _swav,
    "barlow": _barlow,
    "vicreg": _vicreg,
    "lejepa": _lejepa,
}


def _with_target(settings: ObjectiveSettings, trained, held, f: Apply, views: Views):
    """The average moved towards the encoder, and its outputs for both views.

    The average moves before the loss: the same sequence as moving it after each update.
    """
    momentum = ema_schedule(
        held["step"],
        start=settings.momentum,
        end=settings.end_momentum,
        steps=settings.steps,
    )
    target = ema_update(held["target"], trained["f"], momentum)
    outputs = jax.lax.stop_gradient(f(target, jnp.stack(views[:2])))
    return {**held, "target": target, "step": held["step"] + 1}, outputs


def _init_predictor(key: Array, m: int, hidden: int) -> Params:
    """Linear (no bias), batch normalisation, ReLU, linear: `[.., m] -> [.., m]`."""
    first, last = jax.random.split(key)
    return {
        "first": jax.random.normal(first, (m, hidden)) / m**0.5,
        "scale": jnp.ones((hidden,)),
        "offset": jnp.zeros((hidden,)),
        "last": jax.random.normal(last, (hidden, m)) * (2 / hidden) ** 0.5,
        "bias": jnp.zeros((m,)),
    }


def _predict(head: Params, z: Array) -> Array:
    # Heads run in training only, so the batch's own moments are all they need.
    hidden = standardised(z @ head["first"])
    hidden = jax.nn.relu(hidden * head["scale"][None] + head["offset"][None])
    return hidden @ head["last"] + head["bias"][None]
