"""Several processes, each with some of the devices: what they must agree on.

Every process runs the same program on the same mesh. One of them writes the files and
prints; checkpoints are written by all, into a folder that all can reach.
"""

import re
import socket
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jidcl.checks import check_at_least
from jidcl.files import in_short

DEAD_AFTER = 30  # seconds without a sign of life from a process, then all end


def join(hosts: str) -> None:
    """Join the other processes of a run, before anything else touches a device.

    Args:
        hosts: `"one"`: this process is alone. `"auto"`: as the cluster says (TPU
            slices, SLURM, MPI). `"ADDRESS:PORT,COUNT,INDEX"`: process INDEX of COUNT,
            process 0 listening at that address.

    Raises:
        ValueError: on another text.
        OSError: where the others cannot be joined.
    """
    if hosts == "one":
        return
    own: dict[str, Any] = {}
    if hosts != "auto":
        # What is no port ends in a crash below, or is waited for.
        parts = re.fullmatch(r"(\S+):([0-9]{1,5}),([0-9]{1,9}),([0-9]{1,9})", hosts)
        if parts is None:
            raise ValueError(
                f"hosts must be one, auto or ADDRESS:PORT,COUNT,INDEX, got {hosts!r}"
            )
        name, port, count, index = parts[1], *map(int, parts.groups()[1:])
        check_at_least("COUNT of hosts", count, index + 1)
        if not 0 < port < 2**16:
            raise ValueError(f"PORT of hosts must be in [1, 65535], got {port}")
        if index == 0:
            _check_free(name, port)
        address = f"{name}:{port}"
        own = dict(
            coordinator_address=address,
            num_processes=count,
            process_id=index,
            # The socket opens at the address that was given, by default at all.
            coordinator_bind_address=address if index == 0 else None,
            heartbeat_timeout_seconds=DEAD_AFTER,
        )
    try:
        jax.distributed.initialize(**own)
    except (RuntimeError, ValueError) as error:  # of the layers below
        raise OSError(f"hosts {hosts} cannot be joined: {in_short(error)}") from error


def _check_free(name: str, port: int) -> None:
    """Raise `OSError` where nothing can listen; what starts below would crash later."""
    try:
        family, kind, *_, where = socket.getaddrinfo(
            name.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except (OSError, UnicodeError) as error:
        raise OSError(
            f"hosts: process 0 cannot listen at {name}:{port}: {in_short(error)}"
        ) from error


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
