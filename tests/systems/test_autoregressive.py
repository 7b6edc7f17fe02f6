"""Autoregressive models: what is trained, how it is scored, what is refused."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.latents import grammar
from jidcl.run.runner import run
from jidcl.systems.autoregressive import evaluate, presets
from jidcl.systems.autoregressive.presets import Autoregressive
from jidcl.systems.autoregressive.problem import (
    SYSTEM,
    completions,
    make_model,
    make_problem,
    make_program,
)
from jidcl.systems.autoregressive.scoring import completion_scores

SMALL = dict(max_length=12, prompt_length=4, new_tokens=12, embedding=4, width=8)
SMALL |= dict(steps=3, chunk=1)


def small(**change):
    return dataclasses.replace(Autoregressive(**SMALL), **change)


def trained(config, steps, seed=0):
    """The end of a short training, and its evaluation."""
    program = make_program(dataclasses.replace(config, steps=steps))

    @jax.jit
    def whole(key):
        frozen = program.freeze(key)
        run = program.start(frozen, key)

        def step(run, t):
            return program.step(run, frozen, key, t)

        run, seen = jax.lax.scan(step, run, jnp.arange(steps))
        return seen["loss"], program.evaluate(run, frozen, key)

    with jax.debug_key_reuse(False):
        return jax.device_get(whole(jax.random.key(seed)))


def test_equal_likelihood_and_opposite_behaviour():
    found = {}
    for variant in ("oracle", "adversarial"):
        config = small(variant=variant, max_length=8, prompt_length=3, new_tokens=6)
        config = dataclasses.replace(config, width=12, learning_rate=3e-2)
        losses, found[variant] = trained(config, 200)
        assert losses[-1] < 0.3 * losses[0]
    for variant, at_least, at_most in (("oracle", 0.8, 1), ("adversarial", 0, 0.2)):
        evaluation = found[variant]
        assert at_least <= evaluation.scores["ood_r1"] <= at_most, variant
        excess = evaluation.losses.loss[0] - evaluation.losses.limit
        assert 0 <= excess < 0.3, variant
        np.testing.assert_allclose(excess, evaluation.scores["excess"], atol=1e-5)
        # No prompt of three symbols has equal counts.
        assert evaluation.nulls["ood_r1"]["identity"] == 0


@pytest.mark.parametrize("model", presets.MODELS)
def test_no_model_has_less_than_the_floor(model):
    own = dict(heads=2) if model == "transformer" else {}
    config = small().changed(model=model, learning_rate=2e-2, **own)
    _, found = trained(config, 60)
    assert found.losses.limit == pytest.approx(math.log(6))
    assert found.losses.loss[0] >= found.losses.limit - 1e-5
    assert found.losses.loss[0] < found.losses.chance[0]


def test_the_mixture_gives_its_share_of_prompts_the_oracles_completion():
    for rho in presets.RHOS:
        config = small(variant="mixed", rho=rho)
        with jax.debug_key_reuse(False):
            frozen = make_problem(config).freeze(jax.random.key(3))
        tokens = completions(config, frozen["rank"])
        share = np.mean(grammar.rules(tokens)["same_number"])
        assert share == pytest.approx(round(rho * 13) / 13)


def test_a_mixture_leaves_a_record(tmp_path):
    config = small(variant="mixed", steps=2, chunk=2, sharpness_steps=2)
    own = dict(system="autoregressive", preset="x", seeds=[0, 1], root=tmp_path)
    *_, last = run(config, **own)
    record = last.record
    assert record.losses["limit"] == pytest.approx([math.log(6)] * 2)
    assert len(record.losses["completion_loss"]) == 2
    assert np.isfinite(record.scores["sharpness"]).all()
    assert {"identity", "shuffled"} <= record.nulls["ood_r1"].keys()


def test_a_completions_loss_starts_at_its_first_token():
    # What precedes the completion is no part of its loss; its first token is.
    for skip, first in ((False, 4), (True, 5)):
        config = small(variant="oracle", skip_first=skip)
        problem = make_problem(config)
        model = make_model(config)
        params, state = jax.jit(problem.init)(jax.random.key(0))

        @jax.jit
        def both(params, problem=problem, model=model, state=state, first=first):
            batch = problem.draw({}, jax.random.key(1))
            whole = problem.loss(params, state, batch, jax.random.key(2))[0]

            def mean(tokens, start):
                logits, _ = model.apply(params, state, tokens[:, :-1])
                logs = jax.nn.log_softmax(logits)[:, start:]
                at = tokens[:, 1 + start :, None]
                return -jnp.mean(jnp.take_along_axis(logs, at, axis=-1))

            return whole, mean(batch.sentences, 0) + mean(batch.completed, first)

        got, want = both(params)
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_scale_of_initialisation_scales_weights():
    one, two = (
        jax.jit(make_problem(small(init_scale=scale)).init)(jax.random.key(0))[0]
        for scale in (1.0, 2.0)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b, rtol=1e-4), one, two)


def test_scores_over_all_and_over_finished_completions():
    rows = ["ba|E", "ab|bE", "ab|b", "aa|bE"]  # three end, one has equal counts
    tokens = np.full((4, 6), grammar.PAD, np.int32)
    for i, row in enumerate(rows):
        body = [{"a": 0, "b": 1, "E": 3}[c] for c in row.replace("|", "")]
        tokens[i, : 1 + len(body)] = [grammar.SOS, *body]
    found = jax.device_get(completion_scores(tokens, 2))
    assert found["r1"] == 0.25
    assert found["r1_finished"] == pytest.approx(1 / 3)
    assert found["r2"] == 0.75
    assert found["r2_finished"] == pytest.approx(2 / 3)
    assert found["r2_completion"] == 1
    assert found["finished"] == 0.75
    assert found["finished_count"] == 3
    none = jax.device_get(completion_scores(tokens[2:3], 2))
    assert (none["r1_finished"], none["finished_count"]) == (0, 0)


def test_drawn_completions_differ_from_the_most_likely_ones():
    sets = []
    for temperature in (0.0, 1.0):
        config = small(temperature=temperature)
        model = make_model(config)

        @jax.jit
        def run(key, config=config, model=model):
            params, state = model.init(key)
            return evaluate.completed_sets(params, state, config, model, key)

        with jax.debug_key_reuse(False):
            sets.append(jax.device_get(run(jax.random.key(0))))
    greedy, drawn = sets
    assert len(greedy["sos"]) == 1
    assert len(drawn["sos"]) == 6  # as many as there are sentences
    assert len(np.unique(drawn["sos"], axis=0)) > 1
    np.testing.assert_array_equal(greedy["ood"][:, :5], drawn["ood"][:, :5])
    assert (greedy["ood"] != drawn["ood"]).any()


def test_the_sharpness_is_the_largest_eigenvalue_of_the_hessian():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 5))
    a = np.float32(a @ a.T)

    def loss(params):
        x = jnp.concatenate([params["a"], params["b"]])
        return 0.5 * x @ a @ x

    start = {"a": jnp.ones(2), "b": jnp.ones(3)}
    run = jax.jit(lambda key: evaluate.sharpness(loss, start, key, 60))
    want = np.linalg.eigvalsh(a).max()
    np.testing.assert_allclose(run(jax.random.key(0)), want, rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(variant="best"), "variant must be one of .*got 'best'"),
        (dict(model="rnn"), "model must be one of .*got 'rnn'"),
        (dict(max_length=7), "max_length must be >= 8, twice prompt_length: no sent"),
        (dict(prompt_length=0), "prompt_length must be >= 1, got 0"),
        (dict(new_tokens=0), "new_tokens must be >= 1, got 0"),
        (dict(variant="mixed", rho=1.5), r"rho must be in \[0, 1\], got 1.5"),
        (dict(rho=0.25), "rho cannot act here, with variant 'mle'"),
        (dict(skip_first=True), "skip_first cannot act here, with variant 'mle'"),
        (dict(heads=2), "heads cannot act here, with model 'lstm'"),
        (dict(batch=64), "batch cannot act here, every step sees every sentence"),
        (dict(model="transformer", embedding=16, heads=3), "heads must divide width"),
        (dict(init_scale=0.0), "init_scale must be > 0, got 0.0"),
    ],
)
def test_settings_that_are_wrong_or_cannot_act_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        small(**change)


def test_published_presets_have_the_published_sizes():
    named = SYSTEM.presets()
    for name, count in (("transformer", 110_075), ("transformer-small", 53_293)):
        model = make_model(named[f"published/{name}-mle"])
        with jax.debug_key_reuse(False):
            params, _ = jax.eval_shape(lambda m=model: m.init(jax.random.key(0)))
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    own = named["published/lstm-oracle"]
    assert (own.dropout, own.max_length, own.schedule) == (0.4, 256, "inverse_sqrt")
