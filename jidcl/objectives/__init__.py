"""Self-supervised objectives behind one interface: heads, slow targets, queues."""

from jidcl.objectives.core import Objective, ObjectiveSettings, Views
from jidcl.objectives.methods import OBJECTIVES, make_objective

__all__ = [
    "OBJECTIVES",
    "Objective",
    "ObjectiveSettings",
    "Views",
    "make_objective",
]
