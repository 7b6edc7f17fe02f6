"""A valid call of every public function of the theory."""

import dataclasses

import numpy as np

from jidcl import losses, theory
from jidcl.types import Pair
from public_calls.arguments import (
    BATCHED,
    KEY,
    VARIANCE,
    VMF,
    box,
    call,
    floats,
    given,
    integers,
    linear_pair,
    lti,
    number,
    oracle_loss,
    positive,
    rows,
    sequence,
    squared_log,
    text,
    thing,
    whole,
)


def doubled(z):
    """A decoder."""
    return 2 * z


POSTERIOR = {
    "decode": thing(doubled),
    "x": floats(3),
    "mean": floats(3, seed=1),
    "log_var": floats(3, seed=2),
    "gamma2": number(2.0, above=0),
    "prior": thing(losses.LatentPrior()),
    "nodes": whole(3),
}


THEORY = {
    "best_posterior": call(theory.best_posterior, **POSTERIOR, steps=whole(20)),
    "expected_elbo": call(theory.expected_elbo, **POSTERIOR),
    "ima_likelihood": call(
        theory.ima_likelihood, log_prior=floats(4), j=floats(4, 3, 3, free=("wider",))
    ),
    "linear_gap": call(
        theory.linear_gap,
        w=floats(4, 3, free=(0, 1)),
        gamma2=number(10.0, above=0),
        host=True,
    ),
    "linear_vae": call(
        theory.linear_vae,
        w=floats(4, 3, free=(1,)),
        b=floats(4),
        x=floats(4, seed=1),
        gamma2=number(10.0, above=0),
        host=True,
    ),
    "ppca": call(
        theory.ppca,
        s=given(np.diag([4.0, 2.0, 1.0]) + 0.1),
        k=whole(2, 1, 3),
        gamma2=number(2.0, above=0, free=("none",)),
        host=True,
    ),
    "small_noise_variance": call(
        theory.small_noise_variance,
        j=floats(4, 5, 3, free=(1, "rank", "infinite")),
        gamma2=number(2.0, above=0),
        curvature=positive(4, 3, free=("infinite",)),
    ),
    "affine_solution": call(
        theory.affine_solution,
        v=rows(4, 3, free=(0,)),
        kappa=number(2.0, 0),
        m=given(2 * np.eye(3)),
        shift=floats(3),
    ),
    "apply_oracle": call(
        theory.apply_oracle,
        oracle=thing(theory.OracleMap(np.float32(2.0), np.zeros(3, np.float32))),
        output=text("none"),
        z=floats(5, 3, free=BATCHED),
    ),
    "bayes_floor": call(
        theory.bayes_floor,
        {"v": "mean|n"},
        key=KEY,
        v=rows(4, 3, free=(0,)),
        kappa=number(2.0, 0),
        samples=whole(8, 2),
        random=True,
    ),
    "best_gauss_coefficient": call(
        theory.best_gauss_coefficient,
        marginal_std=number(1.0, above=0),
        cond_std=number(0.5, above=0),
        host=True,
    ),
    "best_scale": call(
        theory.best_scale,
        value=thing(squared_log),
        span=sequence((0.1, 10.0)),
        points=whole(3, 2),
        rounds=whole(2),
    ),
    "box_energy": box("box_energy"),
    "box_limit": box("box_limit"),
    "box_log_mass": box("box_log_mass"),
    "box_mean_energy": box("box_mean_energy"),
    "box_mismatched_limit": box(
        "box_mismatched_limit",
        ("coeff", number(5.0, above=0)),
        ("p", number(1.0, 1)),
    ),
    "box_moment": box("box_moment"),
    "box_self_weight": box("box_self_weight"),
    "class_log_posterior": call(
        theory.class_log_posterior,
        z=rows(5, 3, free=BATCHED),
        v=rows(4, 3, seed=1, free=(0,)),
        kappa=number(2.0, 0),
    ),
    "finite_negatives": call(
        theory.finite_negatives,
        limit=number(-1.0),
        correction=number(2.0),
        count=whole(100, 2),
        composition=text("with_self"),
        self_weight=number(1.0),
        host=True,
    ),
    "fit_oracle": call(
        theory.fit_oracle,
        output=text("learnable_sphere"),
        loss=thing(oracle_loss),
        pairs=thing(Pair(np.float32(np.eye(3))[None], np.float32(np.eye(3))[None] * 2)),
        low=number(0.0, high=1 - 1e-9),
        high=number(1.0, above=0.0),
        span=sequence((0.1, 10.0)),
        points=whole(3, 2),
        rounds=whole(2),
    ),
    "gauss_limit": call(
        theory.gauss_limit,
        n=whole(2),
        marginal_std=number(1.0, above=0),
        cond_std=number(0.5, above=0),
        coeff=number(2.0, above=0),
        host=True,
    ),
    "gennorm_moments": call(
        theory.gennorm_moments, lam=number(0.5, above=0), beta=number(1.5, 1), host=True
    ),
    "index_log_posterior": call(
        theory.index_log_posterior,
        z=rows(5, 3),
        v=rows(4, 3, seed=1, free=(0,)),
        kappa=number(2.0, 0),
        index=integers([0, 1, 2, 3, 7]),
        instances=whole(8, 8),
        noise=number(0.1, 0, 1),
    ),
    "ou_alignment_limit": call(
        theory.ou_alignment_limit,
        rho=number(0.5, 0, 1, free=("array", "none")),
        pair=text("direct"),
    ),
    "projected_normal_log_ratio": call(
        theory.projected_normal_log_ratio,
        n=whole(3, 2),
        sigma=number(0.5, above=0),
        cosine=number(0.5, -1, 1),
        host=True,
    ),
    "projected_normal_mean_cosine": call(
        theory.projected_normal_mean_cosine,
        n=whole(3, 2),
        sigma=number(0.5, above=0),
        host=True,
    ),
    "projected_normal_tv": call(
        theory.projected_normal_tv, n=whole(3, 2), sigma=number(0.5, above=0), host=True
    ),
    "vmf_correction": call(
        theory.vmf_correction,
        **VMF,
        model_kappa=number(3.0, 0, free=("none",)),
        host=True,
    ),
    "vmf_entropy": call(theory.vmf_entropy, **VMF, host=True),
    "decision_law": call(
        theory.decision_law,
        pair=thing(linear_pair()),
        environments=number(100.0, above=4),
        alpha=number(0.05, 0, 1),
        host=True,
    ),
    "environments_for_accuracy": call(
        theory.environments_for_accuracy,
        pair=thing(linear_pair()),
        accuracy=number(0.8, 0, 1),
        alpha=number(0.05, 0, 1),
        host=True,
    ),
    "design_interventions": call(
        theory.design_interventions,
        {"budget": "least|inputs", "inputs": "budget|before"},
        key=KEY,
        inputs=whole(2),
        environments=whole(2),
        budget=number(1.0, 0.2),
        least=number(0.1, above=0, high=0.5),
        before=dataclasses.replace(positive(1, 2), free=(0, "none")),
        criterion=text("margin"),
        starts=whole(2),
        random=True,
    ),
    "diversity": call(theory.diversity, variance=VARIANCE),
    "diversity_margin": call(
        theory.diversity_margin,
        variance=VARIANCE,
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "expected_mcc_loss": call(
        theory.expected_mcc_loss,
        variance=VARIANCE,
        pairs=number(100.0, above=0),
        outputs=whole(2),
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "free_directions": call(
        theory.free_directions,
        w=floats(2, 2),
        variance=VARIANCE,
        least_sine=number(0.001, 0, 1),
        host=True,
    ),
    "hmm_evidence": call(
        theory.hmm_evidence,
        sequences=integers([[0, 1], [1, 1]], free=(0, 1, "infinite")),
        alpha=number(1.0, above=0),
        beta=number(0.5, above=0),
        hidden=whole(2, 2),
        symbols=whole(2, 2),
    ),
    "markov_parameters": call(
        theory.markov_parameters, system=thing(lti()), count=whole(3)
    ),
    "min_pair_sine": call(theory.min_pair_sine, variance=VARIANCE),
    "pair_evidence": call(
        theory.pair_evidence,
        x=floats(4),
        y=floats(4, seed=1),
        theta=number(1.5, 0),
        psi=number(0.8, 0),
        noise=number(0.5, above=0),
    ),
    "pair_information": call(
        theory.pair_information,
        variance=VARIANCE,
        weights=dataclasses.replace(positive(3), free=("none",)),
    ),
    "pair_map": call(theory.pair_map, system=thing(lti())),
    "pair_moments": call(
        theory.pair_moments,
        system=thing(lti()),
        variance=dataclasses.replace(VARIANCE, free=(0,)),
    ),
    "precision_rank": call(theory.precision_rank, variance=VARIANCE),
    "stationary_covariance": call(
        theory.stationary_covariance,
        a=given([[0.5, 0.1], [0.0, -0.3]]),
        q=floats(2, 2, of=lambda x: x @ x.T),
    ),
    "trajectory_evidence": call(
        theory.trajectory_evidence,
        x=floats(2, 4, 2, free=(0, 2)),
        theta=number(1.5, 0),
        dynamics=number(0.8, 0),
        noise=number(0.5, above=0),
    ),
    "two_environments": call(
        theory.two_environments,
        first=given([[1.0, 0.2], [0.2, 2.0]]),
        second=given([[3.0, 0.1], [0.1, 1.0]]),
    ),
    "null_law": call(
        theory.null_law, d=whole(3), m=whole(4), n=whole(40, 3), host=True
    ),
    "null_mcc_quantile": call(
        theory.null_mcc_quantile,
        d=whole(3),
        m=whole(4),
        n=whole(40, 3),
        level=number(0.9, above=0, high=1 - 1e-12),
        host=True,
    ),
    "population_mcc": call(
        theory.population_mcc,
        matrix=floats(4, 3, free=(0, 1)),
        rho=number(0.5, -0.5, 1),
        host=True,
    ),
    "sample_null_mcc": call(
        theory.sample_null_mcc,
        d=whole(2),
        m=whole(2),
        n=whole(40, 5),
        draws=whole(5),
        seed=whole(0, 0),
        z_correlation=given([[1.0, 0.5], [0.5, 1.0]], free=("none",)),
        y_correlation=given([[1.0, 0.2], [0.2, 1.0]], free=("none",)),
        host=True,
        random=True,
    ),
    "samples_needed": call(
        theory.samples_needed,
        d=whole(3),
        m=whole(4),
        below=number(0.3, above=1e-4, high=1 - 1e-12),
        level=number(0.9, above=0, high=1 - 1e-12, free=("none",)),
        host=True,
    ),
    "validity": call(
        theory.validity,
        score=text("mcc"),
        data=text("D1"),
        encoder=text("E1"),
        d=whole(3, 2),
        m=dataclasses.replace(whole(3), free=("none",)),
        n=whole(40, 3),
        host=True,
    ),
    "structural_laws": call(
        theory.structural_laws,
        d=whole(4, 3),
        m=whole(3, 1, 4),
        rho=number(0.5, 0, 1 - 1e-12),
        host=True,
    ),
    "environments_needed": call(
        theory.environments_needed,
        {"power": "power", "correlation": "correlation"},
        correlation=number(0.3, -1, 1),
        power=number(0.9, 0.05, 1),
        host=True,
    ),
    "fisher_power": call(
        theory.fisher_power,
        correlation=number(0.3, -1, 1),
        environments=number(100.0, above=4),
        host=True,
    ),
    "linear_pair": call(
        theory.linear_pair,
        a=number(1.0),
        theta=number(0.5, 0),
        e=number(1.0, above=0),
        psi=number(0.2, 0),
        h=number(1.0, above=0),
    ),
    "vmf_limit": call(
        theory.vmf_limit, **VMF, model_kappa=number(3.0, 0, free=("none",)), host=True
    ),
    "vmf_log_normaliser": call(theory.vmf_log_normaliser, **VMF, host=True),
    "vmf_mean_cosine": call(theory.vmf_mean_cosine, **VMF, host=True),
    "vmf_moment": call(theory.vmf_moment, **VMF, host=True),
    "vmf_self_weight": call(theory.vmf_self_weight, **VMF, host=True),
}
