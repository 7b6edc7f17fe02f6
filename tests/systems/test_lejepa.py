"""Wiring of LeJEPA: presets, floors, restarts, and the scores of known maps."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.claims import load_claims
from jidcl.mixing import PLANE_MAPS
from jidcl.systems.lejepa import problem as system
from jidcl.systems.lejepa.evaluate import compare_losses
from jidcl.systems.lejepa.presets import DIMENSIONS, LeJEPA, presets
from jidcl.theory import ou_alignment_limit
from jidcl.train import summarised, summary

ROWS = presets()
TINY = LeJEPA(
    mixing="banana",
    widths=(2,),
    batch=32,
    directions=8,
    eval_batch=2000,
    eval_batches=10,
    lam=0.01,
)


def test_published_presets_are_the_published_settings():
    weights = {"": ("lejepa", 1e-6), "-whitening": ("whitening", 0.5)}
    for n in DIMENSIONS:
        for tail, held in weights.items():
            for budget in ("full", "published"):
                c = ROWS[f"{budget}/scaling-{n}{tail}"]
                assert (c.objective, c.lam) == held
                world = (c.n, c.alpha, c.rho, c.pair, c.mixing, c.mixing_layers)
                assert world == (n, 2.0, 0.95, "common_anchor", "coupling", 4)
                assert (c.encoder, c.eval_batch) == ("matched", 10_000)
        c = ROWS[f"published/scaling-{n}-infonce"]
        assert c.restarts == (3 if n <= 32 else 1)
        assert (c.objective, c.sigma) == ("infonce", 1.0)
        assert (c.optimiser, c.learning_rate, c.weight_decay) == ("adamw", 3e-3, 0.01)
        assert (c.schedule, c.warmup, c.batch) == ("half_constant_cosine", 0, 256)
        assert (c.steps, c.directions, c.init_scale) == (20_001, 256, 1.0)
    spiral = ROWS["published/spiral"]
    assert (spiral.lam, spiral.encoder, spiral.activation) == (1e-3, "mlp", "gelu")
    assert (spiral.widths, spiral.init) == ((128,) * 4, "fan_in_uniform")
    assert ROWS["published/coupling"].mixing_layers == 8


def test_every_claim_has_its_run():
    claims = load_claims("lejepa")
    for claim in claims.published:
        assert f"full/{claim.preset}" in ROWS
        assert f"published/{claim.preset}" in ROWS
    assert {f"quick/{claim.preset}" for claim in claims.quick} == {
        name for name in ROWS if name.startswith("quick/")
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixing": "invertible_mlp"}, "mixing must be one of"),
        ({"mixing": "spiral", "n": 4}, "n must be 2 for mixing 'spiral', got 4"),
        ({"n": 3}, "n must be even for mixing 'coupling', got 3"),
        ({"mixing": "spiral", "encoder": "matched"}, "needs mixing 'coupling'"),
        ({"rho": 1.1}, r"rho must be in \[0, 1\]"),
        ({"lam": -0.1}, r"lam must be in \[0, 1\]"),
        ({"alpha": 0.0}, "alpha must be > 0"),
        ({"pair": "anchor"}, "pair must be one of"),
        ({"objective": "lejepaa"}, "did you mean 'lejepa'"),
        ({"restarts": 0}, "restarts must be >= 1"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LeJEPA(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigma": 2.0}, "sigma cannot act here, with objective 'lejepa'.*got 2.0"),
        ({"objective": "infonce", "lam": 0.5}, "lam cannot act here"),
        ({"objective": "whitening", "directions": 8}, "directions cannot act here"),
        ({"mixing": "banana", "mixing_layers": 2}, "with mixing 'banana'"),
        ({"encoder": "matched", "widths": (8,)}, "with encoder 'matched'"),
        ({"init_scale": 0.1}, "init_scale cannot act here, with encoder 'mlp'"),
        ({"slope": 0.2}, "slope cannot act here, with activation 'gelu'"),
    ],
)
def test_settings_that_cannot_act_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LeJEPA(**settings)


def evaluation_of(config, f, monkeypatch):
    """Evaluation with fixed functions f_k(x), one for each restart, as the encoder."""

    def stacked(config):
        def apply(params, state, x, train=False):
            every = jnp.stack([one(x) for one in f])
            return every[params["which"]], state

        return system.Encoder(lambda key: ({"which": jnp.arange(len(f))}, {}), apply)

    monkeypatch.setattr(system, "build_encoder", stacked)
    problem = system.make_problem(config)
    frozen = jax.jit(problem.freeze)(jax.random.key(0))
    params, state = jax.jit(problem.init)(jax.random.key(1))
    run = jax.jit(lambda key: summarised(problem.evaluate(params, state, frozen, key)))
    return run(jax.random.key(2))


def test_the_inverse_is_chosen_scores_one_and_meets_the_floor(monkeypatch):
    unmix = PLANE_MAPS["banana"].unmix
    q = jnp.asarray([[0.6, -0.8], [0.8, 0.6]])
    of = evaluation_of(
        TINY, [lambda x: 0 * x, lambda x: x, lambda x: unmix(x) @ q], monkeypatch
    )
    scores, losses = of.scores, of.losses
    assert float(scores["r2"]) > 1 - 1e-5
    assert float(scores["orth_err"]) < 1e-3
    assert float(scores["r2_grid"]) > 1 - 1e-5
    assert float(of.nulls["r2"]["identity"]) < 0.9
    assert float(of.nulls["r2"]["shuffled"]) < 0.02
    # The rotation changes SIGReg's random directions only: within its noise.
    assert abs(float(losses["gap"])) < 4 * float(losses["gap_se"]) + 1e-6
    limit = ou_alignment_limit(0.95, "common_anchor")
    # 640 squares of two coordinates: relative standard error 5 %; four of them.
    np.testing.assert_allclose(scores["alignment"], limit, rtol=0.2)
    assert float(scores["bound_held"]) == 1
    assert float(scores["procrustes_mse"]) < 1e-5
    assert float(losses["chance"]) > float(losses["reference"]) + 0.1
    np.testing.assert_array_equal(losses["train_reference"], losses["reference"])


def test_alignment_limit_of_both_pairs():
    np.testing.assert_allclose(ou_alignment_limit(0.95), 0.04875)
    np.testing.assert_allclose(ou_alignment_limit(0.95, "direct"), 0.025)
    with pytest.raises(ValueError, match="did you mean 'direct'"):
        ou_alignment_limit(0.5, "directed")


def test_chance_of_an_encoder_that_cannot_be_constant():
    # Broken pairs: mean squared distance from the mean of two views is 1/2.
    config = TINY.changed(mixing="coupling", encoder="matched", lam=0.0, batch=256)
    run = jax.jit(lambda key: summary(compare_losses(config, lambda z: z, key)[0]))
    losses = run(jax.random.key(0))
    np.testing.assert_allclose(losses["chance"], 0.5, rtol=0.1)
    np.testing.assert_allclose(losses["gap"], 0, atol=1e-7)


@pytest.mark.parametrize("objective", ["lejepa", "whitening", "infonce"])
def test_restarts_train_apart(objective):
    # The gradient of one restart is half of what it would be alone: the other one
    # has no part in it.
    config = TINY.changed(
        mixing="coupling", encoder="matched", objective=objective, restarts=2
    )
    alone = dataclasses.replace(config, restarts=1)
    many, one = system.make_problem(config), system.make_problem(alone)
    frozen = jax.jit(one.freeze)(jax.random.key(0))
    params, state = jax.jit(many.init)(jax.random.key(1))
    batch = jax.jit(one.draw)(frozen, jax.random.key(2))

    def slope(problem, params):
        def loss(params):
            return problem.loss(params, state, batch, jax.random.key(3))[0]

        return jax.jit(jax.grad(loss))(params)["kernels"]

    both = slope(many, params)
    second = slope(one, jax.tree.map(lambda leaf: leaf[1:], params))
    np.testing.assert_allclose(2 * both[1:], second, rtol=1e-4, atol=1e-6)
    assert not np.allclose(params["kernels"][0], params["kernels"][1])
