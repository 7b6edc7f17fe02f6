"""The comparison of objectives: draws, scores with known values, one short run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.mixing import unmix
from jidcl.numerics import stream_key
from jidcl.systems.rivals import evaluate, process
from jidcl.systems.rivals.presets import DATA, OBJECTIVES, QUICK, Rivals, presets
from jidcl.systems.rivals.problem import SYSTEM, make_problem
from jidcl.systems.shared.sources import make_source
from jidcl.train.state import frozen_draws, start_state
from jidcl.train.step import make_step

SMALL = dataclasses.replace(
    QUICK, mixing_draws=50, fit_rows=300, score_rows=500, batch=128, warmup=0
)


@pytest.mark.parametrize("data", DATA)
def test_pairs_share_what_the_data_says(data):
    config = dataclasses.replace(SMALL, data=data)
    frozen = frozen_draws(make_problem(config), 0)
    draw = jax.jit(lambda key: process.draw_latents(config, frozen, key, 400))
    z, z_pos, z_neg = map(np.asarray, draw(jax.random.key(1)))
    shared, style = config.n_c, z[:, config.n_c :]
    assert (z != z_neg).all()
    if data in ("box", "sphere"):
        assert shared == config.n
        assert 0.3 < np.corrcoef(z[:, 0], z_pos[:, 0])[0, 1] < 1
        return
    np.testing.assert_array_equal(z[:, :shared], z_pos[:, :shared])
    moved = np.mean(style != z_pos[:, shared:])
    # 800 coordinates: 5 standard errors of a share of 0.75.
    assert moved == 1 if data == "n1" else abs(moved - 0.75) < 0.08


def test_true_content_scores_one_and_its_style_the_oracle():
    config = dataclasses.replace(SMALL, data="n4", fit_rows=1500, score_rows=2000)
    frozen = frozen_draws(make_problem(config), 3)

    def content(x):
        return unmix(frozen["g"], x)[:, :2]

    source = make_source(config)

    @jax.jit
    def run(key):
        fit, held = evaluate.draw_rows(config, source, content, frozen, key)
        seen = source.observe(frozen, held.z), held.x
        rows = fit.z, fit.y, held.z, held.y
        found = evaluate.scores(*rows, n_c=2, cross_validate=False)
        return seen, found, evaluate.style_oracle(frozen)["style_oracle"]

    seen, got, oracle = run(jax.random.key(0))
    np.testing.assert_allclose(*seen, rtol=1e-5)
    assert 0.2 < oracle < 1
    for name in ("content", "r2", "mcc"):
        np.testing.assert_allclose(got[name], 1, atol=0.01)
    np.testing.assert_allclose(got["style"], oracle, atol=0.06)
    np.testing.assert_allclose(got["effective_rank"], 2, atol=0.02)


def test_infonce_isolates_content_and_its_untrained_encoder_does_not():
    config = dataclasses.replace(SMALL, learning_rate=8e-3, steps=150)
    program = SYSTEM.make_program(config)
    frozen = jax.jit(lambda: frozen_draws(program, 0))()
    step = make_step(program)

    def run(state):
        return jax.lax.scan(lambda s, _: step(s), state, length=config.steps)

    start = jax.jit(lambda: start_state(program, jnp.asarray(0), frozen))()
    state, _ = jax.jit(run)(start)
    evaluated = jax.jit(program.evaluate)

    def scored(state):
        return evaluated(state.run, frozen, stream_key(jax.random.key(0), "eval"))

    before, after = scored(start), scored(state)
    first, last = before.scores, after.scores
    assert float(last["content"]) > 0.9 > float(first["content"])
    assert abs(float(last["style_excess"])) < 0.2 < float(first["style_excess"])
    assert abs(float(after.nulls["r2"]["shuffled"])) < 0.05
    assert float(after.nulls["r2"]["identity"]) < float(last["r2"])
    assert after.losses is None


def test_presets_and_outputs_follow_the_rules():
    named = presets()
    assert len(named) == 2 * len(DATA) * len(OBJECTIVES)
    widths = {n: named[f"quick/{n}"].outputs for n in named_worlds()}
    assert widths == {
        "n1-barlow": 2,
        "n1-byol": 3,
        "box-vicreg": 4,
        "box-simclr": 5,
        "sphere-simclr": 4,
    }
    assert "byol" in named["full/n1-byol"].summary()


def named_worlds():
    return ["n1-barlow", "n1-byol", "box-vicreg", "box-simclr", "sphere-simclr"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(objective="simclrr"), "did you mean 'simclr'"),
        (dict(data="n6"), "data must be one of"),
        (dict(n=5), "n must be even for data 'n1'"),
        (dict(m=1), "m must be >= 5"),
        (dict(tau=0.0), "tau must be > 0"),
        (dict(late_share=0.1), "late_share must be 0"),
        (
            dict(prototypes=32),
            "prototypes cannot act here, with objective 'lp_infonce': leave it at 64",
        ),
        (dict(objective="barlow", tau=0.5), "tau cannot act here, with objective"),
        (dict(noise=0.2), "noise cannot act here, with data 'n1'"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Rivals(**change)
