"""What a run will cost, against counts by hand."""

import dataclasses

import pytest

from jidcl import costs
from reference.tiny import TINY


def test_estimate_counts_parameters_and_flops():
    cost = costs.estimate(TINY, system="contrastive_ica", seeds=[0, 1], steps=2)
    sizes = [(3, 12), (12, 24), (24, 3)]
    assert cost.parameters == sum(a * b + b for a, b in sizes)
    forward = 2 * sum(a * b for a, b in sizes) * TINY.batch * 2
    assert cost.flops > 2 * forward
    assert cost.seconds == pytest.approx(cost.step_seconds * TINY.steps)


def test_estimate_adds_the_phases():
    settings = dict(system="contrastive_ica", seeds=[0], steps=2)
    plain = costs.estimate(TINY, **settings)
    late = dataclasses.replace(TINY, late_share=0.25, late_batch=4 * TINY.batch)
    cost = costs.estimate(late, **settings)
    assert cost.flops > 2 * plain.flops
    assert cost.memory > plain.memory
    assert cost.seconds == pytest.approx(cost.step_seconds * TINY.steps)
