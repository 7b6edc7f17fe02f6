"""Cached frozen draws: every setting that they depend on is part of their key.

A setting left out hands the draws of another run to this one, and nothing fails: the
encoder is trained and scored on a mixing that its record does not describe.
"""

import contextlib
import dataclasses
import re

import jax
import numpy as np
import pytest

from jidcl.systems import registry

# What only says how long the draws take is changed to another small number.
SMALL = dict(mixing_draws=4, clusters=4, instances=8)


def small(system):
    """A preset of a system with the most switches on, and cheap draws."""
    presets, module = registry.load_presets(system), registry.load_system(system)
    config = max(
        (
            config
            for name, config in presets.items()
            if name.partition("/")[0] in ("quick", "full")
        ),
        key=lambda config: sum(map(bool, module.frozen_identity(config).values())),
    )
    for name, value in SMALL.items():
        with contextlib.suppress(ValueError, TypeError):  # not a setting, or inert
            config = dataclasses.replace(config, **{name: value})
    return config


def others(config, field, key, identity):
    """Configurations that differ in one field and by their key share the draws.

    Also whether a change of this field changes the key.
    """
    value = getattr(config, field.name)
    match value:
        case bool():
            candidates = [not value]
        case int():
            candidates = [value + 1, 2 * value]
        case float():
            candidates = [value / 2, value + 0.25]
        case str():
            candidates = names(config, field.name)
        case _:
            candidates = []
    same, changes = [], False
    for candidate in candidates:
        with contextlib.suppress(ValueError, TypeError):  # refused, or without data
            other = dataclasses.replace(config, **{field.name: candidate})
            if identity(other) == key:
                same.append(other)
            else:
                changes = True
    return same, changes


def names(config, field):
    """The names that a field may hold, from the refusal of another one."""
    try:
        dataclasses.replace(config, **{field: "?"})
    except (ValueError, TypeError) as error:
        return re.findall(r"'(\w+)'", str(error).split(", got")[0])
    return []


def draws(module, config):
    """What `freeze` computes: its program, and the arrays that it closes over."""
    program = module.make_program(config)
    traced = jax.make_jaxpr(program.freeze)(jax.random.key(0))
    return str(traced), [np.asarray(c).tobytes() for c in traced.consts]


@pytest.mark.parametrize("system", registry.SYSTEMS)
def test_settings_outside_of_the_key_leave_the_draws_unchanged(system):
    module, config = registry.load_system(system), small(system)
    same, key = draws(module, config), module.frozen_identity(config)
    moved, changed, alone = config, set(), []
    for field in dataclasses.fields(config):
        found, changes = others(moved, field, key, module.frozen_identity)
        changed |= {field.name} if changes else set()
        if found and found[-1] != moved:
            # All of them at once: tracing takes long. A choice leaves most of the
            # later ones something to act on.
            moved = min(reversed(found), key=lambda config: len(config.inert()))
            alone.append(field.name)
    assert len(alone) > min(5, len(dataclasses.fields(config)) // 3)
    assert changed or "random_" not in same[0]
    if draws(module, moved) != same:
        for name in alone:
            one = dataclasses.replace(config, **{name: getattr(moved, name)})
            assert draws(module, one) == same, f"{name} changes the draws"
        pytest.fail(f"some of {alone} together change the draws")
