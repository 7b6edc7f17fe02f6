"""The curve of a run: its points, and what lies between them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jidcl.train.loop import ChunkEvent, NonFiniteLoss
from jidcl.train.nonfinite import what_was_bad
from jidcl.types import Program


def check_names(metrics: Iterable[str], probed: Iterable[str]) -> None:
    """Refuse names that a row of the curve would have twice.

    Args:
        metrics: names of a step's metrics.
        probed: names of the probe's scores.

    Raises:
        ValueError: where one is in both, or is `step`.
    """
    clash = sorted({*metrics} & {*probed} | {"step"} & {*metrics, *probed})
    if clash:
        raise ValueError(
            "names of a step's metrics and of the probe's scores must differ, and be "
            f"none 'step', got {clash}"
        )


def means(seen: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The mean of each metric over the chunks that have it.

    Args:
        seen: metrics of chunks, `[seeds]` each, by name.

    Returns:
        The means by name.
    """
    names = dict.fromkeys(name for chunk in seen for name in chunk)
    return {k: np.mean([m[k] for m in seen if k in m], axis=0) for k in names}


def living(row: dict[str, Any], alive: np.ndarray) -> dict[str, Any]:
    """A point of the curve, of some seeds only.

    Args:
        row: `step`, and a list over seeds for each name.
        alive: positions of the seeds that are kept.

    Returns:
        The same for those seeds.
    """
    return {k: v if k == "step" else [v[i] for i in alive] for k, v in row.items()}


def packed(
    curve: list, seen: list[dict[str, np.ndarray]], dead: dict[str, str]
) -> dict[str, Any]:
    """What a run keeps in its checkpoints, as JSON holds it.

    Args:
        curve: rows so far.
        seen: metrics of the chunks since the last row.
        dead: by seed, why it died.

    Returns:
        A dict of the three.
    """
    chunks = [
        {name: [v.dtype.name, v.tolist()] for name, v in chunk.items()}
        for chunk in seen
    ]
    return {"curve": curve, "seen": chunks, "dead": dead}


def unpacked(chunks: list) -> list[dict[str, np.ndarray]]:
    """The metrics that `packed` holds, each in its dtype.

    Args:
        chunks: its `seen`.

    Returns:
        Metrics of chunks, `[seeds]` each, by name.
    """
    return [
        {name: np.asarray(values, dtype) for name, (dtype, values) in chunk.items()}
        for chunk in chunks
    ]


def note_dead(
    dead: dict[str, str],
    event: ChunkEvent,
    seeds: Sequence[int],
    phases: Sequence[tuple[Program, int]],
) -> None:
    """Remember the seeds of a chunk whose loss is not finite.

    Args:
        dead: by seed, why it died; added to.
        event: of the chunk.
        seeds: all of them, in order.
        phases: programs of the run, each with the update up to which it holds.

    Raises:
        NonFiniteLoss: when none is left.
    """
    program = next(program for program, until in phases if event.step <= until)
    for index, step in event.bad.items():
        seed = str(seeds[index])
        if seed not in dead:
            told = what_was_bad(program, event.state, index, step)
            dead[seed] = f"loss not finite from step {step} on{told}"
    if len(dead) == len(seeds):
        raise NonFiniteLoss(
            f"no seed is left: {dead}: lower the learning rate, or look at the data"
        )
