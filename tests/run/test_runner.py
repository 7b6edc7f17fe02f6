import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import pytest

from jidcl.report.records import read_record, read_samples
from jidcl.run import costs, runner
from jidcl.systems.registry import load_presets, load_system
from jidcl.train.loop import NonFiniteLoss
from jidcl.train.sharding import make_mesh
from reference.tiny import TINY

OWN = dict(system="contrastive_ica", preset="quick/tiny")
SEEDS = (20, 21, 22)


def finish(config, root, seeds=SEEDS, **options):
    *events, last = runner.run(config, **OWN, seeds=seeds, root=root, **options)
    assert last.stage == "done"
    assert last.record is not None
    return events, last


def numbers(event):
    """All scores, losses and nulls of a finished run."""
    record = event.record
    return {**record.scores, **record.losses, **record.nulls}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(root, events, last event) of a run of `TINY` that nothing interrupts."""
    root = tmp_path_factory.mktemp("whole")
    return root, *finish(TINY, root)


def test_a_run_leaves_everything_on_disk_and_is_not_repeated(whole):
    root, events, last = whole
    folder = last.folder
    assert {
        "config.json",
        "env.json",
        "metrics.jsonl",
        "result.json",
        "samples.npz",
    } <= {path.name for path in folder.iterdir()}
    record = last.record
    assert read_record(folder) == record
    assert [row["step"] for row in record.curve] == [4, 8, 12]
    assert {"loss", "grad_norm", "r2", "mcc"} <= record.curve[0].keys()
    assert record.floor_kind == "limit"
    signal_ = record.values("chance") - record.values("reference")
    assert (signal_ > 0).all()
    np.testing.assert_allclose(
        record.values("gap"),
        record.values("loss") - record.values("reference"),
        atol=1e-5,
    )
    assert (record.null("r2", "shuffled") < 0.3).all()
    samples = read_samples(folder)
    assert samples["z"].shape == (3, TINY.eval_batch, 3)
    assert samples["matrix"].shape == (3, 3, 3)
    env = json.loads((folder / "env.json").read_text())
    assert env["jax"]
    assert env["devices"]
    assert set(env["commit"]) <= set("0123456789abcdef+")
    assert any(event.stage == "train" for event in events)
    again, repeated = finish(TINY, root)
    assert again == []
    assert repeated.record == record
    # The trained state is there to be used: it scores what the curve ends with.
    own = dict(seeds=SEEDS, root=root, **OWN)
    state = runner.trained(TINY, **own)
    np.testing.assert_array_equal(state.step, [12, 12, 12])
    program = load_system("contrastive_ica").make_program(TINY)
    probe = runner.loop.on_each_seed(program.probe, program, mesh=make_mesh())
    np.testing.assert_allclose(probe(state)["r2"], record.curve[-1]["r2"], rtol=1e-5)
    with pytest.raises(ValueError, match="root must hold the finished run"):
        runner.trained(dataclasses.replace(TINY, tau=0.3), **own)


def test_another_configuration_gets_another_folder(tmp_path):
    a = runner.run_folder(tmp_path, config=TINY, seeds=[0], **OWN)
    other = dataclasses.replace(TINY, tau=0.2)
    assert a != runner.run_folder(tmp_path, config=other, seeds=[0], **OWN)
    assert a != runner.run_folder(tmp_path, config=TINY, seeds=[1], **OWN)
    a.mkdir()
    held = {"system": "contrastive_ica", "config": {}, "seeds": [0]}
    (a / "config.json").write_text(json.dumps(held))
    with pytest.raises(ValueError, match=r"another configuration .*differs in .*.tau."):
        list(runner.run(TINY, **OWN, seeds=[0], root=tmp_path))
    (a / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not a JSON file"):
        list(runner.run(TINY, **OWN, seeds=[0], root=tmp_path))


def test_seeds_and_batches_are_checked_before_work_starts(tmp_path):
    for seeds, message in (([], r"got \[\]"), ([1, 1], r"distinct .* got \[1, 1\]")):
        with pytest.raises(ValueError, match=message):
            next(runner.run(TINY, **OWN, seeds=seeds, root=tmp_path))
    odd = dataclasses.replace(TINY, batch=18)
    uneven = runner.run(odd, **OWN, seeds=[0], root=tmp_path, mesh=make_mesh(data=4))
    with pytest.raises(ValueError, match="batch must be a multiple"):
        next(uneven)
    for seconds in (float("nan"), -1.0):
        events = runner.run(TINY, **OWN, seeds=[0], root=tmp_path, save_seconds=seconds)
        with pytest.raises(ValueError, match="save_seconds must be >= 0, got"):
            next(events)
    assert list(tmp_path.iterdir()) == []


def test_a_diverging_run_is_not_recorded_as_finished(tmp_path):
    wild = dataclasses.replace(
        TINY, learning_rate=1e30, warmup=0, output="none", similarity="lp", p=3.0
    )
    with pytest.raises(NonFiniteLoss):
        finish(wild, tmp_path)
    assert not list(tmp_path.glob("*/result.json"))


def test_interrupted_between_checkpoints_resumes_to_the_same_numbers(whole, tmp_path):
    _, _, uncut = whole
    events = runner.run(TINY, **OWN, seeds=SEEDS, root=tmp_path, save_seconds=0.0)
    for event in events:
        if event.stage == "train" and event.step == 8:
            break
    events.close()
    assert (
        runner.run_folder(tmp_path, config=TINY, seeds=SEEDS, **OWN) / "ckpt"
    ).exists()
    events, resumed = finish(TINY, tmp_path)
    steps = [event.step for event in events if event.stage == "train"]
    assert steps == [12]
    assert numbers(resumed) == numbers(uncut)
    assert resumed.record.curve == uncut.record.curve


def test_a_watcher_that_stops_early_loses_nothing(tmp_path):
    events = runner.run(TINY, **OWN, seeds=SEEDS, root=tmp_path)  # no periodic save
    for event in events:
        if event.stage == "train" and event.step == 8:
            break
    events.close()
    events, _ = finish(TINY, tmp_path)
    assert [event.step for event in events if event.stage == "train"] == [12]


def test_damaged_run_folders_are_named_or_mended(whole, tmp_path):
    root, _, done = whole
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / done.folder.relative_to(root)
    (folder / "samples.npz").unlink()
    with pytest.raises(ValueError, match="samples.npz is missing or damaged"):
        read_samples(folder)
    events, _ = finish(TINY, tmp_path)
    assert events == []
    (folder / "result.json").unlink()
    (folder / "metrics.jsonl").write_text("5\n")
    events, again = finish(TINY, tmp_path)  # evaluated once more
    assert "train" not in {event.stage for event in events}
    assert numbers(again) == numbers(done)
    assert read_samples(folder)["z"].shape == (3, TINY.eval_batch, 3)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="another configuration"):
        list(runner.run(TINY, **OWN, seeds=SEEDS, root=tmp_path))


KILLED = """
from pathlib import Path
from jidcl.run import costs
from jidcl.run import runner
from reference.tiny import TINY
for event in runner.run(TINY, system="contrastive_ica", preset="quick/tiny",
                        seeds=(20, 21, 22), root=Path(r"{root}"), save_seconds=0.0):
    print(event.stage, event.step, flush=True)
    if event.stage == "train" and event.step >= 4:
        import time; time.sleep(60)
"""


@pytest.mark.long
def test_kill_9_and_resume_give_the_same_final_numbers(whole, tmp_path):
    _, _, uncut = whole
    here = os.path.dirname(os.path.dirname(__file__))
    env = {
        **os.environ,
        "PYTHONPATH": here + os.pathsep + os.environ.get("PYTHONPATH", ""),
    }
    code = textwrap.dedent(KILLED.format(root=tmp_path))
    folder = runner.run_folder(tmp_path, config=TINY, seeds=SEEDS, **OWN)
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("train 4"):
                break
        deadline = time.monotonic() + 30
        while not (folder / "ckpt" / "4").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        child.send_signal(signal.SIGKILL)
    assert not (folder / "result.json").exists()
    with (folder / "metrics.jsonl").open("a") as log:
        log.write('{"step": 99')  # a line cut off in the middle
    events, resumed = finish(TINY, tmp_path)
    assert [event.step for event in events if event.stage == "train"] == [8, 12]
    assert numbers(resumed) == numbers(uncut)


def test_frozen_draws_are_cached_and_the_same(tmp_path):
    from jidcl.systems.contrastive_ica import problem as system

    program, identity = system.make_program(TINY), system.SYSTEM.frozen_identity(TINY)
    first = runner.cached_frozen(program, identity, [0, 3], tmp_path)
    (path,) = tmp_path.iterdir()
    stamp = path.stat().st_mtime_ns
    second = runner.cached_frozen(program, identity, [0, 3], tmp_path)
    assert path.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first["g"]["kernels"], second["g"]["kernels"])
    other = runner.cached_frozen(program, identity, [3], tmp_path)
    np.testing.assert_allclose(
        other["g"]["kernels"][0], first["g"]["kernels"][1], rtol=1e-5
    )
    for damage in (b"not an archive", b"", path.read_bytes()[:200]):
        path.write_bytes(damage)
        mended = runner.cached_frozen(program, identity, [0, 3], tmp_path)
        np.testing.assert_array_equal(first["g"]["kernels"], mended["g"]["kernels"])
        with np.load(path, allow_pickle=False) as held:
            assert len(held.files) == len(jax.tree.leaves(first))


def test_phases_change_temperature_and_batch_and_resume(tmp_path):
    phased = dataclasses.replace(
        TINY,
        early_share=1 / 3,
        early_tau=0.5,
        late_share=1 / 3,
        late_batch=2 * TINY.batch,
    )
    assert [(c.tau, c.batch, until) for c, until in phased.phases()] == [
        (0.5, TINY.batch, 4),
        (TINY.tau, TINY.batch, 8),
        (TINY.tau, 2 * TINY.batch, 12),
    ]
    assert TINY.phases() == [(TINY, 12)]
    _, whole = finish(phased, tmp_path / "whole")
    work = runner.run(
        phased, **OWN, seeds=SEEDS, root=tmp_path / "cut", save_seconds=0.0
    )
    for event in work:
        if event.step == 8:
            work.close()
            break
    _, resumed = finish(phased, tmp_path / "cut")
    assert numbers(resumed) == numbers(whole)
    with pytest.raises(ValueError, match=r"early_share \+ late_share must be in"):
        dataclasses.replace(TINY, early_share=0.6, late_share=0.6)


# Of a small program: test_own_programs.py.
@pytest.mark.long
@pytest.mark.parametrize(("seeds_that_fit", "pieces"), [(1.5, 3), (2.5, 2)])
def test_seeds_that_do_not_fit_run_in_pieces_as_one_record(
    whole, tmp_path, seeds_that_fit, pieces
):
    one = costs.estimate(TINY, system="contrastive_ica", seeds=[0], steps=1).memory
    limit = seeds_that_fit * one / 2**30
    events, cut = finish(TINY, tmp_path, memory_gib=limit)
    _, _, uncut = whole
    assert len(list((cut.folder / "pieces").glob("*/result.json"))) == pieces
    assert sum(event.stage == "setup" for event in events) == 1 + pieces
    assert cut.record.seeds == uncut.record.seeds == list(SEEDS)
    assert numbers(cut).keys() == numbers(uncut).keys()
    for name in ("r2", "loss", "gap"):
        np.testing.assert_allclose(
            cut.record.values(name), uncut.record.values(name), rtol=1e-3, atol=1e-3
        )
    ours, theirs = cut.record.curve[-1], uncut.record.curve[-1]
    assert ours["step"] == theirs["step"]
    np.testing.assert_allclose(ours["r2"], theirs["r2"], rtol=1e-3, atol=1e-3)
    assert read_samples(cut.folder)["z"].shape == read_samples(uncut.folder)["z"].shape
    again, repeated = finish(TINY, tmp_path, memory_gib=limit)
    assert again == []
    assert repeated.record == cut.record


@pytest.mark.parametrize("name", ["identity/t1r5", "theorem1/thm1-vmf"])
def test_what_trains_nothing_leaves_a_record_and_no_more(tmp_path, name):
    config = load_presets("contrastive_ica")[name]
    small = dict(mixing_draws=2, eval_batch=64, eval_batches=2)
    small = small if name.startswith("identity") else dict(counts=(64, 128))
    config = dataclasses.replace(config, **small)
    own = dict(system="contrastive_ica", preset=name, seeds=(0, 1), root=tmp_path)
    *_, done = runner.run(config, **own)
    record = done.record
    assert (record.losses, record.untrained, record.curve) == ({}, {}, [])
    assert record.floor_kind == "none"
    files = {path.name for path in done.folder.iterdir()}
    assert files == {"config.json", "env.json", "lock", "result.json"}
    assert len(list(runner.run(config, **own))) == 1  # read back
