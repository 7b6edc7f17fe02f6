"""Reference vectors of LeJEPA: which public function each kind replays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.latents import unit_variance_scale
from jidcl.losses import gauss_infonce, lejepa, sigreg, whitening
from jidcl.metrics import linear_id, total_r2
from jidcl.mixing import PLANE_MAPS, couple, uncouple
from jidcl.optim import make_schedule
from jidcl.systems.contract import Erratum, on_host

Outputs = dict[str, Any]


def _with_gradient(loss, h) -> Outputs:
    (value, metrics), grad = jax.value_and_grad(loss, has_aux=True)(h)
    return {"loss": value, "grad": {"h": grad}, **metrics}


def _lejepa(params: Any, inputs: Any) -> Outputs:
    if (params["knots"], params["t_max"]) != (17, 3.0):
        raise ValueError(f"knots and t_max must be 17 and 3, got {params}")
    return _with_gradient(
        lambda h: lejepa(h, inputs["directions"], lam=params["lam"]), inputs["h"]
    )


def _sigreg_original(params: Any, inputs: Any) -> Outputs:
    half = params["knots"] // 2 + 1  # the half line of an odd number of knots

    def loss(h):
        own = dict(knots=half, t_max=params["t_max"])
        views = [sigreg(view, inputs["directions"], **own) for view in h]
        return jnp.mean(jnp.stack(views)), {}

    return _with_gradient(loss, inputs["h"])


def _whitening(params: Any, inputs: Any) -> Outputs:
    def loss(h):
        return whitening(h.reshape(-1, h.shape[-1])), {}

    return _with_gradient(loss, inputs["h"])


def _gauss_infonce(params: Any, inputs: Any) -> Outputs:
    return _with_gradient(
        lambda h: gauss_infonce(*h, sigma=params["sigma"]), inputs["h"]
    )


def _mix2d(params: Any, inputs: Any) -> Outputs:
    return {name: maps.mix(inputs["z"]) for name, maps in PLANE_MAPS.items()}


def _coupling(params: Any, inputs: Any) -> Outputs:
    own, other = {"kernels": inputs["W"]}, {"kernels": inputs["V"]}
    x = couple(own, inputs["z"])
    return {
        "x": x,
        "inverse_same": uncouple(own, x),
        "inverse_other": uncouple(other, x),
    }


@on_host
def _gennorm_scale(params: Any, inputs: Any) -> Outputs:
    shapes = np.asarray(inputs["alpha"], np.float64).tolist()
    return {"scale": [unit_variance_scale(alpha) for alpha in shapes]}


def _half_constant_cosine(params: Any, inputs: Any) -> Outputs:
    rate = make_schedule("half_constant_cosine", params["base"], params["total"])
    return {"lr": jax.vmap(rate)(inputs["step"])}


def _linear_id_metrics(params: Any, inputs: Any) -> Outputs:
    z, x, h = inputs["z"], inputs["x"], inputs["h"]
    scores = linear_id(z, h, inputs["h_prime"], params["rho"])._asdict()
    scores["D_bound"], scores["L_h"] = scores.pop("d_bound"), scores.pop("l_h")
    return {**scores, "r2_zx": total_r2(z, x), "r2_xz": total_r2(x, z)}


CONFORMANCE = {
    "lejepa": _lejepa,
    "sigreg_original": _sigreg_original,
    "whitening": _whitening,
    "gauss_infonce": _gauss_infonce,
    "mix2d": _mix2d,
    "coupling": _coupling,
    "gennorm_scale": _gennorm_scale,
    "half_constant_cosine": _half_constant_cosine,
    "linear_id_metrics": _linear_id_metrics,
}

ERRATA: list[Erratum] = []
