import dataclasses
import json
import os
import subprocess
import sys

import pytest

from jidcl.claims import load_claims
from jidcl.cli import main as cli
from jidcl.run import conformance, verify
from jidcl.systems.contrastive_ica.presets import presets
from reference.tiny import TINY

SMALL = ("widths", "batch", "steps", "chunk", "eval_batch", "eval_batches")
SMALL += ("mixing_draws", "warmup")


def options(config=TINY):
    flags = []
    for field in SMALL:
        value = getattr(config, field)
        values = value if isinstance(value, tuple) else (value,)
        flags += [f"--{field.replace('_', '-')}", *map(str, values)]
    return flags


def test_help_of_every_verb_teaches_and_never_imports_jax():
    code = """
import contextlib, sys
from jidcl.cli import main as cli
for verb in [None, *cli.VERBS]:
    args = ["--help"] if verb is None else [verb, "--help"]
    with contextlib.suppress(SystemExit):
        cli.main(args)
with contextlib.suppress(SystemExit):
    cli.main(["train", "quick/sphere-vmf", "--help"])
assert not {"jax", "flax", "optax", "scipy", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in ("--budget", "--dry-run", "--tau", "temperature", "first steps"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["verfy"], "did you mean 'verify'"),
        (["train", "quick/sphere-vfm"], "did you mean 'quick/sphere-vmf'"),
        (["verify", "--budget", "quik"], "did you mean 'quick'"),
        (["verify", "--budget", "full", "--rows", "t9r9"], "claim must be one of"),
        (["verify", "--seeds", "0"], "seeds must be >= 1, got 0"),
        (["verify", "--rows", "t1r3"], "rows need budget 'full' or 'published'"),
        (["verify", "--system", "ica"], "system must be one of"),
        (["train", "quick/sphere-vmf", "--seeds", "0", "--dry-run"], "at least one"),
        (["list", "presets", "more"], "system must be one of"),
        (["list", "losses", "more"], "usage: jidcl list losses, got ['more']"),
        (
            ["sweep", "quick/sphere-vmf", "--grid", "tau=0.1", "--metric", "rr2"],
            "did you mean 'r2'",
        ),
        (
            [
                "sweep",
                "quick/sphere-vmf",
                "--grid",
                "tau=1",
                "--set",
                "n=2",
                "--set=p=1",
            ],
            "--set is given twice",
        ),
        (
            ["train", "quick/sphere-vmf", "--devices.data", "64"],
            "must be at most 8 in all",
        ),
        (["list", "presetz"], "did you mean 'presets'"),
        (["train", "quick/sphere-vmf", "--tau", "-1"], "tau must be > 0, got -1.0"),
        (["train", "quick/sphere-vmf", "--n", "1"], "n of a sphere must be >= 2"),
        (["train", "quick/box-laplace", "--low", "2"], "low must be < high"),
        (["train", "quick/sphere-vmf", "--version", "9"], "another version"),
        (["conformance", "missing.json"], "missing.json"),
        (["render", "sprite"], "did you mean 'sprites'"),
        (["render", "sprites", "--size", "4"], "size must be >= 8 pixels, got 4"),
        (["render", "sprites", "--what", "sheets"], "did you mean 'sheet'"),
        (["render", "sprites", "--level", "fast"], "sprites has none"),
        (["render", "--size", "32"], "the scene comes first, got '--size'"),
        (["render", "sprites", "--what"], "number of values of what must be >= 1"),
    ],
)
def test_usage_errors_name_the_fix_and_exit_with_2(args, message, capsys, tmp_path):
    root = ["--root", str(tmp_path)] if args[0] == "verify" else []
    try:
        code = cli.main([*args, *root])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in " ".join((captured.out + captured.err).split())


def test_train_writes_a_record_and_repeats_for_free(tmp_path, capsys):
    args = ["train", "quick/sphere-vmf", *options(), "--seeds", "2"]
    args += ["--root", str(tmp_path)]
    assert cli.main(args) == 0
    first = capsys.readouterr().out
    (record,) = tmp_path.glob("quick-sphere-vmf-custom-*/result.json")
    stamp = record.stat().st_mtime_ns
    assert "r2" in first
    assert cli.main(args) == 0
    assert record.stat().st_mtime_ns == stamp
    assert cli.main(["train", "quick/sphere-vmf", *options(), "--dry-run"]) == 0
    assert "GFLOP" in capsys.readouterr().out


def test_devices_are_used(tmp_path, capsys):
    args = ["train", "quick/sphere-vmf", *options(), "--seeds", "2"]
    args += ["--devices.seed", "2", "--devices.data", "4", "--root", str(tmp_path)]
    assert cli.main(args) == 0
    (env,) = tmp_path.glob("*/env.json")
    assert '"seed": 2' in env.read_text()


def test_a_reader_that_leaves_is_no_error():
    code = "from jidcl.cli.main import main; raise SystemExit(main(['list', 'scores']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_listings(capsys):
    for topic, word in (
        ("systems", "contrastive_ica"),
        ("presets", "full/t1r3"),
        ("claims", "99.91 ± 0.01"),
        ("losses", "infonce"),
        ("scores", "rotation_high"),
    ):
        assert cli.main(["list", topic]) == 0
        assert word in capsys.readouterr().out
    assert cli.main(["doctor"]) == 0
    assert "device" in capsys.readouterr().out


def test_conformance_exit_codes(tmp_path, capsys):
    paths = conformance.packaged_vectors()
    packaged = next(path for path in paths if path.stem == "contrastive_ica")
    data = json.loads(packaged.read_text())
    kinds = ("gauss_theory", "slowvae")  # one covered, one not
    data["cases"] = [case for case in data["cases"] if case["kind"] in kinds]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(data))
    assert cli.main(["conformance", str(path)]) == 0
    out = capsys.readouterr().out
    assert "gauss_theory" in out
    assert "not covered by a function: contrastive_ica/slowvae" in out
    assert cli.main(["conformance", str(path), "--strict"]) == 1
    (case,) = (case for case in data["cases"] if case["id"] == "gauss_theory/00")
    case["outputs"] = {name: value + 1 for name, value in case["outputs"].items()}
    path.write_text(json.dumps(data))
    assert cli.main(["conformance", str(path)]) == 1
    assert "miss: " in capsys.readouterr().out


@pytest.fixture
def tiny_presets(monkeypatch):
    small = {field: getattr(TINY, field) for field in SMALL}
    named = {k: dataclasses.replace(v, **small) for k, v in presets().items()}
    monkeypatch.setattr(verify, "load_presets", lambda system: named)


@pytest.fixture
def few_claims(monkeypatch):
    claims = load_claims("contrastive_ica")
    quick = [c for c in claims.quick if c.preset.startswith(("sphere", "uniformity"))]
    few = dict(quick=tuple(quick), curves=claims.curves[:1])
    few = dataclasses.replace(claims, **few)
    monkeypatch.setattr(verify, "load_claims", lambda system: few)


@pytest.mark.slow
def test_verify_goes_from_claims_to_a_report(
    tmp_path, capsys, tiny_presets, few_claims
):
    args = ["verify", "--budget", "smoke", "--seeds", "2", "--root", str(tmp_path)]
    assert cli.main(args) == 1  # twenty steps identify nothing
    out = capsys.readouterr().out
    assert "report.md" in out
    folder = tmp_path / "report-contrastive_ica-smoke"
    text = (folder / "report.md").read_text()
    assert "Theorem 1" in text
    assert "✗" in text
    assert (folder / "verdicts.csv").exists()
    assert cli.main(["table", "--root", str(tmp_path), "--csv"]) == 0
    assert "smoke/sphere-vmf" in capsys.readouterr().out
    out = ["--out", str(tmp_path / "out")]
    assert cli.main(["report", "--root", str(tmp_path), *out]) == 0
    assert (tmp_path / "out" / "report.md").exists()


def test_published_rows_run_through_the_same_verb(tmp_path, capsys, tiny_presets):
    args = ["verify", "--budget", "full", "--rows", "t2r6", "t2r8", "--seeds", "1"]
    assert cli.main([*args, "--root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "Table 2, row 6" in out
    text = (tmp_path / "report-contrastive_ica-full" / "report.md").read_text()
    assert "✗ missed" in text
    assert "the same run misses t1r5" in text


def test_render_writes_each_kind_of_picture(tmp_path, capsys, monkeypatch):
    kinds = ["sheet", "sweep", "pairs", "gif"]
    flags = ["--size", "16", "--count", "5", "--columns", "3", "--out", str(tmp_path)]
    assert cli.main(["render", "triangles", "--what", *kinds, *flags]) == 0
    for kind in kinds[:3]:
        head = (tmp_path / f"triangles-{kind}.png").read_bytes()[:4]
        assert head == b"\x89PNG"
    from PIL import Image

    with Image.open(tmp_path / "triangles-gif.gif") as film:
        assert film.size == (16, 16)
        assert film.n_frames > 4 * 8  # equal neighbours may merge
    assert cli.main(["render", "triangles", "--what", "set", *flags]) == 0
    assert str(tmp_path / "triangles-set") in capsys.readouterr().out
    assert len(list((tmp_path / "triangles-set" / "images").iterdir())) == 5
    flags[5 - 2] = "6"  # other latents: nothing is mixed
    assert cli.main(["render", "triangles", "--what", "set", *flags]) == 2
    assert "pictures of other latents" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert cli.main(["render", "triangles", "--what", "gif", *flags]) == 2
    assert "pip install 'jidcl[data]'" in capsys.readouterr().err
