"""A run from the command line that the tests of several verbs share."""

import contextlib
import io

import pytest

from jidcl.cli import main as cli
from reference.tiny import SMALL, TINY


def flags():
    """`TINY` as options of `jidcl train quick/sphere-vmf`."""
    words = []
    for field in SMALL:
        value = getattr(TINY, field)
        values = value if isinstance(value, tuple) else (value,)
        words += [f"--{field.replace('_', '-')}", *map(str, values)]
    return words


@pytest.fixture(scope="session")
def tiny_call():
    """`jidcl train` of a tiny run of two seeds, without `--root`."""
    return ["train", "quick/sphere-vmf", *flags(), "--seeds", "2"]


@pytest.fixture(scope="session")
def finished(tiny_call, tmp_path_factory):
    """(root of that run, what it printed); read, never written."""
    root, printed = tmp_path_factory.mktemp("finished"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cli.main([*tiny_call, "--root", str(root)]) == 0
    return root, printed.getvalue()
