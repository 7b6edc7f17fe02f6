"""What quick runs compile: a committed number of operations for each program.

Users wait for compilers most. A change that makes a program larger says so here, and
`python tests/run/test_budgets.py` writes the file anew.
"""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jidcl.numerics import numbers_in
from jidcl.run.costs import phases_of
from jidcl.run.runner import run
from jidcl.systems.registry import SYSTEMS, load_presets, load_system
from jidcl.train import evaluation, loop, programs, sharding
from jidcl.train.sharding import make_mesh
from jidcl.train.step import make_chunk

FILE = Path(__file__).with_name("budgets.json")
MORE, LESS = 1.05, 0.7  # of the committed number: releases of JAX differ a little
BUDGETS = json.loads(FILE.read_text()) if FILE.exists() else {}


def first_quick(system):
    """The first trained quick preset of a system; the first one where none trains."""
    named = load_presets(system).items()
    quick = [(k, v) for k, v in named if k.startswith("quick/")]
    return next((row for row in quick if row[1].phases()), quick[0])


def operations(system):
    """Operations of each program of that preset's run, as it is lowered."""
    name, config = first_quick(system)
    program, mesh = load_system(system).program(config), make_mesh()
    state = loop.like_start(program, 1, mesh=mesh)
    rest = () if program.shared is None else (sharding.place(program.shared, mesh),)
    whole = evaluation.each_seed_program
    with numbers_in(program.precision):
        jitted = {"evaluate": whole(program.evaluate, program, mesh=mesh)}
        if program.step is not None:
            first, _ = phases_of(config, program)[0]
            chunk = load_system(system).make_program(first)
            jitted["chunk"] = make_chunk(chunk, steps=1, mesh=mesh)
            jitted["probe"] = whole(program.probe, program, mesh=mesh)
        found = {
            part: programs.operations(function.trace(state, *rest).lower())
            for part, function in jitted.items()
        }
    return name, found


@pytest.mark.share(5)
@pytest.mark.parametrize("system", SYSTEMS)
def test_programs_of_a_quick_run_have_no_more_operations_than_their_budget(system):
    name, found = operations(system)
    budget = BUDGETS[system]
    assert name == budget["preset"]
    for part, count in found.items():
        assert count <= MORE * budget[part], part
        assert count >= LESS * budget[part], f"{part} is smaller: write the file anew"


def test_a_run_compiles_five_programs(tmp_path):
    config = load_presets("contrastive_ica")["quick/sphere-vmf"]
    small = config.changed(steps=4, chunk=2, warmup=1, mixing_draws=4, eval_batch=64)
    compiled = []

    def heard(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        own = dict(system="contrastive_ica", preset="x", seeds=[0, 1], root=tmp_path)
        *_, last = run(small, **own)
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)
    names = [row["name"] for row in last.record.programs]
    assert names == ["freeze", "start", "probe", "chunk", "evaluate"]
    assert len(compiled) == len(names)
    assert [row["calls"] for row in last.record.programs] == [1, 1, 3, 2, 1]
    assert all(row["operations"] > 0 for row in last.record.programs)
    assert np.isfinite([row["run"] for row in last.record.programs]).all()


if __name__ == "__main__":
    held = {}
    for own in SYSTEMS:
        label, found = operations(own)
        held[own] = {"preset": label, **found}
    FILE.write_text(json.dumps(held, indent=1) + "\n")
