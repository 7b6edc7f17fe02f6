"""Metric validity as a system: programs that draw, encode by a known map, and score."""

from functools import partial

from jidcl.systems.contract import System
from jidcl.systems.metric_validity import conformance, presets
from jidcl.systems.metric_validity.evaluate import evaluate
from jidcl.systems.metric_validity.presets import MetricValidity
from jidcl.systems.shared.wiring import untrained
from jidcl.types import Program


def make_program(config: MetricValidity) -> Program:
    """The program of a cell."""
    return untrained(partial(evaluate, config))


SYSTEM = System(
    name="metric_validity",
    title="when a score of identifiability means what it says",
    paper="Joshi et al. 2026",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    vectors="metric_validity",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
