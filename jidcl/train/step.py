"""The one training step, and the program that runs many of them on the device."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from jidcl.checks import check_at_least
from jidcl.numerics import products_in, stream_key
from jidcl.train.sharding import everywhere, over_batch, over_seeds
from jidcl.train.state import TrainState, with_shared
from jidcl.types import Metrics, Problem

Step = Callable[..., tuple[TrainState, Metrics]]


def make_step(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    *,
    constrain: Callable[[Any], Any] = lambda batch: batch,
) -> Step:
    """One update of one run: draw, differentiate, apply.

    Args:
        problem: the data-generating process and objective.
        optimiser: an optax transformation.
        constrain: applied to the batch (a sharding constraint).

    Returns:
        `(state, shared=None) -> (state, metrics)`, pure; the batch at step t depends on
        (seed, t) and the problem's shared arrays only. Metrics hold `loss`, `grad_norm`
        and what the problem's loss returns. Matrix products are those of
        `problem.precision`, but for the data's.
    """

    def step(run: TrainState, shared: Any = None) -> tuple[TrainState, Metrics]:
        with products_in(problem.precision):
            return update(run, with_shared(run.frozen, shared))

    def update(run: TrainState, frozen: Any) -> tuple[TrainState, Metrics]:
        draw_key, loss_key = (
            jax.random.fold_in(stream_key(run.key, purpose), run.step)
            for purpose in ("data", "loss")
        )
        with products_in("float32"):  # the data are what the scores are of
            batch = constrain(problem.draw(frozen, draw_key))
        (loss, (state, metrics)), grads = jax.value_and_grad(
            lambda *args: _checked(problem.loss(*args)), has_aux=True
        )(run.params, run.state, batch, loss_key)
        # Optax raises Python floats to integer counts, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimiser.update(grads, run.opt_state, run.params)
        new = TrainState(
            step=run.step + 1,
            seed=run.seed,
            params=optax.apply_updates(run.params, updates),
            state=state,
            opt_state=opt_state,
            frozen=run.frozen,
            carry=run.carry,
        )
        extra = {"loss": loss, "grad_norm": optax.tree.norm(grads)}
        return new, {**metrics, **extra}

    return step


def _checked(result: Any) -> Any:
    """What a problem's loss returned; TypeError unless (scalar, (state, metrics))."""
    match result:
        case (loss, (_, dict())) if getattr(loss, "shape", None) == ():
            return result
    shapes = jax.tree.map(jax.numpy.shape, result)
    raise TypeError(f"loss must return (scalar, (state, metrics)), got {shapes}")


def make_chunk(
    problem: Problem,
    optimiser: optax.GradientTransformation,
    *,
    steps: int,
    mesh: Mesh,
) -> Step:
    """`steps` updates of many seeds as one jitted program.

    `lax.scan` over the steps of `vmap` over the seeds. The state is donated and
    sharded over the mesh's `seed` axis, batches over its `data` axis, where the loss is
    `problem.sharded`'s; in and out shardings are stated.

    Args:
        problem: the data-generating process and objective.
        optimiser: an optax transformation.
        steps: updates per dispatch, >= 1.
        mesh: see `jidcl.train.sharding.make_mesh`.

    Returns:
        `state -> (state, metrics)`, every leaf of the state `[seeds, ...]`, metrics
        `[steps, seeds]`; `(state, shared) -> ...` where the problem has shared arrays,
        which every device holds.
    """
    check_at_least("steps", steps, 1)
    if mesh.shape["data"] > 1 and problem.sharded is not None:
        problem = problem.sharded(mesh)

    def constrain(batch):
        if mesh.shape["data"] == 1:
            return batch
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, over_batch(mesh)), batch
        )

    one = make_step(problem, optimiser, constrain=constrain)
    many = jax.vmap(one, in_axes=(0, None), spmd_axis_name="seed")

    def chunk(state: TrainState, shared: Any = None) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(lambda run, _: many(run, shared), state, length=steps)

    shard = over_seeds(mesh)
    whole = () if problem.shared is None else (everywhere(mesh),)
    rows = jax.sharding.NamedSharding(mesh, jax.P(None, "seed"))
    return jax.jit(
        chunk,
        donate_argnums=0,
        keep_unused=True,  # so that what all seeds share is counted whole
        in_shardings=(shard, *whole),
        out_shardings=(shard, rows),
    )
