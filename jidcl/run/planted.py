"""Planted representations y = h(z) whose truth is known by construction.

Each kind says how y is made of z, and whether z is then recovered up to a linear map
(`r2`) and up to permutation, sign and scale (`mcc`). NumPy, float64.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Rng = np.random.Generator
LAWS: Mapping[str, Callable[[Rng, tuple[int, int]], np.ndarray]] = {
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "laplace": lambda rng, shape: rng.laplace(size=shape),
    "student-t(3)": lambda rng, shape: rng.standard_t(3, size=shape),
    "sphere": lambda rng, shape: _unit(rng.normal(size=shape)),
    "correlated": lambda rng, shape: _correlated(rng, shape, 0.7),
}
ROWS = (200, 500, 2000)
LATENTS = (2, 3, 5, 10, 20)


class Planted(NamedTuple):
    """One representation and what is true of it.

    Attributes:
        kind: of the map from z to y.
        law: of z.
        z: `[rows, n]`.
        x: observations, `[rows, m_x]`.
        y: `[rows, m]`, m >= n.
        start: of an encoder before training: random features of x.
        in_x: whether x is a linear map of z with nothing lost.
        truth: `{"r2": recovered up to a linear map, "mcc": up to permutation}`.
    """

    kind: str
    law: str
    z: np.ndarray
    x: np.ndarray
    y: np.ndarray
    start: np.ndarray
    in_x: bool
    truth: dict[str, bool]


def plant(rng: Rng) -> Planted:
    """Draw a kind, a law, sizes, a mixing and the representation.

    Args:
        rng: a NumPy generator.

    Returns:
        What was planted.
    """
    kind = str(rng.choice(list(KINDS)))
    law = str(rng.choice(list(LAWS)))
    rows, n = int(rng.choice(ROWS)), int(rng.choice(LATENTS))
    z = LAWS[law](rng, (rows, n))
    y, linear, single = KINDS[kind](rng, z)
    in_x = bool(rng.random() < 0.15)
    x = z @ _mixing(rng, n) if in_x else _folded(rng, z)
    start = np.tanh(x @ rng.normal(size=(n, n)) / np.sqrt(n))
    if not in_x and rng.random() < 0.1:  # pixels that say nothing
        x = np.concatenate([x, rng.normal(size=(rows, min(rows - 2 * n, 300)))], axis=1)
    return Planted(kind, law, z, x, y, start, in_x, {"r2": linear, "mcc": single})


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _correlated(rng: Rng, shape: tuple[int, int], rho: float) -> np.ndarray:
    """Normal latents, any two correlated by rho."""
    common = rng.normal(size=(shape[0], 1))
    return np.sqrt(rho) * common + np.sqrt(1 - rho) * rng.normal(size=shape)


def _mixing(rng: Rng, n: int) -> np.ndarray:
    """A matrix of condition number at most 10."""
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    return left @ np.diag(rng.uniform(0.3, 3, n)) @ right


def _folded(rng: Rng, z: np.ndarray) -> np.ndarray:
    """An observation of which a linear map reads little: waves of a turned z."""
    n = z.shape[1]
    turned = (z / z.std(axis=0)) @ np.linalg.qr(rng.normal(size=(n, n)))[0]
    return np.sin(3 * turned + rng.uniform(0, 2 * np.pi, n)) + 0.3 * turned


def _signed(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Signs, scales over four decades, offsets, another order."""
    n = z.shape[1]
    scale = rng.choice([-1, 1], n) * 10 ** rng.uniform(-2, 2, n)
    return (z * scale + rng.normal(size=n) * np.abs(scale))[:, rng.permutation(n)]


def _turned(rng: Rng, z: np.ndarray) -> np.ndarray:
    """A rotation that is near no permutation."""
    n = z.shape[1]
    return (z / z.std(axis=0)) @ _apart(
        lambda: np.linalg.qr(rng.normal(size=(n, n)))[0]
    )


def _linear(rng: Rng, z: np.ndarray) -> np.ndarray:
    """A linear map that is near no permutation."""
    return (z / z.std(axis=0)) @ _apart(lambda: _mixing(rng, z.shape[1]))


def _apart(draw: Callable[[], np.ndarray]) -> np.ndarray:
    """A matrix no column of which is nearly one coordinate."""
    matrix = draw()
    while (np.abs(matrix).max(axis=0) > 0.9 * np.linalg.norm(matrix, axis=0)).any():
        matrix = draw()
    return matrix


def _noisy(rng: Rng, y: np.ndarray, share: float) -> np.ndarray:
    size = np.sqrt(share / (1 - share)) * y.std(axis=0)
    return y + size * rng.normal(size=y.shape)


def _lost(rng: Rng, z: np.ndarray) -> np.ndarray:
    """One latent replaced: by noise, or by another latent."""
    y, which = z.copy(), int(rng.integers(z.shape[1]))
    other = z[:, (which + 1) % z.shape[1]]
    y[:, which] = rng.normal(size=len(z)) if rng.random() < 0.5 else other
    return _signed(rng, y)


def _fold(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Half of the coordinates or more lose their sign."""
    y = z.copy()
    count = int(rng.integers((z.shape[1] + 1) // 2, z.shape[1] + 1))
    y[:, :count] = np.abs(y[:, :count] - np.median(y[:, :count], axis=0))
    return _signed(rng, y)


def _wide(rng: Rng, z: np.ndarray, made: np.ndarray, limit: int = 100) -> np.ndarray:
    """`made` among outputs that say nothing, up to `limit` n and half the rows."""
    rows, n = z.shape
    most = min(limit * n, rows // 2)
    extra = int(max(most - made.shape[1], 2) ** rng.uniform(0, 1))
    y = np.concatenate([made, rng.normal(size=(rows, extra))], axis=1)
    return y[:, rng.permutation(y.shape[1])]


def _crowded(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Every latent with noise, among outputs that explain the noise of these rows."""
    rows, n = z.shape
    made = _noisy(rng, _signed(rng, z), rng.uniform(0.15, 0.2))
    extra = min(int(rows * rng.uniform(0.7, 0.9)), 450) - n
    y = np.concatenate([made, rng.normal(size=(rows, extra))], axis=1)
    return y[:, rng.permutation(y.shape[1])]


def _more_than_rows(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Nothing but noise, in nearly as many outputs as there are rows."""
    return rng.normal(size=(len(z), min(int(len(z) * rng.uniform(0.96, 0.995)), 500)))


def _redundant(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Each latent twice, one of them with noise, and sums of neighbours."""
    y = _signed(rng, z)
    sums = y / y.std(axis=0) + np.roll(y / y.std(axis=0), 1, axis=1)
    return np.concatenate([y, _noisy(rng, y, 0.05), sums], axis=1)


def _constant(rng: Rng, z: np.ndarray) -> np.ndarray:
    """Outputs that never change: all, or all but one."""
    y = np.ones_like(z) * rng.normal(size=z.shape[1])
    if rng.random() < 0.5:
        y[:, 0] = z[:, 0]
    return y


KINDS: Mapping[str, Callable[[Rng, np.ndarray], tuple[np.ndarray, bool, bool]]] = {
    "permutation and scale": lambda rng, z: (_signed(rng, z), True, True),
    "rotation": lambda rng, z: (_turned(rng, z), True, False),
    "linear": lambda rng, z: (_linear(rng, z), True, False),
    "linear in |z|": lambda rng, z: (
        np.abs(z) @ _mixing(rng, z.shape[1]),
        False,
        False,
    ),
    "folds": lambda rng, z: (_fold(rng, z), False, False),
    "one latent lost": lambda rng, z: (_lost(rng, z), False, False),
    "little noise": lambda rng, z: (
        _noisy(rng, _signed(rng, z), rng.uniform(0.001, 0.02)),
        True,
        True,
    ),
    "much noise": lambda rng, z: (
        _noisy(rng, _signed(rng, z), rng.uniform(0.2, 0.8)),
        False,
        False,
    ),
    "redundant outputs": lambda rng, z: (_redundant(rng, z), True, True),
    "many outputs": lambda rng, z: (_wide(rng, z, _signed(rng, z)), True, True),
    "many outputs of noise": lambda rng, z: (
        _wide(rng, z, rng.normal(size=z.shape)),
        False,
        False,
    ),
    "noise among many outputs": lambda rng, z: (_crowded(rng, z), False, False),
    "noise in as many outputs as rows": lambda rng, z: (
        _more_than_rows(rng, z),
        False,
        False,
    ),
    "noise": lambda rng, z: (rng.normal(size=z.shape), False, False),
    "constants": lambda rng, z: (_constant(rng, z), False, False),
    "bent": lambda rng, z: (np.sign(z) * z**4, False, False),
}


def parts_of(planted: Planted) -> dict[str, Any]:
    """Kind, law and sizes of a case, for a table of the worst ones.

    Args:
        planted: the case.

    Returns:
        `kind`, `law`, `rows`, `n` and `m`.
    """
    rows, n = planted.z.shape
    return dict(
        kind=planted.kind, law=planted.law, rows=rows, n=n, m=planted.y.shape[1]
    )
