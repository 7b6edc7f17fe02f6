"""A `Problem` and an optimiser as a `Program`: draw, differentiate, apply."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax.sharding import Mesh

from jidcl.numerics import products_in, stream_key
from jidcl.train.sharding import over_batch
from jidcl.types import Array, Metrics, Params, Problem, Program

# An optax transformation, or a function of a key that makes one.
Optimiser = optax.GradientTransformation | Callable[[Array], Any]
Collect = Callable[[Any, Any, Array, Array], tuple[Any, Any, Metrics]]
Edit = Callable[[Params, Array, Array], Params]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Learner:
    """What a program of `gradient` carries from step to step.

    Attributes:
        params: trained parameters.
        state: untrained variables of the encoder.
        opt_state: the optimiser's.
        carry: what `collect` carries (an environment); None without.
    """

    params: Any
    state: Any
    opt_state: Any
    carry: Any = None


def gradient(
    problem: Problem,
    optimiser: Optimiser,
    *,
    collect: Collect | None = None,
    edit: Edit | None = None,
    carry: Callable[[Any, Array], Any] | None = None,
) -> Program:
    """The program that descends a problem's loss.

    One update draws a batch, differentiates the loss, and applies the optimiser's
    updates: theta <- edit(theta + update(grad L(theta))).

    Args:
        problem: the data-generating process and objective.
        optimiser: an optax transformation, or `key -> transformation`: initialisation
            and updates then see a key of the seed. Keys that a transformation holds in
            its state (`optax.add_noise`) are made the seed's in either case. It may
            read the batch's `value`, `grad` and `value_fn` (`reduce_on_plateau`,
            `lbfgs`). With `optax.contrib.schedule_free` scores are those of the
            averaged parameters, as its authors evaluate.
        collect: `(run, frozen, key, t) -> (batch, carry, metrics)` in place of
            `problem.draw`, for data that depend on the parameters (a rollout). `run` is
            a `Learner`.
        edit: `(params, key, t) -> params`, exactly after the update.
        carry: `(frozen, key) -> carry` before the first step, for `collect`.

    Returns:
        A `Program` whose run is a `Learner`. The batch at step t depends on (seed, t)
        only, unless `collect` says otherwise. Metrics hold `loss`, `grad_norm` and what
        the problem's loss and `collect` return.

    Raises:
        TypeError: while tracing, where a loss does not return
            (scalar, (state, metrics)).

    Example:
        >>> import jidcl, optax
        >>> problem = jidcl.Problem(
        ...     freeze=lambda key: {},
        ...     init=lambda key: (jnp.ones(()), {}),
        ...     draw=lambda frozen, key: jax.random.normal(key, (8,)),
        ...     loss=lambda w, state, x, key: (jnp.mean((w * x) ** 2), (state, {})),
        ...     probe=lambda w, state, frozen, key: {"w": w},
        ...     evaluate=lambda w, state, frozen, key: {"w": w},
        ... )
        >>> program = gradient(problem, optax.sgd(0.1))
        >>> _, scores = jidcl.fit(program, seeds=2, steps=100)
        >>> scores["w"].shape
        (2,)
    """

    def start(frozen: Any, key: Array) -> Learner:
        params, state = problem.init(stream_key(key, "init"))
        own = stream_key(key, "optimiser")
        made = _made(optimiser, jax.random.fold_in(own, 0))
        opt_state = _seeded(made.init(params), jax.random.fold_in(own, 1))
        begun = carry(frozen, stream_key(key, "carry")) if carry is not None else None
        return Learner(params, state, opt_state, begun)

    def step(run: Learner, frozen: Any, key: Array, t: Array):
        draw_key, loss_key = (
            jax.random.fold_in(stream_key(key, purpose), t)
            for purpose in ("data", "loss")
        )
        held, seen = run.carry, {}
        with products_in("float32"):  # the data are what the scores are of
            if collect is None:
                batch = problem.draw(frozen, draw_key)
            else:
                batch, held, seen = collect(run, frozen, draw_key, t)
        (loss, (state, metrics)), grads = jax.value_and_grad(
            lambda *args: _checked(problem.loss(*args)), has_aux=True
        )(run.params, run.state, batch, loss_key)
        made = _made(optimiser, jax.random.fold_in(stream_key(key, "optimiser"), 0))
        told = dict(value=loss, grad=grads)
        told["value_fn"] = lambda at: problem.loss(at, run.state, batch, loss_key)[0]
        # Optax raises Python floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = made.update(grads, run.opt_state, run.params, **told)
        params = optax.apply_updates(run.params, updates)
        if edit is not None:
            params = edit(params, jax.random.fold_in(stream_key(key, "edit"), t), t)
        extra = {"loss": loss, "grad_norm": optax.tree.norm(grads)}
        return Learner(params, state, opt_state, held), {**seen, **metrics, **extra}

    def sharded(mesh: Mesh) -> Program:
        inner = problem if problem.sharded is None else problem.sharded(mesh)

        def divided(batch):
            def spread(x):  # a number has no rows
                rows = getattr(x, "ndim", 0) > 0
                own = over_batch(mesh)
                return jax.lax.with_sharding_constraint(x, own) if rows else x

            return jax.tree.map(spread, batch)

        def gather(run, frozen, key, t):
            batch, held, metrics = collect(run, frozen, key, t)  # type: ignore[misc]
            return divided(batch), held, metrics

        def draw(frozen, key):
            return divided(inner.draw(frozen, key))

        return gradient(
            dataclasses.replace(inner, draw=draw),
            optimiser,
            collect=None if collect is None else gather,
            edit=edit,
            carry=carry,
        )

    return Program(
        freeze=problem.freeze,
        start=start,
        step=step,
        evaluate=lambda run, *rest: problem.evaluate(_scored(run), run.state, *rest),
        probe=lambda run, *rest: problem.probe(_scored(run), run.state, *rest),
        precision=problem.precision,
        sharded=sharded,
        shared=problem.shared,
        batch=None if collect is not None else partial(_batch_at, problem),
    )


def _batch_at(problem: Problem, frozen: Any, key: Array, t: Array) -> Any:
    """What step t of a problem draws."""
    with products_in("float32"):
        return problem.draw(frozen, jax.random.fold_in(stream_key(key, "data"), t))


def _made(optimiser: Any, key: Array) -> optax.GradientTransformationExtraArgs:
    """The transformation, which takes the loss and what else a batch tells."""
    made: Any = optimiser if hasattr(optimiser, "init") else optimiser(key)
    if isinstance(made, optax.MultiSteps):  # it passes on what it is given
        return optax.GradientTransformationExtraArgs(made.init, made.update)  # type: ignore
    return optax.with_extra_args_support(made)


def _scored(run: Learner) -> Params:
    """The parameters to score: schedule-free optimisers train beside their average."""

    def is_free(node: Any) -> bool:
        return isinstance(node, optax.contrib.ScheduleFreeState)

    nodes = jax.tree.leaves(run.opt_state, is_leaf=is_free)
    free = [node for node in nodes if is_free(node)]
    if not free:
        return run.params
    with jax.numpy_dtype_promotion("standard"):
        return optax.contrib.schedule_free_eval_params(free[0], run.params)


def _seeded(opt_state: Any, key: Array) -> Any:
    """Keys of an optimiser's state, folded with the seed's: no noise is shared."""
    word = jax.random.bits(key, dtype=jnp.uint32)

    def own(leaf: Any) -> Any:
        dtype = getattr(leaf, "dtype", None)  # a Python number has none
        is_key = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
        return jax.random.fold_in(leaf, word) if is_key else leaf

    return jax.tree.map(own, opt_state)


def _checked(result: Any) -> Any:
    """What a problem's loss returned; TypeError unless (scalar, (state, metrics))."""
    match result:
        case (loss, (_, dict())) if getattr(loss, "shape", None) == ():
            return result
    shapes = jax.tree.map(jnp.shape, result)
    raise TypeError(f"loss must return (scalar, (state, metrics)), got {shapes}")
