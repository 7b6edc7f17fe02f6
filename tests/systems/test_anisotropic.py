import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.claims import load_claims
from jidcl.encoders import make_mlp
from jidcl.losses import to_lam
from jidcl.run.runner import run_folder
from jidcl.systems.anisotropic import problem as system
from jidcl.systems.anisotropic import process
from jidcl.systems.anisotropic.evaluate import evaluate
from jidcl.systems.anisotropic.presets import (
    Anisotropic,
    as_published,
    geometric,
    presets,
)
from jidcl.train import fit, summarised
from jidcl.train.evaluation import finished

ROWS = presets()
TINY = dataclasses.replace(
    ROWS["quick/distinct"],
    lam="linear",
    lam_values=(),
    widths=(4, 8),
    batch=16,
    eval_batch=64,
    eval_batches=2,
    mixing_draws=20,
)


def test_published_settings():
    for name in ("linear", "bimodal"):
        c = ROWS[f"published/{name}"]
        assert (c.n, c.batch, c.steps, c.cross) == (10, 1000, 300_003, "reference")
        assert (c.optimiser, c.learning_rate, c.lam_rate) == ("adam", 1e-4, 1e-3)
        assert (c.schedule, c.widths) == ("constant", (10, 50, 50, 50, 50, 10))
        assert (c.pair, c.shell, c.marginal) == ("rejection", 0.1, "uniform")
        assert c.lam_start == math.log(2)
    np.testing.assert_allclose(ROWS["published/linear"].lams[0], np.linspace(5, 25, 10))
    assert ROWS["published/bimodal"].lams == ((25,) * 5 + (5,) * 5,)


def test_every_claim_names_a_preset():
    claims = load_claims("anisotropic")
    assert {f"quick/{c.preset}" for c in claims.quick} <= set(ROWS)
    for budget in ("full", "published"):
        assert {f"{budget}/{c.preset}" for c in claims.published} <= set(ROWS)


def test_spreads_keep_their_geometric_mean_and_ratio():
    for ratio in (1.0, 25.0, 400.0):
        values = np.array(geometric(ratio))
        np.testing.assert_allclose(np.exp(np.log(values).mean()), math.sqrt(125))
        np.testing.assert_allclose(values[-1] / values[0], ratio)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 1}, "n of a sphere must be >= 2"),
        ({"lam": "linaer"}, "did you mean 'linear'"),
        ({"lam": "custom"}, "got 0 with lam='custom'"),
        ({"lam_values": (1.0,) * 10}, "none otherwise, got 10 with lam='linear'"),
        ({"lam": "custom", "lam_values": (1.0,) * 15}, "multiple of n=10"),
        ({"lam": "custom", "lam_values": (0.0,) * 10}, "lam_values must be > 0"),
        ({"lam_model": "truth", "m": 12}, "lam_model 'truth' needs m = n, got m=12"),
        ({"pair": "vfm"}, "did you mean 'vmf'"),
        ({"tau_plus": 1.5}, "tau_plus must be in"),
        ({"lam_rate": 0.0}, "lam_rate must be > 0"),
        ({"objective": "supervised", "m": 12}, "needs m = n and no head, got m=12"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Anisotropic(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kappa": 3.0}, "kappa cannot act here, with pair 'rejection'.*got 3.0"),
        ({"pair": "vmf", "shell": 0.2}, "shell cannot act here, with pair 'vmf'"),
        ({"marginal_param": 2.0}, "with marginal 'uniform': leave it at 1.0"),
        ({"lam_model": "fixed", "lam_rate": 1.0}, "with lam_model 'fixed'"),
        ({"lam_model": "truth", "lam_start": 1.0}, "lam_start cannot act here"),
        ({"objective": "supervised", "beta": 1.0}, "with objective 'supervised'"),
        ({"mixing": "linear", "mixing_layers": 2}, "mixing_layers cannot act here"),
    ],
)
def test_settings_that_cannot_act_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Anisotropic(**changes)


def test_published_settings_are_those_that_act():
    # With the true Lambda nothing is learned of it, and regression has no Lambda.
    truth, supervised = (
        as_published(TINY.changed(**change))
        for change in (dict(lam_model="truth"), dict(objective="supervised"))
    )
    assert (truth.cross, truth.lam_rate) == ("reference", Anisotropic.lam_rate)
    assert (supervised.cross, supervised.steps) == ("symmetric", 300_003)


BIMODAL = TINY.changed(lam="bimodal", eval_batch=512, mixing="identity")


@jax.jit
def evaluated(matrix, lam):
    """What the encoder x -> x matrix scores: one program for all of them."""
    frozen = system.make_problem(BIMODAL).freeze(jax.random.key(0))

    def f(x):
        return x @ matrix, x @ matrix

    return summarised(evaluate(BIMODAL, f, lam, frozen, jax.random.key(1)))


def test_the_true_encoder_has_no_gap_and_full_scores():
    reversing = np.eye(4, dtype=np.float32)[::-1]
    of = evaluated(reversing, np.float32([[5, 5, 25, 25]]))
    assert abs(float(of.losses["gap"])) < 1e-5
    for name in ("r2", "mcc", "block_r2"):
        assert float(of.scores[name]) > 0.9999
    for name in ("lam_error", "lam_error_sorted"):
        assert abs(float(of.scores[name])) < 1e-6
    np.testing.assert_allclose(of.losses["chance"], math.log(2 * 512 - 1), rtol=1e-5)
    assert float(of.nulls["mcc"]["rotation_low"]) < 0.8


def test_rotations_inside_blocks_are_optimal_and_no_permutation():
    c, s = math.cos(0.7), math.sin(0.7)
    inside = np.kron(np.eye(2), [[c, s], [-s, c]]).astype(np.float32)
    lam = np.float32([[25, 25, 5, 5]])
    of = evaluated(inside, lam)
    assert abs(float(of.losses["gap"])) < 1e-5
    assert float(of.scores["block_r2"]) > 0.9999
    low, high = (float(of.nulls["mcc"][f"rotation_{end}"]) for end in ("low", "high"))
    assert low < float(of.scores["mcc"]) < high
    across = np.roll(np.eye(4, dtype=np.float32), 1, axis=0) @ inside
    of = evaluated(across, lam)
    assert float(of.losses["gap"]) > 0.1


@pytest.mark.long
def test_loss_of_the_true_latents_is_the_published_target():
    # The specification: means over batches of 1000, batch to batch 0.05, +- 0.01.
    for lam, target, isotropic in (("linear", 4.03, 4.40), ("bimodal", 4.32, 5.12)):
        config = Anisotropic(lam=lam, eval_batch=1000)
        truth = jnp.asarray(config.lams)

        def means(key, config=config, truth=truth):
            lam_key, pair_key = jax.random.split(key)
            best = process.oracle_lam(
                dataclasses.replace(config, lam_model="scalar"), lam_key
            )

            def losses(key):
                pair = process.draw_pairs(config, key, 1000)
                both = (process.objective(config, *pair, lam) for lam in (truth, best))
                return jnp.stack(list(both))

            batches = jax.lax.map(losses, jax.random.split(pair_key, 4))
            return jnp.mean(batches, axis=0)

        got = jax.jit(means)(jax.random.key(0))
        error = 3.9 * math.hypot(0.05 / 2, 0.01)
        assert abs(got[0] - target) < error
        assert abs(got[1] - isotropic) < error


def test_lambda_has_an_optimiser_of_its_own():
    config = TINY.changed(schedule="constant", lam_rate=0.5)
    optimiser = system.both_optimisers(config)

    @jax.jit
    def first_step(key):
        params, _ = system.make_problem(TINY).init(key)
        grads = jax.tree.map(jnp.ones_like, params)
        with jax.numpy_dtype_promotion("standard"):
            return params, optimiser.update(grads, optimiser.init(params), params)[0]

    params, updates = first_step(jax.random.key(0))
    lam = jax.jit(to_lam)(params["raw_lam"])
    np.testing.assert_allclose(lam, TINY.lam_start, rtol=0.2)
    np.testing.assert_allclose(updates["raw_lam"], -0.5, rtol=1e-4)
    largest = max(np.abs(x).max() for x in jax.tree.leaves(updates["f"]))
    assert largest < 0.1


MISMATCHES = [
    dict(pair="projected", marginal="lam", lam_model="scalar"),
    dict(pair="laplace", marginal="normal", m=2, beta=0.5),
    dict(pair="vmf", lam_model="fixed", m=6, cross="reference")
    | dict(lam="custom", lam_values=(25.0, 5.0, 5.0, 5.0) * 2, head=(4,)),
]


@pytest.mark.share(3)
@pytest.mark.parametrize("changes", MISMATCHES, ids=str)
def test_every_mismatch_has_a_finite_loss_and_its_scores(changes):
    config = TINY.changed(**changes)
    problem = system.make_problem(config)

    @jax.jit
    def first(key):
        keys = jax.random.split(key, 3)
        params, state = problem.init(keys[0])
        batch = problem.draw(problem.freeze(keys[1]), keys[2])
        value = jax.value_and_grad(lambda p: problem.loss(p, state, batch, None)[0])
        return params, state, value(params)

    params, state, (loss, grads) = first(jax.random.key(0))
    assert np.isfinite(loss)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert ("raw_lam" in params) == (config.lam_model != "fixed")
    of = jax.eval_shape(
        lambda key: summarised(
            problem.evaluate(params, state, problem.freeze(key), jax.random.key(1))
        ),
        jax.random.key(0),
    )
    assert {"r2", "mcc", "lam_error"} <= set(of.scores)
    assert {"loss", "reference", "gap"} <= set(of.losses)
    assert ("head_mcc" in of.scores) == bool(config.head)


@pytest.mark.long
@pytest.mark.parametrize("changes", MISMATCHES, ids=str)
def test_every_mismatch_trains_and_scores(changes):
    config = TINY.changed(**changes)
    program = system.make_program(config)
    state, of = fit(program, seeds=2, steps=2, chunk_steps=2)
    for name in ("r2", "mcc", "lam_error"):
        assert np.isfinite(of.scores[name]).all()
    for name in ("loss", "reference", "gap"):
        assert np.isfinite(of.losses[name]).all()
    assert ("head_mcc" in of.scores) == bool(config.head)
    assert ("raw_lam" in state.params) == (config.lam_model != "fixed")


def test_supervised_training_is_a_regression_without_a_floor():
    config = TINY.changed(objective="supervised", mixing="identity")
    problem = system.make_problem(config)
    params, state = jax.jit(problem.init)(jax.random.key(2))
    frozen = jax.jit(problem.freeze)(jax.random.key(0))
    args = params, state, frozen, jax.random.key(1)
    of = jax.eval_shape(lambda *args: finished(problem.evaluate(*args)), *args)
    assert system.SYSTEM.floor_kind(config) == "none"
    assert {"r2", "mcc"} <= set(of.scores)
    assert not {"lam_error", "block_r2"} & set(of.scores)
    assert (of.losses.reference, of.losses.chance, of.losses.extra) == (None, None, {})
    batch = jax.jit(problem.draw)(frozen, jax.random.key(1))
    value = jax.jit(lambda batch: problem.loss(params, {}, batch, None)[0])
    loss = value(batch)
    swapped = batch._replace(x_pos=batch.x[::-1])  # it sees no positives
    np.testing.assert_array_equal(value(swapped), loss)
    exact = batch._replace(z=unit_outputs(config, params, batch.x))
    assert float(value(exact)) < 1e-12


def unit_outputs(config, params, x):
    encoder = make_mlp(
        config.n, widths=config.widths, slope=config.slope, output="sphere"
    )
    return jax.jit(encoder.apply)(params["f"], {}, x)[0]


@pytest.fixture
def stand_in(tmp_path, monkeypatch, rng):
    """Twelve images of noise where MNIST is looked for."""
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("JIDCL_DATA", str(tmp_path))
    images = rng.integers(0, 256, size=(12, 28, 28)).astype(np.uint8)
    labels = np.zeros(12, np.uint8)
    parts = {"train_images": images, "train_labels": labels}
    parts |= {"test_images": images, "test_labels": labels}
    np.savez(tmp_path / "mnist" / "mnist.npz", **parts)
    return ROWS["mnist/linear"]


def test_a_learned_decoder_is_a_frozen_draw_of_each_seed(stand_in):
    small = dict(mixing_draws=3, widths=(4,), batch=8)
    problem = system.make_problem(dataclasses.replace(stand_in, **small))
    seeds = jax.random.split(jax.random.key(0), 2)
    frozen = jax.jit(jax.vmap(problem.freeze))(seeds)
    kernel = frozen["g"]["decoder"]["layers"]["2"]["kernel"]
    assert kernel.shape == (2, 100, 784)
    assert float(jnp.abs(kernel[0] - kernel[1]).max()) > 0.01
    params, _ = jax.eval_shape(problem.init, jax.random.key(1))
    assert params["f"]["layers"]["0"]["kernel"].shape == (784, 16)
    draw = jax.jit(lambda f, k: problem.draw(jax.tree.map(lambda x: x[0], f), k))
    x = draw(frozen, jax.random.key(0)).x
    assert x.shape == (8, 784)
    assert 0 < float(x.min()) < float(x.max()) < 1


def test_caches_know_which_images_a_decoder_saw(stand_in, monkeypatch, tmp_path):
    before = system.SYSTEM.frozen_identity(stand_in)
    path = tmp_path / "mnist" / "mnist.npz"
    path.write_bytes(path.read_bytes() + b"0")
    assert system.SYSTEM.frozen_identity(stand_in) != before
    folders = [run_folder(tmp_path, "anisotropic", "a", stand_in, [0])]
    path.write_bytes(path.read_bytes() + b"1")
    folders.append(run_folder(tmp_path, "anisotropic", "a", stand_in, [0]))
    assert folders[0] != folders[1]
    monkeypatch.delenv("JIDCL_DATA")
    with pytest.raises(ValueError, match="JIDCL_DATA must name a folder"):
        system.make_problem(stand_in).freeze(jax.random.key(0))


@pytest.mark.long
def test_training_finds_the_axes_with_its_own_lambda_and_not_without():
    small = dict(steps=500, eval_batch=512, eval_batches=2, mixing_draws=500)
    of = {}
    for name in ("distinct", "infonce"):
        config = dataclasses.replace(ROWS[f"quick/{name}"], **small)
        of[name] = fit(system.make_program(config), seeds=1, steps=500)[1]
    assert of["distinct"].scores["mcc"] > of["infonce"].scores["mcc"] + 0.05
    assert of["distinct"].losses["loss"] < 5.2
    assert of["infonce"].scores["r2"] > 0.9
