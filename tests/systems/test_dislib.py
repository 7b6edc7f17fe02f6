"""Labels of pictures: grids and their split, instances, floors, read-outs, refusals."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from budget import one_program
from jidcl import fit
from jidcl.claims import load_claims
from jidcl.losses import instance_cross_entropy
from jidcl.mixing.scenes import grid_latents, make_scene, render
from jidcl.mixing.scenes.shapes3d import physical
from jidcl.mixing.scenes.sprites import physical_sprites
from jidcl.systems.dislib import problem as system
from jidcl.systems.dislib import process as dislib
from jidcl.systems.dislib.presets import Dislib, presets
from jidcl.systems.shared.sources import make_source
from jidcl.train import summarised
from reference.statistics import assert_distribution

TINY = Dislib(
    size=8,
    encoder="cnn",
    batch=16,
    steps=2,
    chunk=2,
    eval_batch=64,
    eval_batches=2,
    fit_rows=64,
    raw_side=4,
)
INSTANCES = dataclasses.replace(
    TINY, factors=("x", "shape", "scale"), labels="instance", instances=40, spread=0.3
)


@functools.cache
def frozen_of(config):
    return jax.jit(system.make_problem(config).freeze)(jax.random.key(7))


def test_every_number_of_the_published_table_is_a_claim_beside():
    claims = load_claims("dislib").published
    factors = {
        "sprites": {"shape", "scale", "x", "y"},
        "shapes3d": {"shape", "scale", "orientation"},
    }
    got = {(c.preset, c.metric, c.of_null) for c in claims}
    want = {
        (f"{scene}-{encoder}", factor, "")
        for scene, names in factors.items()
        for factor in names
        for encoder in ("mlp", "cnn")
    }
    want |= {
        (f"{scene}-mlp", factor, "identity")
        for scene, names in factors.items()
        for factor in names
    }
    assert got == want
    assert len(claims) == 21
    assert {c.direction for c in claims} == {"analogue"}


def test_published_steps_are_those_of_a_hundred_epochs():
    for name, config in presets().items():
        if name.startswith("published/"):
            trained = dislib.make_grid(config).train
            assert config.steps == round(100 * trained / config.batch)


@pytest.mark.parametrize(
    ("name", "read"), [("sprites", physical_sprites), ("shapes3d", physical)]
)
def test_points_are_those_of_the_published_grid_and_the_class_is_what_is_drawn(
    name, read
):
    config = dataclasses.replace(TINY, mixing=name)
    grid, scene = dislib.make_grid(config), make_scene(name, size=8)
    index = np.arange(0, math.prod(scene.grid), 997)

    @jax.jit
    def points(index):
        levels = dislib.levels_of(grid, index)
        z = dislib.latents_of(grid, levels)
        return levels, z, grid_latents(scene, index), read(z)

    levels, z, want, physical_z = map(np.asarray, points(index))
    np.testing.assert_allclose(z, want, atol=1e-6)
    column = scene.factors.index("shape")
    np.testing.assert_array_equal(physical_z[:, column], levels[:, column])
    assert set(levels[:, column]) == set(range(scene.grid[column]))
    assert dislib.num_labels(config, grid) == scene.grid[column]


def test_what_is_held_out_is_never_trained_on():
    config = dataclasses.replace(TINY, factors=("scale", "shape"))
    grid, frozen = dislib.make_grid(config), frozen_of(config)
    assert (grid.train, grid.held) == (14, 1)  # of 18
    sets = []
    for held in (False, True):
        draw = one_program(dislib.draw_points)
        levels = draw(grid, frozen, jax.random.key(0), 400, held=held)
        sets.append(set(map(tuple, np.asarray(levels).tolist())))
    assert len(sets[0]) == 14
    assert len(sets[1]) == 1
    assert not sets[0] & sets[1]
    again = jax.jit(system.make_problem(config).freeze)(jax.random.key(8))
    assert not np.array_equal(again["order"], frozen["order"])


def test_pictures_are_of_the_latents_and_labels_of_the_pictures():
    problem = system.make_problem(TINY)
    batch = jax.jit(problem.draw)(frozen_of(TINY), jax.random.key(0))
    scene = make_scene("sprites", size=8)
    want = jax.jit(jax.vmap(lambda z: render(scene, z)))(batch.z)
    np.testing.assert_allclose(batch.x, want, atol=1e-6)
    target = jax.jit(physical_sprites)(batch.z)[:, 0]
    np.testing.assert_array_equal(batch.target, target)


def centres(config):
    grid, frozen = dislib.make_grid(config), frozen_of(config)
    points = np.asarray(frozen["order"])[: config.instances]
    run = jax.jit(lambda i: dislib.latents_of(grid, dislib.levels_of(grid, i)))
    return np.asarray(run(points))


def instances_drawn(key, count):
    """Latents and labels of so many samples of `INSTANCES`."""
    grid, frozen = dislib.make_grid(INSTANCES), frozen_of(INSTANCES)
    draw = jax.jit(lambda key: dislib.draw_latents(INSTANCES, grid, frozen, key, count))
    return jax.device_get(draw(key))


def entropy(z, target):
    """The floor of these samples."""
    grid, frozen = dislib.make_grid(INSTANCES), frozen_of(INSTANCES)
    return one_program(dislib.label_entropy)(INSTANCES, grid, frozen, z, target)


def test_latents_of_an_instance_are_about_its_own_and_of_its_category():
    z, target = instances_drawn(jax.random.key(0), 4000)
    centre = centres(INSTANCES)[np.asarray(target)]
    np.testing.assert_array_equal(z[:, 1], centre[:, 1])  # shape
    ends = (-1 - centre[:, [0, 2]]) / 0.3, (1 - centre[:, [0, 2]]) / 0.3
    law = stats.truncnorm(*ends, loc=centre[:, [0, 2]], scale=0.3)
    uniform = law.cdf(np.asarray(z)[:, [0, 2]])
    for column in uniform.T:
        assert_distribution(column, "uniform")
    assert set(np.asarray(target)) == set(range(40))


def test_the_floor_of_instances_is_the_entropy_of_their_posterior():
    z, target = instances_drawn(jax.random.key(1), 200)
    got = entropy(z, target)
    centre, z, target = centres(INSTANCES), np.asarray(z, float), np.asarray(target)
    near = 0
    for k in (0, 2):
        mean = centre[None, :, k]
        ends = (-1 - mean) / 0.3, (1 - mean) / 0.3
        near = near + stats.truncnorm.logpdf(z[:, None, k], *ends, loc=mean, scale=0.3)
    p = np.exp(near) * (z[:, None, 1] == centre[None, :, 1])
    want = -np.mean(np.log(p[np.arange(200), target] / p.sum(1)))
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_features_linear_in_the_latents_attain_that_floor():
    """Rows c_i / spread^2 and biases; the category enters with any large weight."""
    z, target = instances_drawn(jax.random.key(1), 300)
    centre = centres(INSTANCES)
    hot = (np.asarray(z)[:, 1:2] == np.array([[-1.0, 0.0, 1.0]])).astype(np.float32)
    features = np.concatenate([z[:, [0, 2]], hot], axis=1)
    means = centre[:, [0, 2]]
    mass = stats.norm.cdf((1 - means) / 0.3) - stats.norm.cdf((-1 - means) / 0.3)
    bias = -(means**2).sum(1) / (2 * 0.3**2) - np.log(mass).sum(1)
    rows = np.concatenate(
        [means / 0.3**2, 60 * (centre[:, 1:2] == [[-1, 0, 1]])], axis=1
    )
    w, b = (a.astype(np.float32) for a in (rows, bias))
    loss = one_program(instance_cross_entropy)(features, w, target, bias=b)
    floor = entropy(z, target)
    np.testing.assert_allclose(loss, floor, rtol=1e-4)
    assert dislib.floor_kind(INSTANCES) == dislib.floor_kind(TINY) == "limit"
    blind = dataclasses.replace(INSTANCES, factors=())
    assert dislib.floor_kind(blind) == "reference"


def test_scores_are_those_of_what_the_features_hold():
    """Features hold some factors, and nothing of the others; the head is perfect."""
    columns = jnp.asarray([0, 1, 3])  # shape, scale, x of sprites

    config = dataclasses.replace(TINY, fit_rows=1000, eval_batch=512)
    frozen = frozen_of(config)
    source = dataclasses.replace(
        make_source(config), observe=lambda frozen, z: z[:, columns]
    )
    # Logits of three classes from z in (-1, 0, 1): the nearest.
    rows = 50 * jnp.asarray([[-1.0, 0, 0], [0, 0, 0], [1, 0, 0]])
    params = {"w": rows, "bias": jnp.asarray([-25.0, 0, -25])}

    @jax.jit
    def run(key):
        return summarised(
            system.evaluate(config, source, lambda x: x, params, frozen, key)
        )

    found = run(jax.random.key(0))
    scores, nulls, losses = found.scores, found.nulls, found.losses
    for name in ("shape", "scale", "x"):
        assert float(scores[name]) > 0.99
        assert float(scores[f"{name}_intercept"]) > 0.9999
        assert float(nulls[name]["identity"]) > 0.99  # the features are the input
        # 6 standard errors of 1,024 rows
        assert abs(float(nulls[name]["shuffled"])) < 0.2
    for name in ("orientation", "y"):
        assert abs(float(scores[name])) < 0.2
    assert float(scores["accuracy"]) == 1
    assert float(losses["reference"]) == 0
    np.testing.assert_allclose(losses["gap"], losses["loss"])
    assert float(losses["loss"]) < 1e-6
    np.testing.assert_allclose(losses["chance"], np.log(3), rtol=1e-6)
    z, z_hat = found.samples["z"], found.samples["z_hat"]
    assert z_hat.shape == z.shape == (1000, 5)
    assert float(jnp.abs(z_hat - z)[:, 3].max()) < 0.1


@pytest.mark.share(2)
@pytest.mark.parametrize("config", [TINY, INSTANCES], ids=["class", "instance"])
def test_training_goes_on_over_seeds_with_the_same_names_before_and_after(config):
    program, grid = system.make_program(config), dislib.make_grid(config)
    state, found = fit(program, seeds=2, steps=2, chunk_steps=2)
    values = {**found.scores, **found.losses}
    for name in (*grid.names, "loss", "reference", "gap", "gap_se", "accuracy"):
        assert values[name].shape == (2,)
        assert np.isfinite(values[name]).all()
    read = {*grid.names, *(f"{name}_intercept" for name in grid.names)}
    assert set(found.nulls) == read
    assert state.params["w"].shape == (2, dislib.num_labels(config, grid), 256)
    run, frozen = jax.tree.map(lambda leaf: leaf[0], (state.run, state.frozen))
    probed = jax.eval_shape(program.probe, run, frozen, jax.random.key(0))
    assert set(probed) == read
    assert set(probed) <= set(found.scores)


def test_the_mlp_sees_every_value_of_a_picture():
    config = dataclasses.replace(TINY, mixing="shapes3d", encoder="mlp", hidden=6)
    params, state = jax.eval_shape(system.make_problem(config).init, jax.random.key(0))
    assert params["encoder"]["layers"]["0"]["kernel"].shape == (8 * 8 * 3, 6)
    assert (len(params["encoder"]["layers"]), len(state["norms"])) == (3, 3)
    assert params["w"].shape == (4, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixing": "masks"}, "mixing must be one of .'sprites', 'shapes3d'"),
        ({"encoder": "vit"}, "encoder must be one of"),
        ({"labels": "classes"}, "labels must be one of .*did you mean 'class'"),
        ({"factors": ("x", "y")}, "factors must hold 'shape'"),
        ({"factors": ("shape",)}, "factors must hold 'shape'.* another"),
        ({"spread": 0.0}, "spread must be > 0"),
        ({"instances": 1}, "instances must be >= 2, got 1"),
        ({"instances": 9}, "instances cannot act here, with labels 'class'"),
        ({"spread": 0.5}, "spread cannot act here, with labels 'class'"),
        ({"hidden": 64}, "hidden cannot act here, with encoder 'cnn'"),
        (
            {"encoder": "resnet18", "hidden": 64},
            "hidden cannot act here, with encoder 'resnet18'",
        ),
        ({"raw_side": 9}, "raw_side must be <= size = 8, got 9"),
        ({"fit_rows": 2}, "fit_rows must be >= 16"),
    ],
)
def test_wrong_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **changes)


def test_what_the_scene_does_not_have_is_refused_before_anything_is_compiled():
    unknown = dataclasses.replace(TINY, factors=("shape", "hue"))
    with pytest.raises(ValueError, match="factor must be one of .*, got 'hue'"):
        system.make_problem(unknown)
    many = dataclasses.replace(INSTANCES, factors=("shape", "scale"), instances=15)
    with pytest.raises(ValueError, match="instances must be <= 14, 80 % of the grid"):
        system.make_problem(many)
