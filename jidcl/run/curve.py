"""The curve of a run: its points, and what lies between them."""

from collections.abc import Iterable
from typing import Any

import numpy as np


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


def packed(curve: list, seen: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """The curve and the metrics since its last point, as JSON holds them."""
    chunks = [
        {name: [v.dtype.name, v.tolist()] for name, v in chunk.items()}
        for chunk in seen
    ]
    return {"curve": curve, "seen": chunks}


def unpacked(chunks: list) -> list[dict[str, np.ndarray]]:
    """The metrics that `packed` holds, each in its dtype."""
    return [
        {name: np.asarray(values, dtype) for name, (dtype, values) in chunk.items()}
        for chunk in chunks
    ]
