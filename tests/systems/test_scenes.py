"""Contrastive ICA and causal views from pictures: wiring, scores, refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import fit
from jidcl.claims import load_claims
from jidcl.mixing.scenes import SCENES as DRAWN
from jidcl.mixing.scenes import Figures, make_scene, render
from jidcl.systems.causal3d import evaluate as causal_evaluate
from jidcl.systems.causal3d import process as causal3d
from jidcl.systems.causal3d.presets import AUGMENTED, TRANSFORMED, Causal3D
from jidcl.systems.causal3d.presets import presets as causal_presets
from jidcl.systems.scenes import problem as scenes
from jidcl.systems.scenes.presets import Scenes
from jidcl.systems.scenes.presets import presets as scene_presets
from jidcl.systems.shared.pictures import (
    coarse,
    in_parts,
    make_image_encoder,
    two_views,
)
from jidcl.systems.shared.settings import SCENES
from jidcl.systems.shared.sources import make_source
from jidcl.train import summarised
from jidcl.types import Batch

# Sprites are cheap to compile and to draw.
TINY = Scenes(
    mixing="sprites",
    factors=("x", "y"),
    n=2,
    size=16,
    encoder="cnn",
    conditional_param=0.2,
    output="learnable_box",
    output_size=3.0,
    optimiser="adam",
    learning_rate=1e-3,
    warmup=0,
    batch=32,
    steps=2,
    chunk=2,
    eval_batch=512,
    eval_batches=2,
)


def test_names_of_scenes_and_of_presets_are_known():
    assert set(SCENES) == set(DRAWN)
    for system, presets in (
        ("scenes", scene_presets()),
        ("causal3d", causal_presets()),
    ):
        claims = load_claims(system)
        for claim in claims.published:
            assert {f"full/{claim.preset}", f"published/{claim.preset}"} <= set(presets)
            assert claim.direction == "analogue"
        assert {f"quick/{claim.preset}" for claim in claims.quick} <= set(presets)


def test_free_factors_are_set_and_the_others_stay_in_the_middle(rng):
    config = dataclasses.replace(TINY, factors=("y", "scale"))
    z = jnp.asarray(rng.uniform(-1, 1, size=(3, 2)), jnp.float32)
    scene = make_scene("sprites", size=16)
    full = np.zeros((3, 5), np.float32)
    columns = [scene.factors.index(name) for name in config.factors]
    full[:, columns] = z
    want = jax.jit(jax.vmap(lambda z: render(scene, z)))(full)
    seen = jax.jit(functools.partial(make_source(config).observe, {}))(z)
    np.testing.assert_array_equal(seen, want)


def test_pairs_follow_the_conditional_and_their_pictures_are_exact():
    problem = scenes.make_problem(TINY)
    batch = jax.jit(problem.draw)({"g": {}}, jax.random.key(0))
    assert batch.x.shape == batch.x_pos.shape == (32, 16, 16, 1)
    observe = jax.jit(functools.partial(make_source(TINY).observe, {}))
    for x, z in ((batch.x, batch.z), (batch.x_pos, batch.z_pos)):
        np.testing.assert_allclose(observe(z), x, atol=1e-6)
    # 0.2, cut off at the walls; 64 numbers: a standard deviation of 0.017.
    spread = np.std(np.asarray(batch.z) - np.asarray(batch.z_pos))
    assert 0.1 < spread < 0.25


def test_training_goes_on_over_seeds_and_scores_stand_beside_coarse_pictures():
    program = scenes.make_program(TINY)
    _, found = fit(program, seeds=2, steps=2, chunk_steps=2)
    values = {**found.scores, **found.losses}
    for name in ("r2", "mcc", "loss", "reference", "gap", "linear_loss"):
        assert values[name].shape == (2,)
        assert np.isfinite(values[name]).all()
    assert "identity" not in found.nulls["mcc"]
    # Where the sprite is can be read from coarse pictures by a linear map, roughly.
    assert found.nulls["r2"]["identity"].shape == (2,)
    assert (found.nulls["r2"]["identity"] > 0.5).all()
    assert (found.losses["reference"] < found.losses["loss"]).all()


def test_coarse_pictures_are_means_over_parts(rng):
    x = rng.uniform(size=(2, 16, 16, 3)).astype(np.float32)
    want = x.reshape(2, 4, 4, 4, 4, 3).mean((2, 4)).reshape(2, -1)
    odd = np.pad(x, ((0, 0), (0, 1), (0, 3), (0, 0)), constant_values=9)
    np.testing.assert_allclose(coarse(jnp.asarray(odd)), want, atol=1e-6)
    np.testing.assert_allclose(coarse(jnp.asarray(x)), want, atol=1e-6)
    flat = jnp.asarray(rng.normal(size=(5, 4)))
    np.testing.assert_array_equal(coarse(flat), flat)


def test_reading_in_parts_is_reading_at_once(rng):
    z = jnp.asarray(rng.normal(size=(12, 3)))

    def read(z):
        return 2 * z, jnp.sum(z, axis=1)

    for rows in (4, 5, 100):  # divides, does not, is too many
        for part, whole in zip(in_parts(read, z, rows=rows), read(z), strict=True):
            np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_encoders_have_the_configured_heads(name):
    config = dataclasses.replace(TINY, encoder=name, bfloat16=name == "resnet18")
    f = make_image_encoder(config, 2, output="learnable_box", output_size=3.0)
    params, state = jax.eval_shape(f.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((4, 16, 16, 1), jnp.float32)
    y, _ = jax.eval_shape(f.apply, params, state, x)
    assert (y.shape, y.dtype) == ((4, 2), jnp.float32)
    assert params["output"]["bound"].shape == (2,)


def test_the_two_views_are_turned_by_different_quarters(rng):
    image = rng.integers(0, 256, size=(8, 8, 3)).astype(np.float32) / 255
    x = jnp.asarray(np.repeat(image[None], 64, 0))
    settings = scenes.ViewSettings(size=8)
    turn = jax.jit(lambda key, x: jnp.stack(two_views(key, x, settings, turned=True)))
    views = np.asarray(turn(jax.random.key(0), x))
    turned = [np.rot90(image, k) for k in range(4)]
    which = np.array(
        [[[np.abs(v - t).max() < 1e-6 for t in turned] for v in row] for row in views]
    )
    assert (which.sum(-1) == 1).all()
    first, second = which.argmax(-1)
    assert (first != second).all()
    assert set(zip(first, second, strict=True)) == {
        (a, b) for a in range(4) for b in range(4) if a != b
    }


def test_augmented_views_share_latents_and_have_no_floor():
    config = TINY.changed(mixing="ident3d", views="augmented", size=8, batch=4)
    assert config.conditional_param == Scenes().conditional_param
    assert scenes.floor_kind(config) == "none"
    drawn = jax.eval_shape(
        scenes.make_problem(config).draw, {"g": {}}, jax.random.key(0)
    )
    assert drawn.x.shape == drawn.x_pos.shape == (4, 8, 8, 3)
    problem = scenes.make_problem(config)
    params, state = jax.eval_shape(problem.init, jax.random.key(0))
    found = jax.eval_shape(
        lambda *args: summarised(problem.evaluate(*args)),
        *(params, state, {"g": {}}, jax.random.key(1)),
    )
    assert {"r2", "mcc"} <= set(found.scores)
    assert "isometry_error" not in found.scores
    assert set(found.losses) == {"loss"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "real"}, "space must be bounded"),
        ({"high": 1.5}, "-high must be >= -1, got -1.5"),
        ({"low": -2.0}, "low must be >= -1, got -2"),
        ({"mixing": "linear"}, "mixing must be one of"),
        ({"encoder": "mlp"}, "encoder must be one of"),
        ({"size": 20}, "size must be 8, 16, 32 or 64 for encoder 'cnn', got 20"),
        ({"size": 4}, "size must be >= 8"),
        ({"level": "reference"}, "level 'reference' and hue 'circle' need mixing"),
        ({"hue": "published"}, "level 'fast' and hue 'published' need mixing"),
        ({"factors": ("x", "x")}, "factors must differ"),
        ({"views": "augmented"}, "views 'augmented' need"),
        ({"objective": "supervised"}, "output must not be a box"),
        ({"objective": "identity"}, "objective on pictures must be one of"),
        ({"hidden": 50}, "hidden cannot act here, with encoder 'cnn'"),
        ({"p": 1.0, "similarity": "dot"}, "p cannot act here, without similarity"),
        (
            {"views": "augmented", "mixing": "ident3d"},
            "conditional_param cannot act here, with views 'augmented'",
        ),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


def test_a_drawn_mixing_is_no_setting_of_pictures():
    with pytest.raises(TypeError, match="mixing_layers"):
        dataclasses.replace(TINY, mixing_layers=7)


def test_rows_read_from_a_folder_draw_at_the_published_scale_where_they_draw():
    for name, config in scene_presets().items():
        if name.startswith("quick/"):
            continue
        row = config.read_from("a")
        draws = not name.endswith(("t4r5", "t4-supervised"))
        want = 0.1 if draws else Scenes().conditional_param
        assert (row.folder, row.conditional_param) == ("a", want)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factors": ("x", "hue")}, "factor must be one of .*, got 'hue'"),
        ({"factors": ("x",)}, r"n must be the number of factors, 1 \(x\), got n=2"),
        ({"factors": ()}, "n must be the number of factors, 5"),
    ],
)
def test_wrong_factors_are_refused_before_anything_is_compiled(changes, message):
    problem = scenes.make_problem(dataclasses.replace(TINY, **changes))
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(problem.draw, {"g": {}}, jax.random.key(0))


CAUSAL = Causal3D(
    size=8, encoder="cnn", batch=8, eval_batch=64, eval_batches=2, fit_rows=64, m=3
)


def test_the_rows_of_the_published_table_are_all_there():
    assert len(AUGMENTED) + len(TRANSFORMED) == 12
    published = {claim.preset for claim in load_claims("causal3d").published}
    assert published == {*AUGMENTED, *TRANSFORMED}


def test_redrawn_factors_differ_and_the_others_are_shared():
    config = dataclasses.replace(CAUSAL, views="lt-hues")
    source = make_source(config)

    @jax.jit
    def drawn(key, view_key):
        z, _ = causal3d.sample_causal(key, batch=8)
        return causal3d.draw_views(config, source, {}, view_key, z)

    views = drawn(jax.random.key(0), jax.random.key(1))
    same = np.asarray(views.z == views.z_pos).all(0)
    names = np.asarray(Figures.factors)
    assert set(names[~same]) == {"object_hue", "spot_hue", "ground_hue"}
    assert (np.abs(views.x - views.x_pos).max((1, 2, 3)) > 0.01).all()


def test_scores_of_causal_views_are_those_of_the_factors(monkeypatch):
    """With an encoder that returns some factors, they and only they are read.

    An accuracy over 1,024 rows has a standard deviation of 0.015 at most. Over ten keys
    that of positions was 0.13 to 0.17 (chance: 1/7), that of rotations 0.40 to 0.47:
    each bound is five standard deviations away, a false alarm in a million.
    """

    def read(columns, key):
        def seen(frozen, z):
            return z[:, columns]

        def views(config, source, frozen, key, z):
            return Batch(seen({}, z), seen({}, z), z, z)

        monkeypatch.setattr(causal_evaluate, "draw_views", views)
        config = dataclasses.replace(CAUSAL, fit_rows=512, eval_batch=512)
        source = dataclasses.replace(make_source(config), observe=seen)
        return causal_evaluate.evaluate(config, source, lambda x: x, {}, key)

    evaluated = jax.jit(read)
    found = evaluated(np.array([1, 2, 3, 10]), jax.random.key(0))  # 10: ground's hue
    scores = found.scores
    assert found.losses.loss.shape == (2,)
    assert found.losses.reference is None
    for name in ("position", "position_linear", "ground_hue", "ground_hue_linear"):
        assert float(scores[name]) > 0.97
    for name in ("spot_hue", "rotation"):
        assert float(scores[name]) < 0.3
    assert float(scores["class"]) < 0.25  # a linear read-out sees nothing of it here
    assert float(scores["object_hue"]) < 0.9
    # Rotations have a mean of each class.
    turned = evaluated(np.array([4, 5, 6, 7]), jax.random.key(0)).scores
    assert float(turned["class"]) > 0.32
    assert float(turned["rotation"]) > 0.97 > float(turned["position"])


def test_wrong_causal_settings_are_named():
    for changes, message in (
        ({"views": "lt-hue"}, "views must be one of .*, got 'lt-hue'"),
        ({"mixing": "ident3d"}, "mixing must be one of"),
        ({"factors": ("x",)}, "factors must be empty"),
        ({"tau": 0.0}, "tau must be > 0"),
        ({"hidden": 50}, "hidden cannot act here, with encoder 'cnn'"),
        ({"weight_decay": 0.1}, "weight_decay cannot act here, with optimiser 'adam'"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(CAUSAL, **changes)
