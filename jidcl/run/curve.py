"""The curve of a run: its points, and what lies between them."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jidcl.train.loop import ChunkEvent, NonFiniteLoss, first_bad


def check_names(metrics: Iterable[str], probed: Iterable[str]) -> None:
    """ValueError unless the names in a row of the curve differ."""
    clash = sorted({*metrics} & {*probed} | {"step"} & {*metrics, *probed})
    if clash:
        raise ValueError(
            "names of a step's metrics and of the probe's scores must differ, and be "
            f"none 'step', got {clash}"
        )


def means(seen: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean of each metric over the chunks that have it."""
    names = dict.fromkeys(name for chunk in seen for name in chunk)
    return {k: np.mean([m[k] for m in seen if k in m], axis=0) for k in names}


def living(row: dict[str, Any], alive: np.ndarray) -> dict[str, Any]:
    """A point of the curve, of some seeds only."""
    return {k: v if k == "step" else [v[i] for i in alive] for k, v in row.items()}


def packed(
    curve: list, seen: list[dict[str, np.ndarray]], dead: dict[str, str]
) -> dict[str, Any]:
    """Curve, metrics since its last point, and dead seeds, as JSON holds them."""
    chunks = [
        {name: [v.dtype.name, v.tolist()] for name, v in chunk.items()}
        for chunk in seen
    ]
    return {"curve": curve, "seen": chunks, "dead": dead}


def unpacked(chunks: list) -> list[dict[str, np.ndarray]]:
    """The metrics that `packed` holds, each in its dtype."""
    return [
        {name: np.asarray(values, dtype) for name, (dtype, values) in chunk.items()}
        for chunk in chunks
    ]


def note_dead(dead: dict[str, str], event: ChunkEvent, seeds: int) -> None:
    """Remember the seeds of a chunk whose loss is not finite.

    Args:
        dead: by seed, why it died; added to.
        event: of the chunk.
        seeds: how many there are.

    Raises:
        NonFiniteLoss: when none is left.
    """
    for seed, step in event.bad.items():
        if str(seed) not in dead:
            where = first_bad(event.state, seed)
            told = f", first in {where}" if where else ""
            dead[str(seed)] = f"loss not finite from step {step} on{told}"
    if len(dead) == seeds:
        raise NonFiniteLoss(
            f"no seed is left: {dead}: lower the learning rate, or look at the data"
        )
