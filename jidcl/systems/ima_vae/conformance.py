"""Reference vectors of the IMA-VAE: which public function each kind replays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.losses import (
    LatentPrior,
    decoder_variance,
    gaussian_elbo,
    gaussian_kl,
    gaussian_nll,
    sampled_kl,
)
from jidcl.metrics import (
    amari_distance,
    c_ima_of_mean_jacobian,
    column_norm_variance,
    conformal_contrast,
    global_c_ima,
    jacobians,
    local_c_ima,
    mcc,
)
from jidcl.mixing import (
    angled,
    mix,
    moebius,
    moebius_jacobian,
    normalise_columns,
    unit_determinant,
    unmoebius,
)
from jidcl.mixing.scenes.shading import hue_circle
from jidcl.mixing.scenes.sprites import physical_triangles
from jidcl.mixing.scenes.warps import affine_map, projective_map
from jidcl.systems.contract import Erratum, on_host
from jidcl.theory import (
    best_posterior,
    expected_elbo,
    ima_likelihood,
    linear_gap,
    linear_vae,
    ppca,
    small_noise_variance,
)

Outputs = dict[str, Any]


# Mixings and contrasts ----------------------------------------------------------------


def _smooth(x, alpha, kernels):
    """x = s(... s(s(x) M_1) ...) M_k: the activation comes first."""
    first = jnp.eye(kernels.shape[-1], dtype=kernels.dtype)[None]
    held = {"kernels": jnp.concatenate([first, kernels])}
    return mix(held, x, slope=alpha, activation="smooth_leaky_relu")


def _activation(params: Any, inputs: Any) -> Outputs:
    def s(x):
        kernels = jnp.ones((1, 1, 1), x.dtype)
        return _smooth(x[:, None], inputs["alpha"], kernels)[:, 0]

    slopes = jax.jvp(s, (inputs["x"],), (jnp.ones_like(inputs["x"]),))[1]
    return {"y": s(inputs["x"]), "dy": slopes}


def _cima(params: Any, inputs: Any) -> Outputs:
    j = inputs["J"]
    contrast, norms = local_c_ima(j), jnp.linalg.norm(j, axis=0)
    log_det = 2 * (jnp.sum(jnp.log(norms)) - contrast)
    return {"c_ima": contrast, "col_norms": norms, "logdet_JtJ": log_det}


def _cima_angle(params: Any, inputs: Any) -> Outputs:
    rows, columns = (
        angled(inputs["cos_theta"], columns=of_columns) for of_columns in (False, True)
    )
    return {
        "c_ima_columns_at_angle": local_c_ima(columns),
        "c_ima_rows_at_angle": local_c_ima(rows),
        "L_rows": rows,
        "L_columns": columns,
    }


def _moebius_map(inputs: Any, linear: Any = None) -> Any:
    q = inputs["Q"]
    return {
        "q": q,
        "pole": inputs["a"],
        "shift": inputs["b"],
        "scale": jnp.asarray(inputs["alpha"], q.dtype),
        "linear": jnp.eye(len(q), dtype=q.dtype) if linear is None else linear,
    }


def _moebius(params: Any, inputs: Any) -> Outputs:
    g, z = _moebius_map(inputs), inputs["z"]
    x, j = moebius(g, z), moebius_jacobian(g, z)
    zero = jnp.zeros(len(z), z.dtype)
    return {
        "x": x,
        "z_back": unmoebius(g, x),
        "J": j,
        "c_ima": local_c_ima(j),
        "scale": jnp.linalg.norm(j[..., 0], axis=-1),
        "logabsdet": -ima_likelihood(zero, j).log_px,
    }


def _moebius_linear(params: Any, inputs: Any) -> Outputs:
    linear, z = unit_determinant(inputs["M"]), inputs["z"]
    g = _moebius_map(inputs, linear)
    j = moebius_jacobian(g, z)
    return {
        "L_unit_det": linear,
        "L_col_norm": normalise_columns(inputs["M"]),
        "c_ima_L": local_c_ima(linear),
        "local_c_ima": local_c_ima(j),
        "mean_local_c_ima": global_c_ima(j),
        "x": moebius(g, z),
    }


def _mlp(params: Any, inputs: Any) -> Outputs:
    def g(z):
        return _smooth(z, inputs["alpha"], inputs["M"])

    j = jacobians(g, inputs["z"])
    return {
        "x": g(inputs["z"]),
        "J": j,
        "local_c_ima": local_c_ima(j),
        "global_c_ima": global_c_ima(j),
        "c_ima_of_mean_jacobian": c_ima_of_mean_jacobian(j),
    }


def _amari(params: Any, inputs: Any) -> Outputs:
    return {"amari": amari_distance(inputs["W"], inputs["A"])}


def _conformal(params: Any, inputs: Any) -> Outputs:
    j = inputs["J"]
    return {
        "conformal_contrast": conformal_contrast(j),
        "col_norm_var": column_norm_variance(j),
    }


# The bound ----------------------------------------------------------------------------


def _density(params: Any, inputs: Any) -> Outputs:
    prior = LatentPrior("beta", inputs["alpha"], inputs["beta"])
    return {"logpdf": prior.log_prob(inputs["z"])}


def _density_laplace(params: Any, inputs: Any) -> Outputs:
    z = (inputs["z"] - inputs["mu"]) / inputs["b"]
    scale = z.shape[-1] * jnp.log(jnp.asarray(inputs["b"], z.dtype))
    return {"logpdf": LatentPrior("laplace").log_prob(z) - scale}


def _squash(params: Any, inputs: Any) -> Outputs:
    arrays = inputs["mu"], inputs["logvar"], inputs["eps"]
    plain = sampled_kl(*arrays, prior=LatentPrior())[1]
    squashed = sampled_kl(*arrays, prior=LatentPrior("uniform"), guard=1e-8)[1]
    return {
        "pre": plain["z"],
        "log_q_pre": plain["log_q"],
        "z": squashed["z"],
        "log_q": squashed["log_q"],
    }


def _vae_forward(params: Any, inputs: Any) -> Outputs:
    def net(x, *names):
        w, b, v, c = (inputs[name] for name in names)
        hidden = x @ w + b[None]
        slope = inputs["slope"]
        return jnp.where(hidden > 0, hidden, slope * hidden) @ v + c[None]

    x, gamma2 = inputs["x"], inputs["gamma2"]
    mean, log_var = jnp.split(net(x, "W1", "b1", "W2", "b2"), 2, axis=1)
    alpha, beta = inputs["beta_params"]
    prior = LatentPrior(inputs["prior"], alpha, beta)
    kl, drawn = sampled_kl(mean, log_var, inputs["eps"], prior=prior, guard=1e-8)
    x_rec = net(drawn["z"], "U1", "c1", "U2", "c2")
    found = {
        "z": drawn["z"],
        "x_rec": x_rec,
        "rec_loglik": -jnp.mean(gaussian_nll(x, x_rec, gamma2=gamma2)),
        "neg_kl_estimate": -jnp.mean(kl),
        "neg_elbo": -jnp.mean(gaussian_elbo(x, x_rec, kl, gamma2=gamma2)),
    }
    if prior.kind == "gaussian":
        found["analytic_kl"] = jnp.mean(gaussian_kl(mean, log_var))
    return found


def _dec_var(params: Any, inputs: Any) -> Outputs:
    return {"decoder_var": decoder_variance(inputs["x"], inputs["x_rec"])}


# Closed forms and quadrature ----------------------------------------------------------


@on_host
def _linear_vae(params: Any, inputs: Any) -> Outputs:
    rows = []
    for gamma2 in np.asarray(inputs["gamma2"], np.float64).tolist():
        own = linear_vae(inputs["W"], inputs["b"], inputs["x"], gamma2)
        rows.append(
            {
                "gamma2": gamma2,
                "post_mean": own.mean,
                "opt_var": own.variance,
                "log_px": own.log_px,
                "gap": own.gap,
                "elbo_star": own.elbo,
                "self_consistency_residual": own.residual,
            }
        )
    w: Any = np.asarray(inputs["W"], np.float64)
    contrast = local_c_ima(w, xp=np)
    return {"rows": rows, "c_ima_W": contrast}


@on_host
def _ppca(params: Any, inputs: Any) -> Outputs:
    s = np.asarray(inputs["S"], np.float64)
    model = ppca(s, inputs["k"])
    gaps = [
        linear_gap(w, 1 / model.variance)
        for w in (model.w, model.w @ np.asarray(inputs["R"], np.float64))
    ]
    return {
        "eigenvalues": np.linalg.eigvalsh(s)[::-1],
        "sigma2": model.variance,
        "WWt": model.w @ model.w.T,
        "W_sorted_abs": np.abs(model.w),
        "mean_loglik": model.log_likelihood,
        "gap_canonical": gaps[0],
        "gap_rotated": gaps[1],
        "mean_elbo_rotated": model.log_likelihood - gaps[1],
    }


@on_host
def _ppca_fixed(params: Any, inputs: Any) -> Outputs:
    s, gamma2 = np.asarray(inputs["S"], np.float64), inputs["gamma2"]
    model = ppca(s, len(s), gamma2=gamma2)
    gap = linear_gap(model.w, gamma2)
    return {
        "WWt": model.w @ model.w.T,
        "mean_loglik": model.log_likelihood,
        "mean_elbo_star": model.log_likelihood - gap,
        # An eigenvalue of S is 1 / gamma2 itself, up to rounding.
        "rank": float(np.sum(np.sum(model.w**2, axis=0) > 1e-6)),
    }


def _elbo_star(params: Any, inputs: Any) -> Outputs:
    w1, w2 = inputs["W1"], inputs["W2"]
    # Columns and the activation last: two layers and the identity.
    held = {"kernels": jnp.stack([w1.T, w2.T, jnp.eye(2, dtype=w1.dtype)])}
    z, prior = inputs["z"], LatentPrior()

    def f(z):
        return mix(held, z, slope=inputs["alpha"], activation="smooth_leaky_relu")

    j = jacobians(f, z[None])
    limit = ima_likelihood(prior.log_prob(z[None]), j)
    limit = jax.tree.map(lambda leaf: leaf[0], limit)
    nodes = inputs["quadrature_nodes_per_dim"]

    def row(gamma2):
        predicted = small_noise_variance(j[0], gamma2, jnp.ones_like(z))
        start = f, inputs["x"], z, jnp.log(predicted)
        best = best_posterior(*start, gamma2=gamma2, prior=prior, nodes=nodes)
        at_start = expected_elbo(*start, gamma2=gamma2, prior=prior, nodes=nodes)
        return {
            "gamma2": gamma2,
            "elbo_star": best.elbo,
            "mu": best.mean,
            "var": jnp.exp(best.log_var),
            "var_predicted": predicted,
            "elbo_minus_ima": best.elbo - limit.objective,
            "elbo_at_prediction": at_start,
        }

    rows = jax.lax.map(row, inputs["gamma2"])
    count = len(inputs["gamma2"])
    return {
        "J": j[0],
        "log_px_noiseless": limit.log_px,
        "c_ima": limit.contrast,
        "ima_objective": limit.objective,
        "rows": [{k: v[i] for k, v in rows.items()} for i in range(count)],
    }


def _mcc(params: Any, inputs: Any) -> Outputs:
    own = mcc(inputs["s"], inputs["s_hat"], spearman=inputs["method"] == "spearman")
    return {"assignment": own.columns, "mcc": own.mean}


# Sprites ------------------------------------------------------------------------------


@on_host
def _sprite(params: Any, inputs: Any) -> Outputs:
    # Corners of the unit-area triangle: the circle around it has twice the radius of
    # the one inside.
    angles = np.pi * (0.5 + 2 / 3 * np.arange(3))
    corners = 2 * (3**0.5 / 9) ** 0.5 * np.stack([np.cos(angles), np.sin(angles)], -1)
    scale = inputs["scale"]
    centre = np.array([inputs["x"], inputs["y"]])
    return {
        "unit_triangle": corners,
        "vertices": centre + scale * corners,
        "area": scale**2,
        "expected_pixel_area": scale**2 * inputs["image_size"] ** 2,
    }


def _sprite_factors(params: Any, inputs: Any) -> Outputs:
    return {"factors": physical_triangles(2 * inputs["beta_samples"] - 1)}


def _hsv(params: Any, inputs: Any) -> Outputs:
    angle = 2 * jnp.pi * inputs["hue"]
    rgb = jnp.stack(hue_circle(angle, inputs["saturation"]), -1) * inputs["value"]
    # What rounding left just below a whole number is that number.
    return {"rgb_uint8": jnp.floor(255 * rgb + 1e-4)}


def _affine(params: Any, inputs: Any) -> Outputs:
    return {"matrix": affine_map(inputs["src"], inputs["dst"])}


def _projective(params: Any, inputs: Any) -> Outputs:
    return {"matrix": projective_map(inputs["src"], inputs["dst"])}


CONFORMANCE = {
    "activation": _activation,
    "cima": _cima,
    "cima_angle": _cima_angle,
    "moebius": _moebius,
    "moebius_linear": _moebius_linear,
    "mlp": _mlp,
    "amari": _amari,
    "conformal": _conformal,
    "density": _density,
    "density_laplace": _density_laplace,
    "squash": _squash,
    "vae_forward": _vae_forward,
    "dec_var": _dec_var,
    "linear_vae": _linear_vae,
    "ppca": _ppca,
    "ppca_fixed": _ppca_fixed,
    "elbo_star": _elbo_star,
    "mcc": _mcc,
    "sprite": _sprite,
    "sprite_factors": _sprite_factors,
    "hsv": _hsv,
    "affine": _affine,
    "projective": _projective,
}

# 255 times 0.6 is 153, as the file has it for the hue 0.1; of the hue 0.9 the product
# was rounded down before it was truncated.
_RED = [255, 0, 0]
_FIRST = [_RED, [255, 153, 0], [127, 255, 0], [0, 255, 255], [0, 10, 255]]
ERRATA: list[Erratum] = [
    Erratum(
        "hsv",
        "rgb_uint8",
        [*_FIRST, [255, 0, 152], [255, 0, 1]],  # type: ignore[arg-type]
        [*_FIRST, [255, 0, 153], [255, 0, 1]],  # type: ignore[arg-type]
        "255 * 0.6 is 153; the printed 152 was rounded down first",
    )
]
