"""Reference vectors of causal de Finetti: which public function each kind replays."""

from itertools import permutations
from typing import Any

import jax.numpy as jnp
import numpy as np

from jidcl.latents import (
    STRUCTURES,
    PairDraws,
    binary_variables,
    observe_pairs,
    table_of,
)
from jidcl.metrics import (
    KernelTest,
    chatterjee_xi,
    g_test,
    hsic,
    kci_conditional,
    kci_unconditional,
    normalised_shd,
)
from jidcl.metrics.gram import median_distance
from jidcl.metrics.kernel_independence import CUT, EPSILON
from jidcl.systems.causal_definetti.graphs import (
    all_tests,
    edge_test,
    level_test,
    search,
)
from jidcl.systems.causal_definetti.pairs import bivariate_decision
from jidcl.systems.contract import Erratum, on_host
from jidcl.theory import linear_pair

Outputs = dict[str, Any]
_VARY = {"both": "both", "cause": "cause", "mechanism": "mechanism"}
_VARY |= {name: name for name in ("legacy_row0_noise", "legacy_row1_noise")}


def _gamma(found: KernelTest) -> Outputs:
    held = {"stat": found.statistic, "mean": found.mean, "var": found.variance}
    held |= {"k": found.mean**2 / found.variance, "p": found.p}
    return held | {"theta": found.variance / found.mean}


@on_host
def _kci_unconditional(params: Any, inputs: Any) -> Outputs:
    return _gamma(kci_unconditional(inputs["x"][:, None], inputs["y"][:, None]))


@on_host
def _kci_conditional(params: Any, inputs: Any) -> Outputs:
    if (params["eps"], params["eig_rel_threshold"]) != (EPSILON, CUT):
        raise ValueError(f"eps and threshold must be {EPSILON}, {CUT}, got {params}")
    x, y, z = inputs["x"][:, None], inputs["y"][:, None], inputs["z"]
    found = {}
    for name, pair in {"xy": (x, y), "yx": (y, x)}.items():
        short = kci_conditional(*pair, z, form="truncated")
        ranks = {"rank_x": short.rank_x, "rank_y": short.rank_y}
        whole = {"p_untruncated": kci_conditional(*pair, z).p}
        found[name] = {**_gamma(short), **ranks, **whole}
    return found


@on_host
def _g_test(params: Any, inputs: Any) -> Outputs:
    x, y, z = (np.asarray(inputs[name]).astype(int) for name in ("x", "y", "z"))
    k = len(z)
    columns: Any = (x, y, z.T if k else None)
    found = g_test(*columns)
    cell = sum((z[j] * 2 ** (k - 1 - j) for j in range(k)), np.zeros(len(x), int))
    counts = np.zeros((2, 2, 2**k))
    np.add.at(counts, (x, y, cell), 1)
    empty = int((counts == 0).sum())
    return {
        "counts": counts,
        "g": found.statistic,
        "df": 2**k,
        "p": found.p,
        "zero_cells": empty,
    }


@on_host
def _bivariate_rule(params: Any, inputs: Any) -> Outputs:
    found = np.asarray(bivariate_decision(inputs["p_values"], params["alpha"]))
    return {"decision": [STRUCTURES[index] for index in found]}


@on_host
def _bivariate_dgp(params: Any, inputs: Any) -> Outputs:
    systems = []
    for held in inputs["systems"]:
        draws = PairDraws(
            held["env_params"],
            held["unit_laplace"],
            STRUCTURES.index(held["structure"]),
            held["A"],
            held["quadratic_env_mask"],
            held["r"],
        )
        seen = {name: observe_pairs(draws, vary=vary) for name, vary in _VARY.items()}
        systems.append({name: {"x": x, "y": y} for name, (x, y) in seen.items()})
    return {"systems": systems}


@on_host
def _linear_gaussian_ci(params: Any, inputs: Any) -> Outputs:
    systems = []
    for row in np.asarray(inputs["params_a_vartheta_vareps_varpsi_vareta"]):
        found = linear_pair(*row.tolist())
        systems.append(
            {
                "covariance": found.covariance,
                "pcorr_x1_y2_given_x2": found.x1_y2_given_x2,
                "pcorr_y1_x2_given_y2": found.y1_x2_given_y2,
                "corr_x1_y1": found.x1_y1,
                "unfaithful_determinant": found.determinant,
            }
        )
    return {"systems": systems}


@on_host
def _multivariate(params: Any, inputs: Any) -> Outputs:
    count, alpha = params["n_vars"], params["alpha"]
    bits = [[[int(b) for b in row] for row in rows] for rows in inputs["factor_bits"]]
    truth = _matrix(inputs["dag"], count)
    values = np.asarray(binary_variables(np.array(bits), truth))
    table = jnp.asarray(table_of(values))
    found = search(*all_tests(table), alpha)
    level, edges = np.asarray(found.level), np.asarray(found.edges)
    held = sorted(set(level[level > 0].tolist()))
    levels = {str(i): np.flatnonzero(level == i).tolist() for i in held}
    return {
        "variable_bits": [["".join(map(str, row)) for row in rows] for rows in values],
        "level_tests": _level_tests(table, level),
        "levels": levels,
        "edge_tests": _edge_tests(table, level, edges),
        "edges": np.argwhere(edges),
        "shd_normalised": _shd(edges, truth),
    }


def _level_tests(table: Any, level: np.ndarray) -> list[Outputs]:
    """Every test of the first step, in the order in which it is made."""
    made = []
    for i in range(1, len(level) + 1):
        left = [d for d in range(len(level)) if not 0 < level[d] < i]
        for j in left:
            tests = {}
            for k in (k for k in left if k != j):
                found = level_test(table, left, j, k)
                tests[str(k)] = {"g": found.statistic, "p": found.p}
            made.append({"level": i, "candidate": j, "tests": tests})
    return made


def _edge_tests(table: Any, level: np.ndarray, edges: np.ndarray) -> list[Outputs]:
    """Every test of the second step, in the order in which it is made."""
    made = []
    pairs = list(permutations(range(len(level)), 2))
    for distance in range(1, len(level)):
        for top in range(distance + 1, len(level) + 1):
            for j, k in pairs:
                if (level[j], level[k]) != (top, top - distance):
                    continue
                near = level - level[k] < distance
                parents = edges[:, k] & near & (level != top) & (distance > 1)
                given = np.flatnonzero((level > top) | parents).tolist()
                found = edge_test(table, j, k, given)
                row = {"source": j, "target": k, "conditioning": given}
                made.append({**row, "g": found.statistic, "p": found.p})
    return made


def _matrix(edges: Any, count: int) -> np.ndarray:
    held = np.zeros((count, count), bool)
    for i, j in np.asarray(edges, int).reshape(-1, 2):
        held[i, j] = True
    return held


def _shd(found: Any, truth: Any) -> Any:
    return normalised_shd(found, truth)


@on_host
def _normalised_shd(params: Any, inputs: Any) -> Outputs:
    values = []
    for pair in inputs["pairs"]:
        found, truth = (_matrix(pair[name], 8) for name in ("estimate", "truth"))
        values.append(_shd(found, truth))
    graphs = [_matrix(e, 3) for e in _GRAPHS]
    every = [_shd(a, b) for a in graphs for b in graphs]
    return {
        "values": jnp.stack(values),
        "uniform_random_guess_expectation": jnp.mean(jnp.stack(every)),
    }


_GRAPHS = (
    [[0, 1], [1, 2]],
    [[0, 1], [0, 2]],
    [[0, 2], [1, 2]],
    [[0, 1], [0, 2], [1, 2]],
)


@on_host
def _hsic(params: Any, inputs: Any) -> Outputs:
    x, y = inputs["x"][:, None], inputs["y"][:, None]
    return {
        "lengthscale_x": median_distance(x),
        "lengthscale_y": median_distance(y),
        "statistic": hsic(x, y).statistic,
    }


@on_host
def _chatterjee_xi(params: Any, inputs: Any) -> Outputs:
    return {"xi": chatterjee_xi(inputs["x"][:, None], inputs["y"][:, None]).statistic}


CONFORMANCE = {
    "kci_unconditional": _kci_unconditional,
    "kci_conditional": _kci_conditional,
    "g_test": _g_test,
    "bivariate_rule": _bivariate_rule,
    "bivariate_dgp": _bivariate_dgp,
    "linear_gaussian_ci": _linear_gaussian_ci,
    "causal_de_finetti_multivariate": _multivariate,
    "normalised_shd": _normalised_shd,
    "hsic": _hsic,
    "chatterjee_xi": _chatterjee_xi,
}

ERRATA: list[Erratum] = []
