"""Shared containers: pairs, batches, evaluations, and the forms of a problem."""

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


class Losses(NamedTuple):
    """The objective on draws that no training saw, beside what it can be, nats.

    Attributes:
        loss: of the encoder, `[batches]`.
        reference: of the true latents on the same draws, `[batches]`; None where it is
            not known, and then nothing is said of optimisation.
        chance: of an encoder that ignores its input, `[batches]`.
        limit: the least loss in closed form, where theory has one.
        extra: further losses by name, `[batches]` or scalars.
    """

    loss: Array
    reference: Array | None = None
    chance: Array | None = None
    limit: Array | None = None
    extra: Metrics = {}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation says of one run.

    Attributes:
        scores: scalars, or vectors of one entry a dimension, by name; shares are in
            [0, 1].
        losses: see `Losses`; None where nothing was trained against a loss. After
            `jidcl.train.summarised` a dict of scalars: `loss`, `reference`, `gap`,
            `gap_se`, `chance`, `limit` and the extra ones.
        nulls: what a score is where nothing can be recovered, by score and null:
            `{"r2": {"shuffled": ..., "identity": ...}}`.
        samples: arrays that the figures need, by name.
        errors: standard errors of scores over evaluation batches, by score.
        perturbed: of the true latents made worse and worse, by kind of perturbation:
            `strength`, `gap` (to the latents themselves) and scores, one entry each;
            what a bar on the gap admits is read from it.
    """

    scores: Metrics
    losses: Any = None
    nulls: dict[str, Metrics] = dataclasses.field(default_factory=dict)
    samples: Metrics = dataclasses.field(default_factory=dict)
    errors: Metrics = dataclasses.field(default_factory=dict)
    perturbed: dict[str, Metrics] = dataclasses.field(default_factory=dict)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OnHost:
    """A result that is finished on the host: `finish(arrays, xp)`.

    Scores of a few thousand rows take far longer to compile than to compute. A probe
    or an evaluation returns the rows, and says what to make of them.

    Attributes:
        arrays: a tree of what the device computed.
        finish: `(arrays, xp) -> Evaluation or metrics`, pure. It is called for each
            seed with NumPy arrays and `xp=numpy`; where only shapes are asked for, it
            is traced with `xp=jax.numpy`.
    """

    arrays: Any
    finish: Callable[[Any, Any], Any] = dataclasses.field(metadata={"static": True})


@dataclasses.dataclass(frozen=True)
class Problem:
    """A data-generating process and an objective, as pure functions of keys.

    The form that users write. `jidcl.train.gradient` makes a `Program` of it;
    `jax.vmap` over the key adds seeds.

    Attributes:
        freeze: `key -> frozen`: the draws that stay fixed during a run (mixing
            weights). They are part of the checkpoint, so that an encoder is never
            scored on a mixing it was not trained on.
        init: `key -> (params, state)` of the encoder.
        draw: `(frozen, key) -> Batch`.
        loss: `(params, state, batch, key) -> (scalar, (state, metrics))`.
        probe: `(params, state, frozen, key) -> metrics`: cheap scores for the curve
            of a run.
        evaluate: `(params, state, frozen, key) -> Evaluation`, or a dict of scores;
            this and `probe` may return either as `OnHost`.
        sharded: `mesh -> Problem`: the same problem, its loss written for a batch that
            is spread over the mesh's `data` axis. None: the compiler spreads it.
        precision: see `Program.precision`.
        shared: see `Program.shared`.
    """

    freeze: Callable[[Array], Any]
    init: Callable[[Array], tuple[Params, Any]]
    draw: Callable[[Any, Array], Any]
    loss: Callable[[Params, Any, Any, Array], tuple[Array, tuple[Any, Metrics]]]
    probe: Callable[[Params, Any, Any, Array], Metrics | OnHost]
    evaluate: Callable[[Params, Any, Any, Array], Evaluation | Metrics | OnHost]
    sharded: Callable[[Mesh], "Problem"] | None = None
    precision: str = "float32"
    shared: Any = None


@dataclasses.dataclass(frozen=True)
class Program:
    """A run as pure functions: what loop, runner, sweep, costs and bench see.

    Attributes:
        freeze: `key -> frozen`: draws that stay fixed during a run.
        start: `(frozen, key) -> run`, any pytree: parameters, optimiser state,
            environment. `key` is the seed's own: see `jidcl.numerics.stream_key`.
        step: `(run, frozen, key, t) -> (run, metrics)`: update t, from 0. `key` is the
            seed's own; what is drawn depends on it and t only. `metrics` holds `loss`,
            which stops a run that is not finite. None: nothing is trained.
        evaluate: `(run, frozen, key) -> Evaluation`, or a dict of scores; this and
            `probe` may return either as `OnHost`.
        probe: `(run, frozen, key) -> metrics`: cheap scores for the curve of a run;
            None where there are none.
        precision: of the matrix products of a step, `"float32"`, `"fast"` or
            `"bfloat16"`: see `jidcl.numerics.products_in`; data and scores are in
            `"float32"`. Or `"float64"`: every number has 64 bits.
        sharded: `mesh -> Program`: the same, for batches that are spread over the
            mesh's `data` axis.
        shared: arrays that all seeds read and no checkpoint holds (pictures on disk):
            where they are, `frozen` is a dict and has them as `frozen["shared"]`.
        batch: `(frozen, key, t) -> batch`: what step t draws, where that depends on
            these alone. It is asked for after a loss was not finite, to say which rows
            were not; no step of a healthy run pays for it.
    """

    freeze: Callable[[Array], Any]
    start: Callable[[Any, Array], Any]
    step: Callable[[Any, Any, Array, Array], tuple[Any, Metrics]] | None
    evaluate: Callable[[Any, Any, Array], Evaluation | Metrics | OnHost]
    probe: Callable[[Any, Any, Array], Metrics | OnHost] | None = None
    precision: str = "float32"
    sharded: Callable[[Mesh], "Program"] | None = None
    shared: Any = None
    batch: Callable[[Any, Array, Array], Any] | None = None
