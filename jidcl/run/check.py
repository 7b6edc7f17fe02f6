"""A system outside of the package, checked before anything is trained.

Its functions are traced once, without arithmetic, so that a mistake is one line in
seconds, and not the end of a run.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jidcl.systems.contract import System
from jidcl.systems.shared.settings import Settings
from jidcl.train.evaluation import finished, summarised
from jidcl.train.state import with_shared
from jidcl.types import Evaluation, Losses


def check_system(system: System, config: Settings) -> Evaluation:
    """Refuse a system whose functions do not return what the contract says.

    Args:
        system: the system.
        config: settings of one of its presets.

    Returns:
        The shapes of its evaluation, losses summarised.

    Raises:
        ValueError: naming the function and what it must return.
    """
    program = system.program(config)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def traced(part: str, function: Callable, *args: Any) -> Any:
        try:
            return jax.eval_shape(function, *args)
        except Exception as error:
            text = " ".join(str(error).split("\n----")[0].split())
            raise ValueError(
                f"{part} of {system.name} cannot be traced: {type(error).__name__}: "
                f"{text[:300]}"
            ) from error

    frozen = traced("freeze", program.freeze, key)
    held = with_shared(frozen, program.shared)
    run = traced("start (a problem's init)", program.start, held, key)
    step = jax.ShapeDtypeStruct((), jnp.int32)
    if program.step is not None:
        _, metrics = traced("step", program.step, run, held, key, step)
        if getattr(metrics.get("loss"), "shape", None) != ():
            raise ValueError(f"step of {system.name} must give a scalar metric 'loss'")

    def whole(function: Callable) -> Callable:
        return lambda *args: finished(function(*args))

    if program.probe is not None:
        probed = traced("probe", whole(program.probe), run, held, key)
        _check_named(system, "probe", probed)
    result = traced("evaluate", whole(program.evaluate), run, held, key)
    _check_evaluation(system, config, result)
    return jax.eval_shape(lambda: summarised(jax.tree.map(_zeros, result)))


def _zeros(leaf: Any) -> Any:
    return jnp.zeros(leaf.shape, leaf.dtype)


def _check_evaluation(system: System, config: Settings, result: Any) -> None:
    kind = system.floor(config)
    if isinstance(result, dict):
        result = Evaluation(result)
    if not isinstance(result, Evaluation):
        raise ValueError(
            f"evaluate of {system.name} must return a jidcl.Evaluation or a dict of "
            f"scores, got a {type(result).__name__}"
        )
    _check_named(system, "scores of evaluate", result.scores)
    for score, nulls in result.nulls.items():
        _check_named(system, f"nulls of {score!r} of evaluate", nulls, most=0)
    losses = result.losses
    if losses is not None and not isinstance(losses, Losses):
        raise ValueError(
            f"losses of evaluate of {system.name} must be a jidcl.Losses or None, got "
            f"a {type(losses).__name__}"
        )
    if losses is not None and losses.loss.ndim != 1:
        raise ValueError(
            f"loss in the Losses of {system.name} must be [batches], got shape "
            f"{list(losses.loss.shape)}"
        )
    known = losses is not None and losses.reference is not None
    if known != (kind != "none"):
        held = "a" if known else "no"
        raise ValueError(
            f"floor_kind of {system.name} is {kind!r}, but evaluate returns Losses "
            f"with {held} reference: say 'oracle' or 'limit' where there is one, and "
            "'none' where there is none"
        )


def _check_named(system: System, what: str, held: Any, most: int = 1) -> None:
    """Refuse all but a dict of arrays of so many axes."""
    if not isinstance(held, dict):
        raise ValueError(
            f"{what} of {system.name} must be arrays by name, got a "
            f"{type(held).__name__}"
        )
    for name, value in held.items():
        if getattr(value, "ndim", most + 1) > most:
            shape = list(getattr(value, "shape", ()))
            raise ValueError(
                f"{what} of {system.name}: {name!r} must have at most {most} axes "
                f"(means over batches), got shape {shape}"
            )
