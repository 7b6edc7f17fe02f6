"""Measuring: repeated blocked runs, floors, peers, rows and figures."""

from jidcl.bench.measure import Ceilings, Timing, measure_ceilings, time_program
from jidcl.bench.rows import SUITES, loss_row, step_row

__all__ = [
    "SUITES",
    "Ceilings",
    "Timing",
    "loss_row",
    "measure_ceilings",
    "step_row",
    "time_program",
]
