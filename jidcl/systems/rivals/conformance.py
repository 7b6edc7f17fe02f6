"""Reference vectors of the rivals: which public function each kind replays."""

from collections.abc import Callable
from typing import Any

import jax

from jidcl.losses import (
    Similarity,
    VICRegWeights,
    barlow,
    byol,
    ema_schedule,
    moco,
    ntxent,
    pairwise,
    simsiam,
    sinkhorn_codes,
    swav,
    vicreg,
)
from jidcl.systems.contract import Erratum

Outputs = dict[str, Any]
Loss = Callable[..., tuple[jax.Array, Any]]


def _with_gradients(loss: Loss, inputs: Any, names: str) -> tuple[Outputs, Any]:
    """`loss` and `grad` by the inputs named, and the metrics; other inputs fixed."""

    def of(trained):
        return loss(**{**inputs, **trained})

    trained = {name: inputs[name] for name in names.split()}
    (value, metrics), grads = jax.value_and_grad(of, has_aux=True)(trained)
    return {"loss": value, "grad": grads}, metrics


def _ntxent(params: Any, inputs: Any) -> Outputs:
    def loss(z1, z2):
        return ntxent(z1, z2, tau=params["tau"])

    outputs, _ = _with_gradients(loss, inputs, "z1 z2")
    return outputs | {"loss_via_ntxent": loss(**inputs)[0]}


def _moco(params: Any, inputs: Any) -> Outputs:
    def loss(query, key, queue):
        return moco(query, key, queue, tau=params["tau"])

    return _with_gradients(loss, inputs, "query")[0]


def _simsiam(params: Any, inputs: Any) -> Outputs:
    def loss(p1, p2, z1, z2):
        return simsiam(p1, p2, z1, z2)

    return _with_gradients(loss, inputs, "p1 p2")[0]


def _byol(params: Any, inputs: Any) -> Outputs:
    def loss(p1, p2, t1, t2):
        return byol(p1, p2, t1, t2)

    return _with_gradients(loss, inputs, "p1 p2")[0]


def _swav(params: Any, inputs: Any) -> Outputs:
    sinkhorn = dict(epsilon=params["sinkhorn_eps"], iterations=params["sinkhorn_iters"])

    def loss(z1, z2, prototypes):
        return swav(z1, z2, prototypes, tau=params["tau"], **sinkhorn)

    outputs, _ = _with_gradients(loss, inputs, "z1 z2 prototypes")
    for view in "12":
        scores = pairwise(
            Similarity("cosine"), inputs[f"z{view}"], inputs["prototypes"]
        )
        outputs[f"scores{view}"] = scores
        outputs[f"assign{view}"] = sinkhorn_codes(scores, **sinkhorn)
    return outputs


def _barlow(params: Any, inputs: Any) -> Outputs:
    def loss(z1, z2):
        settings = dict(scale=params["scale"], epsilon=params["bn_eps"])
        return barlow(z1, z2, lam=params["lamb"], **settings)

    return _with_gradients(loss, inputs, "z1 z2")[0]


def _vicreg(params: Any, inputs: Any) -> Outputs:
    weights = [params[name] for name in ("sim", "var", "cov")]

    def loss(z1, z2, views="sum"):
        full = VICRegWeights(*weights, views=views, epsilon=params["eps"])
        return vicreg(z1, z2, weights=full)

    outputs, metrics = _with_gradients(loss, inputs, "z1 z2")
    original = loss(**inputs, views="mean")[0]
    return outputs | metrics | {"loss_original_scaling": original}


def _ema_schedule(params: Any, inputs: Any) -> Outputs:
    start, end, steps = (params[name] for name in ("base", "final", "total"))
    return {"tau": ema_schedule(inputs["step"], start=start, end=end, steps=steps)}


CONFORMANCE = {
    "ntxent": _ntxent,
    "moco": _moco,
    "simsiam": _simsiam,
    "byol": _byol,
    "swav": _swav,
    "barlow": _barlow,
    "vicreg": _vicreg,
    "ema_schedule": _ema_schedule,
}

ERRATA: list[Erratum] = []
