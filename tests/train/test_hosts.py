"""Processes that share eight devices train, stop, resume and record as one of eight."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from jidcl.run.runner import run
from jidcl.systems.contrastive_ica.presets import presets
from jidcl.train.hosts import agree, join
from jidcl.train.sharding import make_mesh
from reference import descent
from survived import note

SETTINGS = dict(widths=(4, 8), batch=16, steps=8, chunk=2, warmup=1)
SETTINGS |= dict(eval_batch=64, eval_batches=2, mixing_draws=20)

# argv: root, hosts, system, chunks after which the watcher leaves (0: never), devices.
DRIVER = f"""
import dataclasses, pathlib, sys
root, where, system = pathlib.Path(sys.argv[1]), *sys.argv[2:4]
leave, devices = map(int, sys.argv[4:])
from jidcl.train.hosts import join
join(where)
from jidcl.run.runner import run
from jidcl.systems.registry import load_presets
from jidcl.train.sharding import make_mesh
if system == "contrastive_ica":
    own = {SETTINGS}
    config = dataclasses.replace(load_presets(system)["quick/sphere-vmf"], **own)
else:
    config = load_presets(system)["quick/descent"]
    config = dataclasses.replace(config, batch=8, steps=8)
events = run(config, system=system, preset="t", seeds=range(2), root=root,
             mesh=make_mesh(seed=min(2, devices), data=max(devices // 2, 1)),
             save_seconds=0.0)
for event in events:
    if leave and event.step == 2 * leave:
        break
events.close()  # a checkpoint may be on its way
"""
TESTS = str(pathlib.Path(__file__).parents[1])


def start(root, where, system, leave, devices, count=1):
    """One of `count` processes, with its part of the devices."""
    each = f"--xla_force_host_platform_device_count={devices // count}"
    own = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {each}"}  # the last one counts
    own["PYTHONPATH"] = os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")])
    arguments = [str(root), where, system, str(leave), str(devices)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        env=os.environ | own,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(started):
    for process in started:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors[-2000:]


def processes(count, root, leave, devices=8, system="contrastive_ica"):
    """Run to the end, or until the watcher leaves, in so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = [f"127.0.0.1:{port},{count},{index}" for index in range(count)]
    hosts = where if count > 1 else ["one"]
    finish([start(root, host, system, leave, devices, count) for host in hosts])


def record(root: pathlib.Path):
    (path,) = root.glob("*/result.json")
    return json.loads(path.read_text())


def check_one_run(spread, alone):
    """Two processes wrote what one wrote."""
    want, got = record(alone), record(spread)
    assert [row["step"] for row in got["curve"]] == [2, 4, 6, 8]
    for group, name in (("losses", "loss"), ("losses", "gap"), ("scores", "r2")):
        np.testing.assert_allclose(
            got[group][name], want[group][name], rtol=1e-3, atol=1e-4
        )
    losses = [[row["loss"] for row in each["curve"]] for each in (got, want)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.multihost
@pytest.mark.many_programs(reason="a whole run, spread over devices")
def test_two_processes_are_one_run(tmp_path):
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    config = dataclasses.replace(presets()["quick/sphere-vmf"], **SETTINGS)
    call = dict(system="contrastive_ica", preset="t", seeds=range(2), root=alone)
    list(run(config, **call, mesh=make_mesh(seed=2, data=4)))
    processes(2, spread, leave=0)
    check_one_run(spread, alone)


@pytest.mark.long
@pytest.mark.multihost
def test_two_processes_stop_and_resume_as_one_run(tmp_path):
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    processes(1, alone, leave=0)
    processes(2, spread, leave=2)
    assert list(spread.glob("*/ckpt/*"))
    assert not list(spread.glob("*/result.json"))
    processes(2, spread, leave=0)  # from the checkpoint
    check_one_run(spread, alone)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The record of a small run of one process that nothing disturbs."""
    root = tmp_path_factory.mktemp("alone")
    processes(1, root, leave=0, system=descent.NAME)
    return record(root)


@pytest.fixture(scope="module", params=[2, 4])
def left(request, tmp_path_factory):
    """(processes, folder) of the same run, left after two of four chunks."""
    root = tmp_path_factory.mktemp("left")
    processes(request.param, root, leave=2, system=descent.NAME)
    assert list(root.glob("*/ckpt/*"))
    assert not list(root.glob("*/result.json"))
    return request.param, root


@pytest.mark.long
@pytest.mark.multihost
@pytest.mark.parametrize(("count", "devices"), [(2, 8), (1, 8), (1, 1)])
def test_a_checkpoint_of_several_processes_is_gone_on_with_by_others(
    alone, left, tmp_path, count, devices
):
    of, origin = left
    shutil.copytree(origin, tmp_path, dirs_exist_ok=True)
    processes(count, tmp_path, 0, devices, descent.NAME)
    found = record(tmp_path)
    assert (found["scores"], found["curve"]) == (alone["scores"], alone["curve"])
    how = f"of {of}, gone on with by {count} on {devices} devices"
    note("checkpoints of several processes", how)


def test_one_process_agrees_with_itself():
    join("one")
    assert agree(True) is True
    assert agree(3) == 3


@pytest.mark.parametrize(
    "hosts",
    ["two", "127.0.0.1,2,0", "a:1,2,x", "a:1,2", ":1,1,0", "a:²,1,0", "a:1,²,0"]
    + ["a:x,1,0", "a b:1,1,0", "a:1,1,0\n", "a:123456,1,0"],
)
def test_other_hosts_are_refused(hosts):
    with pytest.raises(ValueError, match="hosts must be one, auto or ADDRESS"):
        join(hosts)


@pytest.mark.parametrize("port", [0, 65_536, 99_999])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ValueError, match=rf"PORT of hosts .*\[1, 65535\], got {port}"):
        join(f"127.0.0.1:{port},1,0")


def test_an_address_at_which_nothing_can_listen_is_one_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for where in (f"127.0.0.1:{port}", "192.0.2.1:5000", "256.1.1.1:5000"):
            with pytest.raises(OSError, match=f"process 0 cannot listen at {where}: "):
                join(f"{where},1,0")


def test_an_index_beyond_the_count_is_refused():
    with pytest.raises(ValueError, match="COUNT of hosts must be >= 3, got 2"):
        join("a:1,2,2")


def listening(port):
    """Local addresses that listen on a port, in the kernel's hexadecimal digits."""
    lines = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            lines += pathlib.Path(table).read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    return {
        row[1] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"
    }


@pytest.mark.skipif(not pathlib.Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_process_0_listens_at_the_address_it_was_given_and_at_no_other():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from jidcl.train.hosts import join; join('127.0.0.1:{port},2,0')"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as waiting:
        found, deadline = set(), time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            time.sleep(0.2)
            found = listening(port)
        waiting.kill()
    local = "0100007F"  # 127.0.0.1
    assert found
    assert all(address.split(":")[0].endswith(local) for address in found), found
