"""Several processes, each with some of the devices: what they must agree on.

Every process runs the same program on the same mesh. One of them writes the files and
prints; checkpoints are written by all, into a folder that all can reach.
"""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jidcl.checks import check_at_least

DEAD_AFTER = 30  # seconds without a sign of life from a process, then all end


def join(hosts: str) -> None:
    """Join the other processes of a run, before anything else touches a device.

    Args:
        hosts: `"one"`: this process is alone. `"auto"`: as the cluster says (TPU
            slices, SLURM, MPI). `"ADDRESS:PORT,COUNT,INDEX"`: process INDEX of COUNT,
            process 0 listening at that address.

    Raises:
        ValueError: on another text.
    """
    if hosts == "one":
        return
    if hosts == "auto":
        jax.distributed.initialize()
        return
    address, *numbers = hosts.split(",")
    if len(numbers) != 2 or ":" not in address or not all(map(str.isdigit, numbers)):
        raise ValueError(
            f"hosts must be one, auto or ADDRESS:PORT,COUNT,INDEX, got {hosts!r}"
        )
    count, index = map(int, numbers)
    check_at_least("COUNT of hosts", count, index + 1)
    # The socket opens at the address that was given: by default it would at all.
    jax.distributed.initialize(
        address,
        count,
        index,
        coordinator_bind_address=address if index == 0 else None,
        heartbeat_timeout_seconds=DEAD_AFTER,
    )


def writes() -> bool:
    """Whether this process writes the files and prints."""
    return jax.process_index() == 0


def several() -> bool:
    """Whether other processes take part."""
    return jax.process_count() > 1


def agree(value: Any) -> Any:
    """The writer's value of a number or truth value, in every process."""
    if not several():
        return value
    return type(value)(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def to_host(tree: Any) -> Any:
    """The whole arrays as NumPy arrays, wherever their devices are."""
    if not several():
        return jax.device_get(tree)

    def whole(leaf):
        if leaf.is_fully_addressable:
            return np.asarray(leaf)
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(whole, tree)
