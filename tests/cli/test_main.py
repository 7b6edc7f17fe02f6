"""Every verb: help at once, usage errors, readers that leave."""

import os
import subprocess
import sys

import pytest

from jidcl.cli import main as cli


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
        (["list", "scores", "nowhere:SYSTEM"], "No module named 'nowhere'"),
        (["list", "systems", "diet"], "usage: jidcl list systems, got ['diet']"),
        (["train", "nowhere:SYSTEM:quick/x"], "No module named 'nowhere'"),
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
        (["train", "quick/sphere-vmf", "--seeds", "3000000000"], "which takes 2861"),
        (["verify", "--seeds", "3000000000"], "which takes 2861"),
        (
            ["sweep", "quick/sphere-vmf", "--grid", "tau=1", "--seeds", "3000000000"],
            "which takes 2861",
        ),
        (["train", "quick/sphere-vmf", "--steps", "3000000000"], "must be < 2^31"),
        (["render", "sprites", "--size", "1000000"], "which takes 357627.9 GiB"),
        (["conformance", "a\x1b]0;mine\x07.json"], r"a\x1b]0;mine\x07.json"),
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


def test_what_a_terminal_cannot_show_is_no_error():
    code = "from jidcl.cli.main import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "list", "claims", "lejepa"],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"?" in done.stdout


def test_a_closed_output_is_no_error():
    code = "import sys; sys.stdout = None; from jidcl.cli.main import main"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; raise SystemExit(main())", "list", "systems"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
