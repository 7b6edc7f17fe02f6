"""Cross-entropy: cells, floors, the evaluation of known optima, spread losses."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.claims import load_claims
from jidcl.latents import class_of_index
from jidcl.systems.diet import problem as system
from jidcl.systems.diet.presets import Diet, presets
from jidcl.systems.shared.sources import make_source
from jidcl.theory import affine_solution
from jidcl.train import summarised
from jidcl.train.sharding import make_mesh

ROWS = presets()
# Cells of Tables 2, 3 and 5: d, C, kappa, conditional, cluster vectors, N.
CELLS = {
    "default": (5, 100, 10, "vmf", "uniform", 1000),
    "n100000": (5, 100, 10, "vmf", "uniform", 100_000),
    "d10": (10, 100, 10, "vmf", "uniform", 1000),
    "d20": (20, 100, 10, "vmf", "uniform", 1000),
    "c10": (5, 10, 10, "vmf", "uniform", 1000),
    "c1000": (5, 1000, 10, "vmf", "uniform", 1000),
    "kappa5": (5, 100, 5, "vmf", "uniform", 1000),
    "kappa50": (5, 100, 50, "vmf", "uniform", 1000),
    "laplace": (5, 100, 10, "laplace", "uniform", 1000),
    "normal": (5, 100, 10, "normal", "uniform", 1000),
    "v-laplace": (5, 100, 10, "vmf", "laplace", 1000),
    "v-normal": (5, 100, 10, "vmf", "normal", 1000),
}


def cell(config):
    c = config
    return (c.n, c.clusters, c.kappa, c.conditional, c.cluster_density, c.instances)


@pytest.mark.parametrize("name", CELLS)
def test_presets_are_the_published_cells(name):
    for budget in ("full", "published"):
        for suffix, rows in (("", "free"), ("-projected", "projected")):
            config = ROWS[f"{budget}/diet-{name}{suffix}"]
            assert cell(config) == CELLS[name]
            assert (config.labels, config.rows, config.scale) == ("instance", rows, 1)
            assert (config.mixing_layers, config.batch_norm) == (4, True)
            assert config.widths == (10, 50, 50, 50, 50, 10)
            assert (config.output, config.beta, config.bias) == ("none", 1, False)
            assert config.eval_batch == 8192
    published = ROWS[f"published/diet-{name}"]
    settings = (published.optimiser, published.learning_rate, published.schedule)
    assert settings == ("adam", 1e-3, "constant")
    assert published.init == "fan_in_uniform"
    steps = 50_000 * (97 if name == "n100000" else 1)
    assert (published.batch, published.steps) == (1024, steps)


def test_every_claim_names_a_preset_of_both_budgets():
    claims = load_claims("diet")
    for claim in claims.published:
        assert {f"full/{claim.preset}", f"published/{claim.preset}"} <= set(ROWS)
    assert {f"quick/{claim.preset}" for claim in claims.quick} <= set(ROWS)
    assert len(claims.published) == 11 * 6 + 3 * 6 + 13  # Tables 2, 5 and 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(instances=99), "instances must be >= clusters = 100, got 99"),
        (dict(clusters=1), "clusters must be >= 2, got 1"),
        (dict(conditional="vfm"), "did you mean 'vmf'"),
        (dict(rows="units"), "did you mean 'unit'"),
        (dict(labels="classes"), "did you mean 'class'"),
        (dict(label_noise=1.5), "label_noise must be in [0, 1], got 1.5"),
        (dict(beta=0.0), "beta must be > 0, got 0.0"),
        (dict(n=1), "n must be >= 2, got 1"),
    ],
)
def test_bad_settings_are_refused(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dataclasses.replace(Diet(), **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(scale=2.0), "scale cannot act here, with conditional 'vmf'"),
        (dict(gennorm_p=3.0), "gennorm_p cannot act here, with conditional 'vmf'"),
        (
            dict(conditional="laplace", limit=2.0),
            "limit cannot act here, with conditional 'laplace'",
        ),
        (
            dict(labels="class", instances=500),
            "instances cannot act here, with labels 'class': leave it at 1000, got 500",
        ),
    ],
)
def test_settings_that_cannot_act_are_refused(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        dataclasses.replace(Diet(), **values)


def test_floors_are_limits_where_the_model_can_express_the_posterior():
    kinds = {name: system.floor_kind(config) for name, config in ROWS.items()}
    for name, kind in kinds.items():
        violates = ROWS[name].conditional != "vmf"
        assert kind == ("reference" if violates else "limit")
    stuck = dataclasses.replace(ROWS["full/case-c1"], learn_beta=False)
    assert system.floor_kind(stuck) == "reference"
    noisy = dataclasses.replace(Diet(), label_noise=0.2)
    assert system.floor_kind(noisy) == "reference"


SMALL = dict(
    mixing="identity",
    eval_batch=512,
    eval_batches=2,
    widths=(2,),
    instances=53,
    kappa=5.0,
)


def evaluate(f, *heads, **settings):
    """Evaluation of a known f(z) with rows `head(v of every row)`, for each head."""
    config = ROWS["quick/diet"].changed(**SMALL).changed(**settings)
    source = make_source(config)
    frozen = jax.jit(system.make_problem(config).freeze)(jax.random.key(0))
    index = class_of_index(np.arange(config.num_rows), config.clusters)
    rows = np.asarray(frozen["v"])[np.asarray(index)]

    @jax.jit
    def run(params, key):
        return summarised(system.evaluate(config, source, f, params, frozen, key))

    return [
        jax.device_get(run(jax.jit(head)(rows), jax.random.key(1))) for head in heads
    ]


def test_the_affine_optimum_has_no_gap_and_full_scores(rng):
    m, shift = rng.normal(size=(3, 3)), rng.normal(size=3)
    m, shift = jnp.asarray(m, jnp.float32), jnp.asarray(shift, jnp.float32)
    best, worse = evaluate(
        lambda x: x @ m.T,
        lambda v: {"w": affine_solution(v, 5.0, m, shift)},
        lambda v: {"w": 0 * v},
    )
    scores, losses = best.scores, best.losses
    assert abs(losses["gap"]) < 1e-4
    assert scores["r2"] > 0.9999
    assert scores["r2_rows"] > 0.9999
    assert scores["row_collapse"] < 1e-6
    assert scores["kappa_error"] < 1e-2
    assert scores["tied_deviation"] < 1e-2
    assert abs(best.nulls["r2"]["shuffled"]) < 0.1
    assert best.nulls["r2"]["identity"] > 0.9999  # the mixing is the identity
    noise = best.perturbed["noise"]
    assert (np.diff([0, *noise["gap"]]) > 0).all()
    np.testing.assert_allclose(noise["r2"], 1 - noise["strength"], atol=0.05)
    assert list(best.perturbed) == ["noise"]  # W follows a rotation
    np.testing.assert_allclose(losses["chance"], np.log(53), rtol=1e-6)
    assert losses["reference"] < losses["linear_loss"] + 1e-3
    np.testing.assert_allclose(worse.losses["loss"], losses["chance"], rtol=1e-5)


def test_the_optimum_with_rows_on_the_sphere_has_its_scale(rng):
    q = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    (found,) = evaluate(
        lambda x: 5 * x @ q, lambda v: {"w": 9 * v @ q}, rows="unit", labels="instance"
    )
    scores = found.scores
    assert abs(found.losses["gap"]) < 1e-4
    assert scores["r2_linear"] > 0.9999
    assert scores["r2_rows_linear"] > 0.9999
    assert scores["scale_error"] < 1e-3
    assert scores["rows_scale_error"] < 1e-3
    for name in ("r2_linear", "r2_rows_linear"):  # halves of few rows: R2 about 0
        assert -1 < found.nulls[name]["shuffled"] < 0.5


def test_a_stuck_temperature_has_an_oracle_that_it_can_reach():
    settings = dict(output="sphere", rows="unit", labels="class")
    (stuck,) = evaluate(lambda x: x, lambda v: {"w": v}, **settings)
    assert abs(stuck.losses["gap"]) < 1e-4
    beta = dict(log_beta=np.float32(np.log(5)))
    (free,) = evaluate(
        lambda x: x, lambda v: {"w": v, **beta}, learn_beta=True, **settings
    )
    assert abs(free.losses["gap"]) < 1e-4
    assert free.losses["loss"] < stuck.losses["loss"] - 0.3


def test_the_oracle_of_another_conditional_fits_its_concentration():
    settings = dict(conditional="normal", scale=0.4, labels="class", eval_batch=2048)
    heads = [lambda v, k=k: {"w": k * v} for k in (2.0, 6.0, 20.0)]
    gaps = [found.losses["gap"] for found in evaluate(lambda x: x, *heads, **settings)]
    assert gaps[0] > 0.02
    assert gaps[2] > 0.02
    assert -0.005 < gaps[1] < min(gaps[0], gaps[2])


def test_noisy_labels_are_drawn_at_their_share():
    few = ROWS["quick/diet"].changed(**SMALL)
    config = few.changed(labels="class", label_noise=0.5, batch=4000, n=2)
    clean = dataclasses.replace(config, label_noise=0.0)
    frozen = jax.jit(system.make_problem(config).freeze)(jax.random.key(0))
    noisy, labels = (
        jax.jit(system.make_problem(c).draw)(frozen, jax.random.key(1))
        for c in (config, clean)
    )
    np.testing.assert_array_equal(noisy.x, labels.x)
    same = np.mean(np.asarray(noisy.target) == np.asarray(labels.target))
    assert abs(same - (0.5 + 0.5 / 20)) < 4 * 0.5 / np.sqrt(4000)


def test_a_loss_spread_over_samples_and_rows_is_the_whole_one():
    few = ROWS["quick/diet"].changed(**SMALL)
    config = dataclasses.replace(few, instances=52, batch=16, bias=True)
    problem = system.make_problem(config)
    spread = system.make_problem(config, make_mesh(data=2, model=4))
    frozen = jax.jit(problem.freeze)(jax.random.key(0))
    params, state = jax.jit(problem.init)(jax.random.key(1))
    params["w"] = 1e3 * params["w"]
    batch = jax.jit(problem.draw)(frozen, jax.random.key(2))
    got, want = (
        jax.jit(jax.value_and_grad(p.loss, has_aux=True))(
            params, state, batch, jax.random.key(3)
        )
        for p in (spread, problem)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_rows_start_near_zero_unless_as_published():
    key = jax.random.key(0)
    for name, low, high in (
        ("quick/diet", 0, 1e-3),
        ("published/diet-default", 0.3, 0.5),
    ):
        config = dataclasses.replace(ROWS[name], widths=(2,))
        w = jax.jit(system.make_problem(config).init)(key)[0]["w"]
        assert low < float(jnp.abs(w).max()) <= high
