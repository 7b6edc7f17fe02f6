"""Every objective of every system on several devices: the update of one device.

The commonest bug of data-parallel contrastive code is a gradient that is off by the
number of devices, and no loss curve shows it: Adam does not see the length of a
gradient. So the update here is plain gradient descent, and the loss and every gradient
are compared.
"""

import dataclasses
import importlib

import chex
import jax
import numpy as np
import optax
import pytest

from jidcl.systems import registry
from jidcl.train import gradient, loop
from jidcl.train.sharding import make_mesh, over_seeds
from jidcl.train.step import make_chunk

SMALL = dict(batch=16, widths=(2,))
LAMS = (25.0, 25.0, 5.0, 5.0, 25.0, 5.0, 25.0, 5.0)
ENSEMBLE = dict(lam="custom", lam_values=LAMS, beta=0.5, tau_plus=0.1)
ROWS = dict(n=3, clusters=4, instances=8)
EVERY = dict(bias=True, learn_beta=True, smoothing=0.1, rows="unit", batch_norm=True)
VIEWS = dict(widths=(4,))
# What keeps a rival objective small, or its terms of one size.
RIVAL = {
    "barlow": dict(lam=0.5),
    "byol": dict(hidden=4),
    "lejepa": dict(directions=8, lam=0.5),
    "simsiam": dict(hidden=4),
    "swav": dict(prototypes=4),
}

# Of each objective: its system, a preset, and what is changed besides `SMALL`.
CASES = {
    "contrastive": ("contrastive_ica", "quick/sphere-vmf", {}),
    "supervised": ("contrastive_ica", "full/t1r1-supervised", {}),
    "marginal_only": ("contrastive_ica", "quick/marginal-only", {}),
    "infonce": ("content_style", "quick/n4", {}),
    "align_maxent": ("content_style", "quick/align-maxent", {}),
    "aninfonce": ("anisotropic", "quick/distinct", {}),
    "reference": ("anisotropic", "quick/distinct", dict(cross="reference")),
    "ensemble": ("anisotropic", "quick/distinct", ENSEMBLE),
    "regression": ("anisotropic", "quick/supervised", {}),
    "elbo": ("ima_vae", "quick/gap", {}),
    "instances": ("diet", "quick/diet", ROWS),
    "instances-every": ("diet", "quick/diet", ROWS | EVERY),
    "lejepa": ("lejepa", "quick/banana", VIEWS | RIVAL["lejepa"]),
    "lejepa-per_view": (
        "lejepa",
        "quick/banana",
        VIEWS | RIVAL["lejepa"] | dict(form="per_view"),
    ),
    "lejepa-whitening": (
        "lejepa",
        "quick/banana",
        VIEWS | dict(objective="whitening", lam=0.5, directions=256),
    ),
    "lejepa-infonce": (
        "lejepa",
        "quick/banana",
        VIEWS | dict(objective="infonce", directions=256),
    ),
} | {
    f"rivals-{name[9:]}": ("rivals", name, RIVAL.get(name[9:], {}))
    for name in registry.load_presets("rivals")
    if name.startswith("quick/n4-")
}


def config_of(case):
    system, preset, changes = CASES[case]
    config = registry.load_presets(system)[preset]
    return dataclasses.replace(config, **{**SMALL, **changes})


def test_every_objective_has_a_case():
    held = {
        (CASES[case][0], getattr(config_of(case), "objective", "")) for case in CASES
    }
    for system in {system for system, _ in held} - {"diet", "ima_vae"}:  # they have one
        part = "settings" if system == "contrastive_ica" else "presets"
        own = importlib.import_module(f"jidcl.systems.{system}.{part}").OBJECTIVES
        known = {*own} - {"identity"}  # which trains nothing
        assert {name for owner, name in held if owner == system} == known


def fixed(problem, batch):
    """The problem with one batch for all steps, so that no sampler is compiled."""
    spread = problem.sharded
    return dataclasses.replace(
        problem,
        freeze=lambda key: {"batch": batch},
        draw=lambda frozen, key: frozen["batch"],
        sharded=spread and (lambda mesh: fixed(spread(mesh), batch)),
    )


def updates(case):
    """Of a case, `devices -> (metrics, gradients, held state)` of its first step.

    The one place that knows how a step is made. Where a system wrote its loss for rows
    that are spread, no device may get all of them.
    """
    name, config = CASES[case][0], config_of(case)
    module = importlib.import_module(f"jidcl.systems.{name}.problem")
    problem = module.make_problem(config)
    keys = jax.random.split(jax.random.key(0))
    drawn = jax.eval_shape(lambda k: problem.draw(problem.freeze(k[0]), k[1]), keys)
    problem = fixed(problem, numbers(drawn))
    program, mesh = gradient(problem, optax.sgd(1.0)), make_mesh()
    begun = jax.device_get(loop.start(program, np.arange(1), mesh=mesh))

    def update(devices):
        mesh = make_mesh(data=devices)
        run = jax.device_put(begun, over_seeds(mesh))
        step = make_chunk(program, steps=1, mesh=mesh)
        compiled = step.lower(run).compile()
        gathered = " all-gather(" in compiled.as_text()
        assert not (problem.sharded and gathered), "a batch was gathered"
        after, metrics = jax.device_get(compiled(run))
        grads = jax.tree.map(np.subtract, begun.params, after.params)
        return metrics, grads, after.run.state

    return update


def numbers(shapes):
    """Normal numbers, or integers below 8, in arrays of these shapes and dtypes."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        if leaf.dtype == np.float32:
            return rng.normal(size=leaf.shape).astype(leaf.dtype)
        return rng.integers(0, 8, leaf.shape, leaf.dtype)

    return jax.tree.map(draw, shapes)


def check(case, counts):
    """One device, then each of the counts, all from the same state."""
    update = updates(case)
    metrics, grads, held = update(1)
    size = float(metrics["grad_norm"].item())
    assert size > 1e-3, "a gradient of zero shows nothing"
    for devices in counts:
        others, spread, kept = update(devices)
        chex.assert_trees_all_close(others, metrics, rtol=1e-4, atol=1e-5)
        chex.assert_trees_all_close(spread, grads, rtol=2e-3, atol=1e-4 * size)
        chex.assert_trees_all_close(kept, held, rtol=1e-4, atol=1e-5)


# Several pair distributions at once take six times as long to compile as one. Of the
# rivals those that carry something from step to step; the others differ from them by a
# loss that `tests/losses/test_every_loss.py` spreads over eight devices.
CARRY = {"rivals-byol", "rivals-moco", "rivals-swav"}
LONG = {"ensemble"} | {case for case in CASES if case.startswith("rivals-")} - CARRY


@pytest.mark.share(3)
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.long] * (c in LONG)) for c in CASES]
)
def test_the_update_on_two_devices_is_that_of_one(case):
    check(case, [2])


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_the_update_on_any_number_of_devices_is_that_of_one(case):
    check(case, [4, 8])
