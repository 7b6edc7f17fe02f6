"""Two processes of four devices each train, stop, resume and record as one of eight."""

import contextlib
import dataclasses
import json
import os
import pathlib
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

SETTINGS = dict(widths=(4, 8), batch=16, steps=8, chunk=2, warmup=1)
SETTINGS |= dict(eval_batch=64, eval_batches=2, mixing_draws=20)

# argv: root, hosts, chunks after which the watcher leaves (0: never).
DRIVER = f"""
import dataclasses, pathlib, sys
root, where, leave = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
from jidcl.train.hosts import join
join(where)
from jidcl.run.runner import run
from jidcl.systems.contrastive_ica.presets import presets
from jidcl.train.sharding import make_mesh
config = dataclasses.replace(presets()["quick/sphere-vmf"], **{SETTINGS})
events = run(config, system="contrastive_ica", preset="t", seeds=range(2), root=root,
             mesh=make_mesh(seed=2, data=4), save_seconds=0.0)
for event in events:
    if leave and event.step == 2 * leave:
        break
"""


def start(root, where, leave, devices):
    own = f" --xla_force_host_platform_device_count={devices}"  # the last one counts
    flags = os.environ["XLA_FLAGS"] + own
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(root), where, str(leave)],
        env=os.environ | {"XLA_FLAGS": flags},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(processes):
    for process in processes:
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors[-2000:]


def two(root, leave):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = [f"127.0.0.1:{port},2,{index}" for index in range(2)]
    finish([start(root, host, leave, devices=4) for host in where])


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
    two(spread, leave=0)
    check_one_run(spread, alone)


@pytest.mark.long
@pytest.mark.multihost
def test_two_processes_stop_and_resume_as_one_run(tmp_path):
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    finish([start(alone, "one", 0, devices=8)])
    two(spread, leave=2)
    assert list(spread.glob("*/ckpt/*"))
    assert not list(spread.glob("*/result.json"))
    two(spread, leave=0)  # from the checkpoint
    check_one_run(spread, alone)


def test_one_process_agrees_with_itself():
    join("one")
    assert agree(True) is True
    assert agree(3) == 3


@pytest.mark.parametrize("hosts", ["two", "127.0.0.1,2,0", "a:1,2,x", "a:1,2"])
def test_other_hosts_are_refused(hosts):
    with pytest.raises(ValueError, match="hosts must be one, auto or ADDRESS"):
        join(hosts)


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
