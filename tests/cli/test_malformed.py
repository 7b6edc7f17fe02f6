"""Thousands of malformed files and command lines: an answer or one line, no fault."""

import contextlib
import dataclasses
import io
import json
import random
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jidcl.checks import printable
from jidcl.cli import main as cli
from jidcl.data.files import read_npz
from jidcl.data.image_folder import image_path, read_image_folder, write_image_folder
from jidcl.files import read_arrays, read_json, write_arrays
from jidcl.report.records import read_record, read_samples
from jidcl.run.folders import claim_folder
from jidcl.run.sweep import _finished
from jidcl.run.vectors import read_vectors
from reference.records import record
from survived import note

FILES, LINES = 650, 1700  # examples of each reader, and of command lines
MANY = settings(
    max_examples=FILES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
ODD = [None, True, -1, 0, 1e308, 10**400, "", "x\x1b]0;t\x07", [], {}, [[1], [2, 3]]]
ODD += ["NaN", float("nan"), "[/]", "same inputs as a", 2**63, {"a": {"a": None}}]


def damaged_text(text, chance):
    """JSON text with a value, a key or bytes changed."""
    way = chance.choice(["value", "key", "drop", "cut", "flip", "double", "deep"])
    if way in ("value", "key", "drop"):
        data = json.loads(text)
        spots, stack = [], [data]
        while stack:
            held = stack.pop()
            keys = held if isinstance(held, dict) else range(len(held))
            for key in keys:
                spots.append((held, key))
                if isinstance(held[key], dict | list):
                    stack.append(held[key])
        held, key = chance.choice(spots)
        if way == "value":
            held[key] = chance.choice(ODD)
        elif way == "key" and isinstance(held, dict):
            held[str(chance.choice(ODD))] = held.pop(key)
        else:
            del held[key]
        return json.dumps(data).encode()
    return damaged_bytes(text.encode(), chance, way)


def damaged_bytes(content, chance, way=None):
    way = way or chance.choice(["cut", "flip", "double", "deep", "noise"])
    place = chance.randrange(max(len(content), 1))
    if way == "cut":
        return content[:place]
    if way == "flip":
        held = bytearray(content)
        for _ in range(chance.choice([1, 1, 8])):
            held[chance.randrange(len(held))] ^= 1 << chance.randrange(8)
        return bytes(held)
    if way == "double":
        return content[:place] + content
    if way == "deep":
        return content[:place] + b"[" * 100_000
    return chance.randbytes(len(content))


def texts():
    """Valid text of each kind of JSON file, and what reads it."""
    case = dict(id="a", kind="k", params={"n": 2}, inputs={"x": [[1.0, None]]})
    case |= dict(outputs={"y": [1.0, 2.0]}, rtol=0.0, atol=1e-9)
    more = {**case, "id": "b", "inputs": "same inputs as a"}
    vectors = {"schema_version": 2, "system": "s", "cases": [case, more]}
    identity = {"system": "s", "config": {"n": 3, "tau": 0.1}, "seeds": [0]}
    rows = {"seconds": 1.0, "rows": [{"tau": 0.1, "seed": 0, "r2": 0.5}]}
    plain = json.dumps(dataclasses.asdict(record([0.5, 0.6])))
    return {
        "vectors": ("v.json", json.dumps(vectors), read_vectors),
        "record": ("result.json", plain, lambda path: read_record(path.parent)),
        "config": (
            "config.json",
            json.dumps(identity),
            lambda path: claim_folder(path.parent, identity),
        ),
        "piece": ("piece-0.json", json.dumps(rows), _finished),
        "any JSON": ("a.json", json.dumps(rows), read_json),
    }


def outcome(read, path):
    """How a reader ended: its answer, or an error that names the file in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(path)
            return "read"
    except (ValueError, OSError) as error:
        said, kind = cli._one_line(error), type(error).__name__
    assert path.name in said or path.parent.name in said, said
    assert said.isprintable()
    return f"refused by name, {kind}"


@pytest.mark.long
@pytest.mark.parametrize("kind", texts())
def test_damaged_json_is_read_or_refused_by_name(tmp_path, kind):
    name, text, read = texts()[kind]
    path = tmp_path / name
    path.write_text(text)
    assert outcome(read, path) == "read"

    @MANY
    @given(st.randoms(use_true_random=False))
    def check(chance):
        path.write_bytes(damaged_text(text, chance))
        note("damaged JSON files", outcome(read, path))

    check()


def binaries(root):
    """Valid binary files, and what reads each."""
    z = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    arrays = {"z": z, "y": np.arange(4)}
    write_arrays(root / "samples.npz", arrays)
    write_arrays(root / "other.npz", arrays)
    own = {"z": (np.float32, (None, 3))}
    list(
        write_image_folder(
            root / "set", z, lambda z: np.full((len(z), 8, 8, 3), 0.5), about={}
        )
    )
    picture = image_path(root / "set", 1, 2)
    with Image.open(picture) as image:
        assert image.size == (8, 8)
    whole = lambda path: read_image_folder(root / "set", size=4)  # noqa: E731
    return {
        "samples": (root / "samples.npz", lambda path: read_samples(path.parent)),
        "data set": (root / "other.npz", lambda path: read_npz(path, own)),
        "arrays": (root / "other.npz", read_arrays),
        "latents": (root / "set" / "raw_latents.npy", whole),
        "picture": (picture, whole),
    }


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", ["samples", "data set", "arrays", "latents", "picture"]
)
def test_damaged_arrays_and_pictures_are_read_or_refused_by_name(tmp_path, kind):
    path, read = binaries(tmp_path)[kind]
    content = path.read_bytes()
    assert outcome(read, path) == "read"

    @MANY
    @given(st.randoms(use_true_random=False))
    def check(chance):
        path.write_bytes(damaged_bytes(content, chance))
        note("damaged arrays and pictures", outcome(read, path))

    check()
    path.write_bytes(content)


WORDS = [
    "--seeds", "--tau", "--n", "--batch", "--steps", "--widths", "--root",
    "--warmup", "--chunk", "--devices.seed", "--devices.hosts", "--help",
    "--budget", "--rows", "--system", "--grid", "--set", "--metric", "--size",
    "--what", "--count", "--level", "--out", "--csv", "--x", "--y", "--z", "--test",
    "--alpha", "--strict", "--save-seconds", "--memory-gib", "--", "-", "--seeds=",
    "--launcher", "--job", "--at-once", "--format", "--inputs", "--profile", "--fresh",
]  # fmt: skip
VALUES = [
    "0", "-1", "1", "3", "1e9", "nan", "inf", "-inf", "1e999", "3000000000", "0.1",
    "", " ", "tau=0.1,0.2", "tau=", "=", "n=2", "quick", "\x1b]0;t\x07", "[/]", "x",
    "submitit", "cluster=local", "cluster=\x1b[31m", "tea=1", "true", "1,2", "-1e-9",
    "a" * 5000, "/dev/null", "/nowhere/x", "none:NONE", "r2", "\ud800", "9" * 400, "é",
]  # fmt: skip
HEADS = [
    ["train", "quick/sphere-vmf"], ["sweep", "quick/sphere-vmf"], ["verify"], ["table"],
    ["render", "sprites"], ["conformance"], ["list"], ["ci-test"], ["report"],
    ["audit"], ["bench"], ["doctor"], ["sweep"], ["render"], [], ["identify"],
    ["data", "describe"], ["data", "check"], ["data", "convert"], ["data"],
    ["sweep", "quick/sphere-vmf", "--grid", "tau=1", "--launcher", "submitit"],
]  # fmt: skip


class Accepted(Exception):
    """A command line that would have started its work."""


def stop(*args, **options):
    raise Accepted


@pytest.fixture
def nothing_starts(monkeypatch, tmp_path):
    """Verbs end where their work would begin."""
    monkeypatch.chdir(tmp_path)
    places = ["train.show_run", "sweep.show_sweep", "verify.show_verification"]
    places += ["conformance.show_conformance", "audit._show", "ci_test._tested"]
    places += ["render._latents", "render._pictures"]
    for place in places:
        monkeypatch.setattr(f"jidcl.cli.{place}", stop)
    monkeypatch.setattr("jidcl.cli.verify._move_aside", stop)
    monkeypatch.setattr("jidcl.run.sweep.metric_names", lambda *args: ["r2"])
    monkeypatch.setattr("jidcl.bench.suite.run", stop, raising=False)
    monkeypatch.setattr(cli, "_fault", fault)


def fault(error):
    raise error


def ended(args, told):
    """How a command line ended, and what it printed to standard error."""
    told.clear()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(args)
        except SystemExit as stopped:
            code = stopped.code
        except Accepted:
            return "accepted", ""
    kind = type(told[-1]).__name__ if told else "by the parser"
    how = {0: "answered", 2: f"refused, {kind}"}.get(code, f"code {code}")
    return how, err.getvalue()


@pytest.mark.long
@pytest.mark.many_programs(reason="as many as command lines ask for")
def test_malformed_command_lines_are_refused_or_answered(nothing_starts, monkeypatch):
    seen, told, plain = set(), [], cli._one_line
    monkeypatch.setattr(cli, "_one_line", lambda e: told.append(e) or plain(e))

    @settings(MANY, max_examples=LINES)
    @given(st.randoms(use_true_random=False))
    def check(chance: random.Random):
        head = list(chance.choice(HEADS))
        if head == ["bench"]:
            head += ["--suites", chance.choice(VALUES)]
        pool = WORDS + VALUES + VALUES
        args = head + [chance.choice(pool) for _ in range(chance.randrange(1, 6))]
        how, said = ended(args, told)
        note("malformed command lines", how)
        seen.add(how)
        assert how.partition(",")[0] in ("accepted", "answered", "refused"), (args, how)
        own = [line for line in said.splitlines() if line.startswith("jidcl: ")]
        assert all(printable(line) == line for line in own), args
        assert "Traceback" not in said

    check()
    assert "refused, ValueError" in seen
