"""The least time that a loss and a step can take, by the rates of a device."""

from typing import Any

import jax

from jidcl.bench.measure import Ceilings
from jidcl.train import loop
from jidcl.train.sharding import make_mesh
from jidcl.types import Program


def loss_floor(
    top: Ceilings, name: str, n: int, batch: int, precision: str = "float32"
) -> float:
    """Seconds that the arithmetic of a loss and its gradients takes at least.

    3n flops a pair for a p-norm (2n for a dot product) forwards and twice that
    backwards, and one exponential.
    """
    flops = (6 if name == "dot" else 9) * n * batch**2
    rate = top.rate(precision if name == "dot" else "float32")
    return flops / rate + batch**2 / top.exps


def own_floor(
    top: Ceilings, name: str, n: int, batch: int, precision: str = "float32"
) -> float:
    """`loss_floor` with each operation at the rate of its kind.

    The terms of a p-norm are no matrix product: they are subtracted, raised and added.
    Only the derivative for p = 2 is made of products.
    """
    if name == "dot":
        return loss_floor(top, name, n, batch, precision)
    terms, products = (3, 6) if name == "p=2" else (9, 0)
    pair = terms / top.elementwise + products / top.flops
    return batch**2 * (n * pair + 1 / top.exps)


def step_floor(top: Ceilings, name: str, program: Program, config: Any) -> float:
    """Seconds that the arithmetic of a training step of one run takes at least.

    6 flops for each weight and each of the two views of a row, and the loss.
    """
    params = loop.like_start(program, 1, mesh=make_mesh()).params
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    flops = 6 * size * 2 * config.batch
    pairs = loss_floor(top, name, config.n, config.batch, config.precision)
    return flops / top.rate(config.precision) + pairs
