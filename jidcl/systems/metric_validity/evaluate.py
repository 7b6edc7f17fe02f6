"""Scores of cells: factors of a known law, codes of a known map, by NumPy.

A seed of JAX becomes one of NumPy; what is drawn and scored is computed on the host.
"""

from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.metrics import (
    dci_lasso,
    dci_trees,
    determination,
    fit_affine,
    fold_rows,
    held_out_mcc,
    info_mc,
    mcc,
    mig,
    rdc,
    tmex,
)
from jidcl.metrics.chance import null_law
from jidcl.systems.metric_validity.factors import draw_codes, draw_factors
from jidcl.systems.metric_validity.presets import MetricValidity
from jidcl.theory import structural_laws
from jidcl.types import Array, Evaluation, OnHost

MATCHING = (
    *("mcc", "mcc_coverage", "mcc_held_out", "spearman", "r2", "r2_published"),
    *("chance", "chance_published"),
)
LAWS = ("law_r2", "law_coverage", "law_dci_d")
OTHERS = (
    *("rdc", "dci_d", "dci_c", "mig", "info_m", "info_m_published", "info_c"),
    *("tmex", "tmex_f1"),
)
TREES = ("dci_trees_d", "dci_trees_c")


def names_of(config: MetricValidity) -> tuple[str, ...]:
    """Names of the scores of a cell."""
    dropped = LAWS if _has_laws(config) else ()
    others = OTHERS if config.group != "matching" else ()
    return (*MATCHING, *dropped, *others, *(TREES if config.group == "trees" else ()))


def _has_laws(config: MetricValidity) -> bool:
    return config.encoder == "E4" and config.law in ("D1", "D2") and config.rho >= 0


def evaluate(config: MetricValidity, frozen: Any, key: Array) -> OnHost:
    """Scores of a cell, averaged over its draws, with their standard errors."""
    return OnHost(jax.random.key_data(key), partial(_finish, config))


def _finish(config: MetricValidity, seed: Any, xp: ModuleType) -> Evaluation:
    names = names_of(config)
    if xp is jnp:  # only shapes are asked for
        zero = jnp.zeros(())
        scores = dict.fromkeys(names, zero)
        return Evaluation(scores, errors=dict(scores) if config.draws > 1 else {})
    numbers = [int(part) for part in np.asarray(seed).ravel()]
    rows = [one_draw(config, [*numbers, i]) for i in range(config.draws)]
    held = {name: np.asarray([row[name] for row in rows]) for name in names}
    # Draws without a score are left out, as recorded; none has one: NaN.
    held = {k: x[~np.isnan(x)] if not np.isnan(x).all() else x for k, x in held.items()}
    scores = {name: x.mean() for name, x in held.items()}
    errors = {k: x.std() / np.sqrt(max(len(x) - 1, 1)) for k, x in held.items()}
    return Evaluation(scores, errors=errors if config.draws > 1 else {})


def one_draw(config: MetricValidity, seed: list[int]) -> dict[str, float]:
    """All scores of one draw of factors and map, by name.

    NaN where codes overflow: one of exp(x^3) of a factor that is a product may.
    """
    with np.errstate(over="ignore"):
        z, y = drawn(config, seed)
    if not np.isfinite(y).all():
        return dict.fromkeys(names_of(config), float("nan"))
    found = matching(config, z, y, seed[-1])
    cut = config.samples - config.scored
    z_test, y_test = z[cut:], y[cut:]
    if config.group != "matching":
        found |= others(z_test, y_test, seed[-1])
    if config.group == "trees":
        trees = dci_trees(z_test, y_test)
        found["dci_trees_d"] = float(trees.disentanglement)
        found["dci_trees_c"] = float(trees.completeness)
    return found


def drawn(config: MetricValidity, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Factors and codes, in random order of rows."""
    of_factors, of_map = (np.random.default_rng([*seed, i]) for i in (0, 1))
    own = {"rho": config.rho, "r": config.functions}
    z = draw_factors(of_factors, config.law, config.samples, config.factors, **own)
    m = config.width
    y = draw_codes(
        of_map, config.encoder, z, m=m, alpha=config.alpha, condition=config.condition
    )
    return z, y


def matching(config: MetricValidity, z: Any, y: Any, seed: int) -> dict[str, float]:
    """MCC, R2 and their laws: what is cheap."""
    cut, n = config.samples - config.scored, config.scored
    z_test, y_test = z[cut:], y[cut:]
    plain = mcc(z_test, y_test, xp=np)
    ranked = mcc(z_test, y_test, spearman=True, xp=np)
    folds = fold_rows(n, 5 if n >= 15 else 2, seed=seed) if n >= 6 else []
    held = held_out_mcc(z_test, y_test, folds, xp=np).mean if folds else np.nan
    law = null_law(z.shape[1], y.shape[1], max(n, 3))
    found = {
        "mcc": float(plain.mean),
        "mcc_coverage": float(plain.coverage),
        "mcc_held_out": float(held),
        "spearman": float(ranked.mean),
        "r2": _split_r2(z, y, cut),
        "r2_published": _published_r2(z, y, cut),
        "chance": law.expected_max,
        "chance_published": law.approximate,
    }
    if _has_laws(config):
        rho = config.rho if config.law == "D2" else 0.0
        laws = structural_laws(config.factors, config.width, rho=rho)
        values = laws.r2, laws.mcc_coverage, laws.dci_disentanglement
        found |= dict(zip(LAWS, values, strict=True))
    return found


def _split_r2(z: Any, y: Any, cut: int) -> float:
    fit = fit_affine(y[:cut], z[:cut], xp=np)
    return _clipped(z[cut:], fit(y[cut:]))


def _clipped(z: Any, found: Any) -> float:
    """Mean R2, each factor's in [0, 1]: one code of 1e30 makes one of -1e60."""
    return float(np.mean(np.clip(determination(z, found, xp=np), 0, 1)))


def _published_r2(z: np.ndarray, y: np.ndarray, cut: int) -> float:
    """Raw codes, no intercept: one of 1e30 makes the solver drop the others."""
    weights = np.linalg.lstsq(y[:cut], z[:cut], rcond=None)[0]
    return _clipped(z[cut:], y[cut:] @ weights)


def others(z: Any, y: Any, seed: int) -> dict[str, float]:
    """Scores of dependence, information and disentanglement; NaN for too few rows."""
    n, d = z.shape
    found = dict.fromkeys(OTHERS, float("nan"))
    found["rdc"] = float(rdc(z, y, seed=seed).mean)
    if n >= 10:
        lasso = dci_lasso(z, y, rounds=200)
        found["dci_d"] = float(lasso.disentanglement)
        found["dci_c"] = float(lasso.completeness)
    if n >= 40:
        found["mig"] = float(mig(z, y, xp=np).score)
    if n >= 50:
        info = info_mc(z, y, xp=np)
        found["info_m"] = float(info.modularity)
        found["info_c"] = float(info.compactness)
        same = info_mc(z, y, same_units=True, xp=np)
        found["info_m_published"] = float(same.modularity)
    if n >= max(50, 2 * (d + 2)):
        tests = tmex(z, y, seed=seed)
        found["tmex"], found["tmex_f1"] = tests.alignment, tests.f1
    return found
