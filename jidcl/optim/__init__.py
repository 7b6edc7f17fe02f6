"""Optimisers and schedules as optax transformations."""

from jidcl.optim.schedules import make_optimiser, make_schedule

__all__ = ["make_optimiser", "make_schedule"]
