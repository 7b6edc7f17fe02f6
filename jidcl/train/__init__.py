"""Training: programs, state, step, sharding, loop, checkpoints."""

from jidcl.train.evaluation import summarised, summary
from jidcl.train.gradient import Learner, gradient
from jidcl.train.loop import NonFiniteLoss, fit, on_each_seed, start, train
from jidcl.train.sharding import make_mesh
from jidcl.train.state import TrainState
from jidcl.train.step import make_chunk, make_step

__all__ = [
    "Learner",
    "NonFiniteLoss",
    "TrainState",
    "fit",
    "gradient",
    "make_chunk",
    "make_mesh",
    "make_step",
    "on_each_seed",
    "start",
    "summarised",
    "summary",
    "train",
]
