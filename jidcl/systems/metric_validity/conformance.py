"""Reference vectors of metric validity: which function each kind replays."""

from typing import Any

import numpy as np

from jidcl.data.files import MissingData
from jidcl.metrics import (
    dci_lasso,
    dci_scores,
    determination,
    fit_affine,
    held_out_mcc,
    info_e,
    info_mc,
    mcc,
    mi_knn,
    mig,
    modularity_compactness,
    pcm_linear,
    permutation_test,
    tmex,
    tmex_scores,
)
from jidcl.metrics.bootstrap import seed_interval
from jidcl.metrics.dci import lasso_weights
from jidcl.metrics.rdc import basis_of, canonical
from jidcl.metrics.trees import dci_trees
from jidcl.systems.contract import Erratum, on_host
from jidcl.systems.metric_validity import factors
from jidcl.theory import null_law, population_mcc, structural_laws
from jidcl.theory.validity import verdicts

Outputs = dict[str, Any]


def _rows(value: Any) -> np.ndarray:
    return np.asarray(value).astype(int)


def _wide(value: Any) -> Any:
    return np.asarray(value, np.float64)


@on_host
def _functions(params: Any, inputs: Any) -> Outputs:
    if params["family"] == "univariate":
        return {k: f(_wide(inputs["x"])) for k, f in factors.UNIVARIATE.items()}
    x, y = _wide(inputs["x"]), _wide(inputs["y"])
    return {k: f(x, y) for k, f in factors.BIVARIATE.items()}


@on_host
def _factors(params: Any, inputs: Any) -> Outputs:
    make = factors.one_source if params["dgp"] == "D3" else factors.two_sources
    return {"z": make(_wide(inputs["sources"]), params["r"])}


@on_host
def _equicorrelation(params: Any, inputs: Any) -> Outputs:
    held = factors.equicorrelation(params["d"], params["rho"])
    found = held._asdict()
    if held.feasible:
        found["cholesky"] = np.linalg.cholesky(held.covariance)
    return found


@on_host
def _encode(params: Any, inputs: Any) -> Outputs:
    z, name = _wide(inputs["z"]), params["encoder"]
    if name in ("E3", "E7"):
        u, v, condition = inputs["u"], inputs["v"], params["condition_number"]
        matrix = factors.mixing_matrix(_wide(u), _wide(v), condition)
        values = np.linspace(1, 1 / condition, z.shape[1])
        return {"matrix": matrix, "singular_values": values, "y": z @ matrix.T}
    index = _rows(inputs["index"])
    if name == "E8" and "thresholds" in inputs:
        return {"y": factors.intervals(z, index, _wide(inputs["thresholds"]))}
    if name == "E8":
        return {"y": factors.waves(z, index)}
    scale = _wide(inputs["scale"])
    if "functions" in params:
        own = params["functions"], params["alpha"]
        return {"y": factors.bent(z, index, scale, *own)}
    return {"y": factors.scaled(z, index, scale)}


def _mcc(params: Any, inputs: Any) -> Outputs:
    found = mcc(inputs["z"], inputs["y"], spearman=params["method"] == "spearman")
    return {
        "matched": found.mean,
        "coverage": found.coverage,
        "matrix": found.matrix,
    }


@on_host
def _train_test(params: Any, inputs: Any) -> Outputs:
    z, y = inputs["z"], inputs["y"]
    test = np.arange(params["train"], len(z))
    found = held_out_mcc(z, y, [test], spearman=params["method"] == "spearman")
    return {"matched": found.mean, "coverage": found.coverage}


@on_host
def _crossfit(params: Any, inputs: Any) -> Outputs:
    folds = _folds(inputs)
    ranks = params["method"] == "spearman"
    found = held_out_mcc(inputs["z"], inputs["y"], folds, spearman=ranks)
    return {
        "fold_scores": found.folds,
        "score": found.mean,
        "clipped": found.clipped,
        "coverage": found.coverage,
    }


def _folds(inputs: Any) -> list[np.ndarray]:
    return [_rows(rows) for rows in inputs["test_rows"]]


@on_host
def _permutation_null(params: Any, inputs: Any) -> Outputs:
    ranks = params["method"] == "spearman"

    def score(z, y):
        if params["score"] == "in-sample":
            return float(mcc(z, y, spearman=ranks, xp=np).mean)
        return float(held_out_mcc(z, y, _folds(inputs), spearman=ranks, xp=np).mean)

    orders = _rows(inputs["permutations"])
    found = permutation_test(
        score, _wide(inputs["z"]), _wide(inputs["y"]), orders=orders
    )
    return {
        "observed": found.score,
        "null": found.null,
        "p_value": found.p_value,
        "null_mean": found.null_mean,
        "null_q95": found.null_quantile,
        "adjusted": found.adjusted,
    }


@on_host
def _rdc(params: Any, inputs: Any) -> Outputs:
    cutoff = params["rank_rtol"]
    a, b = (
        basis_of(_wide(inputs[name]), _wide(inputs[f"weights_{name}"]), cutoff)
        for name in ("x", "y")
    )
    return {"rdc": canonical(a, b), "rank_x": a.shape[1], "rank_y": b.shape[1]}


@on_host
def _r2(params: Any, inputs: Any) -> Outputs:
    z, y, train = _wide(inputs["z"]), _wide(inputs["y"]), params["train"]
    fit = fit_affine(y[:train], z[:train], intercept=params["intercept"], xp=np)
    r2 = np.asarray(determination(z[train:], fit(y[train:]), xp=np))
    clipped = np.mean(np.clip(r2, 0, 1))
    return {"per_factor": r2, "clipped_mean": clipped, "mean": r2.mean()}


def _mig(params: Any, inputs: Any) -> Outputs:
    found = mig(inputs["z"], inputs["y"], bins=params["bins"])
    return {
        "mi": found.information,
        "entropy": found.entropy,
        "per_factor": found.per_factor,
        "score": found.score,
    }


def _mi_knn(params: Any, inputs: Any) -> Outputs:
    own = params["neighbours"]
    return {"mi": mi_knn(inputs["x"], inputs["label"], neighbours=own)}


def _infomec(params: Any, inputs: Any) -> Outputs:
    if "nmi" in inputs:
        return modularity_compactness(inputs["nmi"], inputs["active"])._asdict()
    found = info_mc(
        inputs["z"],
        inputs["y"],
        bins=params["bins"],
        neighbours=params["neighbours"],
        same_units=True,
    )
    return {**found._asdict(), "nmi": found.information}


@on_host
def _infoe(params: Any, inputs: Any) -> Outputs:
    return info_e(
        _wide(inputs["z"]),
        _wide(inputs["y"]),
        bins=params["bins"],
        strength=params["strength"],
        balanced=params["class_weight"] == "balanced",
    )._asdict()


def _dci_scores(params: Any, inputs: Any) -> Outputs:
    return dci_scores(inputs["importance"])._asdict()


def _dci_lasso(params: Any, inputs: Any) -> Outputs:
    own = {name: params[name] for name in ("alpha", "train")}
    found = dci_lasso(inputs["z"], inputs["y"], **own)
    weights = lasso_weights(inputs["z"], inputs["y"], **own)
    return {**found._asdict(), "weights": weights}


@on_host
def _dci_trees(params: Any, inputs: Any) -> Outputs:
    try:
        found = dci_trees(
            _wide(inputs["z"]),
            _wide(inputs["y"]),
            train=params["train"],
            trees=params["trees"],
            depth=params["depth"],
            rate=params["learning_rate"],
            leaf=params["min_samples_leaf"],
        )
    except ModuleNotFoundError as missing:
        raise MissingData(str(missing)) from missing
    return {
        **found._asdict(),
        "informativeness_test": found.informativeness,
        "informativeness_train": found.in_sample,
    }


@on_host
def _pcm(params: Any, inputs: Any) -> Outputs:
    x = _wide(inputs["x"])
    z = np.column_stack([x, _wide(inputs["z"])])
    split = _rows(inputs["train"]), _rows(inputs["test"])
    found = pcm_linear(_wide(inputs["y"])[:, None], z, [split])
    return {
        "statistic": found.statistic[0, 0],
        "p_value": found.p_value[0, 0],
        "rho": found.slope[0, 0],
    }


@on_host
def _tmex(params: Any, inputs: Any) -> Outputs:
    if "matrix" in inputs:
        return tmex_scores(_wide(inputs["matrix"]))._asdict()
    splits = list(zip(_rows(inputs["train"]), _rows(inputs["test"]), strict=True))
    found = tmex(
        _wide(inputs["z"]),
        _wide(inputs["y"]),
        splits,
        alpha=params["alpha"],
        standardise=False,
    )
    return found._asdict()


@on_host
def _null_law(params: Any, inputs: Any) -> Outputs:
    found = null_law(params["d"], params["m"], params["n"])
    return {**found._asdict(), "paper": found.approximate}


@on_host
def _structural(params: Any, inputs: Any) -> Outputs:
    return structural_laws(params["d"], params["m"], rho=params["rho"])._asdict()


@on_host
def _population(params: Any, inputs: Any) -> Outputs:
    return population_mcc(_wide(inputs["matrix"]), rho=params["rho"])._asdict()


@on_host
def _seed_interval(params: Any, inputs: Any) -> Outputs:
    return seed_interval(_wide(inputs["values"]), level=params["level"])._asdict()


@on_host
def _verdict(params: Any, inputs: Any) -> Outputs:
    null, high, low = _wide(inputs["null"]), params["high"], params["low"]
    inside = _wide(inputs["inside"])
    found = verdicts(_wide(inputs["scores"]), inside, null, high=high, low=low)
    return {"verdict": found}


CONFORMANCE = {
    "functions": _functions,
    "factors": _factors,
    "equicorrelation": _equicorrelation,
    "encode": _encode,
    "mcc": _mcc,
    "mcc_train_test": _train_test,
    "mcc_crossfit": _crossfit,
    "permutation_null": _permutation_null,
    "rdc": _rdc,
    "r2": _r2,
    "mig": _mig,
    "mi_knn": _mi_knn,
    "infomec": _infomec,
    "infoe": _infoe,
    "dci_scores": _dci_scores,
    "dci_lasso": _dci_lasso,
    "dci_trees": _dci_trees,
    "pcm_linear": _pcm,
    "tmex": _tmex,
    "null_law": _null_law,
    "structural_laws": _structural,
    "population_mcc": _population,
    "seed_interval": _seed_interval,
    "validity_verdict": _verdict,
}

ERRATA: list[Erratum] = []
