"""The objective of an encoder of pairs: InfoNCE of any exponent, or one by name."""

from typing import Any

import jax.numpy as jnp

from jidcl.losses.contrastive import NegativePolicy, infonce
from jidcl.losses.similarity import Similarity
from jidcl.objectives.core import Objective, ObjectiveSettings
from jidcl.objectives.methods import OBJECTIVES
from jidcl.objectives.methods import make_objective as objective_named

POLICY = NegativePolicy(negatives="independent", log_mean=True)


def make_objective(how: Any) -> Objective:
    """The objective of that name; `"infonce"` has any exponent p.

    Args:
        how: a `jidcl.estimate.learning.Learning`, which names it.

    Returns:
        The objective, with the settings of `how`.
    """
    if how.objective in OBJECTIVES:
        settings = ObjectiveSettings(steps=how.steps, batch=how.batch, tau=how.tau)
        return objective_named(how.objective, settings)
    similarity = Similarity("lp", p=float(how.p))
    tau = 1.0 if how.tau is None else how.tau

    def loss(trained, held, f, views, key):
        y = f(trained["f"], jnp.stack(views))
        value, metrics = infonce(*y, similarity=similarity, tau=tau, policy=POLICY)
        return value, (held, metrics)

    return Objective(lambda key, params, m: ({}, {}), loss)
