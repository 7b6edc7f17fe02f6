"""Linear systems under interventions as a system: programs without a gradient step."""

from functools import partial

from jidcl.systems.contract import System
from jidcl.systems.lti import conformance, presets
from jidcl.systems.lti.evaluate import fits
from jidcl.systems.lti.exchangeable import exchangeable
from jidcl.systems.lti.presets import Interventions
from jidcl.systems.shared.wiring import untrained
from jidcl.types import Program


def make_program(config: Interventions) -> Program:
    """The program of a configuration: systems of one key, fitted and scored."""
    run = exchangeable if config.experiment == "exchangeable" else fits
    return untrained(partial(run, config), precision="float64")


SYSTEM = System(
    name="lti",
    title="linear systems under interventions",
    paper="Rajendran et al. 2024",
    presets=presets.presets,
    make_program=make_program,
    frozen_fields=(),
    vectors="lti_interventions",
    conformance=conformance.CONFORMANCE,
    errata=conformance.ERRATA,
    legend=presets.LEGEND,
)
