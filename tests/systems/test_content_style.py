import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl.claims import load_claims
from jidcl.latents import init_blocks
from jidcl.systems.content_style import problem as system
from jidcl.systems.content_style.evaluate import evaluate, reference_losses
from jidcl.systems.content_style.presets import ContentStyle, presets
from jidcl.systems.content_style.process import build_encoder, draw_latents
from jidcl.systems.shared.sources import make_source
from jidcl.train.evaluation import summarised

ROWS = presets()
# The table of conditions: probability of a change, stat, causal.
CONDITIONS = {
    "n1": (1.0, False, False),
    "n2": (0.75, False, False),
    "n3": (0.75, True, False),
    "n4": (0.75, False, True),
    "n5": (0.75, True, True),
}
TINY = ROWS["quick/n4"].changed(
    widths=(4, 4),
    batch=16,
    eval_batch=512,
    eval_batches=2,
    mixing="identity",
    fit_rows=400,
    score_rows=400,
)


@pytest.mark.parametrize("name", CONDITIONS)
def test_presets_are_the_published_conditions(name):
    for budget in ("full", "published"):
        c = ROWS[f"{budget}/{name}"]
        assert (c.change, c.stat, c.causal) == CONDITIONS[name]
        assert (c.n_c, c.n_s, c.outputs, c.fixed_style) == (5, 5, 5, ())
        assert (c.objective, c.output, c.p, c.power) == ("infonce", "none", 2, True)
        assert (c.tau, c.alpha, c.include_positive, c.log_mean) == (1, 0.5, True, True)
        assert (c.widths, c.slope) == ((10, 50, 50, 50, 50, 10), 0.01)
        assert (c.fit_rows, c.score_rows, c.eval_batches) == (20_480, 4096, 10)
    published = ROWS[f"published/{name}"]
    settings = (published.optimiser, published.learning_rate, published.schedule)
    assert settings == ("adam", 1e-4, "constant")
    assert (published.batch, published.steps) == (6144, 100_001)
    assert published.init == "fan_in_uniform"


def test_the_published_encoder_has_its_published_size():
    encoder = build_encoder(ROWS["published/n1"])
    params, _ = jax.eval_shape(encoder.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 853_705


def test_claims_name_presets_and_scores_that_exist():
    names = {"content_krr", "style_excess", "fixed_style_krr"}
    for claim in load_claims("content_style").quick:
        assert f"quick/{claim.preset}" in ROWS
        assert claim.metric in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_c": 0}, "n_c must be >= 1, got 0"),
        ({"m": 0}, "outputs must be >= 1, got 0"),
        ({"change": 1.5}, r"change must be in \[0, 1\], got 1.5"),
        ({"fixed_style": (5,)}, r"fixed_style must hold numbers from 0 to 4, got \[5"),
        ({"objective": "info_nce"}, "did you mean 'infonce'"),
        ({"objective": "align_maxent"}, "needs output 'box'"),
        ({"fit_rows": 50}, "fit_rows must be >= 100, got 50"),
        ({"tau": 0.0}, "tau must be > 0"),
        ({"weight": 2.0}, "weight cannot act here, with objective 'infonce': leave it"),
        ({"least_eigenvalue": 0.1}, "least_eigenvalue cannot act here, without stat"),
        (
            {"objective": "align_maxent", "output": "box", "p": 3.0},
            "p cannot act here, with objective 'align_maxent': leave it at 2.0",
        ),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ContentStyle(), **settings)


def frozen_of(config):
    with jax.debug_key_reuse(False):
        return jax.jit(system.make_problem(config).freeze)(jax.random.key(0))


@functools.cache
def evaluation(config):
    """Compiled scores of the linear encoder y = z W, by frozen draws and W."""
    source = make_source(config)

    def run(frozen, w):
        found = evaluate(config, source, lambda z: z @ w, frozen, jax.random.key(1))
        return summarised(found)

    return jax.jit(run)


@pytest.mark.parametrize("causal", [False, True])
def test_the_true_content_reaches_its_floor_and_its_oracle(causal):
    frozen = frozen_of(dataclasses.replace(TINY, causal=causal))
    # Any invertible map of content is as good as content to the scores.
    found = evaluation(TINY)(frozen, 7 * jnp.eye(4)[:, :2])
    scores, losses = found.scores, found.losses
    assert abs(float(losses["gap"])) < 1e-4
    assert float(losses["chance"]) == pytest.approx(0, abs=1e-5)
    assert float(losses["train_reference"]) == pytest.approx(-np.log(17))
    assert float(losses["own_loss"]) < float(losses["loss"]) - 0.5  # 7 x wider
    assert float(scores["content_linear"]) > 0.999
    assert float(scores["content_krr"]) > 0.99
    # R2 held out over 800 rows: standard error below 0.02, and the noise of the fit.
    assert abs(float(scores["style_excess"])) < 0.1
    assert abs(float(scores["style_oracle_sampled"] - scores["style_oracle"])) < 0.1
    want = np.sum(np.asarray(frozen["law"].effect, np.float64) ** 2, axis=1)
    want = want / (want + 1)
    np.testing.assert_allclose(scores["style_oracle_per_dim"], want, rtol=1e-4)
    assert (want.mean() > 0.1) == causal
    # Noise opens the gap; content is found up to any map, so no rotation does.
    noise, rotation = (found.perturbed[kind] for kind in ("noise", "rotation"))
    assert (np.diff(noise["gap"]) > 0).all()
    assert float(noise["gap"][0]) > 0.01
    np.testing.assert_allclose(noise["content_krr"], 1 - noise["strength"], atol=0.03)
    np.testing.assert_allclose(rotation["gap"], 0, atol=1e-4)


def test_style_in_the_outputs_opens_the_gap_and_shows_as_excess():
    # One output of each block.
    found = evaluation(TINY)(frozen_of(TINY), jnp.eye(4)[:, 1:3])
    scores = found.scores
    assert float(found.losses["gap"]) > 0.3
    assert float(scores["style_excess"]) > 0.1
    assert float(scores["content_krr"]) < 0.9
    for block in ("content", "style"):  # of x, which is z here
        for null in (found.nulls[f"{block}_{name}"] for name in ("linear", "krr")):
            assert float(null["identity"]) > 0.999
            # Two slopes of 1/20 deviation: R2 of 0, to 4 deviations of 1/200.
            assert abs(float(null["shuffled"])) < 0.03
        assert float(scores[f"{block}_linear"]) < 0.9


def test_a_fixed_style_coordinate_is_content_to_the_pairs():
    config = dataclasses.replace(TINY, causal=False, fixed_style=(1,), m=3)

    @jax.jit
    def drawn(law_key, key):
        return draw_latents(config, init_blocks(law_key, 2, 2), key, 64)

    latents = drawn(jax.random.key(0), jax.random.key(1))
    z, z_pos, z_neg = map(np.asarray, latents)
    kept = np.asarray([0, 1, 3])
    np.testing.assert_array_equal(z[:, kept], z_pos[:, kept])
    assert np.mean(z[:, 2] != z_pos[:, 2]) > 0.5
    assert not np.isin(z_neg, z).any()
    found = evaluation(config)(frozen_of(config), np.eye(4, dtype=np.float32)[:, kept])
    scores = found.scores
    assert float(scores["fixed_style_krr"]) > 0.99
    assert 0.4 < float(scores["style_excess"]) < 0.6
    # Three coordinates at the same spread spread more than two: nothing is left.
    assert float(found.losses["gap"]) < 0


def test_the_unit_box_is_compared_with_the_best_sigmoid_of_content():
    config = TINY.changed(objective="align_maxent", output="box", variance=0.005)
    frozen = frozen_of(config)

    @jax.jit
    def losses(scale):
        def f(z):
            return jax.nn.sigmoid(scale * z[:, :2])

        key = jax.random.key(1)
        return reference_losses(config, make_source(config), f, frozen, key)[0]

    gaps = []
    for scale in (0.3, 1.5, 20.0):
        values = losses(scale)
        gaps.append(float(jnp.mean(values.loss - values.reference)))
    assert min(gaps) > -2e-3
    assert gaps[1] < min(gaps[0], gaps[2])


def test_losses_are_finite_and_train_the_encoder():
    for change in ({}, {"objective": "align_maxent", "output": "box"}):
        problem = system.make_problem(dataclasses.replace(TINY, **change))

        @jax.jit
        def step(key, problem=problem):
            frozen, (params, state) = problem.freeze(key), problem.init(key)
            batch = problem.draw(frozen, key)

            def loss(params):
                return problem.loss(params, state, batch, key)[0]

            value, grad = jax.value_and_grad(loss)(params)
            moved = jax.tree.map(lambda p, g: p - 1e-3 * g, params, grad)
            return value, loss(moved)

        with jax.debug_key_reuse(False):
            before, after = step(jax.random.key(0))
        assert float(after) < float(before)


def test_every_seed_of_a_batch_is_the_run_of_its_own_key():
    problem = system.make_problem(dataclasses.replace(TINY, stat=True))
    keys = jax.random.split(jax.random.key(0), 2)
    mapped = jax.jit(jax.vmap(problem.freeze))(keys)
    one = jax.jit(problem.freeze)(jax.random.split(jax.random.key(0), 2)[1])
    for a, b in zip(jax.tree.leaves(mapped), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[1], b, rtol=1e-5, atol=1e-6)
