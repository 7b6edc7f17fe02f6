"""Where `tile="auto"` takes the kernels: the rule, and what was measured for it.

A kernel is taken where, on this kind of device, (1) values and gradients were compared
with float64 (`benchmarks/accelerator.sh` writes it down), and (2) it was faster than
the tiles for this similarity, precision and width, in float32, at as many pairs or
fewer. Everything else, and every device that is not in the table, takes the tiles: a
width that nobody measured is another program.
"""

import dataclasses

import jax

from jidcl.losses.similarity import Similarity


@dataclasses.dataclass(frozen=True)
class Measured:
    """A kernel beside the tiles, on one kind of device.

    Attributes:
        device: as JAX names it, `jax.Device.device_kind`.
        similarity: s.
        features: width of the rows.
        pairs: rows times columns.
        tiles_ms: milliseconds of a loss with its gradients in tiles.
        kernel_ms: by the kernels.
        timed: the file with the times, in the repository.
        verified: the file that says that values and gradients are right on this
            device; None: nobody has looked.

    Example:
        >>> MEASURED[0].tiles_ms > MEASURED[0].kernel_ms
        True
    """

    device: str
    similarity: Similarity
    features: int
    pairs: int
    tiles_ms: float
    kernel_ms: float
    timed: str
    verified: str | None = None

    @property
    def taken(self) -> bool:
        """Whether such pairs, as many or more, are left to the kernel."""
        return self.verified is not None and self.kernel_ms < self.tiles_ms


_H100 = "NVIDIA H100 80GB HBM3"
_NARROW = _H100, "benchmarks/results/h100/losses/results.json"
_WIDE = _H100, "benchmarks/results/h100/wide/results.json"
_FAST = Similarity(precision="fast")


def _on(where, similarity, features, batch, tiles_ms, kernel_ms) -> Measured:
    device, timed = where
    times = tiles_ms, kernel_ms
    return Measured(device, similarity, features, batch**2, *times, timed)


# No row is verified yet: `pytest -m gpu` has not been run on a GPU.
MEASURED = (
    _on(_NARROW, Similarity(), 10, 6144, 1.66, 0.58),
    _on(_NARROW, _FAST, 10, 6144, 1.03, 0.63),
    _on(_NARROW, Similarity("lp", 1), 10, 6144, 1.58, 0.61),
    _on(_NARROW, Similarity("lp", 2), 10, 6144, 1.71, 0.56),
    _on(_NARROW, Similarity("lp", 3), 10, 6144, 1.27, 0.69),
    _on(_WIDE, Similarity(), 128, 65536, 176.8, 112.9),
    _on(_WIDE, _FAST, 128, 65536, 79.7, 52.8),
)


def kernel_is_chosen(
    similarity: Similarity,
    rows: int,
    cols: int,
    features: int,
    device: str | None = None,
) -> bool:
    """Whether `tile="auto"` leaves such pairs to the kernels on a device.

    Args:
        similarity: s, as `jidcl.losses.rows.as_multiplied` has it.
        rows: of a, >= 1.
        cols: of b, >= 1.
        features: width of both, >= 1.
        device: `jax.Device.device_kind`; None: of the first local device.

    Returns:
        True where a row of `MEASURED` says so, False elsewhere.

    Example:
        >>> kernel_is_chosen(Similarity(), 6144, 6144, 10, "cpu")
        False

    Source: `benchmarks/results/h100` (the times).
    """
    devices = {
        row.device
        for row in MEASURED
        if row.taken
        and (row.similarity, row.features) == (similarity, features)
        and rows * cols >= row.pairs
    }
    # Only who may need it asks for the device, which starts JAX's backends.
    return bool(devices) and (device or _local_device()) in devices


def _local_device() -> str:
    return jax.local_devices()[0].device_kind
