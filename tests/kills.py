"""Runs that are killed at chosen moments and started again end with the same numbers.

    python tests/kills.py [NUMBER ...]

A line of JSON for each kill: verb, system, moment, and whether the second start ended
with the numbers of an undisturbed run. Every start is a child of its own, forked before
JAX begins. A child that is to die sends itself SIGKILL at its moment.
"""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from unittest import mock

from jidcl import files
from jidcl.run import runner, sweep, verify
from jidcl.systems.registry import load_presets, load_system
from jidcl.train import checkpoint, evaluation, programs
from reference import descent
from reference.tiny import shrunk

PRESETS = {
    "contrastive_ica": ("sphere-vmf", "box-laplace"),
    "lejepa": ("coupling-2", "banana"),
    descent.NAME: ("descent", ""),  # of somebody's own, without claims
}
ICA, LEJEPA, OWN = PRESETS
# (verb, system, moment, which time). A run is of three chunks: it saves three times and
# scores five times; a verification is of two runs.
KILLS = [
    ("train", ICA, "compiling", 1),
    ("train", ICA, "compiling", 4),
    ("train", ICA, "file", 1),
    ("train", ICA, "note", 2),
    ("train", ICA, "saving", 2),
    ("train", ICA, "saving", 3),
    ("train", ICA, "scores", 5),
    ("train", ICA, "file", 8),
    ("train", OWN, "saving", 1),
    ("train", OWN, "scores", 4),
    ("train", LEJEPA, "note", 3),
    ("train", LEJEPA, "file", 5),
    ("sweep", ICA, "scores", 2),
    ("sweep", ICA, "compiling", 5),
    ("sweep", OWN, "file", 2),
    ("sweep", LEJEPA, "file", 1),
    ("verify", ICA, "saving", 5),
    ("verify", ICA, "file", 12),
]
PLACES = {
    "compiling": (programs, "_compiled", False),
    "note": (checkpoint, "write_json", True),  # digests are there, arrays are not
    "saving": (checkpoint.Checkpoints, "save", True),  # arrays are on their way
    "file": (files.os, "fsync", True),  # written, not renamed
    "scores": (evaluation, "_each_finished", False),
}


def work(verb, system, root):
    """The numbers that a verb ends with; of a verification its report as well."""
    presets = load_presets(system)
    first, second = PRESETS[system]
    config = shrunk(presets[f"quick/{first}"])
    own = dict(system=system, root=root)
    if verb == "train":
        *_, last = runner.run(config, **own, preset="t", seeds=(0, 1), save_seconds=0.0)
        record = dataclasses.asdict(last.record)
        kept = ("scores", "losses", "nulls", "curve", "seeds", "untrained")
        return [record[name] for name in kept]
    if verb == "sweep":
        *_, last = sweep.sweep(
            config, {"learning_rate": [0.01, 0.02]}, **own, seeds=(0, 1)
        )
        return last.rows
    small = {name: shrunk(held) for name, held in presets.items()}
    with (
        mock.patch.object(verify, "load_presets", return_value=small),
        mock.patch.object(verify, "SMOKE", {}),
    ):
        check = verify.Verification(
            **own, budget="smoke", seeds=(0, 1), save_seconds=0.0
        )
        two = {f"smoke/{first}", f"smoke/{second}"}
        every = check.claims.at("smoke")
        check._chosen = [c for c in every if two.issuperset(c.needs("smoke"))]
        for _ in check.go():
            pass
    report = (check.folder / "report.md").read_text()
    return [dataclasses.asdict(held) for held in check.verdicts], report


def die_at(moment, which):
    """A patch that ends this process at a moment."""
    owner, name, after = PLACES[moment]
    real, calls = getattr(owner, name), 0

    def dying(*args, **options):
        nonlocal calls
        calls += 1
        result = real(*args, **options) if calls < which or after else None
        if calls == which:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return mock.patch.object(owner, name, dying)


def start(verb, system, root, dies=None):
    """Run in a child; its numbers, or the signal that ended it."""
    out = root.with_name(f"{root.name}.json")
    child = os.fork()
    if not child:
        code = 1
        try:
            with die_at(*dies) if dies else contextlib.nullcontext():
                out.write_text(files.to_json(work(verb, system, root)))
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    return out.read_text() if status == 0 else None


def main(numbers):
    """Print a line for each kill; 1 where some run did not survive."""
    for system in PRESETS:  # once, not in every child
        load_system(system)
    whole, bad = {}, 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (verb, system, *dies) in enumerate(KILLS):
            if numbers and number not in numbers:
                continue
            if (verb, system) not in whole:
                root = Path(folder) / f"whole-{verb}-{system}"
                whole[verb, system] = start(verb, system, root)
                assert isinstance(whole[verb, system], str)
            root = Path(folder) / f"kill-{number}"
            killed = start(verb, system, root, dies) == signal.SIGKILL
            again = start(verb, system, root)
            same = killed and again == whole[verb, system]
            bad += not same
            told = dict(verb=verb, system=system, moment=dies, killed=killed, same=same)
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    return int(bad > 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    raise SystemExit(main(set(map(int, sys.argv[1:]))))
