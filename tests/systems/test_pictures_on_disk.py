"""Runs on pictures in a folder: nearest latents stand in for the scene."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jidcl import runner
from jidcl.data import load_picture_sets
from jidcl.data.image_folder import image_path, write_image_folder
from jidcl.latents.causal import CLASSES, GROUPS
from jidcl.report.claims import Claim
from jidcl.report.verdict import judge
from jidcl.systems import causal3d, scenes
from jidcl.systems.causal3d_presets import Causal3D
from jidcl.systems.common import observe
from jidcl.systems.pictures import draw_pictures, on_part
from jidcl.systems.scenes_presets import Scenes
from jidcl.train.loop import compile_chunk, on_each_seed, start
from jidcl.train.sharding import make_mesh
from jidcl.verify import Verification

ROWS = 400
SHORT: dict = dict(encoder="cnn", optimiser="adam", warmup=0, steps=2, chunk=2)
SPRITES = Scenes(
    **SHORT,
    mixing="sprites",
    n=5,
    size=16,
    conditional_param=0.2,
    batch=32,
    eval_batch=128,
    eval_batches=2,
)
CAUSAL = Causal3D(
    **SHORT, size=8, batch=8, eval_batch=64, eval_batches=2, fit_rows=64, m=3
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of sprites in the layout of 3DIdent, and their latents."""
    root = tmp_path_factory.mktemp("sprites")
    z = np.random.default_rng(0).uniform(-1, 1, (ROWS, 5)).astype(np.float32)
    draw = jax.jit(lambda z: draw_pictures(SPRITES, z))
    list(write_image_folder(root, z, draw, chunk=100, about={}))
    return root


@pytest.fixture
def config(folder):
    return dataclasses.replace(SPRITES, folder=str(folder))


def drawn(problem):
    frozen = {"g": {}, "shared": problem.shared}
    return frozen, jax.jit(problem.draw)(frozen, jax.random.key(0))


def test_a_batch_is_of_pictures_of_the_set_and_their_own_latents(config, folder):
    problem = scenes.make_problem(config)
    frozen, batch = drawn(problem)
    held = np.asarray(problem.shared["train"].z)
    assert len(held) == 360
    for x, z in ((batch.x, batch.z), (batch.x_pos, batch.z_pos)):
        rows = [int(np.flatnonzero((held == row).all(1))[0]) for row in np.asarray(z)]
        # The pictures with these latents, as they lie on the disk.
        for row, picture in zip(rows, x, strict=True):
            with Image.open(image_path(folder, row, ROWS)) as image:
                want = np.asarray(image, np.float32)[..., None] / 255
            np.testing.assert_allclose(picture, want, atol=1e-6)
    assert (np.asarray(batch.z) != np.asarray(batch.z_pos)).any(1).all()
    # What is scored has not been seen in training.
    test = on_part(config, frozen, "test")["set"].z
    assert len(test) == 40
    assert not (np.asarray(test)[:, None] == held[None]).all(-1).any()


def test_latents_of_no_picture_show_as_the_nearest_one(config):
    problem = scenes.make_problem(config)
    frozen = on_part(config, {"shared": problem.shared}, "test")
    z = frozen["set"].z[:3]
    np.testing.assert_array_equal(
        observe(config, frozen, z), observe(config, frozen, z + 1e-3)
    )


def test_pictures_are_an_argument_of_the_program_not_a_part_of_it(config):
    problem, mesh = scenes.make_problem(config), make_mesh()
    optimiser = scenes.make_run_optimiser(config)
    state = start(problem, optimiser, np.arange(2), mesh=mesh)
    assert "shared" not in state.frozen  # nor of a checkpoint
    chunk, _ = compile_chunk(problem, optimiser, state, steps=1, mesh=mesh)
    held = problem.shared["train"]
    own = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    taken = chunk.program.memory_analysis().argument_size_in_bytes
    assert taken >= own + held.x.nbytes + held.z.nbytes
    state, metrics = chunk(state)
    assert np.isfinite(np.asarray(metrics["loss"])).all()
    # Two seeds, two batches, one set.
    assert metrics["loss"][0, 0] != metrics["loss"][0, 1]
    scores = on_each_seed(problem.evaluate, mesh=mesh, shared=problem.shared)(state)
    np.testing.assert_array_equal(scores["rows_of_set"], [360, 360])


def test_a_run_is_another_one_when_the_pictures_change(config, tmp_path, rng):
    root = tmp_path / "set"
    z = rng.uniform(-1, 1, (64, 5)).astype(np.float32)
    draw = jax.jit(lambda z: draw_pictures(SPRITES, z))
    list(write_image_folder(root, z, draw, chunk=64, about={}))
    own = dataclasses.replace(config, folder=str(root), eval_batch=64)
    call = dict(system="scenes", preset="quick/box", seeds=[0], root=tmp_path / "runs")
    *_, first = runner.run(own, **call)
    assert first.record is not None
    assert np.isfinite(first.record.metrics["r2"]).all()
    *_, again = runner.run(own, **call)
    assert again.folder == first.folder
    held = json.loads((first.folder / "config.json").read_text())
    settings = dict(layout="3dident", size=16)
    assert held["data"] == load_picture_sets(root, **settings)[1]
    z[0] *= 0.5
    np.save(root / "raw_latents.npy", z)
    assert runner.run_folder(tmp_path, "scenes", "a", own, [0]).name != (
        runner.run_folder(tmp_path, "scenes", "a", config, [0]).name
    )
    *_, other = runner.run(own, **call)
    assert other.folder != first.folder


def write_objects(root, rng, count):
    """Pictures that show the class and the row."""
    for kind in range(CLASSES):
        (root / f"images_{kind}").mkdir(parents=True)
        np.save(root / f"raw_latents_{kind}.npy", rng.uniform(-1, 1, (count, 10)))
        for row in range(count):
            path = image_path(root, row, count, images=f"images_{kind}")
            Image.new("RGB", (8, 8), (30 * kind, row, 0)).save(path)


@pytest.fixture
def objects(tmp_path, rng):
    write_objects(tmp_path / "trainset", rng, 20)
    write_objects(tmp_path / "testset", rng, 10)
    return tmp_path


def test_second_views_are_the_nearest_others_of_the_class(objects):
    config = dataclasses.replace(CAUSAL, folder=str(objects), batch=64, views="lt-hues")
    problem = causal3d.make_problem(config)
    _, batch = drawn(problem)
    kind, kind_pos = (
        np.rint(np.asarray(x)[:, 0, 0, 0] * 255 / 30) for x in (batch.x, batch.x_pos)
    )
    np.testing.assert_array_equal(kind, kind_pos)
    row, row_pos = (np.asarray(x)[:, 0, 0, 1] for x in (batch.x, batch.x_pos))
    assert (row != row_pos).all()
    assert len(set(kind)) == CLASSES
    # What was not redrawn is nearer than it would be by chance.
    kept = [c for c in range(1, 11) if c not in GROUPS["hues"]]
    z, z_pos = np.asarray(batch.z)[:, kept], np.asarray(batch.z_pos)[:, kept]
    near = np.mean((z - z_pos) ** 2)
    assert near < 0.75 * np.mean((z - np.roll(z, 1, axis=0)) ** 2)


def test_two_views_of_one_picture_share_its_latents(objects):
    config = dataclasses.replace(CAUSAL, folder=str(objects), views="rotation")
    _, batch = drawn(causal3d.make_problem(config))
    np.testing.assert_array_equal(batch.z, batch.z_pos)
    np.testing.assert_allclose(batch.x, batch.x_pos, atol=1e-6)  # of one colour


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factors": ("x", "y")}, "factors must be empty with a folder"),
        ({"size": 32}, "do not shrink to 32"),
        ({"folder": "nowhere"}, "folder must hold train/ and test/ or raw_latents"),
        ({"mixing": "triangles", "n": 4}, r"latents \[count, 4\] in \[-1, 1\], got"),
    ],
)
def test_wrong_folders_are_refused_before_anything_is_compiled(
    config, changes, message
):
    with pytest.raises(ValueError, match=message):
        scenes.make_problem(dataclasses.replace(config, **changes))


def test_systems_that_read_no_pictures_refuse_a_folder():
    with pytest.raises(ValueError, match="folder needs budget"):
        Verification(system="scenes", pictures="a")
    work = Verification(system="diet", budget="full", pictures="a")
    with pytest.raises(ValueError, match="folder must be empty for diet"):
        work.trained()
    work = Verification(system="dislib", budget="full", pictures="a")
    with pytest.raises(ValueError, match="folder must be empty for these runs"):
        work.trained()


def test_only_a_run_on_the_published_pictures_is_judged():
    own = dict(column="unsupervised", direction="analogue", source="Table 4", text="")
    claim = Claim("a", "t4r1", metric="r2", mean=96, std=0.1, seeds=3, **own)
    claim = dataclasses.replace(claim, set_rows=250_000)
    metrics = {"r2": [0.5], "floor": [1.0], "gap": [0.1], "gap_se": [0.01]}
    metrics |= {"chance": [3.0]}
    record = runner.Record(
        schema_version=runner.SCHEMA_VERSION,
        system="scenes",
        preset="full/t4r1",
        config={},
        seeds=[0],
        floor_kind="oracle",
        metrics=metrics,
        untrained={},
        curve=[],
        seconds={},
        device="",
    )
    beside = judge(claim, record)
    assert (beside.ok, beside.judged) == (True, False)
    other = dataclasses.replace(record, metrics=metrics | {"rows_of_set": [360]})
    assert judge(claim, other).outcome == "analogue"
    files = dataclasses.replace(record, metrics=metrics | {"rows_of_set": [250_000]})
    missed = judge(claim, files)
    assert (missed.ok, missed.judged) == (False, True)
    right = dataclasses.replace(files, metrics=files.metrics | {"r2": [0.958]})
    assert judge(claim, right).ok
    assert jnp.isfinite(judge(claim, right).difference)
