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
    """The first quick preset of a system, with cheap draws."""
    presets = registry.load_presets(system)
    config = next(c for name, c in presets.items() if name.startswith("quick/"))
    named = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(
        config, **{name: value for name, value in SMALL.items() if name in named}
    )


def others(config, field):
    """Configurations that differ from `config` in one field, all that are allowed."""
    value = getattr(config, field.name)
    match value:
        case bool():
            candidates = [not value]
        case int():
            candidates = [value + 1, 2 * value]
        case float():
            candidates = [value / 2]
        case str():
            candidates = names(config, field.name)
        case _:
            candidates = []
    for other in candidates:
        with contextlib.suppress(ValueError, TypeError):
            yield dataclasses.replace(config, **{field.name: other})


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
    changed = set()
    for field in dataclasses.fields(config):
        for other in others(config, field):
            if module.frozen_identity(other) != key:
                changed.add(field.name)
            else:
                assert draws(module, other) == same, field.name
    assert changed or not jax.tree.leaves(key)
