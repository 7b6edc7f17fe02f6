"""Orbax checkpoints of a `TrainState`, with exact resume."""

import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.train.state import TrainState


class Checkpoints:
    """Checkpoints of one run in one folder; the newest two are kept.

    A checkpoint that was cut off while being written is never restored (Orbax
    writes into a temporary folder and renames it).

    Args:
        folder: where they live; created when missing.
    """

    def __init__(self, folder: Path):
        import orbax.checkpoint as ocp

        self._folder = folder
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._args = ocp.args
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        self._manager = ocp.CheckpointManager(
            folder.resolve(),
            options=options,
            item_handlers=ocp.StandardCheckpointHandler(),
        )

    def save(self, step: int, state: TrainState) -> None:
        """Write the state of `step` in the background."""
        # The next step donates the state, and on CPU a host view may share its memory.
        tree = _to_tree(state)
        where = jax.tree.map(lambda leaf: leaf.sharding, tree)
        tree = jax.device_put(tree, where, may_alias=False)
        self._manager.save(step, args=self._args.StandardSave(tree))

    def restore(self, like: TrainState) -> TrainState | None:
        """Newest state with the shapes and shardings of `like`; None if there is none.

        Raises:
            ValueError: when the checkpoint holds other shapes or dtypes, or is damaged.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(_abstract, _to_tree(like))
        # Compared before anything is read: a restore that fails half-way leaves
        # readers behind.
        held = getattr(self._manager.item_metadata(step), "tree", None)
        damaged = (
            f"checkpoint {step} in {self._folder} is damaged (move the folder away to "
            "start again)"
        )
        if held is None:
            raise ValueError(damaged)
        if _layout(held) != _layout(abstract):
            raise ValueError(
                f"checkpoint {step} does not fit this configuration: it holds arrays "
                "of other shapes or dtypes"
            )
        try:
            tree = self._manager.restore(
                step, args=self._args.StandardRestore(abstract)
            )
        except (ValueError, KeyError, OSError) as error:
            first = str(error).splitlines()[0][:200]
            raise ValueError(f"{damaged}: {first}") from error
        leaves = [
            jax.random.wrap_key_data(held, impl=jax.random.key_impl(leaf))
            if _is_key(leaf)
            else held
            for held, leaf in zip(tree.values(), jax.tree.leaves(like), strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    def close(self) -> None:
        """Wait for pending writes and release the folder."""
        self._manager.wait_until_finished()
        self._manager.close()


def _to_tree(state: TrainState) -> dict[str, Any]:
    """Leaves by zero-padded position: Orbax sorts dict keys, and so do we."""
    leaves = jax.tree.leaves(state)
    plain = [jax.random.key_data(x) if _is_key(x) else x for x in leaves]
    return {f"{index:05d}": leaf for index, leaf in enumerate(plain)}


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _layout(tree: dict[str, Any]) -> dict[str, tuple]:
    return {name: (tuple(a.shape), np.dtype(a.dtype)) for name, a in tree.items()}


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
