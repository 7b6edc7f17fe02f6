"""What a run will cost, against counts by hand."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.losses import infonce
from jidcl.run import costs
from jidcl.train.sharding import make_mesh
from reference.tiny import TINY


def test_estimate_counts_parameters_and_flops():
    cost = costs.estimate(TINY, system="contrastive_ica", seeds=[0, 1], steps=2)
    sizes = [(3, 12), (12, 24), (24, 3)]
    assert cost.parameters == sum(a * b + b for a, b in sizes)
    forward = 2 * sum(a * b for a, b in sizes) * TINY.batch * 2
    # Forwards, and twice that backwards but for the first layer's input; two seeds.
    first = 2 * sizes[0][0] * sizes[0][1] * TINY.batch * 2
    assert 2 * (3 * forward - first) < cost.flops < 12 * forward
    assert cost.seconds == pytest.approx(cost.step_seconds * TINY.steps)


@pytest.mark.long
def test_estimate_adds_the_phases():
    settings = dict(system="contrastive_ica", seeds=[0], steps=2)
    plain = costs.estimate(TINY, **settings)
    late = dataclasses.replace(TINY, late_share=0.25, late_batch=4 * TINY.batch)
    cost = costs.estimate(late, **settings)
    assert cost.flops > 2 * plain.flops
    assert cost.memory > plain.memory
    assert cost.seconds == pytest.approx(cost.step_seconds * TINY.steps)


def test_flops_count_every_round_of_a_loop_and_every_tile_of_a_loss():
    x = jnp.ones((300, 4))

    def flops(function):
        return costs.count_flops(jax.make_jaxpr(function)(x).jaxpr)

    def loop(x):
        return jax.lax.scan(lambda c, _: (c @ (x.T @ c), None), x, length=7)[0]

    assert flops(loop) == 7 * 2 * (2 * 4 * 300 * 4)
    assert flops(lambda x: jnp.sum(x, axis=0)) == x.size

    def shown(x):
        jax.debug.print("{}", x[0, 0])
        return 2 * x

    assert flops(shown) == x.size

    def loss(tile):
        return lambda x: infonce(x, x[::-1], tile=tile)[0]

    whole, tiled = (flops(jax.grad(loss(tile))) for tile in (None, 50))
    dots = 3 * 2 * 300 * 300 * 4  # forwards, and for rows and columns
    assert whole > dots
    assert dots < tiled < 2 * whole


@pytest.mark.parametrize(
    ("runs", "fit", "seed", "want"),
    [(10, 20, 1, 10), (10, 4, 1, 4), (10, 0.5, 1, 1), (16, 3, 2, 6), (8, 3, 8, 8)],
)
def test_pieces_are_even_and_divide_over_the_mesh(monkeypatch, runs, fit, seed, want):
    compiled = lambda *args, **options: (None, 0.0)  # noqa: E731
    monkeypatch.setattr(costs.loop, "compile_chunk", compiled)
    monkeypatch.setattr(costs, "program_bytes", lambda program: 2**30)
    mesh, asked = make_mesh(seed=seed), []

    def like_start(program, count, *, mesh):
        asked.append(count)

    monkeypatch.setattr(costs.loop, "like_start", like_start)
    programs = [SimpleNamespace(shared=None)] * 2
    size = costs.runs_that_fit(runs, programs, mesh=mesh, memory_gib=fit)
    assert (size, asked) == (want, [seed])
    few = costs.PROBED_RUNS - 1
    assert costs.runs_that_fit(few, programs, mesh=mesh) == few
    assert costs.runs_that_fit(99, programs, mesh=mesh, memory_gib=float("inf")) == 99
    assert costs.runs_that_fit(99, [], mesh=mesh, memory_gib=1) == 99  # untrained
    for memory in (0.0, float("nan")):
        with pytest.raises(ValueError, match="memory_gib must be > 0, got"):
            costs.runs_that_fit(99, [], mesh=mesh, memory_gib=memory)
    assert asked == [seed]


def test_what_all_runs_read_is_counted_once(monkeypatch):
    compiled = lambda *args, **options: (None, 0.0)  # noqa: E731
    monkeypatch.setattr(costs.loop, "compile_chunk", compiled)
    # Three quarters of what a program of one run takes are shared.
    monkeypatch.setattr(costs, "program_bytes", lambda program: 2**22)
    monkeypatch.setattr(costs.loop, "like_start", lambda *args, **options: None)
    program = SimpleNamespace(shared={"x": np.zeros(3 * 2**20, np.uint8)})

    def fit(mib):
        own = dict(mesh=make_mesh(), memory_gib=mib / 2**10)
        return costs.runs_that_fit(32, [program], **own)

    assert fit(4) == 1
    assert fit(19) == 16
    assert fit(35) == 32
    assert fit(2) == 1  # not even one: tried all the same


def test_an_estimate_of_many_seeds_is_that_of_pieces_that_fit(monkeypatch):
    config = dataclasses.replace(TINY, steps=10)
    seeds, asked = range(costs.PROBED_RUNS), []
    monkeypatch.setattr(costs, "runs_that_fit", lambda *args, **options: 4)

    def probed(config, system, seeds, mesh, steps):
        asked.append(len(seeds))
        return costs.Estimate(1, 1.0, 7, 0.5, 0.25, 0.0)

    monkeypatch.setattr(costs, "_probe_cost", probed)
    cost = costs.estimate(config, system="contrastive_ica", seeds=seeds)
    assert asked == [4]
    assert (cost.memory, cost.step_seconds, cost.seconds) == (7, 1.0, 10.0)
