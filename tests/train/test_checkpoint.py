import gc
import json
import os
import shutil
import warnings

import jax
import numpy as np
import optax
import pytest

from jidcl.systems.contrastive_ica.problem import make_problem, make_program
from jidcl.train import loop
from jidcl.train.checkpoint import CheckpointError, Checkpoints
from jidcl.train.gradient import gradient
from jidcl.train.sharding import make_mesh
from reference.tiny import TINY
from survived import note

PROGRAM = make_program(TINY)


def start(mesh, seeds=2):
    return loop.start(PROGRAM, np.arange(seeds), mesh=mesh)


def test_restored_bit_for_bit_also_on_another_mesh(tmp_path):
    state = start(make_mesh())
    before = jax.device_get(state)
    saver = Checkpoints(tmp_path)
    assert saver.restore(state) is None
    saver.save(4, state)
    saver.close()
    for mesh in (make_mesh(), make_mesh(seed=2)):
        saver = Checkpoints(tmp_path)
        like = start(mesh)
        restored = saver.restore(like).state
        saver.close()
        for a, b, c in zip(
            jax.tree.leaves(before),
            jax.tree.leaves(restored),
            jax.tree.leaves(like),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
            assert b.sharding == c.sharding
            assert b.dtype == a.dtype


def test_the_checkpoint_does_not_change_when_training_goes_on(tmp_path):
    mesh = make_mesh()
    state = start(mesh)
    before = jax.device_get(jax.tree.map(lambda leaf: leaf.copy(), state))
    saver = Checkpoints(tmp_path)
    saver.save(0, state)
    for _ in loop.train(PROGRAM, state, steps=8, chunk_steps=4, mesh=mesh):
        pass
    saver.close()
    saver = Checkpoints(tmp_path)
    restored = saver.restore(start(mesh)).state
    saver.close()
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(restored), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    saver = Checkpoints(tmp_path)
    saver.save(4, start(make_mesh()))
    saver.close()
    saver = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match="does not fit this configuration"):
        saver.restore(start(make_mesh(), seeds=3))
    saver.close()


def test_keys_of_a_run_are_kept(tmp_path):
    noise = optax.chain(optax.add_noise(0.1, 0.5, key=0), optax.sgd(0.5))
    program, mesh = gradient(make_problem(TINY), noise), make_mesh()
    state = loop.start(program, np.arange(2), mesh=mesh)
    before = [jax.random.key_data(k) for k in jax.tree.leaves(state) if is_key(k)]
    assert before
    saver = Checkpoints(tmp_path)
    saver.save(0, state)
    held = saver.restore(loop.start(program, np.arange(2) + 5, mesh=mesh)).state
    saver.close()
    after = [jax.random.key_data(k) for k in jax.tree.leaves(held) if is_key(k)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def save_two(folder):
    """Checkpoints of steps 4 and 8 of one run, and their states on the host."""
    mesh, saver = make_mesh(), Checkpoints(folder / "ckpt")
    state, kept = start(mesh), {}
    for event in loop.train(PROGRAM, state, steps=8, chunk_steps=4, mesh=mesh):
        kept[event.step] = jax.device_get(event.state)
        kept[event.step] = jax.tree.map(np.copy, kept[event.step])
        saver.save(event.step, event.state, {"curve": [event.step]})
    saver.close()
    return kept


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    return folder, save_two(folder)


def restored_from(folder, like=None):
    saver = Checkpoints(folder / "ckpt")
    try:
        return saver.restore(start(make_mesh()) if like is None else like)
    finally:
        saver.close()
        gc.collect()  # readers that Orbax leaves behind a damaged file


def same(state, other):
    pairs = zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def all_files(step):
    return sorted(path for path in step.rglob("*") if path.is_file())


def data_files(step):
    """The files that hold numbers: some are leftovers of merging, and nobody reads
    them, so one of them alone may be damaged without harm.
    """
    files = [path for path in all_files(step) if path.parent.name == "d"]
    assert files
    return files


def flip(path):
    held = bytearray(path.read_bytes())
    for place in range(len(held) // 3, len(held), max(len(held) // 7, 1)):
        held[place] ^= 0x10
    path.write_bytes(held)


DAMAGES = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


def left_behind(test):
    """What Orbax leaves behind a damaged file is no fault of ours."""
    for what in (
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore:coroutine .* was never awaited:RuntimeWarning",
    ):
        test = pytest.mark.filterwarnings(what)(test)
    return test


@pytest.mark.share(2)
@left_behind
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    saved, tmp_path, damage
):
    origin, states = saved
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    for path in data_files(tmp_path / "ckpt" / "8"):
        DAMAGES[damage](path)
    with pytest.warns(UserWarning, match="ckpt/8 is damaged .* the one before it"):
        found = restored_from(tmp_path)
    assert found.kept == {"curve": [4]}
    assert same(found.state, states[4])
    # Nothing was deleted, and the step can be written again.
    assert [path.name for path in (tmp_path / "damaged").iterdir()] == ["8-0"]
    again = restored_from(tmp_path)
    assert same(again.state, states[4])


def one_bit(share):
    """One bit of a file changed, at a share of its length."""

    def change(path):
        held = bytearray(path.read_bytes())
        held[int(share * len(held))] ^= 0x04
        path.write_bytes(held)

    return change


BITS = {f"one bit at {share}": one_bit(share) for share in (0.1, 0.4, 0.7, 0.95)}


@left_behind
@pytest.mark.long
def test_every_file_of_a_checkpoint_damaged_in_every_way(saved, tmp_path):
    origin, states = saved
    like, seen = start(make_mesh()), set()
    files = [*all_files(origin / "ckpt" / "8"), origin / "digests" / "8.json"]
    tried = [(path, way) for path in files for way in DAMAGES | BITS]
    for number, (path, way) in enumerate(tried):
        if path.stat().st_size == 0 and way != "removed":
            continue
        folder = tmp_path / str(number)
        shutil.copytree(origin, folder)
        (DAMAGES | BITS)[way](folder / path.relative_to(origin))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = restored_from(folder, like)
        (step,) = found.kept["curve"]
        told = [str(w.message) for w in said if "ckpt/8 is damaged" in str(w.message)]
        assert same(found.state, states[step]), (path, way)
        assert bool(told) == (step == 4), (path, way)
        how = "the newest is whole without it" if step == 8 else "named, the one before"
        kind = way.partition(" at ")[0]
        note("files of a checkpoint", f"{kind}: {how}")
        seen.add(step)
        shutil.rmtree(folder)
    assert seen == {4, 8}


def test_one_flipped_bit_of_a_number_is_seen(saved, tmp_path):
    origin, states = saved
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    note = tmp_path / "digests" / "8.json"
    data = json.loads(note.read_text())
    del data["digest"]  # notes of earlier releases have none
    leaf = data["leaves"][3]
    leaf["digest"] = leaf["digest"][::-1]  # as if the array had been another one
    note.write_text(json.dumps(data))
    with pytest.warns(UserWarning, match="the bits of .* are not those"):
        assert same(restored_from(tmp_path).state, states[4])


@pytest.mark.share(3)
@pytest.mark.parametrize("spoil", ["number", "deep", "pipe"])
def test_a_note_that_is_another_is_seen(saved, tmp_path, spoil):
    origin, states = saved
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "digests" / "8.json"
    text = path.read_text().replace('"curve": [\n   8', '"curve": [\n   9')
    assert text != path.read_text()
    path.unlink()
    if spoil == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("[" * 200_000 if spoil == "deep" else text)
    with pytest.warns(UserWarning, match="ckpt/8 is damaged"):
        found = restored_from(tmp_path)
    assert found.kept == {"curve": [4]}
    assert same(found.state, states[4])


@left_behind
def test_without_a_whole_checkpoint_nothing_is_restored_or_deleted(saved, tmp_path):
    origin, _ = saved
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    for step in ("4", "8"):
        (tmp_path / "digests" / f"{step}.json").write_text("[")
    with pytest.raises(
        CheckpointError, match=r"no checkpoint in .* is whole \(8: .*4:"
    ):
        restored_from(tmp_path)
    assert {path.name for path in (tmp_path / "ckpt").iterdir()} >= {"4", "8"}


def test_what_a_cut_write_left_behind_is_removed(saved, tmp_path):
    origin, states = saved
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    left = tmp_path / "ckpt" / "12.orbax-checkpoint-tmp-3"
    left.mkdir()
    (left / "half").write_text("x")
    found = restored_from(tmp_path)
    assert not left.exists()
    assert same(found.state, states[8])
    assert found.kept == {"curve": [8]}


def test_a_checkpoint_that_cannot_be_written_is_one_error(tmp_path):
    saver = Checkpoints(tmp_path / "ckpt")
    (tmp_path / "digests").write_text("a file where a folder has to be")
    with pytest.raises(OSError, match="could not be written: "):
        saver.save(4, start(make_mesh()))
    saver.close()


def test_a_clock_that_goes_back_costs_no_note(tmp_path):
    state = start(make_mesh())
    saver = Checkpoints(tmp_path / "ckpt")
    for step in range(1, 5):
        saver.save(step, state, {"at": step})
    saver.close()
    for path in (tmp_path / "digests").iterdir():  # as if written tomorrow
        os.utime(path, (2e9 + 86_400, 2e9 + 86_400))
    saver = Checkpoints(tmp_path / "ckpt")
    for step in (5, 6):
        saver.save(step, state, {"at": step})
    saver.close()
    assert restored_from(tmp_path, state).kept == {"at": 6}
    notes = {path.stem for path in (tmp_path / "digests").iterdir()}
    assert {"5", "6"} <= notes <= {"4", "5", "6"}
