"""Checkpoints of a `TrainState` that know themselves, with exact resume.

Orbax writes the arrays. Beside them stands a note: the name, shape, dtype and digest of
every array, and what the run keeps for itself. A checkpoint counts only if its arrays
have the digests of its note.
"""

import contextlib
import errno
import hashlib
import logging
import os
import shutil
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.files import read_json, remove_parts, to_json, write_json
from jidcl.train import hosts
from jidcl.train.state import TrainState

KEPT = 2  # the newest ones


class CheckpointError(ValueError):
    """No checkpoint of a run is whole, or they are of another configuration."""


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
        state: on the devices of the state that was asked for.
        kept: what the run kept for itself, see `Checkpoints.save`.
    """

    state: TrainState
    kept: dict[str, Any]


class Checkpoints:
    """Checkpoints of one run in one folder; the newest two are kept.

    A checkpoint that was cut off while being written is never restored (Orbax
    writes into a temporary folder and renames it). What such a cut left behind is
    removed: a folder has one owner.

    Args:
        folder: where they live; created when missing. Notes live in `digests/` beside.
    """

    def __init__(self, folder: Path):
        import orbax.checkpoint as ocp

        self._folder = folder
        self._notes = folder.with_name("digests")
        self._saved: list[str] = []  # steps, of which the last may be on its way
        # What fails reaches us as an error; they would print it too, with tracebacks.
        for name in ("absl", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if hosts.writes():
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob("*orbax-checkpoint-tmp*"):
                shutil.rmtree(left, ignore_errors=True)
            remove_parts(self._notes)
        self._args = ocp.args
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True)
        self._manager = ocp.CheckpointManager(
            folder.absolute(),  # not resolved: it may be a loop of links
            options=options,
            item_handlers=ocp.StandardCheckpointHandler(),
        )

    def save(self, step: int, state: TrainState, kept: Any = None) -> None:
        """Write the state of `step` in the background.

        Args:
            step: updates done.
            state: of all seeds.
            kept: what the run keeps for itself, as JSON holds it.

        Raises:
            OSError: when this or the checkpoint before could not be written.
        """
        # The next step donates the state, and on CPU a host view may share its memory.
        tree = _to_tree(state)
        where = jax.tree.map(lambda leaf: leaf.sharding, tree)
        tree = jax.device_put(tree, where, may_alias=False)
        held = {"leaves": _described(state, hosts.to_host(tree)), "kept": kept or {}}
        held["digest"] = _digest(to_json(held))
        with self._writing():
            if hosts.writes():
                self._check_writable()
                write_json(self._note(step), held)
                self._saved = [*self._saved, str(step)][-KEPT - 1 :]
                self._forget_notes()
            self._manager.save(step, args=self._args.StandardSave(tree))

    def restore(self, like: TrainState) -> Restored | None:
        """The newest whole state with the shapes and shardings of `like`.

        A damaged one is named in a warning and moved to `damaged/` beside the folder,
        and the one before is taken.

        Args:
            like: a state of the same run.

        Returns:
            The state and what was kept with it; None if there is no checkpoint.

        Raises:
            CheckpointError: when they are of another configuration, or none is whole.
        """
        steps, faults = sorted(self._manager.all_steps(), reverse=True), {}
        for step in steps:
            found = self._whole(step, like)
            if isinstance(found, Restored):
                self._set_aside(faults)
                return found
            faults[step] = found
        if not faults:
            return None
        told = "; ".join(f"{step}: {fault}" for step, fault in faults.items())
        raise CheckpointError(
            f"no checkpoint in {self._folder} is whole ({told}): nothing was deleted; "
            "move the run's folder away to start again"
        )

    def close(self) -> None:
        """Wait for pending writes and release the folder.

        Raises:
            OSError: when a checkpoint could not be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
            self._manager.close()

    def _whole(self, step: int, like: TrainState) -> Restored | str:
        """A checkpoint that has the digests of its note, or what is wrong with it."""
        try:
            note = read_json(self._note(step))
            own = note.pop("digest", None)  # notes of earlier releases have none
            if own not in (None, _digest(to_json(note))):
                raise ValueError("it is not what was written")
            leaves, kept = note["leaves"], dict(note["kept"])
            layout = [(leaf["name"], leaf["shape"], leaf["dtype"]) for leaf in leaves]
            digests = [leaf["digest"] for leaf in leaves]
            _check_files(self._folder / str(step))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"a file is missing or damaged ({_line(error)})"
        tree = _to_tree(like)
        wanted = _layout(like, tree)
        if layout != wanted:
            names = sorted({str(a[0]) for a in _unlike(layout, wanted)})
            raise CheckpointError(
                f"checkpoint {step} in {self._folder} does not fit this configuration: "
                f"arrays {names[:5]} differ in shape, dtype or number"
            )
        abstract = jax.tree.map(_abstract, tree)
        try:
            held = self._manager.restore(
                step, args=self._args.StandardRestore(abstract)
            )
            found = [leaf["digest"] for leaf in _described(like, hosts.to_host(held))]
        except Exception as error:  # Orbax raises what its layers happen to raise
            return _line(error)
        bad = [layout[i][0] for i, own in enumerate(found) if own != digests[i]]
        if bad:
            return f"the bits of {bad[:5]} are not those that were written"
        keyed = zip(held.values(), jax.tree.leaves(like), strict=True)
        state = [
            jax.random.wrap_key_data(own, impl=jax.random.key_impl(leaf))
            if _is_key(leaf)
            else own
            for own, leaf in keyed
        ]
        return Restored(jax.tree.unflatten(jax.tree.structure(like), state), kept)

    def _set_aside(self, faults: dict[int, str]) -> None:
        for step, fault in faults.items():
            path = self._folder / str(step)
            warnings.warn(
                f"checkpoint {path} is damaged ({fault}): the one before it is used, "
                "and it is moved to the folder 'damaged'",
                stacklevel=3,
            )
            if hosts.writes():
                aside = self._folder.with_name("damaged")
                aside.mkdir(exist_ok=True)
                count = len(list(aside.iterdir()))
                path.rename(aside / f"{step}-{count}")
        if faults:
            self._manager.reload()

    def _check_writable(self) -> None:
        """Raise `OSError` where no checkpoint can begin.

        Orbax would raise it too, and leave threads that keep the process for minutes.
        """
        probe = self._folder / f".{os.getpid()}.probe"
        probe.mkdir()
        probe.rmdir()

    def _note(self, step: int) -> Path:
        return self._notes / f"{step}.json"

    def _forget_notes(self) -> None:
        """Notes of checkpoints that are no longer kept."""
        kept = {str(step) for step in self._manager.all_steps()}
        for path in self._notes.glob("*.json"):
            if path.stem not in kept.union(self._saved):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # as above, also from a thread that wrote before
            raise OSError(
                f"checkpoint in {self._folder} could not be written: {_line(error)}"
            ) from error


def _to_tree(state: TrainState) -> dict[str, Any]:
    """Leaves by zero-padded position: Orbax sorts dict keys, and so do we."""
    leaves = jax.tree.leaves(state)
    plain = [jax.random.key_data(x) if _is_key(x) else x for x in leaves]
    return {f"{index:05d}": leaf for index, leaf in enumerate(plain)}


def _layout(state: TrainState, tree: dict[str, Any]) -> list[tuple[str, list, str]]:
    """Name, shape and dtype of each array of a state."""
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(state)]
    return [
        (path, list(leaf.shape), np.dtype(leaf.dtype).name)
        for path, leaf in zip(paths, tree.values(), strict=True)
    ]


def _unlike(one: list, other: list) -> list:
    return [a for a in one if a not in other] + [b for b in other if b not in one]


def _described(state: TrainState, held: dict[str, Any]) -> list[dict[str, Any]]:
    """What a note says of each array."""
    rows = zip(_layout(state, held), held.values(), strict=True)
    return [
        {"name": name, "shape": shape, "dtype": dtype, "digest": _digest(leaf)}
        for (name, shape, dtype), leaf in rows
    ]


def _digest(held: Any) -> str:
    """Of an array, or of text."""
    text = isinstance(held, str)
    content = held.encode() if text else np.ascontiguousarray(held).tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _check_files(folder: Path) -> None:
    """Raise where a checkpoint holds what no writer of one leaves, such as a pipe."""
    for path in folder.rglob("*"):
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise ValueError(f"{path} must be a regular file")


def _line(error: BaseException) -> str:
    """What went wrong, short: the system's own words where an error holds them."""
    text = str(error)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO):
        if os.strerror(number) in text:
            return os.strerror(number)
    lines = text.strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _abstract(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
