"""Causal de Finetti as a system: programs that train nothing."""

from functools import partial

from jidcl.systems.causal_definetti import conformance, experiments, presets
from jidcl.systems.causal_definetti.presets import CausalDeFinetti
from jidcl.systems.contract import System
from jidcl.systems.shared.wiring import untrained
from jidcl.types import Program

_EVALUATE = {
    "pairs": experiments.pairs,
    "relations": experiments.relations,
    "binary": experiments.binary,
    "power": experiments.power,
}


def make_program(config: CausalDeFinetti) -> Program:
    """The program of a configuration: data sets of one key, tested and counted."""
    evaluate = partial(_EVALUATE[config.experiment], config)
    shared = experiments.shared_data(config)
    return untrained(evaluate, precision="float64", shared=shared)


SYSTEM = System(
    name="causal_definetti",
    title="causal de Finetti",
    paper="Guo et al. 2023",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    vectors="exchangeable",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
