"""Silhouettes in video: pairs, objectives, scores and nulls, refusals."""

import dataclasses
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jidcl import fit
from jidcl.claims import load_claims
from jidcl.data.kitti import moments
from jidcl.metrics import mcc, rotation_null
from jidcl.run.verify import Verification
from jidcl.systems.kitti_masks import evaluate, presets, process
from jidcl.systems.kitti_masks.presets import KittiMasks
from jidcl.systems.kitti_masks.problem import floor_kind, make_problem, make_program
from jidcl.train.state import with_shared

TINY = KittiMasks(
    size=16, m=3, warmup=0, batch=16, steps=2, chunk=2, eval_batch=64, eval_batches=2
)


def write_masks(path, *, videos=(0, 1, 2, 3), frames=40, sequences=2, seed=0):
    """A file as the rebuilt one: a square that walks, in each sequence."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((len(videos) * sequences * frames, 64, 64), np.uint8)
    for s in range(len(videos) * sequences):
        place, wide = rng.integers(10, 40, 2), 6
        for t in range(frames):
            place = np.clip(place + rng.integers(-2, 3, 2), 2, 50)
            y, x = place
            wide = int(np.clip(wide + rng.integers(-1, 2), 4, 10))
            masks[s * frames + t, y : y + 10, x : x + wide] = 1
    lengths = np.full(len(videos) * sequences, frames, np.int32)
    np.savez(
        path,
        masks_packed=np.packbits(masks, axis=-1),
        latents=moments(masks),
        sequence_lengths=lengths,
        sequence_video=np.repeat(np.asarray(videos, np.int16), sequences),
    )
    return str(path)


def test_presets_are_the_rows_of_the_table():
    named = presets.presets()
    rows = {f"{name}-lag{lag}" for name in presets.ROWS for lag in (1, 5)}
    assert len(rows) == 10
    for kind in ("full", "published"):
        assert rows == {k[len(kind) + 1 :] for k in named if k.startswith(f"{kind}/")}
    claims = load_claims("kitti_masks")
    assert {claim.preset for claim in claims.published} == rows
    assert {claim.direction for claim in claims.published} == {"analogue"}
    row = named["published/normal-box-lag5"]
    assert (row.p, row.output, row.max_lag, row.batch) == (2, "learnable_box", 5, 32)
    assert (row.learning_rate, row.steps, row.m, row.size) == (1e-4, 300_000, 10, 64)
    assert named["full/slowvae-lag1"].objective == "slowvae"


def test_drawn_pairs_walk_with_laplace_steps_and_show_their_latents():
    config = dataclasses.replace(TINY, scale=0.1)
    far = dataclasses.replace(config, max_lag=5)

    @jax.jit
    def drawn(key):
        batch, wide = (process.draw_pairs(c, {}, key, 512) for c in (config, far))
        return batch, wide, process.mask_moments(batch.x)

    with jax.debug_key_reuse(False):  # the same starts on purpose
        batch, wide, places = jax.device_get(drawn(jax.random.key(0)))
    assert batch.x.shape == (512, 16, 16, 1)
    assert np.abs(np.stack([batch.z, batch.z_pos])).max() <= 1
    step = batch.z_pos - batch.z
    inner = step[np.abs(batch.z).max(1) < 0.6]  # far from the walls
    # |step| is exponential of mean 0.1; its kurtosis is 6, that of a Normal is 3.
    assert np.abs(inner).mean() == pytest.approx(0.1, rel=0.15)
    assert np.mean(inner**4) / np.mean(inner**2) ** 2 > 4
    # Centre and area follow x, y and scale.
    found = mcc(batch.z, places[:, [1, 0, 2]].astype(np.float64), spearman=True, xp=np)
    np.testing.assert_array_less(0.97, found.per_dim)
    assert np.abs(wide.z_pos - wide.z).mean() > 1.3 * np.abs(step).mean()


def test_moments_are_those_of_the_reader(rng):
    masks = (rng.random((5, 16, 16)) < 0.3).astype(np.uint8)
    found = process.mask_moments(jnp.asarray(masks[..., None], jnp.float32))
    np.testing.assert_allclose(found, moments(masks), rtol=1e-5)


def test_pairs_of_a_file_are_of_one_sequence_and_videos_stay_apart(tmp_path):
    path = write_masks(tmp_path / "a.npz")
    config = TINY.read_from(path)
    assert (config.size, config.held_out) == (64, 0.2)
    shared = process.load_sequences(dataclasses.replace(config, max_lag=5))
    assert [len(shared[part].z) for part in ("train", "test")] == [240, 80]
    far = dataclasses.replace(config, max_lag=5)

    @functools.partial(jax.jit, static_argnums=1)
    def drawn(shared, part):
        key = jax.random.key(0)
        batch = process.draw_pairs(far, {"shared": shared}, key, 200, part)
        return batch, [process.mask_moments(x) for x in batch[:2]]

    for part in ("train", "test"):
        batch, places = jax.device_get(drawn(shared, part))
        held = {row.tobytes() for row in np.asarray(shared[part].x)}
        for x, z, place in zip(batch[:2], batch[2:], places, strict=True):
            assert {row.astype(np.uint8).tobytes() for row in x} <= held
            np.testing.assert_allclose(place, z, rtol=1e-5)
        moved = np.abs(batch.z_pos - batch.z)[:, :2].max()
        assert 2 < moved <= 13  # five steps of 2 at most, half of the width's besides
    as_published = process.load_sequences(dataclasses.replace(config, held_out=0.0))
    assert set(as_published) == {"train"}
    assert len(as_published["train"].z) == 320
    assert KittiMasks().read_from("kitti_peds_v2.pickle").held_out == 0


def test_rows_of_the_full_budget_are_read_from_the_file_that_is_named():
    rows = ["t3r1-lag5", "t3r4-lag1"]
    for path, held_out in (("a.npz", 0.2), ("kitti_peds_v2.pickle", 0.0)):
        work = Verification(
            system="kitti_masks", budget="full", pictures=path, rows=rows
        )
        configs = [config for _, config in work.trained()]
        assert {c.folder for c in configs} == {path}
        assert {c.held_out for c in configs} == {held_out}
        assert sorted((c.objective, c.p) for c in configs) == [
            ("contrastive", 2.0),
            ("slowvae", 1.0),
        ]


def test_a_run_knows_its_file_by_content(tmp_path):
    paths = [write_masks(tmp_path / f"{name}.npz") for name in "ab"]
    other = write_masks(tmp_path / "c.npz", seed=1)
    a, b, c = (
        process.data_identity(TINY.read_from(path))["data"] for path in (*paths, other)
    )
    assert a == b != c
    assert process.data_identity(TINY) == {}


@pytest.mark.share(2)
@pytest.mark.parametrize("objective", ["contrastive", "slowvae"])
@pytest.mark.many_programs(reason="a run of two seeds")
def test_a_run_has_scores_nulls_and_a_reference_where_the_law_is_known(objective):
    config = TINY.changed(objective=objective)
    _, found = fit(make_program(config), seeds=2, steps=2, chunk_steps=2)
    for name in ("r2", "mcc", "mcc_spearman"):
        assert found.scores[name].shape == (2,)
        nulls = found.nulls[name]
        # Place and area are x, y and scale nearly; in another order nothing is left.
        assert (nulls["identity"] > 0.9).all()
        assert (nulls["shuffled"] < 0.4).all()
    known = objective == "contrastive"
    assert floor_kind(config) == ("reference" if known else "none")
    assert ("reference" in found.losses) == known
    if known:
        assert (found.losses["reference"] < found.losses["loss"]).all()
        np.testing.assert_allclose(found.losses["chance"], np.log(65), rtol=1e-5)
        assert (np.diff(found.perturbed["rotation"]["gap"], axis=-1) > 0).all()
    assert found.samples["z_hat"].shape == (2, 64, 3)
    assert "mcc_seen" not in found.scores


@pytest.mark.share(2)
@pytest.mark.many_programs(reason="a run on a file")
@pytest.mark.parametrize("held_out", [0.2, 0.0])
def test_a_run_on_a_file_is_also_scored_where_it_trained(tmp_path, held_out):
    config = TINY.read_from(write_masks(tmp_path / "a.npz"))
    config = config.changed(m=4, eval_batch=32, batch=8, held_out=held_out)
    _, found = fit(make_program(config), seeds=1, steps=1, chunk_steps=1)
    assert set(found.losses) == {"loss"}
    assert found.scores["rows_of_set"].tolist() == [8]
    assert 0 < found.scores["mcc_seen"][0] < 1
    np.testing.assert_allclose(found.nulls["mcc_spearman"]["identity"], 1, atol=1e-6)


def test_slowvae_sees_latents_and_pictures_of_both_frames():
    config = TINY.changed(objective="slowvae", slow=0.0, prior=0.0)
    problem = make_problem(config)
    params, state = jax.jit(problem.init)(jax.random.key(0))
    assert set(params) == {"encoder", "decoder"}
    batch = jax.jit(lambda key: problem.draw({}, key))(jax.random.key(1))
    value, (_, metrics) = jax.jit(problem.loss)(params, state, batch, jax.random.key(2))
    # Near the start every pixel costs about log 2.
    assert float(metrics["reconstruction"]) == pytest.approx(256 * np.log(2), rel=0.3)
    assert float(value) == pytest.approx(2 * float(metrics["reconstruction"]), rel=1e-5)
    other = dataclasses.replace(config, slow=1.0)
    more, _ = jax.jit(make_problem(other).loss)(params, state, batch, jax.random.key(2))
    assert float(more) == pytest.approx(float(value + metrics["slow"]), rel=1e-4)


def test_random_directions_are_rotations_where_outputs_are_as_many_as_latents(rng):
    z = rng.uniform(-1, 1, (500, 3))
    ours = evaluate.direction_null(np.random.default_rng(0), z, 3, np)
    theirs = rotation_null(np.random.default_rng(1), z, draws=200, xp=np)
    assert ours.shape == (200,)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.02)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.2)
    # The best of ten directions is nearer to an axis.
    more = evaluate.direction_null(np.random.default_rng(0), z, 10, np)
    assert more.mean() > ours.mean() + 0.02
    assert more.max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(m=2), "m must be >= 3, got 2"),
        (dict(size=24), "size must be 8, 16, 32 or 64, got 24"),
        (dict(folder="a.npz"), "size must be 64 with a folder, got 16"),
        (dict(objective="vae"), "objective must be one of"),
        (dict(rate=3.0), "rate cannot act here, with objective 'contrastive'"),
        (dict(objective="slowvae", p=2.0), "p cannot act here"),
        (dict(output_size=2.0), "output_size cannot act here, with output 'none'"),
        (dict(held_out=0.5), "held_out cannot act here, without sequences on disk"),
        (dict(folder="a", size=64, held_out=1.0), r"held_out must be in \[0, 1\)"),
        (dict(folder="a", size=64, scale=0.3), "scale cannot act here, with sequences"),
        (dict(max_lag=0), "max_lag must be >= 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **change)


def test_files_that_cannot_be_are_refused(tmp_path):
    def load(path, **change):
        process.load_sequences(TINY.read_from(path).changed(**change))

    with pytest.raises(ValueError, match="folder must be there, got 'nowhere'"):
        load("nowhere")
    with pytest.raises(ValueError, match="folder must be there, got 'nowhere'"):
        process.data_identity(TINY.read_from("nowhere"))
    short = write_masks(tmp_path / "short.npz", frames=4)
    with pytest.raises(ValueError, match="max_lag must be < the frames of the longest"):
        load(short, max_lag=5)
    with pytest.raises(ValueError, match="held_out must leave 30 frames to be scored"):
        load(short, held_out=0.01)
    one = write_masks(tmp_path / "one.npz", videos=(3,))
    with pytest.raises(ValueError, match="of two known videos at least"):
        load(one)
    load(one, held_out=0.0)


def test_the_sequences_at_hand_train():
    root = os.environ.get("JIDCL_DATA")
    path = Path(root or "") / "kitti_masks/kitti_masks_peds.npz"
    if not root or not path.exists():
        pytest.skip("JIDCL_DATA names no folder that holds kitti_masks")
    config = KittiMasks(batch=8).read_from(str(path)).changed(max_lag=5)
    problem = make_problem(config)
    frozen = with_shared({}, problem.shared)
    assert {int(part.count) for part in frozen["shared"].values()} == {483}
    params, state = jax.jit(problem.init)(jax.random.key(0))
    batch = jax.jit(problem.draw)(frozen, jax.random.key(1))
    np.testing.assert_allclose(process.mask_moments(batch.x), batch.z, atol=1e-2)
    value, _ = jax.jit(problem.loss)(params, state, batch, jax.random.key(2))
    assert np.isfinite(value)
