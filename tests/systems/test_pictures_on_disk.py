"""Runs on pictures in a folder: nearest latents stand in for the scene."""

import dataclasses
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jidcl.claims import PublishedClaim
from jidcl.data import picture_sets_digest
from jidcl.data.image_folder import image_path, write_image_folder
from jidcl.data.published import GRIDS
from jidcl.latents.causal import CLASSES, GROUPS
from jidcl.mixing.scenes import Sprites
from jidcl.report.judge import judge
from jidcl.run import runner
from jidcl.run import sweep as sweeping
from jidcl.run.verify import Verification
from jidcl.systems.causal3d import problem as causal3d
from jidcl.systems.causal3d.presets import Causal3D
from jidcl.systems.causal3d.process import draw_apart
from jidcl.systems.dislib import problem as dislib
from jidcl.systems.dislib.presets import Dislib
from jidcl.systems.scenes import problem as scenes
from jidcl.systems.scenes.presets import Scenes
from jidcl.systems.shared.pictures import draw_pictures
from jidcl.systems.shared.sources import make_source
from jidcl.train import summarised
from jidcl.train.loop import compile_chunk, on_each_seed, start
from jidcl.train.sharding import make_mesh, place

ROWS = 600
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


@pytest.fixture
def copied(config, folder, tmp_path):
    """Short runs on a copy of the set, which may be changed."""
    root = shutil.copytree(folder, tmp_path / "set")
    return dataclasses.replace(config, folder=str(root), eval_batch=64)


def drawn(problem):
    frozen = {"g": {}, "shared": problem.shared}
    return frozen, jax.jit(problem.draw)(frozen, jax.random.key(0))


def test_a_batch_is_of_pictures_of_the_set_and_their_own_latents(config, folder):
    problem = scenes.make_problem(config)
    frozen, batch = drawn(problem)
    held = np.asarray(problem.shared["train"].z)
    assert len(held) == 540
    for x, z in ((batch.x, batch.z), (batch.x_pos, batch.z_pos)):
        rows = [int(np.flatnonzero((held == row).all(1))[0]) for row in np.asarray(z)]
        # The pictures with these latents, as they lie on the disk.
        for row, picture in zip(rows, x, strict=True):
            with Image.open(image_path(folder, row, ROWS)) as image:
                want = np.asarray(image, np.float32)[..., None] / 255
            np.testing.assert_allclose(picture, want, atol=1e-6)
    assert (np.asarray(batch.z) != np.asarray(batch.z_pos)).any(1).all()
    test = make_source(config).part(frozen, "test")["set"].z
    assert len(test) == 60
    assert not (np.asarray(test)[:, None] == held[None]).all(-1).any()


def blackened(sets):
    """The same sets without anything to see in training."""
    train = sets["train"]
    return {**sets, "train": train._replace(x=jnp.zeros_like(train.x))}


def evaluated_whatever_is_trained_on(problem):
    """The evaluation of an untrained encoder; pictures of training change nothing."""
    params, state = jax.jit(problem.init)(jax.random.key(0))

    @jax.jit
    def evaluate(shared):
        frozen = {"g": {}, "shared": shared}
        return summarised(problem.evaluate(params, state, frozen, jax.random.key(1)))

    found, dark = map(evaluate, (problem.shared, blackened(problem.shared)))
    named = jax.tree.flatten_with_path(found)[0]
    for (name, value), other in zip(named, jax.tree.leaves(dark), strict=True):
        np.testing.assert_array_equal(value, other, err_msg=str(name))
    return found


def test_no_score_is_of_a_picture_that_was_trained_on(config):
    found = evaluated_whatever_is_trained_on(scenes.make_problem(config))
    assert "isometry_error" not in found.scores
    # The level of a curve is that of the pairs it was trained on: of finer ones.
    assert found.losses["train_reference"] != found.losses["reference"]


@pytest.mark.many_programs(reason="rows of each part and their scene, eagerly")
def test_latents_of_no_picture_show_as_the_nearest_one(config):
    problem = scenes.make_problem(config)
    source = make_source(config)
    frozen = source.part({"shared": problem.shared}, "test")
    z = frozen["set"].z[:3]
    np.testing.assert_array_equal(
        source.observe(frozen, z), source.observe(frozen, z + 1e-3)
    )


def test_pictures_are_an_argument_of_the_program_not_a_part_of_it(config):
    program, mesh = scenes.make_program(config), make_mesh()
    state = start(program, np.arange(2), mesh=mesh)
    assert "shared" not in state.frozen  # nor of a checkpoint
    chunk, _ = compile_chunk(program, state, steps=1, mesh=mesh)
    held = program.shared["train"]
    own = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    taken = chunk.program.memory_analysis().argument_size_in_bytes
    assert taken >= own + held.x.nbytes + held.z.nbytes
    # A second program does not put them on the devices again.
    two = make_mesh(seed=2)
    shared = place(program.shared, two)
    again = place(shared, two)
    pointers = [
        [
            part.data.unsafe_buffer_pointer()
            for part in tree["train"].x.addressable_shards
        ]
        for tree in (shared, again)
    ]
    assert pointers[0] == pointers[1]
    state, metrics = chunk(state)
    assert np.isfinite(np.asarray(metrics["loss"])).all()
    # Two seeds, two batches, one set.
    assert metrics["loss"][0, 0] != metrics["loss"][0, 1]
    found = on_each_seed(program.evaluate, program, mesh=mesh)(state)
    np.testing.assert_array_equal(found.scores["rows_of_set"], [540, 540])


@pytest.mark.long
def test_a_run_is_another_one_when_the_pictures_change(config, copied, tmp_path):
    root = pathlib.Path(copied.folder)
    z = np.load(root / "raw_latents.npy")
    call = dict(system="scenes", preset="quick/box", seeds=[0], root=tmp_path / "runs")
    *_, first = runner.run(copied, **call)
    assert first.record is not None
    assert np.isfinite(first.record.scores["r2"]).all()
    *_, again = runner.run(copied, **call)
    assert again.folder == first.folder
    held = json.loads((first.folder / "config.json").read_text())
    assert held["data"] == picture_sets_digest(root, layout="3dident")
    z[0] *= 0.5
    np.save(root / "raw_latents.npy", z)
    assert runner.run_folder(config=copied, **call) != first.folder


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
    write_objects(tmp_path / "testset", rng, 16)
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


def test_two_views_of_one_picture_show_the_same_one(objects):
    config = dataclasses.replace(CAUSAL, folder=str(objects), views="rotation")
    _, batch = drawn(causal3d.make_problem(config))
    np.testing.assert_allclose(batch.x, batch.x_pos, atol=1e-6)  # of one colour


def test_read_outs_are_scored_on_other_pictures_than_they_were_fitted_on(objects):
    config = dataclasses.replace(CAUSAL, folder=str(objects), fit_rows=50)
    problem = causal3d.make_problem(config)
    frozen = make_source(config).part({"shared": problem.shared}, "test")
    apart = jax.jit(lambda frozen, key: draw_apart(frozen, key, 50, 300))
    (z, label), (z_new, _) = apart(frozen, jax.random.key(0))
    assert len(np.unique(np.asarray(z), axis=0)) == 50
    assert not (np.asarray(z)[:, None] == np.asarray(z_new)[None]).all(-1).any()
    kinds = np.floor((np.asarray(z[:, 0]) + 1) / 2 * CLASSES).astype(int)
    np.testing.assert_array_equal(kinds, label)
    with pytest.raises(ValueError, match="fit_rows must be < 112, the pictures for"):
        causal3d.make_problem(dataclasses.replace(config, fit_rows=112))
    evaluated_whatever_is_trained_on(problem)


def train_nothing(held, piece, path):
    """In place of the training of a sweep's piece: rows without scores."""
    rows = [{**point, "seed": seed} for point, seed in piece.runs]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"rows": rows}))
    return iter(())


@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_sweep_knows_its_pictures(copied, tmp_path, monkeypatch, trained):
    if not trained:
        monkeypatch.setattr(sweeping, "train_piece", train_nothing)
    root = pathlib.Path(copied.folder)
    z = np.load(root / "raw_latents.npy")

    def pieces():
        grid = {"tau": [0.5, 1.0]}
        call = dict(system="scenes", seeds=[0], root=tmp_path / "sweep")
        *_, last = sweeping.sweep(copied, grid, **call)
        assert [row["tau"] for row in last.rows] == [0.5, 1.0]
        return {path.name for path in (tmp_path / "sweep").glob("piece-*")}

    first = pieces()
    assert pieces() == first
    np.save(root / "raw_latents.npy", z[::-1])
    assert pieces() > first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factors": ("x", "y")}, "factors must be empty with a folder"),
        ({"size": 32}, "do not shrink to 32"),
        ({"folder": "nowhere"}, "folder must hold train/ and test/ or raw_latents"),
        ({"mixing": "triangles"}, "factors of the scene must be as many .* 5, got 4"),
        ({"n": 4}, r"n must be as many as the latents of the pictures in .* 5, got 4"),
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


def test_points_of_a_grid_are_found_by_their_latents(tmp_path, monkeypatch, rng):
    counts = (3, 2, 2, 4, 4)
    monkeypatch.setattr(Sprites, "grid", counts)
    x = rng.integers(0, 2, (192, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / GRIDS["sprites"], imgs=x)
    config = Dislib(folder=str(tmp_path), size=8, raw_side=4, encoder="cnn", batch=64)
    problem = dislib.make_problem(config)
    frozen = jax.jit(problem.freeze)(jax.random.key(0)) | {"shared": problem.shared}
    batch = jax.jit(problem.draw)(frozen, jax.random.key(1))
    levels = np.rint((np.asarray(batch.z) + 1) / 2 * (np.asarray(counts) - 1))
    rows = np.ravel_multi_index(levels.astype(int).T, counts)
    assert len(set(rows)) > 30
    np.testing.assert_array_equal(batch.x[..., 0], x[rows])
    np.testing.assert_array_equal(batch.target, levels[:, 0])
    # Held-out points are those of the rendered grid.
    drawn = dislib.make_problem(dataclasses.replace(config, folder=""))
    plain = jax.jit(drawn.freeze)(jax.random.key(0))
    np.testing.assert_array_equal(plain["order"], frozen["order"])
    identity = dislib.SYSTEM.frozen_identity(config)
    assert len(str(identity["data"])) == 64
    assert (identity["mixing"], identity["factors"]) == ("sprites", ())
    with pytest.raises(ValueError, match="labels must be 'class' with a folder"):
        dataclasses.replace(config, labels="instance")


def test_only_a_run_on_the_published_pictures_is_judged():
    claim = PublishedClaim(
        id="a",
        source="Table 4",
        text="",
        preset="t4r1",
        column="unsupervised",
        metric="r2",
        direction="analogue",
        mean=96,
        std=0.1,
        seeds=3,
        set_rows=250_000,
        judged_as="recovers",
    )
    losses = {"loss": 1.1, "reference": 1.0, "gap": 0.1, "gap_se": 0.01, "chance": 3.0}
    record = runner.Record(
        schema_version=runner.SCHEMA_VERSION,
        system="scenes",
        preset="full/t4r1",
        config={},
        seeds=[0],
        floor_kind="reference",
        scores={"r2": [0.5]},
        losses={name: [value] for name, value in losses.items()},
        nulls={},
        untrained={},
        curve=[],
        seconds={},
        device="",
    )
    beside = judge(record, claim)
    assert (beside.ok, beside.judged) == (True, False)

    def on_disk(rows, r2):
        count = len(r2)
        return dataclasses.replace(
            record,
            scores={"rows_of_set": [rows] * count, "r2": r2},
            losses={name: [value] * count for name, value in losses.items()},
            seeds=list(range(count)),
        )

    assert judge(on_disk(360, [0.5]), claim).outcome == "analogue"
    assert judge(on_disk(250_000, [0.5]), claim).outcome == "missed"
    better = judge(on_disk(250_000, [0.99]), claim)
    assert better.outcome == "consistent, 1 of 3 seeds"
    assert judge(on_disk(250_000, [0.96] * 3), claim).outcome == "reproduced"
    # A number that is neither good nor bad is met or not.
    number = dataclasses.replace(claim, judged_as="reference")
    assert not judge(on_disk(250_000, [0.99]), number).ok
    assert judge(on_disk(250_000, [0.961]), number).ok


def test_the_published_rows_draw_at_the_published_scale():
    work = Verification(
        system="scenes", budget="full", pictures="a", rows=["t4r1", "t4r3"]
    )
    for _, settings in work.trained():
        assert (settings.folder, settings.conditional_param) == ("a", 0.1)
