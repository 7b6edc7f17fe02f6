"""Factors of a known law, codes of a known map: D1-D4, E1-E10. NumPy alone.

Every random choice is an argument or comes from a `numpy.random.Generator`.

Source: Joshi, Saulus, Brendel, Brouillard, Sridhar, Reizinger 2026, published code.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Rows = np.ndarray


def _signed_log(x: Rows) -> Rows:
    # Called invertible, and is not: it falls to -ln 2 at 0 and jumps to ln 2.
    return np.sign(x) * np.log1p(np.abs(3 * x + 1))


UNIVARIATE: dict[str, Callable[[Rows], Rows]] = {
    "tanh_cubic": lambda x: np.tanh(2 * x**3 - 0.1),
    "sinh_cubic": lambda x: np.sinh(2 * x**3 + 0.1),
    "signed_root": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
    "cube": lambda x: x**3,
    "fifth": lambda x: x**5,
    "exp": np.exp,
    "signed_log": _signed_log,
}
BIVARIATE: dict[str, Callable[[Rows, Rows], Rows]] = {
    "product": lambda x, y: x * y,
    "sum": lambda x, y: x + y,
    "squares": lambda x, y: x**2 + y**2,
    "tanh_product": lambda x, y: np.tanh(x) * np.tanh(y),
    "root_product": lambda x, y: np.sign(x * y) * np.sqrt(np.abs(x * y)),
}


class Equicorrelation(NamedTuple):
    """Covariance of factors of one correlation.

    Attributes:
        covariance: 1 on the diagonal, rho off it, `[d, d]`.
        smallest_eigenvalue: of it.
        lowest_rho: the least rho that a covariance can have: -1 / (d - 1).
        feasible: rho >= lowest_rho.
    """

    covariance: Rows
    smallest_eigenvalue: float
    lowest_rho: float
    feasible: bool


def equicorrelation(d: int, rho: float) -> Equicorrelation:
    """The covariance of D2."""
    covariance = np.full((d, d), rho) + (1 - rho) * np.eye(d)
    least = min(1 - rho, 1 + (d - 1) * rho) if d > 1 else 1.0
    lowest = -1 / (d - 1) if d > 1 else -1.0
    return Equicorrelation(covariance, least, lowest, rho >= lowest)


def one_source(sources: Rows, r: int) -> Rows:
    """D3: [s_1, f_1(s_1) .. f_r(s_1), s_2 ..]."""
    functions = list(UNIVARIATE.values())
    own = [functions[i % len(functions)](sources[:, 0]) for i in range(r)]
    return np.column_stack([sources[:, 0], *own, sources[:, 1:]])


def two_sources(sources: Rows, r: int) -> Rows:
    """D4: [s_1, s_2, g_1(s_1, s_2) .. g_r(s_1, s_2), s_3 ..]."""
    functions = list(BIVARIATE.values())
    a, b = sources[:, 0], sources[:, 1]
    own = [functions[i % len(functions)](a, b) for i in range(r)]
    return np.column_stack([a, b, *own, sources[:, 2:]])


def draw_factors(
    rng: np.random.Generator, law: str, n: int, d: int, *, rho: float = 0.5, r: int = 1
) -> Rows:
    """Factors `[n, d]` of D1, D2, D3 or D4.

    Args:
        rng: draws.
        law: its name.
        n: samples.
        d: factors.
        rho: correlation, of D2.
        r: factors that are functions of others, of D3 and D4; < d / 2.

    Returns:
        `[n, d]`.
    """
    if law == "D1":
        return rng.normal(size=(n, d))
    if law == "D2":
        held = equicorrelation(d, rho)
        values, vectors = np.linalg.eigh(held.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))[None]
        return rng.normal(size=(n, d)) @ root.T
    make = one_source if law == "D3" else two_sources
    return make(rng.normal(size=(n, d - r)), r)


# Codes -------------------------------------------------------------------------------


def scaled(z: Rows, index: Rows, scale: Rows) -> Rows:
    """E1, E4, E5: y_j = a_j z_index(j)."""
    return z[:, index] * scale[None]


def bent(
    z: Rows, index: Rows, scale: Rows, functions: Sequence[str], alpha: float = 1.0
) -> Rows:
    """E2, E6: (1 - alpha) a_j z + alpha h_j(z), of factor index(j)."""
    columns = []
    for j, i in enumerate(index):
        curve = UNIVARIATE[functions[j % len(functions)]](z[:, i])
        columns.append((1 - alpha) * scale[j] * z[:, i] + alpha * curve)
    return np.column_stack(columns)


def mixing_matrix(u: Rows, v: Rows, condition: float) -> Rows:
    """E3, E7: U diag(s) V^T, s = linspace(1, 1 / condition, d)."""
    d = v.shape[0]
    return (u[:, :d] * np.linspace(1, 1 / condition, d)[None]) @ v.T


def waves(z: Rows, index: Rows) -> Rows:
    """E8 with two codes: sin z and cos z of each factor."""
    parts = [f(z[:, i]) for i in index for f in (np.sin, np.cos)]
    return np.column_stack(parts)


def intervals(z: Rows, index: Rows, thresholds: Rows) -> Rows:
    """E8 with k codes: code j holds z where its sigmoid is in the j-th interval.

    Args:
        z: `[n, d]`.
        index: order of the factors, `[d]`.
        thresholds: rising from 0 to 1, `[d, k + 1]`, of the factors in that order.

    Returns:
        `[n, d k]`.
    """
    parts = []
    for i, edges in zip(index, thresholds, strict=True):
        p = 1 / (1 + np.exp(-z[:, i]))
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            parts.append(np.where((p > low) & (p <= high), z[:, i], 0))
    return np.column_stack(parts)


def own_width(encoder: str, d: int) -> int:
    """How many codes an encoder makes of d factors where no number is given."""
    own = {"E4": d - 1, "E5": d + 1, "E6": d + 1, "E7": 2 * d, "E8": 2 * d}
    return own.get(encoder, d)


def draw_codes(
    rng: np.random.Generator,
    encoder: str,
    z: Rows,
    *,
    m: int | None = None,
    alpha: float = 1.0,
    condition: float = 10.0,
) -> Rows:
    """Codes `[n, m]` of z by E1 .. E10.

    Args:
        rng: draws the map.
        encoder: its name.
        z: factors, `[n, d]`.
        m: codes; None: `own_width`.
        alpha: of E2: 0 is E1 without signs, 1 the functions alone.
        condition: of E3 and E7: largest over least singular value.

    Returns:
        `[n, m]`.
    """
    n, d = z.shape
    count = own_width(encoder, d) if m is None else m
    scale = rng.uniform(0.5, 2, size=count)
    if encoder in ("E1", "E4", "E5"):
        scale = scale * rng.choice([-1.0, 1.0], size=count)
    names = list(UNIVARIATE)
    if encoder in ("E1", "E2"):
        index = rng.permutation(d)
        return (
            scaled(z, index, scale)
            if encoder == "E1"
            else bent(z, index, scale, names, alpha)
        )
    if encoder == "E4":  # the last ones
        return scaled(z, np.arange(d - count, d), scale)
    if encoder in ("E5", "E6"):
        index = np.concatenate([np.arange(d), rng.integers(0, d, size=count - d)])
        index = rng.permutation(index)
        if encoder == "E5":
            return scaled(z, index, scale)
        return bent(z, index, np.ones(count), names)
    if encoder in ("E3", "E7"):
        u, v = (_orthogonal(rng, size) for size in (count, d))
        return z @ mixing_matrix(u, v, condition).T
    if encoder == "E8":
        k, index = count // d, rng.permutation(d)
        if k == 2:
            return waves(z, index)
        inner = np.sort(rng.uniform(size=(d, k - 1)), axis=1)
        edges = np.column_stack([np.zeros(d), inner, np.ones(d)])
        return intervals(z, index, edges)
    if encoder == "E9":
        return rng.normal(size=(n, count))
    return rng.uniform(-1, 1, size=(n, count))


def _orthogonal(rng: np.random.Generator, size: int) -> Rows:
    q, r = np.linalg.qr(rng.normal(size=(size, size)))
    return q * np.sign(np.diag(r))[None]
