"""The data of the published runs on exchangeable environments, from their streams.

Drawn on the host, by the legacy generators of NumPy and Python and their seed.

Source: Guo, Toth, Schoelkopf, Huszar 2023, *Causal de Finetti*, published code.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from jidcl.checks import check_choice, check_count, check_type
from jidcl.latents.environments import PairDraws, table_of


def recorded_pairs(
    environments: int,
    *,
    counts: Sequence[int] = (100, 200, 300, 400, 500),
    repetitions: int = 100,
    seed: int = 42,
) -> PairDraws:
    """The data sets of the published runs, from the stream that drew them.

    Args:
        environments: of the data sets that are returned, one of `counts`.
        counts: numbers of environments, in the order drawn from one stream.
        repetitions: data sets of each.
        seed: of NumPy's legacy generator.

    Returns:
        `PairDraws` of NumPy arrays, `[repetitions, ...]` each. Noise has the
        parameter taken off again.

    Raises:
        ValueError: where `environments` is none of `counts`.

    Example:
        >>> recorded_pairs(100, counts=(100,), repetitions=2).noise.shape
        (2, 2, 100, 2)

    Source: Guo et al. 2023, published code (seed 42).
    """
    for name, value in (("repetitions", repetitions), ("environments", environments)):
        check_count(name, value)
    check_type("counts", counts, tuple | list)
    check_choice("environments", str(environments), [str(count) for count in counts])
    stream, held = np.random.RandomState(seed), []
    for count in counts:
        held = [_recorded_pair(stream, count) for _ in range(repetitions)]
        if count == environments:
            break
    return PairDraws(*(np.stack(part) for part in zip(*held, strict=True)))


def _recorded_pair(stream: np.random.RandomState, count: int) -> PairDraws:
    parameters = stream.uniform(-1, 1, (2, count))
    located = np.repeat(parameters[:, :, None], 2, axis=2)
    noise = stream.laplace(loc=located, size=(2, count, 2)) - located
    structure, a = stream.choice(3), np.eye(2)
    if structure < 2:
        drawn = stream.randint(1, 10, (2, 2))
        a = np.tril(drawn) if structure == 0 else np.triu(drawn)
        a[structure, structure] = 1
    mask = np.zeros(count)
    mask[stream.choice(count, count // 2, replace=False)] = 1
    strength = stream.randint(1, 10)
    return PairDraws(parameters, noise, structure, a * 1.0, mask, strength * 1.0)


def recorded_binary(
    environments: int,
    *,
    counts: Sequence[int] = (2000, 4000, 6000, 8000, 10000),
    repetitions: int = 100,
    seed: int = 42,
) -> tuple[np.ndarray, np.ndarray]:
    """Tables and graphs of the published multivariate runs, from their streams.

    Args:
        environments: as in `recorded_pairs`.
        counts: as in `recorded_pairs`.
        repetitions: as in `recorded_pairs`.
        seed: of NumPy's legacy generator and of Python's.

    Returns:
        `(tables, graphs)`: `[repetitions, 2, 2, 2, 2, 2, 2]` counts of the three
        variables at position 1, then at position 2, and `[repetitions, 3, 3]`.

    Raises:
        ValueError: where `environments` is none of `counts`.

    Example:
        >>> float(recorded_binary(50, counts=(50,), repetitions=2)[0].sum())
        100.0

    Source: Guo et al. 2023, published code (seed 42).
    """
    for name, value in (("repetitions", repetitions), ("environments", environments)):
        check_count(name, value)
    check_type("counts", counts, tuple | list)
    check_choice("environments", str(environments), [str(count) for count in counts])
    stream, coins = np.random.RandomState(seed), random.Random(seed)
    tables: list[Any] = []
    graphs: list[Any] = []
    for count in counts:
        graphs = [None] * repetitions
        tables = [None] * repetitions
        for r in range(repetitions):
            graphs[r] = _recorded_graph(coins)
            theta = stream.beta(1, 3, (count, 3))
            drawn = [stream.binomial(1, theta[:, d], (2, count)) for d in range(3)]
            tables[r] = table_of(_on_host(np.stack(drawn), graphs[r]))
        if count == environments:
            break
    return np.stack(tables), np.stack(graphs)


def _recorded_graph(coins: random.Random) -> np.ndarray:
    while True:
        pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
        drawn = [pair for pair in pairs if coins.random() < 0.5]
        edges = [(i, j) for i, j in drawn if i < j]
        for _ in edges:
            coins.randint(-10, 10)  # a weight that nothing uses
        graph = np.zeros((3, 3), bool)
        for i, j in edges:
            graph[i, j] = True
        if (graph.any(0) | graph.any(1)).all():
            return graph


def _on_host(factors: np.ndarray, graph: np.ndarray) -> np.ndarray:
    values = factors.copy()
    for d in range(len(values)):
        parents = np.flatnonzero(graph[:, d])
        if len(parents):
            values[d] ^= np.prod(values[parents], axis=0)
    return values
