"""Meshes and shardings: axes `seed`, `data`, `model`, always passed explicitly."""

import platform
from collections.abc import Collection
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jidcl import __version__
from jidcl.checks import check_at_least, check_memory
from jidcl.numerics import numbers_in
from jidcl.types import Program

AXES = ("seed", "data", "model")
SEED_BYTES = 1024  # of a seed at least: its number, and its scores in a record


def make_mesh(
    *, seed: int = 1, data: int = 1, model: int = 1, devices: Any = None
) -> Mesh:
    """Mesh of seed x data x model devices with automatic axis types.

    Args:
        seed: devices over which independent runs are spread.
        data: devices over which each batch is spread.
        model: devices over which parameters are spread (1 for small encoders).
        devices: which ones; the first seed x data x model of `jax.devices()`.

    Returns:
        A `jax.sharding.Mesh` with axes `AXES`.

    Raises:
        ValueError: if an axis is < 1 or there are too few devices.

    Example:
        >>> make_mesh().axis_names
        ('seed', 'data', 'model')
    """
    shape = {"seed": seed, "data": data, "model": model}
    for name, size in shape.items():
        check_at_least(f"mesh axis {name}", size, 1)
    devices = list(jax.devices() if devices is None else devices)
    wanted = seed * data * model
    if wanted > len(devices):
        raise ValueError(
            f"devices {shape} must be at most {len(devices)} in all (those that `jidcl "
            f"doctor` lists), got {wanted}"
        )
    grid = np.asarray(devices[:wanted]).reshape(tuple(shape.values()))
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def over_seeds(mesh: Mesh) -> NamedSharding:
    """Leading axis over `seed`: the state of many runs."""
    return NamedSharding(mesh, P("seed"))


def over_batch(mesh: Mesh) -> NamedSharding:
    """Leading axis over `data`: one batch (inside the vmap over seeds)."""
    return NamedSharding(mesh, P("data"))


def everywhere(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, P())


def place(shared: Any, mesh: Mesh) -> Any:
    """A program's shared arrays on every device; what is there already stays.

    Args:
        shared: a tree of arrays, or None.
        mesh: the devices.

    Returns:
        The tree, replicated; None for None.
    """
    return None if shared is None else jax.device_put(shared, everywhere(mesh))


def shared_on(program: Program, mesh: Mesh) -> tuple:
    """The further argument of a program: its shared arrays; none where it has none."""
    with numbers_in(program.precision):
        return () if program.shared is None else (place(program.shared, mesh),)


def check_seeds(seeds: Any) -> list[int]:
    """Seeds by their number (0, 1, ...), or which, as integers.

    `ValueError` unless they are distinct and at least one.
    """
    if isinstance(seeds, int | np.integer):
        seeds = range(seeds)
    if isinstance(seeds, Collection):
        check_memory("number of seeds", len(seeds), len(seeds), width=SEED_BYTES)
    numbers = [int(seed) for seed in seeds]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"seeds must be distinct and at least one, got {numbers}")
    if not all(0 <= number < 2**31 for number in numbers):
        raise ValueError(f"seeds must be in [0, 2^31), got {numbers}")
    return numbers


def check_divisible(mesh: Mesh, *, seeds: int, batch: int | None = None) -> None:
    """Raise `ValueError` unless seeds and batch divide evenly over their axes."""
    for name, size, axis in (("seeds", seeds, "seed"), ("batch", batch, "data")):
        if size is not None and size % mesh.shape[axis]:
            raise ValueError(
                f"{name} must be a multiple of mesh axis {axis} "
                f"({mesh.shape[axis]}), got {size}"
            )


def environment(mesh: Mesh) -> dict[str, Any]:
    """Versions and devices, for `env.json`."""
    import flax
    import optax

    return {
        "jidcl": __version__,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "numpy": np.__version__,
        "devices": [f"{d.platform} {d.device_kind}" for d in mesh.devices.flat],
        "mesh": dict(mesh.shape),
    }
