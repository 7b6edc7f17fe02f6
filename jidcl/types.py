"""Shared containers: a batch of pairs, a floor, and the contract of a problem."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

Array = jax.Array
Params = Any
Metrics = dict[str, jax.Array]


class Pair(NamedTuple):
    """Latents of an anchor and of its positive partner.

    Attributes:
        z: anchors, `[batch, n]`.
        z_pos: positives drawn from p(z_pos | z), `[batch, n]`.
    """

    z: Array
    z_pos: Array


class Batch(NamedTuple):
    """What a loss sees: observations, and the latents that made them.

    Attributes:
        x: observed anchors g(z), `[batch, d]`.
        x_pos: observed positives g(z_pos), `[batch, d]`.
        z: latents of the anchors, `[batch, n]` (targets of supervised losses).
        z_pos: latents of the positives, `[batch, n]`.
    """

    x: Array
    x_pos: Array
    z: Array
    z_pos: Array


@dataclasses.dataclass(frozen=True)
class Problem:
    """A data-generating process and an objective, as pure functions of keys.

    The shared code builds step, loop, resume, evaluation and report from these
    functions alone; `jax.vmap` over the key adds seeds.

    Attributes:
        freeze: `key -> frozen`: the draws that stay fixed during a run (mixing
            weights). They are part of the checkpoint, so that an encoder is never
            scored on a mixing it was not trained on.
        init: `key -> (params, state)` of the encoder.
        draw: `(frozen, key) -> Batch`.
        loss: `(params, state, batch, key) -> (scalar, (state, metrics))`.
        probe: `(params, state, frozen, key) -> metrics`: cheap scores for the curve
            of a run.
        evaluate: `(params, state, frozen, key) -> metrics`: final scores, the
            evaluation loss beside its floor on the same draws, and the cheap nulls.
        sharded: `mesh -> Problem`: the same problem, its loss written for a batch that
            is spread over the mesh's `data` axis. None: the compiler spreads it.
        precision: of the matrix products of a training step, `"float32"` or `"fast"`:
            see `jidcl.numerics.products_in`. Data and scores are always in `"float32"`.
        shared: arrays that all seeds read and no checkpoint holds (pictures on disk):
            where they are, `frozen` is a dict and has them as `frozen["shared"]`.
    """

    freeze: Callable[[Array], Any]
    init: Callable[[Array], tuple[Params, Any]]
    draw: Callable[[Any, Array], Any]
    loss: Callable[[Params, Any, Any, Array], tuple[Array, tuple[Any, Metrics]]]
    probe: Callable[[Params, Any, Any, Array], Metrics]
    evaluate: Callable[[Params, Any, Any, Array], Metrics]
    sharded: Callable[[Mesh], "Problem"] | None = None
    precision: str = "float32"
    shared: Any = None
