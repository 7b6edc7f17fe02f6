"""The self-supervised objectives by name: `make_objective` and one function a method.

`make_objective(name, settings)` gives two pure functions over any encoder
`f(params, x) -> y` without state of its own. What a method trains besides the encoder
is its `head` (predictor, prototypes, precisions). What it carries from step to step
without training is `held` (averaged encoder, queues, the step). The projector between
representation and loss is the identity.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jidcl.checks import check_choice, check_type
from jidcl.losses.anisotropic import aninfonce, from_lam, to_lam
from jidcl.losses.contrastive import NegativePolicy, infonce
from jidcl.losses.distributed import all_rows
from jidcl.losses.entropy import align_maxent
from jidcl.losses.moments import barlow, standardised, vicreg
from jidcl.losses.regularised import byol, moco, ntxent, simsiam, swav
from jidcl.losses.similarity import Similarity
from jidcl.losses.sketch import draw_directions, lejepa
from jidcl.losses.targets import ema_schedule, ema_update, init_queue, push
from jidcl.numerics import unit
from jidcl.objectives.core import Apply, Objective, ObjectiveSettings, Views
from jidcl.types import Array, Metrics, Params

Axis = str | None


def make_objective(
    name: str, settings: ObjectiveSettings, *, axis: str | None = None
) -> Objective:
    """The objective of that name, as the two functions of an `Objective`.

    Args:
        name: one of `OBJECTIVES`.
        settings: its numbers. A method ignores those that are another method's.
        axis: mesh axis over which the rows of all views are spread, inside
            `jax.shard_map`: the loss is that of the whole batch, and what is trained
            or held is the same on every device. Differentiate around the `shard_map`.

    Returns:
        The objective: `init` draws its head and what it holds, `loss` is its scalar.

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

    Source: Zimmermann et al. 2021 (lp_infonce, l1_infonce), von Kuegelgen et al. 2021
        (align_maxent), Chen et al. 2020 (simclr), He et al. 2020 (moco), Rusak et al.
        2024 (aninfonce), Chen and He 2021 (simsiam), Grill et al. 2020 (byol), Caron et
        al. 2020 (swav), Zbontar et al. 2021 (barlow), Bardes et al. 2022 (vicreg),
        Balestriero and LeCun 2025 (lejepa).
    """
    check_choice("objective (name)", name, OBJECTIVES)
    check_type("settings", settings, ObjectiveSettings)
    return OBJECTIVES[name](settings, axis)


def _of_pairs(loss: Callable[..., tuple[Array, Metrics]]) -> Objective:
    """An objective of the outputs of both views alone."""

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = loss(y[0], y[1])
        return value, (held, metrics)

    return Objective(init, apply)


def _lp_infonce(settings: ObjectiveSettings, axis: Axis, p: float) -> Objective:
    """InfoNCE of -||u - v||_p^p against an independent third batch."""
    tau = settings.or_published("tau", 1.0)
    policy = NegativePolicy(negatives="independent", log_mean=True)

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views))
        value, metrics = infonce(
            *y, similarity=Similarity("lp", p), tau=tau, policy=policy, axis=axis
        )
        return value, (held, metrics)

    return Objective(init, apply)


def _simclr(settings: ObjectiveSettings, axis: Axis) -> Objective:
    tau = settings.or_published("tau", 0.2)
    return _of_pairs(lambda y, y_pos: ntxent(y, y_pos, tau=tau, axis=axis))


def _barlow(settings: ObjectiveSettings, axis: Axis) -> Objective:
    lam = settings.or_published("lam", 5e-3)
    return _of_pairs(lambda y, y_pos: barlow(y, y_pos, lam=lam, axis=axis))


def _vicreg(settings: ObjectiveSettings, axis: Axis) -> Objective:
    return _of_pairs(partial(vicreg, axis=axis))


def _align_maxent(settings: ObjectiveSettings, axis: Axis) -> Objective:
    return _of_pairs(partial(align_maxent, variance=settings.variance, axis=axis))


def _moco(settings: ObjectiveSettings, axis: Axis) -> Objective:
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
                moco(queries[i], keys[k], held["queues"][k], tau=tau, axis=axis)
                for i, k in directions
            ),
            strict=True,
        )
        queues = [
            push(old, all_rows(new, axis))
            for old, new in zip(held["queues"], keys, strict=True)
        ]
        both = jax.tree.map(lambda a, b: (a + b) / 2, *metrics)
        return (losses[0] + losses[1]) / 2, ({**held, "queues": queues}, both)

    return Objective(init, apply)


def _simsiam(settings: ObjectiveSettings, axis: Axis) -> Objective:
    def init(key, params, m):
        return _init_predictor(key, m, settings.hidden), {}

    def apply(trained, held, f, views, key):
        z = f(trained["f"], jnp.stack(views[:2]))
        p = [_predict(trained["head"], view, axis) for view in z]
        value, metrics = simsiam(*p, *z, axis=axis)
        return value, (held, metrics)

    return Objective(init, apply)


def _byol(settings: ObjectiveSettings, axis: Axis) -> Objective:
    def init(key, params, m):
        head = _init_predictor(key, m, settings.hidden)
        return head, {"target": params, "step": jnp.zeros((), int)}

    def apply(trained, held, f, views, key):
        held, targets = _with_target(settings, trained, held, f, views)
        z = f(trained["f"], jnp.stack(views[:2]))
        p = [_predict(trained["head"], view, axis) for view in z]
        value, metrics = byol(*p, *targets, axis=axis)
        return value, (held, metrics)

    return Objective(init, apply)


def _swav(settings: ObjectiveSettings, axis: Axis) -> Objective:
    """No queue, and the prototypes train from the first step."""
    tau = settings.or_published("tau", 0.1)

    def init(key, params, m):
        return init_queue(key, settings.prototypes, m), {}

    def apply(trained, held, f, views, key):
        z = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = swav(
            z[0], z[1], trained["head"], tau=tau, epsilon=settings.epsilon, axis=axis
        )
        return value, (held, metrics)

    return Objective(init, apply)


def _lejepa(settings: ObjectiveSettings, axis: Axis) -> Objective:
    """The pooled form, its directions drawn anew each step."""
    lam = settings.or_published("lam", 1e-3)

    def init(key, params, m):
        return {}, {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        directions = draw_directions(key, y.shape[-1], settings.directions)
        value, metrics = lejepa(y, directions, lam=lam, axis=axis)
        return value, (held, metrics)

    return Objective(init, apply)


def _aninfonce(settings: ObjectiveSettings, axis: Axis) -> Objective:
    """The precisions are trained, from 1 / tau everywhere: NT-Xent at the start."""
    tau = settings.or_published("tau", 0.2)

    def init(key, params, m):
        return from_lam(jnp.full((m,), 1 / tau)), {}

    def apply(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views[:2]))
        value, metrics = aninfonce(y[0], y[1], to_lam(trained["head"]), axis=axis)
        return value, (held, metrics)

    return Objective(init, apply)


# From a method's name to the function that makes it from its numbers.
OBJECTIVES: dict[str, Callable[[ObjectiveSettings, Axis], Objective]] = {
    "lp_infonce": partial(_lp_infonce, p=2.0),
    "l1_infonce": partial(_lp_infonce, p=1.0),
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


def _predict(head: Params, z: Array, axis: Axis) -> Array:
    # Heads run in training only, so the batch's own moments are all they need.
    hidden = standardised(z @ head["first"], axis=axis)
    hidden = jax.nn.relu(hidden * head["scale"][None] + head["offset"][None])
    return hidden @ head["last"] + head["bias"][None]
