"""Reference vectors of linear systems: which function each kind replays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jidcl.latents import (
    LTI,
    Environments,
    kalman_log_likelihood,
    rescaled,
    simulate,
    spectral_radius,
    zero_order_hold,
)
from jidcl.latents.small import solve_small
from jidcl.metrics import assign, mcc
from jidcl.systems.contract import Erratum, on_host
from jidcl.systems.lti import estimators
from jidcl.systems.lti.matching import aligned
from jidcl.theory import (
    diversity,
    hmm_evidence,
    markov_parameters,
    pair_evidence,
    pair_map,
    pair_moments,
    trajectory_evidence,
    two_environments,
)

Outputs = dict[str, Any]


def _system(inputs: Any) -> LTI:
    return LTI(inputs["A"], inputs["B"], inputs["C"])


def _zoh(params: Any, inputs: Any) -> Outputs:
    a, b = zero_order_hold(inputs["A_c"], inputs["B_c"], inputs["dt"])
    return {"A_d": a, "B_d": b, "spectral_radius": spectral_radius(a)}


def _rescale(params: Any, inputs: Any) -> Outputs:
    a = inputs["A_raw"]
    return {"A": rescaled(a), "raw_radius": spectral_radius(a)}


def _rollout(params: Any, inputs: Any) -> Outputs:
    x, y = simulate(_system(inputs), inputs["U"], start=inputs["x0"])
    return {"X": x, "Y": y}


def _pairs(params: Any, inputs: Any) -> Outputs:
    rows = estimators.pair_rows(inputs["Y"][None], inputs["U"][None])[0]
    v = pair_map(_system(inputs)).v
    z, u = rows[:, : v.shape[1]], rows[:, v.shape[1] :]
    return {"Z": z, "targets": u, "V_true": v, "u_hat": z @ v.T}


def _markov(params: Any, inputs: Any) -> Outputs:
    return {"H": markov_parameters(_system(inputs), inputs["n"])}


def _diversity(params: Any, inputs: Any) -> Outputs:
    found = diversity(inputs["var"])
    return {
        "delta_precision": found.delta,
        "rank": found.rank,
        "sufficient": found.sufficient,
        "singular_values": found.singular_values,
        "min_pair_sine": found.min_pair_sine,
        "pairwise_identifiable": found.identifiable,
    }


def _by_environment(inputs: Any, values: Any) -> Any:
    """Rows of every environment, `[environments, rows, ...]`: all have as many."""
    env, count = np.asarray(inputs["env"]).astype(int), len(inputs["var"])
    order = np.argsort(env, kind="stable")
    return values[order].reshape(count, -1, *values.shape[1:])


def _uncentred(rows: Any) -> estimators.Moments:
    """Moments about zero, as the vectors of zero means have them."""
    second = jnp.einsum("eti,etj->eij", rows, rows) / rows.shape[1]
    weights = jnp.full(len(rows), 1 / len(rows), rows.dtype)
    return estimators.Moments(jnp.zeros_like(rows[:, 0]), second, weights)


def _statistics(inputs: Any) -> tuple[Any, Any, Any]:
    """Of the published objective: h, b and its constant."""
    moments = estimators.moments_of(_by_environment(inputs, inputs["Z"]))
    stated = Environments(inputs["mu"], inputs["var"])
    return estimators.source_statistics(moments, stated)


@on_host
def _objective(params: Any, inputs: Any) -> Outputs:
    h, b, const = _statistics(inputs)
    m = len(inputs["V"])
    eye = jnp.eye(m, dtype=h.dtype)

    def source(v):
        return estimators.source_objective(v, h, b, const)

    def whole(v):
        return source(v) + solve_small(v[:, -m:], eye)[1]

    v, env = inputs["V"], np.asarray(inputs["env"]).astype(int)
    mean, variance = inputs["mu"][env], inputs["var"][env]
    each = jnp.log(2 * jnp.pi * variance) + (inputs["Z"] @ v.T - mean) ** 2 / variance
    return {
        "source_logpdf": -0.5 * jnp.sum(each, axis=1),
        "source_objective": source(v),
        "logabsdet_W": whole(v) - source(v),
        "mle_objective": whole(v),
        "grad_source_wrt_V": jax.grad(source)(v),
        "grad_mle_wrt_V": jax.grad(whole)(v),
    }


@on_host
def _suffstats(params: Any, inputs: Any) -> Outputs:
    h, b, const = _statistics(inputs)
    value = estimators.source_objective(inputs["V"], h, b, const)
    return {"H": h, "b": b, "const": const, "source_objective": value}


@on_host
def _source_opt(params: Any, inputs: Any) -> Outputs:
    h, b, const = _statistics(inputs)
    v = estimators.source_optimum(h, b)
    value = estimators.source_objective(v, h, b, const)
    return {"V_opt": v, "value": value, "value_at_zero": const}


def _stationary(params: Any, inputs: Any) -> Outputs:
    system, variance = _system(inputs), inputs["var"]
    found, v = pair_moments(system, variance), pair_map(system).v
    count = len(variance)
    held = estimators.Moments(
        jnp.zeros((count, v.shape[1])), found.pairs, jnp.full(count, 1 / count)
    )
    value = estimators.log_likelihood(held, v, variance)
    return {
        "P_x": found.states,
        "S_z": found.pairs,
        "mle_value_at_truth": value,
        "V_true": v,
    }


def _two_env(params: Any, inputs: Any) -> Outputs:
    found = two_environments(inputs["R0"], inputs["R1"])
    return {"eigenvalues": found.ratios, "demix_rows": found.rows}


def _mcc(params: Any, inputs: Any) -> Outputs:
    ranks = inputs["method"] == "spearman"
    found = mcc(inputs["s"], inputs["s_hat"], spearman=ranks)
    return {"corr": found.matrix, "assignment": found.columns, "mcc": found.mean}


def _assignment(params: Any, inputs: Any) -> Outputs:
    columns, total = assign(inputs["abs_corr"])
    return {"assignment": columns, "mean": total / len(columns)}


def _align(params: Any, inputs: Any) -> Outputs:
    found = aligned(inputs["M"], inputs["M_hat"])
    return {
        "abs_cosine": found.cosine,
        "assignment": found.columns,
        "scales": found.scales,
        "aligned": found.aligned,
        "rel_error": found.error,
    }


def _kalman(params: Any, inputs: Any) -> Outputs:
    found = kalman_log_likelihood(
        _system(inputs),
        inputs["Y"],
        mean=jnp.full(1, inputs["u_mean"]),
        variance=jnp.full(1, inputs["u_var"]),
        noise=inputs["obs_var"],
        start=inputs["x0"],
    )
    return {"loglik": found}


@on_host
def _cdf_pairs(params: Any, inputs: Any) -> Outputs:
    x, y = inputs["X"], inputs["Y"]
    order = np.asarray(inputs["permutation"]).astype(int)
    own = dict(theta=inputs["tau2"], psi=inputs["kappa2"], noise=inputs["sigma2"])
    grid = jnp.linspace(-15, 15, 601)

    def log(x, y):
        return pair_evidence(x, y, **own)

    def total(logs):
        """log of the integral over each axis of a grid of log-densities."""
        return jax.nn.logsumexp(logs) + logs.ndim * jnp.log(grid[1] - grid[0])

    def beside(value):
        return jax.vmap(lambda other: jnp.stack([value, other]))(grid)

    def over(function):
        return total(jax.vmap(function)(grid))

    # What is not conditioned on is integrated out; densities are smooth, sums exact.
    seconds = total(jax.vmap(lambda e: log(x[:2], e))(beside(y[0])))
    both = jax.vmap(lambda c: jax.vmap(lambda e: log(x[:2], e))(beside(c)))(grid)
    causes = jax.vmap(lambda a: jax.vmap(lambda c: log(c, y[:2]))(beside(a)))(grid)
    first = total(jax.vmap(lambda c: log(c, y[:2]))(beside(x[0])))
    return {
        "log_joint": log(x, y),
        "log_joint_permuted": log(x[order], y[order]),
        "log_product_of_marginals": sum(
            log(x[i : i + 1], y[i : i + 1]) for i in range(len(x))
        ),
        "log_joint_only_y_permuted": log(x, y[order]),
        "log_p_y1_given_x1": log(x[:1], y[:1]) - over(lambda e: log(x[:1], e[None])),
        "log_p_y1_given_x1_x2": seconds - total(both),
        "log_p_x1_given_y1": log(x[:1], y[:1]) - over(lambda c: log(c[None], y[:1])),
        "log_p_x1_given_y1_y2": first - total(causes),
    }


@on_host
def _cdf_traj(params: Any, inputs: Any) -> Outputs:
    own = dict(theta=inputs["tau2"], dynamics=inputs["kappa2"], noise=inputs["sigma2"])
    x = inputs["X"][..., None]

    def log(x):
        return trajectory_evidence(x, **own)

    return {
        "log_joint": log(x),
        "log_joint_swapped": log(x[::-1]),
        "log_product_of_marginals": sum(log(x[i : i + 1]) for i in range(len(x))),
        "log_joint_time_reversed": log(x[:, ::-1]),
    }


@on_host
def _cdf_hmm(params: Any, inputs: Any) -> Outputs:
    rows = np.asarray(inputs["sequences"]).astype(int)
    own = dict(alpha=inputs["alpha"], beta=inputs["beta"])
    back = rows.copy()
    back[0] = rows[0, ::-1]
    return {
        "log_joint": hmm_evidence(rows, **own),
        "log_joint_swapped": hmm_evidence(rows[::-1], **own),
        "log_marginals": jnp.stack([hmm_evidence(row[None], **own) for row in rows]),
        "log_joint_time_permuted": hmm_evidence(back, **own),
    }


@on_host
def _mle_fit(params: Any, inputs: Any) -> Outputs:
    moments = _uncentred(_by_environment(inputs, inputs["Z"]))
    m = inputs["U"].shape[1]
    found = estimators.fit(jax.random.key(0), moments, m, inputs["var"])
    u_hat = inputs["Z"] @ found.v.T
    # Signs are open: those of the true controls.
    signs = jnp.sign(jnp.sum(u_hat * inputs["U"], axis=0))
    v, w = found.v * signs[:, None], found.v[:, m:] * signs[:, None]
    # What the truth reaches: of the moments of true controls alone.
    return {
        "objective_at_optimum": found.log_likelihood,
        "objective_at_truth": _at_truth(inputs, moments),
        "V_optimum": v,
        "mcc": mcc(inputs["U"], u_hat).mean,
        "G_hat": -solve_small(w, v[:, :m])[0],
    }


def _at_truth(inputs: Any, moments: estimators.Moments) -> Any:
    """The likelihood at the V that gives the true controls back: there is no noise."""
    z, u = inputs["Z"], inputs["U"]
    v = solve_small(z.T @ z, z.T @ u)[0].T
    return estimators.log_likelihood(moments, v, inputs["var"])


CONFORMANCE = {
    "zoh": _zoh,
    "rescale": _rescale,
    "rollout": _rollout,
    "pairs": _pairs,
    "markov": _markov,
    "diversity": _diversity,
    "objective": _objective,
    "suffstats": _suffstats,
    "source_opt": _source_opt,
    "stationary": _stationary,
    "two_env": _two_env,
    "mcc": _mcc,
    "assignment": _assignment,
    "align": _align,
    "kalman": _kalman,
    "cdf_pairs": _cdf_pairs,
    "cdf_traj": _cdf_traj,
    "cdf_hmm": _cdf_hmm,
    "mle_fit": _mle_fit,
}

ERRATA: list[Erratum] = []
