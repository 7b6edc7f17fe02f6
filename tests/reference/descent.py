"""A system of one weight w, to try what runs and sweeps do with programs of any form.

Each step makes w (1 - rate) of w; the loss is w^2 / 2.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jidcl.systems.contract import System
from jidcl.systems.shared.settings import Optimisation
from jidcl.types import Program

NAME = "reference.descent:SYSTEM"


@dataclasses.dataclass(frozen=True)
class Descent(Optimisation):
    """Settings of the descent."""

    rate: float = 0.5


def make_program(config):
    """The descent; its frozen draw is not used."""
    return Program(
        freeze=lambda key: {"a": jax.random.uniform(key)},
        start=lambda frozen, key: {"w": jnp.ones(()) / 3},
        step=lambda run, frozen, key, t: (
            {"w": run["w"] * (1 - config.rate)},
            {"loss": run["w"] ** 2 / 2},
        ),
        evaluate=lambda run, frozen, key: {"w": run["w"]},
        probe=lambda run, frozen, key: {"w": run["w"]},
    )


CONFIG = Descent(batch=2, steps=4, chunk=2)
SYSTEM = System(
    name="descent",
    title="descent of one weight",
    paper="none",
    presets=lambda: {"quick/descent": CONFIG},
    make_program=make_program,
    frozen_fields=(),
    traced_fields=("rate",),
)


def changed(monkeypatch, make=make_program, **parts):
    """The name of the system, for one test with other parts of its programs."""
    monkeypatch.setitem(
        globals(),
        "SYSTEM",
        dataclasses.replace(
            SYSTEM, make_program=lambda c: dataclasses.replace(make(c), **parts)
        ),
    )
    return NAME
